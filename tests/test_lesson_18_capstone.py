"""Lesson 18 on fresh inputs: the rubric, the cleaning, the split, and the release's own scoring."""

import csv
import io
import random
import re
import types

import lessons
import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from course_utils import data
from course_utils.exercises import lesson_18_capstone as declared

LESSON = lessons.read(lessons.FOLDER / "18_capstone.ipynb")
SIGNS = "ab C9£ \t.é"


@pytest.fixture(scope="module")
def own():
    names = "cleaned template dealt disguised numbers_back writing rule".split()
    return types.SimpleNamespace(**lessons.definitions(LESSON, *names))


@pytest.fixture(scope="module")
def score():
    """The release's own file, as the lesson writes it."""
    text = next(cell.source for cell in LESSON.code if "SCORE = '''" in cell.source)
    namespace = {}
    exec(re.search(r"SCORE = '''\n(.*?)'''", text, re.DOTALL)[1], namespace)
    return types.SimpleNamespace(**namespace)


@pytest.fixture(scope="module")
def raw():
    with open(data.sms_spam_file(), "rb") as file:
        return file.read()


def column(heading, place):
    cells = LESSON.section(heading)
    rows = [line.split("|") for cell in cells for line in cell.source.splitlines() if line.startswith("| ")]
    return [int(row[place]) for row in rows if row[place].strip().isdigit()]


def test_the_rubric_has_a_hundred_points_and_the_milestones_the_hours_of_the_brief():
    assert sum(column("The rubric", 1)) == 100
    assert sum(column("The brief", 4)) == 25
    assert any("25 hours" in cell.source for cell in LESSON.section("The brief"))


def test_the_lessons_cleaning_is_that_of_the_exercise(own, raw):
    rows = list(csv.reader(io.StringIO(raw.decode("utf8"), newline=""), delimiter="\t"))
    assert len(rows) == data.LEDGER["sms_spam"].rows
    assert own.cleaned(rows) == declared.messages_of(raw)


def test_copies_that_disagree_are_dropped_by_both(own):
    pairs = [("ham", "a  b"), ("spam", "c"), ("spam", "a b"), ("ham", "c &amp; d"), ("ham", " ")]
    raw = "".join(f"{label}\t{text}\n" for label, text in pairs).encode()
    assert own.cleaned(pairs) == declared.messages_of(raw) == [("c", True), ("c & d", False)]


@pytest.mark.parametrize("seed", range(5))
def test_the_split_keeps_equal_keys_together_and_loses_no_row(own, seed):
    draw = random.Random(seed)
    keys = [f"k{draw.randrange(60)}" for _ in range(200)]
    parts = own.dealt(keys, test=40, validation=30)
    assert sorted(row for rows in parts.values() for row in rows) == list(range(200))
    found = [{keys[row] for row in rows} for rows in parts.values()]
    assert not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]
    assert len(parts["test"]) >= 40 and len(parts["validation"]) >= 30
    test, validation, train = declared.split_groups(keys, [40, 30], 0)
    assert [parts["test"], parts["validation"], parts["train"]] == [test, validation, train]


def test_a_template_is_what_stays_of_a_message_without_digits_and_signs(own):
    assert own.template("Call 0871-2345 NOW, é!") == own.template("call 1 now é") == "call now é"


def strings(seed, count=40):
    draw = random.Random(seed)
    return ["".join(draw.choices(SIGNS, k=draw.randrange(30))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("low, high", [(2, 5), (1, 3), (4, 4)])
def test_the_pieces_are_scikit_learns(score, seed, low, high):
    analyse = CountVectorizer(analyzer="char_wb", ngram_range=(low, high), lowercase=False).build_analyzer()
    for text in strings(seed):
        expected = {piece: analyse(text).count(piece) for piece in analyse(text)}
        assert score.cut(text, low, high) == expected == declared.pieces_of(text, low, high), text


def test_the_scores_are_scikit_learns_on_texts_that_were_not_learned(score):
    learned, asked = [text + "x" for text in strings(1, 80)], [*strings(2), "", "日本"]
    labels = [i % 3 == 0 for i in range(len(learned))]
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True, lowercase=False
    )
    model = LogisticRegression().fit(vectorizer.fit_transform(learned), labels)
    expected = model.decision_function(vectorizer.transform(asked))
    names, bias = vectorizer.get_feature_names_out(), model.intercept_[0]
    entries = dict(zip(names, zip(vectorizer.idf_, model.coef_[0], strict=True), strict=True))
    assert np.abs(np.array([score.score_of(text, entries, bias) for text in asked]) - expected).max() < 1e-12
    idf, weight = ({name: pair[i] for name, pair in entries.items()} for i in (0, 1))
    for text, one in zip(asked, expected, strict=True):
        by_hand = declared.spam_score(declared.pieces_of(text, 2, 5), idf, weight, bias)
        assert abs(by_hand - one) < 1e-12


def test_the_disguise_leaves_no_digit_and_numbers_come_back(own):
    assert not any(sign.isdigit() for sign in own.disguised("0123456789 call"))
    assert len(own.disguised("0123456789")) == 10
    assert own.numbers_back("at <#> or <#>", "41") == "at 41 or 41"
    assert own.rule(own.numbers_back("<#>", "07753741225")) == 1.0
    assert own.rule(own.disguised("08712345678")) == 0.0


def test_the_writing_of_a_message_is_five_numbers(own):
    assert len(own.writing("WIN £1000")) == 5 and own.writing("WIN £1000")[1:3] == [0.0, True]
