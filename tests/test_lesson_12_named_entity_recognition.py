"""Lesson 12 on fresh inputs: the way from spans to tokens and back, scores, the list, paths, own data."""

import html
import itertools
import json
import random
import re
import types

import lessons
import pytest
import torch
from nervaluate import Evaluator
from sklearn.metrics import cohen_kappa_score

from course_utils import checkpoints, data
from course_utils.exercises import lesson_12_named_entity_recognition as declared

LESSON = lessons.read(lessons.FOLDER / "12_named_entity_recognition.ipynb")
NAMES = (
    "fault_of checked own_rows as_html as_text words_of tags_of labels_of spans_of TAGS IDS LABELS counts_of "
    "scores_of resampled interval listed_names by_list by_capitals by_both overlap kind_of errors_of "
    "with_capitals MAY BEGINS broken best_path recall_where touching_pairs for_nervaluate"
).split()


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


def spans_in(draw, length, most=5):
    """Random spans in order that do not overlap; they may touch."""
    cuts = sorted(draw.sample(range(length + 1), min(length + 1, 2 * draw.randint(0, most))))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return [(start, end, draw.choice(["PER", "ORG", "LOC", "MISC"])) for start, end in pairs]


def sentences(count, seed):
    draw = random.Random(seed)
    for _ in range(count):
        gold = spans_in(draw, 40)
        kept = [span for span in gold if draw.random() < 0.6]
        free = [s for s in spans_in(draw, 40) if not any(s[0] < b and a < s[1] for a, b, _ in kept)]
        yield gold, sorted(kept + free)


# From spans to tokens and back ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_tags_and_spans_are_each_others_inverse_and_the_exercises_agree(own, seed):
    draw = random.Random(seed)
    for _ in range(50):
        words, at = [], 0
        for _ in range(draw.randint(1, 15)):
            length = draw.randint(1, 6)
            words.append((at, at + length))
            at += length + draw.randint(0, 2)
        chosen = spans_in(draw, len(words))
        spans = [(words[a][0], words[b - 1][1], label) for a, b, label in chosen]
        tags = own.tags_of(words, spans)
        assert own.spans_of(words, tags) == spans
        assert tags == declared.spans_to_bio(words, spans)
        noise = [draw.choice(own.TAGS) for _ in words]
        assert own.spans_of(words, noise) == declared.bio_to_spans(words, noise)


def test_labels_of_tokens_are_those_that_offsets_give(own):
    from transformers import BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(checkpoints.choose("embedded"))
    compared = 0
    for row in data.bbc_names()["validation"]:
        text, names = row["text"], [(n["start"], n["end"], n["label"]) for n in row["names"]]
        words = own.words_of(text)
        split = tokenizer([text[a:b] for a, b in words], is_split_into_words=True)
        labels = own.labels_of(own.tags_of(words, names), split.word_ids())
        assert labels == declared.align_labels(own.tags_of(words, names), split.word_ids(), own.IDS)
        plain = tokenizer(text, return_offsets_mapping=True)
        if split["input_ids"] != plain["input_ids"]:  # "£4" is one word to BERT, and two to the lesson
            assert "£" in text or "$" in text
            continue
        compared += 1
        starts = {start for start, _ in words}
        for label, (first, after) in zip(labels, plain["offset_mapping"], strict=True):
            if first == after or first not in starts:
                assert label == -100
                continue
            tag = "O"
            for start, end, kind in names:
                if start <= first < end:
                    tag = ("B-" if first == start else "I-") + kind
            assert own.TAGS[label] == tag
    assert compared > 85


def test_the_tags_of_nervaluates_own_reader_agree(own):
    draw = random.Random(3)
    for _ in range(50):
        spans = spans_in(draw, 12)
        words = [(i, i + 1) for i in range(12)]
        tags = own.tags_of(words, spans)
        found = Evaluator([tags], [tags], tags=own.LABELS, loader="list").true[0]
        assert [(e.start, e.end + 1, e.label) for e in found] == spans


# Kept states ------------------------------------------------------------------------------------------------


