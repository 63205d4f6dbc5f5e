"""Exercises of lesson 04, losses: their references, inputs and typical mistakes."""

import contextlib
import functools
import io

import torch
import torch.nn.functional as F

from course_utils import data
from course_utils.checks.exercise import case, exercise, mistake

random = torch.Generator().manual_seed(4)


def floats(*shape):
    return torch.randn(*shape, generator=random)


def integers(high, *shape):
    return torch.randint(0, high, shape, generator=random)


# 4.1 ---------------------------------------------------------------------------------------------------


def bce_from_logits(logits, target):
    return F.binary_cross_entropy_with_logits(logits, target)


def naive_bce(logits, target):
    p = logits.sigmoid()
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


def clamped_bce(logits, target):
    p = logits.sigmoid().clamp(1e-7, 1 - 1e-7)
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


exercise(
    "4.1",
    "BCE from logits",
    reference=bce_from_logits,
    gradients=True,
    cases=[
        case("ordinary", floats(6), integers(2, 6).float()),
        case("a sure mistake", torch.tensor([0.5, 200.0]), torch.tensor([1.0, 0.0])),
        case("sure and right", torch.tensor([-150.0, 150.0, 1.0]), torch.tensor([0.0, 1.0, 1.0])),
        case("logits of 0, as before training", torch.zeros(3), torch.tensor([1.0, 0.0, 1.0])),
        case("several labels a text", floats(3, 4) * 3, integers(2, 3, 4).float()),
    ],
    mistakes=[
        mistake(
            "This is the formula from the book, and it overflows: sigmoid(200) is exactly 1, and log(1 − "
            "1) is −inf. Write −log σ(z) as softplus(−z), and never compute the probability.",
            naive_bce,
        ),
        mistake(
            "You clamp the probabilities. That is finite, but a sure mistake then costs too little and "
            "gets no gradient at all: a clamp is flat outside its limits. Use softplus instead.",
            clamped_bce,
        ),
        mistake(
            "You summed; the mean over all elements is asked for.",
            lambda logits, target: F.binary_cross_entropy_with_logits(logits, target, reduction="sum"),
        ),
        mistake(
            "The two classes are swapped: −log σ(z) = softplus(−z) belongs to target 1.",
            lambda logits, target: F.binary_cross_entropy_with_logits(-logits, target),
        ),
        mistake(
            "Only the texts with target 1 count in yours. With target 0, −log(1 − σ(z)) is missing.",
            lambda logits, target: (target * F.softplus(-logits)).mean(),
        ),
    ],
)

# 4.2 ---------------------------------------------------------------------------------------------------


def huber(prediction, target, delta):
    return F.huber_loss(prediction, target, delta=delta)


def huber_parts(small, large):
    def loss(prediction, target, delta):
        size = (prediction - target).abs()
        return torch.where(size <= delta, small(size, delta), large(size, delta)).mean()

    return loss


def without_abs(prediction, target, delta):
    e = prediction - target
    return torch.where(e <= delta, 0.5 * e**2, delta * (e - 0.5 * delta)).mean()


exercise(
    "4.2",
    "Huber loss",
    reference=huber,
    gradients=True,
    cases=[
        case("ordinary", floats(8) * 2, floats(8), 1.0),
        case("another delta", floats(3, 4) * 4, floats(3, 4), 2.5),
        case("errors exactly at delta", torch.tensor([0.5, -0.5, 0.2]), torch.zeros(3), 0.5),
        case("one element, far off below", torch.tensor([-9.0]), torch.tensor([1.0]), 1.5),
    ],
    mistakes=[
        mistake(
            "The factor ½ is missing in the quadratic part: at |error| = delta the two parts must meet.",
            huber_parts(lambda e, d: e**2, lambda e, d: d * (e - 0.5 * d)),
        ),
        mistake(
            "The factor delta is missing in the linear part: this is right for delta = 1 only.",
            huber_parts(lambda e, d: 0.5 * e**2, lambda e, d: e - 0.5 * d),
        ),
        mistake(
            "The linear part lacks −½ delta: the loss jumps at |error| = delta.",
            huber_parts(lambda e, d: 0.5 * e**2, lambda e, d: d * e),
        ),
        mistake(
            "You compare the error itself with delta, so large negative errors stay squared. Take abs first.",
            without_abs,
        ),
        mistake(
            "You summed; the mean over all elements is asked for.",
            lambda prediction, target, delta: F.huber_loss(prediction, target, delta=delta, reduction="sum"),
        ),
        mistake(
            "This is smooth_l1, Huber's loss divided by delta: far from 0 its slope is 1 instead of delta.",
            lambda prediction, target, delta: F.smooth_l1_loss(prediction, target, beta=delta),
        ),
    ],
)

