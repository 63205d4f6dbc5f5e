"""Exercises of lesson 09, fine-tune BERT: their references, inputs and typical mistakes."""

import contextlib
import functools
import io
import math

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForSequenceClassification, get_linear_schedule_with_warmup

from course_utils import data
from course_utils.checks.exercise import Draw, case, exercise, mistake, no_models


def small_bert(hidden=16, layers=2, classes=2, dropout=0.1, before_head=None, spread=0.3):
    """A BERT with random weights, small enough to train in a check; the same for the same arguments.

    `before_head` is the dropout between pooler and classifier, `dropout` if it is None; `spread` is the
    standard deviation of the weights, so large that what is forgotten shows.
    """
    config = BertConfig(
        vocab_size=40,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=16,
        num_labels=classes,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        classifier_dropout=before_head,
        initializer_range=spread,
    )
    torch.manual_seed(0)
    model = BertForSequenceClassification(config).eval()
    nn.init.normal_(model.classifier.bias)  # zeros would hide what is done with it
    return model


def padded_batch(draw, lengths, classes=0):
    """A batch of random sentences of these lengths, of two texts each, with labels if there are `classes`."""
    longest = max(lengths)
    mask = torch.tensor([[1] * length + [0] * (longest - length) for length in lengths])
    batch = {
        "input_ids": (1 + draw.integers(39, len(lengths), longest)) * mask,  # 0 is padding
        "attention_mask": mask,
        "token_type_ids": draw.integers(2, len(lengths), longest).sort(dim=1).values * mask,
    }
    return batch | {"labels": draw.integers(classes, len(lengths))} if classes else batch


# 9.1 ---------------------------------------------------------------------------------------------------

draw = Draw("9.1")


def read(probabilities, names):
    best = probabilities.max(dim=-1)
    return [(names[i], p) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]


def read_logits(logits, names):
    return read(logits.softmax(dim=-1), names)


def read_with(probability):
    """The right names, each with another number: `probability(row)` of the text's probabilities."""

    def wrong(logits, names):
        rows = logits.softmax(dim=-1)
        return [(name, probability(row)) for (name, _), row in zip(read(rows, names), rows, strict=True)]

    return wrong


def read_overflowing(logits, names):
    powers = logits.exp()
    return read(powers / powers.sum(dim=-1, keepdim=True), names)


exercise(
    "9.1",
    "Read the logits",
    reference=read_logits,
    returns="the list",
    cases=[
        case("two classes", draw.floats(4, 2), ["negative", "positive"]),
        case("three classes", draw.floats(5, 3) * 3, ["sport", "politics", "tech"]),
        case("all logits negative", torch.tensor([[-5.0, -3.0], [-1.0, -4.0]]), ["negative", "positive"]),
        case("one text", draw.floats(1, 4), ["a", "b", "c", "d"]),
        case("large logits", torch.tensor([[200.0, 201.0], [150.0, 100.0]]), ["negative", "positive"]),
    ],
    mistakes=[
        mistake(
            "Those are sigmoids: each logit judged alone. Classes that exclude one another share one "
            "softmax.",
            lambda logits, names: read(logits.sigmoid(), names),
        ),
        mistake(
            "The number is the logit itself; a probability is asked for. Apply softmax first.",
            lambda logits, names: read(logits, names),
        ),
        mistake(
            "Your softmax runs over the texts of the batch (dim=0); the classes are the last dimension.",
            lambda logits, names: read(logits.softmax(dim=0), names),
        ),
        mistake(
            "You gave the index of the class; its name is asked for.",
            lambda logits, names: read_logits(logits, list(range(len(names)))),
        ),
        mistake(
            "The probability is always that of one and the same class. Take that of the class you name.",
            read_with(lambda row: row[-1].item()),
            read_with(lambda row: row[1].item()),
            read_with(lambda row: row[0].item()),
        ),
        mistake(
            "All texts got one probability, the largest of the batch. Each has its own: give max a dim.",
            lambda logits, names: [
                (name, logits.softmax(dim=-1).max().item()) for name, _ in read_logits(logits, names)
            ],
        ),
        mistake(
            "exp of a large logit is infinite, and your softmax NaN. Take torch's softmax, or subtract the "
            "largest logit first.",
            read_overflowing,
        ),
        mistake(
            "Name and probability are swapped.",
            lambda logits, names: [pair[::-1] for pair in read_logits(logits, names)],
        ),
    ],
)

# 9.2 ---------------------------------------------------------------------------------------------------

draw = Draw("9.2")


def head(last, W, b, V, c):
    return torch.tanh(last[:, 0] @ W.T + b) @ V.T + c


def head_with(pick=lambda last: last[:, 0], squash=torch.tanh, turned=True, inner=True, outer=True, end=None):
    """`head` with another choice of vectors, another function, or weights not transposed."""

    def wrong(last, W, b, V, c):
        pooled = squash(pick(last) @ (W.T if turned else W) + (b if inner else 0))
        logits = pooled @ V.T + (c if outer else 0)
        return end(logits) if end else logits

    return wrong


def weights(hidden, classes):
    return (
        draw.floats(hidden, hidden) / hidden**0.5,
        draw.floats(hidden),
        draw.floats(classes, hidden),
        draw.floats(classes),
    )


