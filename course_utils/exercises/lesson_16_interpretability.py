"""Exercises of lesson 16, interpretability: their references, inputs and typical mistakes."""

import math
from collections import Counter

import torch

from course_utils.checks.exercise import Draw, case, exercise, forbid, mistake, shown

# 16.1 --------------------------------------------------------------------------------------------------

draw = Draw("16.1")


def word_scores(values, word_ids, words):
    total = torch.zeros(words, dtype=values.dtype)
    for value, word in zip(values, word_ids, strict=True):
        if word is not None:
            total[word] += value
    return total


def collected(reduce, keep=lambda word: word is not None):
    """What `reduce` makes of the values of each word's pieces; 0 for a word without."""

    def wrong(values, word_ids, words):
        total = torch.zeros(words, dtype=values.dtype)
        for word in range(words):
            own = [value for value, each in zip(values, word_ids, strict=True) if keep(each) and each == word]
            if own:
                total[word] = reduce(torch.stack(own))
        return total

    return wrong


def special_for_all(values, word_ids, words):
    total = torch.zeros(words, dtype=values.dtype)
    for value, word in zip(values, word_ids, strict=True):
        total[word] += value  # total[None] is all of total
    return total


def special_for(place):
    def wrong(values, word_ids, words):
        return word_scores(values, [place if word is None else word for word in word_ids], words)

    return wrong


def words_that_occur(values, word_ids, words):
    occurring = sorted({word for word in word_ids if word is not None})
    return word_scores(values, word_ids, words)[occurring]


def in_runs(values, word_ids, words):
    """A new word whenever the number changes, whatever the number."""
    total, position, last = torch.zeros(words, dtype=values.dtype), -1, None
    for value, word in zip(values, word_ids, strict=True):
        if word is None:
            continue
        position += word != last
        total[position] += value
        last = word
    return total


exercise(
    "16.1",
    "From pieces to words",
    reference=word_scores,
    returns="the words' scores",
    cases=[
        case(
            "one word of four pieces",
            torch.tensor([9.0, 0.7, 0.5, 1.0, -3.0, 0.25, 4.0, -9.0]),
            [None, 0, 1, 1, 1, 1, 2, None],
            3,
        ),
        case("every word is one piece", draw.floats(5), [None, 0, 1, 2, None], 3),
        case("the first word has two pieces", draw.floats(5), [None, 0, 0, 1, None], 2),
        case("words that were cut off", draw.floats(4), [None, 0, 0, None], 3),
        case("a word in the middle without a piece", draw.floats(5), [None, 0, 2, 2, None], 3),
        case("no special tokens", draw.floats(3), [0, 0, 1], 2),
        case("in double precision", draw.floats(5).double(), [None, 0, 1, 1, None], 2),
    ],
    mistakes=[
        mistake(
            "This is the mean over a word's pieces. Attributions add up to the score's difference, so a word "
            "gets the sum of its pieces.",
            collected(torch.mean),
        ),
        mistake(
            "Only the first piece of a word counts here. Take the sum over all of its pieces.",
            collected(lambda own: own[0]),
        ),
        mistake(
            "Each piece overwrites the one before, so the last piece of a word is left. Add with `+=`.",
            collected(lambda own: own[-1]),
        ),
        mistake(
            "Word 0 has lost its pieces: `if word` is False for the number 0. Ask `word is not None`.",
            collected(torch.sum, keep=bool),
        ),
        mistake(
            "The special tokens were added to every word: `total[None]` is all of `total`. Leave them out.",
            special_for_all,
        ),
        mistake(
            "The special tokens were added to a word. They count for none.",
            special_for(0),
            special_for(-1),
        ),
        mistake(
            "The signs are gone. Pieces that push up and pieces that push down cancel; no absolute values "
            "here.",
            collected(lambda own: own.abs().sum()),
            lambda *given: word_scores(*given).abs(),
            collected(lambda own: own.norm()),
        ),
        mistake(
            "This is one piece of each word, the largest. Take the sum over all of its pieces.",
            collected(torch.max),
            collected(lambda own: own[own.abs().argmax()]),
        ),
        mistake(
            "A word without a piece is missing. The result has `words` numbers, with 0 for such a word.",
            words_that_occur,
        ),
        mistake(
            "A new word was begun wherever the number changes. The number itself says which word it is; some "
            "words have no piece.",
            in_runs,
        ),
        mistake(
            "The numbers are scaled. Leave them as they are, so that they still add up.",
            lambda *given: word_scores(*given) / word_scores(*given).abs().sum(),
            lambda *given: word_scores(*given) / word_scores(*given).abs().max(),
            lambda *given: word_scores(*given).softmax(dim=0),
        ),
        mistake(
            "The numbers are right and of another dtype. The card asks for the dtype of `values`.",
            lambda values, word_ids, words: word_scores(values.float(), word_ids, words),
        ),
    ],
)

# 16.2 --------------------------------------------------------------------------------------------------

draw = Draw("16.2")


def path(start, end, shares):
    return torch.stack([start + share * (end - start) for share in shares])


exercise(
    "16.2",
    "The inputs on the way",
    reference=path,
    returns="the inputs",
    cases=[
        case("two numbers", draw.floats(2), draw.floats(2), torch.tensor([0.5, 1.0])),
        case("vectors of a sentence", draw.floats(3, 4), draw.floats(3, 4), torch.tensor([0.1, 0.5, 0.9])),
        case("shares in any order", draw.floats(4, 2), draw.floats(4, 2), torch.tensor([0.7, 0.2, 0.4, 0.0])),
        case("one share", draw.floats(3), draw.floats(3), torch.tensor([0.25])),
        case("as many shares as numbers", draw.floats(3), draw.floats(3), torch.tensor([0.0, 0.3, 0.8])),
        case("from zero", torch.zeros(2, 2, 2), draw.floats(2, 2, 2), torch.tensor([0.2, 0.6])),
    ],
    mistakes=[
        mistake(
            "This walks from the end to the start. With the share 0 you stand at the start.",
            lambda start, end, shares: path(end, start, shares),
        ),
        mistake(
            "This starts at zero, and `start` is not used. Go from `start` to `end`.",
            lambda start, end, shares: path(torch.zeros_like(end), end, shares),
        ),
        mistake(
            "`start + share * end` overshoots: what is added is the difference, `end - start`.",
            lambda start, end, shares: torch.stack([start + share * end for share in shares]),
        ),
        mistake(
            "These are only the steps from the start. Add them to `start`.",
            lambda start, end, shares: torch.stack([share * (end - start) for share in shares]),
        ),
        mistake(
            "The shares are replaced by equal steps. Use those that are given: Gauss–Legendre points are not "
            "equally far apart.",
            lambda start, end, shares: path(start, end, torch.linspace(0, 1, len(shares))),
            lambda start, end, shares: path(start, end, (torch.arange(len(shares)) + 0.5) / len(shares)),
            lambda start, end, shares: path(start, end, torch.arange(1, len(shares) + 1) / len(shares)),
        ),
        mistake(
            "The inputs are sorted by their share. Keep the order that is given; the weights go with it.",
            lambda start, end, shares: path(start, end, shares.sort().values),
        ),
        mistake(
            "The n inputs stand along the last dimension. They are a batch: the first dimension.",
            lambda start, end, shares: path(start, end, shares).movedim(0, -1),
        ),
        mistake(
            "Every step starts where the one before ended. Each share counts from `start`.",
            lambda start, end, shares: path(start, end, shares.cumsum(dim=0)),
        ),
        mistake(
            "There are more inputs than shares. Start and end come in only if the shares say so.",
            lambda start, end, shares: torch.cat([start[None], path(start, end, shares)]),
            lambda start, end, shares: torch.cat([start[None], path(start, end, shares), end[None]]),
        ),
    ],
)

