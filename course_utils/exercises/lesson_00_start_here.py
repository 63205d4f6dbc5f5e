"""Exercises of lesson 00, start here: their references, inputs and typical mistakes."""

import math

import torch
from torch import nn

from course_utils.checks.exercise import Draw, case, exercise, mistake

# 0.1 ---------------------------------------------------------------------------------------------------


def verdicts(logits, names):
    return [names[position] for position in logits.argmax(dim=-1).tolist()]


TOPICS = ["sport", "politics", "science", "business"]

exercise(
    "0.1",
    "From logits to names",
    reference=verdicts,
    returns="the names",
    cases=[
        case(
            "three texts, two classes", torch.tensor([[0.3, -1.0], [-0.2, 0.1], [2.0, 2.5]]), ["neg", "pos"]
        ),
        case("one text", torch.tensor([[-1.0, 3.0]]), ["negative", "positive"]),
        case(
            "the winner is below one half", torch.tensor([[0.1, 0.0, 0.3, 0.2], [0.2, 0.1, 0.0, 0.3]]), TOPICS
        ),
        case(
            "all logits negative",
            torch.tensor([[-5.0, -3.0, -4.0], [-1.0, -2.0, -3.0]]),
            ["bad", "fair", "good"],
        ),
        case("the same class each time", torch.tensor([[1.0, 4.0], [0.0, 0.5]]), ["negative", "positive"]),
        case("four texts, four topics", Draw("0.1").floats(4, 4), TOPICS),
    ],
    mistakes=[
        mistake(
            "You took the smallest logit of each text; the largest one wins.",
            lambda logits, names: [names[i] for i in logits.argmin(dim=-1).tolist()],
        ),
        mistake(
            "You took the logit that is farthest from 0. The largest wins: 1 is larger than −3.",
            lambda logits, names: [names[i] for i in logits.abs().argmax(dim=-1).tolist()],
        ),
        mistake(
            "You give the first name, whatever the logits are. On what does the answer depend?",
            lambda logits, names: [names[0]] * len(logits),
            lambda logits, names: [names[0] for _ in range(len(logits))],
        ),
        mistake(
            "You gave the positions of the classes; their names are asked for: names[position].",
            lambda logits, names: logits.argmax(dim=-1).tolist(),
            lambda logits, names: logits.argmax(dim=-1),
        ),
        mistake(
            "You compared the texts with one another (dim=0). Each text is a row: compare along the last "
            "dimension, dim=-1.",
            lambda logits, names: [names[i] for i in logits.argmax(dim=0).tolist()],
        ),
        mistake(
            "Your answer is one name; a list with one name for each text is asked for.",
            lambda logits, names: names[logits.argmax().item()],
            lambda logits, names: names[logits[0].argmax().item()],
        ),
        mistake(
            "You compare the first two logits; there may be more classes than two.",
            lambda logits, names: [names[int(row[1] > row[0])] for row in logits],
        ),
        mistake(
            "You answer once. Each text is a row with a winner of its own: give one name for each.",
            lambda logits, names: [names[logits.argmax().item()]],
            lambda logits, names: [names[logits[0].argmax().item()]],
        ),
        mistake(
            "You ask whether a logit is above 0, or a probability above one half. Among four classes the "
            "winner often has less than one half: compare the logits of a text with one another.",
            lambda logits, names: [names[-1] if row[-1] > 0 else names[0] for row in logits],
            lambda logits, names: [names[1] if row.softmax(-1)[1] > 0.5 else names[0] for row in logits],
            lambda logits, names: [names[-1] if row.softmax(-1)[-1] > 0.5 else names[0] for row in logits],
            lambda logits, names: [
                names[i] for row in logits.softmax(-1) for i, p in enumerate(row) if p > 0.5
            ],
        ),
    ],
)

# 0.2 ---------------------------------------------------------------------------------------------------


def guessing_loss(classes):
    return -math.log(1 / classes)


