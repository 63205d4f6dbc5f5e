"""Lesson 11 on fresh inputs: scores, intervals, tests, calibration, duplicates, curves, and another file."""

import math
import random
import types

import lessons
import nbformat
import pytest
import torch
from nbclient import NotebookClient
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn import metrics
from torch.nn.functional import cross_entropy

from course_utils import data
from course_utils.exercises import lesson_11_evaluation as declared

LESSON = lessons.read(lessons.FOLDER / "11_evaluation.ipynb")
NAMES = """
    matrix_of scores_of interval macro_f1 accuracy score_interval mcnemar noticed bins_of ece temperature
    shingles near_pairs curve areas ZERO swapped SWAPS with_typo
""".split()


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


def drawn(seed, rows, classes):
    """Truth and an answer that is often right."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(classes, (rows,), generator=generator)
    other = torch.randint(classes, (rows,), generator=generator)
    return truth, torch.where(torch.rand(rows, generator=generator) < 0.6, truth, other)


@pytest.mark.parametrize(("seed", "rows", "classes"), [(0, 50, 2), (1, 200, 5), (2, 7, 6), (3, 1, 3)])
def test_matrix_and_scores_are_scikit_learns(own, seed, rows, classes):
    truth, said = drawn(seed, rows, classes)
    labels = range(classes)
    matrix = own.matrix_of(truth, said, classes)
    assert matrix.tolist() == metrics.confusion_matrix(truth, said, labels=labels).tolist()
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, said, labels=labels, zero_division=0.0
    )
    for found in (own.scores_of(matrix), declared.scores(matrix)):
        for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
            torch.testing.assert_close(found[name], torch.tensor(expected).float())
        for average in ("macro", "weighted"):
            expected = metrics.f1_score(truth, said, labels=labels, average=average, zero_division=0.0)
            assert found[f"{average} f1"] == pytest.approx(expected, abs=1e-6)
        assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))


def test_a_paired_interval_is_that_of_the_exercise_and_narrower_than_two(own):
    own.score_interval.__globals__["names"] = range(3)
    truth, a = drawn(4, 300, 3)
    b = torch.where(torch.rand(300, generator=torch.Generator().manual_seed(5)) < 0.9, a, 0)
    picks = torch.randint(300, (200, 300), generator=torch.Generator().manual_seed(6))
    for score in (own.accuracy, own.macro_f1):
        ours = own.score_interval(score, truth, a, b, draws=200, seed=6)
        assert ours == pytest.approx(declared.paired_interval(score, truth, a, b, picks), abs=1e-6)
        alone = [own.score_interval(score, truth, answer, draws=200) for answer in (a, b)]
        assert ours[1] - ours[0] < math.hypot(*(high - low for low, high in alone))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (9, 2), (2, 9), (50, 50), (400, 330)])
def test_mcnemar_is_the_exact_binomial_test(own, first, second):
    a = torch.tensor([1.0] * first + [0.0] * second + [1.0, 0.0])
    b = torch.tensor([0.0] * first + [1.0] * second + [1.0, 0.0])
    p, wins, losses = own.mcnemar(a, b)
    assert (wins, losses) == (first, second)
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert p == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("differ", "gain"), [(0.1, 0.02), (0.2, 0.05)])
def test_the_rows_of_the_formula_give_a_power_of_80_percent(own, differ, gain):
    rows = declared.rows_needed(differ, gain)
    power = own.noticed(rows, (differ + gain) / 2, (differ - gain) / 2)
    assert power == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(("scale", "seed"), [(0.3, 0), (1.0, 1), (4.0, 2)])
def test_calibration_error_and_temperature(own, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(400, 4, generator=generator)
    truth = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    logits = scale * logits
    p = logits.softmax(dim=1)
    assert own.ece(p, truth) == pytest.approx(declared.calibration_error(p, truth, 10), abs=1e-5)
    best = minimize_scalar(
        lambda t: cross_entropy(logits / t, truth).item(), bounds=(0.05, 20), method="bounded"
    ).x
    assert own.temperature(logits, truth) == pytest.approx(best, rel=0.01)
    assert declared.fit_temperature(logits, truth) == pytest.approx(best, rel=0.01)


def test_a_temperature_does_not_run_away(own):
    logits = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    assert 0.04 < own.temperature(logits, torch.tensor([0, 1])) < 1
    assert 1 < own.temperature(logits, torch.tensor([1, 0])) < 21


def test_the_index_finds_what_comparing_all_pairs_finds(own):
    dice = random.Random(0)
    words = [f"w{i}" for i in range(12)]
    texts = [" ".join(dice.choices(words[:3], k=dice.randrange(1, 12))) for _ in range(60)]
    for least in (0.2, 0.5, 0.9):
        assert sorted(own.near_pairs(texts, least)) == declared.near_duplicates(texts, 5, least)


@pytest.mark.parametrize("levels", [3, 50, 10**6])
def test_areas_are_scikit_learns(own, levels):
    generator = torch.Generator().manual_seed(levels)
    scores = torch.randint(levels, (200,), generator=generator) / levels
    positive = torch.rand(200, generator=generator) < 0.2 + 0.5 * scores
    roc, average = own.areas(scores, positive)
    assert roc == pytest.approx(metrics.roc_auc_score(positive, scores), abs=1e-5)
    assert declared.auc(scores, positive) == pytest.approx(roc, abs=1e-5)
    assert average == pytest.approx(metrics.average_precision_score(positive, scores), abs=1e-5)


def test_typos_and_swaps_change_one_word_in_place(own):
    dice = random.Random(1)
    for text in data.rotten_tomatoes()["validation"]["text"][:200]:
        old, new = text.split(), own.with_typo(text, dice).split()
        changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
        assert len(changed) <= 1
        assert all(sorted(a) == sorted(b) and a[0] == b[0] and a[-1] == b[-1] for a, b in changed)
    assert own.swapped("an american film by peter") == "an australian film by michael"


def test_a_file_of_ones_own_with_three_classes_goes_through(tmp_path):
    """200 rows; the parts that keep to the course's own texts are left out."""
    file = lessons.file_of_three_classes(tmp_path)
    notebook = nbformat.read(lessons.FOLDER / "11_evaluation.ipynb", as_version=4)
    cells, section = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            section = cell.source.splitlines()[0]
        if section not in ("## The same article twice", "## ◆ Deeper · Behavioural tests"):
            cells.append(cell)
    end = next(i for i, cell in enumerate(cells) if cell.source.startswith("## ◆ Deeper · The best of many"))
    notebook.cells = [cell for cell in cells[:end] if not cell.source.startswith("check(")]
    for cell in notebook.cells:
        cell.source = cell.source.replace("OWN_FILE = None", f"OWN_FILE = {str(file)!r}")
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = "".join(map(lessons.printed, (cell for cell in notebook.cells if cell.cell_type == "code")))
    assert "['long', 'middle', 'short']" in text
    assert "Macro F1 of 3 classes" in text
    assert "✓ the temperature changes no answer of BERT" in text
