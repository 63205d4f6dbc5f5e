"""Exercises of lesson 06, training: their references, inputs and typical mistakes."""

import copy
import math
import os
import tempfile
from unittest import mock

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_utils.checks.exercise import Draw, case, exercise, mistake


class Elsewhere:
    """A tensor on another device than the model: it has to be moved with `.to(device)` before it is used."""

    def __init__(self, tensor):
        self.tensor, self.shape, self.device = tensor, tensor.shape, "another device"

    def __len__(self):
        return len(self.tensor)

    def size(self, *dims):
        return self.tensor.size(*dims)

    def to(self, *args, **kwargs):
        return self.tensor.clone()

    def cpu(self):
        return self.tensor.clone()

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices: "
            "the model's, and another one that the batch is still on"
        )


def elsewhere(batches):
    return [tuple(map(Elsewhere, batch)) for batch in batches]


# 6.1 ---------------------------------------------------------------------------------------------------


def collate(rows):
    longest = max(1, max(len(ids) for ids, _ in rows))
    padded = [ids + [0] * (longest - len(ids)) for ids, _ in rows]
    return torch.tensor(padded), torch.tensor([label for _, label in rows])


def padded_with(length=None, pad=0, front=False, labels=torch.int64, ids=torch.int64):
    """`collate` with another length (None: the longest), padding or dtype."""

    def wrong(rows):
        longest = length or max(1, max(len(row) for row, _ in rows))
        rows_of = [
            [pad] * (longest - len(row)) + row if front else row + [pad] * (longest - len(row))
            for row, _ in rows
        ]
        return torch.tensor(rows_of, dtype=ids), torch.tensor([label for _, label in rows], dtype=labels)

    return wrong


def no_column(rows):
    longest = max(len(ids) for ids, _ in rows)
    padded = [ids + [0] * (longest - len(ids)) for ids, _ in rows]
    return torch.tensor(padded, dtype=torch.int64), torch.tensor([label for _, label in rows])


def no_column_floats(rows):
    longest = max(len(ids) for ids, _ in rows)
    padded = [ids + [0] * (longest - len(ids)) for ids, _ in rows]
    return torch.tensor(padded), torch.tensor([label for _, label in rows])


def cut_to_shortest(rows):
    shortest = max(1, min(len(ids) for ids, _ in rows))
    padded = [(ids + [0])[:shortest] for ids, _ in rows]
    return torch.tensor(padded), torch.tensor([label for _, label in rows])


exercise(
    "6.1",
    "Collate",
    reference=collate,
    returns=("the ids", "the labels"),
    cases=[
        case("two sentences", [([5, 6, 7], 1), ([8], 0)]),
        case("an empty sentence", [([3, 9], 1), ([], 0), ([4], 1)]),
        case("nothing but empty sentences", [([], 1), ([], 0)]),
        case("equal lengths", [([3, 1], 0), ([2, 9], 0)]),
        case("five labels", [([1], 4), ([2, 2], 3), ([3], 2), ([4], 1), ([5], 0)]),
        case("one long sentence", [(list(range(1, 61)), 1)]),
    ],
    mistakes=[
        mistake("You padded at the front; padding goes to the end of a row.", padded_with(front=True)),
        mistake(
            "The padding has another number than 0. 0 is padding in this lesson, 1 is an unknown entry.",
            padded_with(pad=1),
            padded_with(pad=-1),
            padded_with(pad=-100),
        ),
        mistake(
            "The ids are always equally wide. A batch is as wide as *its* longest sentence.",
            padded_with(length=64),
            padded_with(length=60),
            padded_with(length=48),
        ),
        mistake(
            "The rows are cut to the shortest: tokens are lost. Fill the others up to the longest.",
            cut_to_shortest,
        ),
        mistake(
            "If every sentence is empty, your ids have no column, and a network has nothing to read. One "
            "column of padding is asked for.",
            no_column,
            no_column_floats,
        ),
        mistake(
            "The labels are floats. They are numbers of classes, and cross-entropy wants them as int64.",
            padded_with(labels=torch.float32),
        ),
        mistake(
            "The ids are floats. They are row numbers of a table, and an embedding wants them as int64.",
            padded_with(ids=torch.float32),
        ),
    ],
)

# 6.2 ---------------------------------------------------------------------------------------------------

draw = Draw("6.2")


def batches_by_length(lengths, size, seed, before=True, after=True, by_length=True):
    generator = torch.Generator().manual_seed(seed)
    order = list(range(len(lengths)))
    if before:
        order = torch.randperm(len(lengths), generator=generator).tolist()
    if by_length:
        order.sort(key=lambda index: lengths[index])
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator)] if after else batches


def epochs(answer, lengths, size, seeds):
    """One epoch for each seed: what is judged."""
    return [answer(list(lengths), size, seed) for seed in seeds]


def variant(**options):
    return lambda lengths, size, seed: batches_by_length(lengths, size, seed, **options)


def last_dropped(lengths, size, seed):
    return [batch for batch in batches_by_length(lengths, size, seed) if len(batch) == size]


def seed_ignored(lengths, size, seed):
    return batches_by_length(lengths, size, 0)


def judge_epoch(batches, lengths, size):
    """What is wrong with one epoch, or ""."""
    if not isinstance(batches, list | tuple):
        return f"an epoch is a list of batches, and this is of type {type(batches).__name__}"
    batches = [list(map(int, batch)) for batch in batches]
    found = [index for batch in batches for index in batch]
    if missing := set(range(len(lengths))) - set(found):
        return (
            f"{len(missing)} of {len(lengths)} indices are in no batch of an epoch. Is the last batch there, "
            "and do the batches hold indices, not lengths?"
        )
    if len(found) != len(lengths):
        return "an epoch has every index exactly once, and yours has some twice, or some that do not exist"
    sizes = sorted(len(batch) for batch in batches)
    if sizes[-1] > size or any(found != size for found in sizes[1:]) or not sizes[0]:
        return f"all batches but one have {size} indices, and yours have from {sizes[0]} to {sizes[-1]}"
    boxes = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    padding = 1 - sum(lengths) / boxes
    if padding > 0.1:
        return (
            f"{padding:.0%} of the positions are padding, and at most 10 % are allowed. Bring similar "
            "lengths together"
        )
    widths = [max(lengths[index] for index in batch) for batch in batches]
    if widths in (sorted(widths), sorted(widths, reverse=True)):
        return "the batches come in order of their length. Shuffle the batches at the end"
    return ""


