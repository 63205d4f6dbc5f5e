"""Exercises of lesson 04, losses: their references, inputs and typical mistakes."""

import contextlib
import functools
import io

import torch
import torch.nn.functional as F

from course_utils import data
from course_utils.checks.exercise import Draw, calls, case, exercise, forbid, mistake, no_loops

SUMMED = "You summed; the mean is asked for."
SMALL = (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)  # what people add before a logarithm

# 4.1 ---------------------------------------------------------------------------------------------------

draw = Draw("4.1")


def log_sum_exp(scores):
    largest = scores.amax(dim=1, keepdim=True)
    return largest[:, 0] + (scores - largest).exp().sum(dim=1).log()


def shifted_by(shift):
    def answer(scores):
        m = shift(scores)
        return (m + (scores - m).exp().sum(dim=1, keepdim=True).log())[:, 0]

    return answer


def added_as_a_column(scores):
    largest = scores.amax(dim=1, keepdim=True)
    return largest + (scores - largest).exp().sum(dim=1).log()


def not_added_back(scores):
    return (scores - scores.amax(dim=1, keepdim=True)).exp().sum(dim=1).log()


exercise(
    "4.1",
    "Log-sum-exp",
    reference=log_sum_exp,
    gradients=("scores",),
    rules=[
        forbid("logsumexp", "logaddexp", "softmax", "log_softmax", "softplus", "cross_entropy"),
        no_loops(),
    ],
    cases=[
        case("ordinary", draw.floats(4, 3)),
        case("more rows than classes, far below and above 0", draw.floats(5, 2) * 300),
        case(
            "one row at 1000, one at -1000", torch.tensor([[1000.0, 999.0, 0.0], [-1000.0, -1001.0, -1002.0]])
        ),
        case("equal scores", torch.full((2, 4), 500.0)),
        case("one class", torch.tensor([[-200.0], [7.0]])),
    ],
    mistakes=[
        mistake(
            "This is the formula from the book: exp(1000) is inf, and the log of exp(−1000) is −inf. Take "
            "each row's largest score out before exp, and add it back after log.",
            lambda scores: scores.exp().sum(dim=1).log(),
            lambda scores: torch.log(torch.sum(torch.exp(scores), 1)),
        ),
        mistake(
            "You took the largest score out and never added it back.",
            not_added_back,
        ),
        mistake(
            "You take the largest score of the whole tensor out: a row far below it then vanishes, and its "
            "log is −inf. Each row needs its own largest: amax(dim=1, keepdim=True).",
            shifted_by(lambda scores: scores.amax()),
            shifted_by(lambda scores: scores.max()),
        ),
        mistake(
            "You take the mean out, not the largest: a score far above the mean still overflows.",
            shifted_by(lambda scores: scores.mean(dim=1, keepdim=True)),
        ),
        mistake(
            "You take the largest absolute value out. In a row far below 0 that is not its largest score: "
            "every exp is then 0, and the log of 0 is −inf. Take amax without abs.",
            shifted_by(lambda scores: scores.abs().amax(dim=1, keepdim=True)),
        ),
        mistake(
            "You add a small number inside the logarithm. exp(1000) is inf all the same, and a row of −1000 "
            "becomes the log of that small number. Take each row's largest score out instead.",
            lambda scores: (scores.exp().sum(dim=1) + 1e-8).log(),
            lambda scores: (scores.exp().sum(dim=1) + 1e-10).log(),
            lambda scores: (scores.exp().sum(dim=1) + 1e-12).log(),
        ),
        mistake(
            "Your largest scores still have the shape (N, 1) when you add them to the logarithms, (N,): "
            "broadcasting makes N × N of it. Drop the last dimension first.",
            added_as_a_column,
        ),
        mistake(
            "You clamp the scores before exp. That is finite and false: 1000 then counts as the limit, and "
            "what is clamped gets no gradient. Take the largest out instead.",
            lambda scores: scores.clamp(-80, 80).exp().sum(dim=1).log(),
            lambda scores: scores.clamp(max=80).exp().sum(dim=1).log(),
        ),
        mistake(
            "Your sum runs over the rows (dim=0); a row is one text, and the classes are along dim=1.",
            lambda scores: torch.logsumexp(scores, dim=0),
        ),
        mistake(
            "The numbers are right and their shape is (N, 1); (N,) is asked for. Drop the last dimension.",
            lambda scores: torch.logsumexp(scores, dim=1, keepdim=True),
        ),
    ],
)

