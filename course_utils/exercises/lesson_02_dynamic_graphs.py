"""Exercises of lesson 02, dynamic graphs: their references, inputs and typical mistakes."""

import logging

import torch
from torch import nn

from course_utils.checks.exercise import Draw, calls, case, exercise, forbid, mistake, shown

ONCE = calls("program", most=1, least=1)

# Programs that leave a graph, for 2.1, 2.2, 2.3 and 2.10 -------------------------------------------------


def leaf(*numbers):
    return torch.tensor(numbers, requires_grad=True)


def chain():
    return leaf(1.0, 2.0).exp().sum()


def two_leaves():
    a, b = leaf(1.0), leaf(1.0)
    return (a * 3 + b.exp()).tanh()


def several_paths():
    y = leaf(1.0).exp()
    return (y * y.sin() + y).sum()


def short_way_first():
    y = leaf(1.0).exp()
    return y + y.sin().cos().sin()


def long_way_first():
    y = leaf(1.0).exp()
    return y.sin().cos().sin() + y


def used_twice():
    y = leaf(1.0).exp()
    return (y + y) * (y + y)


def halved():
    x = leaf(5.0, 5.0)
    while x.sum() > 1:
        x = x / 2
    return x


def both_outputs():
    one, other = leaf(1.0, 2.0).unbind()
    return one * other


def without_a_graph():
    return torch.ones(3).sum()


def forty_diamonds():
    x = leaf(1.0)
    for _ in range(40):
        x = x.sin() + x.cos()
    return x


def five_thousand_deep():
    x = leaf(1.0)
    for _ in range(5000):
        x = x + 1
    return x


LEAF = "torch.tensor([1.0], requires_grad=True)"
TEXTS = {
    chain: "lambda: torch.tensor([1.0, 2.0], requires_grad=True).exp().sum()",
    two_leaves: f"lambda: ({LEAF} * 3 + {LEAF}.exp()).tanh()",
    several_paths: f"lambda: (lambda y: (y * y.sin() + y).sum())({LEAF}.exp())",
    short_way_first: f"lambda: (lambda y: y + y.sin().cos().sin())({LEAF}.exp())",
    long_way_first: f"lambda: (lambda y: y.sin().cos().sin() + y)({LEAF}.exp())",
    used_twice: f"lambda: (lambda y: (y + y) * (y + y))({LEAF}.exp())",
    halved: "a function: x = torch.full((2,), 5.0, requires_grad=True), then while x.sum() > 1: x = x / 2",
    both_outputs: "lambda: (lambda a, b: a * b)(*torch.tensor([1.0, 2.0], requires_grad=True).unbind())",
    without_a_graph: "lambda: torch.ones(3).sum()",
    forty_diamonds: f"a function: x = {LEAF}, then 40 times x = x.sin() + x.cos()",
    five_thousand_deep: f"a function: x = {LEAF}, then 5,000 times x = x + 1",
}


def programs(**named):
    return [case(name.replace("_", " "), shown(TEXTS[known], known)) for name, known in named.items()]


def sources(node):
    return [source for source, _ in node.next_functions if source is not None]


def ordered(result):
    """The nodes behind a result, each after its sources: the first sources first."""
    order, seen, todo = [], set(), [(result.grad_fn, False)]
    while todo:
        node, done = todo.pop()
        if done:
            order.append(node)
        elif node is not None and node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo += [(source, False) for source in reversed(sources(node))]
    return order


# 2.1 ---------------------------------------------------------------------------------------------------


def count_nodes(program):
    return len(ordered(program()))


def every_path(node):
    return 0 if node is None else 1 + sum(every_path(source) for source in sources(node))


def first_path(program):
    node, count = program().grad_fn, 0
    while node is not None:
        count += 1
        node = node.next_functions[0][0] if node.next_functions else None
    return count


def pairs_for_nodes(program):
    seen, todo = set(), [(program().grad_fn, 0)]
    while todo:
        node, output = todo.pop()
        if node is not None and (node, output) not in seen:
            seen.add((node, output))
            todo += node.next_functions
    return len(seen)


def with_none(program):
    seen, todo = set(), [program().grad_fn]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += [source for source, _ in node.next_functions] if node else []
    return len(seen)


exercise(
    "2.1",
    "Count the nodes",
    reference=count_nodes,
    returns="the number of nodes",
    cases=programs(
        a_chain=chain,
        several_paths_to_one_node=several_paths,
        two_leaves=two_leaves,
        a_source_used_twice=used_twice,
        a_loop=halved,
        two_outputs_of_one_node=both_outputs,
        a_result_without_a_graph=without_a_graph,
    ),
    rules=[ONCE],
    mistakes=[
        mistake(
            "You count a node again for every path that leads to it. Keep a set of the nodes that you "
            "have seen.",
            lambda program: every_path(program().grad_fn),
        ),
        mistake(
            "You follow only the first of a node's `next_functions`; a product or a sum has two.",
            first_path,
        ),
        mistake(
            "The leaves are missing: `AccumulateGrad` is a node too, the one where a gradient is stored.",
            lambda program: sum(not hasattr(node, "variable") for node in ordered(program())),
        ),
        mistake(
            "These are the edges, the arrows; the nodes are asked for.",
            lambda program: sum(len(sources(node)) for node in ordered(program())),
        ),
        mistake(
            "You count different names; two sums have the same name and are two nodes. Put the nodes "
            "themselves into the set.",
            lambda program: len({node.name() for node in ordered(program())}),
        ),
        mistake(
            "The last node is missing: the result's own `grad_fn` counts as well.",
            lambda program: max(count_nodes(program) - 1, 0),
        ),
        mistake(
            "You count `None` as well: it stands for an input that asks for no gradient, and is no node.",
            with_none,
        ),
        mistake(
            "You count the pairs in `next_functions`: a node with two outputs stands in two of them. Put the "
            "node alone into the set.",
            pairs_for_nodes,
        ),
    ],
)

