"""Lesson 15 on fresh inputs: features, the reader of weights, edits and CTC against the libraries."""

import math
import types

import jiwer
import lessons
import numpy as np
import pytest
import torch
from torch import nn
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from course_utils import data
from course_utils.exercises import lesson_15_speech as declared

LESSON = lessons.read(lessons.FOLDER / "15_speech.ipynb")
NAMES = """
low_pass strongest hertz_of edges highest hertz frames power mel_filters filters log_mel
whisper_input Bytes KINDS read_arrays SPLIT LAST state_dict_of decode count_edits error_rate
normalised spelled NUMBERS text_of forward_ctc
""".split()


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


@pytest.mark.parametrize(
    "sound",
    [
        np.random.default_rng(1).normal(size=70_000),
        np.sin(np.arange(480_000) / 5),
        np.zeros(16_000),
        np.random.default_rng(2).normal(size=600_000) * np.linspace(0, 3, 600_000),
    ],
    ids=["noise", "a tone of thirty seconds", "silence", "longer than the window"],
)
def test_the_features_are_the_extractors(own, sound):
    sound = sound.astype(np.float32)
    theirs = WhisperFeatureExtractor()(sound, sampling_rate=16_000, return_tensors="np")["input_features"][0]
    ours = own.whisper_input(sound)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-4


def test_the_filters_are_the_librarys(own):
    theirs = WhisperFeatureExtractor().mel_filters.T
    assert np.abs(own.filters - theirs).max() < 1e-9


def test_the_lessons_pieces_equal_the_exercises(own):
    random = np.random.default_rng(3)
    for _ in range(20):
        sound, (length, step) = random.normal(size=random.integers(1, 80)), random.integers(1, 20, 2)
        np.testing.assert_array_equal(own.frames(sound, length, step), declared.frames(sound, length, step))
    cut = random.normal(size=(7, 50))
    np.testing.assert_allclose(own.power(cut), declared.power(cut), atol=1e-10)
    edges = np.sort(random.uniform(0, 100, 9))
    hertz = np.linspace(0, 100, 31)
    np.testing.assert_allclose(own.mel_filters(hertz, edges), declared.mel_filters(hertz, edges), atol=1e-12)
    powers, filters = random.uniform(0, 1e3, (5, 31)), own.mel_filters(hertz, edges)
    np.testing.assert_allclose(own.log_mel(powers, filters), declared.log_mel(powers, filters), atol=1e-12)


@pytest.mark.parametrize("frequency", [100, 3_000, 6_500])
def test_the_low_pass_keeps_what_is_slow_and_drops_what_is_fast(own, frequency):
    seconds = np.arange(48_000) / 48_000
    slow = np.sin(2 * np.pi * frequency * seconds)
    fast = np.sin(2 * np.pi * (16_000 - frequency) * seconds)
    assert np.abs(own.low_pass(slow, 48_000, 7_300) - slow)[500:-500].max() < 1e-2
    assert np.abs(own.low_pass(fast, 48_000, 7_300))[500:-500].max() < 1e-2
    assert own.strongest(fast[::3], 16_000) == frequency == declared.alias(16_000 - frequency, 16_000)


def packed(arrays, head=b"\x06\0\0\0\x0c\0WhisperSpec\0\x03\0\0\0", aliases=()):
    """A file in CTranslate2's format."""
    numbers = {np.dtype(kind): code for code, kind in {0: "<f4", 1: "<i1", 2: "<i2", 4: "<f2"}.items()}

    def text(name):
        return (len(name) + 1).to_bytes(2, "little") + name.encode() + b"\0"

    content = head + len(arrays).to_bytes(4, "little")
    for name, array in arrays.items():
        content += text(name) + bytes([array.ndim]) + b"".join(n.to_bytes(4, "little") for n in array.shape)
        content += bytes([numbers[array.dtype]]) + array.nbytes.to_bytes(4, "little") + array.tobytes()
    content += len(aliases).to_bytes(4, "little")
    return content + b"".join(text(a) + text(b) for a, b in aliases)