# 4.2 ---------------------------------------------------------------------------------------------------

draw = Draw("4.2")


def nll(log_p, target):
    return -log_p.gather(1, target[:, None]).mean()


def one_hot_nll(log_p, target):
    return -(log_p * F.one_hot(target, log_p.shape[1])).mean()


exercise(
    "4.2",
    "Negative log-likelihood",
    reference=nll,
    gradients=("log_p",),
    rules=[forbid("nll_loss", "cross_entropy"), no_loops()],
    cases=[
        case("three texts, four classes", draw.floats(3, 4).log_softmax(dim=1), torch.tensor([2, 0, 3])),
        case(
            "the last class does not occur",
            draw.floats(5, 4).log_softmax(dim=1),
            torch.tensor([1, 1, 0, 2, 1]),
        ),
        case("as many texts as classes", draw.floats(3, 3).log_softmax(dim=1), torch.tensor([0, 2, 2])),
        case("one text", draw.floats(1, 2).log_softmax(dim=1), torch.tensor([1])),
    ],
    mistakes=[
        mistake(
            "The sign is missing: log-probabilities are below 0, and a loss is minus their mean.",
            lambda log_p, target: -F.nll_loss(log_p, target),
        ),
        mistake(
            "log_p[:, target] takes every text's entry at every text's class, N × N numbers. Pair row i "
            "with class target[i]: gather, or index the rows as well.",
            lambda log_p, target: -log_p[:, target].mean(),
        ),
        mistake(
            "You average over all N × C places, most of them 0. Each text gives one number: sum over the "
            "classes first, then take the mean over the texts.",
            one_hot_nll,
        ),
        mistake(
            "You take each text's largest log-probability, whatever the target says. The right class counts.",
            lambda log_p, target: -log_p.amax(dim=1).mean(),
        ),
        mistake(SUMMED, lambda log_p, target: F.nll_loss(log_p, target, reduction="sum")),
        mistake(
            "You give one number for each text; their mean, one number, is asked for.",
            lambda log_p, target: F.nll_loss(log_p, target, reduction="none"),
        ),
        mistake(
            "You turned the log-probabilities back into probabilities; minus the probability is no surprise. "
            "They are logarithms already: take them as they are.",
            lambda log_p, target: F.nll_loss(log_p.exp(), target),
            lambda log_p, target: F.nll_loss(log_p.softmax(dim=1), target),
        ),
        mistake(
            "You took a log-softmax of what is a log-probability already: the value stays, and the gradient "
            "of log_p does not. Pick the entries as they are.",
            F.cross_entropy,
        ),
        mistake(
            "You take the logarithm again. log_p holds logarithms already, and the log of a number below 0 "
            "is NaN. Pick the entries as they are.",
            lambda log_p, target: F.nll_loss(log_p.log(), target),
        ),
    ],
)

# 4.3 ---------------------------------------------------------------------------------------------------

draw = Draw("4.3")


def each_loss(logits, target, ignore_index):
    """The losses of all texts, 0 where the target is ignored, and where it is not."""
    return F.cross_entropy(
        logits, target, ignore_index=ignore_index, reduction="none"
    ), target != ignore_index


def cross_entropy(logits, target, ignore_index):
    keep = target != ignore_index
    logits, target = logits[keep], target[keep]
    right = logits.gather(1, target[:, None])[:, 0]
    return (log_sum_exp(logits) - right).sum() / keep.sum().clamp(min=1)


def over_all(logits, target, ignore_index):
    return each_loss(logits, target, ignore_index)[0].mean()


def over_all_from_0(logits, target, ignore_index):
    losses = F.cross_entropy(logits, target.clamp(min=0), reduction="none")
    return (losses * (target != ignore_index)).mean()


def nothing_ignored(logits, target, ignore_index):
    return (log_sum_exp(logits) - logits.gather(1, target[:, None])[:, 0]).mean()


def summed(logits, target, ignore_index):
    return each_loss(logits, target, ignore_index)[0].sum()


def without_a_guard(logits, target, ignore_index):
    return F.cross_entropy(logits, target, ignore_index=ignore_index)


def as_class_0(logits, target, ignore_index):
    return F.cross_entropy(logits, torch.where(target == ignore_index, 0, target))


def always_minus_100(logits, target, ignore_index):
    return cross_entropy(logits, target, -100)