# 16.3 --------------------------------------------------------------------------------------------------

draw = Draw("16.3")


def path_gradients(score, inputs, most):
    found = []
    for part in inputs.split(most):
        part = part.detach().clone().requires_grad_()
        found.append(torch.autograd.grad(score(part).sum(), part)[0])
    return torch.cat(found)


def counting(answer, score, inputs, most):
    """What the answer gives, how many rows went into one call, and what became of the inputs."""
    rows = []

    def counted(part):
        rows.append(len(part))
        return score(part)

    found = answer(counted, inputs, most)
    return {
        "the gradients": found.detach() if torch.is_tensor(found) else found,
        "whether at most `most` rows went into each call": max(rows, default=0) <= most,
        "requires_grad of the gradients": bool(getattr(found, "requires_grad", False)),
        "requires_grad of the inputs": inputs.requires_grad,
    }


def cubes(x):
    return (x**3).flatten(1).sum(dim=1)


def waves(x):
    return (x.sin() * x.roll(1, -1)).flatten(1).sum(dim=1)


def first_times_last(x):
    return x.flatten(1)[:, 0] * x.flatten(1)[:, -1] ** 2


def parts_by(loss, cut=lambda inputs, most: inputs.split(most)):
    """The gradients of `loss(scores)` for each part that `cut` gives."""

    def wrong(score, inputs, most):
        found = []
        for part in cut(inputs, most):
            part = part.detach().clone().requires_grad_()
            found.append(torch.autograd.grad(loss(score(part)), part)[0])
        return torch.cat(found)

    return wrong


def last_part(score, inputs, most):
    return path_gradients(score, inputs.split(most)[-1], most)


def whole_parts(inputs, most):
    return [inputs[i : i + most] for i in range(0, max(len(inputs) - most + 1, 1), most)]


def with_history(score, inputs, most):
    found = []
    for part in inputs.split(most):
        part = part.detach().clone().requires_grad_()
        found.append(torch.autograd.grad(score(part).sum(), part, create_graph=True)[0])
    return torch.cat(found)


def marks_the_inputs(score, inputs, most):
    inputs.requires_grad_()
    parts = [torch.autograd.grad(score(part).sum(), part)[0] for part in inputs.split(most)]
    return torch.cat(parts)


exercise(
    "16.3",
    "The gradients along it",
    reference=path_gradients,
    use=counting,
    cases=[
        case("two rows at a time", shown("cubes", cubes), draw.floats(4, 3), 2),
        case("the last part is smaller", shown("waves", waves), draw.floats(5, 2, 3), 2),
        case("one row at a time", shown("first_times_last", first_times_last), draw.floats(3, 4), 1),
        case("all at once is allowed", shown("waves", waves), draw.floats(3, 3), 10),
        case("one row", shown("cubes", cubes), draw.floats(1, 2), 4),
    ],
    mistakes=[
        mistake(
            "You differentiated the mean of the scores, so every gradient is divided by the number of rows "
            "in "
            "its part. Take the sum: no row's score depends on another row.",
            parts_by(torch.mean),
            lambda score, inputs, most: path_gradients(score, inputs, most) / len(inputs),
        ),
        mistake(
            "All rows went into `score` at once. At most `most` rows a call, so that memory stays bounded.",
            lambda score, inputs, most: path_gradients(score, inputs, len(inputs)),
        ),
        mistake(
            "Only the gradients of the last part are there. Collect those of every part and join them.",
            last_part,
        ),
        mistake(
            "The last, smaller part is missing. `inputs.split(most)` gives it, too.",
            parts_by(torch.sum, cut=whole_parts),
        ),
        mistake(
            "These are the gradients averaged or summed over the rows. Here each row keeps its own.",
            lambda score, inputs, most: path_gradients(score, inputs, most).mean(dim=0),
            lambda score, inputs, most: path_gradients(score, inputs, most).sum(dim=0),
            lambda score, inputs, most: path_gradients(score, inputs, most).mean(dim=0, keepdim=True),
        ),
        mistake(
            "This is gradient × input. The gradients alone are asked for.",
            lambda score, inputs, most: path_gradients(score, inputs, most) * inputs,
        ),
        mistake(
            "The signs are gone. A gradient keeps its sign.",
            lambda score, inputs, most: path_gradients(score, inputs, most).abs(),
        ),
        mistake(
            "The gradients still carry a history. Without `create_graph` there is none, or `.detach()` them.",
            with_history,
        ),
        mistake(
            "`chunk(n)` gives n parts; parts of n rows each come from `split(n)`.",
            parts_by(torch.sum, cut=lambda inputs, most: inputs.chunk(most)),
        ),
        mistake(
            "Only the first row's score was differentiated in each part. Sum the scores of all rows.",
            parts_by(lambda scores: scores[0]),
        ),
        mistake(
            "You differentiated the square of the score. The gradient of the score itself is asked for.",
            parts_by(lambda scores: (scores**2).sum()),
        ),
        mistake(
            "Each row's gradient is scaled to the length 1. Leave the lengths as they are.",
            lambda score, inputs, most: torch.nn.functional.normalize(
                path_gradients(score, inputs, most), dim=-1
            ),
        ),
        mistake(
            "There is one number for each row, the gradient's length. Keep the shape of `inputs`.",
            lambda score, inputs, most: path_gradients(score, inputs, most).flatten(1).norm(dim=1),
        ),
    ],
)

# 16.4 --------------------------------------------------------------------------------------------------

draw = Draw("16.4")


def integrated(score, start, end, points, weights):
    inputs = torch.stack([start + point * (end - start) for point in points])
    inputs = inputs.detach().requires_grad_()
    gradients = torch.autograd.grad(score(inputs).sum(), inputs)[0]
    return (end - start).detach() * torch.tensordot(weights, gradients, dims=1)


def gradients_on(score, start, end, points):
    return path_gradients(score, path(start, end, points), len(points))


def untracked(answer, *given):
    """What the answer gives, and whether it still hangs on a graph."""
    found = answer(*given)
    return {
        "the attributions": found.detach() if torch.is_tensor(found) else found,
        "requires_grad of the attributions": bool(getattr(found, "requires_grad", False)),
    }


def tracked(score, start, end, points, weights):
    inputs = path(start, end, points).requires_grad_()
    gradients = torch.autograd.grad(score(inputs).sum(), inputs, create_graph=True)[0]
    return torch.tensordot(weights, gradients, dims=1) * (end - start)


def uneven(n):
    """Points and weights as Gauss and Legendre would choose them for n = 3, else a skewed set of both."""
    if n == 3:
        return torch.tensor([0.1127, 0.5, 0.8873]), torch.tensor([5 / 18, 8 / 18, 5 / 18])
    weights = torch.arange(1.0, n + 1)
    return (torch.arange(n) + 0.3) / n, weights / weights.sum()


def bent(x):
    return (x.flatten(1) ** 3).sum(dim=1) + x.flatten(1)[:, 0] * x.flatten(1)[:, -1]


def squashed(x):
    return torch.tanh(x.flatten(1).sum(dim=1)) + 0.5 * (x.flatten(1) ** 2).sum(dim=1)


