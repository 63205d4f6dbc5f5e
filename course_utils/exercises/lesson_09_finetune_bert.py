"""Exercises of lesson 09, fine-tune BERT: their references, inputs and typical mistakes."""

import contextlib
import functools
import io
import math

import torch
from torch import nn

from course_utils import data
from course_utils.checks.exercise import case, exercise, mistake, no_models

random = torch.Generator().manual_seed(9)


def floats(*shape):
    return torch.randn(*shape, generator=random)


# 9.1 ---------------------------------------------------------------------------------------------------


def read(probabilities, names):
    best = probabilities.max(dim=-1)
    return [(names[i], p) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]


def read_logits(logits, names):
    return read(logits.softmax(dim=-1), names)


exercise(
    "9.1",
    "Read the logits",
    reference=read_logits,
    cases=[
        case("two classes", floats(4, 2), ["negative", "positive"]),
        case("three classes", floats(5, 3) * 3, ["sport", "politics", "tech"]),
        case("all logits negative", torch.tensor([[-5.0, -3.0], [-1.0, -4.0]]), ["negative", "positive"]),
        case("one text", floats(1, 4), ["a", "b", "c", "d"]),
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
            "Name and probability are swapped.",
            lambda logits, names: [pair[::-1] for pair in read_logits(logits, names)],
        ),
    ],
)

# 9.2 ---------------------------------------------------------------------------------------------------


def frozen(model, *names):
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(names))
    return model


def names_where(test):
    return lambda model: sorted(name for name, p in model.named_parameters() if test(name, p))


decayed = names_where(lambda name, p: p.requires_grad and p.ndim >= 2)

exercise(
    "9.2",
    "Who gets weight decay?",
    reference=decayed,
    cases=[
        case("a linear layer and a LayerNorm", nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))),
        case(
            "frozen embeddings",
            frozen(nn.Sequential(nn.Embedding(9, 4), nn.LayerNorm(4), nn.Linear(4, 2)), "0."),
        ),
        case("attention", nn.MultiheadAttention(4, 2)),
        case("nothing is trained", frozen(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "0.", "1.")),
        case("eleven layers, whose names sort as text", nn.Sequential(*[nn.Linear(2, 2) for _ in range(11)])),
        case("a convolution", nn.Sequential(nn.Conv1d(2, 3, 3), nn.Linear(3, 2))),
    ],
    mistakes=[
        mistake(
            "You left out what is called 'bias', and a LayerNorm's weight gets decay: it is a scale, of "
            "one "
            "dimension. Go by the number of dimensions.",
            names_where(lambda name, p: p.requires_grad and "bias" not in name),
        ),
        mistake(
            "Frozen parameters are in your list. They are not trained: look at requires_grad.",
            names_where(lambda name, p: p.ndim >= 2),
        ),
        mistake(
            "These are all the trained parameters; biases and LayerNorms should get no decay.",
            names_where(lambda name, p: p.requires_grad),
        ),
        mistake(
            "These are the parameters that get no decay; the others are asked for.",
            names_where(lambda name, p: p.requires_grad and p.ndim < 2),
        ),
        mistake(
            "You count two dimensions exactly; the kernel of a convolution has three, and decays too.",
            names_where(lambda name, p: p.requires_grad and p.ndim == 2),
        ),
    ],
)

# 9.3 ---------------------------------------------------------------------------------------------------


def learning_rate(step, peak, warmup, total):
    if step < warmup:
        return peak * step / warmup
    return peak * max(0.0, (total - step) / (total - warmup))


def may_go_negative(step, peak, warmup, total):
    return peak * step / warmup if step < warmup else peak * (total - step) / (total - warmup)


