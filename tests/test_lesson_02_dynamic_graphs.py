"""Lesson 02's code on fresh inputs: three forms of a tree network, and the walk over a graph."""

import random
import types

import lessons
import pytest
import torch

NAMES = "walk nodes settle tree_of size schedule encode encode_unrolled plan encode_batch".split()


@pytest.fixture(scope="module")
def lesson():
    path = next(path for path in lessons.paths() if path.name.startswith("02_"))
    return types.SimpleNamespace(**lessons.definitions(lessons.read(path), *NAMES))


def random_tree(leaves, dice):
    if len(leaves) == 1:
        return leaves[0]
    cut = dice.randint(1, len(leaves) - 1)
    return random_tree(leaves[:cut], dice), random_tree(leaves[cut:], dice)


def with_gradients(state, *inputs):
    weights = torch.linspace(1, 2, state.numel(), dtype=state.dtype).reshape(state.shape)
    return state, *torch.autograd.grad((state * weights).sum(), inputs, allow_unused=True)


def inputs(rows, hidden, seed):
    made = torch.Generator().manual_seed(seed)
    leaves = torch.randn(rows, hidden, generator=made, dtype=torch.float64, requires_grad=True)
    C = torch.randn(hidden, 2 * hidden, generator=made, dtype=torch.float64, requires_grad=True)
    return leaves, C


@pytest.mark.parametrize("seed", range(20))
def test_recursive_and_unrolled_trees_agree(lesson, seed):
    dice = random.Random(seed)
    count = dice.randint(2, 25)
    tree = random_tree(list(range(count)), dice)
    leaves, C = inputs(count, dice.randint(1, 6), seed)
    one = with_gradients(lesson.encode(tree, leaves, C), leaves, C)
    other = with_gradients(lesson.encode_unrolled(lesson.schedule(tree), leaves, C), leaves, C)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_batched_and_recursive_trees_agree(lesson, seed):
    dice = random.Random(seed)
    sizes = [dice.randint(1, 12) for _ in range(dice.randint(1, 9))]
    trees = [random_tree(list(range(count)), dice) for count in sizes]
    leaves, C = inputs(sum(sizes), 4, seed)
    parts = zip(trees, leaves.split(sizes), strict=True)
    one = with_gradients(torch.stack([lesson.encode(tree, part, C) for tree, part in parts]), leaves, C)
    other = with_gradients(lesson.encode_batch(*lesson.plan(trees), leaves, C), leaves, C)
    for a, b in zip(one, other, strict=True):
        if a is None or b is None:  # texts of one word use no C
            assert max(sizes) == 1 and all(x is None or not x.any() for x in (a, b))
        else:
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_a_tree_keeps_every_token_once_and_in_order(lesson):
    def leaves(tree):
        return [tree] if isinstance(tree, int) else [leaf for part in tree for leaf in leaves(part)]

    dice = random.Random(0)
    for _ in range(50):
        tokens = dice.choices(["film", "plot", "but", ",", "and"], k=dice.randint(1, 30))
        assert leaves(lesson.tree_of(tokens)) == list(range(len(tokens)))


def test_a_tree_is_cut_at_but_before_commas_and_at_commas_before_and(lesson):
    assert lesson.tree_of(["a", "but", "b", ",", "c", "and", "d"])[0] == 0
    assert lesson.size(lesson.tree_of(["a", "and", "b", "c", ",", "d"])[0]) == 4
    assert lesson.size(lesson.tree_of(["a", "and", "b", "c", "d"])[0]) == 1
    assert lesson.size(lesson.tree_of(["a", "b", "c", "d"])[0]) == 2


def test_walk_finds_every_edge_and_names_what_was_given(lesson):
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    root = (a * b + a.exp()).sum()
    edges, labels = lesson.walk(root, {"a": a, "b": b})
    assert sorted(labels.values()) == ["Add", "Exp", "Mul", "Sum", "a", "b"]
    named = sorted((labels[start], labels[end]) for start, end in edges)
    expected = [("Add", "Sum"), ("Exp", "Add"), ("Mul", "Add"), ("a", "Exp"), ("a", "Mul"), ("b", "Mul")]
    assert named == expected
    assert lesson.nodes(root) == 6


@pytest.mark.parametrize("norm", [0.5, 1.0, 1.1, 17.0])
def test_settle_halves_until_the_norm_is_at_most_one(lesson, norm):
    settled = lesson.settle(torch.tensor([norm * 0.6, norm * 0.8], dtype=torch.float64)).norm()
    assert settled <= 1 + 1e-12 and (settled > 0.5 or norm <= 1)
