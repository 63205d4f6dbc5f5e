"""Exercises of lesson 03, autograd: their references, inputs and typical mistakes."""

import itertools
import math

import numpy as np
import torch

from course_utils.checks.exercise import (
    Draw,
    at_most,
    calls,
    case,
    exercise,
    forbid,
    mistake,
    shown,
    tensors_up_to,
)

# 3.1 ---------------------------------------------------------------------------------------------------


def by_hand(a=6, b=-10, p=-3, s=-3):
    return {"y": 1, "s": s, "p": p, "a": a, "b": b}


def judge_by_hand(result):
    """Which node is wrong, from y on, without telling the number."""
    if not isinstance(result, dict):
        return f"a dictionary is asked for, and this is of type {type(result).__name__}"
    right = by_hand()
    if set(result) != set(right):
        return f"the names are y, s, p, a and b, and yours are {', '.join(map(str, result))}"
    for name, gradient in right.items():
        try:
            found = float(result[name] if not isinstance(result[name], str) else "text")
        except (TypeError, ValueError):
            return (
                f"the gradient of {name} is to be a number, and this is of type {type(result[name]).__name__}"
            )
        if found != gradient:
            return (
                f"the gradient of {name} is not {found:g}. Each follows from those before it: y, s, p, a, b"
            )
    return ""


exercise(
    "3.1",
    "By hand, node by node",
    kind="value",
    reference=by_hand(),
    judge=judge_by_hand,
    mistakes=[
        mistake(
            "These are the values of the steps. The gradients say how fast y moves with each of them.",
            {"y": 12, "s": -4, "p": -6, "a": 2, "b": -3},
            {"y": 1, "s": -4, "p": -6, "a": 2, "b": -3},
        ),
        mistake(
            "A number that goes into two steps has two paths to y, and their shares add. `a` goes into p and "
            "into s, `b` into p and into y; at least one share is missing.",
            *(by_hand(a, b) for a in (6, 9, -3) for b in (-10, -4, -6) if (a, b) != (6, -10)),
        ),
        mistake(
            "These are the slopes of the single edges. On the way back each is multiplied with the gradient "
            "of the node that the edge leads to.",
            by_hand(a=-2, b=-2, p=1),
            by_hand(a=-3, b=2, p=1),
            by_hand(a=1, b=-4, p=1),
            by_hand(a=-2, b=2, p=1),
            by_hand(a=-2, b=-4, p=1),
        ),
        mistake(
            "In a product the slope towards one factor is the *other* factor, and you took the "
            "factor itself.",
            by_hand(a=-4 * 1 + -4 * 2, b=-3 + -4 * -3, p=-4, s=-4),
        ),
        mistake(
            "You stopped half-way: the gradient of p is that of s times the slope of s = p + a, which is 1.",
            by_hand(a=6, b=-10, p=1),
            by_hand(a=-3 + 1 * -3, b=-4 + 1 * 2, p=1),
        ),
    ],
)

# 3.2 ---------------------------------------------------------------------------------------------------


class Value:
    """The class of the lesson, before its way back."""

    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])

    __radd__, __rmul__ = __add__, __mul__


def wrong_value(of_sum, of_product):
    """A class like `Value` with the two given functions of (self, other) as + and ×."""

    class Wrong:
        def __init__(self, data, parents=()):
            self.data, self.parents, self.grad = data, parents, 0.0

        def __add__(self, other):
            return of_sum(Wrong, self, other if isinstance(other, Wrong) else Wrong(other))

        def __mul__(self, other):
            return of_product(Wrong, self, other if isinstance(other, Wrong) else Wrong(other))

        __radd__, __rmul__ = __add__, __mul__

    return Wrong


def right_sum(new, a, b):
    return new(a.data + b.data, [(a, 1.0), (b, 1.0)])


def right_product(new, a, b):
    return new(a.data * b.data, [(a, b.data), (b, a.data)])


def changed_in_place(new, a, b):
    old = new(a.data, a.parents)
    a.data, a.parents = a.data + b.data, [(old, 1.0), (b, 1.0)]
    return a


def cyclic(new, a, b):
    a.data, a.parents = a.data + b.data, [(a, 1.0), (b, 1.0)]
    return a


def turned_sum(new, a, b):
    return new(a.data + b.data, [(1.0, a), (1.0, b)])


def turned_product(new, a, b):
    return new(a.data * b.data, [(b.data, a), (a.data, b)])


def operations(answer, a, b):
    """What the operators of the class `answer` give for the numbers `a` and `b`."""
    left, right = answer(a), answer(b)
    made = {
        "a + b": left + right,
        "a * b": left * right,
        "a + a": left + left,
        "a * a": left * left,
        "a + 3": left + 3,
        "3 + a": 3 + left,
        "a * 3": left * 3,
        "3 * a": 3 * left,
    }
    found = {}
    for name, node in made.items():
        is_value = isinstance(node, answer)
        found[f"the type of {name}"] = "a Value" if is_value else type(node).__name__
        found[f"the data of {name}"] = node.data if is_value else None
        found[f"the grad of {name}"] = node.grad if is_value else None
        edges = list(node.parents) if is_value else []
        pairs = [edge for edge in edges if isinstance(edge, tuple | list) and len(edge) == 2]
        found[f"whether the parents of {name} are pairs"] = len(pairs) == len(edges)
        for operand, letter in ((left, "a"), (right, "b")):
            if letter in name:
                slopes = [slope for parent, slope in pairs if parent is operand]
                found[f"whether {letter} itself is a parent of {name}"] = bool(slopes)
                found[f"the slope of {name} towards {letter} (all its edges together)"] = sum(slopes)
        if "3" in name:
            numbers = [getattr(parent, "data", parent) for parent, _ in pairs if parent is not left]
            found[f"the data of the other parents of {name}"] = numbers
    found["the data of a and b afterwards"] = [left.data, right.data]
    return found


