"""Lesson 01's pieces and Solutions on inputs that the lesson does not try: masked mean, softmax, gaps."""

import lessons
import mutants
import pytest
import torch

from course_utils.checks.feedback import verdict

LESSON = lessons.read(lessons.FOLDER / "01_tensors.ipynb")


@pytest.fixture(scope="module")
def code():
    return lessons.definitions(LESSON, "masked_mean", "masked_mean_in_loops", "softmax", "gap", "unit")


@pytest.fixture(scope="module")
def solutions():
    """{name: the function of the notebook's Solution}."""
    found = {}
    for _, name, imports, source in mutants.solutions(lessons.FOLDER / "01_tensors.ipynb"):
        namespace = {}
        exec(imports + "\n" + source, namespace)
        found[name] = namespace[name]
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_masked_mean_is_torchs_and_that_of_the_loops(code, seed):
    torch.manual_seed(seed)
    table = torch.randn(20, 5)
    ids = torch.randint(1, 20, (6, 9))
    mask = (torch.arange(9) < torch.randint(1, 10, (6, 1))).long()
    ids = ids * mask
    ours = code["masked_mean"](table[ids], mask)
    library = torch.nn.functional.embedding_bag(ids, table, mode="mean", padding_idx=0)
    torch.testing.assert_close(ours, library)
    looped = code["masked_mean_in_loops"](table[ids].tolist(), mask.tolist())
    torch.testing.assert_close(ours, torch.tensor(looped))


@pytest.mark.parametrize("seed", range(20))
def test_the_three_steps_make_the_masked_mean_and_so_do_the_counts(code, solutions, seed):
    torch.manual_seed(seed)
    table, ids = torch.randn(12, 4), torch.randint(0, 12, (5, 7))
    mask = (ids != 0).long()
    mean = code["masked_mean"](table[ids], mask)
    weights = solutions["token_weights"](mask)
    torch.testing.assert_close(solutions["weighted_sum"](table[ids], weights), mean)
    torch.testing.assert_close(solutions["text_vectors"](table, ids, [0]), mean)
    counts = solutions["bag_of_words"](ids, mask, 12)
    torch.testing.assert_close(counts @ table / mask.sum(dim=1, keepdim=True), mean)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("scale", [1, 1000])
def test_softmax_is_torchs_with_and_without_a_mask(code, solutions, seed, scale):
    torch.manual_seed(seed)
    scores = torch.randn(4, 6) * scale
    torch.testing.assert_close(code["softmax"](scores), scores.softmax(dim=-1))
    mask = torch.rand(4, 6) > 0.4
    wanted = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1).nan_to_num()
    torch.testing.assert_close(solutions["masked_softmax"](scores, mask, -1), wanted)


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("number", [0.25, 1.0, 3.0, 100.0, 1000.0])
def test_a_gap_is_the_formats_epsilon_times_the_power_of_two_below(code, name, number):
    dtype = getattr(torch, name)
    power = 2.0 ** torch.tensor(number).log2().floor().item()
    assert code["gap"](number, dtype) == torch.finfo(dtype).eps * power


def test_a_right_softmax_by_logsumexp_passes_at_large_scores():
    def masked_softmax(scores, mask, dim):
        scores = scores.masked_fill(~mask, -torch.inf)
        return (scores - scores.logsumexp(dim, keepdim=True)).exp().nan_to_num()

    assert verdict("1.7", masked_softmax).startswith("✓")


def test_a_softmax_of_torchs_is_refused_under_each_of_its_names():
    def filled(scores, mask):
        return scores.masked_fill(~mask, -torch.inf)

    for name, answer in {
        "softmax": lambda scores, mask, dim: torch.softmax(filled(scores, mask), dim).nan_to_num(),
        "a layer": lambda scores, mask, dim: torch.nn.Softmax(dim)(filled(scores, mask)).nan_to_num(),
        "log_softmax": lambda scores, mask, dim: filled(scores, mask).log_softmax(dim).exp().nan_to_num(),
        "softmin": lambda scores, mask, dim: torch.nn.functional.softmin(
            -filled(scores, mask), dim
        ).nan_to_num(),
    }.items():
        said = verdict("1.7", answer)
        assert said.startswith("✗") and "rules that out" in said, name
