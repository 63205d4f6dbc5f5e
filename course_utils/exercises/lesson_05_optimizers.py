"""Exercises of lesson 05, optimizers: their references, inputs and typical mistakes."""

import math

import torch

from course_utils.checks.exercise import Draw, calls, case, exercise, mistake, shown

# 5.1 ---------------------------------------------------------------------------------------------------

draw = Draw("5.1")


def largest_step(hessian):
    curvatures = torch.linalg.eigvalsh(hessian)
    size = curvatures.abs().max()
    if size == 0:
        return math.inf
    if curvatures[0] < -1e-5 * size:
        return 0.0
    return 2 / curvatures[-1].item()


def turned(*curvatures):
    """A symmetric float64 matrix with these curvatures along axes of its own."""
    basis, _ = torch.linalg.qr(draw.floats(len(curvatures), len(curvatures)).double())
    matrix = basis @ torch.tensor(curvatures, dtype=torch.float64).diag() @ basis.T
    return (matrix + matrix.T) / 2


def unless_special(step):
    """`step`, but right for a matrix of zeros and for a hill."""

    def guarded(hessian):
        special = largest_step(hessian)
        return special if special in (0.0, math.inf) else step(hessian)

    return guarded


def top(hessian):
    return torch.linalg.eigvalsh(hessian)[-1].item()


def over(number):
    """2 / number, and infinity for 0, as a tensor would give it."""
    return 2 / number if number else math.inf


def without_tolerance(hessian):
    curvatures = torch.linalg.eigvalsh(hessian)
    if curvatures[0] < 0:
        return 0.0
    return over(curvatures[-1].item())


def absolute_tolerance(hessian):
    curvatures = torch.linalg.eigvalsh(hessian)
    if curvatures[0] < -1e-5:
        return 0.0
    return over(curvatures[-1].item())


def flat_is_a_hill(hessian):
    curvatures = torch.linalg.eigvalsh(hessian)
    size = curvatures.abs().max()
    if size == 0:
        return math.inf
    return 0.0 if curvatures[0] <= 1e-5 * size else 2 / curvatures[-1].item()


exercise(
    "5.1",
    "The largest stable step",
    reference=largest_step,
    cases=[
        case("two axes", torch.tensor([[4.0, 0.0], [0.0, 1.0]])),
        case("axes that are turned", turned(9.0, 3.0, 0.5)),
        case("one weight", torch.tensor([[0.25]])),
        case("a saddle", turned(5.0, 1.0, -0.3)),
        case("a steep hill", torch.tensor([[-8.0, 0.0], [0.0, 2.0]])),
        case("a hill that hardly slopes", turned(5.0, 1.0, -2e-4)),
        case("nothing but hills", turned(-1.0, -2.0)),
        case("one flat axis beside a steep one", torch.tensor([[3.0, 0.0], [0.0, 0.0]])),
        case("all ones: one steep axis, two flat ones", torch.ones(3, 3)),
        case("one steep axis, six flat ones", turned(7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0).float()),
        case("the same, a thousand times as steep", turned(7000.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0).float()),
        case("a slope that counts as zero", turned(5.0, 1.0, -3.5e-5)),
        case("all of it small, with a hill", turned(5e-3, 1e-3, -2e-7)),
        case("flat", torch.zeros(2, 2)),
    ],
    mistakes=[
        mistake(
            "1/λ is the rate that reaches the bottom of the steepest axis in one step. Twice that is "
            "still stable.",
            unless_special(lambda hessian: 1 / top(hessian)),
        ),
        mistake(
            "You took the flattest axis. The steepest one is the first to explode.",
            unless_special(lambda hessian: over(torch.linalg.eigvalsh(hessian)[0].item())),
            unless_special(lambda hessian: 2 / max(torch.linalg.eigvalsh(hessian)[0].item(), 1e-30)),
            unless_special(lambda hessian: 2 / torch.linalg.eigvalsh(hessian)[0].item()),
        ),
        mistake(
            "You took the largest number on the diagonal. Those are the curvatures only if the axes are "
            "not turned; ask for the eigenvalues.",
            unless_special(lambda hessian: 2 / hessian.diagonal().max().item()),
        ),
        mistake(
            "The norm of the whole matrix is more than its largest curvature, as soon as two axes are "
            "curved. Take the largest eigenvalue.",
            unless_special(lambda hessian: 2 / hessian.norm().item()),
        ),
        mistake(
            "Where there is nothing but hills, every axis runs downhill: give 0.0. Only a matrix of zeros "
            "gives infinity, so look for hills first.",
            lambda hessian: math.inf if top(hessian) <= 0 else largest_step(hessian),
        ),
        mistake(
            "With a negative curvature no rate converges: that axis runs downhill for ever. Give 0.0 there.",
            lambda hessian: over(top(hessian)),
            lambda hessian: over(max(top(hessian), 0.0)),
            lambda hessian: 2 / top(hessian) if top(hessian) > 0 else 0.0 if hessian.any() else math.inf,
        ),
        mistake(
            "You took the largest curvature by size, without its sign: a steep hill is not a steep "
            "valley. A negative curvature gives 0.0.",
            lambda hessian: over(torch.linalg.eigvalsh(hessian).abs().max().item()),
        ),
        mistake(
            "A flat axis does no harm: it does not move. What rounding makes of its zero, such as -1e-7, "
            "is no hill; compare with -1e-5 times the largest curvature's size.",
            without_tolerance,
            absolute_tolerance,
            flat_is_a_hill,
        ),
    ],
)

# 5.2 ---------------------------------------------------------------------------------------------------

draw = Draw("5.2")


def momentum_step(p, g, buffer, lr, mu):
    buffer = mu * buffer + g
    return p - lr * buffer, buffer


def all_in_place(p, g, buffer, lr, mu):
    buffer.mul_(mu).add_(g)
    p.sub_(lr * buffer)
    return p, buffer