exercise(
    "3.2",
    "A sum and a product that remember",
    kind="class",
    reference=Value,
    use=operations,
    cases=[
        case("two numbers", 2.0, -3.0),
        case("a fraction and a number", 0.25, 1.5),
        case("a zero", 0.0, 4.0),
    ],
    mistakes=[
        mistake(
            "The slopes of the product are swapped: you gave each factor its own value. If `a` moves by a "
            "little, a · b moves b times as much, so the slope towards `a` is `b.data`.",
            wrong_value(right_sum, lambda new, a, b: new(a.data * b.data, [(a, a.data), (b, b.data)])),
        ),
        mistake(
            "Your product has the slopes of a sum. Towards each factor the slope is the other "
            "factor's `data`.",
            wrong_value(right_sum, lambda new, a, b: new(a.data * b.data, [(a, 1.0), (b, 1.0)])),
        ),
        mistake(
            "The operands themselves are missing among the parents. Pass the list of pairs (parent, slope) "
            "to `Value(…)` as its second argument, with the operands as parents: not their data, not copies.",
            wrong_value(lambda new, a, b: new(a.data + b.data), lambda new, a, b: new(a.data * b.data)),
            wrong_value(lambda new, a, b: new(a.data + b.data), right_product),
            wrong_value(right_sum, lambda new, a, b: new(a.data * b.data)),
            wrong_value(lambda new, a, b: right_sum(new, new(a.data), new(b.data)), right_product),
            wrong_value(
                lambda new, a, b: right_sum(new, new(a.data), new(b.data)),
                lambda new, a, b: right_product(new, new(a.data), new(b.data)),
            ),
        ),
        mistake(
            "Your pairs are the wrong way round: (parent, slope) is asked for.",
            wrong_value(turned_sum, turned_product),
            wrong_value(turned_sum, right_product),
            wrong_value(right_sum, turned_product),
        ),
        mistake(
            "The sum has the slopes of a product. If `a` moves by a little, a + b moves just as much: the "
            "slope is 1.0.",
            wrong_value(
                lambda new, a, b: new(a.data + b.data, [(a, b.data), (b, a.data)]),
                right_product,
            ),
            wrong_value(
                lambda new, a, b: new(a.data + b.data, [(a, a.data), (b, b.data)]),
                right_product,
            ),
        ),
        mistake(
            "You changed the left operand in place of making a new `Value`. The operands are still needed.",
            wrong_value(changed_in_place, right_product),
            wrong_value(cyclic, right_product),
        ),
    ],
)

# 3.3 and 3.4 -------------------------------------------------------------------------------------------


class Node:
    """What `Value` makes, drawn from a table: its `data`, its `parents` with slopes, its `grad`."""

    def __init__(self, name, parents):
        self.name, self.data, self.parents, self.grad = name, 7.0, parents, 0.0

    def __repr__(self):
        return self.name


def nodes_of(graph):
    """{"a": {}, "p": {"a": 2.0}} as nodes by name; a list of parents stands for slopes of 1."""
    made = {}
    for name, parents in graph.items():
        pairs = parents.items() if isinstance(parents, dict) else parents
        pairs = [pair if isinstance(pair, tuple) else (pair, 1.0) for pair in pairs]
        made[name] = Node(name, [(made[parent], slope) for parent, slope in pairs])
    return made


def topological(end):
    order, placed = [], set()

    def place(node):
        if node not in placed:
            placed.add(node)
            for parent, _ in node.parents:
                place(parent)
            order.append(node)

    place(end)
    return order


def ordered(answer, graph):
    """What is wrong with the order that `answer` gives for the last node of `graph`."""
    nodes = nodes_of(graph)
    *_, end = nodes.values()
    order = answer(end)
    if order is None:
        return None
    order = list(order)
    wanted = {node for node in nodes.values() if node.name != "not used"}
    late = [
        f"{node.name} before {parent.name}"
        for place, node in enumerate(order)
        for parent, _ in getattr(node, "parents", ())
        if parent in order and order.index(parent) > place
    ]
    found = {
        "nodes that are missing": [node.name for node in nodes.values() if node in wanted - set(order)],
        "things that do not belong there": [repr(node) for node in order if node not in wanted],
        "nodes that come more than once": [
            node.name for node in nodes.values() if node in wanted and order.count(node) > 1
        ],
        "the last node": [repr(order[-1])] if order else [],
        "nodes that come before one of their parents": late,
    }
    return {what: ", ".join(names) or "none" for what, names in found.items()}


def from_the_end(end):
    order, placed = [], set()

    def place(node):
        if node not in placed:
            placed.add(node)
            order.append(node)
            for parent, _ in node.parents:
                place(parent)

    place(end)
    return order


def without_memory(end):
    return [node for parent, _ in end.parents for node in without_memory(parent)] + [end]


def by_a_stack(end):
    order, waiting = [], [end]
    while waiting:
        node = waiting.pop()
        if node not in order:
            order.append(node)
            waiting += [parent for parent, _ in node.parents]
    return order


def level_by_level(end, turned=True):
    order, waiting = [], [end]
    while waiting:
        node = waiting.pop(0)
        if node not in order:
            order.append(node)
            waiting += [parent for parent, _ in node.parents]
    return order[::-1] if turned else order


DIAMOND = {"a": [], "b": [], "p": ["a", "b"], "s": ["p", "a"], "y": ["s", "b"]}
LONG_AND_SHORT = {"a": [], "k": ["a"], "l": ["k"], "m": ["l"], "n": ["a"], "y": ["m", "n", "k"]}
DOUBLINGS = {"d0": []} | {f"d{i}": [f"d{i - 1}", f"d{i - 1}"] for i in range(1, 11)}

exercise(
    "3.3",
    "Every node after its parents",
    reference=topological,
    use=ordered,
    cases=[
        case("a number alone", {"a": []}),
        case("a product", {"a": [], "b": [], "p": ["a", "b"]}),
        case("(a b + a) b, where a and b are used twice", DIAMOND),
        case("a long way and a short way", LONG_AND_SHORT),
        case("a number doubled ten times", DOUBLINGS),
        case("one parent after two", {"a": [], "b": [], "p": ["a", "b"], "t": ["p"], "y": ["t", "p"]}),
        case("a node that the end does not use", {"a": [], "not used": ["a"], "y": ["a"]}),
    ],
    mistakes=[
        mistake(
            "Your order runs from the end to the leaves: a node is placed before its parents. Append "
            "it after the loop over its parents.",
            from_the_end,
            lambda end: topological(end)[::-1],
            lambda end: without_memory(end)[::-1],
        ),
        mistake(
            "A node that is used twice is placed twice. Remember what was placed already, and skip it.",
            without_memory,
        ),
        mistake(
            "You walk level by level from the end, and a number that is reached by a long way and by a short "
            "one is placed for the short one. Place all parents of a node first, then the node.",
            level_by_level,
        ),
        mistake(
            "You turned round the order in which a walk from the end found the nodes. A node that is found "
            "by a short way then comes before parents that are found later. Append a node after its parents.",
            lambda end: from_the_end(end)[::-1],
            lambda end: by_a_stack(end)[::-1],
        ),
        mistake(
            "You walk level by level from the end, and the end comes first. Every node comes after "
            "its parents.",
            lambda end: level_by_level(end, turned=False),
        ),
        mistake(
            "These are only the end and its own parents. Their parents, and so on to the leaves, "
            "belong there too.",
            lambda end: [*dict.fromkeys(parent for parent, _ in end.parents), end],
        ),
        mistake(
            "The leaves are missing. A node without parents has a place in the order as well.",
            lambda end: [node for node in topological(end) if node.parents or node is end],
        ),
        mistake(
            "The end itself is missing: it comes last.",
            lambda end: topological(end)[:-1],
        ),
    ],
)


