"""Exercises of lesson 19, FAQ and glossary: their references, inputs and typical mistakes."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.checks.exercise import Draw, case, exercise, mistake

# 19.1 --------------------------------------------------------------------------------------------------

draw = Draw("19.1")


def pad_rows(rows, pad_id, max_length):
    rows = [{name: values[:max_length] for name, values in row.items()} for row in rows]
    longest = max(len(row["input_ids"]) for row in rows)
    filled = {"input_ids": [], "attention_mask": [], "labels": []}
    for row in rows:
        ids, gap = row["input_ids"], longest - len(row["input_ids"])
        filled["input_ids"].append(ids + [pad_id] * gap)
        filled["attention_mask"].append([1] * len(ids) + [0] * gap)
        filled["labels"].append(row["labels"] + [-100] * gap)
    return {name: torch.tensor(values) for name, values in filled.items()}


def pad_with(
    label=-100, pad=None, mask=None, left=False, cut=True, to="longest", dtype=None, drop=(), shift=0
):
    """`pad_rows` with another filling, another side, another length."""

    def wrong(rows, pad_id, max_length):
        if cut:
            rows = [{name: values[:max_length] for name, values in row.items()} for row in rows]
        longest = max_length if to == "max_length" else max(len(row["input_ids"]) for row in rows)
        filled = {"input_ids": [], "attention_mask": [], "labels": []}
        for row in rows:
            ids, labels = row["input_ids"], row["labels"]
            gap = longest - len(ids)
            fill = [pad_id if label == "pad" else label] * gap
            parts = (
                (ids, [pad_id if pad is None else pad] * gap),
                ([1] * len(ids), [0] * gap),
                (labels, fill),
            )
            for name, (own, more) in zip(filled, parts, strict=True):
                filled[name].append(more + own if left else own + more)
        made = {name: torch.tensor(values) for name, values in filled.items()}
        if mask is not None:
            made["attention_mask"] = mask(made["input_ids"], pad_id)
        if dtype is not None:
            made["labels"] = made["labels"].to(dtype)
        return {name: values for name, values in made.items() if name not in drop}

    return wrong


def long_first(rows, pad_id, max_length):
    """Pads to the longest before it cuts."""
    longest = max(len(row["input_ids"]) for row in rows)
    made = pad_with(cut=False)(rows, pad_id, longest)
    return {name: values[:, :max_length] for name, values in made.items()}


def cut_ids_alone(rows, pad_id, max_length):
    """Cuts the ids, forgets the labels, and pads both to the longest ids."""
    made = pad_rows(rows, pad_id, max_length)
    longest = max(len(row["labels"]) for row in rows)
    made["labels"] = torch.tensor([row["labels"] + [-100] * (longest - len(row["labels"])) for row in rows])
    return made


def mask_of_labels(rows, pad_id, max_length):
    """Takes a token whose label is -100 for padding."""
    made = pad_rows(rows, pad_id, max_length)
    made["attention_mask"] = (made["labels"] != -100).long()
    return made


def last_kept(rows, pad_id, max_length):
    """Cuts a long row at its beginning."""
    rows = [{name: values[-max_length:] for name, values in row.items()} for row in rows]
    return pad_rows(rows, pad_id, max_length)


def tokens_of(lengths, pad_id, inside=False):
    """Rows of random ids and labels; with `inside`, one real id is that of padding."""
    rows = []
    for length in lengths:
        ids = (5 + draw.integers(40, length)).tolist()
        if inside and length > 2:
            ids[1] = pad_id
        rows.append({"input_ids": ids, "labels": draw.integers(5, length).tolist()})
    return rows


exercise(
    "19.1",
    "Pad labels too",
    reference=pad_rows,
    returns="the batch",
    cases=[
        case("three rows", tokens_of([4, 2, 3], 0), 0, 16),
        case("another pad id", tokens_of([1, 5, 3], 1), 1, 16),
        case("one row", tokens_of([3], 0), 0, 16),
        case("a row that is too long", tokens_of([9, 3, 2], 0), 0, 6),
        case("all rows too long", tokens_of([7, 8], 0), 0, 4),
        case("a real token with the pad id", tokens_of([3, 6], 2, inside=True), 2, 16),
        case(
            "real tokens with the label -100",
            [
                {"input_ids": [5, 6, 7, 8, 9], "labels": [-100, 3, -100, 0, -100]},
                {"input_ids": [5, 7], "labels": [-100, 1]},
            ],
            0,
            16,
        ),
    ],
    mistakes=[
        mistake(
            "Padding has the label 0, which is a class: the model is trained to say it of padding. Use -100.",
            pad_with(label=0),
        ),
        mistake(
            "Padding has the pad id for its label. The loss leaves out -100 alone.", pad_with(label="pad")
        ),
        mistake("Padding has the label -1. The loss leaves out -100 alone.", pad_with(label=-1)),
        mistake(
            "The ids are padded with -100. That is for labels; ids are looked up in a table and need pad_id.",
            pad_with(pad=-100),
        ),
        mistake(
            "The ids are padded with 0. The pad id is an argument, since models differ.", pad_with(pad=0)
        ),
        mistake(
            "Your mask asks which ids differ from the pad id. A real token may have that id; count tokens.",
            pad_with(mask=lambda ids, pad_id: (ids != pad_id).long()),
        ),
        mistake(
            "Your mask asks which ids differ from 0. The pad id is an argument, and a real token may have "
            "it; count tokens.",
            pad_with(mask=lambda ids, pad_id: (ids != 0).long()),
        ),
        mistake(
            "Your mask is 1 everywhere, so the model reads padding.",
            pad_with(mask=lambda ids, pad_id: torch.ones_like(ids)),
        ),
        mistake(
            "Your mask is upside down: 1 is for real tokens, 0 for padding.",
            pad_with(mask=lambda ids, pad_id: (ids == pad_id).long()),
        ),
        mistake(
            "Your mask holds bools. The library's holds integers, 1 and 0.",
            pad_with(mask=lambda ids, pad_id: ids != pad_id),
        ),
        mistake("You pad on the left; BERT's padding stands at the end.", pad_with(left=True)),
        mistake(
            "Every batch is padded to max_length. Pad to the longest row of the batch: the rest is wasted.",
            pad_with(to="max_length"),
        ),
        mistake("Rows longer than max_length are not cut.", pad_with(cut=False)),
        mistake("You keep the last tokens of a row that is too long. Keep its first ones.", last_kept),
        mistake(
            "Your mask asks which labels are -100. A real token such as [CLS] may have it too; count tokens.",
            mask_of_labels,
        ),
        mistake("You cut the ids and not the labels, so they no longer stand side by side.", cut_ids_alone),
        mistake("The labels are floats; classes are integers.", pad_with(dtype=torch.float32)),
        mistake("The attention mask is missing from the batch.", pad_with(drop=("attention_mask",))),
        mistake("The labels are missing from the batch.", pad_with(drop=("labels",))),
    ],
)

# 19.2 --------------------------------------------------------------------------------------------------

draw = Draw("19.2")


def train_epoch(model, batches, optimizer):
    model.train()
    total = rows = 0
    for x, y in batches:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
        rows += len(y)
    return total / rows


def train_with(
    mode="train",
    turn=lambda z: z,
    zero="before",
    number=float,
    mean="rows",
    order="backward, step",
    last=False,
    reduction="mean",
    measured="before",
):
    """`train_epoch` with one or more of its faults left in."""

    def wrong(model, batches, optimizer):
        if mode:
            model.train(mode == "train")
        if zero == "once":
            optimizer.zero_grad()
        total, rows = 0, 0
        for x, y in batches:
            loss = F.cross_entropy(turn(model(x)), y, reduction=reduction)
            if zero == "before":
                optimizer.zero_grad()
            if order == "step, backward":
                optimizer.step()
            loss.backward()
            if zero == "between":
                optimizer.zero_grad()
            if order == "backward, step":
                optimizer.step()
            if zero == "after":
                optimizer.zero_grad()
            if measured == "after":
                loss = F.cross_entropy(model(x), y)
            value = loss if number is None else number(loss)
            total = total + value * (len(y) if mean == "rows" and reduction == "mean" else 1)
            rows += len(y)
            if last:
                total, rows = value, 1
        if mode == "late":
            model.train()
        return total / (rows if mean == "rows" or last else len(batches))

    return wrong


def run_epoch(answer, x, y, sizes):
    """Train a small model for an epoch with `answer`: what it returned, and how it left the model."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(x.shape[1], 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 3)).eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)  # what an earlier step may have left there
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    given = answer(model, list(zip(x.split(sizes), y.split(sizes), strict=True)), optimizer)
    graph = isinstance(given, torch.Tensor) and given.requires_grad
    return {
        "the mean loss": float(given.detach() if graph else given),
        "the type of what it returns": type(given).__name__ + (" with a graph" if graph else ""),
        "the mode afterwards": "train" if model.training else "eval",
        "the weights afterwards": nn.utils.parameters_to_vector(model.parameters()).detach(),
    }


