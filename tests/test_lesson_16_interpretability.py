"""Lesson 16 on fresh inputs: integrated gradients, word sums, removal, curves, ranks, probes, shuffling."""

import types

import lessons
import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from scipy.stats import spearmanr
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from course_utils.exercises import lesson_16_interpretability as declared

LESSON = lessons.read(lessons.FOLDER / "16_interpretability.ipynb")
NAMES = """
    integrated_gradients midpoints gauss_legendre score_from vectors_of by_word attention_maps spearman
    mean_ranks shuffled probe removals FRACTIONS interval encode without scores_of Answers curve by_occlusion
    METHODS
""".split()


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


@pytest.fixture(scope="module")
def model():
    """A small BERT with random weights, large enough for a score that bends."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.3,
    )
    return BertForSequenceClassification(config).eval()


def inputs(seed, words=7):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(words, 32, generator=generator) for _ in range(2))


@pytest.mark.parametrize(
    ("rule", "method", "steps", "batch"),
    [
        ("gauss_legendre", "gausslegendre", 20, None),
        ("gauss_legendre", "gausslegendre", 33, 5),
        ("midpoints", "riemann_middle", 11, 4),
        ("midpoints", "riemann_middle", 50, None),
    ],
)
def test_integrated_gradients_are_captums(own, model, rule, method, steps, batch):
    score = own.score_from(model)
    for seed in (1, 2):
        start, end = inputs(seed)
        found = own.integrated_gradients(score, start, end, *getattr(own, rule)(steps))
        expected = IntegratedGradients(score).attribute(
            end[None], start[None], n_steps=steps, method=method, internal_batch_size=batch
        )[0]
        torch.testing.assert_close(found, expected.float(), rtol=1e-3, atol=1e-4)
        exercise = declared.integrated(score, start, end, *getattr(own, rule)(steps))
        torch.testing.assert_close(found, exercise, rtol=1e-3, atol=1e-4)


def test_the_sum_becomes_complete_with_more_points(own, model):
    score = own.score_from(model)
    for rule in (own.midpoints, own.gauss_legendre):
        gaps = []
        for steps in (2, 200):
            found = [own.integrated_gradients(score, *inputs(seed), *rule(steps)) for seed in range(4)]
            with torch.no_grad():
                ends = [score(torch.stack(inputs(seed))) for seed in range(4)]
            pairs = [(each.sum(), after - before) for each, (before, after) in zip(found, ends, strict=True)]
            gaps.append(sum(abs(total - difference) for total, difference in pairs))
        assert gaps[1] < 0.01 * sum(abs(difference) for _, difference in pairs) and gaps[1] < gaps[0]


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_gauss_legendre_is_exact_up_to_its_degree(own, n):
    points, weights = own.gauss_legendre(n)
    for degree in range(2 * n):
        assert (weights.double() * points.double() ** degree).sum().item() == pytest.approx(
            1 / (degree + 1), abs=1e-5
        )
    points, weights = own.midpoints(n)
    assert weights.sum().item() == pytest.approx(1, abs=1e-6) and 0 < points.min() <= points.max() < 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_word_sums_are_those_of_the_exercise(own, seed):
    ids, word_ids = own.encode("the unwatchable remake of Liechtenstein 's noirish melodrama".split())
    values = torch.randn(len(ids), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(own.by_word(values, word_ids), declared.word_scores(values, word_ids, 8))


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_rank_correlations_are_scipys(own, levels):
    generator = torch.Generator().manual_seed(levels)
    for rows in (3, 12, 80):
        a, b = (torch.randint(levels, (rows,), generator=generator).float() for _ in range(2))
        if len(a.unique()) > 1 and len(b.unique()) > 1:
            expected = spearmanr(a, b)[0]
            assert own.spearman(a, b) == pytest.approx(expected, abs=1e-6)
            assert declared.rank_correlation(a, b) == pytest.approx(expected, abs=1e-6)
    assert own.spearman(torch.ones(4), torch.arange(4.0)) == 0.0


def test_words_are_masked_or_deleted_with_all_of_their_pieces(own):
    words = "a noirish melodrama , dull".split()
    ids, word_ids = own.encode(words)
    assert own.without(words, set(), "[MASK]") == own.without(words, set(), "deletion") == tuple(ids)
    for gone in ({1}, {0, 4}, set(range(5))):
        masked, deleted = (own.without(words, gone, unit) for unit in ("[MASK]", "deletion"))
        assert len(masked) == len(ids) and masked.count(103) == sum(word in gone for word in word_ids)
        assert list(deleted) == [i for i, word in zip(ids, word_ids, strict=True) if word not in gone]
        assert (masked[0], masked[-1], deleted[0], deleted[-1]) == (101, 102, 101, 102)


@pytest.mark.parametrize("words", [1, 6, 10, 13])
def test_removals_begin_with_nothing_and_end_with_everything(own, words):
    order = torch.randperm(words, generator=torch.Generator().manual_seed(words)).tolist()
    deletion, insertion = (own.removals(order, way) for way in ("deletion", "insertion"))
    assert len(deletion) == len(insertion) == len(own.FRACTIONS)
    assert deletion[0] == insertion[-1] == set() and deletion[-1] == insertion[0] == set(range(words))
    assert all(a <= b for a, b in zip(deletion, deletion[1:], strict=False))
    for gone, back in zip(deletion, insertion, strict=True):
        assert gone | back == set(range(words)) and not gone & back


def test_scores_do_not_depend_on_the_batch_and_occlusion_is_that_of_the_exercise(own, model):
    texts = ["a dull plot".split(), "two wonderful performances save the noirish melodrama".split(), ["bad"]]
    rows = [own.without(words, set(), "[MASK]") for words in texts]
    own.scores_of.__globals__["device"] = torch.device("cpu")
    together = own.scores_of(model, rows)
    alone = torch.cat([own.scores_of(model, [row]) for row in rows])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    answers = own.Answers(model)
    for words in texts:
        ids, word_ids = own.encode(words)
        for unit, mask in (("[MASK]", 103), ("deletion", None)):
            expected = declared.occlusion(lambda rows: own.scores_of(model, rows), ids, word_ids, mask)
            torch.testing.assert_close(own.by_occlusion(answers, words, unit), expected, rtol=1e-3, atol=1e-3)


def test_a_curve_begins_and_ends_where_every_other_one_does(own, model):
    words = "a dull plot , saved by two wonderful performances".split()
    answers = own.Answers(model)
    for unit in ("[MASK]", "deletion"):
        falling = [own.curve(answers, words, order, unit, "deletion") for order in (range(9), range(9)[::-1])]
        rising = own.curve(answers, words, list(range(9)), unit, "insertion")
        for found in falling:
            assert found[0] >= 0.5 and found[0] == rising[-1] and found[-1] == rising[0]


def test_attention_maps_are_those_of_the_layers_and_the_fast_attention_is_back(own, model):
    words = "a dull plot".split()
    maps = own.attention_maps(model, words)
    assert maps.shape == (2, 4, 5, 5)
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones(2, 4, 5))
    assert model.config._attn_implementation == "sdpa"


def test_shuffling_keeps_the_numbers_and_the_other_parts(own, model):
    other = own.shuffled(model, 3, lambda m: [m.bert.pooler, m.classifier])
    for (name, old), new in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(old.flatten().sort().values, new.flatten().sort().values)
        changed = ("pooler" in name or "classifier" in name) and old.dim() == 2
        assert torch.equal(old, new) != changed, name


def test_a_probe_finds_what_is_there_and_nothing_in_noise(own):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 10, generator=generator)
    train = torch.rand(600, generator=generator) < 0.7
    assert own.probe(x, x[:, 3] > 0, train) > 0.9
    noise = torch.rand(600, generator=generator) < 0.5
    assert abs(own.probe(x, noise, train) - 0.5) < 0.15
    both = own.probe(x, torch.stack([x[:, 3] > 0, noise], dim=1), train)
    torch.testing.assert_close(
        both, torch.stack([own.probe(x, x[:, 3] > 0, train), own.probe(x, noise, train)])
    )


def test_an_interval_holds_the_mean_about_as_often_as_it_says(own):
    generator = torch.Generator().manual_seed(1)
    held = 0
    for _ in range(200):
        middle, low, high = own.interval(torch.randn(50, generator=generator) + 1, draws=300)
        assert low <= middle <= high
        held += low < 1 < high
    assert held > 170


@pytest.mark.parametrize("seed", [0, 1])
def test_the_mean_drop_is_numpys_area(seed):
    generator = torch.Generator().manual_seed(seed)
    shares, values = torch.rand(9, generator=generator).sort().values, torch.rand(9, generator=generator)
    area = np.trapezoid((values[0] - values).numpy(), shares.numpy())
    assert declared.mean_drop(shares, values) == pytest.approx(
        area / (shares[-1] - shares[0]).item(), abs=1e-5
    )


def test_nothing_that_is_given_is_changed(own):
    """Inputs that need no gradient stay as they are, and so do a model's parameters."""
    layer = nn.Linear(3, 1)
    start, end = torch.zeros(2, 3), torch.ones(2, 3)
    own.integrated_gradients(lambda x: layer(x).sum(dim=(1, 2)), start, end, *own.midpoints(3))
    assert layer.weight.grad is None and not end.requires_grad