def backward(end):
    end.grad = 1.0
    for node in reversed(topological(end)):
        for parent, slope in node.parents:
            parent.grad += slope * node.grad


def gradients_of(answer, graph):
    """The gradients that `answer` leaves in the nodes of `graph`; its last node is the end."""
    nodes = nodes_of(graph)
    *_, end = nodes.values()
    answer(end)
    return {f"the gradient of {name}": node.grad for name, node in nodes.items()}


def walk(order, start=1.0, share=lambda parent, slope, node: parent.grad + slope * node.grad):
    def answer(end):
        end.grad = start
        for node in order(end):
            for parent, slope in node.parents:
                parent.grad = share(parent, slope, node)

    return answer


def back_to_front(end):
    return reversed(topological(end))


def path_by_path(end):
    """Passes on what has arrived so far, at every arrival."""

    def go(node):
        for parent, slope in node.parents:
            parent.grad += slope * node.grad
            go(parent)

    end.grad = 1.0
    go(end)


def again_in_a_queue(end):
    end.grad, waiting = 1.0, [end]
    while waiting:
        node = waiting.pop(0)
        for parent, slope in node.parents:
            parent.grad += slope * node.grad
            waiting.append(parent)


def one_share_for_each_parent(end):
    end.grad = 1.0
    for node in back_to_front(end):
        for parent, slope in dict(node.parents).items():
            parent.grad += slope * node.grad


WEIGHTED = {
    "a": {},
    "b": {},
    "p": [("a", -3.0), ("b", 2.0)],
    "s": [("p", 1.0), ("a", 1.0)],
    "y": [("s", -3.0), ("b", -4.0)],
}
SKIPPED = {
    "a": {},
    "k": [("a", 2.0)],
    "l": [("k", 0.5)],
    "m": [("l", -1.5), ("k", 3.0)],
    "y": [("m", 2.0), ("a", 0.25), ("k", -1.0)],
}
SHORT_FIRST = {"a": [], "k": [("a", 2.0)], "m": [("k", 3.0)], "y": [("k", -1.0), ("m", 2.0)]}

exercise(
    "3.4",
    "The way back",
    reference=backward,
    use=gradients_of,
    cases=[
        case("a square", {"a": [], "y": [("a", 3.0), ("a", 3.0)]}),
        case("a chain", {"a": [], "k": [("a", 2.0)], "l": [("k", -3.0)], "y": [("l", 0.5)]}),
        case("(a b + a) b from exercise 3.1", WEIGHTED),
        case("long and short ways", SKIPPED),
        case("the short way first", SHORT_FIRST),
        case("a number alone", {"a": []}),
        case("a node that the end does not use", {"a": [], "not used": [("a", 7.0)], "y": [("a", 2.0)]}),
    ],
    mistakes=[
        mistake(
            "A number that is used more than once keeps only its last share. Add each share to what "
            "is there: `+=`.",
            walk(back_to_front, share=lambda parent, slope, node: slope * node.grad),
        ),
        mistake(
            "Everything stays 0: the end's own gradient has to become 1 before the walk begins.",
            walk(back_to_front, start=0.0),
        ),
        mistake(
            "You add the slope alone. A share is the slope times the gradient of the node that it "
            "comes from.",
            walk(back_to_front, share=lambda parent, slope, node: parent.grad + slope),
        ),
        mistake(
            "Only the end's own parents get a share. Either the walk stops there, or it runs from "
            "the leaves on, "
            "and a node passes on its gradient before it has one. Go through `reversed(topological(end))`.",
            walk(topological),
            walk(lambda end: [end]),
        ),
        mistake(
            "You follow each path as you come to it, and a node passes on its sum every time a share "
            "arrives: the early shares count again and again. Walk the topological order, each node once.",
            path_by_path,
            again_in_a_queue,
        ),
        mistake(
            "You visit each node when your walk first reaches it, and some pass on their gradient before all "
            "of their shares are there. Go through `reversed(topological(end))`.",
            walk(lambda end: level_by_level(end, turned=False)),
            walk(from_the_end),
            walk(by_a_stack),
        ),
        mistake(
            "A parent that stands twice among a node's parents gets one share only: a dict keeps one entry.",
            one_share_for_each_parent,
        ),
        mistake(
            "You multiply the slope by `node.data`. A share is the slope times the node's gradient.",
            walk(back_to_front, share=lambda parent, slope, node: parent.grad + slope * node.data),
        ),
        mistake(
            "You pass on the gradient without the slope of the edge. A share is slope times gradient.",
            walk(back_to_front, share=lambda parent, slope, node: parent.grad + node.grad),
        ),
    ],
)

# 3.5 ---------------------------------------------------------------------------------------------------