exercise(
    "0.2",
    "How wrong is a guess?",
    reference=guessing_loss,
    returns="the loss",
    cases=[
        case("two classes", 2),
        case("three classes", 3),
        case("a thousand classes", 1000),
        case("one class: no way to be wrong", 1),
    ],
    mistakes=[
        mistake(
            "That is the probability of each class. The loss is −ln of it.",
            lambda classes: 1 / classes,
            lambda classes: 0.5,
        ),
        mistake(
            "The sign: the logarithm of a probability is negative or 0, and the loss is minus that.",
            lambda classes: math.log(1 / classes),
            lambda classes: -math.log(classes),
        ),
        mistake(
            "You took the logarithm to base 2, which gives bits. The loss uses the natural one: math.log.",
            lambda classes: math.log2(classes),
        ),
        mistake(
            "You took the logarithm to base 10. The loss uses the natural one: math.log.",
            lambda classes: math.log10(classes),
        ),
        mistake(
            "That is the loss with two classes, whatever `classes` is.",
            lambda classes: -math.log(0.5),
            lambda classes: 0.69,
            lambda classes: 0.693,
        ),
        mistake(
            "You gave the probability of being wrong. The loss is −ln of the probability of the right class.",
            lambda classes: 1 - 1 / classes,
            lambda classes: -math.log(1 - 1 / classes),
        ),
        mistake(
            "The loss is −ln p, once: neither multiplied by p nor added up over the classes.",
            lambda classes: math.log(classes) / classes,
            lambda classes: classes * math.log(classes),
        ),
    ],
)

# 0.3 ---------------------------------------------------------------------------------------------------


def count_parameters(module):
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return trained, sum(p.numel() for p in module.parameters()) - trained


def tied():
    """Two tables and a layer; the tables share one tensor."""
    words, output = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
    output.weight = words.weight
    return nn.Sequential(words, nn.Linear(4, 4), output)


def half_frozen():
    return nn.Sequential(nn.Embedding(10, 4).requires_grad_(False), nn.LayerNorm(4), nn.Linear(4, 2))


def tied_and_frozen():
    module = tied()
    module[0].weight.requires_grad_(False)
    return module


def count_each(module):
    """The counts by way of the children: a tensor that two of them share is counted twice."""
    parts = list(module.children()) or [module]
    found = [p for part in parts for p in part.parameters()]
    trained = sum(p.numel() for p in found if p.requires_grad)
    return trained, sum(p.numel() for p in found) - trained


def count_state(module):
    """Everything in the state dict; what is not trained counts as frozen."""
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return trained, sum(tensor.numel() for tensor in module.state_dict().values()) - trained


def count_with(size, found=nn.Module.parameters):
    def count(module):
        trained = sum(size(p) for p in found(module) if p.requires_grad)
        return trained, sum(size(p) for p in found(module) if not p.requires_grad)

    return count


def numel(tensor):
    return tensor.numel()


def count_buffers(module):
    trained, frozen = count_parameters(module)
    return trained, frozen + sum(buffer.numel() for buffer in module.buffers())


