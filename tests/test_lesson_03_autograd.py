"""Lesson 03's engines against torch: random and scalar expressions, an MLP, operations; and their size."""

import operator

import lessons
import numpy as np
import pytest
import torch

LESSON = lessons.read(lessons.FOLDER / "03_autograd.ipynb")
NAMES = ["Array", "Value", "unbroadcast", "topological", "mismatch", "mlp_loss", "Softplus"]
ENGINE = ["class Node", "def array", "def power", "def total", "class Array"]


@pytest.fixture(scope="module")
def code():
    return lessons.definitions(LESSON, *NAMES)


def leaves(make, values):
    """The values as leaves of an engine (`make` is its class) or, with `make` None, of torch."""
    if make is not None:
        return [make(value) for value in values]
    return [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]


@pytest.mark.parametrize("seed", range(1000, 1250))
def test_a_random_expression_has_torchs_value_and_gradients(code, seed):
    assert code["mismatch"](seed) == ""


@pytest.mark.parametrize("name", ["tanh", "relu", "log", "mean", "__truediv__", "__rtruediv__", "__pow__"])
def test_a_wrong_operation_is_noticed(name):
    broken = lessons.definitions(LESSON, "Array", "mismatch")
    right = getattr(broken["Array"], name)
    setattr(broken["Array"], name, lambda *arguments: right(*arguments) * 1.001)
    assert any(broken["mismatch"](seed) for seed in range(1000, 1020))


@pytest.mark.parametrize("seed", range(5))
def test_the_mlps_gradients_are_torchs(code, seed):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=shape) for shape in [(7, 4), (7, 1), (4, 6), (6,), (6, 1), (1,)]]
    ours, theirs = leaves(code["Array"], values), leaves(None, values)
    code["mlp_loss"](*ours, code["Array"].softplus).backward()
    x, signs, *weights = theirs
    hidden = torch.nn.functional.linear(x, weights[0].T, weights[1]).relu()
    scores = torch.nn.functional.linear(hidden, weights[2].T, weights[3])
    (-torch.nn.functional.logsigmoid(signs * scores)).mean().backward()
    for our, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our.grad, its.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=f"seed {seed}")


CONSTANT = np.linspace(-1, 2, 12).reshape(3, 4)
OPERATIONS = {
    "add": lambda a, b: a + b,
    "an array on the left": lambda a, b: constant(a, CONSTANT) * a + constant(b, CONSTANT) - b,
    "a row on the left": lambda a, b: constant(a, CONSTANT[0]) - a,
    "radd": lambda a, b: 2 + a * b,
    "rsub": lambda a, b: 1 - a * b,
    "rmul": lambda a, b: 3 * a * b,
    "rtruediv": lambda a, b: 10.0 / (a * a + 1) * b,
    "rpow": lambda a, b: 2**a * 0.5**b,
    "rmatmul": lambda a, b: constant(a, CONSTANT) @ a.T + b.sum(),
    "div": lambda a, b: a / (b * b + 1.0),
    "div by a number": lambda a, b: a / 4 - b / 0.5,
    "neg": lambda a, b: -a * -b,
    "matmul": lambda a, b: a @ b.T,
    "pow": lambda a, b: (a * a + 1.0) ** 1.5 * b**3,
    "pow 0 and 1": lambda a, b: a**0 * b**1,
    "a power that moves": lambda a, b: (a * a + 1.0) ** b,
    "log": lambda a, b: (a.exp() + b.exp()).log(),
    "sum 0": lambda a, b: a.sum(0) * b,
    "sum kept": lambda a, b: a.sum(1, True) * b,
    "mean": lambda a, b: a.mean() * b.relu(),
    "tanh": lambda a, b: (a * b).tanh() + a.tanh(),
}


def constant(like, values):
    """`values` as what the engine of `like` takes for a constant: NumPy's array, or torch's tensor."""
    return torch.tensor(values) if torch.is_tensor(like) else values


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_torchs_gradient(code, name):
    rng = np.random.default_rng(3)
    values = [rng.normal(size=(3, 4)), rng.normal(size=(3, 4))]
    ours, theirs = leaves(code["Array"], values), leaves(None, values)
    our_end, their_end = OPERATIONS[name](*ours), OPERATIONS[name](*theirs)
    np.testing.assert_allclose(our_end.data, their_end.detach().numpy(), rtol=1e-9, atol=1e-12)
    weights = rng.normal(size=our_end.data.shape)
    (our_end * weights).sum().backward()
    (their_end * torch.tensor(weights)).sum().backward()
    for our, its in zip(ours, theirs, strict=True):
        wanted = np.zeros((3, 4)) if its.grad is None else its.grad.numpy()
        found = np.zeros((3, 4)) if our.grad is None else our.grad
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def used_up(x):
    """Every operator with plain numbers on either side, one number used over and over."""
    y = 2 * x + x * 3 - 1 + (4 - x)
    y += x**3
    y -= 0.5
    y *= 1 + y / 8
    return 10.0 / y + y / 2.0 - (-x)


def with_relu(x):
    inner = (x * x - 2).relu() + (1 - x).relu() * x
    inner += inner + 1
    return inner + (2 * inner).relu() * x + (x - 100).relu()


def powers(x):
    return x**2 + x**-1 + (x * x) ** 0.5 + 2**x + 3.0 * x**1