def unbroadcast(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    stretched = tuple(i for i, length in enumerate(shape) if length == 1)
    return g.sum(axis=stretched, keepdims=True)


def reduced(reduce, leading=True, stretched=True, keepdims=True):
    """A wrong unbroadcast: with another reduction, or without one of its halves."""

    def answer(g, shape):
        if leading:
            for _ in range(g.ndim - len(shape)):
                g = reduce(g, axis=0)
        if stretched:
            for i in reversed(range(len(shape))):
                if shape[i] == 1:
                    g = reduce(g, axis=i, keepdims=True) if keepdims else reduce(g, axis=i)
        return g

    return answer


def shifted_away(g, shape):
    """Without keepdims and from the front: after the first sum the dimensions have moved."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    for i, length in enumerate(shape):
        if length == 1:
            g = g.sum(axis=i)
    return g


def first_copy(g, shape):
    g = g[(0,) * (g.ndim - len(shape))]
    for i, length in enumerate(shape):
        if length == 1:
            g = np.take(g, [0], axis=i)
    return g


def trailing(g, shape):
    for _ in range(g.ndim - len(shape)):
        g = g.sum(axis=-1)
    for i, length in enumerate(shape):
        if length == 1:
            g = g.sum(axis=i, keepdims=True)
    return g


draw = Draw("3.5")


def arriving(*shape):
    return draw.floats(*shape).numpy().astype(np.float64)


exercise(
    "3.5",
    "Back through broadcasting",
    reference=unbroadcast,
    cases=[
        case("a row for every row", np.array([[1.0, 2.0], [3.0, 4.0]]), (2,)),
        case("a column, stretched", np.array([[1.0, 2.0], [3.0, 4.0]]), (2, 1)),
        case("a row with its dimension, stretched", arriving(3, 4), (1, 4)),
        case("added in front and stretched", arriving(2, 3, 4), (3, 1)),
        case("two dimensions added in front", arriving(2, 3, 4), (4,)),
        case("nothing happened", arriving(3, 4), (3, 4)),
        case("a length of 1 that stayed 1", arriving(1, 4), (1, 4)),
        case("a single number", arriving(2, 3), ()),
        case("everything stretched", arriving(2, 3), (1, 1)),
    ],
    mistakes=[
        mistake(
            "You average the shares. Each copy sends back a share of its own, and shares add.",
            reduced(np.mean),
        ),
        mistake(
            "Dimensions that were stretched from length 1 are still long. Sum them too, with "
            "`keepdims=True`.",
            reduced(np.sum, stretched=False),
        ),
        mistake(
            "Dimensions that were added in front are still there. Sum over them first, until the number of "
            "dimensions is that of `shape`.",
            reduced(np.sum, leading=False),
        ),
        mistake(
            "The stretched dimension is gone, and `shape` has it with length 1: sum with `keepdims=True`.",
            reduced(np.sum, keepdims=False),
            shifted_away,
        ),
        mistake(
            "You sum the dimensions in front or the stretched ones. Both can be there: do one after the "
            "other.",
            lambda g, shape: reduced(np.sum, stretched=g.ndim == len(shape))(g, shape),
        ),
        mistake(
            "You sum away one dimension in front. There can be several: g.ndim - len(shape).",
            lambda g, shape: reduced(np.sum, leading=False)(
                g.sum(axis=0) if g.ndim > len(shape) else g, shape
            ),
        ),
        mistake(
            "You take the share of one copy. All copies send one back, and they add.",
            first_copy,
        ),
        mistake(
            "Broadcasting adds dimensions in front, and you summed over the last ones.",
            trailing,
        ),
    ],
)

# 3.6 ---------------------------------------------------------------------------------------------------


def linear_backward(x, W, b, g):
    return g @ W.T, x.T @ g, g.sum(dim=0)


draw = Draw("3.6")


def layer(batch, inputs, outputs):
    shapes = [(batch, inputs), (inputs, outputs), (outputs,), (batch, outputs)]
    return [(10 * draw.floats(*shape)).round() / 10 for shape in shapes]


exercise(
    "3.6",
    "The way back through a linear layer",
    reference=linear_backward,
    returns=("the gradient of x", "the gradient of W", "the gradient of b"),
    rules=[forbid("grad", "backward")],
    cases=[
        case("three examples", *layer(3, 4, 2)),
        case("one example", *layer(1, 2, 3)),
        case("one output", *layer(5, 3, 1)),
        case("square", *layer(2, 2, 2)),
    ],
    mistakes=[
        mistake(
            "The gradient of `b` is the arriving gradient as it is. `b` was copied to every row of "
            "the batch, so its shares add up along dim 0, and the result has the shape of `b`.",
            lambda x, W, b, g: (g @ W.T, x.T @ g, g),
        ),
        mistake(
            "You averaged over the batch. Shares add: a mean belongs to the loss, and is already in `g`.",
            lambda x, W, b, g: (g @ W.T, x.T @ g / len(x), g.mean(dim=0)),
            lambda x, W, b, g: (g @ W.T, x.T @ g / len(x), g.sum(dim=0)),
        ),
        mistake(
            "The bias is averaged over the batch; its shares add up like all others.",
            lambda x, W, b, g: (g @ W.T, x.T @ g, g.mean(dim=0)),
        ),
        mistake(
            "The gradient of `W` is transposed: it has the shape of `W`, (inputs, outputs).",
            lambda x, W, b, g: (g @ W.T, g.T @ x, g.sum(dim=0)),
        ),
        mistake(
            "The gradient of `b` is summed along the outputs. The batch is dim 0.",
            lambda x, W, b, g: (g @ W.T, x.T @ g, g.sum(dim=1)),
        ),
        mistake(
            "You sum all of `g` for `b`. Each output has a bias of its own: sum along dim 0 only.",
            lambda x, W, b, g: (g @ W.T, x.T @ g, g.sum().expand(len(b))),
            lambda x, W, b, g: (g @ W.T, x.T @ g, g.sum()),
        ),
        mistake(
            "The gradients come in another order: those of `x`, `W` and `b` are asked for.",
            lambda x, W, b, g: (x.T @ g, g @ W.T, g.sum(dim=0)),
            lambda x, W, b, g: (x.T @ g, g.sum(dim=0), g @ W.T),
            lambda x, W, b, g: (g @ W.T, g.sum(dim=0), x.T @ g),
        ),
        mistake(
            "You ignore `g`: this is the gradient of the plain sum of the outputs.",
            lambda x, W, b, g: linear_backward(x, W, b, torch.ones_like(g)),
        ),
    ],
)

# 3.7 ---------------------------------------------------------------------------------------------------


def differences(f, x, quotient):
    """quotient(f(x), f(x + step), f(x - step)) for a step along each entry; `step` is `quotient`'s own h."""
    h, of = quotient
    rows = torch.eye(len(x), dtype=x.dtype) * h
    return torch.stack([of(f(x), f(x + row), f(x - row)) for row in rows])


def worst_with(of, gap=torch.abs):
    """An answer that uses `of(at, right, left, h)` as its quotient and picks the largest gap(difference)."""

    def answer(f, x, claimed, h):
        slopes = differences(f, x, (h, lambda at, right, left: of(at, right, left, h)))
        place = gap(slopes - claimed).argmax().item()
        return place, slopes[place].item()

    return answer


worst = worst_with(lambda at, right, left, h: (right - left) / (2 * h))


def placed_by(order, given=lambda slope, claim: slope):
    """An answer that picks the place with the largest `order(slopes, claimed)`."""

    def answer(f, x, claimed, h):
        slopes = differences(f, x, (h, lambda at, right, left: (right - left) / (2 * h)))
        place = order(slopes, claimed).argmax().item()
        return place, given(slopes[place], claimed[place]).item()

    return answer


def all_at_once(f, x, claimed, h):
    slope = (f(x + h) - f(x - h)) / (2 * h)
    place = (slope - claimed).abs().argmax().item()
    return place, slope.item()


def doubles(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


exercise(
    "3.7",
    "Find the wrong slope",
    reference=worst,
    returns=("the place", "the central difference there"),
    rules=[forbid("grad", "backward")],
    cases=[
        case(
            "squares",
            shown("lambda t: (t**2).sum()", lambda t: (t**2).sum()),
            doubles(1, 2),
            doubles(2, 5),
            0.5,
        ),
        case(
            "cubes, with a coarse step",
            shown("lambda t: (t**3).sum()", lambda t: (t**3).sum()),
            doubles(1, -2, 0.5),
            doubles(3, 12, -1.75),
            0.5,
        ),
        case(
            "a claim that is too small",
            shown("lambda t: (t[0] * t[1] + t[2].exp()) * t[2]", lambda t: (t[0] * t[1] + t[2].exp()) * t[2]),
            doubles(2, -1, 0.3),
            doubles(-0.3, -3.4, -0.25),
            0.25,
        ),
        case(
            "a large slope and a small one",
            shown("lambda t: 50 * t[0] ** 2 + 0.1 * t[1]", lambda t: 50 * t[0] ** 2 + 0.1 * t[1]),
            doubles(1, 2),
            doubles(101, 0.3),
            0.25,
        ),
        case(
            "a fine step",
            shown("lambda t: torch.sin(t).prod()", lambda t: torch.sin(t).prod()),
            doubles(1, 2, 3, 0.5),
            doubles(0.03, -0.02, -0.9, 0.09),
            1e-5,
        ),
    ],
    mistakes=[
        mistake(
            "This is the forward quotient (f(x + h) - f(x)) / h. Its error shrinks only with h, the central "
            "one's with h². Step to both sides.",
            worst_with(lambda at, right, left, h: (right - at) / h),
        ),
        mistake(
            "This is the backward quotient (f(x) - f(x - h)) / h. Step to both sides.",
            worst_with(lambda at, right, left, h: (at - left) / h),
        ),
        mistake(
            "You divide by h, and the two points are 2h apart.",
            worst_with(lambda at, right, left, h: (right - left) / h),
        ),
        mistake(
            "`/ 2 * h` divides by 2 and then multiplies by h. Put brackets around 2 * h.",
            worst_with(lambda at, right, left, h: (right - left) / 2 * h),
        ),
        mistake(
            "You look for the largest difference with its sign, so a claim that is too large goes unseen. "
            "Take absolute values.",
            worst_with(lambda at, right, left, h: (right - left) / (2 * h), gap=lambda gap: gap),
            worst_with(lambda at, right, left, h: (right - left) / (2 * h), gap=torch.neg),
        ),
        mistake(
            "You compare relative to the slope. The card asks for the largest absolute difference.",
            placed_by(lambda slopes, claimed: ((slopes - claimed) / slopes).abs()),
            placed_by(lambda slopes, claimed: ((slopes - claimed) / claimed).abs()),
        ),
        mistake(
            "You move all entries at once. Each slope is about one entry that moves alone.",
            all_at_once,
        ),
        mistake(
            "You give the slope that was claimed; the central difference at that place is asked for.",
            placed_by(lambda slopes, claimed: (slopes - claimed).abs(), lambda slope, claim: claim),
        ),
        mistake(
            "You give how far the claim is off; the central difference at that place is asked for.",
            placed_by(
                lambda slopes, claimed: (slopes - claimed).abs(), lambda slope, claim: (slope - claim).abs()
            ),
            placed_by(lambda slopes, claimed: (slopes - claimed).abs(), lambda slope, claim: slope - claim),
            placed_by(lambda slopes, claimed: (slopes - claimed).abs(), lambda slope, claim: claim - slope),
        ),
        mistake(
            "You look for the largest slope; the place where `claimed` is farthest from the slope is asked "
            "for.",
            placed_by(lambda slopes, claimed: slopes.abs()),
            placed_by(lambda slopes, claimed: slopes),
        ),
        mistake(
            "This is the entry that fits best; the one where `claimed` is farthest off is asked for.",
            placed_by(lambda slopes, claimed: -(slopes - claimed).abs()),
        ),
    ],
)

# 3.8 ---------------------------------------------------------------------------------------------------


def softmax_backward(y, g):
    return y * (g - (g * y).sum(dim=-1, keepdim=True))


draw = Draw("3.8")

exercise(
    "3.8",
    "The way back through softmax",
    reference=softmax_backward,
    returns="the gradient of the scores",
    rules=[forbid("grad", "backward"), tensors_up_to(1000)],
    cases=[
        case("one row", torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])),
        case("a batch of two", draw.floats(2, 3).softmax(-1), draw.floats(2, 3)),
        case("as many rows as classes", draw.floats(4, 4).softmax(-1), draw.floats(4, 4)),
        case("a sure answer", torch.tensor([[1.0, 0.0, 0.0]]), draw.floats(1, 3)),
        case("equal gradients cancel", draw.floats(2, 5).softmax(-1), torch.full((2, 5), 3.0)),
        case("300 classes", draw.floats(2, 300).softmax(-1), 10 * draw.floats(2, 300)),
    ],
    mistakes=[
        mistake(
            "You used only the diagonal of the Jacobian, y(1 - y). In softmax every score moves every "
            "share: subtract the row's sum of g·y.",
            lambda y, g: g * y * (1 - y),
        ),
        mistake(
            "The second term is missing: y·g is only the part from δ. Subtract y times the row's sum of g·y.",
            lambda y, g: y * g,
        ),
        mistake(
            "You subtract the sum of `g`; each gradient is to be weighted by its share `y` first.",
            lambda y, g: y * (g - g.sum(dim=-1, keepdim=True)),
        ),
        mistake(
            "You sum over the whole batch. Each row is a softmax of its own: sum along the last dimension.",
            lambda y, g: y * (g - (g * y).sum()),
        ),
        mistake(
            "You sum over the batch, along dim 0. Each row is a softmax of its own: sum along the last one.",
            lambda y, g: y * (g - (g * y).sum(dim=0, keepdim=True)),
        ),
        mistake(
            "You subtract the mean of g·y along the row; the sum is asked for.",
            lambda y, g: y * (g - (g * y).mean(dim=-1, keepdim=True)),
        ),
        mistake(
            "The two terms have the wrong sign between them: the row's sum of g·y is subtracted.",
            lambda y, g: y * (g + (g * y).sum(dim=-1, keepdim=True)),
        ),
        mistake(
            "The sign is turned: the row's sum of g·y is subtracted from g, not g from the sum.",
            lambda y, g: -softmax_backward(y, g),
        ),
        mistake(
            "The factor y in front is missing: each score moves its own share only as much as y allows.",
            lambda y, g: g - (g * y).sum(dim=-1, keepdim=True),
        ),
        mistake(
            "This is the way back through the logarithm of softmax: `y` belongs to `g` inside the sum, and "
            "in front of the whole.",
            lambda y, g: g - y * g.sum(dim=-1, keepdim=True),
        ),
        mistake(
            "You subtract the mean of `g`; the sum of g·y along the row is asked for.",
            lambda y, g: y * (g - g.mean(dim=-1, keepdim=True)),
        ),
        mistake(
            "You apply softmax to `y`, which is softmax's result already.",
            lambda y, g: softmax_backward(y.softmax(dim=-1), g),
        ),
    ],
)