def test_kept_states_and_the_layers_above_are_the_whole_model():
    names = ("lower_part", "upper_part", "encode", "collate", "BATCH", "device", "new_model")
    lesson = types.SimpleNamespace(**lessons.definitions(LESSON, *names))
    model = lesson.new_model()[0].to(lesson.device).train()
    texts = data.bbc_names()["validation"]["text"][:20]
    rows = [(text, [(0, 2, "ORG")]) for text in texts]
    ordered = sorted((lesson.encode(*row)[0] for row in rows), key=lambda row: len(row["input_ids"]))
    kept = lesson.lower_part(model, rows)
    assert sum(len(labels) for *_, labels in kept) == len(rows)
    for start, (states, mask, labels) in zip(range(0, len(rows), lesson.BATCH), kept, strict=True):
        batch = lesson.collate(ordered[start : start + lesson.BATCH]).to(lesson.device)
        whole = model(**batch)
        logits = lesson.upper_part(model, states, mask)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        torch.testing.assert_close(logits, whole.logits, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(loss, whole.loss)
        weight = model.bert.encoder.layer[-1].output.dense.weight
        found, wanted = (torch.autograd.grad(each, weight)[0] for each in (loss, whole.loss))
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)


# Scores -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_scores_are_nervaluates_strict_ones(own, seed):
    gold, found = zip(*sentences(60, seed), strict=True)
    counts = own.counts_of(gold, found)
    strict = Evaluator(own.for_nervaluate(gold), own.for_nervaluate(found), tags=own.LABELS, loader="dict")
    strict = strict.evaluate()["overall"]["strict"]
    assert counts.sum(dim=0).tolist() == [strict.correct, strict.actual, strict.possible]
    expected = [strict.precision, strict.recall, strict.f1]
    assert own.scores_of(counts.sum(dim=0)).tolist() == pytest.approx(expected)
    assert declared.entity_scores(gold, found) == pytest.approx(expected)


def test_intervals_hold_the_score_and_pair_the_same_sentences(own):
    gold, found = zip(*sentences(200, 9), strict=True)
    counts = own.counts_of(gold, found)
    draws = own.scores_of(own.resampled(counts))[:, 2]
    low, high = own.interval(draws)
    assert low < own.scores_of(counts.sum(dim=0))[2] < high
    assert torch.equal(own.resampled(counts, seed=1), own.resampled(counts.clone(), seed=1))
    assert own.scores_of(torch.zeros(3)).tolist() == [0, 0, 0]


def test_each_error_has_one_kind_and_the_exercise_agrees(own):
    for gold, found in sentences(200, 5):
        kinds = [kind for kind, *_ in own.errors_of([gold], [found])]
        assert {kind: kinds.count(kind) for kind in declared.KINDS} == declared.error_types(gold, found)
        assert len(kinds) - kinds.count("missed") == len(found)


def test_recall_of_some_names_counts_only_those(own):
    rows = [("Ann met Bob", [(0, 3, "PER"), (8, 11, "PER")]), ("Bonn", [(0, 4, "LOC")])]
    found = [[(0, 3, "PER")], [(0, 4, "ORG")]]
    assert own.recall_where(rows, found, lambda text, span: span[2] == "PER")[:2] == (1, 2)
    assert own.recall_where(rows, found, lambda text, span: span[2] == "LOC")[:2] == (0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_kappa_is_scikit_learns(seed):
    draw = random.Random(seed)
    first = [draw.choice("OOOOOABC") for _ in range(200)]
    second = [tag if draw.random() < 0.7 else draw.choice("OOABCD") for tag in first]
    assert declared.kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


# Baselines, rule, paths -------------------------------------------------------------------------------------


def test_the_list_finds_what_the_exercise_finds(own):
    draw = random.Random(0)
    for _ in range(100):
        words = [draw.choice("abcd") for _ in range(12)]
        listed = {
            tuple(draw.choice("abcd") for _ in range(draw.randint(1, 3))): draw.choice(own.LABELS)
            for _ in range(5)
        }
        expected = [
            (2 * first, 2 * after - 1, label) for first, after, label in declared.longest_match(words, listed)
        ]
        assert own.by_list(" ".join(words), listed) == expected


def test_list_and_capitals_together_do_not_overlap(own):
    text = 'The Bank of England, said Mervyn King, met Bob in "Rome".'
    assert own.by_capitals(text, "PER")[0] == (4, 8, "PER")
    assert own.by_capitals('"Bob ran', "PER") == []
    both = own.by_both(text, {("Bank", "of", "England"): "ORG"}, "PER")
    assert both == sorted(both)
    assert not any(own.overlap(a, b) for a, b in itertools.combinations(both, 2))
    assert (4, 19, "ORG") in both
    assert (26, 37, "PER") in both


def test_the_rule_of_capitals_cuts_and_drops(own):
    text = "the Bank of England and some money, Formula 1 too"
    spans = [(0, 23, "ORG"), (29, 34, "MISC"), (36, 45, "MISC")]
    assert own.with_capitals(text, spans) == [(4, 19, "ORG"), (36, 45, "MISC")]


@pytest.mark.parametrize("seed", range(6))
def test_the_best_path_is_the_best_of_all(own, seed):
    draw = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(4, len(own.TAGS), generator=draw)
    paths = [p for p in itertools.product(range(len(own.TAGS)), repeat=4) if not own.broken(p)]
    best = max(paths, key=lambda path: sum(row[tag].item() for row, tag in zip(scores, path, strict=True)))
    assert own.best_path(scores) == list(best)
    assert declared.viterbi(scores, own.MAY, own.BEGINS) == list(best)


# Shown, and of one's own ------------------------------------------------------------------------------------


def test_a_highlighted_text_is_escaped_and_still_whole(own):
    text = 'AT&T said <b>"no"</b> to Ann & Bob'
    spans = [(25, 28, "PER"), (0, 4, "ORG")]
    shown = own.as_html(text, spans)
    assert "<b>&quot;" not in shown
    assert "&lt;b&gt;" in shown
    plain = re.sub(r" <small><b>\w+</b></small>", "", shown)
    assert html.unescape(re.sub(r"<[^>]+>", "", plain)) == text
    assert own.as_text(text, spans) == '[AT&T|ORG] said <b>"no"</b> to [Ann|PER] & Bob'


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ([(3, 3, "PER")], "begins after its end, or is empty"),
        ([(0, 40, "PER")], "outside the text"),
        ([(-2, 3, "PER")], "outside the text"),
        ([(0, 7, "PER"), (4, 11, "PER")], "overlaps"),
        ([(0, 3, "DOG")], "'DOG'"),
        ([(0, 4, "PER")], "white space"),
    ],
)
def test_a_fault_in_own_names_is_told_with_its_row(own, names, fault):
    spans = [{"start": a, "end": b, "label": label} for a, b, label in names]
    rows = [{"text": "fine", "names": []}, {"text": "Ann met Bob", "names": spans}]
    with pytest.raises(ValueError, match="row 2") as error:
        own.checked(rows, own.LABELS)
    assert fault in str(error.value)


