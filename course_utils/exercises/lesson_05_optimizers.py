"""Exercises of lesson 05, optimizers: their references, inputs and typical mistakes."""

import math

import torch

from course_utils.checks.exercise import case, exercise, mistake

random = torch.Generator().manual_seed(5)


def floats(*shape):
    return torch.randn(*shape, generator=random)


# 5.1 ---------------------------------------------------------------------------------------------------


def momentum_step(p, g, buffer, lr, mu):
    buffer = mu * buffer + g
    return p - lr * buffer, buffer


def momentum_in_place(p, g, buffer, lr, mu):
    buffer.mul_(mu).add_(g)
    p.sub_(lr * buffer)
    return p, buffer


exercise(
    "5.1",
    "A step of momentum",
    reference=momentum_step,
    cases=[
        case("ordinary", floats(4), floats(4), floats(4), 0.1, 0.9),
        case("the first step, the buffer is zero", floats(2, 3), floats(2, 3), torch.zeros(2, 3), 0.01, 0.9),
        case("the gradient is zero: the parameter rolls on", floats(3), torch.zeros(3), floats(3), 0.5, 0.8),
        case("no momentum", floats(3), floats(3), floats(3), 0.2, 0.0),
    ],
    mistakes=[
        mistake(
            "You step with the old buffer. The new gradient belongs into the buffer first.",
            lambda p, g, buffer, lr, mu: (p - lr * buffer, mu * buffer + g),
        ),
        mistake(
            "You weight the gradient with 1 − mu, as Adam does. PyTorch's momentum adds it as it is, so "
            "that a steady gradient adds up to 1/(1 − mu) times itself.",
            lambda p, g, buffer, lr, mu: (
                p - lr * (mu * buffer + (1 - mu) * g),
                mu * buffer + (1 - mu) * g,
            ),
        ),
        mistake(
            "Your buffer holds gradients times the rate. Then a change of the rate acts only slowly; "
            "PyTorch's holds the gradients, and the rate comes in at the step.",
            lambda p, g, buffer, lr, mu: (p - (mu * buffer + lr * g), mu * buffer + lr * g),
        ),
        mistake(
            "That is Nesterov's step, which looks ahead by another mu times the buffer. Here the step is "
            "the rate times the buffer.",
            lambda p, g, buffer, lr, mu: (p - lr * (g + mu * (mu * buffer + g)), mu * buffer + g),
        ),
        mistake(
            "The step is right, but you gave back the old buffer: at the next step this gradient would be "
            "forgotten.",
            lambda p, g, buffer, lr, mu: (p - lr * (mu * buffer + g), buffer),
        ),
        mistake(
            "The values are right, but you changed the tensors that you were given: mul_, add_ and += "
            "write in place.",
            momentum_in_place,
        ),
    ],
)

# 5.2 ---------------------------------------------------------------------------------------------------


def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return p - lr * m_hat / (v_hat.sqrt() + eps), m, v


def uncorrected(p, g, m, v, t, lr, beta1, beta2, eps):
    _, m, v = adam_step(p, g, m, v, t, lr, beta1, beta2, eps)
    return p - lr * m / (v.sqrt() + eps), m, v


def eps_inside(p, g, m, v, t, lr, beta1, beta2, eps):
    _, m, v = adam_step(p, g, m, v, t, lr, beta1, beta2, eps)
    return p - lr * m / (1 - beta1**t) / (v / (1 - beta2**t) + eps).sqrt(), m, v


def corrected_averages(p, g, m, v, t, lr, beta1, beta2, eps):
    new, m, v = adam_step(p, g, m, v, t, lr, beta1, beta2, eps)
    return new, m / (1 - beta1**t), v / (1 - beta2**t)


def without_root(p, g, m, v, t, lr, beta1, beta2, eps):
    _, m, v = adam_step(p, g, m, v, t, lr, beta1, beta2, eps)
    return p - lr * m / (1 - beta1**t) / (v / (1 - beta2**t) + eps), m, v


