"""Lesson 04: its losses against torch's, in value and gradient, on fresh inputs."""

import itertools

import lessons
import pytest
import torch
import torch.nn.functional as F
from transformers.loss.loss_for_object_detection import sigmoid_focal_loss
from transformers.models.clip.modeling_clip import contrastive_loss as clip_loss

NAMES = """
    my_mse my_l1 my_huber my_bce my_bce_with_logits my_nll my_cross_entropy my_full_cross_entropy my_kl_div
    my_focal my_cosine_embedding my_contrastive my_triplet my_info_nce my_logsumexp agree
    similarities
""".split()
REDUCTIONS = ("none", "mean", "sum")
SEEDS = range(10)


@pytest.fixture(scope="module")
def own():
    (path,) = [path for path in lessons.paths() if path.name.startswith("04")]
    return lessons.definitions(lessons.read(path), *NAMES)


@pytest.fixture(params=SEEDS)
def random(request):
    """(a source of float64 tensors, a source of integers)."""
    generator = torch.Generator().manual_seed(1000 + request.param)

    def floats(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * 3

    def integers(high, *shape):
        return torch.randint(0, high, shape, generator=generator)

    return floats, integers


def same(mine, library, learnt, fixed=(), **options):
    """Assert that two losses agree to 1e-10, in value and in the gradient of a weighted sum."""
    results = []
    for loss in (mine, library):
        leaves = [tensor.clone().requires_grad_() for tensor in learnt]
        value = loss(*leaves, *fixed, **options)
        factors = torch.linspace(1, 2, value.numel(), dtype=torch.float64).reshape(value.shape)
        results.append([value.detach(), *torch.autograd.grad((value * factors).sum(), leaves)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_regression(own, random, reduction):
    floats, _ = random
    a, b = floats(5, 3), floats(5, 3)
    same(own["my_mse"], F.mse_loss, [a, b], reduction=reduction)
    same(own["my_l1"], F.l1_loss, [a, b], reduction=reduction)
    for delta in (0.3, 1.0, 4.0):
        same(own["my_huber"], F.huber_loss, [a, b], delta=delta, reduction=reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary(own, random, reduction):
    floats, integers = random
    z, hard, soft = floats(6, 4), integers(2, 6, 4).double(), floats(6, 4).sigmoid()
    z[0, 0] = 0.0
    library = F.binary_cross_entropy_with_logits
    for target in (hard, soft):
        same(own["my_bce"], F.binary_cross_entropy, [z.sigmoid()], (target,), reduction=reduction)
        for weight in (None, floats(4).exp()):
            same(own["my_bce_with_logits"], library, [z], (target,), pos_weight=weight, reduction=reduction)
        same(own["my_bce_with_logits"], library, [z * 300], (target,), reduction=reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_cross_entropy(own, random, reduction, smoothing):
    floats, integers = random
    z, index = floats(8, 5), integers(5, 8)
    holes = index.clone()
    holes[::3] = -100
    zero_weight = floats(5).exp()
    zero_weight[index[1]] = 0.0  # a class that counts for nothing, and yet is not ignored
    targets = [(index, -100), (holes, -100), (index, int(index[0])), (floats(8, 5).softmax(1), -100)]
    for (target, ignored), weight in itertools.product(targets, (None, floats(5).exp(), zero_weight)):
        options = {"label_smoothing": smoothing, "reduction": reduction, "weight": weight}
        if not target.is_floating_point():
            options["ignore_index"] = ignored
        same(own["my_full_cross_entropy"], F.cross_entropy, [z], (target,), **options)
        if not target.is_floating_point() and not smoothing:
            del options["label_smoothing"]
            same(own["my_nll"], F.nll_loss, [z.log_softmax(1)], (target,), **options)
            if weight is None:
                del options["weight"]
                same(own["my_cross_entropy"], F.cross_entropy, [z], (target,), **options)
                same(own["my_cross_entropy"], F.cross_entropy, [z * 300], (target,), **options)


def test_nothing_but_ignored_targets(own):
    z, target = torch.zeros(3, 2), torch.full((3,), -100)
    rows = [
        ("my_cross_entropy", F.cross_entropy),
        ("my_full_cross_entropy", F.cross_entropy),
        ("my_nll", F.nll_loss),
    ]
    for mine, library in rows:
        for reduction in REDUCTIONS:
            expected = library(z, target, reduction=reduction)
            torch.testing.assert_close(own[mine](z, target, reduction=reduction), expected, equal_nan=True)
    assert own["my_cross_entropy"](z, target).isnan()


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("reduction", (*REDUCTIONS, "batchmean"))
def test_divergence(own, random, reduction):
    floats, _ = random
    log_p, q = floats(4, 6).log_softmax(1), floats(4, 6).softmax(1)
    one_hot = torch.eye(6, dtype=torch.float64)[:4]  # log 0 in the target
    for target in (q, one_hot):
        same(own["my_kl_div"], F.kl_div, [log_p], (target,), reduction=reduction)
    same(own["my_kl_div"], F.kl_div, [log_p], (q.log(),), log_target=True, reduction=reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_embeddings(own, random, reduction):
    floats, integers = random
    a, b, c = floats(6, 4), floats(6, 4), floats(6, 4)
    pairs = integers(2, 6) * 2 - 1
    for margin in (0.0, 0.3):
        options = {"margin": margin, "reduction": reduction}
        same(own["my_cosine_embedding"], F.cosine_embedding_loss, [a, b], (pairs,), **options)
        same(own["my_triplet"], F.triplet_margin_loss, [a, b, c], **options | {"margin": margin + 1})

    def library(a, b, reduction):
        cosine = F.cosine_similarity(a[:, None], b[None], dim=2)
        return F.cross_entropy(cosine / 0.1, torch.arange(len(a)), reduction=reduction)

    same(own["my_info_nce"], library, [a, b], reduction=reduction)
    theirs = clip_loss(own["similarities"](a, b))
    torch.testing.assert_close(own["my_info_nce"](a, b), theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_focal(own, random, reduction):
    floats, integers = random
    z, target = floats(7), integers(2, 7).double()

    def without_gamma(z, target, reduction):
        return own["my_focal"](z, target, gamma=0.0, reduction=reduction)

    theirs = sigmoid_focal_loss(z[None], target[None], num_boxes=1, alpha=0.25, gamma=2)
    torch.testing.assert_close(own["my_focal"](z, target, alpha=0.25), theirs, rtol=1e-10, atol=1e-10)

    def formula(z, target, gamma, alpha, reduction):
        p = z.sigmoid()
        positive = -alpha * (1 - p) ** gamma * p.log() * target
        negative = -(1 - alpha) * p**gamma * (1 - p).log() * (1 - target)
        losses = positive + negative
        return losses if reduction == "none" else getattr(losses, reduction)()

    same(without_gamma, F.binary_cross_entropy_with_logits, [z], (target,), reduction=reduction)
    for gamma, alpha in [(1.0, 0.5), (2.0, 0.25), (3.5, 0.9)]:
        same(own["my_focal"], formula, [z], (target,), gamma=gamma, alpha=alpha, reduction=reduction)


def test_logsumexp(own, random):
    floats, _ = random
    for scale in (1, 1000):
        same(own["my_logsumexp"], lambda z: z.logsumexp(-1, keepdim=True), [floats(3, 5) * scale])


def test_the_lessons_own_comparison_can_fail(own, random):
    floats, _ = random
    a, b = floats(4), floats(4)
    assert own["agree"](own["my_mse"], F.mse_loss, [a, b], reduction="mean")
    assert not own["agree"](lambda a, b: F.mse_loss(a, b) + 1e-8, F.mse_loss, [a, b])  # the value differs
    assert not own["agree"](lambda a, b: F.mse_loss(a, b.detach() + 0 * b), F.mse_loss, [a, b])  # a gradient


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_contrastive_is_its_formula(own, random, reduction):
    floats, integers = random
    a, b, same_pair = floats(6, 3), floats(6, 3), 2 * integers(2, 6) - 1

    def formula(a, b, margin, reduction):
        d = F.pairwise_distance(a, b, eps=0.0)
        each = [
            0.5 * (x**2 if s == 1 else F.relu(margin - x) ** 2) for x, s in zip(d, same_pair, strict=True)
        ]
        return {"none": lambda x: x, "mean": torch.mean, "sum": torch.sum}[reduction](torch.stack(each))

    for margin in (0.5, 4.0):  # most pairs are farther apart than the one, and nearer than the other
        same(
            lambda a, b, **options: own["my_contrastive"](a, b, same_pair, **options),
            formula,
            [a, b],
            margin=margin,
            reduction=reduction,
        )
