"""Lesson 17 on fresh inputs: the attack, single gradients, DP-SGD, the accountant, FedAvg and the masks."""

import ast
import importlib.util
import math
import os
import re
import subprocess
import types
import warnings

import lessons
import numpy
import pytest
import torch
from opacus import GradSampleModule
from opacus.accountants.analysis import rdp as opacus_rdp
from opacus.optimizers import DPOptimizer
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn.functional import cross_entropy

from course_utils.exercises import lesson_17_privacy as declared

# Opacus's hooks say so where no input needs a gradient.
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")

LESSON = lessons.read(lessons.FOLDER / "17_privacy.ipynb")
NAMES = """
    auc auc_interval bound best_attack delta_of by_loop gradients_for parameters_of norms_of shortened
    hidden_mean train_privately renyi spent noise_for mean_state one_round train_at_home vector
    to_ring from_ring hide network ORDERS RING SCALE
""".split()


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def classifier(seed):
    """Three layers, one of them without a bias, and a LayerNorm."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 5), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 4, bias=False), nn.Tanh(), nn.Linear(4, 3)
    )


def rows(seed, size=9):
    generator = seeded(seed)
    return torch.randn(size, 6, generator=generator), torch.randint(3, (size,), generator=generator)


@pytest.mark.parametrize("seed", range(4))
def test_the_auc_is_scikit_learns_ties_included(own, seed):
    generator = seeded(seed)
    members = torch.randint(6, (40 + seed,), generator=generator).float() + 1
    others = torch.randint(6, (25,), generator=generator).float()
    labels = [1] * len(members) + [0] * len(others)
    expected = roc_auc_score(labels, torch.cat([members, others]).tolist())
    assert own.auc(members, others) == pytest.approx(expected, abs=1e-6)
    assert declared.attack_auc(members, others) == pytest.approx(expected, abs=1e-6)
    low, high = own.auc_interval(members, others)
    assert low < expected < high


def test_the_interval_covers_about_as_often_as_it_says(own):
    """Normal scores, shifted by 1: the true AUC is Φ(1/√2)."""
    truth = 0.5 * (1 + math.erf(0.5))
    hits = 0
    for seed in range(60):
        scores = torch.randn(2, 80, generator=seeded(seed))
        low, high = own.auc_interval(scores[0] + 1, scores[1], draws=300)
        hits += low < truth < high
    assert 50 <= hits <= 60


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
def test_the_best_attack_on_a_count_keeps_to_the_bound_and_touches_it(own, epsilon):
    rates = torch.linspace(0.0005, 0.9995, 4000)
    for sigma in (0.7, 2.0):
        delta = own.delta_of(epsilon, sigma)
        slack = own.bound(rates, epsilon, delta) - own.best_attack(rates, sigma)
        assert slack.min() > -1e-5
        if delta > 1e-3:  # below, the touching point lies between the rates
            assert slack.min() < 2e-3, "delta_of is exact: a smaller δ would be too small"


@pytest.mark.parametrize("seed", range(3))
def test_single_gradients_by_vmap_by_loop_and_by_opacus(own, seed):
    model, (x, y) = classifier(seed), rows(seed)
    single = own.gradients_for(model)(own.parameters_of(model), x, y)
    looped = own.by_loop(model, x, y)
    wrapped = GradSampleModule(classifier(seed), loss_reduction="mean")
    cross_entropy(wrapped(x), y).backward()
    for name, p in wrapped._module.named_parameters():
        torch.testing.assert_close(single[name], looped[name], atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(single[name], p.grad_sample, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("C", [0.05, 1.0, 30.0])
def test_a_clipped_step_is_that_of_opacus(own, C):
    x, y = rows(5, size=12)
    wrapped = GradSampleModule(classifier(1), loss_reduction="mean")
    cross_entropy(wrapped(x), y).backward()
    optimizer = DPOptimizer(
        torch.optim.SGD(wrapped.parameters(), lr=0.3),
        noise_multiplier=0.0,
        max_grad_norm=C,
        expected_batch_size=12,
    )
    optimizer.step()
    ours = own.train_privately(classifier(1), x, y, 1.0, 1, 0.3, C, 0.0, seeded(0))
    for name, p in wrapped._module.named_parameters():
        torch.testing.assert_close(ours.state_dict()[name], p.detach(), atol=1e-6, rtol=1e-4)


def test_the_noise_has_the_spread_that_is_asked_for_and_no_more_than_one_example_moves_the_sum(own):
    grads = {
        "w": 5 * torch.randn(40, 300, 20, generator=seeded(0)),
        "b": torch.randn(40, 5, generator=seeded(1)),
    }
    assert own.norms_of(own.shortened(grads, 0.7)).max() < 0.7 + 1e-5
    without = own.hidden_mean(grads, 0.7, 0.0, 25.0, seeded(2))
    noisy = own.hidden_mean(grads, 0.7, 3.0, 25.0, seeded(2))
    spread = (noisy["w"] - without["w"]).std().item()
    assert spread == pytest.approx(3.0 * 0.7 / 25, rel=0.04)
    fewer = own.hidden_mean({name: g[1:] for name, g in grads.items()}, 0.7, 0.0, 25.0, seeded(2))
    moved = sum((without[name] - fewer[name]).pow(2).sum() for name in grads).sqrt()
    assert moved * 25 < 0.7 + 1e-5


def test_the_lessons_parts_are_those_of_the_exercises(own):
    grads = {"w": torch.randn(7, 3, 2, generator=seeded(3)), "b": torch.randn(7, 2, generator=seeded(4))}
    for name, expected in declared.clip_each(grads, 0.8).items():
        torch.testing.assert_close(own.shortened(grads, 0.8)[name], expected)
    clipped = declared.clip_each(grads, 0.8)
    for name, expected in declared.noisy_mean(clipped, 0.8, 1.2, 5.0, seeded(5)).items():
        torch.testing.assert_close(own.hidden_mean(grads, 0.8, 1.2, 5.0, seeded(5))[name], expected)
    x, y = rows(6, size=20)
    model = classifier(2)

    def average(grads, size, generator):
        return declared.noisy_mean(declared.clip_each(grads, 0.8), 0.8, 1.2, size, generator)

    expected = declared.private_step(
        own.parameters_of(model), x, y, 0.4, 0.3, own.gradients_for(model), average, seeded(6)
    )
    found = own.train_privately(model, x, y, 0.4, 1, 0.3, 0.8, 1.2, seeded(6)).state_dict()
    for name, p in expected.items():
        torch.testing.assert_close(found[name], p)


@pytest.mark.parametrize("q", [0.001, 0.05, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 7.0])
def test_the_accountant_is_opacus_at_equal_orders(own, q, sigma):
    orders = [2, 3, 5, 17, 64, 128]
    theirs = opacus_rdp.compute_rdp(q=q, noise_multiplier=sigma, steps=1, orders=orders)
    assert [own.renyi(q, sigma, a) for a in orders] == pytest.approx(list(theirs), rel=1e-7)
    for steps, delta in ((1, 1e-5), (700, 1e-6)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the best order is one at the end
            epsilon, _ = opacus_rdp.get_privacy_spent(orders=orders, rdp=steps * theirs, delta=delta)
        assert own.spent(q, sigma, steps, delta, orders) == pytest.approx(epsilon, rel=1e-7)
        if q < 1:
            found = declared.epsilon_spent(q, sigma, steps, delta, orders)
            assert found == pytest.approx(epsilon, rel=1e-7)


@pytest.mark.parametrize(("epsilon", "q", "steps"), [(8.0, 0.1, 50), (0.3, 0.02, 400)])
def test_the_noise_for_an_epsilon_is_enough_and_hardly_more(own, epsilon, q, steps):
    sigma = own.noise_for(epsilon, q, steps, 1e-5)
    assert own.spent(q, sigma, steps, 1e-5) <= epsilon < own.spent(q, 0.98 * sigma, steps, 1e-5)


def test_federated_is_central_in_the_limit(own):
    x, y = rows(8, size=50)
    start = classifier(4)
    everybody = [torch.arange(50)]
    one, _ = own.one_round(start, everybody, x, y, 3, 0.2, seeded(1), batch=8)
    central = own.train_at_home(start, x, y, 3, 0.2, seeded(1), batch=8)
    torch.testing.assert_close(own.vector(one), own.vector(central), atol=1e-6, rtol=1e-5)
    clients = torch.randperm(50, generator=seeded(2)).split([1, 7, 30, 12])
    many, _ = own.one_round(start, clients, x, y, 1, 0.2, seeded(3), batch=50)
    step = own.train_at_home(start, x, y, 1, 0.2, seeded(3), batch=50)
    torch.testing.assert_close(own.vector(many), own.vector(step), atol=1e-6, rtol=1e-5)


def test_the_mean_of_states_loses_no_digits_and_keeps_counters(own):
    """BatchNorm has an integer in its state; load_state_dict takes the mean."""
    models = [nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in range(5)]
    for i, model in enumerate(models):
        for _ in range(i + 1):
            model(torch.randn(4, 3, generator=seeded(i)))
    states, counts = [model.state_dict() for model in models], [3, 1, 4, 1, 5]
    found = own.mean_state(states, counts)
    for name, expected in declared.weighted_mean(states, counts).items():
        assert torch.equal(found[name], expected) and found[name].dtype == states[0][name].dtype
    assert found["1.num_batches_tracked"].item() == round((3 + 2 + 12 + 4 + 25) / 14)
    models[0].load_state_dict(found)


@pytest.mark.parametrize("parties", [2, 3, 7])
def test_masks_cancel_in_every_bit(own, parties):
    generator = seeded(parties)
    values = 50 * torch.randn(parties, 6, 5, generator=generator)
    seeds = {
        i: {j: 10_000 + min(i, j) * 100 + max(i, j) for j in range(parties) if j != i} for i in range(parties)
    }
    encoded = [own.to_ring(each, parties) for each in values]
    sent = [own.hide(each, i, seeds) for i, each in enumerate(encoded)]
    for i, each in enumerate(encoded):
        assert torch.equal(declared.masked(each, i, seeds[i]), sent[i])
        assert not torch.equal(each, sent[i])
    assert torch.equal(sum(sent) % own.RING, sum(encoded) % own.RING)
    back = own.from_ring(sum(sent) % own.RING)
    assert (back - values.double().sum(dim=0)).abs().max() <= parties * 0.5 / own.SCALE


def test_one_clients_message_is_uniform_in_every_bit(own):
    update = own.to_ring(torch.full((40_000,), 0.01), parties=2)
    sent = own.hide(update, 0, {0: {1: 99}})
    for bit in range(32):
        share = (sent >> bit & 1).double().mean().item()
        assert abs(share - 0.5) < 4 * 0.5 / 200, bit


def test_what_might_overflow_in_the_sum_is_refused(own):
    largest = ((own.RING // 2 - 1) // 4) / own.SCALE
    own.to_ring(torch.tensor([largest, -largest], dtype=torch.float64), parties=4)
    for value in (1.001 * largest, -1.001 * largest):
        with pytest.raises(OverflowError):
            own.to_ring(torch.tensor([value], dtype=torch.float64), parties=4)


# The federation on Flower: what can be tested without Flower's environment.

FLOWER = lessons.FOLDER.parent / "tools" / "flower"


def federation_module():
    spec = importlib.util.spec_from_file_location("federation", FLOWER / "federation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_flowers_client_trains_as_the_lessons_does(own):
    tree = ast.parse((FLOWER / "app.py").read_text(encoding="utf8"))
    (function,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "train_at_home"]
    namespace = {"np": numpy}
    exec(compile(ast.Module([function], []), "app.py", "exec"), namespace)
    torch.manual_seed(3)
    model, (x, y) = nn.Linear(6, 3), rows(9, size=20)
    expected = own.train_at_home(model, x, y, 4, 0.5, seeded(0), batch=20)
    weight, bias = (p.detach().numpy() for p in (model.weight, model.bias))
    found = namespace["train_at_home"](weight, bias, x.numpy(), y.numpy(), 4, 0.5)
    for ours, theirs in zip(expected.parameters(), found, strict=True):
        torch.testing.assert_close(ours.detach(), torch.tensor(theirs), atol=1e-6, rtol=1e-5)


@pytest.mark.skipif(os.name == "nt", reason="the federation runs on Linux and macOS")
def test_the_federation_stops_what_it_started_and_what_that_started():
    federation = federation_module()
    process = subprocess.Popen(["sh", "-c", "sleep 600 & wait"], start_new_session=True)
    assert federation.alive(process)
    federation.stop({"sleeper": process})
    assert not federation.alive(process)


def test_flowers_version_is_pinned_and_its_environment_is_not_stored():
    lines = (FLOWER / "requirements.txt").read_text(encoding="utf8").splitlines()
    assert all(re.match(r"#|[\w-]+==[\d.]+ +# ", line) for line in lines)
    ignored = (FLOWER.parent.parent / ".gitignore").read_text(encoding="utf8").split()
    assert ".venv-flower/" in ignored