exercise(
    "0.3",
    "Count the parameters",
    reference=count_parameters,
    returns=("trained", "frozen"),
    cases=[
        case("a linear layer", nn.Linear(3, 2)),
        case("a frozen table, a LayerNorm and a head", half_frozen()),
        case("two layers that share one tensor", tied()),
        case("the shared tensor is frozen", tied_and_frozen()),
        case("a batch norm, whose state dict holds more than it learns", nn.BatchNorm1d(5)),
        case("nothing to learn", nn.ReLU()),
    ],
    mistakes=[
        mistake(
            "You counted the parameter tensors. How many numbers has each? Ask tensor.numel().",
            count_with(lambda p: 1),
        ),
        mistake(
            "You counted rows: len(tensor) is the length of the first dimension. All elements are numel().",
            count_with(len),
        ),
        mistake(
            "You counted the state dict, which also holds numbers that are kept and not learned. "
            "module.parameters() gives the learned ones.",
            count_state,
            lambda module: (
                sum(tensor.numel() for tensor in module.state_dict().values()),
                0,
            ),
        ),
        mistake(
            "You counted a tensor that two layers share twice. module.parameters() of the whole module "
            "gives each tensor once.",
            count_each,
            lambda module: count_each(nn.ModuleList(m for m in module.modules() if not list(m.children()))),
        ),
        mistake(
            "Buffers do not count: training does not learn them, and they are not frozen parameters either.",
            count_buffers,
        ),
        mistake(
            "module.parameters() already has those of the parts inside: asked of every part, it counts them "
            "again.",
            count_with(numel, lambda module: [p for part in module.modules() for p in part.parameters()]),
        ),
        mistake(
            "You counted what the module holds itself, and not what the parts inside it hold.",
            count_with(numel, lambda module: module.parameters(recurse=False)),
        ),
        mistake(
            "You left the biases out: they are parameters too.",
            count_with(numel, lambda module: [p for n, p in module.named_parameters() if "bias" not in n]),
            count_with(numel, lambda module: [p for p in module.parameters() if p.dim() > 1]),
        ),
        mistake(
            "The tensors of a state dict never have requires_grad. Ask the parameters: module.parameters().",
            lambda module: (0, sum(tensor.numel() for tensor in module.state_dict().values())),
        ),
        mistake(
            "You counted the frozen parameters as trained. parameter.requires_grad tells them apart.",
            lambda module: (sum(p.numel() for p in module.parameters()), 0),
        ),
        mistake(
            "You gave all parameters and the frozen ones; the first number is of the trained ones alone.",
            lambda module: (sum(p.numel() for p in module.parameters()), count_parameters(module)[1]),
        ),
        mistake(
            "Swapped: the trained ones come first, the frozen ones second.",
            lambda module: count_parameters(module)[::-1],
        ),
        mistake(
            "You gave one number; two are asked for: (trained, frozen).",
            lambda module: sum(p.numel() for p in module.parameters()),
            lambda module: count_parameters(module)[0],
        ),
    ],
)

# 0.4 ---------------------------------------------------------------------------------------------------


class Pooler(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)

    def forward(self, states):
        return self.dense(states[:, 0]).tanh()


class WithoutTanh(Pooler):
    def forward(self, states):
        return self.dense(states[:, 0])


class EveryToken(Pooler):
    def forward(self, states):
        return self.dense(states).tanh()


class FirstText(Pooler):
    def forward(self, states):
        return self.dense(states[0]).tanh()


class LastToken(Pooler):
    def forward(self, states):
        return self.dense(states[:, -1]).tanh()


class SecondToken(Pooler):
    def forward(self, states):
        return self.dense(states[:, min(1, states.shape[1] - 1)]).tanh()


class MeanToken(Pooler):
    def forward(self, states):
        return self.dense(states.mean(dim=1)).tanh()


class MeanPooled(Pooler):
    def forward(self, states):
        return self.dense(states).tanh().mean(dim=1)


class KeepsToken(Pooler):
    def forward(self, states):
        return self.dense(states[:, :1]).tanh()


class TanhFirst(Pooler):
    def forward(self, states):
        return self.dense(states[:, 0].tanh())


class ReluPooler(Pooler):
    def forward(self, states):
        return self.dense(states[:, 0]).relu()


class SigmoidPooler(Pooler):
    def forward(self, states):
        return self.dense(states[:, 0]).sigmoid()


class NoLayer(Pooler):
    def forward(self, states):
        return states[:, 0].tanh()