exercise(
    "16.4",
    "Integrated gradients",
    reference=integrated,
    use=untracked,
    cases=[
        case("three points", shown("bent", bent), draw.floats(4), draw.floats(4), *uneven(3)),
        case(
            "vectors of a sentence",
            shown("squashed", squashed),
            draw.floats(3, 2),
            draw.floats(3, 2),
            *uneven(4),
        ),
        case("from zero", shown("bent", bent), torch.zeros(2, 2), draw.floats(2, 2), *uneven(5)),
        case(
            "one point",
            shown("squashed", squashed),
            draw.floats(3),
            draw.floats(3),
            torch.tensor([0.5]),
            torch.tensor([1.0]),
        ),
        case(
            "equal weights",
            shown("bent", bent),
            draw.floats(3),
            draw.floats(3),
            (torch.arange(4) + 0.5) / 4,
            torch.full((4,), 0.25),
        ),
        case(
            "weights that do not sum to 1",
            shown("bent", bent),
            draw.floats(3),
            draw.floats(3),
            torch.tensor([0.3, 0.8]),
            torch.tensor([0.2, 0.5]),
        ),
    ],
    mistakes=[
        mistake(
            "This is the mean gradient alone. Multiply it by what the input changed by, end − start.",
            lambda score, start, end, points, weights: torch.tensordot(
                weights, gradients_on(score, start, end, points), dims=1
            ),
        ),
        mistake(
            "You multiplied by the end. From another baseline than zero it is end − start.",
            lambda score, start, end, points, weights: (
                end * torch.tensordot(weights, gradients_on(score, start, end, points), dims=1)
            ),
        ),
        mistake(
            "Every point has the same weight here. Use the weights that are given: Gauss–Legendre's differ.",
            lambda score, start, end, points, weights: (
                (end - start) * gradients_on(score, start, end, points).mean(dim=0)
            ),
        ),
        mistake(
            "The gradients are added without weights. Each counts with its weight.",
            lambda score, start, end, points, weights: (
                (end - start) * gradients_on(score, start, end, points).sum(dim=0)
            ),
        ),
        mistake(
            "The attributions still carry a history. Leave out `create_graph`, or `.detach()` them.",
            tracked,
        ),
        mistake(
            "The weights are divided by their sum. Use them as they are given.",
            lambda score, start, end, points, weights: integrated(
                score, start, end, points, weights / weights.sum()
            ),
        ),
        mistake(
            "The weighted sum is divided by the number of points once more. The weights do that already.",
            lambda *given: integrated(*given) / len(given[3]),
        ),
        mistake(
            "This uses the slope at the end only, gradient × difference. Take the gradients at the points.",
            lambda score, start, end, points, weights: (end - start) * path_gradients(score, end[None], 1)[0],
        ),
        mistake(
            "This uses the slope at the start only. Take the gradients at the points.",
            lambda score, start, end, points, weights: (
                (end - start) * path_gradients(score, start[None], 1)[0]
            ),
        ),
        mistake(
            "The path begins at zero. It goes from `start` to `end`.",
            lambda score, start, end, points, weights: (
                (end - start)
                * torch.tensordot(weights, gradients_on(score, torch.zeros_like(end), end, points), dims=1)
            ),
            lambda score, start, end, points, weights: integrated(
                score, torch.zeros_like(end), end, points, weights
            ),
        ),
        mistake(
            "The sign is turned round: the factor is end − start, not start − end.",
            lambda *given: -integrated(*given),
        ),
        mistake(
            "The points are walked from the end to the start, so each has another's place. `start + t (end "
            "− start)`.",
            lambda score, start, end, points, weights: (
                (end - start) * torch.tensordot(weights, gradients_on(score, end, start, points), dims=1)
            ),
        ),
        mistake(
            "The signs are gone. What pushes down has a negative attribution.",
            lambda *given: integrated(*given).abs(),
            lambda score, start, end, points, weights: (
                (end - start)
                * torch.tensordot(weights, gradients_on(score, start, end, points).abs(), dims=1)
            ),
        ),
        mistake(
            "The attributions are summed up. Give one for each number of the input.",
            lambda *given: integrated(*given).sum(),
            lambda *given: integrated(*given).sum(dim=-1),
        ),
        mistake(
            "The points are replaced by equally spaced ones. Use the points that are given.",
            lambda score, start, end, points, weights: integrated(
                score, start, end, (torch.arange(len(points)) + 0.5) / len(points), weights
            ),
            lambda score, start, end, points, weights: integrated(
                score, start, end, torch.linspace(0, 1, len(points)), weights
            ),
        ),
    ],
)

# 16.5 --------------------------------------------------------------------------------------------------

draw = Draw("16.5")


def gap(score, start, end, attributions):
    with torch.no_grad():
        difference = (score(end[None]) - score(start[None])).item()
    return abs(attributions.sum().item() - difference) / (abs(difference) or 1.0)


def gap_of(make):
    """A gap out of F(end), F(start) and the attributions."""

    def wrong(score, start, end, attributions):
        return make(score(end[None]).item(), score(start[None]).item(), attributions.double())

    return wrong


def same_ends(x):
    return (x.flatten(1) ** 2).sum(dim=1)


nearly = draw.floats(3, 2)
exercise(
    "16.5",
    "Is anything missing?",
    reference=gap,
    returns="the gap",
    cases=[
        case(
            "too little",
            shown("bent", bent),
            torch.zeros(2),
            torch.tensor([1.0, 2.0]),
            torch.tensor([1.0, 7.0]),
        ),
        case(
            "too much",
            shown("bent", bent),
            torch.zeros(2),
            torch.tensor([1.0, 2.0]),
            torch.tensor([9.0, 5.0]),
        ),
        case("vectors", shown("squashed", squashed), draw.floats(3, 2), draw.floats(3, 2), nearly),
        case(
            "the score falls",
            shown("bent", bent),
            torch.ones(3),
            -torch.ones(3),
            torch.tensor([-2.0, -1.0, -2.5]),
        ),
        case(
            "a small difference",
            shown("squashed", squashed),
            torch.tensor([0.2, 0.1]),
            torch.tensor([0.1, 0.4]),
            torch.tensor([0.1, -0.2]),
        ),
        case(
            "no difference at all",
            shown("same_ends", same_ends),
            torch.tensor([1.0, 2.0]),
            torch.tensor([2.0, 1.0]),
            torch.tensor([3.0, -2.5]),
        ),
    ],
    mistakes=[
        mistake(
            "This can be negative. The gap is a distance: take its absolute value.",
            gap_of(lambda up, low, a: (a.sum().item() - (up - low)) / (abs(up - low) or 1.0)),
            gap_of(lambda up, low, a: (up - low - a.sum().item()) / (abs(up - low) or 1.0)),
        ),
        mistake(
            "You divided by the difference with its sign, so where the score falls the gap is negative.",
            gap_of(lambda up, low, a: abs(a.sum().item() - (up - low)) / ((up - low) or 1.0)),
        ),
        mistake(
            "This is the bare distance. Divide it by the size of the difference.",
            gap_of(lambda up, low, a: abs(a.sum().item() - (up - low))),
        ),
        mistake(
            "You compared with F(x) alone. The attributions explain the difference from the baseline.",
            gap_of(lambda up, low, a: abs(a.sum().item() - up) / (abs(up) or 1.0)),
            gap_of(lambda up, low, a: abs(a.sum().item() - up) / (abs(up - low) or 1.0)),
        ),
        mistake(
            "You compared with F(x′) − F(x): start and end have changed places.",
            gap_of(lambda up, low, a: abs(a.sum().item() + up - low) / (abs(up - low) or 1.0)),
        ),
        mistake(
            "The sizes of the attributions are added. With their signs they add up to the difference.",
            gap_of(lambda up, low, a: abs(a.abs().sum().item() - (up - low)) / (abs(up - low) or 1.0)),
            gap_of(lambda up, low, a: abs(a.abs().sum().item() - abs(up - low)) / (abs(up - low) or 1.0)),
        ),
        mistake(
            "You divided by the sum of the attributions. Divide by the difference that they should explain.",
            gap_of(lambda up, low, a: abs(a.sum().item() - (up - low)) / (abs(a.sum().item()) or 1.0)),
        ),
        mistake(
            "You divided by F(x). Divide by the difference, F(x) − F(x′).",
            gap_of(lambda up, low, a: abs(a.sum().item() - (up - low)) / (abs(up) or 1.0)),
        ),
        mistake(
            "Small differences were replaced by 1. Only a difference of exactly 0 is.",
            gap_of(lambda up, low, a: abs(a.sum().item() - (up - low)) / max(abs(up - low), 1.0)),
        ),
        mistake(
            "1 was added to the divisor always. Divide by the size of the difference itself.",
            gap_of(lambda up, low, a: abs(a.sum().item() - (up - low)) / (abs(up - low) + 1.0)),
        ),
        mistake(
            "Where the difference is 0, the card asks for the bare distance.",
            gap_of(lambda up, low, a: abs(a.sum().item() - (up - low)) / abs(up - low) if up != low else 0.0),
            gap_of(
                lambda up, low, a: abs(a.sum().item() - (up - low)) / abs(up - low) if up != low else math.inf
            ),
            gap_of(
                lambda up, low, a: abs(a.sum().item() - (up - low)) / abs(up - low) if up != low else math.nan
            ),
            lambda *given: gap(*given) if same_ends is not given[0] else abs(given[3].sum().item()) / 1e-8,
            gap_of(lambda up, low, a: abs(a.sum().item() - (up - low)) / (abs(up - low) + 1e-6)),
        ),
        mistake(
            "This is the mean of the attributions against the difference. Take their sum.",
            gap_of(lambda up, low, a: abs(a.mean().item() - (up - low)) / (abs(up - low) or 1.0)),
        ),
        mistake(
            "The distance is squared. Take its absolute value.",
            gap_of(lambda up, low, a: (a.sum().item() - (up - low)) ** 2 / (abs(up - low) or 1.0)),
            gap_of(lambda up, low, a: (a.sum().item() - (up - low)) ** 2 / ((up - low) ** 2 or 1.0)),
        ),
        mistake(
            "That is in per cent. A share is asked for: 0.01 is one per cent.",
            lambda *given: 100 * gap(*given),
        ),
    ],
)