def buffer_in_place(p, g, buffer, lr, mu):
    buffer.mul_(mu).add_(g)
    return p - lr * buffer, buffer


def parameter_in_place(p, g, buffer, lr, mu):
    buffer = mu * buffer + g
    p -= lr * buffer
    return p, buffer


exercise(
    "5.2",
    "A step of momentum",
    reference=momentum_step,
    returns=("the new parameter", "the new buffer"),
    cases=[
        case("ordinary", draw.floats(4), draw.floats(4), draw.floats(4), 0.1, 0.9),
        case(
            "the first step: the buffer is zero",
            draw.floats(2, 3),
            draw.floats(2, 3),
            torch.zeros(2, 3),
            0.01,
            0.9,
        ),
        case(
            "the gradient is zero: the parameter rolls on",
            draw.floats(3),
            torch.zeros(3),
            draw.floats(3),
            0.5,
            0.8,
        ),
        case("no momentum", draw.floats(3), draw.floats(3), draw.floats(3), 0.2, 0.0),
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
            "mu is for the old buffer alone: it fades, and the new gradient comes in as it is.",
            lambda p, g, buffer, lr, mu: (p - lr * (buffer + mu * g), buffer + mu * g),
            lambda p, g, buffer, lr, mu: (p - lr * mu * (buffer + g), mu * (buffer + g)),
        ),
        mistake(
            "The new gradient is in the new buffer already; you step along it once more.",
            lambda p, g, buffer, lr, mu: (p - lr * (mu * buffer + g) - lr * g, mu * buffer + g),
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
            "The rate belongs to the whole new buffer, also to the old part in it: p − lr × buffer.",
            lambda p, g, buffer, lr, mu: (p - lr * g - mu * buffer, mu * buffer + g),
        ),
        mistake(
            "You step along the gradient alone. The parameter moves by the rate times the new buffer.",
            lambda p, g, buffer, lr, mu: (p - lr * g, mu * buffer + g),
        ),
        mistake(
            "The two are right and stand the wrong way round: first the parameter, then the buffer.",
            lambda p, g, buffer, lr, mu: momentum_step(p, g, buffer, lr, mu)[::-1],
        ),
        mistake(
            "With mu = 0 the new buffer is g, as for every other mu: no case of its own is needed.",
            lambda p, g, buffer, lr, mu: momentum_step(p, g, buffer, lr, mu) if mu else (p - lr * g, buffer),
            lambda p, g, buffer, lr, mu: (
                momentum_step(p, g, buffer, lr, mu) if mu else (p - lr * g, torch.zeros_like(p))
            ),
        ),
        mistake(
            "The step is right, but you gave back the old buffer: at the next step this gradient would be "
            "forgotten.",
            lambda p, g, buffer, lr, mu: (p - lr * (mu * buffer + g), buffer),
        ),
        mistake(
            "You step uphill: the buffer holds gradients, and the parameter goes against it.",
            lambda p, g, buffer, lr, mu: (p + lr * (mu * buffer + g), mu * buffer + g),
        ),
        mistake(
            "The values are right, but you changed the tensors that you were given: mul_, add_ and += "
            "write in place.",
            all_in_place,
            buffer_in_place,
            parameter_in_place,
        ),
    ],
)

# 5.3 ---------------------------------------------------------------------------------------------------

draw = Draw("5.3")


def moments(g, m, v, beta1, beta2):
    return beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2


exercise(
    "5.3",
    "Adam, first the moments",
    reference=moments,
    returns=("m", "v"),
    cases=[
        case("the first step", draw.floats(4), torch.zeros(4), torch.zeros(4), 0.9, 0.99),
        case("later", draw.floats(2, 3), draw.floats(2, 3), draw.floats(2, 3) ** 2, 0.8, 0.95),
        case("no gradient: both fade", torch.zeros(3), draw.floats(3), draw.floats(3) ** 2, 0.9, 0.5),
        case("no memory", draw.floats(3), draw.floats(3), draw.floats(3) ** 2, 0.0, 0.0),
    ],
    mistakes=[
        mistake(
            "You add the gradient as it is, as momentum does. In an average the new value gets the rest, "
            "1 − beta.",
            lambda g, m, v, beta1, beta2: (beta1 * m + g, beta2 * v + g**2),
            lambda g, m, v, beta1, beta2: (beta1 * m + g, beta2 * v + (1 - beta2) * g**2),
        ),
        mistake(
            "The shares are swapped: beta is what stays of the old average, 1 − beta what the new value "
            "gets.",
            lambda g, m, v, beta1, beta2: (
                (1 - beta1) * m + beta1 * g,
                (1 - beta2) * v + beta2 * g**2,
            ),
        ),
        mistake(
            "Your v averages the gradient, or its size. It is the average of the squares.",
            lambda g, m, v, beta1, beta2: (beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g),
            lambda g, m, v, beta1, beta2: (beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g.abs()),
        ),
        mistake(
            "You square the share along with the gradient: it is (1 − beta2) times g**2.",
            lambda g, m, v, beta1, beta2: (
                beta1 * m + (1 - beta1) * g,
                beta2 * v + ((1 - beta2) * g) ** 2,
            ),
        ),
        mistake(
            "Your v averages the squares of m. It takes the gradient's own squares.",
            lambda g, m, v, beta1, beta2: (
                beta1 * m + (1 - beta1) * g,
                beta2 * v + (1 - beta2) * (beta1 * m + (1 - beta1) * g) ** 2,
            ),
        ),
        mistake(
            "You corrected the averages already. That is the next task; here they are kept as they are.",
            lambda g, m, v, beta1, beta2: (
                (beta1 * m + (1 - beta1) * g) / (1 - beta1),
                (beta2 * v + (1 - beta2) * g**2) / (1 - beta2),
            ),
        ),
        mistake(
            "The two are right and stand the wrong way round: first m, then v.",
            lambda g, m, v, beta1, beta2: moments(g, m, v, beta1, beta2)[::-1],
        ),
        mistake(
            "beta1 and beta2 are swapped: beta1 belongs to the gradient, beta2 to its square.",
            lambda g, m, v, beta1, beta2: moments(g, m, v, beta2, beta1),
        ),
        mistake(
            "You use one beta for both averages: beta1 belongs to the gradient, beta2 to its square.",
            lambda g, m, v, beta1, beta2: moments(g, m, v, beta1, beta1),
            lambda g, m, v, beta1, beta2: moments(g, m, v, beta2, beta2),
        ),
        mistake(
            "Your v mixes the numbers of the parameter. Each number has an average of its own, of its own "
            "squares.",
            lambda g, m, v, beta1, beta2: (
                beta1 * m + (1 - beta1) * g,
                beta2 * v + (1 - beta2) * (g**2).mean(),
            ),
            lambda g, m, v, beta1, beta2: (
                beta1 * m + (1 - beta1) * g,
                beta2 * v + (1 - beta2) * (g**2).sum(),
            ),
        ),
        mistake(
            "Your v averages squared distances from m, as a variance does. It takes the gradient's squares.",
            lambda g, m, v, beta1, beta2: (
                beta1 * m + (1 - beta1) * g,
                beta2 * v + (1 - beta2) * (g - m) ** 2,
            ),
            lambda g, m, v, beta1, beta2: (
                beta1 * m + (1 - beta1) * g,
                beta2 * v + (1 - beta2) * (g - beta1 * m - (1 - beta1) * g) ** 2,
            ),
        ),
    ],
)

