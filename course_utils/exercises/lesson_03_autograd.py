"""Exercises of lesson 03, autograd: their references, inputs and typical mistakes."""

import math

import torch

from course_utils.checks.exercise import case, exercise, mistake

random = torch.Generator().manual_seed(3)


def floats(*shape):
    return torch.randn(*shape, generator=random)


# 3.1 ---------------------------------------------------------------------------------------------------


def slope(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


exercise(
    "3.1",
    "Central difference",
    reference=slope,
    cases=[
        case("a parabola", lambda t: t * t, 3.0, 0.5),
        case("a cubic, with a coarse step", lambda t: t**3 - t, 1.0, 0.5),
        case("the exponential", math.exp, 0.0, 0.1),
        case("a sine, at a negative number", math.sin, -2.0, 0.25),
    ],
    mistakes=[
        mistake(
            "This is the forward quotient (f(x + h) - f(x)) / h. Its error shrinks only with h; the "
            "central one's with h². Step to both sides.",
            lambda f, x, h: (f(x + h) - f(x)) / h,
        ),
        mistake(
            "This is the backward quotient (f(x) - f(x - h)) / h. Step to both sides.",
            lambda f, x, h: (f(x) - f(x - h)) / h,
        ),
        mistake(
            "You divide by h; the two points are 2h apart.",
            lambda f, x, h: (f(x + h) - f(x - h)) / h,
        ),
        mistake(
            "`/ 2 * h` divides by 2 and then multiplies by h. Put brackets around 2 * h.",
            lambda f, x, h: (f(x + h) - f(x - h)) / 2 * h,
        ),
        mistake(
            "The sign is wrong: the value to the right comes first, minus the value to the left.",
            lambda f, x, h: -slope(f, x, h),
        ),
    ],
)

# 3.2 ---------------------------------------------------------------------------------------------------


def linear_backward(x, W, b, g):
    return g @ W.T, x.T @ g, g.sum(dim=0)


exercise(
    "3.2",
    "The way back through a linear layer",
    reference=linear_backward,
    cases=[
        case("three examples", floats(3, 4), floats(4, 2), floats(2), floats(3, 2)),
        case("one example", floats(1, 2), floats(2, 3), floats(3), floats(1, 3)),
        case("one output", floats(5, 3), floats(3, 1), floats(1), floats(5, 1)),
        case("square", floats(2, 2), floats(2, 2), floats(2), floats(2, 2)),
    ],
    mistakes=[
        mistake(
            "The gradient of `b` is the arriving gradient as it is. `b` was stretched over the batch, so "
            "its gradients add up along dim 0, and the result has the shape of `b`.",
            lambda x, W, b, g: (g @ W.T, x.T @ g, g),
        ),
        mistake(
            "You averaged over the batch. Paths add: a mean belongs to the loss, and is already in `g`.",
            lambda x, W, b, g: (g @ W.T, x.T @ g / len(x), g.mean(dim=0)),
        ),
        mistake(
            "Only the bias is averaged over the batch; its gradients add up like all others.",
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
            "You ignore `g`: this is the gradient of the plain sum of the outputs.",
            lambda x, W, b, g: linear_backward(x, W, b, torch.ones_like(g)),
        ),
    ],
)

# 3.3 ---------------------------------------------------------------------------------------------------


def softmax_backward(y, g):
    return y * (g - (g * y).sum(dim=-1, keepdim=True))


exercise(
    "3.3",
    "The way back through softmax",
    reference=softmax_backward,
    cases=[
        case("one row", torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])),
        case("a batch of two", floats(2, 3).softmax(-1), floats(2, 3)),
        case("as many rows as classes", floats(4, 4).softmax(-1), floats(4, 4)),
        case("a sure answer", torch.tensor([[1.0, 0.0, 0.0]]), floats(1, 3)),
        case("equal gradients cancel", floats(2, 5).softmax(-1), torch.full((2, 5), 3.0)),
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
            "You subtract the mean of g·y along the row; the sum is asked for.",
            lambda y, g: y * (g - (g * y).mean(dim=-1, keepdim=True)),
        ),
    ],
)