# 16.6 --------------------------------------------------------------------------------------------------


def occlusion(score, ids, word_ids, mask_id):
    rows = [ids]
    for word in range(max(w for w in word_ids if w is not None) + 1):
        pairs = list(zip(ids, word_ids, strict=True))
        if mask_id is None:
            rows.append([i for i, w in pairs if w != word])
        else:
            rows.append([mask_id if w == word else i for i, w in pairs])
    scores = score(rows)
    return scores[0] - scores[1:]


def place_matters(rows):
    return torch.tensor([sum(math.sin(1.7 * i) * (1 + 0.3 * p) for p, i in enumerate(row)) for row in rows])


def bent_sum(rows):
    sums = torch.tensor([sum(math.cos(0.9 * i) / (p + 1) for p, i in enumerate(row)) for row in rows])
    return torch.tanh(sums) * torch.tensor([len(row) / 4 for row in rows])


def words_in(word_ids):
    return range(max(w for w in word_ids if w is not None) + 1)


def occluding(make, result=lambda scores: scores[0] - scores[1:], numbers=words_in):
    """Occlusion where `make(pairs, word, mask_id)` is the sentence without a word."""

    def wrong(score, ids, word_ids, mask_id):
        pairs = list(zip(ids, word_ids, strict=True))
        return result(score([ids, *(make(pairs, word, mask_id) for word in numbers(word_ids))]))

    return wrong


def remove(pairs, gone, mask_id):
    """The ids when the places where `gone(place, word)` holds are masked or deleted."""
    kept = []
    for place, (i, word) in enumerate(pairs):
        if not gone(place, word):
            kept.append(i)
        elif mask_id is not None:
            kept.append(mask_id)
    return kept


def rightly(pairs, word, mask_id):
    return remove(pairs, lambda place, w: w == word, mask_id)


def first_place(pairs, word):
    return next(place for place, (_, w) in enumerate(pairs) if w == word)


def one_mask(pairs, word, mask_id):
    if mask_id is None:
        return rightly(pairs, word, mask_id)
    first = first_place(pairs, word)
    return [
        mask_id if place == first else i for place, (i, w) in enumerate(pairs) if w != word or place == first
    ]


def by_pieces(score, ids, word_ids, mask_id):
    """The drop of each piece alone, summed over the pieces of each word."""
    pairs = list(zip(ids, word_ids, strict=True))
    places = [place for place, word in enumerate(word_ids) if word is not None]
    rows = [remove(pairs, lambda place, _, gone=gone: place == gone, mask_id) for gone in places]
    scores = score([ids, *rows])
    drops = torch.zeros(len(ids))
    drops[places] = scores[0] - scores[1:]
    return word_scores(drops, word_ids, len(words_in(word_ids)))


def each_piece(score, ids, word_ids, mask_id):
    pairs = list(zip(ids, word_ids, strict=True))
    places = [place for place, word in enumerate(word_ids) if word is not None]
    rows = [remove(pairs, lambda place, _, gone=gone: place == gone, mask_id) for gone in places]
    scores = score([ids, *rows])
    return scores[0] - scores[1:]