exercise(
    "9.2",
    "From vectors to logits",
    reference=head,
    returns="the logits",
    cases=[
        case("two sentences of three tokens", draw.floats(2, 3, 4), *weights(4, 2)),
        case("five classes", draw.floats(3, 6, 8), *weights(8, 5)),
        case("one sentence of one token", draw.floats(1, 1, 4), *weights(4, 2)),
        case("as many sentences as tokens", draw.floats(4, 4, 4), *weights(4, 4)),
        case("one logit", draw.floats(2, 3, 6), *weights(6, 1)),
        case("large numbers", 8 * draw.floats(2, 5, 4), *weights(4, 3)),
    ],
    mistakes=[
        mistake(
            "This is what you get from the mean over the tokens. The head reads one vector, that of [CLS].",
            head_with(pick=lambda last: last.mean(dim=1)),
        ),
        mistake(
            "You took the last token's vector. [CLS] is the first.",
            head_with(pick=lambda last: last[:, -1]),
        ),
        mistake(
            "`last[0]` is the first *sentence* with all its tokens. The first token of every sentence is "
            "`last[:, 0]`.",
            head_with(pick=lambda last: last[0]),
        ),
        mistake(
            "The tanh is missing: between the pooler and the classifier stands one.",
            head_with(squash=lambda x: x),
        ),
        mistake(
            "Between the pooler and the classifier stands a tanh, and this is another function.",
            head_with(squash=torch.relu),
            head_with(squash=torch.sigmoid),
            head_with(squash=nn.functional.gelu),
        ),
        mistake(
            "W is used the wrong way round. It is square, so nothing complains. A linear layer keeps its "
            "weights as (out, in): for vectors in rows it is `x @ W.T`.",
            head_with(turned=False),
        ),
        mistake("The biases b and c are missing.", head_with(inner=False, outer=False)),
        mistake("The bias c is missing.", head_with(outer=False)),
        mistake("The bias b is missing.", head_with(inner=False)),
        mistake(
            "The bias b is added behind the tanh. It belongs inside: tanh(W h + b).",
            lambda last, W, b, V, c: (torch.tanh(last[:, 0] @ W.T) + b) @ V.T + c,
        ),
        mistake(
            "These are probabilities; the logits are asked for, before any softmax.",
            head_with(end=lambda logits: logits.softmax(dim=-1)),
        ),
        mistake(
            "There is a tanh at the end. It belongs between the pooler and the classifier.",
            head_with(squash=lambda x: x, end=torch.tanh),
            head_with(end=torch.tanh),
        ),
        mistake(
            "There is one logit vector for every token. Only the vector of [CLS] goes on.",
            head_with(pick=lambda last: last),
        ),
    ],
)

# 9.3 ---------------------------------------------------------------------------------------------------


def frozen(model, *names):
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(names))
    return model


def two_groups(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def groups_where(large, small=None):
    """Two groups by other conditions on a parameter's name and itself; `small` None: what `large` leaves."""

    def wrong(model, weight_decay):
        named = list(model.named_parameters())
        rest = small or (lambda name, p: p.requires_grad and not large(name, p))
        return [
            {"params": [p for name, p in named if large(name, p)], "weight_decay": weight_decay},
            {"params": [p for name, p in named if rest(name, p)], "weight_decay": 0.0},
        ]

    return wrong


def swapped(model, weight_decay):
    large, small = two_groups(model, weight_decay)
    return [large | {"weight_decay": 0.0}, small | {"weight_decay": weight_decay}]


def both_decay(model, weight_decay):
    return [group | {"weight_decay": weight_decay} for group in two_groups(model, weight_decay)]


def fixed_decay(model, weight_decay):
    large, small = two_groups(model, 0.01)
    return [large, small]


def by_class(*kinds):
    """Two groups by the class of the layer that holds a parameter."""

    def wrong(model, weight_decay):
        large = [m.weight for m in model.modules() if isinstance(m, kinds) and m.weight.requires_grad]
        small = [p for p in model.parameters() if p.requires_grad and not any(p is one for one in large)]
        return [{"params": large, "weight_decay": weight_decay}, {"params": small, "weight_decay": 0.0}]

    return wrong


def twice_if_shared(model, weight_decay):
    every = [p for module in model.modules() for p in module.parameters(recurse=False) if p.requires_grad]
    return [
        {"params": [p for p in every if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0},
    ]


def named_groups(answer, model, weight_decay):
    """What the answer's groups hold, by the parameters' names."""
    names = {id(p): name for name, p in model.named_parameters()}
    groups = answer(model, weight_decay)
    if groups is None:
        return None
    found = {"the number of groups": len(groups)}
    for position, group in zip(("first", "second"), groups, strict=False):
        found[f"the {position} group's keys"] = sorted(group)
        params = group.get("params")
        found[f"the {position} group's parameters"] = (
            [names.get(id(p), f"no parameter of the model: {type(p).__name__}") for p in params]
            if isinstance(params, list)
            else params
        )
        found[f"the {position} group's weight_decay"] = group.get("weight_decay")
    return found


def tied():
    """Two layers that share one matrix."""
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5))
    model[1].weight = model[0].weight
    return model


