"""Exercises of lesson 06, training: their references, inputs and typical mistakes."""

import contextlib
import copy
import functools
import io

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_utils import data
from course_utils.checks.exercise import case, exercise, mistake

random = torch.Generator().manual_seed(6)


def floats(*shape):
    return torch.randn(*shape, generator=random)


def integers(high, *shape):
    return torch.randint(0, high, shape, generator=random)


# 6.1 ---------------------------------------------------------------------------------------------------


def collate_with_mask(rows):
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
    return ids, mask, torch.tensor([label for _, label in rows])


def changed(**changes):
    """`collate_with_mask` with some of its results passed through functions: ids, mask, labels."""

    def collate(rows):
        found = dict(zip(("ids", "mask", "labels"), collate_with_mask(rows), strict=True))
        return tuple(changes.get(name, lambda tensor: tensor)(tensor) for name, tensor in found.items())

    return collate


def mask_from_ids(rows):
    ids, _, labels = collate_with_mask(rows)
    return ids, (ids != 0).long(), labels


def padded_in_front(rows):
    ids, mask, labels = collate_with_mask([(ids[::-1], label) for ids, label in rows])
    return ids.flip(1), mask.flip(1), labels


exercise(
    "6.1",
    "Collate with a mask",
    reference=collate_with_mask,
    cases=[
        case("two sentences", [([5, 6, 7], 1), ([8], 0)]),
        case("an id that is 0", [([5, 0], 1), ([7], 0), ([0, 0, 3], 1)]),
        case("equal lengths", [([3, 1], 0), ([2, 9], 0)]),
        case("one sentence", [([4, 4, 4], 1)]),
        case("five labels", [([1], 4), ([2, 2], 3), ([3], 2), ([4], 1), ([5], 0)]),
    ],
    mistakes=[
        mistake(
            "You made the mask from `ids != 0`, but a sentence may have the id 0. Use the lengths.",
            mask_from_ids,
        ),
        mistake(
            "You padded at the front; padding goes to the end of a row.",
            padded_in_front,
        ),
        mistake(
            "The mask is the other way round: 1 stands for a token, 0 for padding.",
            changed(mask=lambda mask: 1 - mask),
        ),
        mistake(
            "The mask has dtype bool; int64 is asked for.",
            changed(mask=lambda mask: mask.bool()),
        ),
        mistake(
            "The labels are floats. They are numbers of classes, and cross-entropy wants them as int64.",
            changed(labels=lambda labels: labels.float()),
        ),
    ],
)

# 6.2 ---------------------------------------------------------------------------------------------------


def accuracy_over(batches):
    right = sum((logits.argmax(dim=1) == labels).sum().item() for logits, labels in batches)
    rows = sum(len(labels) for _, labels in batches)
    return right / rows if rows else 0.0


def mean_of_means(batches):
    shares = [(logits.argmax(dim=1) == labels).float().mean().item() for logits, labels in batches]
    return sum(shares) / len(shares) if shares else 0.0


def batch_with(right, total, classes=2):
    """`total` rows, the first `right` of which are answered rightly."""
    labels = integers(classes, total)
    logits = nn.functional.one_hot(labels, classes).float() + 0.1 * floats(total, classes)
    logits[right:] *= -1
    return logits, labels


exercise(
    "6.2",
    "Accuracy over unequal batches",
    reference=accuracy_over,
    cases=[
        case("four rows and one", [batch_with(3, 4), batch_with(0, 1)]),
        case("one batch, three classes", [batch_with(5, 6, 3)]),
        case("three batches", [batch_with(8, 8), batch_with(2, 8), batch_with(1, 3)]),
        case("all right", [batch_with(4, 4), batch_with(2, 2)]),
        case("no rows at all", []),
    ],
    mistakes=[
        mistake(
            "This is the mean of the batches' accuracies: a small last batch counts as much as a full "
            "one. Add up right answers and rows, and divide once.",
            mean_of_means,
        ),
        mistake(
            "This is the number of right answers; the share is asked for.",
            lambda batches: accuracy_over(batches) * sum(len(labels) for _, labels in batches),
        ),
        mistake(
            "These are per cent; a share between 0 and 1 is asked for.",
            lambda batches: 100 * accuracy_over(batches),
        ),
        mistake(
            "This is the share of wrong answers.",
            lambda batches: 1 - accuracy_over(batches) if batches else 0.0,
        ),
        mistake(
            "Without any rows you divide by zero; 0.0 is asked for.",
            lambda batches: (
                sum((logits.argmax(dim=1) == labels).sum().item() for logits, labels in batches)
                / sum(len(labels) for _, labels in batches)
            ),
        ),
    ],
)