exercise(
    "19.2",
    "A loop with five faults",
    reference=train_epoch,
    use=run_epoch,
    cases=[
        case("three batches, the last one smaller", draw.floats(10, 4), draw.integers(3, 10), [4, 4, 2]),
        case("one batch", draw.floats(6, 3), draw.integers(3, 6), [6]),
        case("batches of one row and of five", draw.floats(12, 5) * 2, draw.integers(3, 12), [1, 5, 1, 5]),
    ],
    mistakes=[
        mistake(
            "The model is still in eval mode, so dropout is off while it learns. Call model.train() first.",
            train_with(mode="eval"),
            train_with(mode=None),
        ),
        mistake(
            "The model learned in eval mode, without dropout: model.train() came only after the loop.",
            train_with(mode="late"),
        ),
        mistake(
            "There is still a softmax before cross_entropy, which takes one itself. Give it the logits.",
            train_with(turn=lambda z: z.softmax(dim=-1)),
            train_with(turn=lambda z: z.softmax(dim=0)),
        ),
        mistake(
            "The gradients of the step before are still in .grad and are added to. Zero them in each step.",
            train_with(zero=None),
        ),
        mistake(
            "You zero the gradients once, before the loop, so those of earlier batches are still added to. "
            "Zero them in each step.",
            train_with(zero="once"),
        ),
        mistake(
            "Your step follows the sum of the rows' losses, so it is as many times too long as the batch has "
            "rows. Go back from the mean; weight only the number that you return.",
            train_with(reduction="sum"),
        ),
        mistake(
            "You measure the loss anew after the step, with another draw of dropout. Return that of the "
            "forward pass that the step came from.",
            train_with(measured="after"),
        ),
        mistake(
            "You zero the gradients only after a step, so what was in .grad before the first one takes part. "
            "Zero them before backward.",
            train_with(zero="after"),
        ),
        mistake(
            "Your weights never move: the gradients are zeroed again before the step, or the step comes "
            "before backward. The order is zero_grad, backward, step.",
            train_with(zero="between"),
            train_with(order="step, backward"),
        ),
        mistake(
            "What you return is a tensor, which keeps the graphs of all batches alive. Add up numbers: "
            "loss.item().",
            train_with(number=None),
        ),
        mistake(
            "What you return is a tensor. It is cut from its graph, and still no Python number: .item() "
            "gives one.",
            train_with(number=torch.Tensor.detach),
        ),
        mistake(
            "You take the mean of the batches' means, so a row in a small batch counts more. Weight each "
            "loss by its rows.",
            train_with(mean="batches"),
        ),
        mistake("You return the loss of the last batch alone.", train_with(last=True, mean="batches")),
    ],
)