exercise(
    "9.3",
    "Two groups",
    reference=two_groups,
    use=named_groups,
    cases=[
        case("a linear layer and a LayerNorm", nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)), 0.01),
        case(
            "frozen embeddings",
            frozen(nn.Sequential(nn.Embedding(9, 4), nn.LayerNorm(4), nn.Linear(4, 2)), "0."),
            0.1,
        ),
        case("attention", nn.MultiheadAttention(4, 2), 0.01),
        case("nothing is trained", frozen(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "0.", "1."), 0.01),
        case("a convolution", nn.Sequential(nn.Conv1d(2, 3, 3), nn.Linear(3, 2)), 0.05),
        case("a frozen LayerNorm", frozen(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), "1."), 0.01),
        case(
            "a matrix called bias",
            nn.ModuleDict({"bias": nn.Embedding(4, 2), "scale": nn.LayerNorm(2)}),
            0.01,
        ),
        case("two layers that share a matrix", tied(), 0.01),
    ],
    mistakes=[
        mistake(
            "You went by the name 'bias', so the scale of a LayerNorm, which is called weight, decays. Go by "
            "the number of dimensions.",
            groups_where(lambda name, p: p.requires_grad and "bias" not in name),
            groups_where(lambda name, p: p.requires_grad and not name.endswith("bias")),
            groups_where(lambda name, p: p.requires_grad and name.endswith("weight")),
        ),
        mistake(
            "Frozen parameters are in your groups. They are not trained: look at requires_grad.",
            groups_where(lambda name, p: p.ndim >= 2, lambda name, p: p.ndim < 2),
            groups_where(lambda name, p: p.requires_grad and p.ndim >= 2, lambda name, p: p.ndim < 2),
            groups_where(lambda name, p: p.ndim >= 2, lambda name, p: p.requires_grad and p.ndim < 2),
            groups_where(
                lambda name, p: p.requires_grad and p.ndim >= 2,
                lambda name, p: not (p.requires_grad and p.ndim >= 2),
            ),
        ),
        mistake("The two decays are swapped: the matrices decay.", swapped),
        mistake(
            "The groups are swapped: the first is that of the matrices, with weight_decay.",
            lambda model, weight_decay: two_groups(model, weight_decay)[::-1],
        ),
        mistake("Both groups decay. The second one's weight_decay is 0.", both_decay),
        mistake("The decay is always 0.01. It is the argument `weight_decay`.", fixed_decay),
        mistake(
            "The kernel of a convolution, which has three dimensions, is not in your first group. Two "
            "or more is the rule.",
            groups_where(lambda name, p: p.requires_grad and p.ndim == 2),
            groups_where(
                lambda name, p: p.requires_grad and p.ndim == 2,
                lambda name, p: p.requires_grad and p.ndim == 1,
            ),
        ),
        mistake(
            "You go by the class of the layer. Other layers have matrices too: an attention's in_proj_weight "
            "belongs to no linear layer. Go by the number of dimensions.",
            by_class(nn.Linear),
            by_class(nn.Linear, nn.Embedding),
            by_class(nn.Linear, nn.Conv1d),
            by_class(nn.Linear, nn.Embedding, nn.Conv1d),
        ),
        mistake(
            "Your comparison of dimensions is off by one: two or more decay, one does not.",
            groups_where(lambda name, p: p.requires_grad and p.ndim > 2),
            groups_where(lambda name, p: p.requires_grad and p.ndim >= 1),
        ),
        mistake(
            "A parameter that two places share is in your groups twice. `model.parameters()` gives it once.",
            twice_if_shared,
        ),
    ],
)

# 9.4 ---------------------------------------------------------------------------------------------------

draw = Draw("9.4")


def fine_tuning_step(model, batch, optimizer, schedule):
    model.train()
    loss = model(**batch).loss
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    return loss.item()


RIGHT = ["train", "loss", "clear", "backward", "clip", "step", "schedule"]


def stepping(order):
    """A fine-tuning step whose lines come in the given order."""

    def step(model, batch, optimizer, schedule):
        loss = None
        for line in order:
            if line == "train":
                model.train()
            elif line == "eval":
                model.eval()
            elif line == "loss":
                loss = model(**batch).loss
            elif line == "softmax loss":
                logits = model(**{name: batch[name] for name in batch if name != "labels"}).logits
                loss = cross_entropy(logits.softmax(dim=-1), batch["labels"])
            elif line.startswith("loss without"):
                loss = model(**{name: batch[name] for name in batch if name not in line}).loss
            elif line == "sum":
                loss = loss * len(batch["labels"])
            elif line == "clear":
                optimizer.zero_grad()
            elif line == "backward":
                loss.backward()
            elif line == "clip":
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            elif line == "unit":
                length = nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
                for parameter in model.parameters():
                    parameter.grad /= length
            elif line == "clip each":
                nn.utils.clip_grad_value_(model.parameters(), 1.0)
            elif line == "clip alone":
                for parameter in model.parameters():
                    nn.utils.clip_grad_norm_(parameter, 1.0)
            elif line == "step":
                optimizer.step()
            elif line == "schedule":
                schedule.step()
        return model(**batch).loss.item() if order[-1] == "loss again" else loss.item()

    return step


def pops_labels(model, batch, optimizer, schedule):
    labels = batch.pop("labels")
    loss = fine_tuning_step(model, batch | {"labels": labels}, optimizer, schedule)
    return loss


