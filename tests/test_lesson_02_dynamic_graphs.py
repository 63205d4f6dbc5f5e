"""Lesson 02's code on fresh inputs: the walk over a graph, and three ways to compute with trees and loops."""

import random
import types

import lessons
import pytest
import torch

from course_utils.checks.feedback import verdict

NAMES = "walk names nodes settle tree_of encode plan run_plan Box alive boxes noting captured graphs".split()


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


def random_program(seed):
    """A result whose graph is a random one: sums, products and functions of earlier values."""
    dice = random.Random(seed)
    values = [torch.ones(1, requires_grad=True) for _ in range(dice.randint(1, 3))]
    for _ in range(dice.randint(1, 40)):
        one, other = dice.choice(values), dice.choice(values)
        values.append(dice.choice([lambda a, b: a * b, lambda a, b: a + b, lambda a, b: a.sin()])(one, other))
    return values[-1]


@pytest.mark.parametrize("seed", range(20))
def test_the_walk_gives_every_node_once_after_its_sources(lesson, seed):
    order, edges = lesson.walk(random_program(seed))
    place = {node: i for i, node in enumerate(order)}
    assert len(place) == len(order)
    assert all(place[source] < place[node] for source, node in edges)
    sources = [source for node in order for source, _ in node.next_functions if source is not None]
    assert len(edges) == len(sources) and set(sources) <= set(place)


def test_names_are_short_and_a_result_without_a_graph_has_none(lesson):
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    result = (a * b + a.exp()).sum()
    assert sorted(lesson.names(result)) == ["AccumulateGrad", "AccumulateGrad", "Add", "Exp", "Mul", "Sum"]
    assert lesson.nodes(result) == 6
    assert lesson.walk(torch.ones(2).sum()) == ([], [])


def test_the_walk_needs_no_recursion(lesson):
    x = torch.ones(1, requires_grad=True)
    for _ in range(3000):
        x = x + 1
    assert lesson.nodes(x) == 3001


@pytest.mark.parametrize("seed", range(20))
def test_planned_and_recursive_trees_agree(lesson, seed):
    dice = random.Random(seed)
    sizes = [dice.randint(1, 12) for _ in range(dice.randint(1, 9))]
    rows, trees = list(range(sum(sizes))), []
    for size in sizes:
        trees.append(random_tree(rows[:size], dice))
        rows = rows[size:]
    made = torch.Generator().manual_seed(seed)
    leaves = torch.randn(sum(sizes), 4, generator=made, dtype=torch.float64, requires_grad=True)
    C = torch.randn(4, 8, generator=made, dtype=torch.float64, requires_grad=True)
    one = with_gradients(torch.stack([lesson.encode(tree, leaves, C) for tree in trees]), leaves, C)
    other = with_gradients(lesson.run_plan(*lesson.plan(trees, len(leaves)), leaves, C), leaves, C)
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


@pytest.mark.parametrize("norm", [0.5, 1.0, 1.1, 17.0])
def test_settle_halves_until_the_norm_is_at_most_one(lesson, norm):
    settled = lesson.settle(torch.tensor([norm * 0.6, norm * 0.8], dtype=torch.float64)).norm()
    assert settled <= 1 + 1e-12 and (settled > 0.5 or norm <= 1)


def test_the_boxes_count_what_a_graph_keeps_and_forget_it_with_the_graph(lesson):
    x = torch.ones(1000, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lesson.Box, lambda box: box.tensor):
        result = x.exp().sum()
    assert lesson.alive([x]) == 4000
    del result
    assert lesson.alive([x]) == 0 and not lesson.boxes


def test_graphs_counts_captures(lesson):
    assert lesson.graphs(lambda x: x * 2 if x.sum() > 0 else x - 1, torch.ones(3), -torch.ones(3)) == [2, 3]
    assert lesson.graphs(lambda x: x.sin(), torch.ones(3), torch.zeros(3)) == [1, 1]


# The exercises: what newcomers write ------------------------------------------------------------------------


def right(number, answer):
    said = verdict(number, answer)
    assert said.startswith(f"✓ {number}"), said