def overflowing(logits, target, ignore_index):
    keep = target != ignore_index
    kept = logits[keep]
    picked = kept[torch.arange(len(kept)), target[keep]]
    return (kept.exp().sum(dim=1).log() - picked).sum() / keep.sum().clamp(min=1)


def from_softmax(logarithm):
    def answer(logits, target, ignore_index):
        keep = target != ignore_index
        p = logits[keep].softmax(dim=1)[torch.arange(int(keep.sum())), target[keep]]
        return -logarithm(p).sum() / keep.sum().clamp(min=1)

    return answer


def of_every_class(logits, target, ignore_index):
    keep = target != ignore_index
    log_p = logits[keep].log_softmax(dim=1)
    return -log_p[:, target[keep]].sum() / keep.sum().clamp(min=1)


def only_picked(logits, target, ignore_index):
    keep = target != ignore_index
    return -logits[keep].gather(1, target[keep][:, None]).sum() / keep.sum().clamp(min=1)


exercise(
    "4.3",
    "Cross-entropy from logits",
    reference=cross_entropy,
    gradients=("logits",),
    rules=[
        forbid("cross_entropy", "nll_loss", "log_softmax", "softmax", "logsumexp", "logaddexp"),
        no_loops(),
    ],
    cases=[
        case("nothing is ignored", draw.floats(4, 3) * 2, torch.tensor([0, 2, 1, 1]), -100),
        case("two of five are ignored", draw.floats(5, 4) * 2, torch.tensor([3, -100, 0, -100, 2]), -100),
        case("class 0 is what is ignored", draw.floats(4, 3), torch.tensor([0, 1, 0, 2]), 0),
        case("what is ignored is no class: 99", draw.floats(3, 2), torch.tensor([99, 0, 1]), 99),
        case("one target to keep", draw.floats(3, 4), torch.tensor([-100, 2, -100]), -100),
        case("logits of 1000", torch.tensor([[1000.0, 0.0], [-1000.0, 10.0]]), torch.tensor([1, 1]), -100),
        case("everything is ignored", draw.floats(2, 3), torch.tensor([-100, -100]), -100),
    ],
    mistakes=[
        mistake(
            "You divide by all N texts, ignored ones included: the more padding, the smaller the loss. "
            "Divide by the count of those that are kept.",
            over_all,
            over_all_from_0,
        ),
        mistake(SUMMED + " Divide by the count of the targets that are kept.", summed),
        mistake(
            "Without a target to keep yours is 0 / 0, which is NaN. Divide the sum by at least 1.",
            without_a_guard,
        ),
        mistake(
            "What is ignored counts as class 0 in yours. Take its loss out of the sum and out of the count.",
            as_class_0,
        ),
        mistake(
            "What you ignore is −100, or whatever is below 0, and not what ignore_index says. Compare the "
            "targets with the argument.",
            always_minus_100,
        ),
        mistake(
            "You do not use ignore_index: a target of that value counts for nothing, be it a class or not.",
            nothing_ignored,
        ),
        mistake(
            "With logits of 1000 yours overflows: exp(1000) is inf. Take each row's largest out before exp.",
            overflowing,
        ),
        mistake(
            "You take the probability first and its logarithm after: a probability that rounds to 0 has the "
            "log −inf. Stay with logarithms: logit of the right class minus log-sum-exp.",
            from_softmax(torch.log),
        ),
        mistake(
            "You keep the probability away from 0 by a small number before the logarithm. That is finite, "
            "but a sure mistake then costs too little. Stay with logarithms: logit of the right class minus "
            "log-sum-exp.",
            *[from_softmax(lambda p, small=small: (p + small).log()) for small in SMALL],
            *[from_softmax(lambda p, small=small: p.clamp(min=small).log()) for small in SMALL],
        ),
        mistake(
            "[:, target] takes every text's entry at every text's class, N × N numbers. Pair row i with "
            "class target[i]: gather, or index the rows as well.",
            of_every_class,
            lambda logits, target, ignore_index: (
                of_every_class(logits, target, ignore_index) / (target != ignore_index).sum().clamp(min=1)
            ),
        ),
        mistake(
            "You pick the logits as they are, so the other classes play no part. Pick the log-probabilities: "
            "logit minus its row's log-sum-exp.",
            only_picked,
        ),
        mistake(
            "The sign is the wrong way round: the loss is log-sum-exp minus the logit of the right class.",
            lambda logits, target, ignore_index: -cross_entropy(logits, target, ignore_index),
        ),
    ],
)