def without(line):
    return [each for each in RIGHT if each != line]


def train_some(answer, batches, training, left_over, classes, spread):
    """What the answer does in a step for each batch, from a model in train or eval mode.

    `left_over` is the gradient that is left in every parameter from before.
    """
    model = small_bert(layers=1, classes=classes, spread=spread).train(training)
    # eps: the gradient of a key's bias is 0 but for rounding, which Adam would blow up to whole steps.
    optimizer = torch.optim.AdamW(two_groups(model, 0.01), lr=0.02, eps=1e-3)
    schedule = get_linear_schedule_with_warmup(optimizer, 2, 6)
    optimizer.step()  # without gradients nothing moves, and the rate leaves 0
    schedule.step()
    if left_over:
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, left_over)
    taken = []  # the norm of the gradients whenever the optimizer steps
    optimizer.register_step_pre_hook(lambda *_: taken.append(gradient_norm(model)))
    found = {}
    torch.manual_seed(3)
    for number, batch in enumerate(batches, 1):
        taken.clear()
        found[f"the loss that step {number} returns"] = answer(model, batch, optimizer, schedule)
        found[f"how often the optimizer steps in step {number}"] = len(taken)
        found[f"the norm of all gradients as the optimizer takes step {number}"] = taken[0] if taken else 0.0
        found[f"the learning rate after step {number}"] = schedule.get_last_lr()[0]
        for name, parameter in model.named_parameters():
            found[f"{name} after step {number}"] = parameter.detach().clone()
    return found


def gradient_norm(model):
    gradients = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    return torch.stack(gradients).norm().item() if gradients else 0.0


def some_batches(count, lengths, classes):
    return [padded_batch(draw, lengths, classes) for _ in range(count)]


exercise(
    "9.4",
    "The fine-tuning step",
    reference=fine_tuning_step,
    use=train_some,
    rtol=1e-3,
    atol=1e-4,
    seconds=60,
    cases=[
        case("three steps", some_batches(3, [5, 3, 2], 2), True, 0.0, 2, 0.3),
        case("a model in eval mode", some_batches(2, [4, 6], 2), False, 0.0, 2, 0.3),
        case("gradients left over", some_batches(2, [5, 5, 2], 2), True, 0.3, 2, 0.3),
        case("four classes, to the end of the schedule", some_batches(6, [3, 2], 4), False, 2.0, 4, 0.3),
        case("gradients shorter than 1", some_batches(2, [4, 3], 2), True, 0.0, 2, 0.02),
    ],
    mistakes=[
        mistake(
            "The gradients are never cleared, so each batch's are added to all that came before. "
            "Call zero_grad once in a step.",
            stepping(without("clear")),
        ),
        mistake(
            "The optimizer takes no step, or it has nothing to go by because the gradients are cleared "
            "between backward and step. Only decay moves the weights, if anything.",
            stepping(without("step")),
            stepping(["train", "loss", "backward", "clear", "clip", "step", "schedule"]),
            stepping(["train", "loss", "backward", "clip", "clear", "step", "schedule"]),
        ),
        mistake(
            "You clear after the step only, so what was left over before the first step is added to its "
            "gradients. Clear before backward.",
            stepping(["train", "loss", "backward", "clip", "step", "schedule", "clear"]),
            stepping(["train", "loss", "backward", "clip", "step", "clear", "schedule"]),
        ),
        mistake(
            "The gradients of this batch are not clipped when the step is taken: clip after backward and "
            "before the optimizer's step.",
            stepping(without("clip")),
            stepping(["train", "loss", "clear", "clip", "backward", "step", "schedule"]),
            stepping(["train", "loss", "clear", "backward", "step", "clip", "schedule"]),
        ),
        mistake(
            "You clip each number, or each tensor, by itself. All gradients together have a norm of at most "
            "1.0: one call of clip_grad_norm_ for all the parameters.",
            stepping(["train", "loss", "clear", "backward", "clip each", "step", "schedule"]),
            stepping(["train", "loss", "clear", "backward", "clip alone", "step", "schedule"]),
        ),
        mistake(
            "The schedule takes no step, so the learning rate stays what it was at the start.",
            stepping(without("schedule")),
        ),
        mistake(
            "The schedule moves before the optimizer, so every step is taken at the next step's rate. "
            "The optimizer comes first.",
            stepping(["train", "loss", "clear", "backward", "clip", "schedule", "step"]),
            stepping(["train", "schedule", "loss", "clear", "backward", "clip", "step"]),
        ),
        mistake("The schedule moves twice in a step.", stepping([*RIGHT, "schedule"])),
        mistake(
            "The optimizer steps twice in one call.",
            stepping(["train", "loss", "clear", "backward", "clip", "step", "step", "schedule"]),
        ),
        mistake(
            "Every gradient gets the norm 1, short ones too. Clipping only shortens what is longer.",
            stepping(["train", "loss", "clear", "backward", "unit", "step", "schedule"]),
        ),
        mistake(
            "The model is not put into train mode, so dropout is off if it comes in eval mode.",
            stepping(without("train")),
        ),
        mistake("The model learns in eval mode, with dropout off.", stepping(["eval", *RIGHT[1:]])),
        mistake(
            "This is the loss after the step. The one before it is asked for.",
            stepping([*RIGHT, "loss again"]),
        ),
        mistake(
            "You give probabilities to cross_entropy. It takes logits and does the softmax itself.",
            stepping(["train", "softmax loss", *RIGHT[2:]]),
        ),
        mistake(
            "The attention mask does not reach the model, so padding is read as words. "
            "`model(**batch)` passes everything that is in the batch.",
            stepping(["train", "loss without attention_mask", *RIGHT[2:]]),
            stepping(["train", "loss without attention_mask, token_type_ids", *RIGHT[2:]]),
        ),
        mistake(
            "The token type ids do not reach the model. `model(**batch)` passes everything that is in the "
            "batch.",
            stepping(["train", "loss without token_type_ids", *RIGHT[2:]]),
        ),
        mistake(
            "The loss is summed over the batch. `model(**batch).loss` is the mean, and that is asked for.",
            stepping(["train", "loss", "sum", *RIGHT[2:]]),
        ),
        mistake(
            "The values are right, but you took the labels out of the batch that was passed in. "
            "`model(**batch)` can have them.",
            pops_labels,
        ),
    ],
)

