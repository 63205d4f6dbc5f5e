"""The optimizers that lesson 05 writes from scratch equal torch's, on fresh problems and options."""

import math

import lessons
import pytest
import torch
from torch import nn

from course_utils.checks.exercise import declared
from course_utils.exercises import lesson_05_optimizers as reference

UPDATES = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "muon"]
OTHERS = ["descend", "clip", "warm_cosine", "largest_curvature", "bert_parameters", "steps_needed"]
OTHERS += ["validation_loss", "contest"]

PAIRS = [
    ("sgd", torch.optim.SGD, {"weight_decay": 0.3}, {"weight_decay": 0.3}),
    ("momentum", torch.optim.SGD, {"mu": 0.7}, {"momentum": 0.7, "dampening": 0}),
    ("momentum", torch.optim.SGD, {"weight_decay": 0.2}, {"momentum": 0.9, "weight_decay": 0.2}),
    (
        "nesterov",
        torch.optim.SGD,
        {"mu": 0.85, "weight_decay": 0.1},
        {"momentum": 0.85, "nesterov": True, "weight_decay": 0.1},
    ),
    ("adagrad", torch.optim.Adagrad, {}, {}),
    (
        "adagrad",
        torch.optim.Adagrad,
        {"lr_decay": 0.05, "eps": 1e-2, "weight_decay": 0.1},
        {"lr_decay": 0.05, "eps": 1e-2, "weight_decay": 0.1},
    ),
    ("rmsprop", torch.optim.RMSprop, {}, {}),
    (
        "rmsprop",
        torch.optim.RMSprop,
        {"alpha": 0.9, "eps": 1e-2, "weight_decay": 0.1},
        {"alpha": 0.9, "eps": 1e-2, "weight_decay": 0.1},
    ),
    ("adam", torch.optim.Adam, {}, {}),
    (
        "adam",
        torch.optim.Adam,
        {"betas": (0.7, 0.95), "eps": 1e-2, "weight_decay": 0.1},
        {"betas": (0.7, 0.95), "eps": 1e-2, "weight_decay": 0.1},
    ),
    ("adamw", torch.optim.AdamW, {}, {}),
    (
        "adamw",
        torch.optim.AdamW,
        {"betas": (0.7, 0.95), "eps": 1e-2, "weight_decay": 0.4},
        {"betas": (0.7, 0.95), "eps": 1e-2, "weight_decay": 0.4},
    ),
    ("muon", torch.optim.Muon, {}, {}),
    ("muon", torch.optim.Muon, {"mu": 0.8, "weight_decay": 0.5}, {"momentum": 0.8, "weight_decay": 0.5}),
]


@pytest.fixture(scope="module")
def written():
    (path,) = [path for path in lessons.paths() if path.name == "05_optimizers.ipynb"]
    return lessons.definitions(lessons.read(path), *UPDATES, *OTHERS)


def problem(shape, seed):
    """The gradient of a loss that is no parabola, yet gentle enough to keep rounding small, and a start."""
    random = torch.Generator().manual_seed(seed)
    mix, start = (torch.randn(size, generator=random).double() for size in ((shape[0], shape[0]), shape))
    gradient = torch.func.grad(lambda p: (1 + (mix @ p / 3).square()).log().sum() + 0.1 * p.square().sum())
    return gradient, start


def trained(optimizer, p, gradient, steps, **options):
    p = p.clone().requires_grad_()
    optimizer, path = optimizer([p], **options), [p.detach().clone()]
    for _ in range(steps):
        p.grad = gradient(p.detach())
        optimizer.step()
        path.append(p.detach().clone())
    return torch.stack(path)


@pytest.mark.parametrize("shape", [(3, 7), (6, 2)], ids=["wide", "tall"])
@pytest.mark.parametrize(
    ("name", "optimizer", "own", "library"),
    PAIRS,
    ids=[f"{pair[0]}-{'-'.join(pair[2]) or 'defaults'}" for pair in PAIRS],
)
def test_an_optimizer_equals_torchs_over_100_steps(written, name, optimizer, own, library, shape):
    gradient, start = problem(shape, seed=len(name))
    mine = written["descend"](written[name], start, gradient, 100, lr=0.007, **own)
    theirs = trained(optimizer, start, gradient, 100, lr=0.007, **library)
    assert mine.shape == (101, *shape)
    assert (mine - theirs).abs().max() < 1e-10
    assert (mine[-1] - start).abs().max() > 1e-2  # it did move


def test_adam_is_not_adamw(written):
    """The comparison above can fail: two optimizers that differ in their decay alone are told apart."""
    gradient, start = problem((3, 4), seed=1)
    ends = [
        written["descend"](written[name], start, gradient, 100, lr=0.01, weight_decay=0.1)[-1]
        for name in ("adam", "adamw")
    ]
    assert (ends[0] - ends[1]).abs().max() > 1e-3