def judge_epochs(found, lengths, size, seeds):
    for epoch in found:
        if problem := judge_epoch(epoch, lengths, size):
            return problem
    plain = [[tuple(map(int, batch)) for batch in epoch] for epoch in found]
    for first in range(len(seeds)):
        for second in range(first):
            a, b = plain[first], plain[second]
            if seeds[first] == seeds[second]:
                if a != b:
                    return f"the seed {seeds[first]} came twice and gave two different epochs"
            elif a == b:
                return f"the seeds {seeds[second]} and {seeds[first]} gave the same epoch: is the seed used?"
            elif {frozenset(batch) for batch in a} == {frozenset(batch) for batch in b}:
                return "different seeds give the same batches in another order. Shuffle before you sort, too"
    return ""


def some_lengths(count, longest=48):
    return (1 + draw.integers(longest, count)).tolist()


exercise(
    "6.2",
    "Batches by length",
    reference=lambda lengths, size, seed: batches_by_length(lengths, size, seed),
    use=epochs,
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
            "Your batches come in order of their length. A model that sees only long sentences at the end "
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
            "All seeds give the same epoch. Give yours to a torch.Generator, and draw from that.",
            seed_ignored,
        ),
    ],
)

# 6.3 ---------------------------------------------------------------------------------------------------

draw = Draw("6.3")


def training_step(model, batch, optimizer, device):
    model.train()
    x, y = (tensor.to(device) for tensor in batch)
    loss = cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def stepping(order):
    """A training step whose lines come in the given order."""

    def step(model, batch, optimizer, device):
        x, y = (tensor.to(device) for tensor in batch)
        loss = None
        if "train" in order:
            model.train()
        if "eval" in order:
            model.eval()
        for line in order:
            if line == "clear":
                optimizer.zero_grad()
            elif line == "loss":
                loss = cross_entropy(model(x), y)
            elif line == "sum loss":
                loss = cross_entropy(model(x), y, reduction="sum")
            elif line == "softmax loss":
                loss = cross_entropy(model(x).softmax(dim=-1), y)
            elif line == "backward":
                loss.backward()
            elif line == "clip":
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            elif line == "clip each":
                nn.utils.clip_grad_value_(model.parameters(), 1.0)
            elif line == "clip alone":
                for parameter in model.parameters():
                    nn.utils.clip_grad_norm_(parameter, 1.0)
            elif line == "norm 1":
                norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
                for parameter in model.parameters():
                    parameter.grad /= norm
            elif line == "step":
                optimizer.step()
        return cross_entropy(model(x), y).item() if order[-1] == "loss again" else loss.item()

    return step


def small_network(dropout=0.5):
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def train_some(answer, batches, training, left_over):
    """What the answer does in a step for each batch, from a model in train or eval mode.

    `left_over` is the gradient that is left in every parameter from before.
    """
    torch.manual_seed(1)
    model = small_network().train(training)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    if left_over:
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, left_over)
    found = {}
    for number, batch in enumerate(elsewhere(batches), 1):
        found[f"the loss that step {number} returns"] = answer(model, batch, optimizer, torch.device("cpu"))
        parameters = [parameter.detach().clone() for parameter in model.parameters()]
        found[f"the parameters after step {number}"] = parameters
    states = optimizer.state_dict()["state"].values()
    found["Adam's running mean of gradients"] = [state["exp_avg"] for state in states]
    found["whether the model is in train mode afterwards"] = model.training
    return found


def some_batches(count, rows, scale=1.0):
    return [(scale * draw.floats(rows, 4), draw.integers(3, rows)) for _ in range(count)]


RIGHT = ["train", "loss", "clear", "backward", "clip", "step"]

exercise(
    "6.3",
    "One training step",
    reference=training_step,
    use=train_some,
    cases=[
        case("three steps", some_batches(3, 6), True, 0.0),
        case("a model in eval mode", some_batches(2, 6), False, 0.0),
        case("gradients left over", some_batches(2, 5), True, 0.3),
        case("large gradients", some_batches(3, 6, scale=30.0), True, 0.0),
        case("large gradients left over, eval mode", some_batches(2, 4, scale=8.0), False, 5.0),
    ],
    mistakes=[
        mistake(
            "The gradients are never cleared, so each batch's are added to all that came before. "
            "Call zero_grad once in a step.",
            stepping(["train", "loss", "backward", "clip", "step"]),
        ),
        mistake(
            "The parameters never move: either no step is taken, or the gradients are cleared between "
            "backward and step, so that the optimizer has nothing to go by.",
            stepping(["train", "loss", "backward", "clear", "clip", "step"]),
            stepping(["train", "loss", "backward", "clip", "clear", "step"]),
            stepping(RIGHT[:-1]),
        ),
        mistake(
            "You clear after the step only, so what was left over before the first step is added to its "
            "gradients. Clear before backward.",
            stepping(["train", "loss", "backward", "clip", "step", "clear"]),
        ),
        mistake(
            "The gradients of this batch are not clipped when the step is taken: clip after backward and "
            "before step.",
            stepping(["train", "loss", "clear", "backward", "step"]),
            stepping(["train", "loss", "clear", "clip", "backward", "step"]),
            stepping(["train", "loss", "clear", "backward", "step", "clip"]),
        ),
        mistake(
            "You clip each number, or each tensor, by itself. All gradients together have a norm of at most "
            "1.0: one call of clip_grad_norm_ for all the parameters.",
            stepping(["train", "loss", "clear", "backward", "clip each", "step"]),
            stepping(["train", "loss", "clear", "backward", "clip alone", "step"]),
        ),
        mistake(
            "The model is not put into train mode, so dropout is off if it comes in eval mode.",
            stepping(RIGHT[1:]),
        ),
        mistake(
            "The model learns in eval mode, with dropout off.",
            stepping(["eval", *RIGHT[1:]]),
        ),
        mistake(
            "This is the loss after the step; the one before it is asked for.",
            stepping([*RIGHT, "loss again"]),
        ),
        mistake(
            "You give probabilities to cross_entropy; it takes logits and does the softmax itself.",
            stepping(["train", "softmax loss", *RIGHT[2:]]),
        ),
        mistake(
            "This is the sum of the sentences' losses. The mean is asked for, which is what cross_entropy "
            "gives unless told otherwise.",
            stepping(["train", "sum loss", *RIGHT[2:]]),
        ),
        mistake(
            "You bring every gradient to the norm 1, short ones too. Clipping only shortens: a norm below "
            "1.0 stays as it is.",
            stepping(["train", "loss", "clear", "backward", "norm 1", "step"]),
        ),
    ],
)

