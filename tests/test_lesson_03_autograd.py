"""Lesson 03's engine against torch: random expressions, an MLP, operations, and its size."""

import lessons
import numpy as np
import pytest
import torch

LESSON = lessons.read(lessons.FOLDER / "03_autograd.ipynb")
NAMES = ["Array", "Value", "unbroadcast", "topological", "mismatch", "mlp_loss", "nudged", "Softplus"]
ENGINE = ["topological", "Value", "unbroadcast", "unary", "total", "Node", "Array"]


@pytest.fixture(scope="module")
def code():
    return lessons.definitions(LESSON, *NAMES)


@pytest.mark.parametrize("seed", range(1000, 1250))
def test_a_random_expression_has_torchs_value_and_gradients(code, seed):
    assert code["mismatch"](seed) == ""


def test_a_wrong_slope_is_noticed():
    broken = lessons.definitions(LESSON, "Array", "mismatch")
    broken["Array"].tanh = lambda a: a * 0.5
    assert any(broken["mismatch"](seed) for seed in range(1000, 1020))


@pytest.mark.parametrize("seed", range(5))
def test_the_mlps_gradients_are_torchs(code, seed):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=shape) for shape in [(7, 4), (4, 6), (6,), (6, 3), (3,)]]
    targets = rng.integers(3, size=7)
    ours = [code["Array"](value) for value in values]
    theirs = [torch.tensor(value, requires_grad=True) for value in values]
    code["mlp_loss"](ours[0], targets, *ours[1:]).backward()
    loss = torch.nn.functional.cross_entropy(
        (theirs[0] @ theirs[1] + theirs[2]).relu() @ theirs[3] + theirs[4], torch.tensor(targets)
    )
    loss.backward()
    for our, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our.grad, its.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=f"seed {seed}")


OPERATIONS = {
    "add": lambda a, b: a + b,
    "radd": lambda a, b: 2.0 + a * b,
    "rsub": lambda a, b: 1.0 - a * b,
    "div": lambda a, b: a / (b * b + 1.0),
    "matmul": lambda a, b: a @ b.T,
    "pow": lambda a, b: (a * a + 1.0) ** 1.5 * b,
    "log": lambda a, b: (a.exp() + b.exp()).log(),
    "sum 0": lambda a, b: a.sum(0) * b,
    "sum kept": lambda a, b: a.sum(1, True) * b,
    "logsumexp": lambda a, b: (a * b).logsumexp(1),
    "reshape": lambda a, b: a.reshape(4, 3) @ b,
    "index": lambda a, b: a[[0, 0, 2]] * b,
    "mean": lambda a, b: a.mean() * b.relu(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_torchs_gradient(code, name):
    rng = np.random.default_rng(3)
    values = [rng.normal(size=(3, 4)), rng.normal(size=(3, 4))]
    weights = rng.normal(size=OPERATIONS[name](*map(torch.tensor, values)).shape)
    ours = [code["Array"](value) for value in values]
    theirs = [torch.tensor(value, requires_grad=True) for value in values]
    (OPERATIONS[name](*ours) * weights).sum().backward()
    (OPERATIONS[name](*theirs) * torch.tensor(weights)).sum().backward()
    for our, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our.grad, its.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_backward_twice_accumulates_in_the_leaves_as_torch_does(code):
    ours, theirs = (
        code["Array"]([1.0, 2.0]),
        torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True),
    )
    our_end, their_end = (ours * ours).tanh().sum(), (theirs * theirs).tanh().sum()
    for _ in range(2):
        our_end.backward()
        their_end.backward(retain_graph=True)
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-9)


@pytest.mark.parametrize("numbers", [(0.3, -1.2), (2.0, 0.5), (0.0, 0.0)])
def test_the_scalar_engine_has_torchs_gradients(code, numbers):
    ours = [code["Value"](number) for number in numbers]
    theirs = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers]
    for a, b in (ours, theirs):
        shared = a * b + a
        ((shared * shared).tanh() + shared * b).backward()
    for our, its in zip(ours, theirs, strict=True):
        assert our.grad == pytest.approx(its.grad.item(), abs=1e-12)


def test_the_custom_function_passes_gradcheck(code):
    z = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(code["Softplus"].apply, (z,))
    assert torch.allclose(code["Softplus"].apply(z), torch.nn.functional.softplus(z))


def test_the_engine_has_at_most_120_lines():
    """Docstrings and blank lines within a cell included."""
    starts = tuple(f"def {name}(" for name in ENGINE) + tuple(f"class {name}" for name in ENGINE)
    cells = [cell.source for cell in LESSON.code if cell.source.startswith(starts)]
    assert len(cells) == 7
    assert sum(len(source.splitlines()) for source in cells) <= 120