# 2.2 ---------------------------------------------------------------------------------------------------


def all_arrows(program):
    return [(source.name(), node.name()) for node in ordered(program()) for source in sources(node)]


def arrows(program):
    return sorted(all_arrows(program))


def judge_arrows(pairs, program):
    wanted = arrows(program)
    if not isinstance(pairs, list):
        return f"a list of pairs is asked for, and this is of type {type(pairs).__name__}"
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
            return f"each item is a tuple of two names, and {pair!r} is none"
    for pair in sorted({*wanted, *pairs}):
        if pair not in wanted:
            return f"{pair} is in the list, and the graph has no such arrow"
        if pairs.count(pair) != wanted.count(pair):
            return f"{pair}: {pairs.count(pair)} in the list, expected {wanted.count(pair)}"
    return "" if pairs == wanted else "the pairs are right, and the list is not sorted"


def arrows_by_path(program):
    def visit(node):
        found = [(source.name(), node.name()) for source in sources(node)]
        return found + [pair for source in sources(node) for pair in visit(source)]

    root = program().grad_fn
    return sorted(visit(root)) if root else []


def arrows_to_new_nodes(program):
    root = program().grad_fn
    pairs, seen, todo = [], {root}, [root] if root else []
    while todo:
        node = todo.pop()
        for source in sources(node):
            if source not in seen:
                seen.add(source)
                todo.append(source)
                pairs.append((source.name(), node.name()))
    return sorted(pairs)


def arrows_in_walking_order(program, take, turned=False):
    pairs, seen, todo = [], set(), [program().grad_fn]
    while todo:
        node = todo.pop(take)
        if node is not None and node not in seen:
            seen.add(node)
            pairs += [(source.name(), node.name())[:: -1 if turned else 1] for source in sources(node)]
            todo += sources(node)
    return pairs


def arrows_by_recursion(program, turned=False):
    pairs, seen = [], set()

    def visit(node):
        if node is None or node in seen:
            return
        seen.add(node)
        for source in sources(node):
            pairs.append((source.name(), node.name())[:: -1 if turned else 1])
            visit(source)

    visit(program().grad_fn)
    return pairs


exercise(
    "2.2",
    "The arrows",
    reference=arrows,
    judge=judge_arrows,
    returns="the list of pairs",
    cases=programs(
        a_chain=chain,
        several_paths_to_one_node=several_paths,
        two_leaves=two_leaves,
        a_source_used_twice=used_twice,
        a_result_without_a_graph=without_a_graph,
    ),
    rules=[ONCE],
    mistakes=[
        mistake(
            "Your pairs are the wrong way round: the source comes first, then the node that used it.",
            lambda program: sorted((node, source) for source, node in all_arrows(program)),
            lambda program: arrows_in_walking_order(program, -1, turned=True),
            lambda program: arrows_in_walking_order(program, 0, turned=True),
            lambda program: arrows_by_recursion(program, turned=True),
        ),
        mistake(
            "You list a node's arrows again for every path that leads to it. Keep a set of the nodes "
            "that you have seen.",
            arrows_by_path,
        ),
        mistake(
            "You note an arrow only when its source is new; an arrow to a source that you have seen counts "
            "as well.",
            arrows_to_new_nodes,
        ),
        mistake(
            "Equal pairs are lost (in a set or a dict): a node that uses one source twice has two arrows.",
            lambda program: sorted(set(all_arrows(program))),
            lambda program: sorted(
                (source.name(), node.name()) for node in ordered(program()) for source in {*sources(node)}
            ),
        ),
        mistake(
            "The pairs are right and the list is not sorted.",
            all_arrows,
            lambda program: arrows_in_walking_order(program, -1),
            lambda program: arrows_in_walking_order(program, 0),
            arrows_by_recursion,
            lambda program: arrows(program)[::-1],
        ),
        mistake(
            "The names are shortened; `node.name()` in full is asked for.",
            lambda program: [
                tuple(name.removesuffix("Backward0") for name in pair) for pair in arrows(program)
            ],
            lambda program: [
                tuple(name.removeprefix("torch::autograd::").removesuffix("Backward0") for name in pair)
                for pair in arrows(program)
            ],
        ),
        mistake(
            "The arrows that begin at leaves are missing: `AccumulateGrad` is a source too.",
            lambda program: [pair for pair in arrows(program) if "AccumulateGrad" not in pair[0]],
        ),
    ],
)

# 2.3 ---------------------------------------------------------------------------------------------------


def in_order(program):
    return ordered(program())


def places(answer, program):
    """What an answer to 2.3 gives, each node as its number in `ordered`, so that two runs can be compared."""
    results = []

    def noted():
        results.append(program())
        return results[-1]

    given = answer(noted)
    numbers = {node: number for number, node in enumerate(ordered(results[0]))} if results else {}
    if not isinstance(given, list | tuple):
        return given
    return [numbers.get(node, node) for node in given]


def judge_order(numbers, program):
    order = ordered(program())
    if not isinstance(numbers, list):
        return f"a list of nodes is asked for, and this is of type {type(numbers).__name__}"
    for item in numbers:
        if item is None:
            return "the list holds `None`: an input that asks for no gradient, and no node"
        if isinstance(item, str):
            return "the list holds names; the nodes themselves are asked for"
        if not isinstance(item, int):
            return f"the list holds something that is no node of this graph, of type {type(item).__name__}"
    name = [node.name() for node in order]
    place = {number: position for position, number in enumerate(numbers)}
    if len(place) < len(numbers):
        double = next(number for number in numbers if numbers.count(number) > 1)
        return f"{name[double]} stands {numbers.count(double)} times in the list, and once is right"
    for number in range(len(order)):
        if number not in place:
            return f"{len(numbers)} nodes of {len(order)} are in the list; {name[number]} is missing"
    for number, node in enumerate(order):
        for source in map(order.index, sources(node)):
            if place[source] > place[number]:
                return f"{name[number]} stands before its source {name[source]}"
    return ""