draw = Draw("0.4")
exercise(
    "0.4",
    "Build the head, step 1: the pooler",
    kind="module",
    reference=Pooler,
    returns="the pooled vectors",
    gradients=["states", "parameters"],
    cases=[
        case("two texts of five tokens", (8,), draw.floats(2, 5, 8)),
        case("one text", (4,), draw.floats(1, 3, 4)),
        case("as many texts as tokens", (3,), draw.floats(4, 4, 3)),
        case("texts of one token", (6,), draw.floats(3, 1, 6)),
    ],
    mistakes=[
        mistake("The tanh is missing after the layer.", WithoutTanh),
        mistake(
            "You pooled every token. Take the vector of the first token of each text: states[:, 0].",
            EveryToken,
        ),
        mistake(
            "You took the first text instead of the first token. The texts are the first dimension, the "
            "tokens the second: states[:, 0].",
            FirstText,
        ),
        mistake("You took the last token, [SEP] or padding; [CLS] is the first.", LastToken),
        mistake("You took the second token: the first has position 0.", SecondToken),
        mistake(
            "You averaged over the tokens. That is another way to pool; BERT's takes [CLS] alone.",
            MeanToken,
            MeanPooled,
        ),
        mistake(
            "Your result still has a dimension for tokens, of length 1. states[:, 0] drops it, "
            "states[:, :1] keeps it.",
            KeepsToken,
        ),
        mistake("The order: first the layer, then tanh.", TanhFirst),
        mistake("tanh is asked for: it gives numbers from −1 to 1.", ReluPooler, SigmoidPooler),
        mistake("The layer is not used: the vector goes through self.dense before tanh.", NoLayer),
    ],
)

# 0.5 ---------------------------------------------------------------------------------------------------


class Head(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        self.pooler = Pooler(hidden)
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, states):
        return self.classifier(self.pooler(states))


class WithSoftmax(Head):
    def forward(self, states):
        return super().forward(states).softmax(dim=-1)


class WithSigmoid(Head):
    def forward(self, states):
        return super().forward(states).sigmoid()


class WithLogSoftmax(Head):
    def forward(self, states):
        return super().forward(states).log_softmax(dim=-1)


class WithDropout(Head):
    rate = 0.1

    def forward(self, states):
        return self.classifier(nn.functional.dropout(self.pooler(states), self.rate, self.training))


class WithMoreDropout(WithDropout):
    rate = 0.5


class TanhTwice(Head):
    def forward(self, states):
        return self.classifier(self.pooler(states).tanh())


class ReluBetween(Head):
    def forward(self, states):
        return self.classifier(self.pooler(states).relu())


class WithRelu(Head):
    def forward(self, states):
        return super().forward(states).relu()


class WithTanh(Head):
    def forward(self, states):
        return super().forward(states).tanh()


class WithoutPooler(Head):
    def forward(self, states):
        return self.classifier(states[:, 0])


class HeadWithoutTanh(Head):
    def forward(self, states):
        return self.classifier(self.pooler.dense(states[:, 0]))


class PooledOnly(Head):
    def forward(self, states):
        return self.pooler(states)


class Decides(Head):
    def forward(self, states):
        return super().forward(states).argmax(dim=-1)


class OneLogit(Head):
    def __init__(self, hidden, classes):
        super().__init__(hidden, 1)


class HeadWithoutBias(Head):
    def __init__(self, hidden, classes):
        super().__init__(hidden, classes)
        self.classifier = nn.Linear(hidden, classes, bias=False)


class HeadSwapped(Head):
    def __init__(self, hidden, classes):
        super().__init__(hidden, classes)
        self.classifier = nn.Linear(classes, hidden)