# 5.4 ---------------------------------------------------------------------------------------------------

draw = Draw("5.4")


def corrected(average, beta, t):
    return average / (1 - beta**t)


exercise(
    "5.4",
    "Adam, then the bias correction",
    reference=corrected,
    returns="the corrected average",
    cases=[
        case("after the first step", draw.floats(3), 0.9, 1),
        case("after two", draw.floats(2, 2), 0.9, 2),
        case("after ten, a long memory", draw.floats(3), 0.999, 10),
        case("after a thousand, hardly a difference", draw.floats(3), 0.99, 1000),
        case("no memory", draw.floats(2), 0.0, 3),
    ],
    mistakes=[
        mistake(
            "That is the correction of the first step at every step. With t steps it is 1 − beta**t.",
            lambda average, beta, t: average / (1 - beta),
        ),
        mistake(
            "1 − beta stands in brackets of its own in your power. Only beta is raised to t: 1 − beta**t.",
            lambda average, beta, t: average / (1 - beta) ** t,
        ),
        mistake(
            "You count the steps from t + 1. Here t is 1 after the first step.",
            lambda average, beta, t: average / (1 - beta ** (t + 1)),
        ),
        mistake(
            "You count the steps from t − 1. Here t is 1 after the first step.",
            lambda average, beta, t: average / (1 - beta ** (t - 1)) if t > 1 else average,
            lambda average, beta, t: average / max(1 - beta ** (t - 1), 1e-8),
            lambda average, beta, t: average / (1 - beta ** max(t - 1, 1)),
            lambda average, beta, t: average / (1 - beta ** (t - 1)),
        ),
        mistake(
            "You multiply. The average is too small at first, so it has to be divided by 1 − beta**t.",
            lambda average, beta, t: average * (1 - beta**t),
        ),
        mistake(
            "beta times t is no power: what is left of the start after t steps is beta**t.",
            lambda average, beta, t: average / (1 - beta * t),
        ),
        mistake(
            "You divide by beta**t, which is what is left of the start. Divide by the rest, 1 − beta**t.",
            lambda average, beta, t: average / beta**t,
        ),
        mistake(
            "Brackets are missing: Python divides before it subtracts. It is average / (1 − beta**t).",
            lambda average, beta, t: average / 1 - beta**t,
        ),
        mistake(
            "Your difference is turned round, so the average changes its sign. It is 1 − beta**t.",
            lambda average, beta, t: average / (beta**t - 1),
        ),
        mistake(
            "You gave back the average as it was, without a correction.",
            lambda average, beta, t: average,
            lambda average, beta, t: average.clone(),
        ),
    ],
)

# 5.5 ---------------------------------------------------------------------------------------------------

draw = Draw("5.5")


def adam_step(p, g, state, lr, beta1, beta2, eps):
    state["t"] = state.get("t", 0) + 1
    state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * g**2
    m_hat = state["m"] / (1 - beta1 ** state["t"])
    v_hat = state["v"] / (1 - beta2 ** state["t"])
    return p - lr * m_hat / (v_hat.sqrt() + eps)


def several_steps(answer, p, gradients, lr, beta1, beta2, eps):
    """Steps along `gradients` from `p`, then the first one once more for a second parameter."""
    state, found, walker = {}, {}, p
    for step, g in enumerate(gradients, 1):
        walker = answer(walker, g, state, lr, beta1, beta2, eps)
        found[f"the new p after step {step}"] = walker.clone() if torch.is_tensor(walker) else walker
    for name in ("m", "v"):
        kept = state.get(name, "nothing is kept under this name")
        found[f'state["{name}"] after the last step'] = kept.clone() if torch.is_tensor(kept) else kept
    found["the first step of another parameter, with a new state"] = answer(
        p, gradients[0], {}, lr, beta1, beta2, eps
    )
    return found


def adam_like(step):
    """An Adam whose step is `step(p, m, v, t, lr, beta1, beta2, eps)` on the right averages."""

    def answer(p, g, state, lr, beta1, beta2, eps):
        adam_step(p, g, state, lr, beta1, beta2, eps)
        return step(p, state["m"], state["v"], state["t"], lr, beta1, beta2, eps)

    return answer