def found_first(program, take):
    found, seen, todo = [], set(), [program().grad_fn]
    while todo:
        node = todo.pop(take)
        if node is not None and node not in seen:
            seen.add(node)
            found.append(node)
            todo += sources(node)
    return found


def before_its_sources(program):
    found, seen = [], set()

    def visit(node):
        if node is not None and node not in seen:
            seen.add(node)
            found.append(node)
            for source in sources(node):
                visit(source)

    visit(program().grad_fn)
    return found


def without_a_set(program):
    found = []

    def visit(node):
        for source in sources(node):
            visit(source)
        found.append(node)

    root = program().grad_fn
    if root:
        visit(root)
    return found


exercise(
    "2.3",
    "Sources first",
    reference=in_order,
    use=places,
    judge=judge_order,
    returns="the list of nodes",
    cases=programs(
        a_chain=chain,
        short_way_first=short_way_first,
        long_way_first=long_way_first,
        several_paths_to_one_node=several_paths,
        two_leaves=two_leaves,
        a_source_used_twice=used_twice,
        a_loop=halved,
        a_result_without_a_graph=without_a_graph,
    ),
    rules=[ONCE],
    mistakes=[
        mistake(
            "Your list begins with the result's `grad_fn`: each node stands before its sources. Append a "
            "node only after its sources have been visited.",
            lambda program: found_first(program, -1),
            lambda program: found_first(program, 0),
            before_its_sources,
            lambda program: ordered(program())[::-1],
        ),
        mistake(
            "You turned round the order in which you found the nodes. A node that is reached first along "
            "a short path then stands after nodes that used it on a longer one: append it when all its "
            "sources are done.",
            lambda program: found_first(program, -1)[::-1],
            lambda program: found_first(program, 0)[::-1],
            lambda program: before_its_sources(program)[::-1],
        ),
        mistake(
            "The order is right, and a node stands in the list once for every path. Leave out what has been "
            "visited.",
            without_a_set,
        ),
        mistake(
            "These are names; the nodes themselves are asked for.",
            lambda program: [node.name() for node in ordered(program())],
        ),
        mistake(
            "The leaves are missing: `AccumulateGrad` is a node too, and comes first.",
            lambda program: [node for node in ordered(program()) if not hasattr(node, "variable")],
        ),
    ],
)

# 2.4 ---------------------------------------------------------------------------------------------------


def root(a, tolerance):
    x, steps = a, 0
    while (x * x - a).abs() > tolerance:
        x = (x + a / x) / 2
        steps += 1
    return x, steps


def root_until(a, done, first=None):
    """Newton's steps until `done(x, the x before, a)`, which is asked after each step."""
    x, steps = a, 0
    while True:
        before, x = x, (x + a / x) / 2
        steps += 1
        if done(x, before, a) or steps == 100:
            return x, steps


def root_while(a, goes_on, start=None, inside=None):
    """Newton's steps as long as `goes_on(x)`, which is asked before each step."""
    x, steps = a if start is None else start, 0
    inside = a if inside is None else inside
    while goes_on(x) and steps < 100:
        x = (x + inside / x) / 2
        steps += 1
    return x, steps


def root_of_numbers(a, tolerance):
    x, steps = root(a.detach(), tolerance)
    return torch.tensor(x.item()), steps


exercise(
    "2.4",
    "As often as it takes",
    reference=root,
    returns=("x", "steps"),
    gradients=("a",),
    cases=[
        case("of four", torch.tensor(4.0), 0.1),
        case("of a number below one", torch.tensor(0.25), 0.01),
        case("of a large number", torch.tensor(100.0), 0.5),
        case("a start that is good enough", torch.tensor(1.0), 0.01),
        case("an error of exactly the tolerance", torch.tensor(2.0), 2.0),
    ],
    mistakes=[
        mistake(
            "You replace x once before you look: a start that is good enough needs no step.",
            lambda a, tolerance: root_until(a, lambda x, _, a: (x * x - a).abs() <= tolerance),
        ),
        mistake(
            "You compare the last change of x with the tolerance; the card compares x² with a.",
            lambda a, tolerance: root_until(a, lambda x, before, _: (x - before).abs() <= tolerance),
        ),
        mistake(
            "You compare x² − a without its absolute value: for a below 1 it is negative at the start, and "
            "your loop ends at once.",
            lambda a, tolerance: root_while(a, lambda x: x * x - a > tolerance),
        ),
        mistake(
            "An error of exactly the tolerance is small enough: the loop goes on while it is larger (>).",
            lambda a, tolerance: root_while(a, lambda x: (x * x - a).abs() >= tolerance),
        ),
        mistake(
            "The number is right and its history is gone (.item(), float, detach or no_grad): no gradient "
            "reaches `a`.",
            root_of_numbers,
            lambda a, tolerance: root(a.detach(), tolerance),
        ),
        mistake(
            "You cut the start off (detach, .item() or clone().detach()): x = a itself is where the gradient "
            "begins.",
            lambda a, tolerance: root_while(a, lambda x: (x * x - a).abs() > tolerance, start=a.detach()),
        ),
        mistake(
            "You cut `a` off inside the step (detach, .item() or float): the gradient flows through a / x "
            "as well.",
            lambda a, tolerance: root_while(a, lambda x: (x * x - a).abs() > tolerance, inside=a.detach()),
        ),
        mistake(
            "You begin with another number; the card begins with x = a.",
            lambda a, tolerance: root_while(
                a, lambda x: (x * x - a).abs() > tolerance, start=torch.ones_like(a)
            ),
            lambda a, tolerance: root_while(a, lambda x: (x * x - a).abs() > tolerance, start=a / 2),
        ),
        mistake(
            "You compare x with the root of a; the card compares x² with a.",
            lambda a, tolerance: root_while(a, lambda x: (x - a.sqrt()).abs() > tolerance),
        ),
        mistake(
            "This is the exact root and not Newton's x: do the steps.",
            lambda a, tolerance: (a.sqrt(), root(a, tolerance)[1]),
        ),
        mistake(
            "`steps` is one too many: it counts replacements, and begins at 0.",
            lambda a, tolerance: (root(a, tolerance)[0], root(a, tolerance)[1] + 1),
        ),
    ],
)