# 4.4 ---------------------------------------------------------------------------------------------------

draw = Draw("4.4")


def bce_from_logits(logits, target):
    return (target * F.softplus(-logits) + (1 - target) * F.softplus(logits)).mean()


def naive_bce(logits, target):
    p = logits.sigmoid()
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


def with_a_kink(positive_part):
    def answer(logits, target):
        return (positive_part(logits) - logits * target + (-logits.abs()).exp().log1p()).mean()

    return answer


def bce_plus(small):
    def answer(logits, target):
        p = logits.sigmoid()
        return -(target * (p + small).log() + (1 - target) * (1 - p + small).log()).mean()

    return answer


def stopped_at_minus_100(logits, target):
    p = logits.sigmoid()
    return -(target * p.log().clamp(min=-100) + (1 - target) * (1 - p).log().clamp(min=-100)).mean()


def clamped_bce(limit):
    def answer(logits, target):
        p = logits.sigmoid().clamp(limit, 1 - limit)
        return -(target * p.log() + (1 - target) * (1 - p).log()).mean()

    return answer


exercise(
    "4.4",
    "BCE from logits",
    reference=bce_from_logits,
    gradients=("logits",),
    rules=[
        forbid(
            "binary_cross_entropy_with_logits",
            "binary_cross_entropy",
            "soft_margin_loss",
            "multilabel_soft_margin_loss",
        )
    ],
    cases=[
        case("ordinary", draw.floats(6), torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0])),
        case("a sure mistake", torch.tensor([0.5, 200.0]), torch.tensor([1.0, 0.0])),
        case("sure and right", torch.tensor([-150.0, 150.0, 1.0]), torch.tensor([0.0, 1.0, 1.0])),
        case("logits of 0, as before training", torch.zeros(3), torch.tensor([1.0, 0.0, 1.0])),
        case("several labels a text", draw.floats(3, 4) * 3, draw.integers(2, 3, 4).float()),
    ],
    mistakes=[
        mistake(
            "This overflows: in float32 exp(200) is inf, and σ(200) is exactly 1, so log(1 − σ) is −inf. "
            "Write −log σ(z) as a safe log-sum-exp of 0 and −z, and never compute exp(z) or σ(z) alone.",
            naive_bce,
            lambda logits, target: (
                target * (1 + (-logits).exp()).log() + (1 - target) * (1 + logits.exp()).log()
            ).mean(),
            lambda logits, target: (logits.exp().log1p() - target * logits).mean(),
        ),
        mistake(
            "You stop the logarithm at −100, as PyTorch's loss of probabilities does. That is finite, but "
            "σ(200) is exactly 1 all the same: the mistake costs 100, and its gradient is lost. Use "
            "log-sum-exp of 0 and ∓z instead.",
            stopped_at_minus_100,
        ),
        mistake(
            "Your loss takes a sigmoid of what is a sigmoid already: give its logarithms the logits.",
            lambda logits, target: bce_from_logits(logits.sigmoid(), target),
        ),
        mistake(
            "You divide by the number of rows; the mean is over all elements.",
            lambda logits, target: bce_from_logits(logits, target) * logits.numel() / len(logits),
        ),
        mistake(
            "You clamp the probabilities. That is finite, but a sure mistake then costs too little and gets "
            "no gradient at all: a clamp is flat outside its limits. Use log-sum-exp of 0 and ∓z instead.",
            clamped_bce(1e-7),
            clamped_bce(1e-6),
            clamped_bce(1e-8),
        ),
        mistake(
            "You add a small number before the logarithm. That is finite, but a sure mistake then costs too "
            "little and gets no gradient: σ is flat there. Use log-sum-exp of 0 and ∓z instead.",
            bce_plus(1e-7),
            bce_plus(1e-8),
            bce_plus(1e-10),
            bce_plus(1e-12),
        ),
        mistake(
            "The loss is right and its gradient at a logit of exactly 0 is not: clamp (or relu) and abs have "
            "a kink there, and autograd takes one side. Training starts at 0. Use torch.logaddexp.",
            with_a_kink(lambda z: z.clamp(min=0)),
            with_a_kink(F.relu),
        ),
        mistake(SUMMED, lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction="sum")),
        mistake(
            "The two classes are swapped: −log σ(z), which falls with z, belongs to target 1.",
            lambda logits, target: F.binary_cross_entropy_with_logits(-logits, target),
        ),
        mistake(
            "Only the texts with target 1 count in yours. With target 0, −log(1 − σ(z)) is missing.",
            lambda logits, target: (target * F.softplus(-logits)).mean(),
        ),
    ],
)