draw = Draw("0.5")
exercise(
    "0.5",
    "Build the head, step 2: pooler and classifier",
    kind="module",
    reference=Head,
    returns="the logits",
    gradients=["states", "parameters"],
    cases=[
        case("two texts, two classes", (8, 2), draw.floats(2, 5, 8)),
        case("five classes", (4, 5), draw.floats(3, 2, 4)),
        case("one text of one token", (6, 3), draw.floats(1, 1, 6)),
        case("as many classes as numbers", (4, 4), draw.floats(2, 3, 4)),
    ],
    mistakes=[
        mistake(
            "These are probabilities. Logits are asked for, the raw scores: the loss applies softmax itself.",
            WithSoftmax,
            WithSigmoid,
        ),
        mistake(
            "These are logarithms of probabilities. Logits are asked for: what the classifier gives.",
            WithLogSoftmax,
        ),
        mistake("There is a dropout between the two; the card asks for none.", WithDropout, WithMoreDropout),
        mistake(
            "There is one function too many between the two: the pooler has its tanh inside, and its result "
            "goes straight into the classifier.",
            TanhTwice,
            ReluBetween,
        ),
        mistake(
            "After the classifier comes nothing. Logits may be any numbers, large or negative.",
            WithRelu,
            WithTanh,
        ),
        mistake(
            "The pooler is made and not used: the classifier reads what self.pooler(states) gives.",
            WithoutPooler,
        ),
        mistake("The pooler's tanh is missing: it comes between the two layers.", HeadWithoutTanh),
        mistake("You gave what the pooler gives; the classifier comes after it.", PooledOnly),
        mistake("You gave the winning class of each text; its logits are asked for.", Decides),
        mistake("Your classifier gives one number a text; one for each class is asked for.", OneLogit),
        mistake("Your classifier has no bias; nn.Linear has one unless told otherwise.", HeadWithoutBias),
        mistake(
            "The sizes of the classifier are swapped: nn.Linear takes the number of inputs first, then "
            "that of outputs.",
            HeadSwapped,
        ),
    ],
)

# 0.6 ---------------------------------------------------------------------------------------------------


def when_sure(probabilities, labels, least):
    answered = torch.maximum(probabilities, 1 - probabilities) >= least
    if not answered.any():
        return 0.0, 0.0
    right = (probabilities > 0.5) == (labels == 1)
    return answered.float().mean().item(), right[answered].float().mean().item()


def sure_with(answers=None, decide=None, accuracy_of=lambda right, answered, labels: right[answered]):
    """`when_sure` with another rule for what is answered, for what is positive, or for the accuracy."""

    def other(probabilities, labels, least):
        sure = torch.maximum(probabilities, 1 - probabilities)
        answered = answers(probabilities, sure, least) if answers else sure >= least
        if not answered.any():
            return 0.0, 0.0
        right = (decide(probabilities) if decide else probabilities > 0.5) == (labels == 1)
        return answered.float().mean().item(), accuracy_of(right, answered, labels).float().mean().item()

    return other


def counts_instead(probabilities, labels, least):
    answered = torch.maximum(probabilities, 1 - probabilities) >= least
    right = (probabilities > 0.5) == (labels == 1)
    return answered.sum().item(), (right & answered).sum().item()


def count_and_accuracy(probabilities, labels, least):
    share, right = when_sure(probabilities, labels, least)
    return round(share * len(labels)), right


def wrong_share(probabilities, labels, least):
    share, right = when_sure(probabilities, labels, least)
    return share, (1 - right if share else 0.0)


def without_guard(probabilities, labels, least):
    answered = torch.maximum(probabilities, 1 - probabilities) >= least
    right = (probabilities > 0.5) == (labels == 1)
    return answered.float().mean().item(), right[answered].float().mean().item()