# 2.5 ---------------------------------------------------------------------------------------------------


def reading(weight, words, cut, again=lambda state: state.detach(), step=None, cut_total=False):
    """Read word by word; the state is cut after word number `count` (from 1) if `cut(count)`."""
    state, total = torch.zeros(words.shape[1]), torch.zeros(())
    for count, word in enumerate(words, 1):
        state = step(word, state) if step else torch.tanh(word + weight @ state)
        total = total + state.sum()
        if cut(count):
            state, total = again(state), total.detach() if cut_total else total
    return total


def read_truncated(weight, words, every):
    return reading(weight, words, lambda count: count % every == 0)


def last_state(weight, words, every):
    state = torch.zeros(words.shape[1])
    for count, word in enumerate(words, 1):
        state = torch.tanh(word + weight @ state)
        if count % every == 0 and count < len(words):
            state = state.detach()
    return state


def cut_before_the_sum(weight, words, every):
    state, total = torch.zeros(words.shape[1]), torch.zeros(())
    for count, word in enumerate(words, 1):
        state = torch.tanh(word + weight @ state)
        if count % every == 0:
            state = state.detach()
        total = total + state.sum()
    return total


def stepping(step, weight, words, every):
    return reading(weight, words, lambda count: count % every == 0, step=step)


draw = Draw("2.5")