PIECES = ([101, 7, 12, 9, 31, 102], [None, 0, 1, 1, 2, None])
exercise(
    "16.6",
    "Occlusion",
    reference=occlusion,
    returns="the drops",
    cases=[
        case("masked", shown("place_matters", place_matters), *PIECES, 103),
        case("deleted", shown("place_matters", place_matters), *PIECES, None),
        case(
            "a first word of two pieces, masked",
            shown("bent_sum", bent_sum),
            [1, 5, 6, 8, 2],
            [None, 0, 0, 1, None],
            4,
        ),
        case("the same, deleted", shown("bent_sum", bent_sum), [1, 5, 6, 8, 2], [None, 0, 0, 1, None], None),
        case(
            "the mask's id is 0", shown("place_matters", place_matters), [1, 5, 7, 2], [None, 0, 1, None], 0
        ),
        case(
            "the same id in two words",
            shown("place_matters", place_matters),
            [1, 5, 7, 5, 2],
            [None, 0, 1, 2, None],
            3,
        ),
        case("one word", shown("bent_sum", bent_sum), [1, 9, 2], [None, 0, None], None),
        case("no special tokens", shown("place_matters", place_matters), [5, 7, 7], [0, 1, 1], 3),
    ],
    mistakes=[
        mistake(
            "The sign is turned round. It is the score of the whole sentence minus that without the word.",
            occluding(rightly, lambda scores: scores[1:] - scores[0]),
        ),
        mistake(
            "These are the scores without each word. Give how far they lie below the whole sentence's.",
            occluding(rightly, lambda scores: scores[1:]),
        ),
        mistake(
            "Only the first piece of a word is removed. All of its pieces go at once.",
            occluding(
                lambda pairs, word, mask_id: remove(
                    pairs, lambda place, _: place == first_place(pairs, word), mask_id
                )
            ),
        ),
        mistake(
            "Only the last piece of a word is removed. All of its pieces go at once.",
            occluding(
                lambda pairs, word, mask_id: remove(
                    pairs,
                    lambda place, _: place == max(p for p, (_, w) in enumerate(pairs) if w == word),
                    mask_id,
                )
            ),
        ),
        mistake(
            "The pieces are removed one at a time. All pieces of a word go at once, and there is one number "
            "a word.",
            by_pieces,
            each_piece,
        ),
        mistake(
            "The number of a word is not its place among the ids: `[CLS]` and earlier pieces stand before "
            "it. "
            "Use `word_ids`.",
            occluding(lambda pairs, word, mask_id: remove(pairs, lambda place, _: place == word, mask_id)),
            occluding(
                lambda pairs, word, mask_id: remove(pairs, lambda place, _: place == word + 1, mask_id)
            ),
        ),
        mistake(
            "All of a word's pieces became a single mask. Each piece is replaced, so that the length stays.",
            occluding(one_mask),
        ),
        mistake(
            "Words that were removed stay removed. Each time only one word is missing.",
            occluding(
                lambda pairs, word, mask_id: remove(pairs, lambda _, w: w is not None and w <= word, mask_id)
            ),
        ),
        mistake(
            "Here only the one word is left, and all the others are removed. It is the other way round.",
            occluding(
                lambda pairs, word, mask_id: remove(pairs, lambda _, w: w is not None and w != word, mask_id)
            ),
            occluding(lambda pairs, word, mask_id: remove(pairs, lambda _, w: w != word, mask_id)),
        ),
        mistake(
            "The special tokens are removed as well. They always stay.",
            occluding(
                lambda pairs, word, mask_id: remove(
                    pairs, lambda _, w: w == word or (w is None and mask_id is None), mask_id
                )
            ),
            occluding(lambda pairs, word, mask_id: remove(pairs, lambda _, w: w in (word, None), mask_id)),
        ),
        mistake(
            "The last word is missing: word numbers go up to the largest, included.",
            occluding(rightly, numbers=lambda word_ids: range(max(w for w in word_ids if w is not None))),
        ),
        mistake(
            "The mask with the id 0 is taken for no mask: `if mask_id` is False for 0. Ask `mask_id is "
            "None`.",
            occluding(lambda pairs, word, mask_id: rightly(pairs, word, mask_id or None)),
        ),
        mistake(
            "The words are deleted where a mask is asked for. With an int, put it in the place of each "
            "piece.",
            occluding(lambda pairs, word, mask_id: rightly(pairs, word, None)),
        ),
        mistake(
            "With `None` the pieces are deleted; here something was put in their place.",
            occluding(lambda pairs, word, mask_id: rightly(pairs, word, 0 if mask_id is None else mask_id)),
            occluding(lambda pairs, word, mask_id: rightly(pairs, word, 103 if mask_id is None else mask_id)),
        ),
        mistake(
            "The signs are gone. A score that rises without a word gives a negative number.",
            occluding(rightly, lambda scores: (scores[0] - scores[1:]).abs()),
            occluding(rightly, lambda scores: (scores[0] - scores[1:]).clamp(min=0)),
        ),
        mistake(
            "The drops are divided by the score of the whole sentence. Give them as they are.",
            occluding(rightly, lambda scores: (scores[0] - scores[1:]) / scores[0]),
            occluding(rightly, lambda scores: (scores[0] - scores[1:]) / scores[0].abs()),
        ),
        mistake(
            "Equal ids in other words are removed as well. Go by `word_ids`, not by the ids.",
            occluding(
                lambda pairs, word, mask_id: [
                    kept
                    for i, _ in pairs
                    for kept in (
                        [i]
                        if i not in {j for j, w in pairs if w == word}
                        else []
                        if mask_id is None
                        else [mask_id]
                    )
                ]
            ),
        ),
    ],
)

# 16.7 --------------------------------------------------------------------------------------------------


def mean_drop(shares, values):
    area = torch.trapezoid(values[0] - values, shares)
    return (area / (shares[-1] - shares[0])).item()


def stretch(shares):
    return shares[-1] - shares[0]


SHARES = torch.tensor([0.0, 0.1, 0.2, 0.5, 1.0])
exercise(
    "16.7",
    "The mean drop",
    reference=mean_drop,
    returns="the mean drop",
    cases=[
        case("it falls", SHARES, torch.tensor([0.9, 0.6, 0.5, 0.3, 0.1])),
        case("it rises", SHARES, torch.tensor([0.5, 0.6, 0.8, 0.9, 0.95])),
        case("it rises, then falls", SHARES, torch.tensor([0.7, 0.9, 0.8, 0.4, 0.2])),
        case("only up to a half", torch.tensor([0.0, 0.2, 0.5]), torch.tensor([0.8, 0.5, 0.4])),
        case("not from 0", torch.tensor([0.1, 0.2, 0.6]), torch.tensor([0.8, 0.7, 0.2])),
        case("two points", torch.tensor([0.0, 1.0]), torch.tensor([0.6, 0.2])),
        case("flat", torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.4, 0.4, 0.4])),
    ],
    mistakes=[
        mistake(
            "Where the curve rises the area is left out. It counts as negative: those words spoke against "
            "the "
            "class.",
            lambda shares, values: (
                torch.trapezoid((values[0] - values).clamp(min=0), shares) / stretch(shares)
            ).item(),
        ),
        mistake(
            "Where the curve rises the area is counted as positive. Keep the sign.",
            lambda shares, values: (
                torch.trapezoid((values[0] - values).abs(), shares) / stretch(shares)
            ).item(),
            lambda shares, values: abs(mean_drop(shares, values)),
        ),
        mistake(
            "This is the area under the curve. The area between the first value and the curve is asked for.",
            lambda shares, values: (torch.trapezoid(values, shares) / stretch(shares)).item(),
            lambda shares, values: torch.trapezoid(values, shares).item(),
        ),
        mistake(
            "This is the plain mean of the drops. The shares are not equally far apart, so wide stretches "
            "count more.",
            lambda shares, values: (values[0] - values).mean().item(),
            lambda shares, values: (values[0] - values[1:]).mean().item(),
            lambda shares, values: torch.trapezoid(values[0] - values).item() / (len(values) - 1),
        ),
        mistake(
            "The area is not divided by the length of the stretch.",
            lambda shares, values: torch.trapezoid(values[0] - values, shares).item(),
        ),
        mistake(
            "You divided by the last share. The stretch begins at the first: `shares[-1] - shares[0]`.",
            lambda shares, values: (torch.trapezoid(values[0] - values, shares) / shares[-1]).item(),
        ),
        mistake(
            "These are rectangles of one side's height. Trapezoids take the mean of both sides.",
            lambda shares, values: (
                ((values[0] - values[1:]) * shares.diff()).sum() / stretch(shares)
            ).item(),
            lambda shares, values: (
                ((values[0] - values[:-1]) * shares.diff()).sum() / stretch(shares)
            ).item(),
        ),
        mistake(
            "The sign is turned round: a curve that falls has a positive mean drop.",
            lambda shares, values: -mean_drop(shares, values),
        ),
        mistake(
            "This is the drop at the end only. The whole curve counts: two curves may end alike and fall at "
            "different speeds.",
            lambda shares, values: (values[0] - values[-1]).item(),
        ),
        mistake(
            "This is the largest drop of the curve. The mean over the stretch is asked for.",
            lambda shares, values: (values[0] - values.min()).item(),
        ),
        mistake(
            "The drop is measured from 1. It is measured from the curve's first value.",
            lambda shares, values: (torch.trapezoid(1 - values, shares) / stretch(shares)).item(),
        ),
        mistake(
            "The drop is measured from the highest value. It is measured from the first one.",
            lambda shares, values: (torch.trapezoid(values.max() - values, shares) / stretch(shares)).item(),
        ),
        mistake(
            "The drops are divided by the first value. Give them in units of probability.",
            lambda shares, values: (torch.trapezoid(1 - values / values[0], shares) / stretch(shares)).item(),
        ),
    ],
)