def keeps_the_corrected(p, g, state, lr, beta1, beta2, eps):
    state["t"] = state.get("t", 0) + 1
    state["m"] = (beta1 * state.get("m", 0.0) + (1 - beta1) * g) / (1 - beta1 ** state["t"])
    state["v"] = (beta2 * state.get("v", 0.0) + (1 - beta2) * g**2) / (1 - beta2 ** state["t"])
    return p - lr * state["m"] / (state["v"].sqrt() + eps)


def counts_from_zero_then_one(p, g, state, lr, beta1, beta2, eps):
    state["t"] = state.get("t", 1) + 1
    state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * g**2
    m_hat = state["m"] / (1 - beta1 ** state["t"])
    v_hat = state["v"] / (1 - beta2 ** state["t"])
    return p - lr * m_hat / (v_hat.sqrt() + eps)


def counts_afterwards(p, g, state, lr, beta1, beta2, eps):
    t = state.get("t", 0)
    adam_step(p, g, state, lr, beta1, beta2, eps)
    m_hat, v_hat = state["m"] / (1 - beta1**t), state["v"] / (1 - beta2**t)
    return p - lr * m_hat / (v_hat.sqrt() + eps)


def starts_from_the_gradient(p, g, state, lr, beta1, beta2, eps):
    state.setdefault("m", g)
    state.setdefault("v", g**2)
    return adam_step(p, g, state, lr, beta1, beta2, eps)


def divides_the_gradient(p, g, state, lr, beta1, beta2, eps):
    adam_step(p, g, state, lr, beta1, beta2, eps)
    return p - lr * g / ((state["v"] / (1 - beta2 ** state["t"])).sqrt() + eps)


def forgets(p, g, state, lr, beta1, beta2, eps):
    return adam_step(p, g, {}, lr, beta1, beta2, eps)


def forgets_the_count(p, g, state, lr, beta1, beta2, eps):
    state.pop("t", None)
    return adam_step(p, g, state, lr, beta1, beta2, eps)


def swapped(p, g, state, lr, beta1, beta2, eps):
    return adam_step(p, g, state, lr, beta2, beta1, eps)


exercise(
    "5.5",
    "Adam, the whole step",
    reference=adam_step,
    use=several_steps,
    cases=[
        case("one step", draw.floats(4), [draw.floats(4)], 0.1, 0.9, 0.999, 1e-8),
        case("three steps", draw.floats(2, 3), [draw.floats(2, 3) for _ in range(3)], 0.01, 0.8, 0.99, 1e-8),
        case(
            "a large eps, five steps",
            draw.floats(3),
            [draw.floats(3) for _ in range(5)],
            0.1,
            0.9,
            0.95,
            0.5,
        ),
        case(
            "tiny gradients, two steps",
            draw.floats(3),
            [draw.floats(3) * 1e-4 for _ in range(2)],
            0.1,
            0.5,
            0.75,
            1e-8,
        ),
        case(
            "then no gradient",
            draw.floats(3),
            [draw.floats(3), torch.zeros(3), torch.zeros(3)],
            0.1,
            0.9,
            0.99,
            1e-3,
        ),
        case("never a gradient", draw.floats(2), [torch.zeros(2), torch.zeros(2)], 0.1, 0.9, 0.99, 1e-8),
    ],
    mistakes=[
        mistake(
            "The bias correction is missing. The averages began at 0, so the first ones are too small: "
            "divide by 1 − beta**t.",
            adam_like(lambda p, m, v, t, lr, b1, b2, eps: p - lr * m / (v.sqrt() + eps)),
        ),
        mistake(
            "eps stands inside the root; it belongs outside: sqrt(v_hat) + eps. A tiny eps under a root "
            "is not tiny.",
            adam_like(
                lambda p, m, v, t, lr, b1, b2, eps: p - lr * m / (1 - b1**t) / (v / (1 - b2**t) + eps).sqrt()
            ),
        ),
        mistake(
            "You add eps to the root of v as it is. It is added to the root of the corrected v.",
            adam_like(
                lambda p, m, v, t, lr, b1, b2, eps: (
                    p - lr * (1 - b2**t) ** 0.5 / (1 - b1**t) * m / (v.sqrt() + eps)
                )
            ),
        ),
        mistake(
            "You keep the corrected averages. The correction is for this step alone; what is kept is m "
            "and v as they are, or they are corrected again and again.",
            keeps_the_corrected,
        ),
        mistake(
            "You divide by v_hat itself. Take its root: then the step has the size of the rate, whatever "
            "the unit of the gradient.",
            adam_like(lambda p, m, v, t, lr, b1, b2, eps: p - lr * m / (1 - b1**t) / (v / (1 - b2**t) + eps)),
        ),
        mistake(
            "You count the steps from 0, so the first correction is 0 / 0, which is NaN. Count before you "
            "correct: t is 1 at the first step.",
            counts_afterwards,
        ),
        mistake(
            "Your averages begin at the first gradient. Then nothing is left to correct, and the correction "
            "makes them too large: begin at 0.",
            starts_from_the_gradient,
        ),
        mistake(
            "You step along the gradient itself. Adam steps along its average, m_hat.",
            divides_the_gradient,
        ),
        mistake(
            "You step uphill: the parameter goes against the average gradient.",
            adam_like(
                lambda p, m, v, t, lr, b1, b2, eps: (
                    p + lr * m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + eps)
                )
            ),
        ),
        mistake(
            "eps is missing: add it to the root, or a number that never had a gradient becomes 0 / 0.",
            adam_like(
                lambda p, m, v, t, lr, b1, b2, eps: p - lr * m / (1 - b1**t) / (v / (1 - b2**t)).sqrt()
            ),
        ),
        mistake(
            "You take the root of v before the correction. First correct v, then take the root of v_hat.",
            adam_like(
                lambda p, m, v, t, lr, b1, b2, eps: p - lr * m / (1 - b1**t) / (v.sqrt() / (1 - b2**t) + eps)
            ),
        ),
        mistake(
            "You count the steps from 2: at the first one, t is 1.",
            counts_from_zero_then_one,
        ),
        mistake(
            "beta1 and beta2 are swapped: beta1 belongs to the gradient, beta2 to its square.",
            swapped,
        ),
        mistake(
            "Your notes are forgotten from step to step. Write m, v and the count into `state`, the dict "
            "that you get.",
            forgets,
        ),
        mistake(
            "Your count of the steps stays at 1. Keep it in `state`, and raise it at every step.",
            forgets_the_count,
        ),
        mistake(
            "Only m is corrected. v began at 0 as well, with a longer memory: divide it by 1 − beta2**t.",
            adam_like(lambda p, m, v, t, lr, b1, b2, eps: p - lr * m / (1 - b1**t) / (v.sqrt() + eps)),
        ),
    ],
)