exercise(
    "2.5",
    "Cut the past",
    reference=read_truncated,
    returns="the sum",
    gradients=("weight",),
    cases=[
        case("three words, cut after two", torch.tensor([[1.0]]), torch.tensor([[1.0], [0.0], [0.0]]), 2),
        case("nine words, cut after every three", draw.floats(3, 3) * 0.6, draw.floats(9, 3), 3),
        case("eight words, the last stretch shorter", draw.floats(2, 2) * 0.8, draw.floats(8, 2), 3),
        case("cut after every word", draw.floats(2, 2) * 0.8, draw.floats(5, 2), 1),
        case("no word reaches the cut", draw.floats(2, 2) * 0.8, draw.floats(4, 2), 10),
    ],
    mistakes=[
        mistake(
            "The history is never cut: the gradient is that of the whole text. Assign the result of "
            "`state.detach()`, which changes nothing in place.",
            lambda weight, words, every: reading(weight, words, lambda count: False),
        ),
        mistake(
            "You cut after every single word, so the gradient sees one step only.",
            lambda weight, words, every: reading(weight, words, lambda count: True),
        ),
        mistake(
            "You cut one word too early: with `enumerate` from 0 the first word already counts as a "
            "multiple of `every`. Count the words that have been read.",
            lambda weight, words, every: reading(weight, words, lambda count: (count - 1) % every == 0),
        ),
        mistake(
            "This is the sum of the last state only; the numbers of all states are summed.",
            lambda weight, words, every: last_state(weight, words, every).sum(),
        ),
        mistake(
            "You set the state back to zeros. Its value goes on; only its history is cut.",
            lambda weight, words, every: reading(
                weight, words, lambda count: count % every == 0, torch.zeros_like
            ),
        ),
        mistake(
            "You cut before the state went into the sum, so that state's own gradient is lost. Add first, "
            "then cut.",
            cut_before_the_sum,
        ),
        mistake(
            "You stop after the last whole stretch; the words that are left are read as well.",
            lambda weight, words, every: read_truncated(
                weight, words[: len(words) // every * every or len(words)], every
            ),
        ),
        mistake(
            "You multiply with `weight` from the other side: the product is weight @ state.",
            lambda weight, words, every: read_truncated(weight.T, words, every),
        ),
        mistake(
            "You multiply `weight` and the state element by element and add up along the wrong dimension: "
            "the product is weight @ state.",
            lambda weight, words, every: stepping(
                lambda word, state: torch.tanh(word + (weight * state).sum(dim=0)), weight, words, every
            ),
        ),
        mistake(
            "Only the word goes through tanh; it is taken of the whole sum, word + weight @ state.",
            lambda weight, words, every: stepping(
                lambda word, state: torch.tanh(word) + weight @ state, weight, words, every
            ),
        ),
        mistake(
            "Only the product goes through tanh; it is taken of the whole sum, word + weight @ state.",
            lambda weight, words, every: stepping(
                lambda word, state: word + torch.tanh(weight @ state), weight, words, every
            ),
        ),
        mistake(
            "The total loses its history as well, and with it the gradient of what was read. Cut the state "
            "alone.",
            lambda weight, words, every: reading(
                weight, words, lambda count: count % every == 0, cut_total=True
            ),
        ),
        mistake(
            "This is a mean; the sum of all numbers of all states is asked for.",
            lambda weight, words, every: read_truncated(weight, words, every) / words.numel(),
            lambda weight, words, every: read_truncated(weight, words, every) / len(words),
            lambda weight, words, every: read_truncated(weight, words, every) / len(weight),
        ),
    ],
)

# 2.6 ---------------------------------------------------------------------------------------------------


def shortened_to(limit):
    def hook(gradient):
        norm = gradient.norm()
        return gradient * (limit / norm) if norm > limit else gradient

    return hook


def hooked(step, state, times, hook, start=True, last=True, one_number=torch.sum):
    states = [state.detach().clone().requires_grad_()]
    for _ in range(times):
        states.append(step(states[-1]))
    for position, known in enumerate(states):
        if (start and position == 0) or (last and position == times) or 0 < position < times:
            known.register_hook(hook)
    return torch.autograd.grad(one_number(states[-1]), states[0])[0]


def clipped_gradient(step, state, times, limit):
    return hooked(step, state, times, shortened_to(limit))


def only_at_the_end(step, state, times, limit):
    return shortened_to(limit)(hooked(step, state, times, lambda gradient: gradient))


def short_states(step, state, times, limit):
    """The mistake: the states are shortened, on the way forward."""
    return hooked(lambda known: shortened_to(limit)(step(known)), state, times, lambda gradient: gradient)


def row_by_row(limit):
    def hook(gradient):
        norm = gradient.norm(dim=-1, keepdim=True)
        return torch.where(norm > limit, gradient * (limit / norm), gradient)

    return hook


def measured_by(measure, limit):
    def hook(gradient):
        return gradient * (limit / measure(gradient)) if measure(gradient) > limit else gradient

    return hook


draw = Draw("2.6")
DOUBLE = shown("lambda state: 2 * state", lambda state: 2 * state)
TURN = shown(
    "lambda state: torch.tensor([[0.5, 2.0], [-3.0, 0.25]]) @ state",
    lambda state: torch.tensor([[0.5, 2.0], [-3.0, 0.25]]) @ state,
)
GROW = shown("lambda state: state * state + 0.5", lambda state: state * state + 0.5)
SQUEEZE = shown("lambda state: torch.tanh(3 * state)", lambda state: torch.tanh(3 * state))

exercise(
    "2.6",
    "Short gradients on the way",
    reference=clipped_gradient,
    returns="the gradient at the start",
    cases=[
        case("doubling", DOUBLE, torch.ones(1), 3, 1.5),
        case("a turn that lengthens", TURN, draw.floats(2), 4, 2.0),
        case("long in the middle, short at the start", GROW, torch.tensor([0.1, -0.2]), 5, 2.0),
        case("a limit below the first gradient", GROW, torch.tensor([0.1, 0.2]), 1, 0.5),
        case("a gradient that vanishes", SQUEEZE, torch.tensor([0.1, 0.9, -0.2]), 3, 2.0),
        case("a limit that nothing reaches", DOUBLE, draw.floats(3), 2, 100.0),
        case("no step at all", DOUBLE, torch.ones(4), 0, 1.0),
        case("a state of two rows", GROW, torch.tensor([[0.5, -0.2], [0.4, 0.9]]), 3, 2.0),
    ],
    mistakes=[
        mistake(
            "This is the gradient as it is: nothing was shortened. What a hook returns replaces the "
            "gradient; a hook without `return` only looks on.",
            lambda step, state, times, limit: hooked(step, state, times, lambda gradient: gradient),
        ),
        mistake(
            "You shorten only what arrives at the start. Shorten at every state, so that the shortened "
            "gradient travels on.",
            only_at_the_end,
        ),
        mistake(
            "You cut off each number (clamp); the card shortens the vector: multiply it so that its norm is "
            "`limit`.",
            lambda step, state, times, limit: hooked(
                step, state, times, lambda gradient: gradient.clamp(-limit, limit)
            ),
            lambda step, state, times, limit: hooked(
                step, state, times, lambda gradient: gradient.clamp(max=limit)
            ),
        ),
        mistake(
            "You give every gradient the norm `limit`; one that is shorter stays as it is.",
            lambda step, state, times, limit: hooked(
                step, state, times, lambda gradient: gradient * limit / gradient.norm()
            ),
        ),
        mistake(
            "The start has no hook; it is a state too.",
            lambda step, state, times, limit: hooked(step, state, times, shortened_to(limit), start=False),
        ),
        mistake(
            "The last state has no hook; the gradient of the sum is shortened there first.",
            lambda step, state, times, limit: hooked(step, state, times, shortened_to(limit), last=False),
        ),
        mistake(
            "This is the gradient of the mean; the sum of the last state is asked for.",
            lambda step, state, times, limit: hooked(
                step, state, times, shortened_to(limit), one_number=torch.mean
            ),
        ),
        mistake(
            "This is the gradient of the last state's norm; that of its sum is asked for.",
            lambda step, state, times, limit: hooked(
                step, state, times, shortened_to(limit), one_number=torch.norm
            ),
        ),
        mistake(
            "You apply `step` once more than `times`.",
            lambda step, state, times, limit: clipped_gradient(step, state, times + 1, limit),
        ),
        mistake(
            "You apply `step` once less than `times`.",
            lambda step, state, times, limit: clipped_gradient(step, state, max(times - 1, 0), limit),
        ),
        mistake(
            "What you shorten gets the norm 1; its norm is to be `limit`.",
            lambda step, state, times, limit: hooked(
                step, state, times, lambda g: g / g.norm() if g.norm() > limit else g
            ),
        ),
        mistake(
            "You measure the gradient by its largest number or by the sum of its absolute values. Its norm "
            "is the root of the sum of the squares: `.norm()`.",
            lambda step, state, times, limit: hooked(
                step, state, times, measured_by(lambda g: g.abs().max(), limit)
            ),
            lambda step, state, times, limit: hooked(
                step, state, times, measured_by(lambda g: g.abs().sum(), limit)
            ),
        ),
        mistake(
            "You shorten each row for itself; the norm is that of the whole gradient.",
            lambda step, state, times, limit: hooked(step, state, times, row_by_row(limit)),
        ),
        mistake(
            "You shorten the states on the way forward; the gradients on the way back are to be shortened.",
            short_states,
        ),
    ],
)

# 2.7 ---------------------------------------------------------------------------------------------------


def shorten(vector, limit):
    norm = vector.norm()
    return torch.where(norm > limit, vector * (limit / norm), vector)


def shorten_with_if(vector, limit):
    norm = vector.norm()
    if norm > limit:
        vector = vector * (limit / norm)
    return vector


def always_scaled(vector, limit):
    norm = vector.norm()
    return torch.where(norm > 0, vector * (limit / norm), vector)


def chosen_by_multiplying(vector, limit):
    too_long = (vector.norm() > limit).float()
    return too_long * (vector * (limit / vector.norm())) + (1 - too_long) * vector


def captured_whole(answer, vectors, limit):
    """What the compiled answer gives for the vectors, one after another, and whether one graph was enough."""
    graphs = []

    def noting(graph_module, example_inputs):
        graphs.append(graph_module)
        return graph_module.forward

    logging.disable(logging.CRITICAL)  # the check gives it back; torch warns of every graph break
    with torch._C.DisableTorchFunction():  # the check looks on by a mode, which would be captured as well
        torch.compiler.reset()
        compiled = torch.compile(answer, backend=noting)
        results = [compiled(vector, limit) for vector in vectors]
        whole = len(graphs) == 1
        torch.compiler.reset()
        compiled = torch.compile(answer, backend=noting, fullgraph=True)
        try:
            [compiled(vector, limit) for vector in vectors]
        except RuntimeError:  # it was right in pieces, so this is the refusal of a graph break
            whole = False
        torch.compiler.reset()
    return {"the shortened vectors": results, "captured in one graph": whole}


draw = Draw("2.7")
long_and_short = [torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4]), torch.tensor([-30.0, 40.0])]