# 4.5 ---------------------------------------------------------------------------------------------------

draw = Draw("4.5")


def huber(prediction, target, delta):
    size = (prediction - target).abs()
    return torch.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)).mean()


def huber_parts(small, large):
    def loss(prediction, target, delta):
        size = (prediction - target).abs()
        return torch.where(size <= delta, small(size, delta), large(size, delta)).mean()

    return loss


def signed_line(prediction, target, delta):
    e = prediction - target
    return torch.where(e.abs() <= delta, 0.5 * e**2, delta * (e - 0.5 * delta)).mean()


def decided_at_once(small):
    def loss(prediction, target, delta):
        e = (prediction - target).abs()
        return (0.5 * e**2 if small(e, delta) else delta * (e - 0.5 * delta)).mean()

    return loss


def two_means(prediction, target, delta):
    e = (prediction - target).abs()
    small, large = e[e <= delta], e[e > delta]
    return (0.5 * small**2).mean() + (delta * (large - 0.5 * delta)).mean()


def without_abs(prediction, target, delta):
    e = prediction - target
    return torch.where(e <= delta, 0.5 * e**2, delta * (e - 0.5 * delta)).mean()


exercise(
    "4.5",
    "Huber loss",
    reference=huber,
    gradients=("prediction",),
    rules=[forbid("huber_loss", "smooth_l1_loss")],
    cases=[
        case("ordinary", draw.floats(8) * 2, draw.floats(8), 1.0),
        case("another delta", draw.floats(3, 4) * 4, draw.floats(3, 4), 2.5),
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
            "You subtract ½ where ½ delta belongs: this is right for delta = 1 only.",
            huber_parts(lambda e, d: 0.5 * e**2, lambda e, d: d * (e - 0.5)),
        ),
        mistake(
            "Yours is twice Huber's loss: the factor ½ is missing in both parts.",
            huber_parts(lambda e, d: e**2, lambda e, d: 2 * d * (e - 0.5 * d)),
        ),
        mistake(
            "The two parts are swapped: the square is for small errors, the line for large ones.",
            huber_parts(lambda e, d: d * (e - 0.5 * d), lambda e, d: 0.5 * e**2),
        ),
        mistake(
            "In the linear part you use the error with its sign, so a large negative error makes the loss "
            "negative. Use its absolute value there.",
            signed_line,
        ),
        mistake(
            "You do not use delta: this is Huber's loss for delta = 1.",
            lambda prediction, target, delta: huber(prediction, target, 1.0),
        ),
        mistake(
            "You choose one part for the whole tensor. Each element has its own error, and its own part: "
            "torch.where.",
            decided_at_once(lambda e, delta: bool((e <= delta).all())),
            decided_at_once(lambda e, delta: bool((e <= delta).any())),
            decided_at_once(lambda e, delta: bool(e.mean() <= delta)),
        ),
        mistake(
            "You cut the error off at delta, so beyond it the loss is flat and pushes no more. It has to go "
            "on as a straight line of slope delta.",
            lambda prediction, target, delta: (
                0.5 * (prediction - target).abs().clamp(max=delta).square().mean()
            ),
        ),
        mistake(
            "You take the mean of the small errors and that of the large ones, and add the two. One mean "
            "over all elements is asked for.",
            two_means,
        ),
        mistake(
            "You compare the error itself with delta, so large negative errors stay squared. Take abs first.",
            without_abs,
            lambda prediction, target, delta: torch.where(
                prediction - target <= delta,
                0.5 * (prediction - target) ** 2,
                delta * ((prediction - target).abs() - 0.5 * delta),
            ).mean(),
        ),
        mistake(
            SUMMED,
            lambda prediction, target, delta: F.huber_loss(prediction, target, delta=delta, reduction="sum"),
        ),
        mistake(
            "This is Huber's loss divided by delta (torch's smooth_l1_loss): far from 0 its slope is 1 "
            "instead of delta.",
            lambda prediction, target, delta: F.smooth_l1_loss(prediction, target, beta=delta),
        ),
    ],
)

# 4.6 ---------------------------------------------------------------------------------------------------


def smooth_targets(target, classes, epsilon):
    return (1 - epsilon) * F.one_hot(target, classes).float() + epsilon / classes