# 4.3 ---------------------------------------------------------------------------------------------------


def token_losses(logits, target):
    losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    return losses.reshape(target.shape)


def token_loss(logits, target):
    return token_losses(logits, target).sum() / (target != -100).sum().clamp(min=1)


def mean_of_means(logits, target):
    counts = (target != -100).sum(dim=1).clamp(min=1)
    return (token_losses(logits, target).sum(dim=1) / counts).mean()


holes = torch.tensor([[1, 2, 0, 3], [2, -100, -100, -100], [0, 1, -100, -100]])

exercise(
    "4.3",
    "The loss of a padded batch",
    reference=token_loss,
    gradients=True,
    cases=[
        case("three texts of different lengths", floats(3, 4, 5), holes),
        case("nothing is padding", floats(2, 3, 4), integers(4, 2, 3)),
        case("no real token", floats(2, 2, 3), torch.full((2, 2), -100)),
        case("one real token", floats(2, 3, 2) * 5, torch.tensor([[-100] * 3, [-100, 1, -100]])),
    ],
    mistakes=[
        mistake(
            "You divide by batch × seq, padding included: the more padding, the smaller the loss. Divide "
            "by the count of real tokens.",
            lambda logits, target: token_losses(logits, target).mean(),
        ),
        mistake(
            "This is a mean of each text's mean: a token of a short text counts more than one of a long "
            "text. Take one mean over all real tokens.",
            mean_of_means,
        ),
        mistake(
            "Padding counts as class 0. Leave −100 in the targets: cross_entropy skips it.",
            lambda logits, target: token_losses(logits, target.clamp(min=0)).mean(),
        ),
        mistake(
            "Without a real token the mean is 0 / 0, which is NaN. Take the sum, and divide by at least 1.",
            lambda logits, target: F.cross_entropy(logits.flatten(0, 1), target.flatten()),
        ),
        mistake(
            "You summed; the mean over the real tokens is asked for.",
            lambda logits, target: token_losses(logits, target).sum(),
        ),
        mistake(
            "You took the softmax before cross_entropy, which takes it again: give it the logits.",
            lambda logits, target: token_loss(logits.softmax(dim=-1), target),
        ),
    ],
)

# 4.4 ---------------------------------------------------------------------------------------------------


def smooth_targets(target, classes, epsilon):
    return (1 - epsilon) * F.one_hot(target, classes).float() + epsilon / classes


def shared_by_the_others(target, classes, epsilon):
    right = F.one_hot(target, classes).float()
    return (1 - epsilon) * right + epsilon / (classes - 1) * (1 - right)


def right_without_its_part(target, classes, epsilon):
    right = F.one_hot(target, classes).float()
    return (1 - epsilon) * right + epsilon / classes * (1 - right)


exercise(
    "4.4",
    "Smooth the targets",
    reference=smooth_targets,
    cases=[
        case("four classes", torch.tensor([1, 3, 0]), 4, 0.2),
        case("two classes", torch.tensor([0, 1, 1, 0]), 2, 0.1),
        case("no smoothing", torch.tensor([2, 0]), 3, 0.0),
        case("one text, the last class", torch.tensor([5]), 6, 0.3),
    ],
    mistakes=[
        mistake(
            "You share epsilon among the wrong classes only (divide by C − 1). PyTorch's smoothing "
            "spreads it over every class, the right one included.",
            shared_by_the_others,
        ),
        mistake(
            "Your rows do not add up to 1: the right class gets its part epsilon / C as well.",
            right_without_its_part,
        ),
        mistake(
            "You add epsilon / C without taking epsilon away from the right class: rows add up to more "
            "than 1.",
            lambda target, classes, epsilon: F.one_hot(target, classes).float() + epsilon / classes,
        ),
        mistake(
            "You add epsilon to every class; its share is epsilon divided by the number of classes.",
            lambda target, classes, epsilon: (1 - epsilon) * F.one_hot(target, classes).float() + epsilon,
        ),
        mistake(
            "The numbers are right, and of dtype float64; float32 is asked for.",
            lambda target, classes, epsilon: (
                (1 - epsilon) * F.one_hot(target, classes).double() + epsilon / classes
            ),
        ),
    ],
)

# 4.5 ---------------------------------------------------------------------------------------------------


def hinges(anchor, positive, negative, margin):
    return (anchor - positive).norm(dim=1) - (anchor - negative).norm(dim=1) + margin