# 5.6 ---------------------------------------------------------------------------------------------------

draw = Draw("5.6")


def decoupled(update, p, g, state, lr, weight_decay):
    return update(p * (1 - lr * weight_decay), g, state, lr)


def remembering_step(p, g, state, lr):
    state["b"] = 0.9 * state.get("b", 0.0) + g
    return p - lr * state["b"]


def shrinking_step(p, g, state, lr):
    """A step that depends on the parameter itself, as a layer-wise rate does."""
    return p - lr * p.norm() * g


def decays_in_place(update, p, g, state, lr, weight_decay):
    p.mul_(1 - lr * weight_decay)
    return update(p, g, state, lr)


SIGN = shown("lambda p, g, state, lr: p - lr * g.sign()", lambda p, g, state, lr: p - lr * g.sign())
PLAIN = shown("lambda p, g, state, lr: p - lr * g", lambda p, g, state, lr: p - lr * g)
MOMENTUM = shown("momentum", remembering_step)
BY_LENGTH = shown("lambda p, g, state, lr: p - lr * p.norm() * g", shrinking_step)

exercise(
    "5.6",
    "Decouple the decay",
    reference=decoupled,
    returns="the new parameter",
    rules=[calls("update", most=1, least=1)],
    cases=[
        case("steps by the gradient's sign", SIGN, draw.floats(5) * 3, draw.floats(5), {}, 0.1, 0.5),
        case("plain descent", PLAIN, draw.floats(2, 2), draw.floats(2, 2), {}, 0.01, 0.2),
        case("with notes", MOMENTUM, draw.floats(3), draw.floats(3), {"b": draw.floats(3)}, 0.3, 0.1),
        case("a step that looks at p", BY_LENGTH, draw.floats(3), draw.floats(3), {}, 0.2, 0.9),
        case("no decay", SIGN, draw.floats(3), draw.floats(3), {}, 0.1, 0.0),
        case("no gradient", SIGN, draw.floats(3), torch.zeros(3), {}, 0.1, 0.3),
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
            "The rate is missing: the factor is 1 − lr × weight_decay, so that a smaller rate decays less.",
            lambda update, p, g, state, lr, weight_decay: update(p * (1 - weight_decay), g, state, lr),
        ),
        mistake(
            "You decay twice: you shrink the parameter, and you add the decay to the gradient as well.",
            lambda update, p, g, state, lr, weight_decay: update(
                p * (1 - lr * weight_decay), g + weight_decay * p * (1 - lr * weight_decay), state, lr
            ),
            lambda update, p, g, state, lr, weight_decay: update(
                p * (1 - lr * weight_decay), g + weight_decay * p, state, lr
            ),
        ),
        mistake(
            "There is no decay in your step.",
            lambda update, p, g, state, lr, weight_decay: update(p, g, state, lr),
        ),
        mistake(
            "The weights grow: the decay has the wrong sign.",
            lambda update, p, g, state, lr, weight_decay: update(p * (1 + lr * weight_decay), g, state, lr),
        ),
        mistake(
            "You take the decay off after `update` has stepped from the old p. For most optimizers that is "
            "the same; one that looks at p has to see the smaller one.",
            lambda update, p, g, state, lr, weight_decay: update(p, g, state, lr) - lr * weight_decay * p,
        ),
        mistake(
            "The value is right, but you changed the tensor that you were given: *= and mul_ write in place.",
            decays_in_place,
        ),
    ],
)

# 5.7 ---------------------------------------------------------------------------------------------------

draw = Draw("5.7")


def at_best(table):
    table = table[table.isfinite().all(dim=1)]
    return table[table.mean(dim=1).argmin()] if len(table) else None


def verdict_on(a, b, clearly=lambda a, b: a.max() < b.min()):
    if a is None and b is None:
        return "neither"
    if b is None or (a is not None and clearly(a, b)):
        return "one"
    if a is None or clearly(b, a):
        return "other"
    return "neither"


def better(one, other):
    return verdict_on(at_best(one), at_best(other))


def by_mean(one, other):
    return verdict_on(at_best(one), at_best(other), lambda a, b: a.mean() < b.mean())


def by_pairs(one, other):
    return verdict_on(at_best(one), at_best(other), lambda a, b: bool((a < b).all()))


def chosen_by(rank, left=lambda table: table.isfinite().all(dim=1)):
    """Takes the rate that is lowest in `rank`, of those that are `left`."""

    def best(table):
        table = table[left(table)]
        return table[rank(table).argmin()] if len(table) else None

    return lambda one, other: verdict_on(best(one), best(other))


def row_of_another(one, other):
    """Counts a row among those left, and looks it up among all."""

    def best(table):
        left = table.isfinite().all(dim=1)
        return table[table[left].mean(dim=1).argmin()] if left.any() else None

    return verdict_on(best(one), best(other))


def silent_on_explosions(one, other):
    found = at_best(one), at_best(other)
    return "neither" if found[0] is None or found[1] is None else verdict_on(*found)


def by_deviation(one, other):
    return verdict_on(at_best(one), at_best(other), lambda a, b: a.mean() + a.std() < b.mean())