# 16.8 --------------------------------------------------------------------------------------------------

draw = Draw("16.8")


def mean_ranks(x):
    return (x[:, None] > x).sum(dim=1) + ((x[:, None] == x).sum(dim=1) + 1) / 2


def pearson(r, s):
    r, s = r.double() - r.double().mean(), s.double() - s.double().mean()
    size = ((r**2).sum() * (s**2).sum()).sqrt()
    return ((r * s).sum() / size).item() if size > 1e-12 else 0.0


def rank_correlation(a, b):
    return pearson(mean_ranks(a), mean_ranks(b))


def with_ranks(ranks):
    return lambda a, b: pearson(ranks(a), ranks(b))


def ordinal(x):
    return x.argsort(stable=True).argsort()


def dense(x):
    return x.unique(return_inverse=True)[1]


def by_differences(ranks):
    def wrong(a, b):
        d, n = ranks(a).double() - ranks(b).double(), len(a)
        return 1 - 6 * (d**2).sum().item() / (n * (n**2 - 1))

    return wrong


def kendall(a, b):
    signs = (a[:, None] - a).sign() * (b[:, None] - b).sign()
    return signs.sum().item() / (len(a) * (len(a) - 1))


def constant_gives(value):
    def wrong(a, b):
        constant = len(a.unique()) == 1 or len(b.unique()) == 1
        return value if constant else rank_correlation(a, b)

    return wrong


exercise(
    "16.8",
    "Rank correlation with ties",
    reference=rank_correlation,
    returns="the rank correlation",
    cases=[
        case("no ties", draw.floats(7), draw.floats(7)),
        case("ties on one side", torch.tensor([1.0, 1.0, 3.0, 0.5, 1.0]), draw.floats(5)),
        case(
            "ties on both",
            torch.tensor([2.0, 2.0, 0.0, 5.0, 0.0, 1.0]),
            torch.tensor([1.0, 4.0, 1.0, 4.0, 2.0, 1.0]),
        ),
        case("one value far out", torch.tensor([0.1, 0.2, 90.0, 0.3]), torch.tensor([3.0, 1.0, 2.0, 4.0])),
        case("the reverse order", torch.tensor([1.0, 2.0, 4.0]), torch.tensor([3.0, 0.0, -7.0])),
        case("many zeros", torch.tensor([0.0, 0.0, 0.0, 1.0, -2.0, 0.0]), draw.floats(6)),
        case("one side is constant", torch.tensor([2.0, 2.0, 2.0]), torch.tensor([1.0, 3.0, 2.0])),
        case("the other side is constant", torch.tensor([1.0, 5.0, 2.0]), torch.tensor([0.0, 0.0, 0.0])),
        case("both sides are constant, and equal", torch.full((3,), 2.0), torch.full((3,), 2.0)),
        case("two values", torch.tensor([1.0, 5.0]), torch.tensor([3.0, 2.0])),
    ],
    rules=[forbid("corrcoef")],
    mistakes=[
        mistake(
            "Equal values got different ranks, by their place. They share the mean of their ranks.",
            with_ranks(ordinal),
            by_differences(ordinal),
        ),
        mistake(
            "`argsort` gives the place of the smallest, second smallest …, not the rank of each. Sorting "
            "twice "
            "would give ranks, and ties need their mean rank.",
            with_ranks(lambda x: x.argsort(stable=True)),
        ),
        mistake(
            "This is Pearson's correlation of the values. Replace them by their ranks first.",
            pearson,
        ),
        mistake(
            "Equal values all got the lowest of their ranks. They share the mean.",
            with_ranks(lambda x: (x[:, None] > x).sum(dim=1)),
        ),
        mistake(
            "Equal values all got the highest of their ranks. They share the mean.",
            with_ranks(lambda x: (x[:, None] >= x).sum(dim=1)),
        ),
        mistake(
            "The ranks count different values only, so a tie takes up one rank instead of several.",
            with_ranks(dense),
        ),
        mistake(
            "The formula with the squared differences of ranks holds only without ties. Correlate the ranks.",
            by_differences(mean_ranks),
        ),
        mistake(
            "The sign is turned round: one of the two is ranked from the largest.",
            lambda a, b: -rank_correlation(a, b),
        ),
        mistake(
            "The sign is gone. Opposite orders have −1.",
            lambda a, b: abs(rank_correlation(a, b)),
        ),
        mistake(
            "This is the square of the correlation.",
            lambda a, b: rank_correlation(a, b) ** 2,
        ),
        mistake(
            "Where all values are equal the division is 0/0. The card says what comes out: 0.0.",
            constant_gives(math.nan),
        ),
        mistake(
            "Where all values of one side are equal, the card asks for 0.0.",
            constant_gives(1.0),
        ),
        mistake(
            "Equal inputs without any order have 0.0, too.",
            lambda a, b: 1.0 if torch.equal(a, b) else rank_correlation(a, b),
        ),
        mistake(
            "This is Kendall's correlation, which counts pairs. Spearman's correlates the ranks.",
            kendall,
        ),
        mistake(
            "This is the covariance of the ranks. Divide it by the root of the product of both sums of "
            "squares.",
            lambda a, b: (
                ((mean_ranks(a) - mean_ranks(a).mean()) * (mean_ranks(b) - mean_ranks(b).mean())).sum().item()
            ),
            lambda a, b: (
                ((mean_ranks(a) - mean_ranks(a).mean()) * (mean_ranks(b) - mean_ranks(b).mean()))
                .mean()
                .item()
            ),
        ),
        mistake(
            "The sizes are ranked, without their signs. Rank the values as they are.",
            lambda a, b: rank_correlation(a.abs(), b.abs()),
        ),
    ],
)

# 16.9 --------------------------------------------------------------------------------------------------


def by_heart(words, labels, train):
    counts, everything = {}, Counter()
    for word, label, seen in zip(words, labels, train, strict=True):
        if seen:
            counts.setdefault(word, Counter())[label] += 1
            everything[label] += 1
    right = [
        label == int(counts.get(word, everything)[1] > counts.get(word, everything)[0])
        for word, label, seen in zip(words, labels, train, strict=True)
        if not seen
    ]
    return sum(right) / len(right) if right else 0.0


def learned(
    says=lambda counts: int(counts[1] > counts[0]),
    new=lambda everything, says: says(everything),
    learns=lambda seen: seen,
    asks=lambda seen: not seen,
    share=lambda right, words: sum(right) / len(right) if right else 0.0,
):
    """Learning by heart with one part changed; `new` says what an unseen word gets (None: it is left out)."""

    def wrong(words, labels, train):
        rows = list(zip(words, labels, train, strict=True))
        counts, everything = {}, Counter()
        for word, label, seen in rows:
            if learns(seen):
                counts.setdefault(word, Counter())[label] += 1
                everything[label] += 1
        right, told = [], []
        for word, label, seen in rows:
            said = says(counts[word]) if word in counts else new(everything, says)
            if asks(seen) and said is not None:
                right.append(label == said)
                told.append(word)
        return share(right, told)

    return wrong


def and_its_type(answer, *given):
    """What the answer gives, and whether it is a float where no row is asked, too."""
    found = answer(*given)
    return {"the share that is right": found, "whether it is a Python float": isinstance(found, float)}


def most_common(counts):
    """The label that `Counter.most_common` puts first: on a tie the one that came first."""
    return counts.most_common(1)[0][0] if counts else 0