# 3.9 ---------------------------------------------------------------------------------------------------


def hessian_vector(f, x, u):
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
    (product,) = torch.autograd.grad(gradient @ u, leaf)
    return product


def gradient_at(f, x):
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(f(leaf), leaf)[0]


def through_a_sum(f, x, u):
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
    return torch.autograd.grad(gradient.sum(), leaf)[0] * u


def diagonal_only(f, x, u):
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
    rows = [torch.autograd.grad(entry, leaf, retain_graph=True)[0] for entry in gradient]
    return torch.stack([row[i] for i, row in enumerate(rows)]) * u


draw = Draw("3.9")
cubes = shown("lambda t: (t**3).sum()", lambda t: (t**3).sum())
mixed = shown(
    "lambda t: (t[:-1] * t[1:] ** 2).sum() + torch.cos(t).sum()",
    lambda t: (t[:-1] * t[1:] ** 2).sum() + torch.cos(t).sum(),
)
logistic = shown(
    "lambda t: torch.nn.functional.softplus(3 * t.sum()) + t.pow(4).mean()",
    lambda t: torch.nn.functional.softplus(3 * t.sum()) + t.pow(4).mean(),
)

exercise(
    "3.9",
    "Hessian-vector product",
    reference=hessian_vector,
    rules=[at_most(3, "grad", "backward"), tensors_up_to(1000), calls("f", most=1)],
    cases=[
        case("cubes", cubes, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0])),
        case("neighbours mixed", mixed, draw.floats(5), draw.floats(5)),
        case("a logistic loss", logistic, 0.3 * draw.floats(4), draw.floats(4)),
        case("the direction is zero", mixed, draw.floats(3), torch.zeros(3)),
        case("300 numbers", mixed, draw.floats(300), draw.floats(300)),
    ],
    mistakes=[
        mistake(
            "This is the gradient times `u`: first derivatives only. Take the gradient of (gradient · u).",
            lambda f, x, u: gradient_at(f, x) * u,
        ),
        mistake(
            "This is the gradient at x; the change of the gradient along `u` is asked for.",
            lambda f, x, u: gradient_at(f, x),
        ),
        mistake(
            "You went back through grad.sum() and multiplied by `u` after. The dot product with `u` comes "
            "first: it decides how the rows of the Hessian are weighted.",
            through_a_sum,
        ),
        mistake(
            "You used only the Hessian's diagonal; inputs that occur together have mixed derivatives.",
            diagonal_only,
        ),
        mistake(
            "This is u·H·u, a single number. The product H u has the shape of `u`.",
            lambda f, x, u: u @ hessian_vector(f, x, u),
        ),
        mistake(
            "The gradient itself is in your result as well: a second `backward` adds to the `.grad` that the "
            "first one left.",
            lambda f, x, u: gradient_at(f, x) + hessian_vector(f, x, u),
        ),
        mistake(
            "`u` takes no part: this is the Hessian times a vector of ones. Take the gradient of "
            "(gradient · u).",
            lambda f, x, u: hessian_vector(f, x, torch.ones_like(u)),
        ),
        mistake(
            "This is the Hessian times the gradient; its product with `u` is asked for.",
            lambda f, x, u: hessian_vector(f, x, gradient_at(f, x)),
            lambda f, x, u: 2 * hessian_vector(f, x, gradient_at(f, x)),
        ),
    ],
)