# 9.5 ---------------------------------------------------------------------------------------------------


def wilson(right, total, z=1.96):
    p = right / total
    centre = p + z**2 / (2 * total)
    half = z * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    return (centre - half) / (1 + z**2 / total), (centre + half) / (1 + z**2 / total)


def wald(right, total):
    p = right / total
    half = 1.96 * math.sqrt(p * (1 - p) / total)
    return p - half, p + half


def not_squared(right, total, z=1.96):
    p, below = right / total, 1 + z / total
    centre = (p + z / (2 * total)) / below
    half = z * math.sqrt(p * (1 - p) / total + z / (4 * total**2)) / below
    return centre - half, centre + half


def wilson_with(
    shift=1.0, under=lambda p, n: 1.96**2 / (4 * n**2), root=math.sqrt, times=1.96, divide="both"
):
    """Wilson's interval with another term in the centre, another one under the root and so on."""

    def wrong(right, total):
        p, below = right / total, 1 + 1.96**2 / total
        centre = p + shift * 1.96**2 / (2 * total)
        half = times * root(p * (1 - p) / total + under(p, total))
        centre, half = (
            centre / (1 if divide == "half" else below),
            half / (1 if divide == "centre" else below),
        )
        return centre - half, centre + half

    return wrong


exercise(
    "9.5",
    "How sure is an accuracy?",
    reference=lambda right, total: wilson(right, total),
    atol=1e-6,
    cases=[
        case("half of ten", 5, 10),
        case("all of ten", 10, 10),
        case("none of three", 0, 3),
        case("a real test", 990, 1200),
        case("one of one", 1, 1),
    ],
    mistakes=[
        mistake(
            "This is the simple interval p ± z √(p(1−p)/n). With all right it has no width at all, as if ten "
            "answers proved perfection. Add the terms with z².",
            wald,
        ),
        mistake(
            "You took z = 1, an interval that holds 68 % of the time. For 95 %, z is 1.96.",
            lambda right, total: wilson(right, total, z=1.0),
        ),
        mistake(
            "These are percentages; shares between 0 and 1 are asked for.",
            lambda right, total: tuple(100 * bound for bound in wilson(right, total)),
        ),
        mistake(
            "The division by 1 + z²/n is missing: with few answers the interval leaves the range from 0 "
            "to 1.",
            lambda right, total: tuple(bound * (1 + 1.96**2 / total) for bound in wilson(right, total)),
        ),
        mistake(
            "Only one of the two, the centre or the half-width, is divided by 1 + z²/n. Divide both.",
            wilson_with(divide="centre"),
            wilson_with(divide="half"),
        ),
        mistake(
            "The second term under the root is z²/(4n²), with n squared and below the line.",
            wilson_with(under=lambda p, n: 1.96**2 / (4 * n)),
            wilson_with(under=lambda p, n: 1.96**2 / 4 * n**2),
            wilson_with(under=lambda p, n: (1.96**2 / 4 * n) ** 2),
            wilson_with(under=lambda p, n: 1.96 / (4 * n**2)),
        ),
        mistake("The second term under the root is missing.", wilson_with(under=lambda p, n: 0.0)),
        mistake("The term z²/(2n) is missing from the centre.", wilson_with(shift=0.0)),
        mistake(
            "`z**2 / 2 * n` divides by 2 and multiplies by n. Write `z**2 / (2 * n)`, and mind the other "
            "such terms.",
            lambda right, total: wilson_with(
                shift=total**2,
                under=lambda p, n: 1.96**2 / 4 * n**2,
            )(right, total),
            lambda right, total: wilson_with(shift=total**2)(right, total),
        ),
        mistake("The square root is missing.", wilson_with(root=lambda x: x)),
        mistake("In the terms with z², z is not squared.", not_squared),
        mistake("The factor z in front of the root is missing.", wilson_with(times=1.0)),
        mistake("Low and high are swapped.", lambda right, total: wilson(right, total)[::-1]),
        mistake(
            "These are the centre and the half-width. Low is their difference, high their sum.",
            lambda right, total: (
                sum(wilson(right, total)) / 2,
                (lambda a, b: (b - a) / 2)(*wilson(right, total)),
            ),
        ),
    ],
)