def some_arrays():
    random = np.random.default_rng(4)
    return {
        "a/weight": random.normal(size=(3, 4)).astype(np.float16),
        "b": np.int8(3).reshape(()),
        "c": random.normal(size=5).astype(np.float32),
    }


def test_what_was_packed_is_read(own):
    arrays, same = own.read_arrays(packed(some_arrays(), aliases=[("d", "c")]))
    assert same == {"d": "c"} and list(arrays) == ["a/weight", "b", "c"]
    for name, array in some_arrays().items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_every_truncated_file_is_refused(own):
    content = packed(some_arrays())
    for end in range(len(content)):
        with pytest.raises(ValueError):
            own.read_arrays(content[:end])


def test_a_file_with_a_wrong_byte_is_refused_or_read_within_its_length(own):
    content = packed(some_arrays())
    for place in range(len(content)):
        for byte in (0, 1, 127, 255):
            changed = content[:place] + bytes([byte]) + content[place + 1 :]
            try:
                arrays, _ = own.read_arrays(changed)
            except ValueError:
                continue
            assert sum(array.nbytes for array in arrays.values()) < len(content)


def test_more_bytes_than_announced_are_refused(own):
    with pytest.raises(ValueError, match="end"):
        own.read_arrays(packed(some_arrays()) + b"\0")