draw = Draw("0.6")
exercise(
    "0.6",
    "Answer only when sure",
    reference=when_sure,
    returns=("the share answered", "the accuracy"),
    cases=[
        case("four texts", torch.tensor([0.9, 0.2, 0.6, 0.45]), torch.tensor([1, 0, 0, 1]), 0.75),
        case("sure, and wrong", torch.tensor([0.99, 0.01, 0.5]), torch.tensor([0, 1, 1]), 0.75),
        case("just sure enough", torch.tensor([0.75, 0.25, 0.5]), torch.tensor([1, 1, 1]), 0.75),
        case("everything is answered", torch.tensor([0.5, 0.7, 0.1, 0.3]), torch.tensor([0, 1, 1, 0]), 0.5),
        case("never sure enough", torch.tensor([0.6, 0.4]), torch.tensor([1, 0]), 0.9),
        case("many", torch.sigmoid(2 * draw.floats(40)), draw.integers(2, 40), 0.8),
    ],
    mistakes=[
        mistake(
            "Sure is not the same as positive: a probability of 0.1 of *positive* is a sure *negative*. Look "
            "at the larger of p and 1 − p.",
            sure_with(answers=lambda p, sure, least: p >= least),
            sure_with(answers=lambda p, sure, least: p > least),
        ),
        mistake(
            "A model that is exactly as sure as `least` answers: at least, not above.",
            sure_with(answers=lambda p, sure, least: sure > least),
        ),
        mistake(
            "A probability of exactly 0.5 counts as negative: positive is above 0.5.",
            sure_with(decide=lambda p: p >= 0.5),
        ),
        mistake(
            "The accuracy is taken over the answered texts alone; you divided by all texts.",
            sure_with(accuracy_of=lambda right, answered, labels: right & answered),
        ),
        mistake(
            "Your accuracy counts the texts that are not answered too.",
            sure_with(accuracy_of=lambda right, answered, labels: right),
            lambda p, labels, least: (
                when_sure(p, labels, least)[0],
                ((p > 0.5) == (labels == 1)).float().mean().item(),
            ),
        ),
        mistake(
            "You counted texts; shares are asked for. Divide by how many there are.",
            counts_instead,
            count_and_accuracy,
        ),
        mistake(
            "You gave the share of positive verdicts. An answer is right when the verdict equals the label.",
            sure_with(accuracy_of=lambda right, answered, labels: (right == (labels == 1))[answered]),
        ),
        mistake(
            "You gave the share of positive labels. An answer is right when the verdict equals the label.",
            sure_with(accuracy_of=lambda right, answered, labels: labels[answered]),
        ),
        mistake(
            "You kept the texts on which the model is not sure: it answers when it is at least as sure as "
            "`least`.",
            sure_with(answers=lambda p, sure, least: sure < least),
        ),
        mistake("That is the share of wrong answers.", wrong_share),
        mistake(
            "When no text is answered you divide by 0, which gives NaN; the card asks for (0.0, 0.0) there.",
            without_guard,
        ),
        mistake(
            "The order: the share of answered texts first, then the accuracy.",
            lambda p, labels, least: when_sure(p, labels, least)[::-1],
        ),
    ],
)

# 0.7 ---------------------------------------------------------------------------------------------------


class MeanHead(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, states, mask):
        weights = mask.unsqueeze(-1).to(states.dtype)
        return self.classifier((states * weights).sum(dim=1) / weights.sum(dim=1))


class MeanOfAll(MeanHead):
    def forward(self, states, mask):
        return self.classifier(states.mean(dim=1))


class ToTheLongest(MeanHead):
    def forward(self, states, mask):
        return self.classifier(states[:, : mask.sum(dim=1).max()].mean(dim=1))


class FirstPlaces(MeanHead):
    def forward(self, states, mask):
        means = [
            vectors[:length].mean(dim=0) for vectors, length in zip(states, mask.sum(dim=1), strict=True)
        ]
        return self.classifier(torch.stack(means))


class NotZero(MeanHead):
    def forward(self, states, mask):
        kept = states * mask.unsqueeze(-1)
        return self.classifier(kept.sum(dim=1) / (kept != 0).sum(dim=1).clamp(min=1))


class Largest(MeanHead):
    def forward(self, states, mask):
        return self.classifier((states * mask.unsqueeze(-1)).amax(dim=1))


class LargestReal(MeanHead):
    def forward(self, states, mask):
        return self.classifier(states.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(dim=1))


class MaskedByAll(MeanHead):
    def forward(self, states, mask):
        return self.classifier((states * mask.unsqueeze(-1)).mean(dim=1))


class LogitsByAll(MeanHead):
    def forward(self, states, mask):
        return (self.classifier(states) * mask.unsqueeze(-1)).mean(dim=1)


