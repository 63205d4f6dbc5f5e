"""Exercises of lesson 10, Trainer and scaling: their references, inputs and typical mistakes."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from course_utils.checks.exercise import Draw, case, exercise, mistake, shown

# 10.1 --------------------------------------------------------------------------------------------------


def up(a, b):
    return -(-a // b)


def count_steps(rows, batch, accumulation, epochs, drop_last):
    batches = rows // batch if drop_last else up(rows, batch)
    return math.ceil(epochs * up(batches, accumulation))


exercise(
    "10.1",
    "Count the steps",
    reference=count_steps,
    returns="the number of steps",
    cases=[
        case("all divides evenly", 64, 8, 1, 1, False),
        case("a small last batch", 700, 16, 1, 1, False),
        case("the small last batch is dropped", 700, 16, 1, 1, True),
        case("three batches a step", 100, 8, 3, 1, False),
        case("an epoch that ends in the middle of a group", 80, 8, 4, 3, False),
        case("dropped, and in the middle of a group", 90, 8, 4, 2, True),
        case("an epoch and a half", 72, 8, 2, 1.5, False),
        case("an epoch and a quarter", 80, 8, 2, 1.25, False),
        case("fewer rows than a batch", 5, 8, 2, 2, False),
    ],
    mistakes=[
        mistake(
            "The last, smaller batch of an epoch is missing: unless it is dropped it is a batch as well.",
            lambda rows, batch, accumulation, epochs, drop_last: math.ceil(
                epochs * up(rows // batch, accumulation)
            ),
        ),
        mistake(
            "You take no account of drop_last: with it, what does not fill a batch is left out.",
            lambda rows, batch, accumulation, epochs, drop_last: count_steps(
                rows, batch, accumulation, epochs, False
            ),
        ),
        mistake(
            "These are batches. A step of the optimizer comes after every `accumulation` of them.",
            lambda rows, batch, accumulation, epochs, drop_last: count_steps(
                rows, batch, 1, epochs, drop_last
            ),
        ),
        mistake(
            "Your groups of batches run on over the end of an epoch. Each epoch ends with a step, also when "
            "its last group is not full.",
            lambda rows, batch, accumulation, epochs, drop_last: up(
                math.ceil(epochs * (rows // batch if drop_last else up(rows, batch))), accumulation
            ),
            lambda rows, batch, accumulation, epochs, drop_last: math.ceil(
                epochs * (rows // batch if drop_last else up(rows, batch)) / accumulation
            ),
        ),
        mistake(
            "You drop the group of batches that is not full at the end of an epoch; the Trainer makes a step "
            "of it.",
            lambda rows, batch, accumulation, epochs, drop_last: math.ceil(
                epochs * ((rows // batch if drop_last else up(rows, batch)) // accumulation)
            ),
        ),
        mistake(
            "drop_last drops an incomplete batch, not an incomplete group of batches.",
            lambda rows, batch, accumulation, epochs, drop_last: math.ceil(
                epochs * (rows // (batch * accumulation) if drop_last else up(rows, batch * accumulation))
            ),
        ),
        mistake(
            "This is one epoch. There are `epochs` of them.",
            lambda rows, batch, accumulation, epochs, drop_last: count_steps(
                rows, batch, accumulation, 1, drop_last
            ),
        ),
        mistake(
            "Epochs may be broken numbers: half an epoch is half its steps, rounded up.",
            lambda rows, batch, accumulation, epochs, drop_last: count_steps(
                rows, batch, accumulation, int(epochs), drop_last
            ),
            lambda rows, batch, accumulation, epochs, drop_last: count_steps(
                rows, batch, accumulation, math.ceil(epochs), drop_last
            ),
            lambda rows, batch, accumulation, epochs, drop_last: int(
                epochs * count_steps(rows, batch, accumulation, 1, drop_last)
            ),
        ),
        mistake(
            "You multiply by the accumulation. More batches for a step make fewer steps.",
            lambda rows, batch, accumulation, epochs, drop_last: math.ceil(
                epochs * accumulation * (rows // batch if drop_last else up(rows, batch))
            ),
        ),
    ],
)

# 10.2 --------------------------------------------------------------------------------------------------

draw = Draw("10.2")


def counts(logits, labels, classes):
    """(true positives, predicted, present) of each class, and the predictions."""
    predicted = logits.argmax(axis=-1)
    return [
        (
            int(((predicted == c) & (labels == c)).sum()),
            int((predicted == c).sum()),
            int((labels == c).sum()),
        )
        for c in classes
    ]


def f1(right, predicted, present):
    return 2 * right / (predicted + present) if predicted + present else 0.0


def occurring(logits, labels):
    return sorted(set(labels.tolist()) | set(logits.argmax(axis=-1).tolist()))


def metrics(answer):
    logits, labels = answer
    found = [f1(*count) for count in counts(logits, labels, occurring(logits, labels))]
    return {
        "accuracy": float((logits.argmax(axis=-1) == labels).mean()),
        "macro_f1": float(sum(found) / len(found)),
    }


def metrics_with(score, accuracy=None):
    """`metrics` with another "macro_f1", `score(logits, labels)`."""

    def wrong(answer):
        logits, labels = answer
        right = float((logits.argmax(axis=-1) == labels).mean())
        return {
            "accuracy": accuracy(logits, labels) if accuracy else right,
            "macro_f1": score(logits, labels),
        }

    return wrong


def macro(logits, labels):
    return metrics((logits, labels))["macro_f1"]


def mean_of(number, classes=occurring):
    """The mean over the classes of `number(right, predicted, present)`."""

    def score(logits, labels):
        found = [number(*count) for count in counts(logits, labels, classes(logits, labels))]
        return sum(found) / len(found)

    return score


def precision(right, predicted, present):
    return right / predicted if predicted else 0.0


def recall(right, predicted, present):
    return right / present if present else 0.0


def of_means(logits, labels):
    p, r = mean_of(precision)(logits, labels), mean_of(recall)(logits, labels)
    return 2 * p * r / (p + r) if p + r else 0.0


def weighted(logits, labels):
    found = counts(logits, labels, occurring(logits, labels))
    return sum(f1(*count) * count[2] for count in found) / len(labels)


def of_class(which):
    def score(logits, labels):
        return f1(*counts(logits, labels, [which])[0])

    return score


def scored(rows, classes, labels=None):
    """Random logits and labels, as a Trainer hands them over: NumPy arrays."""
    labels = draw.integers(classes, rows) if labels is None else torch.tensor(labels)
    logits = draw.floats(rows, classes) + torch.nn.functional.one_hot(labels, classes)
    return logits.numpy(), labels.numpy()


NEVER = (
    np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 3.0, 1.0]]),
    np.array([0, 1, 1, 1]),
)
GAP = (np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 3.0], [1.0, 0.0, 4.0]]), np.array([0, 2, 0]))
ONLY_PREDICTED = (np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]]), np.array([0, 1, 1]))
NEVER_PREDICTED = (np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 4.0, 3.0]]), np.array([0, 1, 2]))
NONE_RIGHT = (np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([1, 0]))

exercise(
    "10.2",
    "Metrics",
    reference=metrics,
    returns="the metrics",
    cases=[
        case("two classes", scored(12, 2)),
        case("four classes", scored(30, 4)),
        case("a rare class", scored(20, 2, [1] * 17 + [0] * 3)),
        case("a class that nowhere occurs", NEVER),
        case("the middle class nowhere occurs", GAP),
        case("a class that is only predicted", ONLY_PREDICTED),
        case("a class that is never predicted", NEVER_PREDICTED),
        case("none is right", NONE_RIGHT),
        case("all are right", (np.eye(3) * 4, np.array([0, 1, 2]))),
    ],
    mistakes=[
        mistake(
            "Your F1 counts over all classes together, and that is the accuracy once more. Macro means: one "
            "F1 for each class, then their plain mean.",
            metrics_with(lambda logits, labels: float((logits.argmax(axis=-1) == labels).mean())),
        ),
        mistake(
            "This is the F1 of class 1 alone. Macro is the mean over the classes.",
            metrics_with(of_class(1)),
        ),
        mistake(
            "Your mean is weighted by how often each class occurs. In a macro mean all classes count alike.",
            metrics_with(weighted),
        ),
        mistake(
            "A class that neither labels nor predictions have counts as 0 in your mean. Leave it out.",
            metrics_with(mean_of(f1, lambda logits, labels: range(logits.shape[-1]))),
        ),
        mistake(
            "A class that is only predicted, and in no label, is missing in your mean: its F1 is 0.",
            metrics_with(mean_of(f1, lambda logits, labels: sorted(set(labels.tolist())))),
        ),
        mistake(
            "A class that is never predicted is missing in your mean: its F1 is 0.",
            metrics_with(mean_of(f1, lambda logits, labels: sorted(set(logits.argmax(axis=-1).tolist())))),
        ),
        mistake(
            "This is the mean of the recalls; F1 needs the precision as well.", metrics_with(mean_of(recall))
        ),
        mistake(
            "This is the mean of the precisions; F1 needs the recall as well.",
            metrics_with(mean_of(precision)),
        ),
        mistake(
            "You took means of precision and recall first, and F1 of these. Macro F1 is the mean of the F1s.",
            metrics_with(of_means),
        ),
        mistake(
            "The factor 2 is missing: F1 is 2 · right / (predicted + present).",
            metrics_with(lambda logits, labels: macro(logits, labels) / 2),
        ),
        mistake(
            "Your accuracy is a percentage. Give a share from 0 to 1.",
            metrics_with(
                macro, lambda logits, labels: 100 * float((logits.argmax(axis=-1) == labels).mean())
            ),
        ),
        mistake(
            "Your accuracy is a number of answers. Divide by how many there are.",
            metrics_with(macro, lambda logits, labels: int((logits.argmax(axis=-1) == labels).sum())),
        ),
    ],
)

# 10.3 --------------------------------------------------------------------------------------------------


class Budget(TrainerCallback):
    def __init__(self, seconds, clock):
        self.seconds, self.clock = seconds, clock

    def on_train_begin(self, args, state, control, **kwargs):
        self.start = self.clock()

    def on_step_end(self, args, state, control, **kwargs):
        if self.clock() - self.start >= self.seconds:
            control.should_evaluate = control.should_save = control.should_training_stop = True


class FromTheConstructor(Budget):
    def __init__(self, seconds, clock):
        super().__init__(seconds, clock)
        self.start = clock()

    def on_train_begin(self, args, state, control, **kwargs):
        pass


class Later(Budget):
    def on_step_end(self, args, state, control, **kwargs):
        if self.clock() - self.start > self.seconds:
            control.should_evaluate = control.should_save = control.should_training_stop = True


class SinceTheLastStep(Budget):
    def on_step_end(self, args, state, control, **kwargs):
        if self.clock() - self.start >= self.seconds:
            control.should_evaluate = control.should_save = control.should_training_stop = True
        self.start = self.clock()


class ByTheClockAlone(Budget):
    def on_step_end(self, args, state, control, **kwargs):
        if self.clock() >= self.seconds:
            control.should_evaluate = control.should_save = control.should_training_stop = True


class Overwriting(Budget):
    def on_step_end(self, args, state, control, **kwargs):
        over = self.clock() - self.start >= self.seconds
        control.should_evaluate = control.should_save = control.should_training_stop = over


class FirstTrainingOnly(Budget):
    start = None

    def on_train_begin(self, args, state, control, **kwargs):
        self.start = self.clock() if self.start is None else self.start


class InsteadOfStepEnd(Budget):
    def on_step_end(self, args, state, control, **kwargs):
        pass

    on_epoch_end = Budget.on_step_end


def stopping(*flags):
    """A budget that sets only these flags."""

    class Stop(Budget):
        def on_step_end(self, args, state, control, **kwargs):
            if self.clock() - self.start >= self.seconds:
                for flag in flags:
                    setattr(control, flag, True)

    return Stop


FLAGS = ("should_evaluate", "should_save", "should_training_stop")


def train_under(answer, seconds, trainings, wished=()):
    """What a callback asks for after each step; `trainings`: the clock's readings, a list for each."""
    now = [1.5]  # when the callback is made
    args, state = TrainingArguments.__new__(TrainingArguments), TrainerState()
    callback = answer(seconds, lambda: now[0])
    found = {}
    for number, readings in enumerate(trainings, 1):
        control = TrainerControl()
        now[0] = readings[0]
        callback.on_train_begin(args, state, control, model=None, processing_class=None)
        for step, now[0] in enumerate(readings[1:], 1):
            for flag in FLAGS[:2]:
                setattr(control, flag, step in wished)  # as the Trainer's own schedule of steps does
            given = callback.on_step_end(args, state, control, model=None, optimizer=None)
            control = given if given is not None else control
            for flag in FLAGS:
                name = f"{flag} after step {step} of training {number}"
                found[name] = bool(getattr(control, flag))
    return found