def triplet(anchor, positive, negative, margin):
    return hinges(anchor, positive, negative, margin).clamp(min=0).mean()


def squared_triplet(anchor, positive, negative, margin):
    near, far = (anchor - positive).square().sum(dim=1), (anchor - negative).square().sum(dim=1)
    return (near - far + margin).clamp(min=0).mean()


exercise(
    "4.5",
    "Triplet margin",
    reference=triplet,
    gradients=True,
    cases=[
        case("ordinary", floats(6, 4), floats(6, 4), floats(6, 4), 1.0),
        case(
            "an easy row and a hard one",
            torch.tensor([[0.0, 0.0], [1.0, 1.0]]),
            torch.tensor([[0.1, 0.0], [4.0, 1.0]]),
            torch.tensor([[9.0, 9.0], [1.0, 2.5]]),
            0.5,
        ),
        case("no margin", floats(5, 3), floats(5, 3), floats(5, 3), 0.0),
        case("one row, all well", torch.zeros(1, 2), torch.full((1, 2), 0.1), torch.full((1, 2), 5.0), 1.0),
    ],
    mistakes=[
        mistake(
            "Positive and negative are swapped: you push what belongs together apart.",
            lambda anchor, positive, negative, margin: triplet(anchor, negative, positive, margin),
        ),
        mistake(
            "Without the clamp at 0, rows that are right already pull on, and without end. Clamp each row.",
            lambda anchor, positive, negative, margin: hinges(anchor, positive, negative, margin).mean(),
        ),
        mistake(
            "You clamp after the mean: an easy row makes up for a hard one. Clamp each row, then take the "
            "mean.",
            lambda anchor, positive, negative, margin: (
                hinges(anchor, positive, negative, margin).mean().clamp(min=0)
            ),
        ),
        mistake(
            "These are squared distances; take the root (norm), so that the margin is a distance.",
            squared_triplet,
        ),
        mistake(
            "You summed over the rows; their mean is asked for.",
            lambda anchor, positive, negative, margin: (
                hinges(anchor, positive, negative, margin).clamp(min=0).sum()
            ),
        ),
    ],
)

# 4.6 ---------------------------------------------------------------------------------------------------


def token_mean(logits, ids, pad_id):
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=pad_id)


def batch_perplexity(logits, ids, pad_id):
    return token_mean(logits, ids, pad_id).exp().item()


def mean_of_perplexities(logits, ids, pad_id):
    pairs = zip(logits, ids, strict=True)
    each = [F.cross_entropy(scores, row, ignore_index=pad_id).exp().item() for scores, row in pairs]
    return sum(each) / len(each)


def mean_of_exponentials(logits, ids, pad_id):
    losses = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none")
    return losses[ids.flatten() != pad_id].exp().mean().item()


exercise(
    "4.6",
    "Perplexity of a padded batch",
    reference=batch_perplexity,
    cases=[
        case("two texts", floats(2, 4, 9), torch.tensor([[3, 5, 8, 1], [2, 0, 0, 0]]), 0),
        case("padded with 1", floats(3, 3, 6) * 2, torch.tensor([[0, 5, 1], [2, 1, 1], [4, 3, 0]]), 1),
        case("a uniform bet", torch.zeros(1, 2, 50), torch.tensor([[7, 0]]), 0),
        case("logits that are sure", floats(2, 2, 4) * 9, torch.tensor([[2, 3], [1, 0]]), 0),
    ],
    mistakes=[
        mistake(
            "The padding counts too, as if it were text to foresee. Give ignore_index=pad_id.",
            lambda logits, ids, pad_id: batch_perplexity(logits, ids, -100),
        ),
        mistake(
            "This is the mean cross-entropy itself; exp is missing.",
            lambda logits, ids, pad_id: token_mean(logits, ids, pad_id).item(),
        ),
        mistake(
            "You took each text's perplexity and averaged those. Take one mean of the losses of all "
            "tokens, and exp at the very end.",
            mean_of_perplexities,
        ),
        mistake(
            "You took exp of each token's loss, then the mean: one bad token swamps all. First the mean, "
            "then exp.",
            mean_of_exponentials,
        ),
        mistake(
            "You ignore token 0 always; the padding of this batch is pad_id.",
            lambda logits, ids, pad_id: batch_perplexity(logits, ids, 0),
        ),
        mistake(
            "You raised 2 to the cross-entropy, but PyTorch's is in nats, not bits: take exp.",
            lambda logits, ids, pad_id: 2 ** token_mean(logits, ids, pad_id).item(),
        ),
    ],
)