exercise(
    "2.7",
    "One graph",
    reference=shorten,
    use=captured_whole,
    seconds=30.0,
    cases=[
        case("long and short vectors", long_and_short, 1.0),
        case("a norm of exactly the limit", [torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0])], 5.0),
        case("zeros", [torch.zeros(3), torch.ones(3)], 1.0),
        case("random vectors", [draw.floats(5) * scale for scale in (0.1, 1.0, 10.0)], 2.0),
    ],
    mistakes=[
        mistake(
            "The values are right and the graph is still broken: something needs to know a number while the "
            "graph is captured (an `if` or `while` on a tensor, .item(), float(), print), or the function is "
            "not captured at all.",
            shorten_with_if,
            lambda vector, limit: vector * min(1.0, limit / max(vector.norm().item(), 1e-9)),
        ),
        mistake(
            "Every vector gets the norm `limit`; one that is shorter stays as it is.",
            always_scaled,
            lambda vector, limit: vector * (limit / vector.norm()),
            lambda vector, limit: nn.functional.normalize(vector, dim=0) * limit,
        ),
        mistake(
            "Long vectors pass as they are and short ones are scaled: the two choices are swapped.",
            lambda vector, limit: torch.where(
                vector.norm() > limit, vector, vector * (limit / vector.norm())
            ),
        ),
        mistake(
            "You cut off each number (clamp); the whole vector is to be shortened, so that its norm is "
            "`limit`.",
            lambda vector, limit: vector.clamp(-limit, limit),
        ),
        mistake(
            "Long vectors get the norm 1; it is to be `limit`.",
            lambda vector, limit: torch.where(vector.norm() > limit, vector / vector.norm(), vector),
            lambda vector, limit: vector / vector.norm().clamp(min=1),
        ),
        mistake(
            "You measure the vector by the sum of its absolute values. Its norm is the root of the sum of "
            "the squares: `.norm()`.",
            lambda vector, limit: vector * (limit / vector.abs().sum().clamp(min=limit)),
        ),
        mistake(
            "For zeros you compute 0 · (limit / 0), which is NaN, and NaN times 0 is NaN again. Choose with "
            "torch.where, or limit the factor to at most 1 before you multiply.",
            chosen_by_multiplying,
        ),
    ],
)

# 2.8 ---------------------------------------------------------------------------------------------------


def combined(tree, leaves, combine, leaf=lambda row: row):
    """A tree's state by recursion."""
    if isinstance(tree, int):
        return leaf(leaves[tree])
    return combine(*(combined(part, leaves, combine, leaf) for part in tree))


def one_by_one(trees, leaves, weight, swapped=False, leaf=lambda row: row, squeeze=torch.tanh):
    def combine(left, right):
        return squeeze(weight @ torch.cat([right, left] if swapped else [left, right]))

    return torch.stack([combined(tree, leaves, combine, leaf) for tree in trees])


def height(tree):
    return 0 if isinstance(tree, int) else 1 + max(map(height, tree))


def level_by_level(trees, leaves, weight, swapped=False, leaf=lambda rows: rows, squeeze=torch.tanh):
    """All roots' states, and all states in the order in which they were made."""
    levels = []

    def place(part):
        if isinstance(part, int):
            return 0, part
        left, right = place(part[0]), place(part[1])
        level = max(left[0], right[0])
        while len(levels) <= level:
            levels.append([])
        levels[level].append((right, left) if swapped else (left, right))
        return level + 1, len(levels[level]) - 1

    roots = [place(tree) for tree in trees]
    starts = [0, len(leaves)]
    for level in levels:
        starts.append(starts[-1] + len(level))
    states = leaf(leaves)
    for level in levels:
        pairs = torch.tensor([[starts[h] + i for h, i in pair] for pair in level])
        states = torch.cat([states, squeeze(states[pairs].flatten(1) @ weight.T)])
    return states[torch.tensor([starts[h] + i for h, i in roots])], states


def encode_forest(trees, leaves, weight):
    return level_by_level(trees, leaves, weight)[0]


def states_and_nodes(answer, trees, leaves, weight):
    """The states, and whether their graph has few enough nodes."""
    states = answer(trees, leaves, weight)
    allowed = 8 * max(map(height, trees)) + 10
    given = {node for tensor in (leaves, weight) if tensor.requires_grad for node in ordered(tensor)}
    count = len(set(ordered(states)) - given) + 2 if torch.is_tensor(states) else 0
    return {"the states of the roots": states, "at most 8 nodes a level, plus 10": count <= allowed}


def numbered(shapes):
    """The trees of `shapes` with their leaves numbered from left to right over all of them."""
    rows = iter(range(1000))

    def number(part):
        return next(rows) if part is None else tuple(number(p) for p in part)

    return [number(shape) for shape in shapes]