exercise(
    "10.3",
    "A budget of seconds",
    reference=Budget,
    kind="class",
    use=train_under,
    cases=[
        case("the time is up after the third step", 10.0, [[0.0, 4.0, 8.0, 12.0]]),
        case("the clock does not begin at 0", 10.0, [[100.0, 104.0, 108.0, 112.0]]),
        case("exactly on time", 6.0, [[2.0, 5.0, 8.0]]),
        case("time enough", 60.0, [[0.0, 10.0, 20.0]]),
        case("two trainings late in the day", 5.0, [[1000.0, 1003.0, 1006.0], [2000.0, 2003.0, 2006.0]]),
        case("half a second too late", 2.5, [[0.0, 2.2, 2.7]]),
        case("two trainings, one after the other", 5.0, [[0.0, 3.0, 6.0], [50.0, 53.0, 56.0]]),
        case("the Trainer wants to evaluate and save after step 1", 9.0, [[0.0, 4.0, 8.0, 10.0]], (1,)),
        case("a clock that stood still until the training", 5.0, [[7.0, 8.0, 13.0]]),
    ],
    mistakes=[
        mistake(
            "Your clock starts when the callback is made. The training may begin much later: note the time "
            "in on_train_begin.",
            FromTheConstructor,
        ),
        mistake("At exactly `seconds` the time is up: >=, not >.", Later),
        mistake(
            "You measure each step alone, since you note the time anew after every step.", SinceTheLastStep
        ),
        mistake(
            "You compare the clock itself with `seconds`. Take away the time at which the training began.",
            ByTheClockAlone,
        ),
        mistake(
            "While there is time you set flags to False, and so undo what the Trainer itself has planned. "
            "Only ever set them to True.",
            Overwriting,
        ),
        mistake(
            "The second training with the same callback goes on counting from the first one's start.",
            FirstTrainingOnly,
        ),
        mistake(
            "Your test stands in on_epoch_end. An epoch may take longer than the budget: ask each step.",
            InsteadOfStepEnd,
        ),
        mistake(
            "It stops, but what was learned since the last checkpoint is neither measured nor saved: set "
            "should_evaluate and should_save as well.",
            stopping("should_training_stop"),
        ),
        mistake("It stops without a last measurement: should_evaluate is missing.", stopping(*FLAGS[1:])),
        mistake("It stops without a last checkpoint: should_save is missing.", stopping(FLAGS[0], FLAGS[2])),
        mistake(
            "It evaluates and saves, and trains on: should_training_stop is missing. (should_epoch_stop ends "
            "one epoch, and the next begins.)",
            stopping(*FLAGS[:2]),
            stopping(*FLAGS[:2], "should_epoch_stop"),
        ),
    ],
)