# 6.4 ---------------------------------------------------------------------------------------------------


def one_epoch(step, batches, schedule):
    total, rows = 0.0, 0
    for x, y in batches:
        total += step((x, y)) * len(y)
        rows += len(y)
        schedule.step()
    return total / rows


def epoch_of(how, scheduled="after"):
    """An epoch that makes one number of the (loss, rows) pairs with `how`."""

    def epoch(step, batches, schedule):
        found = []
        for batch in batches:
            if scheduled == "before":
                schedule.step()
            found.append((step(batch), len(batch[1])))
            if scheduled == "after":
                schedule.step()
        if scheduled == "once":
            schedule.step()
        return how(found)

    return epoch


def counted_first(step, batches, schedule):
    rows = sum(len(y) for _, y in batches)
    return sum(step(batch) for batch in batches) / rows


def first_batch_only(step, batches, schedule):
    return one_epoch(step, [next(batches)], schedule)


def over_numbers(step, batches, schedule):
    total, numbers = 0.0, 0
    for x, y in batches:
        total += step((x, y)) * x.numel()
        numbers += x.numel()
        schedule.step()
    return total / numbers


def over_rows(found):
    return sum(loss * rows for loss, rows in found) / sum(rows for _, rows in found)


def run_epoch(answer, losses, sizes):
    """An epoch over batches of these sizes, whose steps have these losses; the rate halves at every step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 0.5**done)
    rates, seen, waiting = [], [], iter(losses)

    def step(batch):
        x, y = batch
        rates.append(optimizer.param_groups[0]["lr"])
        seen.append(int(x[0, 0]))
        optimizer.step()
        return next(waiting)

    batches = iter(
        [(torch.full((size, 3 - place % 3), place), torch.zeros(size)) for place, size in enumerate(sizes)]
    )
    return {
        "the mean loss": answer(step, batches, schedule),
        "the numbers of the batches trained on": seen,
        "the learning rate at each step": rates,
        "the learning rate after the epoch": optimizer.param_groups[0]["lr"],
    }


exercise(
    "6.4",
    "One epoch",
    reference=one_epoch,
    use=run_epoch,
    cases=[
        case("three rows and one", [1.0, 2.0], [3, 1]),
        case("a small last batch", [0.9, 0.7, 0.8, 0.2], [8, 8, 8, 3]),
        case("one batch", [0.5], [4]),
        case("equal batches", [0.6, 0.4, 0.35], [2, 2, 2]),
    ],
    mistakes=[
        mistake(
            "This is the mean of the batches' means: the sentences of a small last batch count more than "
            "others. Add up the losses of sentences, and divide by their number. (A pair has `len` 2; "
            "a batch has `len(y)` sentences.)",
            epoch_of(lambda found: sum(loss for loss, _ in found) / len(found)),
        ),
        mistake(
            "This is the sum, not the mean: divide by the number of sentences.",
            epoch_of(lambda found: sum(loss * rows for loss, rows in found)),
            epoch_of(lambda found: sum(loss for loss, _ in found)),
        ),
        mistake(
            "You divide the sum of the batches' *means* by the number of sentences. A mean times its batch's "
            "sentences is a sum of losses.",
            epoch_of(lambda found: sum(loss for loss, _ in found) / sum(rows for _, rows in found)),
        ),
        mistake("This is the loss of the last batch alone.", epoch_of(lambda found: found[-1][0])),
        mistake("Your loop ends after the first batch: is the `return` inside it?", first_batch_only),
        mistake(
            "You go through the batches twice, and they can be gone through only once: when you want to "
            "train, none is left. Count the sentences in the loop that trains.",
            counted_first,
        ),
        mistake(
            "A batch counts as often as it has numbers in x, with padding. It counts as often as it has "
            "labels.",
            over_numbers,
        ),
        mistake(
            "The schedule moves before the step, so the first step has the second rate already.",
            epoch_of(over_rows, "before"),
        ),
        mistake(
            "The schedule moves once an epoch; here it moves after each step: schedule.step() in the loop.",
            epoch_of(over_rows, "once"),
        ),
        mistake("The schedule never moves: schedule.step() is missing.", epoch_of(over_rows, "never")),
    ],
)

# 6.5 ---------------------------------------------------------------------------------------------------

draw = Draw("6.5")


@torch.no_grad()
def evaluate(model, batches, device):
    mode = model.training
    model.eval()
    loss, right, rows = 0.0, 0, 0
    for x, y in batches:
        x, y = x.to(device), y.to(device)
        logits = model(x)
        loss += cross_entropy(logits, y, reduction="sum").item()
        right += (logits.argmax(dim=1) == y).sum().item()
        rows += len(y)
    model.train(mode)
    return loss / rows, right / rows


def over(found, item, weigh=True, divide=True):
    """The mean of an item of the (loss, share, rows) triples: over the sentences, or over the batches."""
    weights = [row[2] if weigh else 1 for row in found]
    total = sum(row[item] * weight for row, weight in zip(found, weights, strict=True))
    return total / (sum(weights) if divide else 1)


def both_over(found):
    return over(found, 0), over(found, 1)


def evaluating(during="eval", after="before", gradients=False, how=both_over, scores=lambda logits: logits):
    """An evaluation that differs in mode, in gradients, in its scores or in how it averages."""

    def evaluation(model, batches, device):
        mode = model.training
        if during != "as it is":
            model.train(during == "train")
        found = []
        with torch.set_grad_enabled(gradients):
            for x, y in batches:
                x, y = x.to(device), y.to(device)
                logits = model(x)
                right = (logits.argmax(dim=1) == y).float()
                found.append((cross_entropy(scores(logits), y).item(), right.mean().item(), len(y)))
        if after == "before":
            model.train(mode)
        elif after != "as it is":
            model.train(after == "train")
        return how(found)

    return evaluation


class Noting(nn.Module):
    """A network with dropout that notes how it was used."""

    def __init__(self, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, classes))
        self.gradients = []

    def forward(self, x):
        self.gradients.append(torch.is_grad_enabled())
        return self.layers(x)


def evaluate_some(answer, batches, classes, training):
    """What the answer says of a small network with dropout, and how it leaves it."""
    torch.manual_seed(2)
    model = Noting(classes).train(training)
    measured = answer(model, elsewhere(batches), torch.device("cpu"))
    loss, accuracy = measured
    return {
        "the mean loss": loss,
        "the accuracy": accuracy,
        "whether gradients are switched on while the model predicts": any(model.gradients),
        "whether the model is in train mode afterwards": model.training,
    }


def labelled(*sizes, classes=2):
    return [(2 * draw.floats(size, 4), draw.integers(classes, size)) for size in sizes]


exercise(
    "6.5",
    "A measurement",
    reference=evaluate,
    use=evaluate_some,
    cases=[
        case("a model in train mode, four rows and one", labelled(4, 1), 2, True),
        case("a model in eval mode, three classes", labelled(7, 5, 2, classes=3), 3, False),
        case("one batch", labelled(6), 2, True),
        case("equal batches", labelled(5, 5, classes=4), 4, False),
    ],
    mistakes=[
        mistake(
            "These are means of the batches' means: a small last batch counts as much as a full one. Add up "
            "over the sentences, and divide once.",
            evaluating(how=lambda found: (over(found, 0, weigh=False), over(found, 1, weigh=False))),
        ),
        mistake(
            "Your loss is the mean of the batches' means: a small last batch counts as much as a full one. "
            "Add up over the sentences, and divide once.",
            evaluating(how=lambda found: (over(found, 0, weigh=False), over(found, 1))),
        ),
        mistake(
            "Your accuracy is the mean of the batches' accuracies: a small last batch counts as much as a "
            "full one. Add up over the sentences, and divide once.",
            evaluating(how=lambda found: (over(found, 0), over(found, 1, weigh=False))),
        ),
        mistake(
            "These are sums: divide both by the number of sentences.",
            evaluating(how=lambda found: (over(found, 0, divide=False), over(found, 1, divide=False))),
        ),
        mistake(
            "Your loss is a sum over the sentences that is not divided by their number.",
            evaluating(how=lambda found: (over(found, 0, divide=False), over(found, 1))),
            evaluating(how=lambda found: (over(found, 0, divide=False) / len(found), over(found, 1))),
        ),
        mistake(
            "The accuracy is in per cent; a share from 0 to 1 is asked for.",
            evaluating(how=lambda found: (over(found, 0), 100 * over(found, 1))),
        ),
        mistake(
            "This is the share of wrong answers; that of right ones is asked for.",
            evaluating(how=lambda found: (over(found, 0), 1 - over(found, 1))),
        ),
        mistake(
            "The accuracy comes first with you; the loss does.", evaluating(how=lambda f: both_over(f)[::-1])
        ),
        mistake(
            "You give probabilities to cross_entropy; it takes logits and does the softmax itself.",
            evaluating(scores=lambda logits: logits.softmax(dim=1)),
        ),
        mistake(
            "The model predicts with dropout on if it comes in train mode: call eval() first.",
            evaluating(during="as it is", after="as it is"),
        ),
        mistake(
            "The model predicts in train mode, with dropout on: eval() is asked for.",
            evaluating(during="train"),
        ),
        mistake(
            "The model stays in eval mode, also if it was in train mode before: note `model.training` first.",
            evaluating(after="eval"),
        ),
        mistake(
            "Afterwards the model is in train mode, also if it was in eval mode before: note "
            "`model.training` first.",
            evaluating(after="train"),
        ),
        mistake(
            "Gradients are switched on while the model predicts: put it under torch.no_grad().",
            evaluating(gradients=True),
        ),
    ],
)

# 6.6 ---------------------------------------------------------------------------------------------------


class EarlyStop:
    def __init__(self, patience):
        self.patience = patience
        self.best, self.state, self.since = float("inf"), None, 0

    def better(self, loss):
        return loss < self.best

    def kept(self, model):
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def update(self, loss, model):
        if self.better(loss):
            self.best, self.since = loss, 0
            self.state = self.kept(model)
        else:
            self.since += 1
        return self.since >= self.patience

    def restore(self, model):
        if self.state is None:
            raise RuntimeError("no epoch had a loss to go back to")
        model.load_state_dict(self.state, strict=False)


class Alias(EarlyStop):
    def kept(self, model):
        return model.state_dict()


class ParametersOnly(EarlyStop):
    def kept(self, model):
        return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


class Ties(EarlyStop):
    def better(self, loss):
        return loss <= self.best


class TiesAndNan(EarlyStop):
    def better(self, loss):
        return not loss > self.best


class NotWorse(EarlyStop):
    def better(self, loss):
        return not loss >= self.best


class AgainstPrevious(EarlyStop):
    previous = float("inf")

    def update(self, loss, model):
        self.since = 0 if loss < self.previous else self.since + 1
        self.previous = loss
        if loss < self.best:
            self.best, self.state = loss, self.kept(model)
        return self.since >= self.patience


class LastBetter(EarlyStop):
    previous = float("inf")

    def update(self, loss, model):
        if loss < self.previous:
            self.best, self.state, self.since = loss, self.kept(model), 0
        else:
            self.since += 1
        self.previous = loss
        return self.since >= self.patience


class NeverReset(EarlyStop):
    def update(self, loss, model):
        since = self.since
        super().update(loss, model)
        self.since = since if self.since == 0 else self.since
        return self.since >= self.patience


class TooLate(EarlyStop):
    def update(self, loss, model):
        super().update(loss, model)
        return self.since > self.patience


class TooEarly(EarlyStop):
    def update(self, loss, model):
        super().update(loss, model)
        return self.since >= self.patience - 1 and self.since > 0


class KeepsTheLast(EarlyStop):
    def update(self, loss, model):
        stop = super().update(loss, model)
        self.state = self.kept(model)
        return stop


class Silent(EarlyStop):
    def restore(self, model):
        if self.state is not None:
            model.load_state_dict(self.state)


def stop_early(answer, losses, patience):
    """A run with these validation losses: in epoch k every number of the model is k."""
    model, stop, returned = nn.BatchNorm1d(2), answer(patience), []
    for epoch, loss in enumerate(losses, 1):
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.fill_(epoch)
        returned.append(stop.update(loss, model))
        if returned[-1]:
            break
    found = {
        "the epochs until update says stop": len(returned),
        "what update returns": returned,
        "the best loss": stop.best,
    }
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(99)
    try:
        stop.restore(model)
    except RuntimeError:
        found["what restore raises"] = "RuntimeError"
    else:
        found["what restore raises"] = "nothing"
    found["the epoch of the parameters after restore"] = model.weight[0].item()
    found["the epoch of the buffers after restore"] = model.running_mean[0].item()
    return found


NAN = float("nan")

exercise(
    "6.6",
    "Early stopping",
    kind="class",
    reference=EarlyStop,
    use=stop_early,
    cases=[
        case("the better epoch comes too late", [0.7, 0.5, 0.6, 0.55, 0.4], 2),
        case("always better", [0.9, 0.8, 0.7], 2),
        case("worse from the start", [0.5, 0.6, 0.7, 0.8], 1),
        case("an equal loss", [0.5, 0.4, 0.4, 0.4, 0.3], 2),
        case("better again within the patience", [0.6, 0.5, 0.55, 0.45, 0.5, 0.52, 0.4], 3),
        case("a zigzag above the best", [0.4, 0.6, 0.5, 0.7, 0.6, 0.3], 3),
        case("NaN on the way", [0.6, NAN, 0.5, NAN, NAN, 0.4], 2),
        case("nothing but NaN", [NAN, NAN, NAN], 2),
    ],
    mistakes=[
        mistake(
            "`restore` leaves the model as it is. Either you kept the live tensors (clone every tensor of "
            "the state), or `restore` does not load what you kept.",
            Alias,
        ),
        mistake(
            "You keep the last epoch's state; the one of the lowest loss is asked for.",
            KeepsTheLast,
        ),
        mistake(
            "Only the parameters are put back. `state_dict()` has the buffers as well.",
            ParametersOnly,
        ),
        mistake(
            "An equal loss counts as an improvement with you. Only a lower one does: with a flat loss you "
            "would never stop.",
            Ties,
            TiesAndNan,
        ),
        mistake("NaN counts as an improvement with you: ask for `loss < best`.", NotWorse),
        mistake(
            "You compare with the epoch before. Compare with the best so far: a zigzag is no improvement.",
            AgainstPrevious,
            LastBetter,
        ),
        mistake(
            "You never set the count of epochs without improvement back to 0: those in a row count.",
            NeverReset,
        ),
        mistake(
            "You stop too late: after `patience` epochs in a row without improvement, stop at once.",
            TooLate,
        ),
        mistake(
            "You stop one epoch too early: `patience` epochs in a row without improvement are allowed.",
            TooEarly,
        ),
        mistake(
            "`restore` does nothing if no epoch was an improvement. It has to raise RuntimeError, or the "
            "caller takes a model that learned nothing for the best.",
            Silent,
        ),
    ],
)

# 6.7 ---------------------------------------------------------------------------------------------------


class Checkpoint:
    forgotten, random, atomic, more = (), True, True, 0

    def __init__(self, path, parts):
        self.path, self.parts = str(path), parts

    def save(self, step):
        states = {name: part.state_dict() for name, part in self.parts.items() if name not in self.forgotten}
        file = {"parts": states, "step": step + self.more, "random": torch.get_rng_state()}
        target = self.path + ".tmp" if self.atomic else self.path
        torch.save(file, target)
        self.finish(target)

    def finish(self, target):
        if self.atomic:
            os.replace(target, self.path)

    def load(self):
        if not os.path.exists(self.path):
            return 0
        file = torch.load(self.path, weights_only=True)
        for name, state in file["parts"].items():
            self.parts[name].load_state_dict(state)
        if self.random:
            torch.set_rng_state(file["random"])
        return file["step"]


class NoRandom(Checkpoint):
    random = False


class ModelOnly(Checkpoint):
    forgotten = ("optimizer", "schedule", "order")


class ModelOnlyNoRandom(ModelOnly):
    random = False


class ModelAndOptimizer(Checkpoint):
    forgotten, random = ("schedule", "order"), False


class InPlace(Checkpoint):
    atomic = False


class OldOneFirst(Checkpoint):
    def save(self, step):
        if os.path.exists(self.path):
            os.remove(self.path)
        super().save(step)


class RemovesThenRenames(Checkpoint):
    def finish(self, target):
        if os.path.exists(self.path):
            os.remove(self.path)
        os.rename(target, self.path)


class MovesAway(Checkpoint):
    atomic = False

    def save(self, step):
        if os.path.exists(self.path):
            os.replace(self.path, self.path + ".old")
        super().save(step)
        if os.path.exists(self.path + ".old"):
            os.remove(self.path + ".old")


class Copies(Checkpoint):
    def finish(self, target):
        import shutil

        shutil.copy(target, self.path)
        os.remove(target)


class Leaves(Checkpoint):
    def finish(self, target):
        import shutil

        shutil.copy(target, self.path)


class KeepsOld(Checkpoint):
    def finish(self, target):
        if os.path.exists(self.path):
            os.replace(self.path, self.path + ".old")
        os.replace(target, self.path)


class NextStep(Checkpoint):
    more = 1


class NoReturn(Checkpoint):
    def load(self):
        super().load()


class NoneWithout(Checkpoint):
    def load(self):
        return super().load() or None


class FirstRandom(Checkpoint):
    """Makes the random numbers of loading time the ones that come next."""

    def load(self):
        step = super().load()
        torch.manual_seed(0)
        return step


class Dealt:
    """A shuffled order of row numbers, dealt out one batch at a time: a part of a run."""

    def __init__(self, rows, seed):
        self.rows, self.place = rows, 0
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.randperm(rows, generator=self.generator)

    def __next__(self):
        if self.place >= self.rows:
            self.order, self.place = torch.randperm(self.rows, generator=self.generator), 0
        self.place += 4
        return self.order[self.place - 4 : self.place]

    def state_dict(self):
        return {"generator": self.generator.get_state(), "order": self.order, "place": self.place}

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])
        self.order, self.place = state["order"], state["place"]


def new_parts(seed):
    torch.manual_seed(seed)
    model = small_network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.8)
    return {"model": model, "optimizer": optimizer, "schedule": schedule, "order": Dealt(12, seed)}


def go_on(parts, steps):
    generator = torch.Generator().manual_seed(7)
    x, y = torch.randn(12, 4, generator=generator), torch.randint(0, 3, (12,), generator=generator)
    for _ in range(steps):
        rows = next(parts["order"])
        loss = cross_entropy(parts["model"](x[rows]), y[rows])
        parts["optimizer"].zero_grad()
        loss.backward()
        parts["optimizer"].step()
        parts["schedule"].step()


def contents(path):
    """The bytes of a file, None where there is none."""
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return file.read()


class Disk:
    """Stands in for `torch.save`: counts its calls, and may be full, half-way through a file."""

    def __init__(self):
        self.save, self.calls, self.full = torch.save, 0, False

    def __enter__(self):
        torch.save = self
        return self

    def __exit__(self, *_):
        torch.save = self.save

    def __call__(self, what, where, *args, **kwargs):
        self.calls += 1
        if not self.full:
            return self.save(what, where, *args, **kwargs)
        if hasattr(where, "write"):
            where.write(b"half of")
        else:
            with open(where, "wb") as file:
                file.write(b"half of")
        raise OSError(28, "No space left on device")


class Killed(BaseException):
    """Stands in for the end of a process."""


def killed(*_, **__):
    raise Killed


def loaded(checkpoint):
    """What `load` returns, or the name of what it raises."""
    try:
        return checkpoint.load()
    except Exception as error:
        return f"load raised {type(error).__name__}"


def save_and_resume(answer, before, after):
    """Train, save, resume with newly built parts, train on; then save on a full disk, and be killed."""
    found = {}
    with tempfile.TemporaryDirectory() as outside, Disk() as disk:
        folder = os.path.join(outside, "run")
        os.mkdir(folder)
        path, linked = os.path.join(folder, "checkpoint.pt"), os.path.join(outside, "linked.pt")
        parts = new_parts(seed=0)
        random = torch.get_rng_state()
        checkpoint = answer(path, parts)
        found["what load returns without a file"] = checkpoint.load()
        same = torch.equal(random, torch.get_rng_state())
        found["whether a load without a file leaves the random numbers alone"] = same
        go_on(parts, 1)
        checkpoint.save(1)
        old = contents(path)
        try:
            os.link(path, linked)  # the old checkpoint's bytes, also when another file takes its name
        except OSError:  # a disk without links
            linked = None
        go_on(parts, before - 1)
        disk.calls, random = 0, torch.get_rng_state()
        checkpoint.save(before)
        found["the calls of torch.save in one save"] = disk.calls
        found["the files in the folder after a save"] = sorted(os.listdir(folder))
        written_over = linked is not None and contents(linked) != old
        found["whether a save writes into the old checkpoint's file"] = written_over
        go_on(parts, after)

        parts = new_parts(seed=5)
        checkpoint = answer(path, parts)
        found["the step that load returns"] = checkpoint.load()
        for name, part in parts.items():
            found[f"the {name} after load"] = copy.deepcopy(part.state_dict())
        same = torch.equal(random, torch.get_rng_state())
        found["whether the random numbers after load are those of the save"] = same
        go_on(parts, after)
        model, optimizer = parts["model"], parts["optimizer"]
        found["the parameters, trained on after resuming"] = [p.detach().clone() for p in model.parameters()]
        states = optimizer.state_dict()["state"].values()
        found["Adam's running mean, trained on after resuming"] = [state["exp_avg"] for state in states]
        found["the learning rate, trained on after resuming"] = optimizer.param_groups[0]["lr"]
        found["the next rows of the order"] = next(parts["order"]).tolist()

        disk.full = True
        try:
            checkpoint.save(before + after)
        except OSError:
            pass
        disk.full = False
        found["the step that load returns after a save on a full disk"] = loaded(answer(path, new_parts(6)))
        with mock.patch("os.replace", killed), mock.patch("os.rename", killed):
            try:
                checkpoint.save(before)
            except Killed:
                pass
        whole = loaded(answer(path, new_parts(6))) == before
        found["whether a whole checkpoint is there when the process dies just before it renames"] = whole
    return found


exercise(
    "6.7",
    "Save and resume",
    kind="class",
    reference=Checkpoint,
    use=save_and_resume,
    cases=[
        case("saved after 4 steps, then 3 more", 4, 3),
        case("saved between two epochs", 3, 4),
        case("saved in the second epoch", 5, 6),
    ],
    mistakes=[
        mistake(
            "The random numbers are not put back, so dropout draws others than in the undisturbed run: "
            "torch.set_rng_state in load.",
            NoRandom,
            FirstRandom,
        ),
        mistake(
            "Not all parts are put back. A model alone does not continue: Adam's means, the rate and "
            "the order of the data start anew.",
            ModelOnly,
            ModelOnlyNoRandom,
            ModelAndOptimizer,
        ),
        mistake(
            "You write straight to the checkpoint's own name. If the disk fills up half-way, what stands "
            "under that name is broken: write to another name, then os.replace.",
            InPlace,
            MovesAway,
        ),
        mistake(
            "You remove the old checkpoint before the new one has its name. If the process dies or the save "
            "fails in between, there is none: os.replace takes the old one's place in one stroke.",
            OldOneFirst,
            RemovesThenRenames,
        ),
        mistake(
            "You copy the new file over the old checkpoint, which takes time: a process that dies half-way "
            "leaves a broken one. os.replace renames in one stroke.",
            Copies,
        ),
        mistake(
            "Another file is left beside the checkpoint after a save: rename it (os.replace), so that only "
            "the checkpoint remains.",
            Leaves,
            KeepsOld,
        ),
        mistake("The step that comes back is one too many.", NextStep),
        mistake("`load` returns None: return the step.", NoReturn),
        mistake("Without a file, `load` returns None; 0 is asked for.", NoneWithout),
    ],
)

# 6.8 ---------------------------------------------------------------------------------------------------

draw = Draw("6.8")


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


class AsFrozenParameter(AsParameter):
    def __init__(self, width, momentum):
        super().__init__(width, momentum)
        self.mean.requires_grad_(False)


class ChangesInput(RunningMean):
    def forward(self, x, learn):
        if learn:
            self.mean = self.moved(x)
        return x.sub_(self.mean)


class AlwaysLearns(RunningMean):
    def forward(self, x, learn):
        return super().forward(x, True)


class NeverStores(RunningMean):
    def forward(self, x, learn):
        return x - (self.moved(x) if learn else self.mean)


class Forgets(RunningMean):
    def moved(self, x):
        return self.momentum * x.mean(dim=0)


class OnlyTheBatch(RunningMean):
    def moved(self, x):
        return x.mean(dim=0)


class OtherWayRound(RunningMean):
    def __init__(self, width, momentum):
        super().__init__(width, 1 - momentum)


class OneNumber(RunningMean):
    def moved(self, x):
        return (1 - self.momentum) * self.mean + self.momentum * x.mean()


class SubtractsTheBatch(RunningMean):
    def forward(self, x, learn):
        super().forward(x, learn)
        return x - (x.mean(dim=0) if learn else self.mean)


class StartsAtTheFirst(RunningMean):
    def forward(self, x, learn):
        if learn and not self.mean.any():
            self.mean = x.mean(dim=0)
        elif learn:
            self.mean = self.moved(x)
        return x - self.mean


class OwnName(RunningMean):
    def __init__(self, width, momentum):
        super().__init__(width, momentum)
        del self.mean
        self.register_buffer("running_mean", torch.zeros(width))

    def forward(self, x, learn):
        if learn:
            mean = x.mean(dim=0)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
        return x - self.running_mean


class MovedTooLate(RunningMean):
    def forward(self, x, learn):
        result = x - self.mean
        if learn:
            self.mean = self.moved(x)
        return result


def run_mean(answer, width, momentum, calls):
    """What a new object has, and what it says and keeps in each of the calls (x, learn)."""
    module = answer(width, momentum)
    found = {
        "its parameters": {name: tuple(parameter.shape) for name, parameter in module.named_parameters()},
        "its buffers": {name: tuple(buffer.shape) for name, buffer in module.named_buffers()},
        "what is saved with it": {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()},
        "the mean at the start": kept_mean(module),
    }
    for number, (x, learn) in enumerate(calls, 1):
        given = x.clone()
        found[f"the output of call {number}"] = module(given, learn)
        found[f"the mean after call {number}"] = kept_mean(module)
        found[f"the input x after call {number}"] = given
    return found


def kept_mean(module):
    mean = getattr(module, "mean", None)
    return mean.detach().clone() if torch.is_tensor(mean) else mean


def learning(width, *calls):
    """Calls (x, learn) with some rows for each (rows, learn, shift)."""
    return [(draw.floats(rows, width) + shift, learn) for rows, learn, shift in calls]


exercise(
    "6.8",
    "A running mean",
    kind="class",
    reference=RunningMean,
    use=run_mean,
    cases=[
        case(
            "learning three times, then not",
            3,
            0.1,
            learning(3, (5, True, 2), (4, True, -1), (5, True, 0), (2, False, 0)),
        ),
        case(
            "not learning, then learning",
            3,
            0.3,
            learning(3, (5, False, 2), (5, True, 2), (1, False, 0)),
        ),
        case("a large momentum", 2, 0.9, learning(2, (4, True, -1), (4, True, 0))),
        case("one row", 4, 0.25, learning(4, (1, True, 0), (1, True, 0))),
    ],
    mistakes=[
        mistake(
            "Your module's state_dict() is empty, so `mean` would not be saved with it. It has to be a "
            "buffer, and one that is saved: register_buffer, without persistent=False.",
            PlainTensor,
        ),
        mistake(
            "`mean` is a parameter: an optimizer would train it. What is kept but not trained is a buffer.",
            AsParameter,
            AsFrozenParameter,
        ),
        mistake("You change `x` itself, which is the caller's: make a new tensor.", ChangesInput),
        mistake("The mean moves also when `learn` is false.", AlwaysLearns),
        mistake(
            "The buffer stays as it was: the moved mean is used and not stored. Assign it to `self.mean`.",
            NeverStores,
        ),
        mistake(
            "The old mean has no weight in the new one: each batch starts anew. "
            "mean ← (1 − momentum) · mean + momentum · (mean of the batch).",
            Forgets,
            OnlyTheBatch,
        ),
        mistake(
            "Momentum is the other way round: the mean of the *batch* has the weight momentum, the old mean "
            "the rest.",
            OtherWayRound,
        ),
        mistake("You took one mean over all numbers. Each feature has its own: x.mean(dim=0).", OneNumber),
        mistake("You subtract first and move the mean afterwards; it moves first.", MovedTooLate),
        mistake(
            "While it learns, you subtract the mean of the batch. The running mean is subtracted in either "
            "case.",
            SubtractsTheBatch,
        ),
        mistake(
            "The first batch's mean becomes the running mean. It starts at 0, and the first batch moves it "
            "like any other.",
            StartsAtTheFirst,
        ),
        mistake("Your buffer has another name than `mean`.", OwnName),
    ],
)

# 6.9 ---------------------------------------------------------------------------------------------------


@torch.no_grad()
def update_average(average, model, decay):
    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
        kept.mul_(decay).add_((1 - decay) * new)
    for kept, new in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(new)


def averaging(weight=lambda decay: decay, buffers="copy"):
    """`update_average` with another weight of the old parameters, or another treatment of buffers."""

    @torch.no_grad()
    def update(average, model, decay):
        w = weight(decay)
        for kept, new in zip(average.parameters(), model.parameters(), strict=True):
            kept.copy_(w * kept + (1 - w) * new)
        for kept, new in zip(average.buffers(), model.buffers(), strict=True):
            if buffers == "copy":
                kept.copy_(new)
            elif buffers == "all":
                kept.copy_(w * kept + (1 - w) * new)
            elif buffers == "floats" and kept.is_floating_point():
                kept.copy_(w * kept + (1 - w) * new)
            elif buffers == "floats":
                kept.copy_(new)

    return update


@torch.no_grad()
def floats_only(average, model, decay):
    other = model.state_dict()
    for name, kept in average.state_dict().items():
        if kept.is_floating_point():
            kept.mul_(decay).add_((1 - decay) * other[name])


@torch.no_grad()
def not_in_place(average, model, decay):
    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
        kept = decay * kept + (1 - decay) * new


@torch.no_grad()
def not_in_place_but_buffers(average, model, decay):
    not_in_place(average, model, decay)
    for kept, new in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(new)


@torch.no_grad()
def shared_buffers(average, model, decay):
    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
        kept.mul_(decay).add_((1 - decay) * new)
    for (_, kept), (_, new) in zip(average.named_modules(), model.named_modules(), strict=True):
        for name, buffer in new.named_buffers(recurse=False):
            kept._buffers[name] = buffer


@torch.no_grad()
def trained_only(average, model, decay):
    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
        if new.requires_grad:
            kept.mul_(decay).add_((1 - decay) * new)
    for kept, new in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(new)


def detached(average, model, decay):
    with torch.no_grad():
        for (_, kept), (_, new) in zip(average.named_modules(), model.named_modules(), strict=True):
            for name, parameter in new.named_parameters(recurse=False):
                mixed = decay * kept._parameters[name] + (1 - decay) * parameter
                kept._parameters[name] = nn.Parameter(mixed, requires_grad=False)
    for kept, new in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(new)


def updated_twice(answer, average, model, decay, frozen):
    """Two updates, the model changed in place after each; its state and the average's."""
    average, model = copy.deepcopy(average), copy.deepcopy(model)
    for parameter in (*average.parameters(), *model.parameters()):
        parameter.requires_grad_(not frozen)
    found, before = {}, copy.deepcopy(model.state_dict())
    for number in (1, 2):
        returned = answer(average, model, decay)
        found[f"what call {number} returns"] = "nothing" if returned is None else type(returned).__name__
        if number == 1:
            same = all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
            found["whether the model is as it was after call 1"] = same
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.add_(number)
        parameters = {name: p.detach().clone() for name, p in average.named_parameters()}
        buffers = {name: buffer.clone() for name, buffer in average.named_buffers()}
        found[f"the average's parameters after call {number}"] = parameters
        found[f"the average's buffers after call {number}"] = buffers
    switches = [parameter.requires_grad for parameter in average.parameters()]
    found["requires_grad of the average's parameters"] = switches
    found["whether a graph hangs on them"] = any(p.grad_fn is not None for p in average.parameters())
    return found


