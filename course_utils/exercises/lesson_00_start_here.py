"""Exercises of lesson 00, start here: their references, inputs and typical mistakes."""

import math

import torch
from torch import nn

from course_utils.checks.exercise import case, exercise, mistake

random = torch.Generator().manual_seed(0)


def floats(*shape):
    return torch.randn(*shape, generator=random)


# 0.1 ---------------------------------------------------------------------------------------------------


def count_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


exercise(
    "0.1",
    "Count the parameters",
    reference=count_parameters,
    cases=[
        case("a linear layer", nn.Linear(3, 2)),
        case("two layers and a LayerNorm", nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))),
        case("a frozen embedding", nn.Embedding(10, 4).requires_grad_(False)),
        case("a batch norm, which has buffers too", nn.BatchNorm1d(5)),
        case("nothing to learn", nn.ReLU()),
    ],
    mistakes=[
        mistake(
            "You counted the parameter tensors. How many numbers has each? Ask tensor.numel().",
            lambda module: len(list(module.parameters())),
        ),
        mistake(
            "You left out frozen parameters; all are asked for, trained at the moment or not.",
            lambda module: sum(p.numel() for p in module.parameters() if p.requires_grad),
        ),
        mistake(
            "You counted the state dict, which holds buffers as well: numbers that are kept, but not "
            "learned.",
            lambda module: sum(tensor.numel() for tensor in module.state_dict().values()),
        ),
        mistake(
            "You counted the rows: len(tensor) is the length of the first dimension. All elements are "
            "numel().",
            lambda module: sum(len(parameter) for parameter in module.parameters()),
        ),
    ],
)

# 0.2 ---------------------------------------------------------------------------------------------------

exercise(
    "0.2",
    "From logits to a name",
    reference=lambda logits, names: names[logits.argmax().item()],
    cases=[
        case("two classes", torch.tensor([[0.3, -1.0]]), ["negative", "positive"]),
        case("the second is larger", torch.tensor([[-0.2, 0.1]]), ["negative", "positive"]),
        case("four topics", torch.tensor([[0.1, -2.0, 3.5, 1.0]]), ["sport", "politics", "tech", "business"]),
        case("all logits negative", torch.tensor([[-5.0, -3.0, -4.0]]), ["bad", "fair", "good"]),
    ],
    mistakes=[
        mistake(
            "You took the smallest logit; the largest one wins.",
            lambda logits, names: names[logits.argmin().item()],
        ),
        mistake(
            "You gave the position of the class; its name is asked for: names[position].",
            lambda logits, names: logits.argmax().item(),
        ),
        mistake(
            "You always give the first name. On what does it depend?",
            lambda logits, names: names[0],
        ),
        mistake(
            "You gave a list with the name in it; the name alone is asked for.",
            lambda logits, names: [names[logits.argmax().item()]],
        ),
        mistake(
            "You asked whether the last logit is above 0, as if it stood alone. Compare the logits with "
            "one another.",
            lambda logits, names: names[-1] if logits[0, -1] > 0 else names[0],
        ),
    ],
)

# 0.3 ---------------------------------------------------------------------------------------------------

exercise(
    "0.3",
    "How wrong is a guess?",
    kind="value",
    reference=math.log(2),
    mistakes=[
        mistake("That is the probability of each class. The loss is −ln of it.", 0.5),
        mistake("The sign: ln ½ is negative, and the loss is minus that.", -math.log(2)),
        mistake(
            "You took the logarithm to base 2, which gives bits. The loss uses the natural one, ln.", 1.0
        ),
        mistake(
            "You took the logarithm to base 10. The loss uses the natural one, ln: math.log.", math.log10(2)
        ),
        mistake("A loss of 0 is that of a model that is sure, and right. This one knows nothing.", 0.0),
    ],
)

# 0.4 ---------------------------------------------------------------------------------------------------


class Head(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, pooled):
        return self.classifier(pooled)


class WithSoftmax(Head):
    def forward(self, pooled):
        return self.classifier(pooled).softmax(dim=-1)


class WithRelu(Head):
    def forward(self, pooled):
        return self.classifier(pooled).relu()


class WithoutBias(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        self.classifier = nn.Linear(hidden, classes, bias=False)

    def forward(self, pooled):
        return self.classifier(pooled)


class OneLogit(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        self.classifier = nn.Linear(hidden, 1)

    def forward(self, pooled):
        return self.classifier(pooled)


class Swapped(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        self.classifier = nn.Linear(classes, hidden)

    def forward(self, pooled):
        return self.classifier(pooled)


exercise(
    "0.4",
    "Write the head",
    kind="module",
    gradients=["pooled", "parameters"],
    reference=Head,
    cases=[
        case("384 wide, two classes", (384, 2), floats(5, 384)),
        case("8 wide, five classes", (8, 5), floats(3, 8)),
        case("one text", (4, 3), floats(1, 4)),
    ],
    mistakes=[
        mistake(
            "These are probabilities. The loss wants raw logits and applies softmax itself; leave it out.",
            WithSoftmax,
        ),
        mistake(
            "A ReLU after the last layer cuts off all negative logits. Logits may be any numbers; leave "
            "it out.",
            WithRelu,
        ),
        mistake(
            "Your layer has no bias; nn.Linear has one unless told otherwise.",
            WithoutBias,
        ),
        mistake(
            "Your layer gives one number a text; one for each class is asked for.",
            OneLogit,
        ),
        mistake(
            "The sizes are swapped: nn.Linear takes the number of inputs first, then that of outputs.",
            Swapped,
        ),
    ],
)

# 0.5 ---------------------------------------------------------------------------------------------------


def share(right):
    return right.float().mean().item()


exercise(
    "0.5",
    "Ask your own question",
    reference=lambda probabilities, labels: share((probabilities > 0.5) == labels.bool()),
    cases=[
        case("three texts", torch.tensor([0.9, 0.2, 0.6]), torch.tensor([1, 0, 0])),
        case("just on the fence", torch.tensor([0.5, 0.5, 0.9, 0.1]), torch.tensor([0, 0, 1, 0])),
        case("all wrong", torch.tensor([0.99, 0.01]), torch.tensor([0, 1])),
        case("one text", torch.tensor([0.7]), torch.tensor([1])),
        case("many", torch.rand(50, generator=random), torch.randint(0, 2, (50,), generator=random)),
    ],
    mistakes=[
        mistake(
            "You gave the number of right answers; their share is asked for.",
            lambda probabilities, labels: ((probabilities > 0.5) == labels.bool()).sum().item(),
        ),
        mistake(
            "That is the share of wrong answers.",
            lambda probabilities, labels: share((probabilities > 0.5) != labels.bool()),
        ),
        mistake(
            "A probability of exactly 0.5 counts as negative: above, not at least.",
            lambda probabilities, labels: share((probabilities >= 0.5) == labels.bool()),
        ),
        mistake(
            "You ask how much probability the right classes got, on average. Decide for each text "
            "first: above 0.5?",
            lambda probabilities, labels: (
                torch.where(labels.bool(), probabilities, 1 - probabilities).mean().item()
            ),
        ),
        mistake(
            "Your answer is a tensor; a Python float is asked for: call .item() on it.",
            lambda probabilities, labels: ((probabilities > 0.5) == labels.bool()).float().mean(),
        ),
    ],
)