# 10.4 --------------------------------------------------------------------------------------------------

draw = Draw("10.4")


def small_bert(hidden=16, layers=3, classes=2, training=False):
    """A BERT with random weights, small enough for a check; the same for the same arguments."""
    config = BertConfig(
        vocab_size=40,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=16,
        num_labels=classes,
        initializer_range=0.3,
    )
    torch.manual_seed(0)
    return BertForSequenceClassification(config).train(training)


def upper_logits(model, hidden, mask, depth):
    for layer in model.bert.encoder.layer[depth:]:
        hidden = layer(hidden, mask[:, None, None, :].bool())
    return model.classifier(model.dropout(model.bert.pooler(hidden)))


def upper(layers=lambda model, depth: model.bert.encoder.layer[depth:], see=None, head=None):
    """`upper_logits` with other layers, another mask or another head."""

    def wrong(model, hidden, mask, depth):
        seen = see(mask) if see else mask[:, None, None, :].bool()
        for layer in layers(model, depth):
            hidden = layer(hidden, seen)
        if head:
            return head(model, hidden, mask)
        return model.classifier(model.dropout(model.bert.pooler(hidden)))

    return wrong


def mean_of_words(model, hidden, mask):
    mean = (hidden * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    return model.classifier(model.dropout(mean))


def mean_through_pooler(model, hidden, mask):
    mean = (hidden * mask[:, :, None]).sum(dim=1, keepdim=True) / mask.sum(dim=1)[:, None, None]
    return model.classifier(model.dropout(model.bert.pooler(mean)))


def of_all_tokens(model, hidden, mask):
    return model.classifier(model.dropout(torch.tanh(model.bert.pooler.dense(hidden))))


def mask_of(*lengths):
    return torch.tensor([[1] * length + [0] * (max(lengths) - length) for length in lengths])


exercise(
    "10.4",
    "The upper part",
    reference=upper_logits,
    returns="the logits",
    gradients=["hidden"],
    cases=[
        case("the upper two of three layers", small_bert(), draw.floats(3, 5, 16), mask_of(5, 3, 2), 1),
        case("all layers", small_bert(), draw.floats(2, 4, 16), mask_of(4, 2), 0),
        case("the head alone", small_bert(), draw.floats(2, 4, 16), mask_of(4, 3), 3),
        case("no padding", small_bert(layers=2), draw.floats(2, 4, 16), mask_of(4, 4), 1),
        case("four classes, four layers", small_bert(24, 4, 4), draw.floats(3, 6, 24), mask_of(2, 6, 4), 2),
        case("in train mode", small_bert(training=True), draw.floats(4, 5, 16), mask_of(5, 3, 2, 4), 2),
    ],
    mistakes=[
        mistake(
            "The layers read the padding: they get no mask.",
            upper(see=lambda mask: None),
        ),
        mistake(
            "Your mask is the wrong way round: True (or 0) is for the tokens that may be read.",
            upper(see=lambda mask: mask[:, None, None, :] == 0),
            upper(see=lambda mask: (mask[:, None, None, :].float()) * torch.finfo(torch.float32).min),
        ),
        mistake(
            "A mask of floats is *added* to the scores: 1 and 0 hide nothing. Make it `.bool()`.",
            upper(see=lambda mask: mask[:, None, None, :].float()),
        ),
        mistake(
            "Your mask hides the places that ask, not those that are read: it must be (batch, 1, 1, seq).",
            upper(see=lambda mask: mask[:, None, :, None].bool()),
        ),
        mistake(
            "You ran the lower layers; the states have been through these already.",
            upper(lambda model, depth: model.bert.encoder.layer[:depth]),
        ),
        mistake(
            "You ran all layers, also those that the states have been through.",
            upper(lambda model, depth: model.bert.encoder.layer),
        ),
        mistake(
            "One layer is left out: `depth` layers are done, so the next has the index `depth`.",
            upper(lambda model, depth: model.bert.encoder.layer[depth + 1 :]),
        ),
        mistake(
            "One layer is run twice: with `depth` layers done, the next has the index `depth`.",
            upper(lambda model, depth: model.bert.encoder.layer[max(0, depth - 1) :]),
        ),
        mistake(
            "The pooler is missing between the layers and the classifier.",
            upper(head=lambda model, hidden, mask: model.classifier(model.dropout(hidden[:, 0]))),
            upper(head=lambda model, hidden, mask: model.classifier(hidden[:, 0])),
        ),
        mistake(
            "The head reads the mean here. In this model it reads [CLS], through the pooler.",
            upper(head=mean_of_words),
            upper(head=mean_through_pooler),
        ),
        mistake(
            "There are logits for every token. The pooler picks the first token's vector itself: use it.",
            upper(head=of_all_tokens),
        ),
        mistake(
            "The dropout before the classifier is missing: it matters while training.",
            upper(head=lambda model, hidden, mask: model.classifier(model.bert.pooler(hidden))),
        ),
    ],
)

# 10.5 --------------------------------------------------------------------------------------------------

draw = Draw("10.5")


class LoraLinear(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.linear(x) + x @ self.A.T @ self.B.T * self.scale


def lora(scale=None, start=None, freeze=True, forward=None):
    """A LoRA layer that differs in its scale, in how A and B start, in what is frozen or in its formula."""

    class Layer(LoraLinear):
        def __init__(self, linear, rank, alpha):
            super().__init__(linear, rank, alpha)
            self.scale = scale(rank, alpha) if scale else self.scale
            if start:
                with torch.no_grad():
                    start(self)
            self.linear.requires_grad_(not freeze)

        def forward(self, x):
            return forward(self, x) if forward else super().forward(x)

    return Layer


def both_random(layer):
    layer.B.normal_()


def both_zero(layer):
    layer.A.zero_()


def other_way_round(layer):
    layer.A.zero_()
    layer.B.normal_()


class WithoutParameters(LoraLinear):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        for name in "AB":
            values = getattr(self, name).detach()
            delattr(self, name)
            self.register_buffer(name, values)


def use_lora(answer, weight, bias, rank, alpha, A, B, x):
    """A layer fresh, then with the given A and B: outputs, gradients, what is trained."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    plain = linear(x).detach()
    layer = answer(linear, rank, alpha)
    found = {
        "the shape of A": tuple(layer.A.shape),
        "the shape of B": tuple(layer.B.shape),
        "the names of the trained parameters": sorted(
            name for name, p in layer.named_parameters() if p.requires_grad
        ),
        "a fresh layer gives what the linear layer gave": torch.allclose(layer(x), plain, atol=1e-6),
    }
    fresh = layer(x).pow(2).sum()
    if fresh.requires_grad:
        fresh.backward()
    for name in "AB":
        gradient = getattr(layer, name).grad
        learns = gradient is not None and bool(gradient.abs().sum() > 0)
        found[f"in a fresh layer the gradient of {name} is not 0"] = learns
    with torch.no_grad():
        layer.A.copy_(A)
        layer.B.copy_(B)
    layer.zero_grad()
    x = x.detach().clone().requires_grad_()
    out = layer(x)
    found["the output with a given A and B"] = out.detach()
    if out.requires_grad:
        out.pow(2).sum().backward()
    for name in "AB":
        found[f"the gradient of {name}"] = getattr(layer, name).grad
    found["the gradient that reaches x"] = x.grad
    return found


def lora_case(name, inside, outside, rank, alpha, *shape, bias=True):
    return case(
        name,
        draw.floats(outside, inside),
        draw.floats(outside) if bias else None,
        rank,
        alpha,
        draw.floats(rank, inside),
        draw.floats(outside, rank),
        draw.floats(*shape, inside),
    )


exercise(
    "10.5",
    "A LoRA layer",
    reference=LoraLinear,
    kind="class",
    use=use_lora,
    cases=[
        lora_case("rank 2, alpha 4", 5, 3, 2, 4, 4),
        lora_case("a square layer", 4, 4, 2, 1, 3),
        lora_case("rank as wide as the layer", 3, 3, 3, 3, 2),
        lora_case("tokens of sentences", 6, 4, 1, 8, 2, 3),
        lora_case("a linear layer without bias", 4, 5, 2, 6, 3, bias=False),
    ],
    mistakes=[
        mistake(
            "The layer is right, but no full gradient reaches x: frozen means that the weights do not learn, "
            "not that the gradient stops there. The layers below need it.",
            lora(
                forward=lambda layer, x: layer.linear(x).detach() + layer.scale * (x @ layer.A.T @ layer.B.T)
            ),
            lora(
                forward=lambda layer, x: layer.linear(x) + layer.scale * (x.detach() @ layer.A.T @ layer.B.T)
            ),
        ),
        mistake("You multiply by alpha alone. The scale is alpha / rank.", lora(lambda rank, alpha: alpha)),
        mistake(
            "The scale is missing: alpha / rank times what the two thin matrices give.",
            lora(lambda rank, alpha: 1.0),
        ),
        mistake("Your scale is upside down: it is alpha / rank.", lora(lambda rank, alpha: rank / alpha)),
        mistake(
            "Your scale is alpha divided by the root of the rank. That variant exists (rsLoRA), but the card "
            "asks for alpha / rank.",
            lora(lambda rank, alpha: alpha / rank**0.5),
        ),
        mistake(
            "B starts with random numbers, so a fresh layer spoils the pretrained one.",
            lora(start=both_random),
        ),
        mistake(
            "A and B both start at 0: then the gradients of both are 0, and neither ever learns.",
            lora(start=both_zero),
        ),
        mistake(
            "A starts at 0 and B at random. The card wants it the other way round: B at 0.",
            lora(start=other_way_round),
        ),
        mistake(
            "The linear layer itself is trained as well. Freeze it: only A and B learn.", lora(freeze=False)
        ),
        mistake(
            "The output is that of A and B alone: the linear layer's own is missing.",
            lora(forward=lambda layer, x: x @ layer.A.T @ layer.B.T * layer.scale),
        ),
        mistake(
            "The scale multiplies the linear layer's output too. It belongs to the detour through A and B.",
            lora(forward=lambda layer, x: (layer.linear(x) + x @ layer.A.T @ layer.B.T) * layer.scale),
        ),
        mistake(
            "The detour reads the linear layer's output. It runs beside it, and reads x.",
            lora(
                forward=lambda layer, x: (
                    layer.linear(x)
                    + nn.functional.pad(layer.linear(x), (0, max(0, x.shape[-1] - layer.B.shape[0])))[
                        ..., : x.shape[-1]
                    ]
                    @ layer.A.T
                    @ layer.B.T
                    * layer.scale
                )
            ),
        ),
        mistake(
            "A and B are no parameters, so no optimizer will ever see them: wrap them in nn.Parameter.",
            WithoutParameters,
        ),
    ],
)

# 10.6 --------------------------------------------------------------------------------------------------

draw = Draw("10.6")


def merged(layer):
    linear = nn.Linear(
        layer.linear.in_features, layer.linear.out_features, bias=layer.linear.bias is not None
    )
    with torch.no_grad():
        linear.weight.copy_(layer.linear.weight + layer.scale * layer.B @ layer.A)
        if layer.linear.bias is not None:
            linear.bias.copy_(layer.linear.bias)
    return linear


def merging(weight, bias=True):
    """A merge with another weight, `weight(layer)`, or without the bias."""

    def wrong(layer):
        linear = merged(layer)
        with torch.no_grad():
            linear.weight.copy_(weight(layer))
            if linear.bias is not None and not bias:
                linear.bias.zero_()
        return linear

    return wrong


def in_place(layer):
    with torch.no_grad():
        layer.linear.weight += layer.scale * layer.B @ layer.A
    return layer.linear


def without_bias(layer):
    linear = nn.Linear(layer.linear.in_features, layer.linear.out_features, bias=False)
    with torch.no_grad():
        linear.weight.copy_(merged(layer).weight)
    return linear


def fresh_bias(layer):
    linear = merged(layer)
    torch.manual_seed(3)
    if linear.bias is not None:
        nn.init.normal_(linear.bias)
    return linear


def turned(layer):
    square = layer.linear.in_features == layer.linear.out_features
    delta = (layer.B @ layer.A).T if square else layer.B @ layer.A
    return layer.linear.weight + layer.scale * delta


def right_weight(layer):
    return layer.linear.weight + layer.scale * layer.B @ layer.A


def use_merge(answer, weight, bias, rank, alpha, A, B, x):
    """The merged layer's outputs and parameters, and whether the LoRA layer is as it was."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    layer = LoraLinear(linear, rank, alpha)
    with torch.no_grad():
        layer.A.copy_(A)
        layer.B.copy_(B)
    before = layer(x).detach()
    made = answer(layer)
    return {
        "the class of what you return": type(made).__name__,
        "the names of its parameters": [name for name, _ in made.named_parameters()],
        "its weight": made.weight.detach(),
        "its bias": None if made.bias is None else made.bias.detach(),
        "its output": made(x).detach(),
        "the LoRA layer's output afterwards is what it was before": torch.equal(layer(x), before),
    }


exercise(
    "10.6",
    "Merge",
    reference=merged,
    use=use_merge,
    rules=[],
    cases=[
        lora_case("rank 2, alpha 4", 5, 3, 2, 4, 4),
        lora_case("a square layer", 4, 4, 2, 1, 3),
        lora_case("tokens of sentences", 6, 4, 3, 8, 2, 3),
        lora_case("a linear layer without bias", 4, 5, 2, 6, 3, bias=False),
    ],
    mistakes=[
        mistake(
            "The scale is missing in your merge.",
            merging(lambda layer: layer.linear.weight + layer.B @ layer.A),
        ),
        mistake(
            "This is the detour alone: the linear layer's own weight is missing.",
            merging(lambda layer: layer.scale * layer.B @ layer.A),
        ),
        mistake(
            "This is the linear layer's weight as it was: nothing is merged.",
            merging(lambda layer: layer.linear.weight),
        ),
        mistake(
            "A square layer shows it: your product is transposed. A layer's weight is (out, in), so B @ A.",
            merging(turned),
        ),
        mistake(
            "You subtract. Merging adds the detour.",
            merging(lambda layer: layer.linear.weight - layer.scale * layer.B @ layer.A),
        ),
        mistake("Your new layer has no bias, and the old one has.", without_bias),
        mistake(
            "The bias of your new layer is not the old one's: copy it, too.",
            fresh_bias,
            merging(right_weight, bias=False),
        ),
        mistake(
            "You changed the LoRA layer itself: from now on it adds its detour twice. Make a new layer.",
            in_place,
        ),
        mistake(
            "The scale multiplies the linear layer's weight as well.",
            merging(lambda layer: layer.scale * (layer.linear.weight + layer.B @ layer.A)),
        ),
    ],
)

# 10.7 --------------------------------------------------------------------------------------------------


def largest_batch(memory, parameters, trained, saved, length):
    left = memory - 4 * parameters - 12 * trained
    return max(0, left // (4 * saved * length))


def fitting(weights=4, learned=12, number=4, by_length=True):
    def wrong(memory, parameters, trained, saved, length):
        left = memory - weights * parameters - learned * trained
        return max(0, left // (number * saved * (length if by_length else 1)))

    return wrong


exercise(
    "10.7",
    "The largest batch",
    reference=largest_batch,
    returns="the batch size",
    cases=[
        case("a small model", 1_000_000, 10_000, 10_000, 50, 10),
        case("most of it is frozen", 2_000_000, 100_000, 1_000, 200, 8),
        case("exactly full", 16 * 1000 + 4 * 30 * 5 * 7, 1000, 1000, 30, 5),
        case("one byte too few", 16 * 1000 + 4 * 30 * 5 * 7 - 1, 1000, 1000, 30, 5),
        case("the model alone does not fit", 100_000, 10_000, 10_000, 50, 10),
        case("a large GPU", 16 * 1024**3, 110_000_000, 110_000_000, 100_000, 128),
    ],
    mistakes=[
        mistake(
            "You count the numbers, not their bytes: a float32 number has four.",
            fitting(1, 3, 1),
        ),
        mistake("AdamW's two moments are missing: 8 bytes for each trained number.", fitting(learned=4)),
        mistake(
            "Eight bytes for each trained number are too few: 4 for its gradient, 8 for AdamW's two moments.",
            fitting(learned=8),
        ),
        mistake(
            "Frozen parameters have no gradient and no moments: these go by `trained`.",
            lambda memory, parameters, trained, saved, length: largest_batch(
                memory, parameters, parameters, saved, length
            ),
        ),
        mistake(
            "The frozen parameters lie in memory as well: the weights go by `parameters`.",
            lambda memory, parameters, trained, saved, length: largest_batch(
                memory, trained, trained, saved, length
            ),
        ),
        mistake("`saved` is for one token: a sentence has `length` of them.", fitting(by_length=False)),
        mistake("The weights themselves are missing.", fitting(weights=0)),
        mistake("Activations have four bytes a number as well.", fitting(number=1)),
        mistake(
            "Where not even the model fits your batch is negative. It is 0.",
            lambda memory, parameters, trained, saved, length: (
                (memory - 4 * parameters - 12 * trained) // (4 * saved * length)
            ),
        ),
        mistake(
            "You round up, and that batch does not fit any more.",
            lambda memory, parameters, trained, saved, length: max(
                0, up(memory - 4 * parameters - 12 * trained, 4 * saved * length)
            ),
            lambda memory, parameters, trained, saved, length: max(
                0, 1 + (memory - 4 * parameters - 12 * trained) // (4 * saved * length)
            ),
        ),
    ],
)

# 10.8 --------------------------------------------------------------------------------------------------

draw = Draw("10.8")


def accumulate(model, batches):
    items = sum(int((y != -100).sum()) for _, y in batches)
    model.zero_grad()
    total = 0.0
    for x, y in batches:
        loss = cross_entropy(model(x), y, reduction="sum") / items
        loss.backward()
        total += loss.item()
    return total


def accumulating(share, clear="first", reduction="mean", whole=False):
    """An accumulation whose losses are weighted by `share(y, batches)`."""

    def wrong(model, batches):
        if whole:
            batches = [(torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches]))]
        if clear == "first":
            model.zero_grad()
        total = 0.0
        for x, y in batches:
            if clear == "each":
                model.zero_grad()
            loss = cross_entropy(model(x), y, reduction=reduction) * share(y, batches)
            loss.backward()
            total += loss.item()
        return total

    return wrong


def real(y):
    return int((y != -100).sum())


class Noted(nn.Module):
    """A linear layer that notes how many rows it was given at once, and the order of its passes."""

    def __init__(self, inside, classes):
        super().__init__()
        torch.manual_seed(1)
        self.linear = nn.Linear(inside, classes)
        self.rows, self.passes = [], []

    def forward(self, x):
        self.rows.append(len(x))
        self.passes.append("forward")
        logits = self.linear(x)
        if logits.requires_grad:
            logits.register_hook(lambda gradient: self.passes.append("backward"))
        return logits


def at_once(model, batches):
    """Right numbers, with every graph alive at the same time."""
    model.zero_grad()
    count = sum(int((y != -100).sum()) for _, y in batches)
    losses = [torch.nn.functional.cross_entropy(model(x), y, reduction="sum") for x, y in batches]
    loss = sum(losses) / count
    loss.backward()
    return loss.item()


def use_accumulate(answer, sizes, ignored, classes, old):
    """The gradients after an accumulation over micro-batches of these sizes."""
    generator = torch.Generator().manual_seed(len(sizes) + classes)
    model = Noted(5, classes)
    batches = []
    for size, off in zip(sizes, ignored, strict=True):
        y = torch.randint(classes, (size,), generator=generator)
        y[:off] = -100
        batches.append((torch.randn(size, 5, generator=generator), y))
    if old:
        model(torch.ones(1, 5)).sum().backward()
        model.rows.clear()
        model.passes.clear()
    loss = answer(model, batches)
    return {
        "the loss": loss,
        "the gradient of the weight": model.linear.weight.grad,
        "the gradient of the bias": model.linear.bias.grad,
        "the rows of each call of the model": model.rows,
        "the passes of the model, in order": model.passes,
    }


exercise(
    "10.8",
    "Small batches, one step",
    reference=accumulate,
    use=use_accumulate,
    cases=[
        case("equal batches", [4, 4], [0, 0], 3, False),
        case("unequal batches", [6, 2, 1], [0, 0, 0], 2, False),
        case("labels that do not count", [4, 4], [3, 0], 3, False),
        case("a batch without any label that counts", [3, 2], [0, 2], 2, False),
        case("gradients of the last step are still there", [3, 5], [0, 1], 4, True),
        case("one batch", [5], [2], 2, False),
    ],
    mistakes=[
        mistake(
            "This is the mean of the batches' means: items of a small batch count for more. Add up the sums, "
            "and divide by the number of all items.",
            accumulating(lambda y, batches: 1 / len(batches)),
        ),
        mistake(
            "The gradients are too large: the batches' mean losses are added up and nothing divides them.",
            accumulating(lambda y, batches: 1.0),
        ),
        mistake(
            "You add up sums and do not divide by the number of all items.",
            accumulating(lambda y, batches: 1.0, reduction="sum"),
        ),
        mistake(
            "You divide by the rows, and rows labelled -100 are no items: they have no loss.",
            accumulating(lambda y, batches: 1 / sum(len(y) for _, y in batches), reduction="sum"),
        ),
        mistake(
            "You weigh each batch's mean by its rows, but the mean is over the labels that are not -100.",
            accumulating(lambda y, batches: len(y) / sum(len(y) for _, y in batches)),
        ),
        mistake(
            "The mean of a batch without any label that counts is 0 / 0, NaN, and one NaN spoils all. "
            "Take reduction='sum'.",
            accumulating(lambda y, batches: real(y) / sum(real(y) for _, y in batches)),
        ),
        mistake(
            "You run all batches forward before the first backward: the activations of all of them lie in "
            "memory at once. Call backward for each batch before the next one.",
            at_once,
        ),
        mistake(
            "The gradients are cleared before every batch, so that only the last one's are left.",
            accumulating(
                lambda y, batches: 1 / sum(real(y) for _, y in batches), clear="each", reduction="sum"
            ),
        ),
        mistake(
            "The gradients of the last step are never cleared.",
            accumulating(lambda y, batches: 1 / sum(real(y) for _, y in batches), clear="", reduction="sum"),
        ),
        mistake(
            "You joined the batches into a large one: then its activations must all fit into memory at once.",
            accumulating(
                lambda y, batches: 1 / sum(real(y) for _, y in batches), reduction="sum", whole=True
            ),
        ),
    ],
)

# 10.9 --------------------------------------------------------------------------------------------------

draw = Draw("10.9")


def all_reduce(gradients, items):
    total = sum(items)
    result = {}
    for name in gradients[0]:
        parts = [
            rank[name] * count for rank, count in zip(gradients, items, strict=True) if rank[name] is not None
        ]
        result[name] = sum(parts) / total if parts else None
    return result


def reducing(join):
    """An all-reduce that joins what the ranks have, a list of (gradient or None, items), by `join`."""

    def wrong(gradients, items):
        return {
            name: join([(rank[name], count) for rank, count in zip(gradients, items, strict=True)])
            for name in gradients[0]
        }

    return wrong


def plain_mean(pairs):
    known = [g for g, _ in pairs if g is not None]
    return sum(known) / len(pairs) if known else None


def mean_of_known(pairs):
    known = [(g, n) for g, n in pairs if g is not None]
    return sum(g * n for g, n in known) / sum(n for _, n in known) if known else None


def plain_mean_of_known(pairs):
    known = [g for g, _ in pairs if g is not None]
    return sum(known) / len(known) if known else None


def plain_sum(pairs):
    known = [g for g, _ in pairs if g is not None]
    return sum(known) if known else None


def weighted_sum(pairs):
    known = [g * n for g, n in pairs if g is not None]
    return sum(known) if known else None


def by_number_of_ranks(pairs):
    known = [g * n for g, n in pairs if g is not None]
    return sum(known) / len(pairs) if known else None


def the_other_way(pairs):
    known = [g / n for g, n in pairs if g is not None]
    return sum(known) * sum(n for _, n in pairs) / len(pairs) ** 2 if known else None


def zero_for_none(pairs):
    found = all_reduce([{"g": g} for g, _ in pairs], [n for _, n in pairs])["g"]
    return torch.zeros(()) if found is None else found


def two(*shapes, ranks=2):
    return [{f"layer.{i}": draw.floats(*shape) for i, shape in enumerate(shapes)} for _ in range(ranks)]


def lacking(gradients, *places):
    for rank, name in places:
        gradients[rank][name] = None
    return gradients


exercise(
    "10.9",
    "All-reduce by hand",
    reference=all_reduce,
    returns="the gradients",
    cases=[
        case("two ranks, equal batches", two((3, 2), (2,)), [8, 8]),
        case("two ranks, unequal batches", two((3, 2), (2,)), [8, 3]),
        case("four ranks", two((4,), (2, 2), ranks=4), [5, 1, 2, 4]),
        case("one rank", two((3,), ranks=1), [6]),
        case("a rank did not use a layer", lacking(two((2, 2), (3,)), (1, "layer.1")), [4, 2]),
        case("rank 0 did not use a layer", lacking(two((2, 2), (3,)), (0, "layer.1")), [2, 3]),
        case("no rank used a layer", lacking(two((2,), (2,)), (0, "layer.0"), (1, "layer.0")), [3, 5]),
        case("a rank without items", lacking(two((2,), ranks=2), (1, "layer.0")), [3, 0]),
    ],
    mistakes=[
        mistake(
            "This is the plain mean over the ranks. With unequal batches, items of a small batch count for "
            "more: weigh each rank by its items.",
            reducing(plain_mean),
            reducing(plain_mean_of_known),
        ),
        mistake("This is the sum. Divide, so that it is a mean over all items.", reducing(plain_sum)),
        mistake(
            "You weigh by the items and do not divide by the number of all of them.", reducing(weighted_sum)
        ),
        mistake(
            "You weigh by items and divide by the number of ranks. Divide by the number of all items.",
            reducing(by_number_of_ranks),
        ),
        mistake("You give what rank 0 has. All ranks count.", reducing(lambda pairs: pairs[0][0])),
        mistake(
            "Where a rank did not use a layer you divide by the others' items only. Its gradient is 0, and "
            "its items count.",
            reducing(mean_of_known),
        ),
        mistake(
            "A layer that no rank used has no gradient: None, not 0. An optimizer would decay it otherwise.",
            reducing(zero_for_none),
        ),
        mistake(
            "One rank lacks the gradient, and you drop it for all.",
            reducing(
                lambda pairs: (
                    None
                    if any(g is None for g, _ in pairs)
                    else all_reduce([{"g": g} for g, _ in pairs], [n for _, n in pairs])["g"]
                )
            ),
        ),
    ],
)

# 10.10 -------------------------------------------------------------------------------------------------


def shards(rows, ranks):
    size = up(rows, ranks)
    return [(min(rank * size, rows), min((rank + 1) * size, rows)) for rank in range(ranks)]


def sharding(size, cut=True):
    def wrong(rows, ranks):
        step = size(rows, ranks)
        end = rows if cut else 10**9
        return [(min(rank * step, end), min((rank + 1) * step, end)) for rank in range(ranks)]

    return wrong


def evenly(rows, ranks):
    small, more = divmod(rows, ranks)
    starts = [rank * small + min(rank, more) for rank in range(ranks + 1)]
    return list(zip(starts[:-1], starts[1:], strict=True))


def rest_to_the_last(rows, ranks):
    size = rows // ranks
    return [(rank * size, rows if rank == ranks - 1 else (rank + 1) * size) for rank in range(ranks)]


def chunks_only(rows, ranks):
    return [pair for pair in shards(rows, ranks) if pair[0] < pair[1]]


def sizes_only(rows, ranks):
    return [end - start for start, end in shards(rows, ranks)]


def inclusive(rows, ranks):
    return [(start, end - 1) for start, end in shards(rows, ranks)]


def from_nought(rows, ranks):
    return [(0, 0) if start >= end else (start, end) for start, end in shards(rows, ranks)]


exercise(
    "10.10",
    "Who holds which rows",
    reference=shards,
    returns="the list",
    cases=[
        case("an even split", 8, 2),
        case("an odd row", 7, 2),
        case("ten rows on four ranks", 10, 4),
        case("five rows on four ranks: the last one has none", 5, 4),
        case("fewer rows than ranks", 2, 4),
        case("one rank", 6, 1),
        case("nine rows on four ranks", 9, 4),
    ],
    mistakes=[
        mistake(
            "You spread the rest over the first ranks. FSDP cuts pieces of one size, rows / ranks rounded "
            "up, as torch.chunk does, and the last ranks get what is left.",
            evenly,
        ),
        mistake("You round down and give the rest to the last rank. Round up.", rest_to_the_last),
        mistake(
            "You round down, and rows are held by nobody. Round up.",
            sharding(lambda rows, ranks: rows // ranks),
        ),
        mistake(
            "Ranks without rows are missing in your list: there is a pair for every rank, empty or not.",
            chunks_only,
        ),
        mistake("Your pieces run past the last row. Cut them at `rows`.", sharding(up, cut=False)),
        mistake("These are sizes. Give (start, end) for each rank.", sizes_only),
        mistake("Your ends are the last row. As in a slice, the end is the row after it.", inclusive),
        mistake("A rank without rows has (rows, rows): it would begin where the rows end.", from_nought),
    ],
)

# 10.11 -------------------------------------------------------------------------------------------------


def halving(score, settings, steps):
    while len(settings) > 1:
        scores = [score(setting, steps) for setting in settings]
        order = sorted(range(len(settings)), key=lambda i: -scores[i])
        settings = [settings[i] for i in sorted(order[: up(len(settings), 2)])]
        steps *= 2
    return settings[0]


def halving_with(keep=lambda n: up(n, 2), grow=lambda steps: steps * 2, sign=-1, ties=1, rounds=10**9):
    def wrong(score, settings, steps):
        while len(settings) > 1 and rounds:
            scores = [score(setting, steps) for setting in settings]
            order = sorted(range(len(settings)), key=lambda i: (sign * scores[i], ties * i))
            kept = max(1, keep(len(settings)))
            settings = [settings[i] for i in sorted(order[:kept])]
            steps = grow(steps)
            if kept == 1:
                break
        return settings[0]

    return wrong


def one_round(score, settings, steps):
    return max(settings, key=lambda setting: score(setting, steps))


def first_half(score, settings, steps):
    while len(settings) > 1:
        for setting in settings:
            score(setting, steps)
        settings, steps = settings[: up(len(settings), 2)], 2 * steps
    return settings[0]


def always_all(score, settings, steps):
    remaining = len(settings)
    scores = {}
    while remaining > 1:
        scores = {setting: score(setting, steps) for setting in settings}
        remaining, steps = up(remaining, 2), 2 * steps
    return max(settings, key=lambda setting: scores.get(setting, 0))


def until_two(score, settings, steps):
    while len(settings) > 2:
        scores = [score(setting, steps) for setting in settings]
        order = sorted(range(len(settings)), key=lambda i: -scores[i])
        settings = [settings[i] for i in sorted(order[: up(len(settings), 2)])]
        steps *= 2
    return settings[0]


def last_round_too(score, settings, steps):
    while True:
        scores = [score(setting, steps) for setting in settings]
        if len(settings) == 1:
            return settings[0]
        order = sorted(range(len(settings)), key=lambda i: -scores[i])
        settings = [settings[i] for i in sorted(order[: up(len(settings), 2)])]
        steps *= 2


def late(setting, steps):
    """Large rates are ahead early, and small ones in the end."""
    return setting * 3 if steps < 20 else 1 - abs(setting - 0.01) * 5


def middle(setting, steps):
    return 1 - (setting - 0.3) ** 2


def level(setting, steps):
    return round(setting)


def use_halving(answer, score, settings, steps):
    """The winner, and what was trained on the way."""
    asked = []

    def noted(setting, steps):
        asked.append((setting, steps))
        return score(setting, steps)

    return {"the winner": answer(noted, settings, steps), "the calls of score": asked}


exercise(
    "10.11",
    "Successive halving",
    reference=halving,
    use=use_halving,
    cases=[
        case("four settings", shown("middle", middle), [0.1, 0.2, 0.3, 0.4], 10),
        case("five settings", shown("middle", middle), [0.9, 0.25, 0.7, 0.0, 0.5], 8),
        case("the ranking changes late", shown("late", late), [0.3, 0.1, 0.03, 0.01], 10),
        case("ties", shown("level", level), [0.1, 0.9, 1.1, 0.8, 0.2, 1.2], 5),
        case("one setting: nothing to train", shown("middle", middle), [0.5], 10),
        case("two settings", shown("middle", middle), [0.8, 0.2], 100),
    ],
    mistakes=[
        mistake(
            "You train all settings once, for `steps`, and take the best: no halving.",
            one_round,
        ),
        mistake(
            "Your steps stay the same. They double from round to round.",
            halving_with(grow=lambda steps: steps),
        ),
        mistake("You keep the worse half: a higher score is better.", halving_with(sign=1)),
        mistake(
            "With an odd number you keep too few: half of it, rounded up.",
            halving_with(keep=lambda n: n // 2),
        ),
        mistake("You keep the first half of the list, whatever it scored.", first_half),
        mistake(
            "You go on training the settings that have been thrown out; the gain is that they cost no more.",
            always_all,
        ),
        mistake(
            "Of two settings with one score the earlier stays; you keep the later.", halving_with(ties=-1)
        ),
        mistake("You stop at two settings. Go on until one is left.", until_two),
        mistake("The last one left needs no further training.", last_round_too),
        mistake(
            "Steps grow by the same amount each round; they double.",
            halving_with(grow=lambda steps: steps + 10),
        ),
    ],
)