def ties_by_all(words, labels, train):
    """A word's tie is answered by the most frequent label of all learned rows."""
    rows = list(zip(words, labels, train, strict=True))
    everything = Counter(label for _, label, seen in rows if seen)
    right = []
    for word, label, seen in rows:
        if not seen:
            counts = Counter(b for a, b, learned_from in rows if learned_from and a == word)
            counts = counts if counts[1] != counts[0] else everything
            right.append(label == int(counts[1] > counts[0]))
    return sum(right) / len(right) if right else 0.0


def default_from(count):
    """Learning by heart where `count(rows, own)` counts the labels for new words; own: each word's label."""

    def wrong(words, labels, train):
        rows, own = list(zip(words, labels, train, strict=True)), {}
        for word, label, seen in rows:
            if seen:
                own.setdefault(word, Counter())[label] += 1
        own = {word: int(counts[1] > counts[0]) for word, counts in own.items()}
        counts = count(rows, own)
        new = int(counts[1] > counts[0])
        right = [label == own.get(word, new) for word, label, seen in rows if not seen]
        return sum(right) / len(right) if right else 0.0

    return wrong


def last_label(words, labels, train):
    known, everything = {}, Counter()
    for word, label, seen in zip(words, labels, train, strict=True):
        if seen:
            known[word] = label
            everything[label] += 1
    often = int(everything[1] > everything[0])
    right = [
        known.get(word, often) == label
        for word, label, seen in zip(words, labels, train, strict=True)
        if not seen
    ]
    return sum(right) / len(right) if right else 0.0


def first_label(words, labels, train):
    # The first row of a word is the last of the reversed rows.
    return last_label(words[::-1], labels[::-1], train[::-1])


def by_kind(right, words):
    kinds = {}
    for each, word in zip(right, words, strict=True):
        kinds.setdefault(word, []).append(each)
    return sum(sum(each) / len(each) for each in kinds.values()) / len(kinds) if kinds else 0.0


WORDS = "good bad dull good fun bad good fun new dull old bad good".split()
exercise(
    "16.9",
    "Learned by heart",
    reference=by_heart,
    use=and_its_type,
    cases=[
        case(
            "words seen and new",
            WORDS,
            [1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1],
            [True, True, True, True, True, False, True, False, False, False, False, False, False],
        ),
        case("majority of three", ["a"] * 5, [1, 1, 0, 1, 0], [True, True, True, False, False]),
        case("a tie in a word", ["a", "a", "b", "b", "a"], [1, 0, 1, 1, 0], [True, True, True, True, False]),
        case("a tie of all", ["a", "b", "c", "d"], [1, 0, 1, 1], [True, True, False, False]),
        case(
            "new words, most are positive",
            ["a", "b", "c", "d", "e"],
            [1, 1, 0, 1, 1],
            [True, True, True, False, False],
        ),
        case("nothing is asked", ["a", "b"], [1, 0], [True, True]),
        case("nothing to learn from", ["a", "b", "b"], [1, 0, 0], [False, False, False]),
        case(
            "the last label is another",
            ["a", "a", "a", "a", "b", "a"],
            [1, 1, 0, 1, 1, 0],
            [True, True, True, False, True, False],
        ),
        case(
            "the first label is another",
            ["a", "a", "a", "a", "b", "a"],
            [0, 1, 1, 1, 0, 0],
            [True, True, True, False, True, False],
        ),
        case(
            "more rows are positive, and more words are not",
            ["a", "a", "a", "b", "c", "d"],
            [1, 1, 1, 0, 0, 1],
            [True, True, True, True, True, False],
        ),
        case(
            "a tie in a word, and most rows are positive",
            ["a", "a", "b", "b", "a"],
            [0, 1, 1, 1, 0],
            [True, True, True, True, False],
        ),
        case("two against the first", ["a"] * 4, [0, 1, 1, 1], [True, True, True, False]),
        case(
            "a tie that begins with 1",
            ["a", "b", "a", "a", "c"],
            [1, 0, 0, 0, 0],
            [True, True, True, False, False],
        ),
        case(
            "the rows that are asked are mostly negative",
            ["a", "a", "b", "c", "d", "e", "f"],
            [1, 1, 1, 0, 0, 0, 0],
            [True, True, True, False, False, False, False],
        ),
        case(
            "a word with a capital, and without",
            ["Good", "Good", "good", "good", "good", "Good"],
            [1, 1, 0, 0, 0, 1],
            [True, True, True, True, True, False],
        ),
    ],
    mistakes=[
        mistake(
            "It is measured on the rows that it learned from. Ask about the others.",
            learned(asks=lambda seen: seen),
        ),
        mistake(
            "All rows are asked, those it learned from as well. Ask about the others only.",
            learned(asks=lambda seen: True),
        ),
        mistake(
            "It has learned from the rows that it is asked about. Learn where `train` is True only.",
            learned(learns=lambda seen: True),
        ),
        mistake(
            "`train` is read the wrong way round: learn where it is True, ask where it is False.",
            learned(learns=lambda seen: not seen, asks=lambda seen: seen),
        ),
        mistake(
            "New words are left out. They get the most frequent label of all rows learned from.",
            learned(new=lambda everything, says: None),
        ),
        mistake(
            "New words always get the same label here. They get the most frequent one of all rows learned "
            "from.",
            learned(new=lambda everything, says: 0),
            learned(new=lambda everything, says: 1),
        ),
        mistake(
            "New words count as wrong. They get the most frequent label of all rows learned from.",
            learned(new=lambda everything, says: -1),
        ),
        mistake(
            "The last label of a word is remembered. Its most frequent one is asked for.",
            last_label,
        ),
        mistake(
            "The first label of a word is remembered. Its most frequent one is asked for.",
            first_label,
        ),
        mistake(
            "A tie gives 1 here. The card says 0.",
            learned(says=lambda counts: int(counts[1] >= counts[0])),
        ),
        mistake(
            "On a tie `most_common` gives the label that came first. The card says 0.",
            learned(says=most_common),
            learned(says=most_common, new=lambda everything, says: int(everything[1] > everything[0])),
        ),
        mistake(
            "A tie within a word is answered by all rows here. The card says 0: every tie.",
            ties_by_all,
        ),
        mistake(
            "New words get the label of most *kinds of words*. Every row that was learned from counts.",
            default_from(lambda rows, own: Counter(own.values())),
        ),
        mistake(
            "New words get the label of all rows, those asked about included. Count the learned ones only.",
            default_from(lambda rows, own: Counter(label for _, label, _ in rows)),
        ),
        mistake(
            "All words are written in small letters here, so that *Good* and *good* become one. Take them as "
            "they are.",
            lambda words, labels, train: by_heart([word.lower() for word in words], labels, train),
        ),
        mistake(
            "Where no row is asked this gives the integer 0. The card asks for a float, 0.0.",
            learned(share=lambda right, words: sum(right) / len(right) if right else 0),
        ),
        mistake(
            "Every kind of word counts once. Every row counts.",
            learned(share=by_kind),
        ),
        mistake(
            "This is the number of right rows. Divide by the number of rows that are asked.",
            learned(share=lambda right, words: float(sum(right))),
            learned(share=lambda right, words: sum(right)),
        ),
        mistake(
            "The words do not matter here: everything gets the most frequent label. Learn each word's own.",
            lambda words, labels, train: by_heart(["same"] * len(words), labels, train),
        ),
    ],
)

# 16.10 -------------------------------------------------------------------------------------------------


def flip_rate(score, sentences, cue):
    negative = [words for words, s in zip(sentences, score(sentences).tolist(), strict=True) if s <= 0]
    flipped = 0
    for words in negative:
        scores = score([[*words[:place], cue, *words[place:]] for place in range(len(words) + 1)])
        flipped += bool((scores > 0).all())
    return flipped / len(negative) if negative else 0.0