exercise(
    "9.3",
    "Warm up, cool down",
    reference=learning_rate,
    atol=1e-9,
    cases=[
        case("the first step", 0, 1e-4, 10, 100),
        case("in the warm-up", 5, 1e-4, 10, 100),
        case("at the peak", 10, 1e-4, 10, 100),
        case("early on the way down", 32, 1e-4, 10, 100),
        case("on the way down", 55, 1e-4, 10, 100),
        case("the last step", 100, 1e-4, 10, 100),
        case("after the end", 130, 1e-4, 10, 100),
        case("no warm-up", 0, 2e-5, 0, 50),
        case("no warm-up, half-way", 25, 2e-5, 0, 50),
    ],
    mistakes=[
        mistake(
            "The way down begins too low: you divide by `total`, so the rate jumps at the end of the "
            "warm-up. "
            "The way down takes total − warmup steps.",
            lambda step, peak, warmup, total: (
                peak * step / warmup if step < warmup else peak * max(0.0, (total - step) / total)
            ),
        ),
        mistake(
            "There is no warm-up: the rate starts at its peak. Before step `warmup` it climbs from 0.",
            lambda step, peak, warmup, total: peak * max(0.0, (total - step) / total),
        ),
        mistake(
            "After step `total` your rate is below 0, and training would undo itself. Keep it at 0 with max.",
            may_go_negative,
        ),
        mistake(
            "The rate stays at its peak after the warm-up; it should fall to 0 in a straight line.",
            lambda step, peak, warmup, total: peak * step / warmup if step < warmup else peak,
        ),
    ],
)

# 9.4 ---------------------------------------------------------------------------------------------------


def length_of(gradients):
    return math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))


def clip(gradients, max_norm):
    length = length_of(gradients)
    return [gradient * (min(1.0, max_norm / length) if length else 1.0) for gradient in gradients]


def clip_in_place(gradients, max_norm):
    factor = min(1.0, max_norm / max(length_of(gradients), 1e-12))
    for gradient in gradients:
        gradient.mul_(factor)
    return gradients


exercise(
    "9.4",
    "Clip the whole gradient",
    reference=clip,
    cases=[
        case("two parts, too long", [torch.tensor([3.0]), torch.tensor([4.0])], 1.0),
        case("a matrix and a vector, far too long", [floats(3, 4) * 50, floats(4) * 0.1], 1.0),
        case("short enough", [torch.tensor([0.1, -0.2]), torch.tensor([[0.05]])], 1.0),
        case(
            "shorter than 1, longer than the limit", [torch.tensor([0.3, 0.4]), torch.tensor([[0.2]])], 0.25
        ),
        case("another limit", [floats(5), floats(2, 2)], 0.25),
        case("no gradient at all", [torch.zeros(2), torch.zeros(3)], 1.0),
    ],
    mistakes=[
        mistake(
            "You clip each tensor by its own length. That changes the direction of the step; take one "
            "length over "
            "all, and one factor for all.",
            lambda gradients, max_norm: [clip([gradient], max_norm)[0] for gradient in gradients],
        ),
        mistake(
            "You limit each number (clamp). That changes the direction; scale all by one factor.",
            lambda gradients, max_norm: [gradient.clamp(-max_norm, max_norm) for gradient in gradients],
        ),
        mistake(
            "A short gradient is made longer. Only gradients above max_norm are scaled: the factor is "
            "at most 1.",
            lambda gradients, max_norm: [
                gradient * (max_norm / max(length_of(gradients), 1e-12)) for gradient in gradients
            ],
        ),
        mistake(
            "You add up the lengths of the parts. Lengths at right angles add as squares: √(3² + 4²) is "
            "5, not 7.",
            lambda gradients, max_norm: [
                gradient * min(1.0, max_norm / max(sum(g.norm().item() for g in gradients), 1e-12))
                for gradient in gradients
            ],
        ),
        mistake(
            "The values are right, but you changed the tensors that were passed in. `gradient * factor` "
            "makes a "
            "new one; mul_ and *= do not.",
            clip_in_place,
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
            "This is the simple interval p ± z √(p(1−p)/n). With all right it has no width at all, as "
            "if ten "
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
    ],
)

# 9.6 ---------------------------------------------------------------------------------------------------

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
    if not isinstance(answers, list) or any(answer not in (0, 1) for answer in answers):
        return "a list of ones and zeros is asked for"
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
    "9.6",
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