draw = Draw("2.8")
pair = (None, None)
SHAPES = [(pair, pair), (None, (None, pair)), ((pair, None), pair), pair, ((pair, pair), (None, pair))] * 6
MANY = numbered(SHAPES)  # 30 trees with 102 leaves
LEAVES = sum(part is not None for tree in MANY for part in str(tree).split() if part.strip("(),").isdigit())

exercise(
    "2.8",
    "A forest in few nodes",
    reference=encode_forest,
    use=states_and_nodes,
    gradients=("leaves", "weight"),
    rtol=1e-3,
    cases=[
        case(
            "two small trees",
            [(0, 1), 2],
            torch.tensor([[1.0], [2.0], [3.0]]),
            torch.tensor([[0.5, 0.25]]),
        ),
        case("thirty trees", MANY, draw.floats(LEAVES, 3), draw.floats(3, 6)),
        case("forty trees of two leaves", numbered([pair] * 40), draw.floats(80, 3), draw.floats(3, 6)),
        case(
            "texts of one word among them",
            numbered([None, pair, (pair, None)] * 8),
            draw.floats(48, 2),
            draw.floats(2, 4),
        ),
        case("a leaf used by two trees", [(0, 1), ((1, 2), 0)] * 10, draw.floats(3, 3), draw.floats(3, 6)),
    ],
    mistakes=[
        mistake(
            "The states are right and the graph has too many nodes. Combine all pairs of the same height, "
            "over all trees, in one product.",
            one_by_one,
        ),
        mistake(
            "Left and right are swapped: [l; r] has the left part first.",
            lambda trees, leaves, weight: level_by_level(trees, leaves, weight, swapped=True)[0],
            lambda trees, leaves, weight: one_by_one(trees, leaves, weight, swapped=True),
        ),
        mistake(
            "The leaves went through tanh as well; a leaf's state is its row as it is.",
            lambda trees, leaves, weight: level_by_level(trees, leaves, weight, leaf=torch.tanh)[0],
            lambda trees, leaves, weight: one_by_one(trees, leaves, weight, leaf=torch.tanh),
        ),
        mistake(
            "The tanh is missing: without it a whole tree is one linear map.",
            lambda trees, leaves, weight: level_by_level(trees, leaves, weight, squeeze=lambda x: x)[0],
            lambda trees, leaves, weight: one_by_one(trees, leaves, weight, squeeze=lambda x: x),
        ),
        mistake(
            "These are the states that were made last, not those of the roots: trees of other heights end "
            "on other levels. Remember the row of each root.",
            lambda trees, leaves, weight: level_by_level(trees, leaves, weight)[1][-len(trees) :],
        ),
        mistake(
            "The states are right and in another order: they belong in the order of `trees`.",
            lambda trees, leaves, weight: encode_forest(sorted(trees, key=height), leaves, weight),
            lambda trees, leaves, weight: encode_forest(
                sorted(trees, key=height, reverse=True), leaves, weight
            ),
        ),
        mistake(
            "The states are right, but the graph was cut (detach, no_grad or .data), so nothing could be "
            "learnt.",
            lambda trees, leaves, weight: encode_forest(trees, leaves.detach(), weight.detach()),
        ),
    ],
)

# 2.9 ---------------------------------------------------------------------------------------------------


class TwoHeads(nn.Module):
    """A body and two heads, one of which the forward pass forgot."""

    def __init__(self):
        super().__init__()
        self.body, self.head, self.spare = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.body(x).tanh())


class Switch(nn.Module):
    """Another layer for positive and for negative inputs."""

    def __init__(self):
        super().__init__()
        self.positive, self.negative = nn.Linear(3, 2), nn.Linear(3, 2, bias=False)

    def forward(self, x):
        return self.positive(x) if x.sum() > 0 else self.negative(x)


class Cut(nn.Module):
    """A body behind a detach."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.body(x).detach())


class Nested(nn.Module):
    """Layers inside layers: two that hold the same numbers, one of them unused and under two names."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleDict({"used": nn.LayerNorm(3), "spare": nn.LayerNorm(3)})
        self.also_spare = self.parts["spare"]

    def forward(self, x):
        return self.parts["used"](x)