# 19.3 --------------------------------------------------------------------------------------------------

draw = Draw("19.3")


def micro_batches(memory, parameters, trained, saved, length, batch):
    left = memory - 4 * parameters - 12 * trained
    fitting = [m for m in range(1, batch + 1) if batch % m == 0 and 4 * saved * length * m <= left]
    return (fitting[-1], batch // fitting[-1]) if fitting else None


def micro_with(
    fixed=(4, 12),
    all_trained=False,
    a_number=4,
    strict=False,
    pick="divisor",
    over=True,
    give=None,
    size=int,
):
    """`micro_batches` with another arithmetic or another choice of the size."""

    def wrong(memory, parameters, trained, saved, length, batch):
        left = size(memory - fixed[0] * parameters - fixed[1] * (parameters if all_trained else trained))
        each = a_number * saved * (length if over else 1)
        most = min(batch, max(0, (left - strict) // each))
        if most == 0:
            return give
        if pick == "divisor":
            most = max(m for m in range(1, most + 1) if batch % m == 0)
        elif pick == "halving":
            half = batch
            while half > most:
                half //= 2
            most = half
        elif pick == "smallest":
            most = 1
        times = -(-batch // most) if pick == "any" else batch // most
        return (most, times)

    return wrong


def micro_swapped(*arguments):
    found = micro_batches(*arguments)
    return found and found[::-1]


def micro_one(*arguments):
    found = micro_batches(*arguments)
    return found and found[0]


exercise(
    "19.3",
    "Micro-batches that fit",
    reference=micro_batches,
    returns="the micro-batch and the steps",
    cases=[
        case("seven would fit, and six divide 12", 1_000_000, 10_000, 10_000, 100, 300, 12),
        case("the whole batch fits", 10_000_000, 10_000, 10_000, 100, 300, 12),
        case("only one at a time", 300_000, 10_000, 10_000, 100, 300, 16),
        case("not even one", 200_000, 10_000, 10_000, 100, 300, 16),
        case("not even the model", 100_000, 10_000, 10_000, 100, 300, 16),
        case("exactly full", 160_000 + 4 * 120_000, 10_000, 10_000, 100, 300, 8),
        case("nearly full", 160_000 + 4 * 120_000 - 20_000, 10_000, 10_000, 100, 300, 8),
        case("a small part is trained", 1_000_000, 100_000, 1_000, 100, 300, 20),
        case("a prime batch", 1_000_000, 10_000, 10_000, 100, 300, 13),
        case("27, which halving does not divide", 1_300_000, 10_000, 10_000, 100, 300, 27),
        case("six would just fit", 900_000, 10_000, 10_000, 100, 300, 12),
        case("a model far too large", 100_000, 100_000, 100_000, 100, 300, 12),
    ],
    mistakes=[
        mistake(
            "Your micro-batch is the largest that fits, whether or not it divides the batch. Then the last "
            "one is smaller, and the step is not that of the whole batch.",
            micro_with(pick="any"),
            micro_with(pick="floor"),
        ),
        mistake(
            "Halving misses sizes: a batch of 12 can go in two sixes, but also in three fours and four "
            "threes. Try every divisor.",
            micro_with(pick="halving"),
        ),
        mistake(
            "AdamW's two moments, 8 bytes for each trained parameter, are left out.",
            micro_with(fixed=(4, 4)),
        ),
        mistake(
            "You count 16 bytes for each trained parameter beside its own 4 for the weight. Twelve come on "
            "top.",
            micro_with(fixed=(4, 16)),
        ),
        mistake(
            "Where the model alone is larger than the memory, what is left is negative, and nothing fits.",
            micro_with(size=abs),
        ),
        mistake(
            "The gradients, 4 bytes for each trained parameter, are left out.",
            micro_with(fixed=(4, 8)),
        ),
        mistake(
            "You counted the weights alone; each trained one needs 12 bytes more.",
            micro_with(fixed=(4, 0)),
        ),
        mistake(
            "You count gradients and moments for all parameters. Frozen ones have none.",
            micro_with(all_trained=True),
        ),
        mistake("You count the saved numbers as bytes. Each is a float32: 4 bytes.", micro_with(a_number=1)),
        mistake("The length is left out: `saved` is for one token.", micro_with(over=False)),
        mistake("What fits exactly fits as well: <=, and not <.", micro_with(strict=True)),
        mistake("If not even one row fits, the answer is None.", micro_with(give=(0, 0)), micro_with(give=0)),
        mistake(
            "You always take one row at a time. Larger micro-batches are faster.", micro_with(pick="smallest")
        ),
        mistake("The two numbers are swapped: the micro-batch comes first.", micro_swapped),
        mistake("You give the micro-batch alone; how many make the batch is asked for too.", micro_one),
    ],
)

# 19.4 --------------------------------------------------------------------------------------------------


def missing(label):
    return label is None or label != label or (isinstance(label, str) and not label.strip())


def plain(label):
    if isinstance(label, str):
        return label.strip().casefold()
    return str(int(label)) if float(label).is_integer() else str(label)


def number_labels(labels):
    names = sorted({plain(label) for label in labels if not missing(label)})
    return [-100 if missing(label) else names.index(plain(label)) for label in labels], names


def number_with(gone=missing, name=plain, order=sorted, first=0, marker=-100, drop=False):
    """`number_labels` with another idea of what is missing, of names, or of their order."""

    def wrong(labels):
        kept = [name(label) for label in labels if not gone(label)]
        names = list(order(dict.fromkeys(kept)))
        ids = [marker if gone(label) else names.index(name(label)) + first for label in labels]
        return ([i for i in ids if i != marker] if drop else ids), names

    return wrong


def as_text(label):
    return label.strip().casefold() if isinstance(label, str) else str(label)


def parsed(label):
    """The name of a number in a string is that of the number."""
    try:
        return plain(float(label))
    except ValueError:
        return plain(label)


def by_number(names):
    """Names that are numbers in the order of the numbers, others behind them."""

    def key(name):
        try:
            return 0, float(name), name
        except ValueError:
            return 1, 0.0, name

    return sorted(names, key=key)


def as_lower(label):
    return label.strip().lower() if isinstance(label, str) else plain(label)


nan = math.nan
exercise(
    "19.4",
    "Labels of any kind",
    reference=number_labels,
    returns=("the numbers", "the names"),
    cases=[
        case("words", ["bad", "good", "good", "bad"]),
        case("cases and spaces", ["Good", " good", "bad ", "BAD", "good"]),
        case("stars from 1", [5, 1, 3, 5]),
        case("floats out of a spreadsheet", [2.0, 1.0, nan, 2.0]),
        case("gaps", ["sport", None, "tech", "", "  ", nan, "sport"]),
        case("whole numbers in two forms", [1, 2.0, "1", " 2"]),
        case("not in the order of the alphabet", ["tech", "art", "sport", "art"]),
        case("a half star", [0.5, 1.0, 0.5]),
        case("nothing but gaps", [None, nan, ""]),
        case("zeros", [0, 1, None, 0]),
        case("two digits", [10, 9, 2, 10]),
        case("numbers in strings", ["2.0", 2.0, "2"]),
        case("strings that look like gaps", ["nan", "none", "good"]),
        case("a letter with two capitals", ["Straße", "STRASSE"]),
        case("a space inside", ["very good", "verygood"]),
        case("a tab", ["good\t", " good", "\t"]),
        case("plus and minus", [-1, 1, -1]),
    ],
    mistakes=[
        mistake(
            "A gap has become a class of its own. It has to be -100, which the loss leaves out.",
            number_with(gone=lambda label: False, name=lambda label: "" if missing(label) else plain(label)),
            number_with(
                gone=lambda label: False, name=lambda label: "nan" if missing(label) else plain(label)
            ),
            number_with(
                gone=lambda label: False, name=lambda label: "none" if missing(label) else plain(label)
            ),
        ),
        mistake(
            "NaN is taken for a label. It is the one value that differs from itself: label != label.",
            number_with(
                gone=lambda label: label is None or label == "" or (label == label and missing(label)),
                name=lambda label: plain(label) if label == label else "nan",
            ),
        ),
        mistake(
            "An empty text, or one of spaces alone, is taken for a label.",
            number_with(gone=lambda label: label is None or label != label),
            number_with(gone=lambda label: label is None or label != label or label == ""),
        ),
        mistake(
            "0 is taken for a gap. It is a label like any other: ask whether it is None.",
            number_with(gone=lambda label: not label or missing(label)),
        ),
        mistake(
            'The strings "nan" and "none" are taken for gaps. A gap is an empty string, and these are names.',
            number_with(
                gone=lambda label: missing(label) or str(label).strip().lower() in ("nan", "none", "null")
            ),
        ),
        mistake(
            'You read a number out of a string. "2.0" is a string, and its name is "2.0".',
            number_with(name=parsed),
        ),
        mistake(
            'The names are sorted as numbers. They are strings, and "10" comes before "2".',
            number_with(order=by_number),
        ),
        mistake(
            'lower() leaves the German ß, and casefold() makes it "ss", as its capitals are written.',
            number_with(name=as_lower),
        ),
        mistake(
            "Spaces inside a name are gone too. Only those at its ends go.",
            number_with(name=lambda label: plain(label).replace(" ", "")),
        ),
        mistake(
            'A tab at an end of a name has stayed. strip() takes all white space, strip(" ") spaces alone.',
            number_with(
                gone=lambda label: missing(label) and not (isinstance(label, str) and label.strip(" ")),
                name=lambda label: label.strip(" ").casefold() if isinstance(label, str) else plain(label),
            ),
            number_with(
                name=lambda label: label.strip(" ").casefold() if isinstance(label, str) else plain(label)
            ),
        ),
        mistake(
            "The sign of a number is gone, so −1 and 1 are one class for you.",
            number_with(name=lambda label: plain(label) if isinstance(label, str) else plain(abs(label))),
        ),
        mistake(
            "Labels that differ only in capitals are two classes for you.",
            number_with(name=lambda label: label.strip() if isinstance(label, str) else plain(label)),
        ),
        mistake(
            "Labels that differ only in spaces at an end are two classes for you.",
            number_with(name=lambda label: label.casefold() if isinstance(label, str) else plain(label)),
        ),
        mistake(
            "Case and spaces make classes of their own. Strip and casefold each text.",
            number_with(name=lambda label: label if isinstance(label, str) else plain(label)),
        ),
        mistake(
            '2.0 and 2 are two classes for you. A whole float has the name "2".', number_with(name=as_text)
        ),
        mistake(
            "You cut the fraction off, so 0.5 has become 0.",
            number_with(name=lambda label: plain(label) if isinstance(label, str) else str(int(label))),
        ),
        mistake(
            "The classes stand in the order in which they occur. Sort the names: the same file in another "
            "order must give the same numbers.",
            number_with(order=list),
        ),
        mistake("Your numbers begin at 1, and classes begin at 0.", number_with(first=1)),
        mistake(
            "Rows with a gap are gone, so the numbers no longer stand beside their texts.",
            number_with(drop=True),
        ),
        mistake("A gap is -1 for you. The loss leaves out -100 alone.", number_with(marker=-1)),
        mistake("A gap is 0 for you, the number of a real class.", number_with(marker=0)),
        mistake(
            "A gap is None for you, and a tensor holds numbers alone. Use -100.", number_with(marker=None)
        ),
        mistake(
            "The names are sorted from the end of the alphabet.",
            number_with(order=lambda names: sorted(names, reverse=True)),
        ),
    ],
)