def wrong(number, answer, *parts):
    said = verdict(number, answer)
    assert said.startswith(f"✗ {number}") and all(part in said for part in parts), said


def walked(root):
    seen, todo = [], [root]
    while todo:
        node = todo.pop(0)
        if node is not None and node not in seen:
            seen.append(node)
            todo += [source for source, _ in node.next_functions]
    return seen


def test_a_program_that_is_run_twice_is_refused():
    def twice(program):
        return len(walked(program().grad_fn)) if program().grad_fn else 0

    wrong("2.1", twice, "`program` is called more than once")


def test_other_right_walks_pass():
    def by_recursion(program):
        seen = set()

        def visit(node):
            if node and node not in seen:
                seen.add(node)
                [visit(source) for source, _ in node.next_functions]

        visit(program().grad_fn)
        return len(seen)

    right("2.1", by_recursion)
    right("2.1", lambda program: len(walked(program().grad_fn)))

    def by_counting_users(program):  # Kahn's way, from the result, turned round
        nodes = walked(program().grad_fn)
        waiting = {node: sum(s is node for user in nodes for s, _ in user.next_functions) for node in nodes}
        ready, order = nodes[:1], []
        while ready:
            node = ready.pop()
            order.append(node)
            for source, _ in node.next_functions:
                if source is not None:
                    waiting[source] -= 1
                    if waiting[source] == 0:
                        ready.append(source)
        return order[::-1]

    right("2.3", by_counting_users)


def test_an_input_whose_gradient_is_switched_on_is_refused():
    def switching(step, state, times, limit):
        def shorten(gradient):
            return gradient * (limit / gradient.norm()) if gradient.norm() > limit else gradient

        state.requires_grad_()
        state.register_hook(shorten)
        last = state
        for _ in range(times):
            last = step(last)
            last.register_hook(shorten)
        return torch.autograd.grad(last.sum(), state)[0]

    wrong("2.6", switching, "`requires_grad` of the input `state`")


def test_gradients_shortened_without_a_hook_pass():
    def by_hand(step, state, times, limit):
        states = [state.detach()]
        for _ in range(times):
            states.append(step(states[-1]))
        gradient = torch.ones_like(states[-1])
        for position in range(times, -1, -1):
            gradient = gradient * min(1.0, limit / gradient.norm().item())
            if position:
                before = states[position - 1].clone().requires_grad_()
                (gradient,) = torch.autograd.grad(step(before), before, gradient)
        return gradient

    right("2.6", by_hand)


@pytest.mark.parametrize(
    "answer",
    [
        lambda vector, limit: vector * (limit / vector.norm()).clamp(max=1),
        lambda vector, limit: vector * torch.clamp(limit / (vector.norm() + 1e-12), max=1.0),
        lambda vector, limit: vector / torch.clamp(vector.norm() / limit, min=1.0),
        lambda vector, limit: torch.cond(
            vector.norm() > limit, lambda v: v * (limit / v.norm()), lambda v: v.clone(), (vector,)
        ),
    ],
)
def test_other_ways_to_one_graph_pass(answer):
    right("2.7", answer)


def test_a_broken_graph_is_refused_whatever_breaks_it():
    def early(vector, limit):
        if vector.norm() <= limit:
            return vector
        return vector / vector.norm() * limit

    def printing(vector, limit):
        print("short")
        return vector * (limit / vector.norm()).clamp(max=1)

    for answer in (early, printing, torch.compiler.disable(early)):
        wrong("2.7", answer, "the graph is still broken")


def test_unused_parameters_by_a_gradient_are_refused():
    def by_backward(model, x):
        result = model(x)
        if result.requires_grad:
            result.sum().backward()
        return sorted(n for n, p in model.named_parameters() if p.requires_grad and p.grad is None)

    wrong("2.9", by_backward, "`backward` is called")


def test_a_recursive_depth_raises_on_a_deep_graph():
    def recursive(program):
        known = {None: 0}

        def deep(node):
            if node not in known:
                known[node] = 1 + max((deep(source) for source, _ in node.next_functions), default=0)
            return known[node]

        return deep(program().grad_fn)

    wrong("2.10", recursive, "RecursionError")