# 3.10 --------------------------------------------------------------------------------------------------


def weighted(loss, w, batches, factor):
    leaf = w.detach().clone().requires_grad_()
    for x, y in batches:
        (loss(leaf, x, y) * factor(len(x))).backward()
    return leaf.grad


def gradient_of_all(loss, w, batches):
    count = sum(len(x) for x, _ in batches)
    return weighted(loss, w, batches, lambda size: size / count)


def by_those_so_far(loss, w, batches):
    seen = itertools.accumulate(len(x) for x, _ in batches)
    return weighted(loss, w, batches, lambda size: size / next(seen))


draw = Draw("3.10")


def pieces(*sizes):
    return [(draw.floats(size, 3), draw.floats(size)) for size in sizes]


squares = shown(
    "lambda w, x, y: ((x * w - y) ** 2).mean()",
    lambda w, x, y: ((x * w - y) ** 2).mean(),
)
linear_squares = shown(
    "lambda w, x, y: ((x @ w - y) ** 2).mean()",
    lambda w, x, y: ((x @ w - y) ** 2).mean(),
)
logistic_mean = shown(
    "lambda w, x, y: torch.nn.functional.softplus(-y * (x @ w)).mean()",
    lambda w, x, y: torch.nn.functional.softplus(-y * (x @ w)).mean(),
)