exercise(
    "5.2",
    "A step of Adam",
    reference=adam_step,
    cases=[
        case(
            "the first step", floats(4), floats(4), torch.zeros(4), torch.zeros(4), 1, 0.1, 0.9, 0.999, 1e-8
        ),
        case(
            "the tenth step",
            floats(2, 3),
            floats(2, 3),
            floats(2, 3),
            floats(2, 3) ** 2,
            10,
            0.01,
            0.8,
            0.99,
            1e-8,
        ),
        case("a large eps", floats(3), floats(3), floats(3), floats(3) ** 2, 3, 0.1, 0.9, 0.99, 0.5),
        case("no gradient", floats(3), torch.zeros(3), floats(3), floats(3) ** 2, 5, 0.1, 0.9, 0.99, 1e-3),
    ],
    mistakes=[
        mistake(
            "The bias correction is missing. The averages began at 0, so the first ones are too small: "
            "divide by 1 − beta**t.",
            uncorrected,
        ),
        mistake(
            "eps stands inside the root; it belongs outside: sqrt(v_hat) + eps. A tiny eps under a root "
            "is not tiny.",
            eps_inside,
        ),
        mistake(
            "You give back the corrected averages. They are for this step alone; what is kept is m and v "
            "as they are, or they would be corrected twice.",
            corrected_averages,
        ),
        mistake(
            "You divide by v_hat itself. Take its root: then the step has the size of the rate, whatever "
            "the unit of the gradient.",
            without_root,
        ),
        mistake(
            "You count the steps from t + 1: the first step has t = 1 here.",
            lambda p, g, m, v, t, lr, beta1, beta2, eps: adam_step(p, g, m, v, t + 1, lr, beta1, beta2, eps),
        ),
        mistake(
            "beta1 and beta2 are swapped: beta1 belongs to the gradient, beta2 to its square.",
            lambda p, g, m, v, t, lr, beta1, beta2, eps: adam_step(p, g, m, v, t, lr, beta2, beta1, eps),
        ),
    ],
)

# 5.3 ---------------------------------------------------------------------------------------------------


def decoupled(update, p, g, state, lr, weight_decay):
    return update(p * (1 - lr * weight_decay), g, state, lr)


def sign_step(p, g, state, lr):
    return p - lr * g.sign()


def plain_step(p, g, state, lr):
    return p - lr * g


def remembering_step(p, g, state, lr):
    state["b"] = 0.9 * state.get("b", 0.0) + g
    return p - lr * state["b"]


exercise(
    "5.3",
    "Decouple the decay",
    reference=decoupled,
    cases=[
        case("steps by the gradient's sign", sign_step, floats(5) * 3, floats(5), {}, 0.1, 0.5),
        case("plain descent", plain_step, floats(2, 2), floats(2, 2), {}, 0.01, 0.2),
        case("an optimizer with notes", remembering_step, floats(3), floats(3), {"b": floats(3)}, 0.3, 0.1),
        case("no decay", sign_step, floats(3), floats(3), {}, 0.1, 0.0),
        case("no gradient", sign_step, floats(3), torch.zeros(3), {}, 0.1, 0.3),
    ],
    mistakes=[
        mistake(
            "You added the decay to the gradient. That is L2, and it is just what decoupling avoids: the "
            "optimizer then divides (or takes the sign of) gradient and decay together.",
            lambda update, p, g, state, lr, weight_decay: update(p, g + weight_decay * p, state, lr),
        ),
        mistake(
            "You shrink after the step, so the step itself decays as well. Shrink the old parameter first.",
            lambda update, p, g, state, lr, weight_decay: update(p, g, state, lr) * (1 - lr * weight_decay),
        ),
        mistake(
            "The rate is missing: the factor is 1 − lr × weight_decay, so that a schedule scales the "
            "decay too.",
            lambda update, p, g, state, lr, weight_decay: update(p * (1 - weight_decay), g, state, lr),
        ),
        mistake(
            "There is no decay in your step.",
            lambda update, p, g, state, lr, weight_decay: update(p, g, state, lr),
        ),
        mistake(
            "The weights grow: the decay has the wrong sign.",
            lambda update, p, g, state, lr, weight_decay: update(p * (1 + lr * weight_decay), g, state, lr),
        ),
    ],
)

# 5.4 ---------------------------------------------------------------------------------------------------


def largest_step(hessian):
    curvatures = torch.linalg.eigvalsh(hessian)
    if curvatures[0] < 0:
        return 0.0
    return 2 / curvatures[-1].item() if curvatures[-1] > 0 else math.inf