@pytest.mark.parametrize(("scale", "max_norm"), [(100.0, 1.0), (1.0, 0.3), (1e-3, 1.0), (0.0, 1.0)])
def test_clip_equals_torchs(written, scale, max_norm):
    random = torch.Generator().manual_seed(3)
    parameters = [nn.Parameter(torch.zeros(shape).double()) for shape in ((4, 3), (5,), (2, 2))]
    for parameter in parameters:
        parameter.grad = scale * torch.randn(parameter.shape, generator=random).double()
    mine = written["clip"]([parameter.grad for parameter in parameters], max_norm)
    nn.utils.clip_grad_norm_(parameters, max_norm)
    for own, parameter in zip(mine, parameters, strict=True):
        torch.testing.assert_close(own, parameter.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("warmup", "total"), [(0, 20), (7, 50), (25, 100)])
def test_the_schedule_equals_transformers(written, warmup, total):
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = get_cosine_schedule_with_warmup(optimizer, warmup, total)
    for step in range(total + 1):
        assert written["warm_cosine"](step, warmup, total) == pytest.approx(
            scheduler.get_last_lr()[0], abs=1e-12
        )
        optimizer.step()
        scheduler.step()


def test_power_iteration_finds_the_largest_eigenvalue_of_the_hessian(written):
    mix = torch.randn(6, 6, generator=torch.Generator().manual_seed(4)).double()
    start = torch.linspace(-1, 1, 6).double()

    def loss(w):
        return torch.log1p((mix @ w).square()).sum() + 5 * (w @ torch.ones(6).double()) ** 2

    found = written["largest_curvature"](loss, start, rounds=300)
    exact = torch.linalg.eigvalsh(torch.func.hessian(loss)(start)).abs().max().item()
    assert found == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize(("hidden", "layers", "inner"), [(24, 2, 48), (32, 3, 100)])
def test_berts_parameters_are_counted_right(written, hidden, layers, inner):
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=hidden, num_hidden_layers=layers, intermediate_size=inner, num_attention_heads=4
    )
    model = BertModel(config)
    assert written["bert_parameters"](hidden, layers, inner) == sum(p.numel() for p in model.parameters())


def test_momentum_needs_the_root_of_the_condition_number(written):
    count = written["steps_needed"]
    kappa = 400
    mu = ((math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)) ** 2
    plain = count(written["sgd"], kappa, lr=2 / (1 + kappa))
    heavy = count(written["momentum"], kappa, lr=(2 / (1 + math.sqrt(kappa))) ** 2, mu=mu)
    assert plain > 10 * heavy


def test_the_references_of_momentum_and_adam_equal_torchs():
    """What the checks of 5.2 and 5.5 hold for right is what torch does, step after step."""
    gradient, start = problem((3, 4), seed=9)
    for mu in (0.0, 0.7):
        p, b = start, torch.zeros_like(start)
        for expected in trained(torch.optim.SGD, start, gradient, 20, lr=0.01, momentum=mu)[1:]:
            p, b = reference.momentum_step(p, gradient(p), b, 0.01, mu)
            torch.testing.assert_close(p, expected, rtol=0, atol=1e-12)
    p, state = start, {}
    options = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3}
    for expected in trained(torch.optim.Adam, start, gradient, 20, **options)[1:]:
        p = reference.adam_step(p, gradient(p), state, 0.01, 0.8, 0.95, 1e-3)
        torch.testing.assert_close(p, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 5, 8])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_flat_axis_does_not_lower_the_largest_step(size, scale):
    assert reference.largest_step(scale * torch.ones(size, size)) == pytest.approx(
        2 / (scale * size), rel=1e-4
    )


def test_descent_converges_below_the_largest_step_and_explodes_above():
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(2)).double())
    hessian = turn @ torch.diag(torch.tensor([6.0, 2.0, 0.5, 0.0]).double()) @ turn.T
    start = torch.ones(4, dtype=torch.float64)
    for share, shrinks in ((0.99, True), (1.01, False)):
        w = start
        for _ in range(2000):
            w = w - share * reference.largest_step(hessian) * (hessian @ w)
        assert ((hessian @ w).norm() < 1e-6) == shrinks


def test_no_rate_of_plain_descent_finds_the_minimum_of_every_valley():
    """The card of 5.9 says so."""
    cases = declared["5.9"].cases
    arrived = {
        rate
        for rate in (k * 2.5e-4 for k in range(1, 121))
        if all(
            case.args[0].value.height(reference.plain(rate)(case.args[0].value, case.args[1]))
            < reference.TARGET
            for case in cases
        )
    }
    assert not arrived


def test_a_run_that_explodes_has_an_infinite_loss(written):
    rows = torch.randint(0, 20, (30, 8), generator=torch.Generator().manual_seed(0))
    pair = torch.ones(20, 4), torch.arange(20) % 2
    model = nn.Linear(4, 2)
    found = written["validation_loss"](model, written["contest"]["sgd"], 1e38, pair, pair, rows)
    assert found == math.inf