def library_whisper():
    """A small Whisper with random weights, and its arrays as CTranslate2 keeps them."""
    config = WhisperConfig(
        vocab_size=50,
        d_model=12,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        num_mel_bins=8,
        max_source_positions=20,
        max_target_positions=10,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    arrays = {}
    for side, crossing in (("encoder", ()), ("decoder", ("encoder_attn",))):
        start = f"model.{side}."
        arrays[f"{side}/position_encodings/encodings"] = state[start + "embed_positions.weight"]
        for last, name in (("weight", "gamma"), ("bias", "beta")):
            arrays[f"{side}/layer_norm/{name}"] = state[f"{start}layer_norm.{last}"]
            for n in range(2):
                theirs, ours = f"{start}layers.{n}.", f"{side}/layer_{n}/"
                arrays[f"{ours}ffn/layer_norm/{name}"] = state[f"{theirs}final_layer_norm.{last}"]
                for i in (0, 1):
                    arrays[f"{ours}ffn/linear_{i}/{last}"] = state[f"{theirs}fc{i + 1}.{last}"]
                for attention in ("self_attn", *crossing):
                    part = {"self_attn": "self_attention", "encoder_attn": "attention"}[attention]
                    arrays[f"{ours}{part}/layer_norm/{name}"] = state[
                        f"{theirs}{attention}_layer_norm.{last}"
                    ]
                    rows = [state.get(f"{theirs}{attention}.{letter}_proj.{last}") for letter in "qkv"]
                    rows = [np.zeros(12, np.float32) if row is None else row for row in rows]
                    out = state[f"{theirs}{attention}.out_proj.{last}"]
                    groups = [rows, [out]] if part == "self_attention" else [rows[:1], rows[1:], [out]]
                    for i, group in enumerate(groups):
                        arrays[f"{ours}{part}/linear_{i}/{last}"] = np.concatenate(group)
    for conv in ("conv1", "conv2"):
        for last in ("weight", "bias"):
            arrays[f"encoder/{conv}/{last}"] = state[f"model.encoder.{conv}.{last}"]
    arrays["decoder/embeddings/weight"] = state["model.decoder.embed_tokens.weight"]
    arrays["encoder/num_heads"] = np.int16(2).reshape(())
    return model, arrays


def test_the_conversion_gives_each_tensor_its_place(own):
    model, arrays = library_whisper()
    state = own.state_dict_of(own.read_arrays(packed(arrays))[0])
    other = WhisperForConditionalGeneration(model.config)
    other.load_state_dict(state, strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_a_bias_of_keys_is_not_dropped_in_silence(own):
    _, arrays = library_whisper()
    arrays["encoder/layer_0/self_attention/linear_0/bias"][15] = 1.0
    with pytest.raises(ValueError, match="keys"):
        own.state_dict_of(arrays)


def test_decoding_is_that_of_the_exercise(own):
    for seed in range(8):
        table = torch.randn(31, 20, generator=torch.Generator().manual_seed(seed))

        def logits_of(ids, table=table):
            return table[(3 * ids[-1] + len(ids)) % 31]

        ids, _ = own.decode(logits_of, [1, 2], 5, [0, 7], [0], most=12)
        assert ids == declared.greedy(logits_of, [1, 2], 5, [0, 7], 12)
        first, _ = own.decode(logits_of, [1, 2], 5, [0, 7], [ids[2]], most=1)
        assert first[2] != ids[2]


def test_edits_are_jiwers_and_the_exercises(own):
    random = np.random.default_rng(5)
    for _ in range(300):
        truth, heard = (random.choice(list("abcd"), size).tolist() for size in random.integers(0, 9, 2))
        count = own.count_edits(truth, heard)
        assert count == declared.edits(truth, heard)
        if truth:
            found = jiwer.process_words(" ".join(truth), " ".join(heard))
            assert count == found.substitutions + found.deletions + found.insertions


def test_the_pooled_rate_is_jiwers():
    random = np.random.default_rng(6)
    truths, texts = (
        [" ".join(random.choice(list("abcde"), size)) for size in random.integers(1, 12, 40)] for _ in "ab"
    )
    assert declared.pooled_rate(truths, texts, declared.edits) == pytest.approx(jiwer.wer(truths, texts))


@pytest.mark.parametrize("seed", range(12))
def test_ctc_is_torchs(own, seed):
    random = torch.Generator().manual_seed(seed)
    frames, classes, letters = 3 + seed, 3 + seed % 3, seed % 5
    logs = torch.randn(frames, classes, dtype=torch.float64, generator=random).log_softmax(-1)
    target = torch.randint(1, classes, (letters,), generator=random)
    theirs = nn.functional.ctc_loss(
        logs[:, None], target[None], torch.tensor([frames]), torch.tensor([letters]), reduction="none"
    ).item()
    ours, _ = own.forward_ctc(logs, target.tolist())
    for found in (ours, declared.ctc(logs, target.tolist(), 0)):
        assert found == theirs == math.inf or found == pytest.approx(theirs, abs=1e-9)


def test_the_text_of_a_path_is_that_of_the_exercise(own):
    random = np.random.default_rng(7)
    for _ in range(100):
        path = random.choice(list("-ab"), 7).tolist()
        assert own.text_of(path) == "".join(declared.collapse(path, "-"))


def test_numbers_are_spelled_and_signs_are_not_words(own):
    assert own.spelled(own.normalised("It's 7 – no, SEVEN!")) == ["it's", "seven", "no", "seven"]


def test_the_lesson_says_that_the_voices_are_synthetic():
    text = " ".join(cell.source for cell in LESSON.markdown)
    assert "**synthetic**" in text and text.count("**What is heard**") >= 3


def test_no_voice_of_the_lesson_is_one_that_differs_from_run_to_run():
    space = lessons.definitions(LESSON, "LEARN", "HELD", "voices")
    assert not {"Alicia", "f2", "f3", "f5", "victor", "sandro", "whisper", "whisperf"} & {
        *space["LEARN"],
        *space["HELD"],
        *space["voices"],
    }
    assert not set(space["LEARN"]) & set(space["HELD"])


def test_the_voices_of_the_lesson_say_the_same_each_time():
    space = lessons.definitions(LESSON, "LEARN", "HELD", "voices", "WORDS", "SENTENCE")
    asked = [
        (space["WORDS"], space["LEARN"] + space["HELD"], [130, 180]),
        ([space["SENTENCE"]], space["voices"], [160]),
    ]
    for texts, voices, rates in asked:
        runs = [data.spoken(texts, [f"en-us+{voice}" for voice in voices], rates) for _ in range(3)]
        for first, *others in zip(*runs, strict=True):
            assert all(np.array_equal(first, other) for other in others)


def test_the_truth_is_what_the_recording_lasts_for():
    sound, rate = data.recording()
    words = len(lessons.definitions(LESSON, "TRUTH")["TRUTH"].split())
    assert 120 < 60 * words / (len(sound) / rate) < 220  # words a minute, as people read