def turned(*curvatures):
    """A symmetric matrix with these curvatures along axes of its own."""
    basis, _ = torch.linalg.qr(floats(len(curvatures), len(curvatures)).double())
    matrix = basis @ torch.tensor(curvatures, dtype=torch.float64).diag() @ basis.T
    return (matrix + matrix.T) / 2


def unless_flat(step):
    """`step`, but right for a matrix of zeros and for a negative curvature."""
    return lambda hessian: (
        largest_step(hessian) if largest_step(hessian) in (0.0, math.inf) else step(hessian)
    )


exercise(
    "5.4",
    "The largest stable step",
    reference=largest_step,
    cases=[
        case("two axes", torch.tensor([[4.0, 0.0], [0.0, 1.0]])),
        case("axes that are turned", turned(9.0, 3.0, 0.5)),
        case("one weight", torch.tensor([[0.25]])),
        case("a saddle", turned(5.0, 1.0, -0.3)),
        case("a steep hill", torch.tensor([[-8.0, 0.0], [0.0, 2.0]])),
        case("flat", torch.zeros(2, 2)),
    ],
    mistakes=[
        mistake(
            "1/λ is the rate that reaches the bottom of the steepest axis in one step. Twice that is "
            "still stable.",
            unless_flat(lambda hessian: 1 / torch.linalg.eigvalsh(hessian)[-1].item()),
        ),
        mistake(
            "You took the flattest axis. The steepest one is the first to explode.",
            unless_flat(lambda hessian: 2 / torch.linalg.eigvalsh(hessian)[0].item()),
        ),
        mistake(
            "You took the largest number on the diagonal. Those are the curvatures only if the axes are "
            "not turned; ask for the eigenvalues.",
            unless_flat(lambda hessian: 2 / hessian.diagonal().max().item()),
        ),
        mistake(
            "With a negative curvature no rate converges: that axis runs downhill for ever. Give 0.0 there.",
            lambda hessian: (
                2 / torch.linalg.eigvalsh(hessian)[-1].item() if hessian.abs().max() > 0 else math.inf
            ),
        ),
        mistake(
            "You took the largest curvature by size, without its sign: a steep hill is not a steep "
            "valley. A negative curvature gives 0.0.",
            lambda hessian: (
                2 / torch.linalg.eigvalsh(hessian).abs().max().item() if hessian.abs().max() > 0 else math.inf
            ),
        ),
    ],
)

# 5.5 ---------------------------------------------------------------------------------------------------


def factor(step, warmup, total, floor):
    if step < warmup:
        return step / warmup
    share = min(1.0, (step - warmup) / (total - warmup))
    return floor + (1 - floor) * (1 + math.cos(math.pi * share)) / 2


def cosine(share, floor):
    return floor + (1 - floor) * (1 + math.cos(math.pi * share)) / 2


exercise(
    "5.5",
    "Warm-up, cosine, floor",
    reference=factor,
    atol=1e-9,
    cases=[
        case("the first step", 0, 10, 110, 0.1),
        case("in the warm-up", 5, 10, 110, 0.1),
        case("at the peak", 10, 10, 110, 0.1),
        case("a quarter of the way down", 35, 10, 110, 0.1),
        case("half-way down", 60, 10, 110, 0.1),
        case("the last step", 110, 10, 110, 0.1),
        case("after the end", 150, 10, 110, 0.1),
        case("no warm-up, first step", 0, 0, 50, 0.0),
        case("no floor", 40, 0, 50, 0.0),
    ],
    mistakes=[
        mistake(
            "The cosine begins at step 0 instead of after the warm-up, so the rate jumps down at its "
            "peak. Its share is (step − warmup) / (total − warmup).",
            lambda step, warmup, total, floor: (
                step / warmup if step < warmup else cosine(min(1.0, step / total), floor)
            ),
        ),
        mistake(
            "Your cosine makes a whole turn: down half-way, and up again at the end. Half a turn is π.",
            lambda step, warmup, total, floor: (
                step / warmup
                if step < warmup
                else cosine(2 * min(1.0, (step - warmup) / (total - warmup)), floor)
            ),
        ),
        mistake(
            "After `total` your rate climbs again, since the cosine goes on. Keep the share at 1.",
            lambda step, warmup, total, floor: (
                step / warmup if step < warmup else cosine((step - warmup) / (total - warmup), floor)
            ),
        ),
        mistake(
            "You cut the cosine off at the floor (max). It should run down to the floor: floor + (1 − "
            "floor) times the cosine.",
            lambda step, warmup, total, floor: (
                step / warmup if step < warmup else max(floor, factor(step, warmup, total, 0.0))
            ),
        ),
        mistake(
            "With warmup = 0 you divide by zero. Look at `step < warmup` first: then the division is safe.",
            lambda step, warmup, total, floor: min(step / warmup, factor(step, warmup, total, floor)),
        ),
        mistake(
            "There is no warm-up: before step `warmup` the rate climbs from 0.",
            lambda step, warmup, total, floor: cosine(
                min(1.0, max(0, step - warmup) / (total - warmup)), floor
            ),
        ),
    ],
)