# 6.3 ---------------------------------------------------------------------------------------------------


def early_stop(losses, patience):
    best = 1
    for epoch, loss in enumerate(losses, start=1):
        if loss < losses[best - 1]:
            best = epoch
        if epoch - best >= patience:
            return best, epoch
    return best, len(losses)


def with_ties(losses, patience):
    best = 1
    for epoch, loss in enumerate(losses, start=1):
        if loss <= losses[best - 1]:
            best = epoch
        if epoch - best >= patience:
            return best, epoch
    return best, len(losses)


def against_previous(losses, patience):
    best, bad = 1, 0
    for epoch in range(2, len(losses) + 1):
        bad = 0 if losses[epoch - 1] < losses[epoch - 2] else bad + 1
        if losses[epoch - 1] < losses[best - 1]:
            best = epoch
        if bad >= patience:
            return best, epoch
    return best, len(losses)


def never_reset(losses, patience):
    best, bad = 1, 0
    for epoch in range(2, len(losses) + 1):
        if losses[epoch - 1] < losses[best - 1]:
            best = epoch
        else:
            bad += 1
        if bad >= patience:
            return best, epoch
    return best, len(losses)


def looks_ahead(losses, patience):
    return losses.index(min(losses)) + 1, early_stop(losses, patience)[1]


exercise(
    "6.3",
    "When to stop",
    reference=early_stop,
    cases=[
        case("the better epoch comes too late", [0.7, 0.5, 0.6, 0.55, 0.4], 2),
        case("always better", [0.9, 0.8, 0.7], 2),
        case("worse from the start", [0.5, 0.6, 0.7, 0.8], 1),
        case("an equal loss", [0.5, 0.4, 0.4, 0.4, 0.3], 2),
        case("better again within the patience", [0.6, 0.5, 0.55, 0.45, 0.5, 0.52, 0.4], 3),
        case("zigzag below the best never", [0.4, 0.6, 0.5, 0.7, 0.6, 0.3], 3),
        case("one epoch", [0.69], 3),
    ],
    mistakes=[
        mistake(
            "An equal loss counts as an improvement with you (<=). Only a lower one does: with a flat "
            "loss you would never stop.",
            with_ties,
        ),
        mistake(
            "You compare with the previous epoch. Compare with the best so far: a zigzag is no improvement.",
            against_previous,
        ),
        mistake(
            "You never set the count of bad epochs back to 0 after an improvement: in a row is asked for.",
            never_reset,
        ),
        mistake(
            "You stop one epoch too late: when `patience` epochs in a row were no better, stop at once (>=).",
            lambda losses, patience: early_stop(losses, patience + 1),
        ),
        mistake(
            "You look for the best among all the losses, those of epochs that are never run included.",
            looks_ahead,
        ),
        mistake(
            "You count epochs from 0; they are counted from 1.",
            lambda losses, patience: tuple(epoch - 1 for epoch in early_stop(losses, patience)),
        ),
    ],
)

# 6.4 ---------------------------------------------------------------------------------------------------


class RunningMean(nn.Module):
    def __init__(self, width, momentum):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(width))

    def moved(self, x):
        return (1 - self.momentum) * self.mean + self.momentum * x.mean(dim=0)

    def forward(self, x, learn):
        if learn:
            self.mean = self.moved(x)
        return x - self.mean


class PlainTensor(RunningMean):
    def __init__(self, width, momentum):
        super().__init__(width, momentum)
        del self.mean
        self.mean = torch.zeros(width)


class AsParameter(RunningMean):
    def __init__(self, width, momentum):
        super().__init__(width, momentum)
        del self.mean
        self.mean = nn.Parameter(torch.zeros(width))

    def forward(self, x, learn):
        if learn:
            self.mean.data = self.moved(x).detach()
        return x - self.mean


class AlwaysLearns(RunningMean):
    def forward(self, x, learn):
        return super().forward(x, True)


class OtherWayRound(RunningMean):
    def __init__(self, width, momentum):
        super().__init__(width, 1 - momentum)


class OneNumber(RunningMean):
    def moved(self, x):
        return (1 - self.momentum) * self.mean + self.momentum * x.mean()