exercise(
    "3.10",
    "Unequal micro-batches",
    reference=gradient_of_all,
    returns="the gradient",
    rules=[
        forbid("cat", "concat", "concatenate", "stack", "vstack", "hstack"),
        calls("loss", most=3, least=3),
    ],
    cases=[
        case(
            "one example, two, and one",
            squares,
            torch.tensor(0.0),
            [
                (torch.ones(1), torch.ones(1)),
                (torch.ones(2), torch.full((2,), 4.0)),
                (torch.full((1,), 2.0), torch.ones(1)),
            ],
        ),
        case("three unequal micro-batches", linear_squares, draw.floats(3), pieces(5, 2, 1)),
        case("three with a logistic loss", logistic_mean, draw.floats(3), pieces(1, 6, 2)),
        case("equal micro-batches", logistic_mean, draw.floats(3), pieces(4, 4, 4)),
        case("one example each", linear_squares, draw.floats(3), pieces(1, 1, 1)),
    ],
    mistakes=[
        mistake(
            "You added the gradients of the means: with k micro-batches the result is about k times "
            "too long. Weight each by its share of the examples.",
            lambda loss, w, batches: weighted(loss, w, batches, lambda size: 1.0),
        ),
        mistake(
            "You divided by the number of micro-batches. That is right only if all are equally large; an "
            "example in a small one now counts for more. Weight each micro-batch by its size.",
            lambda loss, w, batches: weighted(loss, w, batches, lambda size: 1 / len(batches)),
        ),
        mistake(
            "You divided by the number of all examples, but each loss already is a mean: multiply it by "
            "its micro-batch's size first.",
            lambda loss, w, batches: weighted(
                loss, w, batches, lambda size: 1 / sum(len(x) for x, _ in batches)
            ),
        ),
        mistake(
            "This is the sum over all examples: the division by their number is missing.",
            lambda loss, w, batches: weighted(loss, w, batches, lambda size: size),
        ),
        mistake(
            "You multiplied by the size and divided by the number of micro-batches; divide by the number of "
            "all examples.",
            lambda loss, w, batches: weighted(loss, w, batches, lambda size: size / len(batches)),
        ),
        mistake(
            "You divided each loss by its size. It is a mean already: multiply by the size.",
            lambda loss, w, batches: weighted(loss, w, batches, lambda size: 1 / size),
            lambda loss, w, batches: weighted(
                loss, w, batches, lambda size: 1 / size / sum(len(x) for x, _ in batches)
            ),
        ),
        mistake(
            "You divided by the number of examples so far. Count all of them before the first `backward`.",
            by_those_so_far,
        ),
        mistake(
            "Only the last micro-batch counts: the gradient was zeroed, or overwritten, before each of them.",
            lambda loss, w, batches: weighted(loss, w, batches[-1:], lambda size: 1.0),
            lambda loss, w, batches: weighted(
                loss, w, batches[-1:], lambda size: size / sum(len(x) for x, _ in batches)
            ),
        ),
    ],
)

# 3.11 --------------------------------------------------------------------------------------------------


class Dual:
    def __init__(self, value, slope=0.0):
        self.value, self.slope = value, slope

    def __add__(self, other):
        other = other if isinstance(other, Dual) else Dual(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other):
        other = other if isinstance(other, Dual) else Dual(other)
        return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    def tanh(self):
        t = math.tanh(self.value)
        return Dual(t, (1 - t * t) * self.slope)

    __radd__, __rmul__ = __add__, __mul__


def wrong_dual(product=None, bend=None, of_number=0.0, default=0.0, in_place=False):
    """A class like `Dual` with another slope of a product, of tanh, or of a plain number."""
    product = product or (lambda a, b: a.slope * b.value + a.value * b.slope)
    bend = bend or (lambda a: (1 - math.tanh(a.value) ** 2) * a.slope)

    class Wrong:
        def __init__(self, value, slope=default):
            self.value, self.slope = value, slope

        def __add__(self, other):
            other = other if isinstance(other, Wrong) else Wrong(other, of_number)
            if in_place:
                self.value, self.slope = self.value + other.value, self.slope + other.slope
                return self
            return Wrong(self.value + other.value, self.slope + other.slope)

        def __mul__(self, other):
            other = other if isinstance(other, Wrong) else Wrong(other, of_number)
            return Wrong(self.value * other.value, product(self, other))

        def tanh(self):
            return Wrong(math.tanh(self.value), bend(self))

        __radd__, __rmul__ = __add__, __mul__

    return Wrong


def dual_results(answer, x, u, y, v):
    """What the class `answer` gives for a = (x, u) and b = (y, v)."""
    a, b = answer(x, u), answer(y, v)
    made = {
        "a + b": a + b,
        "a * b": a * b,
        "a * a": a * a,
        "a + 3": a + 3,
        "2 * a": 2 * a,
        "3 + a * 2": 3 + a * 2,
        "a.tanh()": a.tanh(),
        "(a * b + a).tanh() * b": (a * b + a).tanh() * b,
        "Dual(4.0)": answer(4.0),
    }
    found = {}
    for name, dual in made.items():
        found |= {f"the value of {name}": dual.value, f"the slope of {name}": dual.slope}
    found["the values and slopes of a and b afterwards"] = [a.value, a.slope, b.value, b.slope]
    return found