class Silent(nn.Module):
    """A forward pass under no_grad."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        with torch.no_grad():
            return self.layer(x)


def frozen(model, *names):
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(names))
    return model


def reached(result):
    return {id(node.variable) for node in ordered(result) if hasattr(node, "variable")}


def unused_parameters(model, x):
    found = reached(model(x))
    return sorted(
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and id(parameter) not in found
    )


def frozen_ones_too(model, x):
    found = reached(model(x))
    return sorted(name for name, parameter in model.named_parameters() if id(parameter) not in found)


def used_parameters(model, x):
    found = reached(model(x))
    return sorted(name for name, parameter in model.named_parameters() if id(parameter) in found)


def without_a_gradient(model, x):
    model(x)
    return sorted(name for name, p in model.named_parameters() if p.requires_grad and p.grad is None)


def layers_that_did_not_run(model, x, whole_name=False):
    ran = set()
    for name, layer in model.named_modules() if whole_name else model.named_children():
        layer.register_forward_hook(lambda layer, inputs, output, name=name: ran.add(name))
    model(x)
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    return sorted(
        name for name, _ in named if (name.rpartition if whole_name else name.partition)(".")[0] not in ran
    )


def in_the_models_order(model, x):
    found = reached(model(x))
    return [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in found]


def only_next_to_the_root(model, x):
    root = model(x).grad_fn
    found = {id(s.variable) for s in (sources(root) if root else []) if hasattr(s, "variable")}
    return sorted(n for n, p in model.named_parameters() if p.requires_grad and id(p) not in found)


def down_the_first_sources(model, x):
    node, found = model(x).grad_fn, set()
    while node is not None:
        found |= {id(known.variable) for known in (node, *sources(node)) if hasattr(known, "variable")}
        node = node.next_functions[0][0] if node.next_functions else None
    return sorted(n for n, p in model.named_parameters() if p.requires_grad and id(p) not in found)


def of_other_numbers(model, x, equal=torch.equal):
    found = [node.variable for node in ordered(model(x)) if hasattr(node, "variable")]
    return sorted(
        name
        for name, p in model.named_parameters()
        if p.requires_grad and not any(equal(p, used) for used in found)
    )


def under_every_name(model, x):
    found = reached(model(x))
    named = model.named_parameters(remove_duplicate=False)
    return sorted(name for name, p in named if p.requires_grad and id(p) not in found)


exercise(
    "2.9",
    "Who is left out?",
    reference=unused_parameters,
    returns="the names",
    cases=[
        case("a spare head", shown("a model with body, head and spare", TwoHeads()), torch.ones(2, 3)),
        case("a positive input", shown("a model with positive and negative", Switch()), torch.ones(1, 3)),
        case("a negative input", shown("a model with positive and negative", Switch()), -torch.ones(1, 3)),
        case(
            "all of it is used",
            shown("nn.Sequential(nn.Linear(3, 4), nn.Tanh())", nn.Sequential(nn.Linear(3, 4), nn.Tanh())),
            torch.ones(1, 3),
        ),
        case("a body behind a detach", shown("a model with body and head", Cut()), torch.ones(2, 3)),
        case(
            "layers in layers, with equal numbers",
            shown("a model with two LayerNorm", Nested()),
            torch.ones(2, 3),
        ),
        case("a forward pass under no_grad", shown("a model with layer", Silent()), torch.ones(2, 3)),
        case(
            "frozen parameters",
            shown(
                "the model with body, head and spare; body and spare frozen",
                frozen(TwoHeads(), "body", "spare"),
            ),
            torch.ones(2, 3),
        ),
        case(
            "all frozen",
            shown("the model with body and head, all frozen", frozen(Cut(), "body", "head")),
            torch.ones(2, 3),
        ),
    ],
    rules=[calls("model", most=1, least=1), forbid("backward", "grad")],
    mistakes=[
        mistake(
            "Frozen parameters are in your list: they ask for no gradient, so nothing is left out there.",
            frozen_ones_too,
        ),
        mistake(
            "These are the parameters that the graph does reach; the others are asked for.",
            used_parameters,
        ),
        mistake(
            "Your list holds every parameter that asks for a gradient, used or not. Before a backward pass "
            "`.grad` is None for all of them, so it tells nothing; and in the graph a leaf is the node that "
            "has a `variable` (its name in full is torch::autograd::AccumulateGrad).",
            without_a_gradient,
        ),
        mistake(
            "You look which layers ran. A layer can run and its result be cut off; look which leaves the "
            "graph of the result holds.",
            layers_that_did_not_run,
            lambda model, x: layers_that_did_not_run(model, x, whole_name=True),
        ),
        mistake("The names are right and the list is not sorted.", in_the_models_order),
        mistake(
            "You look only at the sources of the last node; walk on to the leaves.",
            only_next_to_the_root,
        ),
        mistake(
            "You follow only the first of a node's `next_functions`; the others lead to parameters too.",
            down_the_first_sources,
        ),
        mistake(
            "You compare numbers or shapes: two parameters can agree in both. Ask whether they are the same "
            "object, by `is` or `id`.",
            of_other_numbers,
            lambda model, x: of_other_numbers(model, x, lambda one, other: one.shape == other.shape),
        ),
        mistake(
            "A parameter that the model holds under two names is in your list twice; `named_parameters()` "
            "gives it once.",
            under_every_name,
        ),
        mistake(
            "These are names of layers; the names of parameters are asked for, as `named_parameters()` gives "
            "them.",
            lambda model, x: sorted({name.rpartition(".")[0] for name in unused_parameters(model, x)}),
        ),
    ],
)

# 2.10 --------------------------------------------------------------------------------------------------


def depth(program, pick=max, one=1):
    deep = {}
    result = program()
    for node in ordered(result):
        deep[node] = one + pick((deep[source] for source in sources(node)), default=0)
    return deep[result.grad_fn] if result.grad_fn is not None else 0


def down_the_first_source(program):
    node, count = program().grad_fn, 0
    while node is not None:
        count += 1
        node = next(iter(sources(node)), None)
    return count


def first_time_reached(program, take):
    """The greatest distance from the root at which a walk finds a node for the first time."""
    root, deepest, seen = program().grad_fn, 0, set()
    todo = [(root, 1)] if root is not None else []
    while todo:
        node, distance = todo.pop(take)
        if node not in seen:
            seen.add(node)
            deepest = max(deepest, distance)
            todo += [(source, distance + 1) for source in sources(node)]
    return deepest


exercise(
    "2.10",
    "How deep is it?",
    reference=lambda program: depth(program),
    returns="the depth",
    cases=programs(
        a_chain=chain,
        a_short_way_and_a_long_one=short_way_first,
        a_long_way_and_a_short_one=long_way_first,
        two_leaves=two_leaves,
        forty_diamonds=forty_diamonds,
        five_thousand_deep=five_thousand_deep,
        a_result_without_a_graph=without_a_graph,
    ),
    rules=[ONCE],
    mistakes=[
        mistake(
            "You count the arrows of the longest path; its nodes are one more.",
            lambda program: max(depth(program) - 1, 0),
        ),
        mistake(
            "This is the number of all nodes; those on one path, the longest, are asked for.",
            count_nodes,
        ),
        mistake("This is the shortest path; the longest is asked for.", lambda program: depth(program, min)),
        mistake(
            "You follow only the first source of every node; the longest path may begin at another one.",
            down_the_first_source,
        ),
        mistake(
            "You fix a node's depth when you reach it for the first time, on a path that may be a short "
            "one. Compute it from its sources, once they are all known.",
            lambda program: first_time_reached(program, 0),
            lambda program: first_time_reached(program, -1),
        ),
    ],
)