def by_two_deviations(one, other):
    return verdict_on(at_best(one), at_best(other), lambda a, b: a.mean() + a.std() < b.mean() - b.std())


def best_of_each_seed(one, other):
    def lowest(table):
        table = table[table.isfinite().all(dim=1)]
        return table.amin(dim=0) if len(table) else None

    return verdict_on(lowest(one), lowest(other))


def only_seeds_that_survived(one, other):
    """Takes means over the seeds that did not explode."""

    def survivors(table):
        table = table.nan_to_num(math.nan, math.nan, math.nan)
        means = table.nanmean(dim=1).nan_to_num(math.inf)
        row = table[means.argmin()]
        row = row[row.isfinite()]
        return row if len(row) else None

    return verdict_on(survivors(one), survivors(other))


def all_rates_at_once(one, other):
    """Compares whole tables instead of the best rates."""

    def finite(table):
        table = table[table.isfinite().all(dim=1)]
        return table if len(table) else None

    return verdict_on(finite(one), finite(other))


def the_lowest_wins(one, other):
    def finite(table):
        table = table[table.isfinite().all(dim=1)]
        return table if len(table) else None

    return verdict_on(finite(one), finite(other), lambda a, b: a.min() < b.min())


def turned_round(one, other):
    return {"one": "other", "other": "one", "neither": "neither"}[better(one, other)]


def losses(*rows):
    return torch.tensor(rows)


INF, NAN = math.inf, math.nan

exercise(
    "5.7",
    "Read a sweep",
    reference=better,
    cases=[
        case("clearly one", losses([0.9, 0.8], [0.5, 0.6]), losses([0.7, 0.8])),
        case("clearly the other", losses([0.9, 0.8, 0.85]), losses([0.95, 0.9, 0.9], [0.6, 0.65, 0.7])),
        case("they overlap", losses([0.9, 0.8], [0.5, 0.6]), losses([0.55, 0.8])),
        case("overlap, though lower with each seed", losses([0.5, 0.7]), losses([0.6, 0.8])),
        case("overlap, the other way round", losses([0.6, 0.8]), losses([0.5, 0.7])),
        case("a lucky seed at a bad rate", losses([0.1, 0.9], [0.4, 0.45]), losses([0.5, 0.6])),
        case(
            "a lucky seed at a bad rate, and no good one",
            losses([0.1, 1.3], [0.6, 0.65]),
            losses([0.5, 0.55]),
        ),
        case("a lucky seed of the other", losses([0.5, 0.55]), losses([0.1, 0.9], [0.4, 0.45])),
        case(
            "the lowest mean has the worst seed",
            losses([0.2, 0.2, 0.65], [0.5, 0.5, 0.5]),
            losses([0.6, 0.7, 0.6]),
        ),
        case(
            "the lowest mean has a seed that is far off",
            losses([0.2, 0.2, 0.95], [0.5, 0.5, 0.5]),
            losses([0.6, 0.61, 0.62]),
        ),
        case(
            "one lucky seed of three",
            losses([0.1, 0.9, 0.9], [0.5, 0.5, 0.5]),
            losses([0.6, 0.65, 0.7]),
        ),
        case(
            "two lucky seeds of three",
            losses([0.4, 0.4, 1.5], [0.5, 0.5, 0.5]),
            losses([0.6, 0.65, 0.7]),
        ),
        case("the lower mean has the higher minimum", losses([0.3, 0.8]), losses([0.5, 0.5])),
        case("close, and yet apart", losses([0.3, 0.59]), losses([0.6, 0.61])),
        case("each seed is lowest at another rate", losses([0.2, 0.6], [0.7, 0.2]), losses([0.5, 0.5])),
        case("NaN at the best rate of one", losses([NAN, 0.1], [0.7, 0.75]), losses([0.6, 0.65])),
        case("inf at the best rate of the other", losses([0.6, 0.65]), losses([0.1, INF], [0.7, 0.75])),
        case("all rates of one exploded", losses([NAN, 0.1], [INF, 0.2]), losses([0.6, 0.65])),
        case("all rates of the other exploded", losses([0.6, 0.65]), losses([NAN, NAN])),
        case("all exploded", losses([INF, 0.3]), losses([NAN, 0.2])),
        case("equal", losses([0.5, 0.5]), losses([0.5, 0.5])),
        case("three rates", losses([0.3, 0.35], [0.2, 0.9], [0.8, 0.85]), losses([0.5, 0.6])),
    ],
    mistakes=[
        mistake(
            'You compare the means alone. Where the seeds overlap, the card asks for "neither": each seed '
            "has to be below each seed of the other.",
            by_mean,
        ),
        mistake(
            "You compare seed by seed. The card asks for more: each seed of the better one below every seed "
            "of the other.",
            by_pairs,
        ),
        mistake(
            "You choose the rate by its single lowest loss, and so by one lucky seed. Take the lowest mean.",
            chosen_by(lambda table: table.amin(dim=1)),
        ),
        mistake(
            "You take the rate with the highest mean. These are losses: the lowest is the best.",
            chosen_by(lambda table: -table.mean(dim=1)),
        ),
        mistake(
            "You choose the rate by the median of its seeds. The card asks for the lowest mean.",
            chosen_by(lambda table: table.median(dim=1).values),
        ),
        mistake(
            "You compare means with their standard deviations. The card's rule is another: each seed of the "
            "better one below each seed of the other.",
            by_deviation,
            by_two_deviations,
        ),
        mistake(
            "You choose the rate by its worst seed. The card asks for the lowest mean.",
            chosen_by(lambda table: table.amax(dim=1)),
        ),
        mistake(
            "You take the lowest loss of each seed, at whatever rate. One rate has to serve all seeds.",
            best_of_each_seed,
        ),
        mistake(
            "A rate at which any seed exploded is out as a whole: not only the seed that exploded, and not "
            "only a rate at which all did.",
            only_seeds_that_survived,
            chosen_by(lambda table: table.mean(dim=1), left=lambda table: table.isfinite().any(dim=1)),
        ),
        mistake(
            "You leave out NaN, and a rate at which a seed is inf exploded as well: isfinite().",
            chosen_by(lambda table: table.mean(dim=1), left=lambda table: ~table.isnan().any(dim=1)),
        ),
        mistake(
            "A rate at which a seed exploded is still in. Take only rows that are finite throughout.",
            lambda one, other: verdict_on(*[table[table.mean(dim=1).argmin()] for table in (one, other)]),
        ),
        mistake(
            "argmin counts the rows that are left, and you look its number up among all rows, those that "
            "exploded included.",
            row_of_another,
        ),
        mistake(
            "If one optimizer has no rate left and the other has, the other is better.",
            silent_on_explosions,
        ),
        mistake(
            "Where two losses are equal, neither is below the other: compare with <.",
            lambda one, other: verdict_on(at_best(one), at_best(other), lambda a, b: a.max() <= b.min()),
        ),
        mistake(
            "You compare all rates at once. Each optimizer is judged at its own best rate alone.",
            all_rates_at_once,
        ),
        mistake(
            "The lowest single loss decides with you. One run proves nothing: compare all seeds at the best "
            "rates.",
            the_lowest_wins,
            lambda one, other: "one" if one.min() < other.min() else "other",
            lambda one, other: (
                "one" if one.min() < other.min() else "other" if other.min() < one.min() else "neither"
            ),
        ),
        mistake(
            "The names are swapped: these are losses, and the lower one is better.",
            turned_round,
        ),
    ],
)