# 5.6 ---------------------------------------------------------------------------------------------------

CALLS, TARGET = 250, 1e-3


class OutOfCalls(Exception):
    """The gradient was asked for too often."""


class Gradient:
    """The gradient of a bent valley whose minimum lies at `place`; counts its calls, and refuses too many."""

    def __init__(self, *place):
        self.__place = torch.tensor(place, dtype=torch.float64)
        self.__calls = 0

    def __eq__(self, other):  # a call is no change of the input
        return type(other) is Gradient

    __hash__ = None

    def __repr__(self):
        return "the gradient of a bent valley"

    def height(self, p):
        x, y = p + 1 - self.__place
        return ((1 - x) ** 2 + 20 * (y - x**2) ** 2).item()

    def __call__(self, p):
        self.__calls += 1
        if self.__calls > CALLS:
            raise OutOfCalls(f"you have used all {CALLS} calls of the gradient")
        x, y = p.detach() + 1 - self.__place
        return torch.stack([-2 * (1 - x) - 80 * x * (y - x**2), 40 * (y - x**2)])


def point(x, y):
    return torch.tensor([x, y], dtype=torch.float64)


def find_minimum(gradient, start):
    p, b = start, torch.zeros_like(start)
    for _ in range(CALLS):
        g = gradient(p)
        b = 0.93 * b + g
        p = p - 0.003 * (g + 0.93 * b)
    return p


def plain(rate, calls=CALLS):
    def descend(gradient, start):
        p = start
        for _ in range(calls):
            p = p - rate * gradient(p)
        return p

    return descend


def judge_minimum(p, gradient, start):
    if not torch.is_tensor(p) or p.shape != (2,) or p.dtype != torch.float64:
        return "a float64 tensor of shape (2,) is asked for: the lowest point you found"
    height = gradient.height(p.detach())
    if not math.isfinite(height):
        return "your path left the valley for infinity. A smaller rate?"
    if height < TARGET:
        return ""
    return (
        f"you stopped at a height of {height:.2g}, below {TARGET} is asked for. The walls allow only small "
        "rates; what keeps its speed along the floor?"
    )


exercise(
    "5.6",
    "Down the bent valley",
    reference=find_minimum,
    judge=judge_minimum,
    cases=[
        case("from the left", Gradient(1.0, 1.0), point(-1.2, 1.4)),
        case("moved, from below", Gradient(4.0, -2.0), point(3.0, -3.5)),
        case("moved, from the right", Gradient(-3.0, 0.5), point(-2.5, 1.9)),
        case("moved far", Gradient(20.0, 30.0), point(18.2, 29.5)),
    ],
    mistakes=[
        mistake(
            "You gave back the start. Follow the gradient downhill first.",
            lambda gradient, start: start,
        ),
        mistake(
            "That is a single step. You may call the gradient 250 times.",
            plain(0.003, calls=1),
        ),
        mistake(
            "You gave the minimum of the valley as it is known from books, (1, 1). It is moved in every "
            "test: find it with the gradient.",
            lambda gradient, start: point(1.0, 1.0),
        ),
        mistake(
            "Plain gradient descent with a rate of 0.003 crawls along the floor and stops too high. Let "
            "the steps add up: momentum.",
            plain(0.003),
        ),
        mistake(
            "You went uphill: step against the gradient, p − rate × gradient.",
            plain(-0.003),
        ),
        mistake(
            "You call the gradient more than 250 times. With plain descent that does not pay; make each "
            "call go farther.",
            plain(0.003, calls=5000),
        ),
    ],
)