def test_a_row_without_names_is_a_clear_error(own):
    with pytest.raises(ValueError, match="row 1 needs a text and names"):
        own.checked([{"text": "Ann"}], own.LABELS)


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Ann met Bob", "names": [{"start": 0, "end": 3}]},
        {"text": "Ann met Bob", "names": [{"start": "0", "end": "3", "label": "PER"}]},
        {"text": "Ann met Bob", "names": [{"start": 0.0, "end": 3.0, "label": "PER"}]},
        {"text": "Ann met Bob", "names": [[0, 3, "PER"]]},
        {"text": "Ann met Bob", "names": None},
        {"text": " ", "names": []},
        {"text": None, "names": []},
    ],
)
def test_a_row_of_another_form_is_told_with_its_row(own, row):
    with pytest.raises(ValueError, match="row 2"):
        own.checked([{"text": "fine", "names": []}, row], own.LABELS)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (['{"text": "a", "names": []}', "", '{"text": "b"}'], "row 3 needs a text and names"),
        (['{"text": "a", "names": []}', "", '{"text": "b" "names": []}'], "row 3 is no JSON"),
        (['{"text": "a b", "names": []}'] * 3, "too few"),
        (['{"text": "a b", "names": []}'] * 20, "without a name"),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_line(own, tmp_path, lines, fault):
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(lines), encoding="utf8")
    with pytest.raises(ValueError, match=fault):
        own.own_rows(file)


def test_a_file_of_ones_own_is_read_and_split(own, tmp_path):
    rows = [{"text": f"Ann {i} left", "names": [{"start": 0, "end": 3, "label": "PER"}]} for i in range(20)]
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf8")
    parts = own.own_rows(file)
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [14, 2, 4]
    assert sorted(row["text"] for part in parts.values() for row in part) == sorted(r["text"] for r in rows)


def test_a_tagged_table_and_back(own):
    for row in data.bbc_names()["train"].select(range(100)):
        text, names = row["text"], [(n["start"], n["end"], n["label"]) for n in row["names"]]
        words = own.words_of(text)
        tags = own.tags_of(words, names)
        lines = [f"{text[a:b]} {tag}" for (a, b), tag in zip(words, tags, strict=True)]
        ((joined, spans),) = declared.from_conll(lines)
        assert joined == " ".join(text[a:b] for a, b in words)
        tables = [(joined[a:b], label) for a, b, label in spans]
        wanted = [("".join(text[a:b].split()), label) for a, b, label in names]
        assert [("".join(name.split()), label) for name, label in tables] == wanted