# 5.8 ---------------------------------------------------------------------------------------------------

draw = Draw("5.8")


def lion(p, g, m, lr, beta1, beta2, weight_decay):
    u = torch.sign(beta1 * m + (1 - beta1) * g)
    return p - lr * (u + weight_decay * p), beta2 * m + (1 - beta2) * g


def lion_with(step, memory=lambda g, m, beta1, beta2: beta2 * m + (1 - beta2) * g):
    """A Lion whose new parameter and memory are computed otherwise."""
    return lambda p, g, m, lr, beta1, beta2, weight_decay: (
        step(p, g, m, lr, beta1, beta2, weight_decay),
        memory(g, m, beta1, beta2),
    )


def right_step(p, g, m, lr, beta1, beta2, weight_decay):
    return lion(p, g, m, lr, beta1, beta2, weight_decay)[0]


def memory_first(p, g, m, lr, beta1, beta2, weight_decay):
    m = beta2 * m + (1 - beta2) * g
    return p - lr * (torch.sign(beta1 * m + (1 - beta1) * g) + weight_decay * p), m


def signs_the_memory(p, g, m, lr, beta1, beta2, weight_decay):
    m = beta2 * m + (1 - beta2) * g
    return p - lr * (torch.sign(m) + weight_decay * p), m


def lion_in_place(p, g, m, lr, beta1, beta2, weight_decay):
    u = torch.sign(beta1 * m + (1 - beta1) * g)
    p.sub_(lr * (u + weight_decay * p))
    return p, m.mul_(beta2).add_((1 - beta2) * g)


exercise(
    "5.8",
    "Lion, from its formula",
    reference=lion,
    returns=("the new parameter", "the new m"),
    cases=[
        case("the first step", draw.floats(5), draw.floats(5), torch.zeros(5), 0.1, 0.9, 0.99, 0.0),
        case(
            "later, with decay", draw.floats(3, 4), draw.floats(3, 4), draw.floats(3, 4), 0.01, 0.6, 0.5, 0.5
        ),
        case(
            "the memory disagrees with the gradient",
            draw.floats(4) * 2,
            torch.tensor([3.0, -3.0, 1.0, -1.0]),
            torch.tensor([-0.5, 0.5, -0.05, 0.05]),
            0.1,
            0.9,
            0.8,
            0.3,
        ),
        case("no gradient, no memory", draw.floats(3), torch.zeros(3), torch.zeros(3), 0.1, 0.9, 0.99, 0.5),
        case(
            "a short memory in the step, a long one kept",
            draw.floats(2),
            torch.tensor([-3.0, 3.0]),
            torch.tensor([1.0, -1.0]),
            0.1,
            0.3,
            0.9,
            0.2,
        ),
    ],
    mistakes=[
        mistake(
            "You update the memory first. Both averages start from the old m; the step uses beta1, what is "
            "kept uses beta2.",
            memory_first,
        ),
        mistake(
            "Your step takes the sign of the gradient alone. It takes the sign of an average with the "
            "memory, with beta1.",
            lion_with(
                lambda p, g, m, lr, beta1, beta2, weight_decay: p - lr * (torch.sign(g) + weight_decay * p)
            ),
        ),
        mistake(
            "There is no decay in your step: add weight_decay × p to the sign.",
            lion_with(
                lambda p, g, m, lr, beta1, beta2, weight_decay: (
                    p - lr * torch.sign(beta1 * m + (1 - beta1) * g)
                )
            ),
        ),
        mistake(
            "You shrink after the step, so the step itself decays as well. The decay takes the old p.",
            lion_with(
                lambda p, g, m, lr, beta1, beta2, weight_decay: (
                    (p - lr * torch.sign(beta1 * m + (1 - beta1) * g)) * (1 - lr * weight_decay)
                )
            ),
        ),
        mistake(
            "The step is right, but you gave back the old m: this gradient would be forgotten.",
            lion_with(right_step, lambda g, m, beta1, beta2: m),
            lion_with(right_step, lambda g, m, beta1, beta2: m.clone()),
        ),
        mistake(
            "Your step takes the sign of the memory. It takes the sign of another average, with beta1.",
            signs_the_memory,
        ),
        mistake(
            "The betas are swapped: beta1 is for the step, beta2 for what is kept.",
            lambda p, g, m, lr, beta1, beta2, weight_decay: lion(p, g, m, lr, beta2, beta1, weight_decay),
        ),
        mistake(
            "You keep the average of the step. What is kept is made with beta2.",
            lion_with(right_step, lambda g, m, beta1, beta2: beta1 * m + (1 - beta1) * g),
        ),
        mistake(
            "You keep an average of the step's average. Both averages start from the old m.",
            lion_with(
                right_step,
                lambda g, m, beta1, beta2: beta2 * (beta1 * m + (1 - beta1) * g) + (1 - beta2) * g,
            ),
        ),
        mistake(
            "The sign of 0 is 0: without gradient and memory only the decay moves a number: torch.sign.",
            *[
                lion_with(
                    lambda p, g, m, lr, beta1, beta2, weight_decay, at_0=at_0: (
                        p
                        - lr
                        * torch.sign(beta1 * m + (1 - beta1) * g).masked_fill(m.abs() + g.abs() == 0, at_0)
                        - lr * weight_decay * p
                    )
                )
                for at_0 in (1.0, -1.0, math.nan)
            ],
        ),
        mistake(
            "The sign is missing: every number of the step is plus or minus the rate.",
            lion_with(
                lambda p, g, m, lr, beta1, beta2, weight_decay: (
                    p - lr * (beta1 * m + (1 - beta1) * g + weight_decay * p)
                )
            ),
        ),
        mistake(
            "The decay stands inside the sign, so it is not decoupled: add it to the sign.",
            lion_with(
                lambda p, g, m, lr, beta1, beta2, weight_decay: (
                    p - lr * torch.sign(beta1 * m + (1 - beta1) * g + weight_decay * p)
                )
            ),
            lambda p, g, m, lr, beta1, beta2, weight_decay: lion(
                p, g + weight_decay * p, m, lr, beta1, beta2, 0.0
            ),
        ),
        mistake(
            "The decay is not multiplied by the rate: lr stands before the bracket of both.",
            lion_with(
                lambda p, g, m, lr, beta1, beta2, weight_decay: (
                    p - lr * torch.sign(beta1 * m + (1 - beta1) * g) - weight_decay * p
                )
            ),
        ),
        mistake(
            "The values are right, but you changed the tensors that you were given: work on new ones.",
            lion_in_place,
        ),
    ],
)