exercise(
    "3.11",
    "Forward mode in a number",
    kind="class",
    reference=Dual,
    use=dual_results,
    cases=[
        case("the first input moves", 0.5, 1.0, -2.0, 0.0),
        case("the second input moves", 0.5, 0.0, -2.0, 1.0),
        case("both move", 1.5, 2.0, -0.25, -3.0),
        case("nothing moves", 0.75, 0.0, 3.0, 0.0),
    ],
    mistakes=[
        mistake(
            "You multiply the slopes of the two factors. If one factor stood still the product would not "
            "move at all, and it does: slope · other value + value · other slope.",
            wrong_dual(product=lambda a, b: a.slope * b.slope),
        ),
        mistake(
            "Half of the product's slope is missing: the second factor may move as well.",
            wrong_dual(product=lambda a, b: a.slope * b.value),
            wrong_dual(product=lambda a, b: b.slope * a.value),
        ),
        mistake(
            "Each slope is multiplied with its own value. The share of a factor that moves is its "
            "slope times the *other* factor's value.",
            wrong_dual(product=lambda a, b: a.slope * a.value + b.slope * b.value),
        ),
        mistake(
            "The product's slope is that of a sum. A factor that moves moves the product by the "
            "other factor's value times as much.",
            wrong_dual(product=lambda a, b: a.slope + b.slope),
        ),
        mistake(
            "`tanh` gives its own slope, 1 - tanh², and forgets how fast its input moves: multiply the two.",
            wrong_dual(bend=lambda a: 1 - math.tanh(a.value) ** 2),
        ),
        mistake(
            "`tanh` is applied to the slope. Its slope is (1 - tanh²) at the value, times the input's slope.",
            wrong_dual(bend=lambda a: math.tanh(a.slope)),
        ),
        mistake(
            "`tanh` passes the slope on as if it were a straight line: multiply it by 1 - tanh² of "
            "the value.",
            wrong_dual(bend=lambda a: a.slope),
        ),
        mistake(
            "A plain number moves with slope 1 in your class. It is a constant: its slope is 0.",
            wrong_dual(of_number=1.0),
            wrong_dual(of_number=1.0, default=1.0),
        ),
        mistake(
            "The slope of tanh is 1 - tanh²: the square of the result, not of the input.",
            wrong_dual(bend=lambda a: (1 - a.value**2) * a.slope),
        ),
        mistake(
            "The slope of tanh is 1 - tanh²: the square is missing.",
            wrong_dual(bend=lambda a: (1 - math.tanh(a.value)) * a.slope),
        ),
        mistake(
            "You changed the left operand in place of making a new `Dual`. The operands are still needed.",
            wrong_dual(in_place=True),
        ),
    ],
)

# 3.12 --------------------------------------------------------------------------------------------------


def fit(points, labels, new):
    center, spread = points.mean(dim=0), points.std(dim=0)
    points, new = (points - center) / spread, (new - center) / spread
    signs = 2.0 * labels - 1
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(2, 16, generator=generator), torch.zeros(16)]
    weights += [torch.randn(16, generator=generator) / 4, torch.zeros(())]
    for weight in weights:
        weight.requires_grad_()

    def score(points):
        W1, b1, w2, b2 = weights
        return torch.tanh(points @ W1 + b1) @ w2 + b2

    for _ in range(400):
        loss = torch.nn.functional.softplus(-signs * score(points)).mean()
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight -= gradient
    return (score(new) > 0).long()


def straight_line(points, labels, new):
    columns = torch.cat([points, torch.ones(len(points), 1)], dim=1).double()
    line = torch.linalg.lstsq(columns, (2.0 * labels - 1).double()[:, None]).solution
    return (new.double() @ line[:2] + line[2] > 0)[:, 0].long()


def logistic_line(points, labels, new):
    """A network without a bend, trained to the end: a straight line as well."""
    center, spread = points.mean(dim=0), points.std(dim=0)
    weight = torch.zeros(2, requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    signs = 2.0 * labels - 1
    for _ in range(2000):
        score = ((points - center) / spread) @ weight + bias
        loss = torch.nn.functional.softplus(-signs * score).mean()
        for_weight, for_bias = torch.autograd.grad(loss, [weight, bias])
        with torch.no_grad():
            weight -= for_weight
            bias -= for_bias
    return (((new - center) / spread) @ weight + bias > 0).long()


def nearer_middle(points, labels, new):
    middles = torch.stack([points[labels == label].mean(dim=0) for label in (0, 1)])
    return torch.cdist(new, middles).argmin(dim=1)


def half_circles(angles, labels):
    side = 1 - 2 * labels
    return torch.stack([labels + side * angles.cos(), 0.5 * labels + side * angles.sin()], dim=1)


draw = Draw("3.12")


def moons(count, noise):
    """Points of two moons, their labels in turn."""
    labels = torch.arange(count) % 2
    angles = math.pi * draw.integers(1001, count) / 1000
    return half_circles(angles, labels) + noise * draw.floats(count, 2), labels


def two_moons(name, change=lambda points: points):
    (points, labels), (new, truth) = moons(200, 0.1), moons(100, 0.05)
    return case(name, change(points), labels, change(new), truth)


def judge_moons(result, points, labels, new, truth):
    if not torch.is_tensor(result) or result.shape != truth.shape:
        what = f"shape {tuple(result.shape)}" if torch.is_tensor(result) else type(result).__name__
        return f"a tensor of shape {tuple(truth.shape)} is asked for, and this is {what}"
    if result.dtype != torch.int64:
        return f"labels of dtype torch.int64 are asked for, and these are {result.dtype}"
    if strange := sorted(set(result.tolist()) - {0, 1}):
        return f"the labels are 0 and 1, and among yours is {strange[0]}"
    right = int((result == truth).sum())
    if right >= 95:
        return ""
    lines = "straight lines get 85, 92 and 89"
    return f"{right} of 100 new points are right, and 95 are asked for ({lines})"


exercise(
    "3.12",
    "Part two moons",
    reference=fit,
    use=lambda answer, points, labels, new, truth: answer(points, labels, new),
    judge=judge_moons,
    cases=[
        two_moons("two moons"),
        two_moons("turned by a right angle", lambda points: points @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]])),
        two_moons("large, and far from 0", lambda points: 50 * points + 300),
    ],
    mistakes=[
        mistake(
            "This is what a straight line gives. Without a bend (tanh or relu) between them, two "
            "linear layers are one straight line as well.",
            straight_line,
            logistic_line,
        ),
        mistake(
            "The labels are the wrong way round: a score above 0 means label 1.",
            lambda points, labels, new: 1 - fit(points, labels, new),
        ),
        mistake(
            "Every point gets the label 0. Did the weights move from where they began?",
            lambda points, labels, new: torch.zeros(len(new), dtype=torch.int64),
        ),
        mistake(
            "Every point gets the label 1. Did the weights move from where they began?",
            lambda points, labels, new: torch.ones(len(new), dtype=torch.int64),
        ),
        mistake(
            "This is the label of the moon whose middle is nearer. The moons interlock, so their "
            "middles part them no better than a straight line.",
            nearer_middle,
        ),
    ],
)