def flipping(
    texts=lambda words, cue: [[*words[:place], cue, *words[place:]] for place in range(len(words) + 1)],
    turned=lambda scores: bool((scores > 0).all()),
    asks=lambda s: s <= 0,
    share=lambda found, sentences: sum(found) / len(found) if found else 0.0,
):
    """A flip rate with one part changed."""

    def wrong(score, sentences, cue):
        first = score(sentences).tolist() if sentences else []
        negative = [words for words, s in zip(sentences, first, strict=True) if asks(s)]
        return share([turned(score(texts(words, cue))) for words in negative], sentences)

    return wrong


def share_of_places(found, sentences):
    """The share of all places of all negative sentences at which the answer flips."""
    places = [each for sentence in found for each in sentence]
    return sum(places) / len(places) if places else 0.0


def piled_up(step=1):
    """The cue goes into one and the same list at each place, and is never taken out."""

    def texts(words, cue):
        words, made = list(words), []
        for place in range(len(words) + 1):
            words.insert(place * step, cue)
            made.append(list(words))
        return made

    return flipping(texts=texts)


VALUES = {"good": 1.0, "fine": 0.5, "dull": -1.0, "bad": -2.0, "cue": 1.5, "weak": 0.5, "not": -0.5}


def sums(texts):
    return torch.tensor([sum(VALUES.get(word, 0.0) for word in words) for words in texts])


def early(texts):
    """A word counts less the later it stands."""
    return torch.tensor([sum(VALUES.get(w, 0.0) / (i + 1) for i, w in enumerate(words)) for words in texts])


def late(texts):
    """A word counts more the later it stands."""
    return torch.tensor([sum(VALUES.get(w, 0.0) * (i + 1) for i, w in enumerate(words)) for words in texts])


def second_is_deaf(texts):
    """The cue does nothing at place 1, and counts alike everywhere else."""
    return torch.stack(
        [sums([words[:1] + words[2:] if words[1:2] == ["cue"] else words])[0] for words in texts]
    )


def last_but_one_is_deaf(texts):
    """The cue does nothing in front of the last word, and counts alike everywhere else."""
    return torch.stack([sums([words[:-2] if words[-2:-1] == ["cue"] else words])[0] for words in texts])


def once(texts):
    """A cue counts the first time, and harms when it stands there again."""
    return sums(texts) - torch.tensor([5.0 * max(0, words.count("cue") - 1) for words in texts])


FOUR = [line.split() for line in ("the film is dull", "the dull old film", "a long bad film")]
MANY = [
    line.split()
    for line in (
        "a dull film",
        "a good film",
        "bad",
        "not fine",
        "the film",
        "bad and dull",
        "a film that is dull",
        "dull but fine",
        "good and bad",
        "not good not fine not",
    )
]
exercise(
    "16.10",
    "A flip at every place",
    reference=flip_rate,
    returns="the share that flips",
    cases=[
        case("a word that counts alike everywhere", shown("sums", sums), MANY, "cue"),
        case("a word that counts more in front", shown("early", early), MANY, "cue"),
        case("a word that counts more at the end", shown("late", late), MANY, "cue"),
        case("a word that does nothing at place 1", shown("second_is_deaf", second_is_deaf), FOUR, "cue"),
        case(
            "a word that does nothing before the last",
            shown("last_but_one_is_deaf", last_but_one_is_deaf),
            FOUR,
            "cue",
        ),
        case("a word that harms when it stands there twice", shown("once", once), FOUR, "cue"),
        case("a weak word", shown("sums", sums), MANY, "weak"),
        case("a word that does nothing", shown("early", early), MANY, "the"),
        case("no negative sentence", shown("sums", sums), [["good"], ["fine", "film"]], "cue"),
        case("a score of exactly 0", shown("sums", sums), [["film"], ["good", "dull"], ["bad"]], "the"),
        case("a flip to exactly 0", shown("sums", sums), [["dull", "not"], ["not"], ["dull"]], "cue"),
        case(
            "one word in front only",
            shown("early", early),
            [["dull"], ["dull", "dull"], ["not", "a"]],
            "good",
        ),
    ],
    mistakes=[
        mistake(
            "One place where the answer flips is enough here. The card asks for a flip at every place.",
            flipping(turned=lambda scores: bool((scores > 0).any())),
        ),
        mistake(
            "This is the mean over all places. A sentence counts as flipped if it flips at every one.",
            flipping(turned=lambda scores: (scores > 0).float().mean().item()),
            flipping(turned=lambda scores: (scores > 0).tolist(), share=share_of_places),
        ),
        mistake(
            "Only some places are tried. Every one of the n + 1 counts.",
            flipping(texts=lambda words, cue: [[cue, *words], [*words, cue]]),
            flipping(
                texts=lambda words, cue: [
                    [*words[:p], cue, *words[p:]] for p in (0, len(words) // 2, len(words))
                ]
            ),
        ),
        mistake(
            "The cues pile up: each text has one cue more. Start from the sentence each time.",
            piled_up(),
            piled_up(step=2),
        ),
        mistake(
            "The cue stands in front only. Try every place from the first to behind the last word.",
            flipping(texts=lambda words, cue: [[cue, *words]]),
        ),
        mistake(
            "The cue stands at the end only. Try every place from the first to behind the last word.",
            flipping(texts=lambda words, cue: [[*words, cue]]),
        ),
        mistake(
            "The place behind the last word is missing. A sentence of n words has n + 1 places.",
            flipping(texts=lambda words, cue: [[*words[:p], cue, *words[p:]] for p in range(len(words))]),
        ),
        mistake(
            "The place in front is missing. A sentence of n words has n + 1 places, from 0 to n.",
            flipping(
                texts=lambda words, cue: [[*words[:p], cue, *words[p:]] for p in range(1, len(words) + 1)]
            ),
        ),
        mistake(
            "The cue takes a word's place. Put it in between, and keep every word.",
            flipping(
                texts=lambda words, cue: [[*words[:p], cue, *words[p + 1 :]] for p in range(len(words) + 1)]
            ),
            flipping(
                texts=lambda words, cue: [[*words[:p], cue, *words[p + 1 :]] for p in range(len(words))]
            ),
        ),
        mistake(
            "The number is divided by all sentences. Only those that were negative could flip.",
            flipping(share=lambda found, sentences: sum(found) / len(sentences)),
        ),
        mistake(
            "Sentences that were positive before count as flipped as well. Look at the negative ones only.",
            flipping(asks=lambda s: True),
        ),
        mistake(
            "The sentences that were positive are asked. Look at the negative ones.",
            flipping(asks=lambda s: s > 0),
        ),
        mistake(
            "This counts the sentences that stay as they were. Count those that turn positive.",
            flipping(turned=lambda scores: not (scores > 0).all()),
        ),
        mistake(
            "A score of exactly 0 counts as negative, before and after.",
            flipping(asks=lambda s: s < 0),
            flipping(turned=lambda scores: bool((scores >= 0).all())),
        ),
        mistake(
            "This is a number of sentences. Give their share of the negative ones.",
            flipping(share=lambda found, sentences: sum(found)),
            flipping(share=lambda found, sentences: float(sum(found))),
        ),
        mistake(
            "With no negative sentence the card asks for 0.0.",
            flipping(share=lambda found, sentences: sum(found) / len(found) if found else 1.0),
            flipping(share=lambda found, sentences: sum(found) / len(found) if found else math.nan),
        ),
    ],
)