# 3.4 ---------------------------------------------------------------------------------------------------


def hessian_vector(f, x, u):
    return torch.func.jvp(torch.func.grad(f), (x,), (u,))[1]


def cubes(t):
    return (t**3).sum()


def mixed(t):
    return (t[:-1] * t[1:]).sum() + torch.cos(t).sum()


def logistic(t):
    return torch.nn.functional.softplus(3 * t.sum()) + t.pow(4).mean()


def through_a_sum(f, x, u):
    """The row sums of the Hessian, times u: what grad(grad.sum()) * u gives."""
    return torch.autograd.functional.hessian(f, x).sum(dim=0) * u


exercise(
    "3.4",
    "Hessian-vector product",
    reference=hessian_vector,
    cases=[
        case("cubes", cubes, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0])),
        case("neighbours mixed", mixed, floats(5), floats(5)),
        case("a logistic loss", logistic, floats(4) * 0.3, floats(4)),
        case("the direction is zero", mixed, floats(3), torch.zeros(3)),
    ],
    mistakes=[
        mistake(
            "This is the gradient times `u`: first derivatives only. Take the gradient of (gradient · u).",
            lambda f, x, u: torch.func.grad(f)(x) * u,
        ),
        mistake(
            "This is the gradient at x; the change of the gradient along `u` is asked for.",
            lambda f, x, u: torch.func.grad(f)(x),
        ),
        mistake(
            "You went back through grad.sum() and multiplied by `u` after. The dot product with `u` comes "
            "first: it decides how the rows of the Hessian are weighted.",
            through_a_sum,
        ),
        mistake(
            "You used only the Hessian's diagonal; inputs that occur together have mixed derivatives.",
            lambda f, x, u: torch.autograd.functional.hessian(f, x).diagonal() * u,
        ),
        mistake(
            "This is u·H·u, a single number. The product H u has the shape of `u`.",
            lambda f, x, u: u @ hessian_vector(f, x, u),
        ),
    ],
)

# 3.5 ---------------------------------------------------------------------------------------------------


def squares(w, x, y):
    return ((x * w - y) ** 2).mean()


def linear_squares(w, x, y):
    return ((x @ w - y) ** 2).mean()


def logistic_mean(w, x, y):
    return torch.nn.functional.softplus(-y * (x @ w)).mean()


def weighted(loss, w, batches, factor):
    return sum(torch.func.grad(loss)(w, x, y) * factor(len(x)) for x, y in batches)


def gradient_in_bites(loss, w, batches):
    count = sum(len(x) for x, _ in batches)
    return weighted(loss, w, batches, lambda size: size / count)


def bites(*sizes):
    return [(floats(size, 3), floats(size)) for size in sizes]


exercise(
    "3.5",
    "Unequal micro-batches",
    reference=gradient_in_bites,
    cases=[
        case(
            "one example and two",
            squares,
            torch.tensor(0.0),
            [(torch.ones(1), torch.ones(1)), (torch.ones(2), torch.full((2,), 4.0))],
        ),
        case("three unequal bites", linear_squares, floats(3), bites(5, 2, 1)),
        case("equal bites", logistic_mean, floats(3), bites(4, 4)),
        case("a single bite", linear_squares, floats(3), bites(6)),
    ],
    mistakes=[
        mistake(
            "You added the gradients of the means: with k bites the result is about k times too long. "
            "Weight each by its share of the examples.",
            lambda loss, w, batches: weighted(loss, w, batches, lambda size: 1.0),
        ),
        mistake(
            "You divided by the number of bites. That is right only if all are equally large; an example "
            "in a small bite now counts for more. Weight each bite by its size.",
            lambda loss, w, batches: weighted(loss, w, batches, lambda size: 1 / len(batches)),
        ),
        mistake(
            "You divided by the number of all examples, but each loss already is a mean: multiply it by "
            "its bite's size first.",
            lambda loss, w, batches: weighted(
                loss, w, batches, lambda size: 1 / sum(len(x) for x, _ in batches)
            ),
        ),
        mistake(
            "This is the sum over all examples: the division by their number is missing.",
            lambda loss, w, batches: weighted(loss, w, batches, lambda size: size),
        ),
        mistake(
            "Only the last bite counts: the gradient was zeroed, or overwritten, between the bites.",
            lambda loss, w, batches: torch.func.grad(loss)(w, *batches[-1]),
        ),
    ],
)