def shared_by_the_others(target, classes, epsilon):
    right = F.one_hot(target, classes).float()
    return (1 - epsilon) * right + epsilon / (classes - 1) * (1 - right)


def written_into_integers(target, classes, epsilon):
    right = F.one_hot(target, classes)
    right[right == 1] = 1 - epsilon
    return right + epsilon / classes


def every_column(target, classes, epsilon):
    shares = torch.full((len(target), classes), epsilon / classes)
    shares[:, target] += 1 - epsilon
    return shares


def right_without_its_part(target, classes, epsilon):
    right = F.one_hot(target, classes).float()
    return (1 - epsilon) * right + epsilon / classes * (1 - right)


exercise(
    "4.6",
    "Smooth the targets",
    reference=smooth_targets,
    cases=[
        case("four classes", torch.tensor([1, 3, 0]), 4, 0.2),
        case("two classes", torch.tensor([0, 1, 1, 0]), 2, 0.1),
        case("classes that do not occur", torch.tensor([0, 1, 1]), 5, 0.2),
        case("no smoothing", torch.tensor([2, 0]), 3, 0.0),
        case("one text, the last class", torch.tensor([5]), 6, 0.3),
    ],
    mistakes=[
        mistake(
            "You share epsilon among the wrong classes only (divide by C − 1). The card spreads it over "
            "every class, the right one included, as PyTorch does.",
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
            "You divide epsilon by the number of texts; each class gets epsilon divided by that of classes.",
            lambda target, classes, epsilon: (
                (1 - epsilon) * F.one_hot(target, classes).float() + epsilon / len(target)
            ),
        ),
        mistake(
            "[:, target] changes the classes of all texts in every row. Pair row i with class target[i]: "
            "index the rows as well, or use one_hot.",
            every_column,
        ),
        mistake(
            "one_hot gives integers, and a number below 1 that is written into an integer tensor becomes 0. "
            "Call .float() on it first.",
            written_into_integers,
        ),
        mistake(
            "Your rows add up to 1 − epsilon: what you took from the right class has to be shared out, "
            "epsilon / C to every class.",
            lambda target, classes, epsilon: (1 - epsilon) * F.one_hot(target, classes).float(),
        ),
        mistake(
            "one_hot without the number of classes counts up to the largest target of the batch: a class "
            "that does not occur has no column. Give it `classes`.",
            lambda target, classes, epsilon: (1 - epsilon) * F.one_hot(target).float() + epsilon / classes,
        ),
        mistake(
            "The numbers are right, and of dtype float64; float32 is asked for.",
            lambda target, classes, epsilon: (
                (1 - epsilon) * F.one_hot(target, classes).double() + epsilon / classes
            ),
        ),
    ],
)

# 4.7 ---------------------------------------------------------------------------------------------------

draw = Draw("4.7")


def next_token_losses(logits, ids):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")


def next_token_mean(logits, ids, pad_id):
    return next_token_losses(logits, ids)[ids[:, 1:].flatten() != pad_id].mean()


def perplexity(logits, ids, pad_id):
    return next_token_mean(logits, ids, pad_id).exp().item()


def not_shifted(logits, ids, pad_id):
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=pad_id).exp().item()


def masked_by_the_input(logits, ids, pad_id):
    return next_token_losses(logits, ids)[ids[:, :-1].flatten() != pad_id].mean().exp().item()


def shifted_back(logits, ids, pad_id):
    mean = F.cross_entropy(logits[:, 1:].flatten(0, 1), ids[:, :-1].flatten(), ignore_index=pad_id)
    return mean.exp().item()


def mean_of_perplexities(logits, ids, pad_id):
    pairs = zip(logits[:, :-1], ids[:, 1:], strict=True)
    each = [F.cross_entropy(scores, row, ignore_index=pad_id).exp().item() for scores, row in pairs]
    return sum(each) / len(each)


def mean_of_means(logits, ids, pad_id):
    pairs = zip(logits[:, :-1], ids[:, 1:], strict=True)
    each = [F.cross_entropy(scores, row, ignore_index=pad_id) for scores, row in pairs]
    return torch.stack(each).nanmean().exp().item()


def shifted_when_flat(logits, ids, pad_id):
    scores, following = logits.flatten(0, 1)[:-1], ids.flatten()[1:]
    return F.cross_entropy(scores, following, ignore_index=pad_id).exp().item()


def zeros_in_the_mean(logits, ids, pad_id):
    return (next_token_losses(logits, ids) * (ids[:, 1:].flatten() != pad_id)).mean().exp().item()