def network(seed):
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    for tensor in made[1].state_dict().values():
        tensor.fill_(seed + 1)
    return made.eval()


def one_number(value):
    made = nn.Linear(1, 1)
    with torch.no_grad():
        made.weight.fill_(value), made.bias.fill_(-value)
    return made


exercise(
    "6.9",
    "An average of the weights",
    reference=update_average,
    use=updated_twice,
    cases=[
        case("one number", one_number(1.0), one_number(2.0), 0.9, False),
        case("with batch normalisation", network(0), network(4), 0.75, False),
        case("frozen parameters", network(1), network(2), 0.99, True),
        case("decay 0", network(3), network(6), 0.0, False),
    ],
    mistakes=[
        mistake(
            "The weights are the other way round: the *average* keeps `decay` of itself and takes "
            "1 − decay of the model.",
            averaging(lambda decay: 1 - decay),
        ),
        mistake(
            "The average becomes a copy of the model: nothing of what it was is kept.",
            averaging(lambda decay: 0.0),
        ),
        mistake(
            "Every update takes half of each; `decay` says how much of the average stays.",
            averaging(lambda decay: 0.5),
        ),
        mistake("The buffers are not copied from the model.", averaging(buffers="none")),
        mistake(
            "Parameters that need no gradient keep their old values: every parameter is averaged.",
            trained_only,
        ),
        mistake(
            "You average the buffers too. They are copied: a count of batches has no average.",
            averaging(buffers="all"),
            averaging(buffers="floats"),
            floats_only,
        ),
        mistake(
            "The average's parameters do not change: `kept = …` in a loop names a new tensor. Change them in "
            "place, for example with copy_.",
            not_in_place,
            not_in_place_but_buffers,
        ),
        mistake(
            "The average shares buffers with the model, so whatever changes there changes here: copy_ them.",
            shared_buffers,
        ),
        mistake(
            "The average's parameters have lost or gained their `requires_grad`: change the tensors that "
            "are there.",
            detached,
        ),
    ],
)

