"""Exercises of lesson 10, Trainer and scaling: their references, inputs and typical mistakes."""

import copy
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


# Stands for a right number that is a float, in a verdict as "the type is float": else 3.0 passes for 3.
Float = type("float", (str,), {})


def whole(found, right):
    """`found`, or a `Float` in its place if the numbers are `right` and yet floats."""
    return Float("right") if _floats(found) and found == right else found


def _floats(value):
    return any(map(_floats, value)) if isinstance(value, list | tuple) else isinstance(value, float)


def use_count_steps(answer, rows, batch, accumulation, epochs, drop_last):
    arguments = rows, batch, accumulation, epochs, drop_last
    return whole(answer(*arguments), count_steps(*arguments))


def count_steps(rows, batch, accumulation, epochs, drop_last):
    batches = rows // batch if drop_last else up(rows, batch)
    return math.ceil(epochs * up(batches, accumulation))


def one_more(batches=True, groups=True, end=math.ceil):
    """`count_steps` with `// + 1` in place of rounding up."""

    def wrong(rows, batch, accumulation, epochs, drop_last):
        found = rows // batch if drop_last else rows // batch + 1 if batches else up(rows, batch)
        return end(epochs * (found // accumulation + 1 if groups else up(found, accumulation)))

    return wrong


def ended(end):
    """`count_steps` with another rounding at the end."""
    return one_more(False, False, end)


exercise(
    "10.1",
    "Count the steps",
    reference=count_steps,
    use=use_count_steps,
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
        mistake(
            "`// + 1` is one too many wherever nothing is left over. Round up: `math.ceil`, or `-(-a // b)`.",
            one_more(groups=False),
            one_more(batches=False),
            one_more(),
            one_more(end=lambda steps: int(steps) + 1),
            ended(lambda steps: int(steps) + 1),
        ),
        mistake(
            "The steps of all epochs are not rounded, or to the nearest whole number. Round up.",
            ended(round),
            ended(lambda steps: steps),
        ),
        mistake(
            "The number is right, but a float. Steps are counted: give an integer.",
            lambda *arguments: float(count_steps(*arguments)),
            lambda rows, batch, accumulation, epochs, drop_last: (
                count_steps(rows, batch, accumulation, epochs, drop_last) * type(epochs)(1)
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


def switching_off(*flags):
    """A budget that sets these flags to False while there is time."""

    class Off(Budget):
        def on_step_end(self, args, state, control, **kwargs):
            if self.clock() - self.start < self.seconds:
                for flag in flags:
                    setattr(control, flag, False)
            return super().on_step_end(args, state, control, **kwargs)

    return Off


class NewControl(Budget):
    def on_step_end(self, args, state, control, **kwargs):
        if self.clock() - self.start >= self.seconds:
            return TrainerControl(should_training_stop=True, should_evaluate=True, should_save=True)


class AlwaysNewControl(Budget):
    def on_step_end(self, args, state, control, **kwargs):
        new = TrainerControl()
        super().on_step_end(args, state, new)
        return new


NoCallback = type("NoCallback", (), {name: vars(Budget)[name] for name in ("__init__", "on_train_begin")})
NoCallback.on_step_end = Budget.on_step_end


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


def train_under(answer, seconds, trainings, wished=(), ended=()):
    """What a callback asks for after each step; `trainings`: the clock's readings, a list for each.

    `wished`: after these steps the Trainer's own schedule wants to evaluate, to save and to log; `ended`:
    after these another callback has ended the training.
    """
    now = [1.5]  # when the callback is made
    args, state = TrainingArguments.__new__(TrainingArguments), TrainerState()
    callback = answer(seconds, lambda: now[0])
    found = {"it is a TrainerCallback": isinstance(callback, TrainerCallback)}
    for number, readings in enumerate(trainings, 1):
        control = TrainerControl()
        now[0] = readings[0]
        callback.on_train_begin(args, state, control, model=None, processing_class=None)
        for step, now[0] in enumerate(readings[1:], 1):
            for flag in (*FLAGS[:2], "should_log"):
                setattr(control, flag, step in wished)  # as the Trainer's own schedule of steps does
            control.should_training_stop |= step in ended
            given = callback.on_step_end(args, state, control, model=None, optimizer=None)
            when = f"after step {step} of training {number}"
            found[f"the control {when} is the one that was given"] = given is None or given is control
            control = given if given is not None else control
            for flag in (*FLAGS, "should_log", "should_epoch_stop"):
                found[f"{flag} {when}"] = bool(getattr(control, flag))
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
        case("another callback ends the training after step 2", 60.0, [[0.0, 10.0, 20.0]], (), (2,)),
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
            "While there is time you set switches to False, and so undo what the Trainer or another callback "
            "has planned. Only ever set them to True.",
            Overwriting,
            *[switching_off(flag) for flag in (*FLAGS, "should_log")],
            switching_off(*FLAGS[:2]),
            switching_off(FLAGS[0], FLAGS[2]),
            switching_off(*FLAGS[1:]),
        ),
        mistake(
            "You give back a new TrainerControl, and what others have set on the old one is lost. Set the "
            "switches of `control` itself.",
            NewControl,
            AlwaysNewControl,
        ),
        mistake(
            "Your class is no TrainerCallback: derive it, `class Budget(TrainerCallback)`. The Trainer calls "
            "methods that yours has not.",
            NoCallback,
        ),
        mistake(
            "The second training with the same callback goes on counting from the first one's start.",
            FirstTrainingOnly,
        ),
        mistake(
            "When a step ends, nothing is ever set. Does the test stand in on_step_end (an epoch may take "
            "longer than the budget), and does it read `clock`, not another clock such as time.perf_counter?",
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


def ones(layer):
    layer.A.fill_(1.0)


def small(layer):
    layer.A.fill_(0.01)


def ones_on_the_diagonal(layer):
    layer.A.copy_(torch.eye(*layer.A.shape))


def seeded(layer):
    layer.A.copy_(torch.randn(layer.A.shape, generator=torch.Generator().manual_seed(0)))


def scaled_by(scale):
    """A LoRA layer with the right `self.scale`, and `scale(rank, alpha)` in its formula."""

    def forward(layer, x):
        rank = layer.A.shape[0]
        return layer.linear(x) + x @ layer.A.T @ layer.B.T * scale(rank, layer.scale * rank)

    return lora(forward=forward)


def dropping(p):
    def forward(layer, x):
        dropped = nn.functional.dropout(x, p, layer.training)
        return layer.linear(x) + dropped @ layer.A.T @ layer.B.T * layer.scale

    return lora(forward=forward)


class WithoutScale(LoraLinear):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        self.factor = vars(self).pop("scale")

    def forward(self, x):
        return self.linear(x) + x @ self.A.T @ self.B.T * self.factor


class TrainingOnly(LoraLinear):
    def forward(self, x):
        return super().forward(x) if self.training else self.linear(x)


class Copied(LoraLinear):
    def __init__(self, linear, rank, alpha):
        super().__init__(copy.deepcopy(linear), rank, alpha)


class CopiedAndBothFrozen(Copied):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear.requires_grad_(False), rank, alpha)


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
    layer, other = answer(linear, rank, alpha), answer(copy.deepcopy(linear), rank, alpha)
    found = {
        "the given linear layer is kept as self.linear": getattr(layer, "linear", None) is linear,
        "the scale in self.scale": getattr(layer, "scale", "there is none"),
        "the shape of A": tuple(layer.A.shape),
        "the shape of B": tuple(layer.B.shape),
        "the names of the trained parameters": sorted(
            name for name, p in layer.named_parameters() if p.requires_grad
        ),
        "a fresh layer gives what the linear layer gave": torch.allclose(layer(x), plain, atol=1e-6),
    }
    found["a second layer begins with another A"] = not torch.equal(layer.A, other.A)
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
    found["the output in eval mode"] = layer.eval()(x).detach()
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
        mistake(
            "You multiply by alpha alone. The scale is alpha / rank.",
            lora(lambda rank, alpha: alpha),
            scaled_by(lambda rank, alpha: alpha),
        ),
        mistake(
            "The scale is missing: alpha / rank times what the two thin matrices give.",
            lora(lambda rank, alpha: 1.0),
            scaled_by(lambda rank, alpha: 1.0),
        ),
        mistake(
            "Your scale is upside down: it is alpha / rank.",
            lora(lambda rank, alpha: rank / alpha),
            scaled_by(lambda rank, alpha: rank / alpha),
        ),
        mistake(
            "Your scale is alpha divided by the root of the rank. That variant exists (rsLoRA), but the card "
            "asks for alpha / rank.",
            lora(lambda rank, alpha: alpha / rank**0.5),
            scaled_by(lambda rank, alpha: alpha / rank**0.5),
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
        mistake(
            "A begins with the same numbers in every new layer. Draw them at random: out of a constant, all "
            "rows of A would learn the same.",
            lora(start=ones),
            lora(start=small),
            lora(start=ones_on_the_diagonal),
            lora(start=seeded),
        ),
        mistake(
            "`self.scale` is missing: the card asks for it, and who merges the layer (10.6) reads it.",
            WithoutScale,
        ),
        mistake(
            "In eval mode the detour is off, and what was learned is gone where it is used. It belongs to "
            "both modes.",
            TrainingOnly,
        ),
        mistake(
            "`self.linear` is not the layer that was given: there is a copy of it, which needs the memory "
            "again, or no such name. Keep the given one, frozen.",
            Copied,
            CopiedAndBothFrozen,
        ),
        mistake(
            "There is dropout in front of A. PEFT offers that, and the card's formula has none.",
            dropping(0.1),
            dropping(0.05),
            dropping(0.5),
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
    before, kept = layer(x).detach(), copy.deepcopy(layer.state_dict())
    trained = [name for name, parameter in layer.named_parameters() if parameter.requires_grad]
    given = answer(layer)
    made = given if isinstance(given, nn.Linear) else merged(layer)  # then the class alone is judged
    own = {parameter.data_ptr() for parameter in layer.parameters()}
    now = layer.state_dict()
    return {
        "the class of what you return": type(given).__name__,
        "the names of its parameters": [name for name, _ in made.named_parameters()],
        "its weight": made.weight.detach(),
        "its bias": None if made.bias is None else made.bias.detach(),
        "its output": made(x).detach(),
        "those of its parameters that lie where the LoRA layer's lie": [
            name for name, parameter in made.named_parameters() if parameter.data_ptr() in own
        ],
        "the parameters of the LoRA layer that are changed": [
            name for name in kept if not torch.equal(kept[name], now[name])
        ],
        "the LoRA layer's output afterwards is what it was before": torch.equal(layer(x), before),
        "the LoRA layer trains what it trained before": trained
        == [name for name, parameter in layer.named_parameters() if parameter.requires_grad],
        "the LoRA layer is still in train mode": layer.training and layer.linear.training,
    }


def emptied(layer):
    linear = merged(layer)
    with torch.no_grad():
        layer.B.zero_()
    return linear


def in_place_and_emptied(layer):
    linear = in_place(layer)
    with torch.no_grad():
        layer.B.zero_()
    return linear


def with_its_bias(share):
    """A merge that takes over the old layer's bias by `share(linear, old bias)`."""

    def wrong(layer):
        linear = merged(layer)
        share(linear, layer.linear.bias)
        return linear

    return wrong


def parameter_itself(linear, bias):
    linear.bias = bias


def its_numbers(linear, bias):
    if bias is not None:
        linear.bias.data = bias.data


def after(change):
    """A right merge that also does `change(layer)` to the LoRA layer."""

    def wrong(layer):
        change(layer)
        return merged(layer)

    return wrong


def always_a_bias(layer):
    linear, found = nn.Linear(layer.linear.in_features, layer.linear.out_features), merged(layer)
    with torch.no_grad():
        linear.weight.copy_(found.weight)
        linear.bias.copy_(torch.zeros_like(linear.bias) if found.bias is None else found.bias)
    return linear


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
            "You set the layer's B to 0, so that it has forgotten what it learned. The layer stays as it is.",
            emptied,
        ),
        mistake(
            "You merged into the layer's own `linear` and set B to 0. It gives what it gave, but it is not "
            "as it was, and what you return is a part of it. Make a new layer.",
            in_place_and_emptied,
        ),
        mistake(
            "Your new layer shares its bias with the old one: train one, and the other changes. Copy it.",
            with_its_bias(parameter_itself),
            with_its_bias(its_numbers),
        ),
        mistake(
            "You changed what the LoRA layer trains (`requires_grad`). The layer stays as it is.",
            after(lambda layer: layer.requires_grad_(False)),
            after(lambda layer: layer.linear.requires_grad_(True)),
            after(lambda layer: layer.requires_grad_(True)),
        ),
        mistake(
            "You put the LoRA layer into eval mode. The layer stays as it is.",
            after(lambda layer: layer.eval()),
        ),
        mistake(
            "Your new layer has a bias where the old one has none.",
            always_a_bias,
        ),
        mistake(
            "The scale is in your merge twice. It multiplies B @ A once.",
            merging(lambda layer: layer.linear.weight + layer.scale**2 * layer.B @ layer.A),
        ),
        mistake(
            "The scale multiplies the linear layer's weight as well.",
            merging(lambda layer: layer.scale * (layer.linear.weight + layer.B @ layer.A)),
        ),
        mistake(
            "You give back a LoRA layer. A plain `nn.Linear` is asked for, without a detour.",
            lambda layer: copy.deepcopy(layer),
        ),
        mistake(
            "This is the new weight alone. Put it into a new `nn.Linear`.",
            lambda layer: right_weight(layer),
        ),
    ],
)

# 10.7 --------------------------------------------------------------------------------------------------


def largest_batch(memory, parameters, trained, saved, length):
    left = memory - 4 * parameters - 12 * trained
    return max(0, left // (4 * saved * length))


def use_largest_batch(answer, memory, parameters, trained, saved, length):
    arguments = memory, parameters, trained, saved, length
    return whole(answer(*arguments), largest_batch(*arguments))


def rounded_by(end):
    """`largest_batch` with another rounding."""

    def wrong(memory, parameters, trained, saved, length):
        return max(0, end((memory - 4 * parameters - 12 * trained) / (4 * saved * length)))

    return wrong


def fitting(weights=4, learned=12, number=4, by_length=True):
    def wrong(memory, parameters, trained, saved, length):
        left = memory - weights * parameters - learned * trained
        return max(0, left // (number * saved * (length if by_length else 1)))

    return wrong


exercise(
    "10.7",
    "The largest batch",
    reference=largest_batch,
    use=use_largest_batch,
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
        mistake(
            "The number is right, but a float. Sentences are counted: give an integer.",
            lambda *arguments: float(largest_batch(*arguments)),
            lambda *arguments: float(largest_batch(*arguments)) or 0,
        ),
        mistake(
            "You do not round down. Only whole sentences fit, and half a sentence more does not.",
            rounded_by(lambda n: n),
            rounded_by(round),
        ),
        mistake(
            "16 bytes for each trained number hold its weight, too, which is counted with `parameters` "
            "already: 12 more for each trained one.",
            fitting(learned=16),
        ),
        mistake(
            "You count eight bytes for a number that is saved. It is kept once, in four.",
            fitting(number=8),
        ),
        mistake(
            "`saved` is for one token: times `length`, not its square.",
            lambda memory, parameters, trained, saved, length: largest_batch(
                memory, parameters, trained, saved, length**2
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
    """A linear layer that notes what it was given at once, and the order of its passes."""

    def __init__(self, inside, classes):
        super().__init__()
        torch.manual_seed(1)
        self.linear = nn.Linear(inside, classes)
        self.given, self.passes = [], []

    def forward(self, x):
        call = len(self.given)
        self.given.append(x.detach().clone())
        self.passes.append(("forward", call))
        logits = self.linear(x)
        if logits.requires_grad:
            logits.register_hook(lambda gradient: self.passes.append(("backward", call)))
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
    model = Noted(5, classes).train(not old)
    batches = []
    for size, off in zip(sizes, ignored, strict=True):
        y = torch.randint(classes, (size,), generator=generator)
        y[:off] = -100
        batches.append((torch.randn(size, 5, generator=generator), y))
    if old:
        model(torch.ones(1, 5)).sum().backward()
        model.given.clear()
        model.passes.clear()
    parameters, kept = copy.deepcopy(model.state_dict()), copy.deepcopy(batches)
    loss = answer(model, batches)
    empty = [x for x, y in kept if real(y) == 0]  # an answer may leave these out: they change nothing
    counted = [
        call for call, x in enumerate(model.given) if not any(torch.equal(x, other) for other in empty)
    ]
    return {
        "the loss": loss,
        "the gradient of the weight": model.linear.weight.grad,
        "the gradient of the bias": model.linear.bias.grad,
        "the rows of each call of the model": [len(model.given[call]) for call in counted],
        "the passes of the model, in order": [name for name, call in model.passes if call in counted],
        "the model's parameters are what they were": all(
            torch.equal(parameters[name], now) for name, now in model.state_dict().items()
        ),
        "the model is in the mode that it was in": model.training is not old,
        "the batches are what they were": len(batches) == len(kept)
        and all(
            torch.equal(was, now) and not now.requires_grad
            for pair, other in zip(kept, batches, strict=True)
            for was, now in zip(pair, other, strict=True)
        ),
    }


def with_a_step(model, batches):
    total = accumulate(model, batches)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad
    return total


def in_mode(training):
    def wrong(model, batches):
        model.train(training)
        return accumulate(model, batches)

    return wrong


def labels_cleared(model, batches):
    total = accumulate(model, batches)
    for _, y in batches:
        y[y == -100] = 0
    return total


def inputs_watched(model, batches):
    for x, _ in batches:
        x.requires_grad_()
    return accumulate(model, batches)


def emptying(model, batches):
    total = accumulate(model, batches)
    batches.clear()
    return total


def without_empty(all_batches):
    """The mean of the means of the batches with labels that count, by the number of all or of these."""

    def wrong(model, batches):
        counted = [pair for pair in batches if real(pair[1])]
        return accumulating(lambda y, _: 1 / len(batches if all_batches else counted))(model, counted)

    return wrong


def returning(value):
    """The right gradients, and `value(losses, batches)` in place of the loss; the losses are its parts."""

    def wrong(model, batches):
        accumulate(model, batches)
        with torch.no_grad():
            items = sum(real(y) for _, y in batches)
            losses = [cross_entropy(model.linear(x), y, reduction="sum").item() / items for x, y in batches]
        return value(losses, batches)

    return wrong


def only_what_counts(model, batches):
    return accumulate(model, [(x[y != -100], y[y != -100]) for x, y in batches])


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
            without_empty(True),
            without_empty(False),
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
        mistake(
            "The optimizer makes a step in your function, so the parameters have changed. Gradients only.",
            with_a_step,
        ),
        mistake(
            "You changed the model's mode by `train()` or `eval()`. Leave it in the mode that it is in.",
            in_mode(True),
            in_mode(False),
        ),
        mistake(
            "You changed the batches: a label of -100 has become another, an x needs gradients now, or the "
            "list has lost some. Work on copies.",
            labels_cleared,
            inputs_watched,
            emptying,
        ),
        mistake(
            "The gradients are right, but what you return is the loss of the last batch alone. Add them up.",
            returning(lambda losses, batches: losses[-1]),
            returning(lambda losses, batches: losses[-1] * sum(real(y) for _, y in batches)),
        ),
        mistake(
            "The gradients are right, but what you return is the sum of the losses. Return the mean.",
            returning(lambda losses, batches: sum(losses) * sum(real(y) for _, y in batches)),
        ),
        mistake(
            "The gradients are right, but the loss is divided by the number of batches as well.",
            returning(lambda losses, batches: sum(losses) / len(batches)),
        ),
        mistake(
            "You hand the model only the rows that count. Each batch goes in whole: in a model whose rows "
            "see one another, the others count, too.",
            only_what_counts,
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


def none_for_zero(pairs):
    found = all_reduce([{"g": g} for g, _ in pairs], [n for _, n in pairs])["g"]
    return None if found is None or not found.any() else found


def none_for_zeros(pairs):
    return all_reduce(
        [{"g": g if g is not None and g.any() else None} for g, _ in pairs], [n for _, n in pairs]
    )["g"]


def as_float32(pairs):
    found = all_reduce([{"g": g} for g, _ in pairs], [n for _, n in pairs])["g"]
    return None if found is None else found.float()


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
        case(
            "gradients that are 0, or cancel out",
            [
                {"layer.0": torch.zeros(2), "layer.1": torch.tensor([0.5, -1.0])},
                {"layer.0": torch.zeros(2), "layer.1": torch.tensor([-0.5, 1.0])},
            ],
            [4, 4],
        ),
        case(
            "gradients of float64",
            [{name: g.double() for name, g in rank.items()} for rank in two((2, 2), (3,))],
            [2, 3],
        ),
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
            reducing(
                lambda pairs: torch.zeros(2) if zero_for_none(pairs).dim() == 0 else zero_for_none(pairs)
            ),
            reducing(lambda pairs: sum(g * n for g, n in pairs if g is not None) / sum(n for _, n in pairs)),
        ),
        mistake(
            "A name is missing in your dict: where no rank used a parameter, it stands there with None.",
            lambda gradients, items: {
                name: g for name, g in all_reduce(gradients, items).items() if g is not None
            },
        ),
        mistake(
            "A gradient of 0 is a gradient: an optimizer with momentum or decay moves such a parameter. Only "
            "None means unused.",
            reducing(none_for_zero),
            reducing(none_for_zeros),
        ),
        mistake(
            "Your result is float32 whatever the gradients are. It has their dtype.",
            reducing(as_float32),
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


def use_shards(answer, rows, ranks):
    return whole(answer(rows, ranks), shards(rows, ranks))


exercise(
    "10.10",
    "Who holds which rows",
    reference=shards,
    use=use_shards,
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
        mistake(
            "Your pairs are lists. A pair is a tuple (start, end).",
            lambda rows, ranks: [list(pair) for pair in shards(rows, ranks)],
        ),
        mistake(
            "Your pairs are in a tuple. Give a list of them.",
            lambda rows, ranks: tuple(shards(rows, ranks)),
        ),
        mistake(
            "The numbers are right, but floats. Rows are counted: give integers.",
            lambda rows, ranks: [(float(start), float(end)) for start, end in shards(rows, ranks)],
        ),
        mistake(
            "The starts run past the last row. Cut them at `rows`, as the ends.",
            lambda rows, ranks: [
                (r * up(rows, ranks), end) for r, (_, end) in enumerate(shards(rows, ranks))
            ],
        ),
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


def early(setting, steps):
    """Large rates are far ahead early, and a little behind in the end."""
    return setting * 10 if steps < 20 else 1 - setting


def gathering(join):
    """A halving that judges by `join(the scores of a setting so far)`."""

    def wrong(score, settings, steps):
        so_far = {setting: [] for setting in settings}
        while len(settings) > 1:
            for setting in settings:
                so_far[setting].append(score(setting, steps))
            order = sorted(range(len(settings)), key=lambda i: -join(so_far[settings[i]]))
            settings = [settings[i] for i in sorted(order[: up(len(settings), 2)])]
            steps *= 2
        return settings[0]

    return wrong


def best_first(score, settings, steps):
    while len(settings) > 1:
        scores = [score(setting, steps) for setting in settings]
        order = sorted(range(len(settings)), key=lambda i: -scores[i])
        settings, steps = [settings[i] for i in order[: up(len(settings), 2)]], 2 * steps
    return settings[0]


def all_steps_so_far(score, settings, steps):
    total = steps
    while len(settings) > 1:
        scores = [score(setting, total) for setting in settings]
        order = sorted(range(len(settings)), key=lambda i: -scores[i])
        settings = [settings[i] for i in sorted(order[: up(len(settings), 2)])]
        steps *= 2
        total += steps
    return settings[0]


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
        case("a large lead that is lost", shown("early", early), [0.4, 0.3, 0.2, 0.1], 10),
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
        mistake(
            "You add up a setting's scores over the rounds, or take their best or mean. Each round judges by "
            "its own scores.",
            gathering(sum),
            gathering(max),
            gathering(lambda scores: sum(scores) / len(scores)),
        ),
        mistake(
            "You keep the better half in the order of the scores. It stays in the order of the list.",
            best_first,
        ),
        mistake(
            "Your steps are those of all rounds together. `score` trains from the start: twice the steps of "
            "the round before.",
            all_steps_so_far,
        ),
    ],
)