def mean_of_exponentials(logits, ids, pad_id):
    return next_token_losses(logits, ids)[ids[:, 1:].flatten() != pad_id].exp().mean().item()


exercise(
    "4.7",
    "Perplexity of the next token",
    reference=perplexity,
    cases=[
        case("two texts", draw.floats(2, 5, 9), torch.tensor([[3, 5, 8, 1, 4], [2, 7, 0, 0, 0]]), 0),
        case(
            "padded with 1",
            draw.floats(3, 4, 6) * 2,
            torch.tensor([[4, 0, 5, 1], [2, 3, 1, 1], [4, 3, 0, 2]]),
            1,
        ),
        case("a uniform bet", torch.zeros(1, 3, 50), torch.tensor([[7, 9, 0]]), 0),
        case("logits that are sure", draw.floats(2, 3, 4) * 9, torch.tensor([[2, 3, 1], [1, 2, 3]]), 0),
    ],
    mistakes=[
        mistake(
            "You compare the logits at a position with the token at the same position, which the model has "
            "just read. They bet on the next one: logits[:, :-1] against ids[:, 1:].",
            not_shifted,
        ),
        mistake(
            "You shift the wrong way: the logits at position t bet on the token at t + 1, not t − 1.",
            shifted_back,
        ),
        mistake(
            "The padding counts too, as if it were text to foresee. Leave out the targets that are pad_id.",
            lambda logits, ids, pad_id: next_token_losses(logits, ids).mean().exp().item(),
        ),
        mistake(
            "You leave out the positions whose own token is padding; what counts is whether the next token, "
            "the one that is bet on, is padding. The last real token bets on padding.",
            masked_by_the_input,
        ),
        mistake(
            "You took the softmax before cross_entropy, which takes it again: give it the logits.",
            lambda logits, ids, pad_id: perplexity(logits.softmax(dim=-1), ids, pad_id),
        ),
        mistake(
            "This is the mean cross-entropy itself; exp is missing.",
            lambda logits, ids, pad_id: next_token_mean(logits, ids, pad_id).item(),
        ),
        mistake(
            "You took each text's perplexity and averaged those. Take one mean of the losses of all tokens, "
            "and exp at the very end.",
            mean_of_perplexities,
        ),
        mistake(
            "You took the mean of each text, then the mean of those, so a token of a short text counts more. "
            "Take one mean over all tokens.",
            mean_of_means,
        ),
        mistake(
            "You flatten the batch before you shift it, so the last position of a text bets on the first "
            "token of the next text. Shift along dim=1 first.",
            shifted_when_flat,
        ),
        mistake(
            "The padding loses nothing in your sum and still counts in what you divide by. Divide by the "
            "count of the tokens that are not pad_id.",
            zeros_in_the_mean,
        ),
        mistake(
            "You summed the losses before exp; perplexity is exp of their mean.",
            lambda logits, ids, pad_id: (
                next_token_losses(logits, ids)[ids[:, 1:].flatten() != pad_id].sum().exp().item()
            ),
        ),
        mistake(
            "You took exp of each token's loss, then the mean: one bad token swamps all. First the mean, "
            "then exp.",
            mean_of_exponentials,
        ),
        mistake(
            "You ignore token 0 always; the padding of this batch is pad_id.",
            lambda logits, ids, pad_id: perplexity(logits, ids, 0),
        ),
        mistake(
            "You raised 2 to the cross-entropy, but PyTorch's is in nats, not bits: take exp.",
            lambda logits, ids, pad_id: 2 ** next_token_mean(logits, ids, pad_id).item(),
        ),
    ],
)

# 4.8 ---------------------------------------------------------------------------------------------------

draw = Draw("4.8")


def both_ways(a, b, temperature):
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    scores, own = a @ b.T / temperature, torch.arange(len(a))
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def compared(prepare):
    """The two losses' mean, of products of vectors prepared in some other way."""

    def answer(a, b, temperature):
        scores, own = prepare(a) @ prepare(b).T / temperature, torch.arange(len(a))
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2

    return answer


def softmax_twice(a, b, temperature):
    scores = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature
    own = torch.arange(len(a))
    return (F.cross_entropy(scores.softmax(1), own) + F.cross_entropy(scores.T.softmax(1), own)) / 2


def one_way(a, b, temperature):
    scores = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature
    return F.cross_entropy(scores, torch.arange(len(a)))