# 9.6 ---------------------------------------------------------------------------------------------------

draw = Draw("9.6")


def mean_logits(model, batch):
    vectors = model.bert(**batch).last_hidden_state
    return model.classifier(of_words(vectors, batch["attention_mask"][:, :, None]))


def pooled_by(pool, pooler=False, end=None):
    """Logits of the classifier on `pool(vectors, mask)`, with or without the pooler's layer in between."""

    def wrong(model, batch):
        mask = batch["attention_mask"][:, :, None]
        mean = pool(model.bert(**batch).last_hidden_state, mask)
        if pooler:
            mean = torch.tanh(model.bert.pooler.dense(mean))
        logits = model.classifier(mean)
        return end(logits) if end else logits

    return wrong


def masked(vectors, mask):
    return (vectors * mask).sum(dim=1) / mask.sum(dim=1)


def of_words(vectors, mask):
    return masked(vectors[:, 1:-1], mask[:, 2:])  # two ones fewer: without the first and the last real token


def sum_of_words(vectors, mask):
    return (vectors[:, 1:-1] * mask[:, 2:]).sum(dim=1)


def passing(*names):
    """`mean_logits` whose model sees only these parts of the batch."""

    def wrong(model, batch):
        vectors = model.bert(**{name: batch[name] for name in names}).last_hidden_state
        return model.classifier(of_words(vectors, batch["attention_mask"][:, :, None]))

    return wrong


def words_only(model, batch):
    mask = batch["attention_mask"].clone()
    mask[:, 0] = 0
    mask[torch.arange(len(mask)), mask.sum(dim=1)] = 0  # the last real token
    vectors = model.bert(**batch | {"attention_mask": mask}).last_hidden_state
    return model.classifier(masked(vectors, mask[:, :, None]))


def from_states(layer):
    """`mean_logits` with the vectors that enter or leave another layer."""

    def wrong(model, batch):
        vectors = model.bert(**batch, output_hidden_states=True).hidden_states[layer]
        return model.classifier(of_words(vectors, batch["attention_mask"][:, :, None]))

    return wrong


def dropping(model, batch):
    vectors = model.bert(**batch).last_hidden_state
    return model.classifier(model.dropout(of_words(vectors, batch["attention_mask"][:, :, None])))


def cut_off(model, batch):
    with torch.no_grad():
        mean = of_words(model.bert(**batch).last_hidden_state, batch["attention_mask"][:, :, None])
    return model.classifier(mean)


def to_eval(model, batch):
    return mean_logits(model.eval(), batch)


def sized(answer, batch, hidden, layers, classes, training):
    """The logits, what a loss on them would change in the first layer, and the model's mode afterwards."""
    model = small_bert(hidden, layers, classes, dropout=0.0, before_head=0.5).train(training)
    torch.manual_seed(5)
    logits = answer(model, batch)
    found = {"the logits": logits, "whether the model is in train mode afterwards": model.training}
    weight = model.bert.encoder.layer[0].attention.output.dense.weight
    if torch.is_tensor(logits) and logits.requires_grad:
        (found["the gradient of a matrix of layer 0"],) = torch.autograd.grad(
            logits.square().sum(), [weight], materialize_grads=True
        )
    else:
        found["the gradient of a matrix of layer 0"] = torch.zeros_like(weight)
    return found