def bent(x):
    return (x * 0.25).tanh() + (x * 0.1).exp() * (x * x + 1).log() - 1 / (1 + (-x).exp())


@pytest.mark.parametrize("expression", [used_up, with_relu, powers, bent])
@pytest.mark.parametrize("number", [-4.0, -1.3, 0.7, 3.0, 5])
@pytest.mark.parametrize("engine", ["Value", "Array"])
def test_a_scalar_expression_has_torchs_value_and_gradient(code, engine, expression, number):
    (our,), (its,) = leaves(code[engine], [number]), leaves(None, [number])
    our_end, their_end = expression(our), expression(its)
    our_end.backward()
    their_end.backward()
    assert float(our_end.data) == pytest.approx(their_end.item(), rel=1e-9, abs=1e-12)
    assert float(our.grad) == pytest.approx(its.grad.item(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("engine", ["Value", "Array"])
def test_two_numbers_that_share_everything_have_torchs_gradients(code, engine):
    def expression(a, b):
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + (b + a).relu()
        d += 3 * d + (b - a).relu()
        return (c - d) ** 2 / 2.0 + 10.0 / (c - d)

    for numbers in [(-4.0, 2.0), (1.5, -0.25), (0.5, 3.0)]:
        ours, theirs = leaves(code[engine], numbers), leaves(None, numbers)
        expression(*ours).backward()
        expression(*theirs).backward()
        for our, its in zip(ours, theirs, strict=True):
            assert float(our.grad) == pytest.approx(its.grad.item(), rel=1e-9)


REFLECTED = ["add", "sub", "mul", "truediv", "pow"]


@pytest.mark.parametrize("name", REFLECTED)
@pytest.mark.parametrize("engine", ["Value", "Array"])
def test_an_operator_takes_a_plain_number_on_either_side(code, engine, name):
    act = getattr(operator, name)
    for other in (2, 0.5, np.float64(1.5)):
        for turned in (False, True):
            (our,), (its,) = leaves(code[engine], [1.25]), leaves(None, [1.25])
            ends = [act(other, x) if turned else act(x, other) for x in (our, its)]
            for end in ends:
                end.backward()
            assert float(ends[0].data) == pytest.approx(ends[1].item(), rel=1e-12), (other, turned)
            assert float(our.grad) == pytest.approx(its.grad.item(), rel=1e-12), (other, turned)


def test_an_operator_leaves_its_operands_alone(code):
    for engine in ("Value", "Array"):
        (a,) = leaves(code[engine], [3.0])
        before = a
        a += 1
        assert a is not before and float(before.data) == 3.0 and float(a.data) == 4.0


@pytest.mark.parametrize("engine", ["Value", "Array"])
def test_backward_twice_accumulates_in_the_leaves_as_torch_does(code, engine):
    (our,), (its,) = leaves(code[engine], [0.75]), leaves(None, [0.75])
    our_end, their_end = (our * our).tanh() + our, (its * its).tanh() + its
    for _ in range(2):
        our_end.backward()
        their_end.backward(retain_graph=True)
    assert float(our.grad) == pytest.approx(its.grad.item(), rel=1e-9)


@pytest.mark.parametrize("numbers", [(0.3, -1.2), (2.0, 0.5), (0.0, 0.0)])
def test_the_scalar_engine_has_torchs_gradients(code, numbers):
    ours, theirs = leaves(code["Value"], numbers), leaves(None, numbers)
    for a, b in (ours, theirs):
        shared = a * b + a
        ((shared * shared).tanh() + shared * b).backward()
    for our, its in zip(ours, theirs, strict=True):
        assert our.grad == pytest.approx(its.grad.item(), abs=1e-12)


SHAPES = [
    ((3, 4), (4,)),
    ((3, 4), (3, 1)),
    ((2, 3, 4), (3, 1)),
    ((2, 3), ()),
    ((1, 4), (1, 4)),
    ((2, 2), (1, 1)),
]


@pytest.mark.parametrize(("stretched", "shape"), SHAPES)
def test_unbroadcast_is_the_way_back_through_broadcasting(code, stretched, shape):
    g = np.random.default_rng(0).normal(size=stretched)
    small = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    small.expand(stretched).backward(torch.tensor(g))
    np.testing.assert_allclose(code["unbroadcast"](g, shape), small.grad.numpy(), rtol=1e-12)


def test_the_custom_function_passes_gradcheck(code):
    z = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(code["Softplus"].apply, (z,))
    assert torch.allclose(code["Softplus"].apply(z), torch.nn.functional.softplus(z))


def test_the_engine_for_arrays_has_at_most_120_lines():
    """Docstrings and blank lines within a cell included, and what the folded cells give it as well."""
    titles = ("# @title The lesson's own topological", "# @title The lesson's own unbroadcast")
    titles += ("# @title The lesson's own engine, part 1", "# @title Two more functions")
    shown = [cell.source for cell in LESSON.code if cell.source.startswith(tuple(ENGINE))]
    folded = [cell.source for cell in LESSON.code if cell.source.startswith(titles)]
    assert (len(shown), len(folded)) == (5, 4)
    assert sum(len(source.splitlines()) for source in shown) <= 100
    assert sum(len(source.splitlines()) for source in shown + folded) <= 140