exercise(
    "4.8",
    "Search in both directions",
    reference=both_ways,
    gradients=("a", "b"),
    cases=[
        case("five pairs", draw.floats(5, 4), draw.floats(5, 4) * 3, 0.5),
        case("three pairs, temperature 0.1", draw.floats(3, 6), draw.floats(3, 6), 0.1),
        case("two pairs of long vectors", draw.floats(2, 3) * 20, draw.floats(2, 3) * 20, 1.0),
    ],
    mistakes=[
        mistake(
            "You ask in one direction only: which b belongs to this a. Ask also which a belongs to this b "
            "(the columns of the table), and take the mean of the two losses.",
            one_way,
            lambda a, b, temperature: one_way(b, a, temperature),
        ),
        mistake(
            "You added the two losses; their mean is asked for.",
            lambda a, b, temperature: one_way(a, b, temperature) + one_way(b, a, temperature),
        ),
        mistake(
            "You compare by the plain product, so that long vectors win. The cosine is asked for: divide "
            "each vector by its length first.",
            compared(lambda vectors: vectors),
        ),
        mistake(
            "You divide each feature by its length over the batch (dim=0). Each vector, a row, has a length "
            "of its own: dim=1.",
            compared(lambda vectors: F.normalize(vectors, dim=0)),
        ),
        mistake(
            "norm() without dim is one number for the whole tensor. Each row has a length of its own: "
            "norm(dim=1, keepdim=True).",
            compared(lambda vectors: vectors / vectors.norm()),
        ),
        mistake(
            "You divide by the square of a vector's length; its length is the root of the sum of squares.",
            compared(lambda vectors: vectors / vectors.square().sum(dim=1, keepdim=True)),
        ),
        mistake(
            "You took the softmax before cross_entropy, which takes it again: give it the logits.",
            softmax_twice,
        ),
        mistake(
            "You multiply by the temperature; the similarities are divided by it.",
            lambda a, b, temperature: both_ways(a, b, 1 / temperature),
        ),
        mistake(
            "The temperature is not used: the similarities are divided by it before the cross-entropy.",
            lambda a, b, temperature: both_ways(a, b, 1.0),
        ),
    ],
)

# 4.9 ---------------------------------------------------------------------------------------------------

TARGET, SHARE = 0.66, 0.08
made = []  # what train gave back, so that a judge can tell it from what was changed afterwards


@functools.cache
def reviews():
    """Imbalanced training reviews and all validation reviews."""
    with contextlib.redirect_stdout(io.StringIO()):
        vectors = data.review_vectors()
    x, y = vectors["train"]
    negative, positive = (y == 0).nonzero()[:, 0], (y == 1).nonzero()[:, 0]
    order = torch.randperm(len(positive), generator=torch.Generator().manual_seed(0))
    keep = torch.cat([negative, positive[order[: int(SHARE * len(positive))]]])
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


def rescued(answer, train):
    """What the answer gives, and whether it is what `train` gave back."""
    logits = answer(train)
    trained = torch.is_tensor(logits) and any(torch.equal(logits, known) for known in made)
    return {"logits": logits, "trained": trained}


def judge_rescue(found, train):
    logits, labels = found["logits"], reviews()[3]
    if not torch.is_tensor(logits) or logits.shape != labels.shape:
        return "return what train(loss) gives back: one logit for each validation review"
    if logits.isnan().any():
        return "the logits are NaN: does your loss overflow, take the log of 0, or divide by 0?"
    if not found["trained"]:
        return MOVED
    found, spared = ((logits > 0)[labels == 1].float().mean(), (logits <= 0)[labels == 0].float().mean())
    balanced = ((found + spared) / 2).item()
    if balanced >= TARGET:
        return ""
    measured = (
        f"balanced accuracy {balanced:.2f}, and the target is {TARGET}: your model finds {found:.0%} of "
    )
    measured += f"the positives and spares {spared:.0%} of the negatives. "
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
    "4.9",
    "Rescue the rare class",
    reference=lambda train: train(balanced_bce),
    use=rescued,
    judge=judge_rescue,
    rules=[calls("train", least=1)],
    rtol=1e-2,
    atol=1e-2,
    seconds=30.0,
    cases=[case("imbalanced reviews", Train())],
    mistakes=[
        mistake(
            "This is plain BCE: negative is 13 times as frequent, so its pull wins, and nearly everything is "
            "called negative. Let each class pull equally.",
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