class MovedTooLate(RunningMean):
    def forward(self, x, learn):
        result = x - self.mean
        if learn:
            self.mean = self.moved(x)
        return result


exercise(
    "6.4",
    "A running mean",
    kind="module",
    reference=RunningMean,
    cases=[
        case("learning", (3, 0.1), floats(5, 3) + 2, True),
        case("not learning", (3, 0.1), floats(5, 3) + 2, False),
        case("a large momentum", (2, 0.9), floats(4, 2) - 1, True),
        case("one row", (4, 0.25), floats(1, 4), True),
    ],
    mistakes=[
        mistake(
            "`mean` is a plain tensor: it is not in state_dict(), so it would not be saved, nor moved to "
            "a GPU. Use register_buffer.",
            PlainTensor,
        ),
        mistake(
            "`mean` is a parameter: an optimizer would train it. What is kept but not trained is a buffer.",
            AsParameter,
        ),
        mistake("The mean moves also when `learn` is false.", AlwaysLearns),
        mistake(
            "Momentum is the other way round: the *new* mean has the weight momentum, the old one the rest.",
            OtherWayRound,
        ),
        mistake(
            "You took one mean over all numbers. Each feature has its own: x.mean(dim=0).",
            OneNumber,
        ),
        mistake("You subtract first and move the mean afterwards; it moves first.", MovedTooLate),
    ],
)

# 6.5 ---------------------------------------------------------------------------------------------------


def one_epoch(lengths, size, seed, before=True, after=True, by_length=True):
    generator = torch.Generator().manual_seed(seed)
    order = list(range(len(lengths)))
    if before:
        order = torch.randperm(len(lengths), generator=generator).tolist()
    if by_length:
        order.sort(key=lambda index: lengths[index])
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator)] if after else batches


def epochs_by_length(lengths, size, seeds):
    return [one_epoch(lengths, size, seed) for seed in seeds]


def variant(**options):
    return lambda lengths, size, seeds: [one_epoch(lengths, size, seed, **options) for seed in seeds]


def last_dropped(lengths, size, seeds):
    return [[b for b in epoch if len(b) == size] for epoch in epochs_by_length(lengths, size, seeds)]


def one_generator(lengths, size, seeds):
    return [one_epoch(lengths, size, position + 100) for position, _ in enumerate(seeds)]


def judge_epoch(batches, lengths, size):
    """What is wrong with one epoch, or ""."""
    if sorted(index for batch in batches for index in batch) != list(range(len(lengths))):
        return "an epoch must have every index exactly once. Is the last, smaller batch there?"
    sizes = sorted(len(batch) for batch in batches)
    if sizes[-1] > size or any(found != size for found in sizes[1:]) or not sizes[0]:
        return f"all batches but one must have {size} indices, and yours have from {sizes[0]} to {sizes[-1]}"
    boxes = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    padding = 1 - sum(lengths) / boxes
    if padding > 0.1:
        return (
            f"{padding:.0%} of the positions are padding, at most 10 % are allowed. Bring "
            f"similar lengths together."
        )
    widths = [max(lengths[index] for index in batch) for batch in batches]
    if widths in (sorted(widths), sorted(widths, reverse=True)):
        return "the batches come in order of their length. Shuffle the batches at the end."
    return ""


def judge_epochs(epochs, lengths, size, seeds):
    if not isinstance(epochs, list) or len(epochs) != len(seeds):
        return f"a list of {len(seeds)} epochs is asked for, one for each seed"
    for epoch in epochs:
        if problem := judge_epoch(epoch, lengths, size):
            return problem
    for first in range(len(seeds)):
        for second in range(first):
            a, b = epochs[first], epochs[second]
            if seeds[first] == seeds[second]:
                if a != b:
                    return f"the seed {seeds[first]} came twice and gave two different epochs"
            elif a == b:
                return (
                    f"the seeds {seeds[second]} and {seeds[first]} gave the same epoch: nothing is shuffled"
                )
            elif {frozenset(batch) for batch in a} == {frozenset(batch) for batch in b}:
                return "different seeds give the same batches in another order. Shuffle before you sort, too."
    return ""


def some_lengths(count, longest=48):
    return (1 + integers(longest, count)).tolist()