# 6.10 --------------------------------------------------------------------------------------------------

draw = Draw("6.10")


def sign_test(a, b):
    first, second = (a & ~b).sum().item(), (b & ~a).sum().item()
    n, k = first + second, min(first, second)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)


def tested(sides=2, most=1.0, of=min, terms=lambda k: range(k + 1), rows=False, guard=False):
    """`sign_test` with another number of sides, cap, count, range of terms, or with all rows as n.

    `guard`: 1.0 where the two never differ.
    """

    def wrong(a, b):
        first, second = (a & ~b).sum().item(), (b & ~a).sum().item()
        if guard and not first + second:
            return 1.0
        n, k = len(a) if rows else first + second, of(first, second)
        return min(most, sides * sum(math.comb(n, i) for i in terms(k)) / 2**n)

    return wrong


def with_guard(**options):
    return tested(**options), tested(**options, guard=True)


def of_all_right(a, b):
    first, second = a.sum().item(), b.sum().item()
    n, k = first + second, min(first, second)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)


def no_guard_for_all_right(a, b):
    return of_all_right(a, b) if (a != b).any() else 1.0


def answered(both, first, second, neither):
    """Two models' answers: so many rows on which both are right, only the first, only the second, neither."""
    a = [True] * (both + first) + [False] * (second + neither)
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    order = torch.argsort(draw.floats(len(a)))
    return torch.tensor(a)[order], torch.tensor(b)[order]