class MaskedSum(MeanHead):
    def forward(self, states, mask):
        return self.classifier((states * mask.unsqueeze(-1)).sum(dim=1))


class AllByMasked(MeanHead):
    def forward(self, states, mask):
        return self.classifier(states.sum(dim=1) / mask.sum(dim=1, keepdim=True))


class FirstOnly(MeanHead):
    def forward(self, states, mask):
        return self.classifier(states[:, 0])


class AllTexts(MeanHead):
    def forward(self, states, mask):
        return self.classifier((states * mask.unsqueeze(-1)).sum(dim=1) / mask.sum())


class MaskFlipped(MeanHead):
    def forward(self, states, mask):
        weights = 1 - mask.unsqueeze(-1)
        return self.classifier((states * weights).sum(dim=1) / weights.sum(dim=1))


class MaskFlippedGuarded(MeanHead):
    def forward(self, states, mask):
        weights = 1 - mask.unsqueeze(-1)
        return self.classifier((states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1))


class MeanSoftmax(MeanHead):
    def forward(self, states, mask):
        return super().forward(states, mask).softmax(dim=-1)


class MeanTanh(MeanHead):
    def forward(self, states, mask):
        weights = mask.unsqueeze(-1)
        return self.classifier(((states * weights).sum(dim=1) / weights.sum(dim=1)).tanh())


draw = Draw("0.7")
exercise(
    "0.7",
    "A head that reads every token",
    kind="module",
    reference=MeanHead,
    returns="the logits",
    gradients=["states", "parameters"],
    cases=[
        case(
            "the second text is padded",
            (6, 2),
            draw.floats(2, 4, 6),
            torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
        ),
        case("no padding", (4, 3), draw.floats(2, 3, 4), torch.ones(2, 3, dtype=torch.int64)),
        case(
            "one text, one token and much padding",
            (3, 2),
            draw.floats(1, 5, 3),
            torch.tensor([[1, 0, 0, 0, 0]]),
        ),
        case(
            "three texts of three lengths, three tokens, width three",
            (3, 3),
            draw.floats(3, 3, 3),
            torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1]]),
        ),
        case(
            "padding on the left, and a real token of zeros",
            (2, 3),
            draw.floats(2, 5, 2) * torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 1]]).unsqueeze(-1),
            torch.tensor([[0, 0, 0, 0, 1], [0, 1, 1, 1, 1]]),
        ),
    ],
    mistakes=[
        mistake(
            "You averaged the padding too. Only tokens with a 1 in the mask count.",
            MeanOfAll,
            ToTheLongest,
        ),
        mistake(
            "You took the first places of each text. Padding may stand on the left: which places are real, "
            "the mask says.",
            FirstPlaces,
        ),
        mistake(
            "You count the numbers that are not 0; a real token may hold a 0. Count the ones in the mask.",
            NotZero,
        ),
        mistake(
            "You took the largest of each number over the tokens; the mean is asked for.",
            Largest,
            LargestReal,
        ),
        mistake(
            "You set padding to 0 and still divide by the number of all places. Divide by the number of "
            "ones in each text's mask.",
            MaskedByAll,
            LogitsByAll,
        ),
        mistake("That is the sum over the tokens. A mean divides by how many there are.", MaskedSum),
        mistake(
            "You divide by the number of real tokens, and add up the padding as well. Multiply the states "
            "by the mask first.",
            AllByMasked,
        ),
        mistake("You took [CLS] alone. This head reads the mean of all real tokens.", FirstOnly),
        mistake(
            "You divide by the tokens of all texts together. Each text has a length of its own: sum the "
            "mask along dim=1.",
            AllTexts,
        ),
        mistake(
            "The mask is the wrong way round: 1 is a real token, 0 is padding.",
            MaskFlipped,
            MaskFlippedGuarded,
        ),
        mistake("These are probabilities; logits are asked for.", MeanSoftmax),
        mistake("There is no tanh in this head: the mean goes straight into the classifier.", MeanTanh),
    ],
)