# 3.6 ---------------------------------------------------------------------------------------------------

CALLS = 100


class Counted:
    """A function that may be called 100 times; every run of an answer gets a fresh copy of it."""

    def __init__(self, f):
        self._f, self._calls = f, 0

    def __call__(self, x):
        self._calls += 1
        if self._calls > CALLS:
            raise RuntimeError(f"f was called more than {CALLS} times")
        return self._f(x)


def bowl(x):
    return 40 * ((x - torch.linspace(-2, 2, len(x), dtype=x.dtype)) ** 2).sum()


def ravine(x):
    return 0.5 * (torch.logspace(-1, 1, len(x), dtype=x.dtype) * (x - 1) ** 2).sum()


def valley(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def minimise(f, x):
    x = x.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([x], max_iter=70, max_eval=70, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = f(x)
        value.backward()
        return value

    optimizer.step(closure)
    return x.detach()


def descend(rate, sign=-1.0, zero=True):
    def answer(f, x):
        x = x.clone().requires_grad_()
        for _ in range(CALLS):
            f(x).backward()
            with torch.no_grad():
                x += sign * rate * x.grad
            if zero:
                x.grad = None
        return x.detach()

    return answer


def nudging(f, x):
    for _ in range(CALLS):
        start = f(x)
        steps = torch.eye(len(x), dtype=x.dtype) * 1e-6
        x = x - 0.001 * torch.stack([(f(x + step) - start) / 1e-6 for step in steps])
    return x


def judge_minimise(result, f, x):
    if not torch.is_tensor(result) or result.shape != x.shape:
        return f"a tensor of shape {tuple(x.shape)} is asked for: the place, not the value"
    if not result.isfinite().all():
        return (
            "there is inf or NaN in the result: the steps were too long, and grew. Halve a step that fails."
        )
    start, end = f(x).item(), f(result.detach().to(x.dtype)).item()
    if end <= start / 1000:
        return ""
    if end >= start:
        went = f"the value went from {start:.4g} to {end:.4g}, which is not down"
        return f"{went}: is the sign right, and the step short enough?"
    return (
        f"the value went from {start:.4g} to {end:.4g}; at most {start / 1000:.4g} is asked for. "
        "Adapt the step, or use momentum or the curvature."
    )


exercise(
    "3.6",
    "Down with 100 calls",
    reference=minimise,
    judge=judge_minimise,
    cases=[
        case("a round bowl", Counted(bowl), torch.zeros(6, dtype=torch.float64)),
        case("a long ravine", Counted(ravine), torch.full((8,), 5.0, dtype=torch.float64)),
        case("a curved valley", Counted(valley), torch.tensor([-1.2, 1.0], dtype=torch.float64)),
    ],
    mistakes=[
        mistake(
            "This is the start itself, unchanged: step against the gradient, and return where you arrived.",
            lambda f, x: x.clone(),
        ),
        mistake(
            "You climb: the gradient points uphill. Subtract it.",
            descend(0.001, sign=1.0),
        ),
        mistake(
            "The gradient accumulates: every backward adds to `.grad`. Set it to None after each step.",
            descend(0.001, zero=False),
        ),
        mistake(
            "A fixed step of 0.001 is safe in the valley and too short elsewhere. Let the step grow while "
            "the value falls.",
            descend(0.001),
        ),
        mistake(
            "Nudging each number costs a call for each, and the 100 calls are spent. Autograd gives the "
            "whole gradient for one.",
            nudging,
        ),
    ],
)