# 4.7 ---------------------------------------------------------------------------------------------------

TARGET, SHARE = 0.66, 0.08
made = []  # what train gave back, so that a judge can tell it from what was changed afterwards


@functools.cache
def reviews():
    """Imbalanced training reviews and all validation reviews."""
    with contextlib.redirect_stdout(io.StringIO()):
        vectors = data.review_vectors()
    x, y = vectors["train"]
    scorn, praise = (y == 0).nonzero()[:, 0], (y == 1).nonzero()[:, 0]
    order = torch.randperm(len(praise), generator=torch.Generator().manual_seed(0))
    keep = torch.cat([scorn, praise[order[: int(SHARE * len(praise))]]])
    return x[keep], y[keep].float(), *vectors["validation"]


class Train:
    """`train(loss)`: trains the lesson's linear classifier, gives the validation reviews' logits."""

    def __call__(self, loss):
        x, y, x_val, _ = reviews()
        weight, bias = torch.zeros(x.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.Adam([weight, bias], lr=0.02)
        for _ in range(150):
            value = loss(x @ weight + bias, y.clone())
            if not torch.is_tensor(value) or value.numel() != 1:
                raise TypeError("your loss is to give one number, a tensor without dimensions")
            optimizer.zero_grad()
            (value.reshape(()) + 0.03 * weight.square().sum()).backward()
            optimizer.step()
        logits = (x_val @ weight + bias).detach()
        made.append(logits.clone())
        del made[:-20]
        return logits

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return "train(loss)"


def judge_rescue(logits, train):
    labels = reviews()[3]
    if not torch.is_tensor(logits) or logits.shape != labels.shape:
        return "return what train(loss) gives back: one logit for each validation review"
    if logits.isnan().any():
        return "the logits are NaN: does your loss overflow, take the log of 0, or divide by 0?"
    if not any(torch.equal(logits, known) for known in made):
        return MOVED
    found, spared = ((logits > 0)[labels == 1].float().mean(), (logits <= 0)[labels == 0].float().mean())
    balanced = ((found + spared) / 2).item()
    if balanced >= TARGET:
        return ""
    measured = (
        f"balanced accuracy {balanced:.2f}, and the target is {TARGET}: your model finds {found:.0%} of "
    )
    measured += f"the praise and spares {spared:.0%} of the scorn. "
    if found < spared:
        return measured + "The rare class pulls too little: give it a larger weight."
    return measured + "The rare class pulls too much: give it a smaller weight."


MOVED = (
    "These are not the logits that train(loss) gave back. A moved threshold would do as well here, but the "
    "task is to let the loss do the work: return train(loss) as it is."
)


def bce(logits, target, **options):
    return F.binary_cross_entropy_with_logits(logits, target, **options)


def balanced_bce(logits, target):
    return bce(logits, target, pos_weight=(1 - target).sum() / target.sum()) / 2


def plain_focal(logits, target):
    losses = bce(logits, target, reduction="none")
    return ((1 - torch.exp(-losses)) ** 2 * losses).mean()


def wrong_way_round(logits, target):
    return bce(logits, target, weight=torch.where(target == 0, (1 - target).sum() / target.sum(), 1.0))


exercise(
    "4.7",
    "Rescue the rare class",
    reference=lambda train: train(balanced_bce),
    judge=judge_rescue,
    rtol=1e-2,
    atol=1e-2,
    seconds=30.0,
    cases=[case("imbalanced reviews", Train())],
    mistakes=[
        mistake(
            "This is plain BCE: scorn is 13 times as frequent, so its pull wins, and nearly everything is "
            "called scorn. Let each class pull equally.",
            lambda train: train(bce),
        ),
        mistake(
            "Your weights are the wrong way round: they make the frequent class count even more.",
            lambda train: train(wrong_way_round),
        ),
        mistake(
            "Focal loss alone turns from easy to hard examples, whatever their class; the rare class is "
            "as rare as before. Weight the classes too.",
            lambda train: train(plain_focal),
        ),
        mistake(
            "Label smoothing makes the model less sure and leaves the classes as unequal as they were.",
            lambda train: train(lambda z, t: bce(z, 0.9 * t + 0.05)),
        ),
        mistake(
            "Squared error on the probability hardly pushes where the model is surely wrong, and weighs "
            "both classes by their numbers. Use BCE, weighted.",
            lambda train: train(lambda z, t: F.mse_loss(z.sigmoid(), t)),
        ),
        mistake(MOVED, lambda train: train(bce) + 2.0),
    ],
)