# 5.9 ---------------------------------------------------------------------------------------------------

CALLS, TARGET = 250, 1e-3


def valley(x, y):
    """The gradient of a bent valley whose minimum lies at (x, y), as a learner can type it."""

    def height(p):
        across, along = p[0] + 1 - x, p[1] + 1 - y
        return ((1 - across) ** 2 + 20 * (along - across**2) ** 2).item()

    def gradient(p):
        across, along = p.detach()[0] + 1 - x, p.detach()[1] + 1 - y
        wall = along - across**2
        return torch.stack([-2 * (1 - across) - 80 * across * wall, 40 * wall])

    gradient.height = height
    moved = [
        f"(p[{i}] {1 - place:+g})".replace(" +", " + ").replace(" -", " - ") for i, place in enumerate((x, y))
    ]
    moved = [text.replace(f"(p[{i}] + 0)", f"p[{i}]") for i, text in enumerate(moved)]
    text = f"grad(lambda p: (1 - {moved[0]}) ** 2 + 20 * ({moved[1]} - {moved[0]} ** 2) ** 2)"
    return shown(text, gradient)


def point(x, y):
    return torch.tensor([x, y], dtype=torch.float64)


def find_minimum(gradient, start):
    p, b = start, torch.zeros_like(start)
    for _ in range(CALLS):
        g = gradient(p)
        b = 0.93 * b + g
        p = p - 0.003 * (g + 0.93 * b)
    return p


def plain(rate, steps=CALLS):
    def descend(gradient, start):
        p = start
        for _ in range(steps):
            p = p - rate * gradient(p)
        return p

    return descend


def judge_minimum(p, gradient, start):
    if not torch.is_tensor(p) or p.shape != (2,) or not p.is_floating_point():
        return "a tensor of shape (2,) is asked for: the lowest point that you found"
    place = ", ".join(f"{number:.6g}" for number in p.tolist())
    height = gradient.height(p.detach().double())
    if not math.isfinite(height):
        return f"your point is ({place}), at a height of {height}: no point of the valley"
    if height < TARGET:
        return ""
    return (
        f"the height at your point ({place}) is {height:.3g}. It was {gradient.height(start):.3g} at the "
        "start, "
        f"and below {TARGET} is asked for"
    )


exercise(
    "5.9",
    "Down the bent valley",
    reference=find_minimum,
    judge=judge_minimum,
    rules=[calls("gradient", most=CALLS)],
    cases=[
        case("from the left", valley(1.0, 1.0), point(-1.2, 1.4)),
        case("moved, from below", valley(4.0, -2.0), point(3.0, -3.5)),
        case("moved, from the right", valley(-3.0, 0.5), point(-2.5, 1.9)),
        case("moved far", valley(20.0, 30.0), point(18.2, 29.5)),
    ],
    mistakes=[
        mistake(
            "You gave back the start. Follow the gradient downhill first.",
            lambda gradient, start: start,
        ),
        mistake(
            "That is a single step. You may call the gradient 250 times.",
            plain(0.003, steps=1),
            plain(0.01, steps=1),
            plain(0.001, steps=1),
        ),
        mistake(
            "You gave the minimum of the valley as it is known from books, (1, 1). It is moved in every "
            "test: find it with the gradient.",
            lambda gradient, start: point(1.0, 1.0),
        ),
        mistake(
            "That is plain gradient descent: it crawls along the floor and is too high after 250 steps. Let "
            "the steps add up: momentum.",
            plain(0.001),
            plain(0.002),
            plain(0.003),
            plain(0.004),
            plain(0.005),
        ),
    ],
)