exercise(
    "6.5",
    "Batches by length",
    reference=epochs_by_length,
    judge=judge_epochs,
    cases=[
        case("800 sentences", some_lengths(800), 16, [0, 1, 0]),
        case("a last batch that is not full", some_lengths(500), 12, [3, 4, 3]),
        case("short and long ones", [5, 40] * 100, 8, [7, 8]),
    ],
    mistakes=[
        mistake(
            "You sort and cut, and that is all: every epoch is the same, and goes from short to long. "
            "Shuffle before the sort, and shuffle the batches after it.",
            variant(before=False, after=False),
        ),
        mistake(
            "Your batches come from short to long. A model that sees only long sentences at the end "
            "forgets the short ones: shuffle the batches after cutting.",
            variant(after=False),
        ),
        mistake(
            "The same sentences always meet: only the order of the batches changes. Shuffle before you "
            "sort, so that those of equal length change places.",
            variant(before=False),
        ),
        mistake(
            "These are random batches: nearly half of the work goes into padding. Sort by length before "
            "you cut.",
            variant(by_length=False),
        ),
        mistake(
            "The last, smaller batch is missing, so some sentences are never learned from in this epoch.",
            last_dropped,
        ),
        mistake(
            "Equal seeds give different epochs: the seed is not used. Make a torch.Generator for each seed.",
            one_generator,
        ),
    ],
)

# 6.6 ---------------------------------------------------------------------------------------------------

MOST, TARGET = 400, 0.70


@functools.cache
def vectors():
    with contextlib.redirect_stdout(io.StringIO()):
        return data.review_vectors()["train"]


def make_model():
    return nn.Sequential(nn.Linear(384, 1), nn.Linear(1, 2))


def trained_accuracy(model):
    x, y = vectors()
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    model.train()
    for _ in range(3):
        for batch in torch.randperm(3000).split(64):
            loss = cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return (model(x[-1000:]).argmax(dim=1) == y[-1000:]).float().mean().item()


def judge_model(model):
    if not isinstance(model, nn.Module):
        return f"an nn.Module is asked for, and this is of type {type(model).__name__}"
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if not 0 < count <= MOST:
        return f"it has {count:,} trained parameters; from 1 to {MOST:,} are allowed"
    shape = tuple(model(vectors()[0][:5]).shape)
    if shape != (5, 2):
        return f"five vectors give a result of shape {shape}; (5, 2) is asked for"
    accuracy = trained_accuracy(copy.deepcopy(model))  # the answer itself is compared with the mistakes
    if accuracy >= TARGET:
        return ""
    advice = "that is guessing: can gradients reach every layer?"
    if accuracy > 0.55:
        advice = "it learns something. Does every feature count, are the starting weights small enough?"
    return f"{accuracy:.1%} right, and the target is {TARGET:.0%}; {advice}"


class InAList(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(384, 1), nn.Linear(1, 2)]

    def forward(self, x):
        return self.layers[1](self.layers[0](x))


def started(fill):
    """`make_model` with every parameter filled by `fill`."""
    model = make_model()
    for parameter in model.parameters():
        fill(parameter)
    return model


exercise(
    "6.6",
    "Small and good",
    reference=make_model,
    judge=judge_model,
    cases=[case("3,000 reviews to learn from")],
    mistakes=[
        mistake(
            "It is too large: nn.Linear(384, 2) has 384 · 2 + 2 = 770 parameters. Only the "
            "difference of the two "
            "logits decides, and that is one number.",
            lambda: nn.Linear(384, 2),
        ),
        mistake(
            "It gives one number for each review; cross-entropy over two classes wants two logits.",
            lambda: nn.Linear(384, 1),
        ),
        mistake(
            "The layers are in a Python list, so the module has no parameters and an optimizer finds nothing "
            "to train. Use nn.Sequential or nn.ModuleList.",
            InAList,
        ),
        mistake(
            "All weights start at 0: no signal, and no gradient but the last bias's, gets through. Weights "
            "start random.",
            lambda: started(nn.init.zeros_),
        ),
        mistake(
            "The weights start far too large: three epochs do not undo what chance put there. "
            "Leave PyTorch's "
            "initialisation, or scale by 1/√n.",
            lambda: started(lambda parameter: nn.init.normal_(parameter, std=10.0)),
        ),
        mistake(
            "Your one score goes through a ReLU, which makes all scores below 0 equal, and lets no gradient "
            "through there. Two linear layers in a row are one linear map, and here that is all you want.",
            lambda: nn.Sequential(nn.Linear(384, 1), nn.ReLU(), nn.Linear(1, 2)),
        ),
    ],
)
