"""Exercises of lesson 02, dynamic graphs: their references, inputs and typical mistakes."""

import torch

from course_utils.checks.exercise import case, exercise, mistake

random = torch.Generator().manual_seed(2)


def floats(*shape):
    return torch.randn(*shape, generator=random)


# 2.1 ---------------------------------------------------------------------------------------------------


def visited(root):
    seen, todo = set(), [root.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [source for source, _ in node.next_functions]
    return seen


def count_nodes(program):
    return len(visited(program()))


def paths_counted(program):
    def count(node):
        return 0 if node is None else 1 + sum(count(source) for source, _ in node.next_functions)

    return count(program().grad_fn)


def first_path(program):
    node, count = program().grad_fn, 0
    while node is not None:
        count += 1
        node = node.next_functions[0][0] if node.next_functions else None
    return count


def without_leaves(program):
    return sum(not hasattr(node, "variable") for node in visited(program()))


def edges_counted(program):
    return sum(source is not None for node in visited(program()) for source, _ in node.next_functions)


def chain():
    return torch.ones(2, requires_grad=True).exp().sum()


def diamond():
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    return (y * y.sin() + y).sum()


def two_leaves():
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    return (a * 3 + b.exp()).tanh().mean()


def no_graph():
    return torch.ones(3).sum()


def branch_and_loop():
    x = torch.full((2,), 5.0, requires_grad=True)
    while x.sum() > 1:
        x = x / 2
    return x


exercise(
    "2.1",
    "Count the nodes",
    reference=count_nodes,
    cases=[
        case("a chain", chain),
        case("a node that several paths reach", diamond),
        case("two leaves", two_leaves),
        case("a loop", branch_and_loop),
        case("a result without a graph", no_graph),
    ],
    mistakes=[
        mistake(
            "You count a node again for every path that leads to it. Keep a set of the nodes that you "
            "have seen.",
            paths_counted,
        ),
        mistake(
            "You follow only the first of a node's `next_functions`; a product or a sum has two.",
            first_path,
        ),
        mistake(
            "The leaves are missing: `AccumulateGrad` is a node too, the one where a gradient is stored.",
            without_leaves,
        ),
        mistake(
            "These are the edges, the arrows; the nodes are asked for.",
            edges_counted,
        ),
    ],
)

# 2.2 ---------------------------------------------------------------------------------------------------


def shrink(vector, limit):
    while vector.norm() > limit:
        vector = vector * 0.9
    return vector


def once_too_often(vector, limit):
    while vector.norm() >= limit:
        vector = vector * 0.9
    return vector


def exactly_to_the_limit(vector, limit):
    return vector * limit / vector.norm() if vector.norm() > limit else vector


def largest_element(vector, limit):
    while vector.abs().max() > limit:
        vector = vector * 0.9
    return vector


def in_place(vector, limit):
    while vector.norm() > limit:
        vector *= 0.9
    return vector


exercise(
    "2.2",
    "Until it fits",
    reference=shrink,
    gradients=True,
    cases=[
        case("two times too long", torch.tensor([3.0, 4.0]), 2.5),
        case("already small enough", torch.tensor([0.3, -0.4]), 1.0),
        case("a norm of exactly the limit", torch.tensor([3.0, 4.0]), 5.0),
        case("very long", floats(6) * 100, 3.0),
    ],
    mistakes=[
        mistake(
            "A norm of exactly `limit` is small enough: the loop goes on only while the norm is larger (>).",
            once_too_often,
        ),
        mistake(
            "You scale to exactly the limit in one go; multiply by 0.9 as often as it takes.",
            exactly_to_the_limit,
        ),
        mistake(
            "You compare the largest element; the norm of the whole vector is asked for.",
            largest_element,
        ),
        mistake(
            "The numbers are right, but detach (or no_grad, or .data) cut the graph: no gradient reaches "
            "`vector`.",
            lambda vector, limit: shrink(vector.detach(), limit),
        ),
        mistake(
            "`*=` writes into the caller's vector. `vector = vector * 0.9` makes a new one.",
            in_place,
        ),
    ],
)

# 2.3 ---------------------------------------------------------------------------------------------------


def combined(tree, leaves, combine, leaf=lambda row: row):
    if isinstance(tree, int):
        return leaf(leaves[tree])
    return combine(*(combined(part, leaves, combine, leaf) for part in tree))


def tree_state(tree, leaves, weight):
    return combined(tree, leaves, lambda left, right: torch.tanh(torch.cat([left, right]) @ weight))


exercise(
    "2.3",
    "A tree network",
    reference=tree_state,
    gradients=True,
    cases=[
        case("two leaves", (0, 1), floats(2, 3), floats(6, 3)),
        case("a crooked tree", (0, (1, (2, 3))), floats(4, 2), floats(4, 2)),
        case("a balanced tree", ((0, 1), (2, 3)), floats(4, 2), floats(4, 2)),
        case("a leaf used twice", ((1, 0), 1), floats(2, 2), floats(4, 2)),
        case("a single leaf", 1, floats(2, 3), floats(6, 3)),
    ],
    mistakes=[
        mistake(
            "Left and right are swapped: [l; r] has the left part first.",
            lambda tree, leaves, weight: combined(
                tree, leaves, lambda left, right: torch.tanh(torch.cat([right, left]) @ weight)
            ),
        ),
        mistake(
            "The leaves went through tanh as well; a leaf's state is its row as it is.",
            lambda tree, leaves, weight: combined(
                tree, leaves, lambda left, right: torch.tanh(torch.cat([left, right]) @ weight), torch.tanh
            ),
        ),
        mistake(
            "The tanh is missing: without it the whole tree is one linear map.",
            lambda tree, leaves, weight: combined(
                tree, leaves, lambda left, right: torch.cat([left, right]) @ weight
            ),
        ),
        mistake(
            "You add the two parts and use half of `weight`; [l; r] is one after the other, torch.cat.",
            lambda tree, leaves, weight: combined(
                tree, leaves, lambda left, right: torch.tanh((left + right) @ weight[: leaves.shape[1]])
            ),
        ),
    ],
)

# 2.4 ---------------------------------------------------------------------------------------------------


def size(tree):
    return 1 if isinstance(tree, int) else sum(map(size, tree))


def steps_of(tree, first=None, parents_first=False, swapped=False):
    steps = []
    first = size(tree) if first is None else first

    def row(part):
        if isinstance(part, int):
            return part
        left, right = row(part[0]), row(part[1])
        steps.append((right, left) if swapped else (left, right))
        return first + len(steps) - 1

    row(tree)
    return steps[::-1] if parents_first else steps


def judge_steps(steps, tree):
    if not isinstance(steps, list) or not all(isinstance(s, tuple | list) and len(s) == 2 for s in steps):
        return "a list of pairs of row numbers is asked for"
    built = list(range(size(tree)))
    if len(steps) != len(built) - 1:
        return f"{len(built)} leaves need {len(built) - 1} steps, and you gave {len(steps)}"
    for number, (left, right) in enumerate(steps):
        for row in (left, right):
            if not isinstance(row, int) or not 0 <= row < len(built):
                return (
                    f"step {number} uses row {row}, and by then only rows 0 to {len(built) - 1} exist: "
                    "a part comes before what it is part of"
                )
        built.append((built[left], built[right]))
    return "" if built[-1] == tree else f"your steps build {built[-1]}"


exercise(
    "2.4",
    "Children first",
    reference=lambda tree: steps_of(tree),
    judge=judge_steps,
    cases=[
        case("three leaves", ((0, 1), 2)),
        case("a balanced tree", ((0, 1), (2, 3))),
        case("a crooked tree", (0, (1, (2, (3, 4))))),
        case("both parts deep", (((0, 1), (2, 3)), ((4, 5), 6))),
        case("a single leaf", 0),
    ],
    mistakes=[
        mistake(
            "The steps begin at the root, and the root needs rows that later steps make. Children come "
            "first.",
            lambda tree: steps_of(tree, parents_first=True),
        ),
        mistake(
            "Left and right are swapped in every step.",
            lambda tree: steps_of(tree, swapped=True),
        ),
        mistake(
            "You number the inner nodes from 0, as if they were leaves; with n leaves the first step "
            "makes row n.",
            lambda tree: steps_of(tree, first=0),
        ),
        mistake(
            "You number the inner nodes from n + 1; the rows 0 to n - 1 are the leaves, so the first step "
            "makes row n.",
            lambda tree: steps_of(tree, first=size(tree) + 1),
        ),
    ],
)

# 2.5 ---------------------------------------------------------------------------------------------------


def trajectory(step, state, times):
    states = [state.detach().requires_grad_()]
    for _ in range(times):
        states.append(step(states[-1]))
    return states, torch.autograd.grad(states[-1].sum(), states)


def gradient_norms(step, state, times):
    return [gradient.norm().item() for gradient in trajectory(step, state, times)[1]]


turn = floats(3, 3)

exercise(
    "2.5",
    "Listen on the way back",
    reference=gradient_norms,
    cases=[
        case("doubling", lambda state: 2 * state, torch.ones(1), 3),
        case("a tanh cell", lambda state: torch.tanh(turn @ state + 0.3), floats(3), 5),
        case("a vanishing gradient", lambda state: torch.tanh(state) / 2, floats(4), 8),
        case("no step at all", lambda state: state * 3, floats(4), 0),
    ],
    mistakes=[
        mistake(
            "The norms are in the order in which gradients arrive, from the end. Turn the list round.",
            lambda step, state, times: gradient_norms(step, state, times)[::-1],
        ),
        mistake(
            "These are norms of the states; the norms of the gradients that reach them are asked for.",
            lambda step, state, times: [s.norm().item() for s in trajectory(step, state, times)[0]],
        ),
        mistake(
            "The start is missing: its gradient comes first, so there are times + 1 numbers.",
            lambda step, state, times: gradient_norms(step, state, times)[1:],
        ),
        mistake(
            "These are squared norms: the square root is missing.",
            lambda step, state, times: [norm**2 for norm in gradient_norms(step, state, times)],
        ),
    ],
)

# 2.6 ---------------------------------------------------------------------------------------------------


def height(tree):
    return 0 if isinstance(tree, int) else 1 + max(map(height, tree))


def one_by_one(trees, leaves, weight):
    return torch.stack([tree_state(tree, leaves, weight) for tree in trees])


def encode_forest(trees, leaves, weight):
    levels = []

    def place(part):
        if isinstance(part, int):
            return 0, part
        left, right = place(part[0]), place(part[1])
        level = max(left[0], right[0])
        while len(levels) <= level:
            levels.append([])
        levels[level].append((left, right))
        return level + 1, len(levels[level]) - 1

    roots = [place(tree) for tree in trees]
    starts = [0, len(leaves)]
    for level in levels:
        starts.append(starts[-1] + len(level))
    states = leaves
    for level in levels:
        pairs = torch.tensor([[starts[h] + i for h, i in pair] for pair in level])
        states = torch.cat([states, torch.tanh(states[pairs].flatten(1) @ weight)])
    return states[torch.tensor([starts[h] + i for h, i in roots])]


def judge_forest(states, trees, leaves, weight):
    expected = one_by_one(trees, leaves, weight)
    if not torch.is_tensor(states) or states.shape != expected.shape:
        return f"a tensor of shape {tuple(expected.shape)} is asked for, (trees, hidden)"
    wrong = [i for i in range(len(trees)) if not torch.allclose(states[i], expected[i], rtol=1e-4, atol=1e-5)]
    if wrong:
        return f"tree {wrong[0]}, {trees[wrong[0]]}, has another state than the tree network of 2.3 gives it"
    seen = visited(states)
    variables = [node.variable for node in seen if hasattr(node, "variable")]
    for name, given in (("leaves", leaves), ("weight", weight)):
        variable = next((v for v in variables if v.shape == given.shape), None)
        if variable is None:
            return f"the states are right, but no gradient reaches `{name}`: the graph was cut"
        got = torch.autograd.grad(states.square().sum(), variable, retain_graph=True)[0]
        wanted = torch.autograd.grad(expected.square().sum(), given, retain_graph=True)[0]
        if not torch.allclose(got, wanted, rtol=1e-3, atol=1e-5):
            return f"the states are right, but the gradient of `{name}` is not"
    limit = 8 * max(map(height, trees)) + 10
    if len(seen) > limit:
        return (
            f"right, with a graph of {len(seen)} nodes; the target is {limit}. Combine a whole "
            "level in one product."
        )
    return ""


def forest(trees, leaves):
    hidden = 3
    return trees, floats(leaves, hidden).requires_grad_(), floats(2 * hidden, hidden).requires_grad_()


def numbered(shapes):
    """The trees of `shapes` with their leaves numbered from left to right over all of them."""
    rows = iter(range(1000))

    def number(part):
        return next(rows) if part is None else tuple(number(p) for p in part)

    return [number(shape) for shape in shapes]


pair = (None, None)
SHAPES = [(pair, pair), (None, (None, pair)), ((pair, None), pair), pair, ((pair, pair), (None, pair))] * 6
MANY = numbered(SHAPES)

exercise(
    "2.6",
    "A forest in few nodes",
    reference=encode_forest,
    judge=judge_forest,
    cases=[
        case("thirty trees", *forest(MANY, sum(map(size, MANY)))),
        case("forty trees of two leaves", *forest(numbered([pair] * 40), 80)),
        case("texts of one word among them", *forest(numbered([None, pair, (pair, None)] * 8), 48)),
        case("a leaf used by two trees", *forest([(0, 1), ((1, 2), 0)] * 10, 3)),
    ],
    mistakes=[
        mistake(
            "Right, but tree by tree: every inner node has products of its own. Combine all nodes of the "
            "same height, over all trees, in one product.",
            one_by_one,
        ),
        mistake(
            "The states are right, but the graph was cut (detach, no_grad or .data), so nothing could be "
            "learnt.",
            lambda trees, leaves, weight: encode_forest(trees, leaves.detach(), weight.detach()),
        ),
        mistake(
            "These are the states of the last rows made, not of the roots: trees of other heights end "
            "elsewhere. Remember the row of each root.",
            lambda trees, leaves, weight: encode_forest(
                [max(trees, key=height)] * len(trees), leaves, weight
            ),
        ),
        mistake(
            "Left and right are swapped: [l; r] has the left part first.",
            lambda trees, leaves, weight: encode_forest(trees, leaves, weight.roll(leaves.shape[1], 0)),
        ),
    ],
)