exercise(
    "9.6",
    "The words in place of [CLS]",
    reference=mean_logits,
    use=sized,
    cases=[
        case("three sentences", padded_batch(draw, [7, 4, 3]), 16, 2, 2, False),
        case("equal lengths", padded_batch(draw, [4, 4]), 16, 2, 2, False),
        case("another width, five classes", padded_batch(draw, [3, 8, 5]), 24, 1, 5, False),
        case("one word", padded_batch(draw, [3]), 16, 1, 3, False),
        case("a model in train mode", padded_batch(draw, [4, 6]), 16, 2, 2, True),
    ],
    mistakes=[
        mistake(
            "Padding is in your mean. Multiply by a mask before you add up, and divide by its sum.",
            pooled_by(lambda vectors, mask: vectors.mean(dim=1)),
            pooled_by(lambda vectors, mask: vectors[:, 1:].mean(dim=1)),
            pooled_by(lambda vectors, mask: vectors[:, 1:-1].mean(dim=1)),
        ),
        mistake(
            "The sum is right, and then you divide by another number. Divide by the number of words of each "
            "sentence.",
            pooled_by(lambda vectors, mask: sum_of_words(vectors, mask) / vectors.shape[1]),
            pooled_by(lambda vectors, mask: sum_of_words(vectors, mask) / (vectors.shape[1] - 2)),
            pooled_by(lambda vectors, mask: sum_of_words(vectors, mask) / mask.sum(dim=1)),
            pooled_by(lambda vectors, mask: sum_of_words(vectors, mask) / mask[:, 1:].sum(dim=1)),
            pooled_by(lambda vectors, mask: sum_of_words(vectors, mask) / mask[:, 2:].sum()),
            pooled_by(lambda vectors, mask: sum_of_words(vectors, mask) / mask.sum()),
        ),
        mistake(
            "This is the vector of [CLS], and the mean of the words is asked for.",
            pooled_by(lambda vectors, mask: vectors[:, 0]),
            lambda model, batch: model(**batch).logits,
        ),
        mistake(
            "The mean went through the pooler. The classifier reads it directly here.",
            pooled_by(of_words, pooler=True),
            pooled_by(masked, pooler=True),
        ),
        mistake("[CLS] and [SEP] are in your mean. Only the words are asked for.", pooled_by(masked)),
        mistake(
            "[SEP] is in your mean, at least of some sentences. It is the last *real* token of each, and not "
            "the last column of the batch.",
            pooled_by(lambda vectors, mask: masked(vectors[:, 1:], mask[:, 1:])),
            pooled_by(lambda vectors, mask: masked(vectors[:, 1:-1], mask[:, 1:-1])),
        ),
        mistake(
            "[CLS] is in your mean. It is the first token of each sentence, and no word.",
            pooled_by(lambda vectors, mask: masked(vectors[:, :-1], mask[:, 1:])),
        ),
        mistake(
            "The first word is missing from your mean, and [SEP] is in it.",
            pooled_by(lambda vectors, mask: masked(vectors[:, 2:], mask[:, 2:])),
        ),
        mistake(
            "The layers see only the words. Give the model the whole attention mask, and leave [CLS] and "
            "[SEP] out of the mean only.",
            words_only,
        ),
        mistake(
            "This is the pooler's output, made of [CLS]. Take the last layer's vectors and their mean.",
            lambda model, batch: model.classifier(model.bert(**batch).pooler_output),
        ),
        mistake("You did not divide: this is the sum.", pooled_by(sum_of_words)),
        mistake(
            "The attention mask does not reach the model, so its layers read the padding.",
            passing("input_ids"),
            passing("input_ids", "token_type_ids"),
        ),
        mistake(
            "The token type ids do not reach the model. `model.bert(**batch)` passes the whole batch.",
            passing("input_ids", "attention_mask"),
        ),
        mistake(
            "These are not the last layer's vectors.",
            from_states(0),
            from_states(-2),
            lambda model, batch: model.classifier(
                of_words(model.bert.embeddings(batch["input_ids"]), batch["attention_mask"][:, :, None])
            ),
            lambda model, batch: model.classifier(
                of_words(
                    model.bert.embeddings.word_embeddings(batch["input_ids"]),
                    batch["attention_mask"][:, :, None],
                )
            ),
        ),
        mistake("There is dropout in front of the classifier. The card wants none there.", dropping),
        mistake(
            "The logits are right, but no gradient reaches the layers of the body, so training would leave "
            "them as they are: look for no_grad and detach.",
            cut_off,
        ),
        mistake(
            "You put the model into eval mode, and it stays there: a training would go on without dropout.",
            to_eval,
        ),
        mistake(
            "These are probabilities; the logits are asked for.",
            pooled_by(of_words, end=lambda logits: logits.softmax(dim=-1)),
        ),
        mistake(
            "This is the largest of each feature. The mean is asked for.",
            pooled_by(lambda v, mask: v[:, 1:-1].masked_fill(mask[:, 2:] == 0, -torch.inf).amax(dim=1)),
        ),
    ],
)

# 9.7 ---------------------------------------------------------------------------------------------------


def freeze_below(model, layers):
    model.requires_grad_(True)
    model.bert.embeddings.requires_grad_(False)
    for layer in model.bert.encoder.layer[:layers]:
        layer.requires_grad_(False)
    return share_trained(model)


def share_trained(model):
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return trained / sum(p.numel() for p in model.parameters())


def freezing(
    embeddings=True, first=slice(None), reset=True, pooler=False, share=share_trained, shift=0, words=False
):
    """`freeze_below` with something else."""

    def wrong(model, layers):
        if reset:
            model.requires_grad_(True)
        if embeddings:
            model.bert.embeddings.requires_grad_(False)
        if words:
            model.bert.embeddings.word_embeddings.requires_grad_(False)
        for layer in model.bert.encoder.layer[first][: max(0, layers + shift)]:
            layer.requires_grad_(False)
        if pooler:
            model.bert.pooler.requires_grad_(False)
        return share(model)

    return wrong


def above(model, layers):
    model.requires_grad_(True)
    model.bert.embeddings.requires_grad_(False)
    for layer in model.bert.encoder.layer[layers:]:
        layer.requires_grad_(False)
    return share_trained(model)


def only_one(position):
    """Only one layer is frozen."""

    def wrong(model, layers):
        model.requires_grad_(True)
        model.bert.embeddings.requires_grad_(False)
        model.bert.encoder.layer[position(layers, len(model.bert.encoder.layer))].requires_grad_(False)
        return share_trained(model)

    return wrong


def attribute_only(model, layers):
    model.requires_grad_(True)
    for module in (model.bert.embeddings, *model.bert.encoder.layer[:layers]):
        module.requires_grad = False  # an attribute that nobody reads
    return share_trained(model)


def only_head(model, layers):
    freeze_below(model, layers)
    model.bert.requires_grad_(False)
    return share_trained(model)


def tensors_trained(model):
    parameters = list(model.parameters())
    return sum(p.requires_grad for p in parameters) / len(parameters)