exercise(
    "6.10",
    "Luck or difference",
    reference=sign_test,
    cases=[
        case("five wins against one", *answered(3, 5, 1, 2)),
        case("one win against seven", *answered(10, 1, 7, 4)),
        case("as many wins for each", *answered(4, 3, 3, 1)),
        case("four against three", *answered(2, 4, 3, 0)),
        case("never different", *answered(5, 0, 0, 3)),
        case("all wins on one side", *answered(20, 6, 0, 5)),
        case("2,000 rows, 1,300 of them different", *answered(500, 690, 610, 200)),
    ],
    mistakes=[
        mistake(
            "This is one side only: a result as uneven the other way round counts as well, so times 2.",
            tested(sides=1),
        ),
        mistake("A probability is at most 1: take the minimum.", *with_guard(most=math.inf)),
        mistake(
            "You count all rows. Where both are right or both wrong, the models do not differ, and n leaves "
            "those rows out.",
            *with_guard(rows=True),
        ),
        mistake(
            "You take only the probability of exactly this result; more uneven ones belong to the sum.",
            *with_guard(terms=lambda k: [k]),
        ),
        mistake(
            "Your result is 1 where less is expected. k is the number of wins of the one that wins *less* "
            "often, and n the number of rows on which only one of them is right.",
            tested(of=max),
            tested(of=lambda first, second: first),
            tested(of=lambda first, second: second),
        ),
        mistake(
            "The sum ends one too early: i = k belongs to it.",
            *with_guard(terms=lambda k: range(k)),
        ),
        mistake(
            "The sum begins at 1: no wins at all, i = 0, belongs to it.",
            *with_guard(terms=lambda k: range(1, k + 1)),
        ),
        mistake(
            "You compare how many rows each has right in all. Count only those on which the other is wrong.",
            of_all_right,
            no_guard_for_all_right,
        ),
    ],
)
