"""Lesson 07's tokenizer and Solutions against the library's, on texts that the lesson does not try."""

import collections
import csv
import json
import random
import sys
import unicodedata

import lessons
import mutants
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertTokenizer

from course_utils import checkpoints, data

LESSON = lessons.read(lessons.FOLDER / "07_tokenizers_and_datasets.ipynb")


@pytest.fixture(scope="module")
def tokenizer():
    return BertTokenizer.from_pretrained(checkpoints.embedded().rpartition("/")[0])


@pytest.fixture(scope="module")
def tokenize(tokenizer):
    """The lesson's own `tokenize`, with the library's vocabulary."""
    code = lessons.definitions(LESSON, "tokenize")
    code["tokenize"].__globals__["vocabulary"] = tokenizer.get_vocab()
    return code["tokenize"]


@pytest.fixture(scope="module")
def solutions():
    """{name: the function of the notebook's Solution}."""
    found = {}
    for _, name, imports, source in mutants.solutions(lessons.FOLDER / "07_tokenizers_and_datasets.ipynb"):
        namespace = {}
        exec(imports + "\n" + source, namespace)
        found[name] = namespace[name]
    return found


def library(tokenizer, texts, **options):
    """[(tokens, offsets), …] of the library, without special tokens added or found in the text."""
    options = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False} | options
    found = tokenizer(texts, split_special_tokens=True, **options)
    pairs = zip(found["input_ids"], found["offset_mapping"], strict=True)
    return [(tokenizer.convert_ids_to_tokens(ids), [tuple(pair) for pair in places]) for ids, places in pairs]


@pytest.mark.parametrize(("source", "texts"), [("rotten_tomatoes", 8530), ("imdb", 2000)])
def test_tokens_and_offsets_are_the_librarys_on_every_review(tokenizer, tokenize, source, texts):
    with open(data.reviews_file(), encoding="utf8", newline="") as file:
        found = [row["text"] for row in csv.DictReader(file) if row["source"] == source]
    found = found[:: len(found) // texts][:texts]
    assert len(found) == texts
    for text, wanted in zip(found, library(tokenizer, found), strict=True):
        assert tokenize(text) == wanted, text


def test_every_character_is_treated_as_by_the_library(tokenizer, tokenize):
    """All that Unicode 3.2 had: the library's tables are older than Python's, and newer characters differ.

    Of the older ones four have been put into another category since.
    """
    moved = {0x166D, 0x1734, 0x1885, 0x1886}
    points = [
        point
        for point in range(sys.maxunicode + 1)
        if unicodedata.ucd_3_2_0.category(chr(point)) not in ("Cn", "Cs") and point not in moved
    ]
    assert len(points) > 90_000
    texts = [f"a{chr(point)}b {chr(point)}" for point in points]
    differ = [
        hex(point)
        for point, text, wanted in zip(points, texts, library(tokenizer, texts), strict=True)
        if tokenize(text) != wanted
    ]
    assert not differ


@pytest.mark.parametrize("seed", range(10))
def test_texts_of_any_characters_are_cut_as_by_the_library(tokenizer, tokenize, seed):
    draw = random.Random(seed)
    alphabet = (
        "abcdeé ÀİßΣς''-—.,\t\n\u00a0\u200b\u00ad\ufffd北京한が🎬👍🏽\u0301\u0315$€½ﬁ"
        + "word movie film " * 3
    )
    texts = ["".join(draw.choices(alphabet, k=draw.randrange(60))) for _ in range(200)]
    for text, wanted in zip(texts, library(tokenizer, texts), strict=True):
        assert tokenize(text) == wanted, ascii(text)


@pytest.mark.parametrize("seed", range(60))
def test_a_pair_is_joined_as_by_the_library(tokenizer, solutions, seed):
    draw = random.Random(seed)
    a, b = (" ".join(draw.choices(["film", "good", "bad", "story"], k=draw.randrange(1, 12))) for _ in "ab")
    size = draw.randrange(5, 26)
    wanted = tokenizer(a, b, truncation=True, max_length=size)
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (a, b)]
    joined = solutions["join_pair"](*ids, size, tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert joined == (wanted["input_ids"], wanted["token_type_ids"])


@pytest.mark.parametrize("seed", range(20))
def test_windows_are_the_librarys(tokenizer, solutions, seed):
    draw = random.Random(seed)
    text = " ".join(draw.choices(["film", "good", "bad", "story"], k=draw.randrange(1, 40)))
    size = draw.randrange(2, 12)
    stride = draw.randrange(size)
    found = tokenizer(
        text, truncation=True, max_length=size + 2, stride=stride, return_overflowing_tokens=True
    )
    wanted = [window[1:-1] for window in found["input_ids"]]  # without [CLS] and [SEP]
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert solutions["windows"](ids, size, stride) == wanted


@pytest.mark.parametrize("seed", range(10))
def test_a_stretch_of_a_text_has_the_tokens_of_its_characters(tokenizer, solutions, seed):
    draw = random.Random(seed)
    text = "Crème brûlée, unforgettably sweet: don't miss it"
    found = tokenizer(text, return_offsets_mapping=True)
    first, last = sorted(draw.sample(range(len(text) + 1), 2))
    wanted = {found.char_to_token(place) for place in range(first, last)} - {None}
    assert solutions["tokens_of"](found["offset_mapping"], first, last) == sorted(wanted)


@pytest.mark.parametrize("seed", range(10))
def test_the_merges_are_those_of_the_librarys_trainer(solutions, seed):
    draw = random.Random(seed)
    words = {"".join(draw.choices("abcde", k=draw.randrange(1, 9))) for _ in range(40)}
    counts = {word: draw.randrange(1, 9) for word in sorted(words)}
    wanted = Tokenizer(models.BPE())
    wanted.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=len(set("".join(counts))) + 15, show_progress=False)
    wanted.train_from_iterator((" ".join([word] * count) for word, count in counts.items()), trainer)
    merges = [tuple(pair) for pair in json.loads(wanted.to_str())["model"]["merges"]]
    assert solutions["train_bpe"](counts, 15) == merges
    assert lessons.definitions(LESSON, "train_bpe")["train_bpe"](collections.Counter(counts), 15) == merges