def freeze_some(answer, layers, calls):
    """The share that each call returns, and what is trained after it."""
    model = small_bert(layers=layers)
    model.classifier.requires_grad_(len(calls) == 1)  # several calls: it was frozen before
    found = {}
    for number, below in enumerate(calls, 1):
        share = answer(model, below)
        for name, parameter in model.named_parameters():
            found[f"whether {name} is trained after call {number}"] = parameter.requires_grad
        found[f"the share that call {number} returns"] = share
    return found


exercise(
    "9.7",
    "Freeze the lower layers",
    reference=freeze_below,
    use=freeze_some,
    cases=[
        case("one of three layers", 3, [1]),
        case("no layer, only the embeddings", 2, [0]),
        case("all layers", 2, [2]),
        case("first three, then one", 4, [3, 1]),
    ],
    mistakes=[
        mistake(
            "The embeddings are trained. They are below the first layer and frozen too.",
            freezing(embeddings=False),
        ),
        mistake(
            "Of the embeddings only the vectors of words are frozen. Positions, types and the LayerNorm "
            "belong to them.",
            freezing(embeddings=False, words=True),
        ),
        mistake(
            "The upper layers are frozen. The lower ones, the first in the list, are asked for.",
            above,
            freezing(first=slice(None, None, -1)),
        ),
        mistake(
            "What an earlier call froze stays frozen. Switch everything on first.",
            freezing(reset=False),
        ),
        mistake(
            "Nothing is frozen. `requires_grad = False` on a module is a new attribute that nobody reads: "
            "call its requires_grad_(False), or set it on each parameter.",
            attribute_only,
        ),
        mistake(
            "One single layer is frozen. `layers` is how many are, from the first on.",
            only_one(lambda layers, deep: min(layers, deep - 1)),
            only_one(lambda layers, deep: layers - 1),
        ),
        mistake("One layer too many is frozen.", freezing(shift=1)),
        mistake("One layer too few is frozen.", freezing(shift=-1)),
        mistake("The pooler is frozen. Only embeddings and layers are.", freezing(pooler=True)),
        mistake("Only the classifier is trained. The layers above and the pooler are too.", only_head),
        mistake(
            "The share is that of tensors. It is asked for in numbers: p.numel().",
            freezing(share=tensors_trained),
        ),
        mistake(
            "This is the share that is frozen. The one that is trained is asked for.",
            freezing(share=lambda model: 1 - share_trained(model)),
        ),
        mistake(
            "This is a count of numbers, and a share is asked for, from 0 to 1.",
            freezing(share=lambda model: sum(p.numel() for p in model.parameters() if p.requires_grad)),
        ),
        mistake(
            "You divide the trained numbers by the frozen ones. Divide by all.",
            freezing(share=lambda model: share_trained(model) / (1 - share_trained(model))),
        ),
        mistake(
            "This is the share of `model.bert`'s numbers. The classifier is part of the model.",
            freezing(share=lambda model: share_trained(model.bert)),
        ),
        mistake(
            "These are percent. A share from 0 to 1 is asked for.",
            freezing(share=lambda model: 100 * share_trained(model)),
        ),
    ],
)

# 9.8 ---------------------------------------------------------------------------------------------------

TARGET = 0.58


@functools.cache
def validation():
    with contextlib.redirect_stdout(io.StringIO()):
        rows = data.rotten_tomatoes()["validation"]
    return rows["text"][:], rows["label"][:]


def by_hand(sentences):
    good = {"and", "performances", "moving", "touching", "love", "beautiful", "heart", "best", "enjoyable"}
    bad = {"too", "bad", "movie", "dull", "no", "only", "or", "feels", "just", "boring", "like", "plot"}
    answers = []
    for sentence in sentences:
        words = sentence.split()
        answers.append(int(sum(word in good for word in words) >= sum(word in bad for word in words)))
    return answers


def judge_by_hand(answers, sentences):
    if not isinstance(answers, list):
        return f"a list of ones and zeros is asked for, and this is of type {type(answers).__name__}"
    if other := [answer for answer in answers if answer not in (0, 1)]:
        return f"a list of ones and zeros is asked for, and {other[0]!r} is among your answers"
    if len(answers) != len(sentences):
        return f"there are {len(sentences)} sentences, and you gave {len(answers)} answers"
    labels = dict(zip(*validation(), strict=True))
    right = sum(answer == labels[text] for answer, text in zip(answers, sentences, strict=True))
    share = right / len(sentences)
    if share < 1 - TARGET:
        return f"{share:.1%} right. That is below a coin, so your rule knows something: turn it round."
    return (
        ""
        if share >= TARGET
        else f"{share:.1%} right, and the target is {TARGET:.0%}. What else do critics say?"
    )


exercise(
    "9.8",
    "Beat a coin by hand",
    reference=by_hand,
    judge=judge_by_hand,
    rules=[no_models()],
    cases=[case("the validation sentences", validation()[0])],
    mistakes=[
        mistake(
            "You call everything positive. That is right half of the time, like a coin: look at the words.",
            lambda sentences: [1] * len(sentences),
        ),
        mistake(
            "You call everything negative. That is right half of the time, like a coin: look at the words.",
            lambda sentences: [0] * len(sentences),
        ),
        mistake(
            "Your rule is the right way round for negative: 1 stands for positive.",
            lambda sentences: [1 - answer for answer in by_hand(sentences)],
        ),
    ],
)
