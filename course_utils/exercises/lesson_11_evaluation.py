"""Exercises of lesson 11, evaluation: their references, inputs and typical mistakes."""

import itertools
import math
import re
from collections import Counter

import torch
from torch.nn.functional import cross_entropy

from course_utils.checks.exercise import Draw, case, exercise, mistake, shown

# 11.1 --------------------------------------------------------------------------------------------------

draw = Draw("11.1")


def confusion_matrix(truth, predicted, classes):
    return (truth * classes + predicted).bincount(minlength=classes**2).view(classes, classes)


def counted_once(truth, predicted, classes):
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    matrix[truth, predicted] += 1
    return matrix


def found_classes_only(truth, predicted, classes):
    found = torch.cat([truth, predicted]).unique()
    return confusion_matrix(truth, predicted, classes)[found][:, found]


exercise(
    "11.1",
    "A confusion matrix",
    reference=confusion_matrix,
    returns="the matrix",
    cases=[
        case("three classes", draw.integers(3, 12), draw.integers(3, 12), 3),
        case("two classes", draw.integers(2, 20), draw.integers(2, 20), 2),
        case("a class that nobody has or says", torch.tensor([0, 0, 2, 2]), torch.tensor([0, 2, 2, 2]), 4),
        case("one row", torch.tensor([1]), torch.tensor([0]), 2),
        case("all right", torch.tensor([2, 0, 1, 1]), torch.tensor([2, 0, 1, 1]), 3),
        case("many rows", draw.integers(5, 300), draw.integers(5, 300), 5),
    ],
    mistakes=[
        mistake(
            "Rows and columns are swapped. Here a row is the true class, a column what was said.",
            lambda truth, predicted, classes: confusion_matrix(predicted, truth, classes),
        ),
        mistake(
            "Every cell holds at most 1: `matrix[truth, predicted] += 1` adds once for each *different* "
            "place, however often it occurs. Count with a loop, `bincount` or `index_put_(accumulate=True)`.",
            counted_once,
            lambda truth, predicted, classes: counted_once(truth, predicted, classes).T,
        ),
        mistake(
            "Those are shares; counts are asked for, integers.",
            lambda truth, predicted, classes: confusion_matrix(truth, predicted, classes) / len(truth),
            lambda truth, predicted, classes: (
                confusion_matrix(truth, predicted, classes)
                / confusion_matrix(truth, predicted, classes).sum(dim=1, keepdim=True).clamp(min=1)
            ),
        ),
        mistake(
            "The matrix has a row and a column for each of the `classes`, also for those that do not occur.",
            found_classes_only,
            lambda truth, predicted, classes: confusion_matrix(
                truth, predicted, int(torch.cat([truth, predicted]).max()) + 1
            ),
        ),
        mistake(
            "Only the diagonal is filled. What was said wrongly is counted too, off the diagonal.",
            lambda truth, predicted, classes: confusion_matrix(truth, predicted, classes).diagonal().diag(),
        ),
        mistake(
            "The counts are right and of another dtype; integers (int64) are asked for.",
            lambda truth, predicted, classes: confusion_matrix(truth, predicted, classes).float(),
            lambda truth, predicted, classes: confusion_matrix(truth, predicted, classes).double(),
            lambda truth, predicted, classes: confusion_matrix(truth, predicted, classes).int(),
        ),
    ],
)

# 11.2 --------------------------------------------------------------------------------------------------

draw = Draw("11.2")


def share(part, whole):
    """part / whole, and 0 where whole is 0."""
    return torch.where(whole > 0, part / whole.clamp(min=1), 0.0)


def scores(matrix):
    right, true, said = matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)
    f1 = share(2 * right, true + said)
    return {
        "accuracy": (right.sum() / matrix.sum()).item(),
        "precision": share(right, said),
        "recall": share(right, true),
        "f1": f1,
        "macro f1": f1.mean().item(),
        "weighted f1": (f1 * true).sum().item() / matrix.sum().item(),
    }


def changed(**values):
    """`scores` with some items replaced by functions of (matrix, right scores)."""

    def wrong(matrix):
        found = scores(matrix)
        return found | {name.replace("_", " "): value(matrix, found) for name, value in values.items()}

    return wrong


def without_zero(matrix):
    right, true, said = matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)
    f1 = 2 * right / (true + said)
    precision, recall = right / said, right / true
    return {
        "accuracy": (right.sum() / matrix.sum()).item(),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "macro f1": f1.mean().item(),
        "weighted f1": (f1 * true).sum().item() / matrix.sum().item(),
    }


def from_both(matrix):
    """F1 as the harmonic mean of precision and recall, which is 0/0 where both are 0."""
    right, true, said = matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)
    precision, recall = share(right, said), share(right, true)
    f1 = 2 * precision * recall / (precision + recall)
    return scores(matrix) | {
        "f1": f1,
        "macro f1": f1.mean().item(),
        "weighted f1": (f1 * true).sum().item() / matrix.sum().item(),
    }


def means(matrix):
    """F1 as the plain mean of precision and recall."""
    found = scores(matrix)
    f1 = (found["precision"] + found["recall"]) / 2
    weighted = (f1 * matrix.sum(dim=1)).sum().item() / matrix.sum().item()
    return found | {"f1": f1, "macro f1": f1.mean().item(), "weighted f1": weighted}


def of_means(matrix, found):
    p, r = found["precision"].mean().item(), found["recall"].mean().item()
    return 2 * p * r / (p + r) if p + r else 0.0


def occurring(matrix, found):
    return found["f1"][matrix.sum(dim=1) > 0].mean().item()


def by_predictions(matrix, found):
    return (found["f1"] * matrix.sum(dim=0)).sum().item() / matrix.sum().item()


exercise(
    "11.2",
    "Scores from the matrix",
    reference=scores,
    returns="the scores",
    cases=[
        case("two classes", torch.tensor([[8, 2], [1, 4]])),
        case("a class that is never said", torch.tensor([[5, 0, 1], [2, 0, 2], [0, 0, 3]])),
        case("a class that never occurs", torch.tensor([[4, 1, 2], [0, 0, 0], [1, 1, 6]])),
        case("a class that is in neither", torch.tensor([[4, 0, 2], [0, 0, 0], [3, 0, 1]])),
        case("a class that is said and never right", torch.tensor([[3, 2], [4, 0]])),
        case("five classes", draw.integers(30, 5, 5)),
        case("one class is rare", torch.tensor([[95, 1], [3, 1]])),
        case("a class of one row, found", torch.tensor([[4, 0, 2], [0, 1, 0], [1, 0, 3]])),
    ],
    mistakes=[
        mistake(
            "Precision and recall are swapped. Precision asks what was *said* (a column), recall what is "
            "*true* (a row).",
            lambda matrix: (
                scores(matrix)
                | {"precision": scores(matrix)["recall"], "recall": scores(matrix)["precision"]}
            ),
        ),
        mistake(
            "The matrix is read the wrong way round: a row is the true class. Precision and recall change "
            "places, and the weights of the weighted F1 with them.",
            lambda matrix: scores(matrix.T),
        ),
        mistake(
            "There is NaN where a class never occurs or is never said. The card says what 0/0 is: 0.",
            without_zero,
            from_both,
        ),
        mistake(
            "This is the plain mean of precision and recall. F1 is their harmonic mean, 2PR / (P + R).",
            means,
        ),
        mistake(
            "Your macro F1 is made of the mean precision and the mean recall. It is the mean of the classes' "
            "F1.",
            changed(macro_f1=of_means),
        ),
        mistake(
            "Your macro F1 leaves out classes that do not occur. Every class of the matrix counts alike.",
            changed(macro_f1=occurring),
        ),
        mistake(
            "Your macro F1 leaves out the classes whose F1 is 0. They count, too.",
            changed(
                macro_f1=lambda matrix, found: (
                    found["f1"].sum().item() / max(1, found["f1"].count_nonzero().item())
                )
            ),
        ),
        mistake(
            "Your weighted F1 weights each class by how often it is said. Weight it by how often it is true.",
            changed(weighted_f1=by_predictions),
        ),
        mistake(
            "Your accuracy is the mean recall of the classes (balanced accuracy). Accuracy is the share of "
            "all rows that is right.",
            changed(accuracy=lambda matrix, found: found["recall"].mean().item()),
        ),
        mistake(
            "Your accuracy is a count. Divide it by the number of rows, the sum of the whole matrix.",
            changed(accuracy=lambda matrix, found: matrix.diagonal().sum().item()),
        ),
        mistake(
            "The weighted F1 stands in place of the macro F1: the macro F1 counts every class alike.",
            changed(macro_f1=lambda matrix, found: found["weighted f1"]),
        ),
    ],
)

# 11.3 --------------------------------------------------------------------------------------------------

draw = Draw("11.3")


def accuracy(truth, predicted):
    return (truth == predicted).float().mean().item()


def macro_f1(truth, predicted):
    return scores(confusion_matrix(truth, predicted, 3))["macro f1"]


def recall_of_1(truth, predicted):
    return (predicted[truth == 1] == 1).float().sum().item() / max(1, (truth == 1).sum().item())


def ends(values, low=0.025, high=0.975):
    return tuple(torch.tensor(values).quantile(torch.tensor([low, high])).tolist())


def paired_interval(score, truth, a, b, picks):
    return ends([score(truth[pick], a[pick]) - score(truth[pick], b[pick]) for pick in picks])


def interval_with(difference, low=0.025, high=0.975):
    """The interval of `difference(score, truth, a, b, pick, other pick)` over the draws."""

    def wrong(score, truth, a, b, picks):
        others = picks.flip(0)
        return ends(
            [difference(score, truth, a, b, pick, other) for pick, other in zip(picks, others, strict=True)],
            low,
            high,
        )

    return wrong


def gain(score, truth, a, b, pick, other):
    return score(truth[pick], a[pick]) - score(truth[pick], b[pick])


def normal_interval(divide):
    """The mean plus and minus 1.96 standard deviations, or standard errors over the draws."""

    def wrong(score, truth, a, b, picks):
        found = torch.tensor([gain(score, truth, a, b, pick, None) for pick in picks])
        half = 1.96 * found.std().item() / (len(picks) ** 0.5 if divide else 1)
        return found.mean().item() - half, found.mean().item() + half

    return wrong


def two_intervals(score, truth, a, b, picks):
    first = ends([score(truth[pick], a[pick]) for pick in picks])
    second = ends([score(truth[pick], b[pick]) for pick in picks])
    return first[0] - second[1], first[1] - second[0]


def end_by_end(score, truth, a, b, picks):
    first = ends([score(truth[pick], a[pick]) for pick in picks])
    second = ends([score(truth[pick], b[pick]) for pick in picks])
    return first[0] - second[0], first[1] - second[1]


def by_rank(low, high):
    """The interval out of the sorted differences: those at the places `low(n)` and `high(n)`, of n."""

    def wrong(score, truth, a, b, picks):
        found = sorted(gain(score, truth, a, b, pick, None) for pick in picks)
        return found[low(len(found))], found[min(high(len(found)), len(found) - 1)]

    return wrong


def interpolated(how):
    def wrong(score, truth, a, b, picks):
        found = torch.tensor([gain(score, truth, a, b, pick, None) for pick in picks])
        return tuple(found.quantile(share, interpolation=how).item() for share in (0.025, 0.975))

    return wrong


def answers(right, rows):
    """Truth of three classes, and two lists of answers that are right on about these shares."""
    truth = draw.integers(3, rows)
    given = [
        torch.where(draw.integers(100, rows) < 100 * part, truth, draw.integers(3, rows)) for part in right
    ]
    return truth, *given


exercise(
    "11.3",
    "A paired interval of any score",
    reference=paired_interval,
    returns=("the low end", "the high end"),
    cases=[
        case("accuracy", shown("accuracy", accuracy), *answers([0.8, 0.6], 40), draw.integers(40, 60, 40)),
        case("macro F1", shown("macro_f1", macro_f1), *answers([0.7, 0.5], 30), draw.integers(30, 50, 30)),
        case(
            "the second is better",
            shown("accuracy", accuracy),
            *answers([0.3, 0.8], 25),
            draw.integers(25, 50, 25),
        ),
        case(
            "recall", shown("recall_of_1", recall_of_1), *answers([0.7, 0.4], 24), draw.integers(24, 40, 24)
        ),
        case("three draws", shown("accuracy", accuracy), *answers([0.8, 0.4], 12), draw.integers(12, 3, 12)),
    ],
    mistakes=[
        mistake(
            "The two models are measured on different draws, so this is not paired. Take the same rows for "
            "both.",
            interval_with(
                lambda score, truth, a, b, pick, other: (
                    score(truth[pick], a[pick]) - score(truth[other], b[other])
                )
            ),
        ),
        mistake(
            "This is b − a. The card asks for a's score minus b's.",
            interval_with(
                lambda score, truth, a, b, pick, other: (
                    score(truth[pick], b[pick]) - score(truth[pick], a[pick])
                )
            ),
        ),
        mistake(
            "The size of the difference is left, its sign is gone: no absolute values here.",
            interval_with(lambda *given: abs(gain(*given))),
        ),
        mistake(
            "These are the quantiles of another interval. 95 % in the middle leaves 2.5 % on either side.",
            interval_with(gain, 0.05, 0.95),
            interval_with(gain, 0.0, 0.95),
            interval_with(gain, 0.05, 1.0),
            interval_with(gain, 0.005, 0.995),
        ),
        mistake(
            "These are the smallest and the largest difference. Take the quantiles 0.025 and 0.975.",
            interval_with(gain, 0.0, 1.0),
        ),
        mistake(
            "Truth stays as it was while the answers are drawn anew, so they no longer belong together. Pick "
            "the rows of all three.",
            interval_with(
                lambda score, truth, a, b, pick, other: score(truth, a[pick]) - score(truth, b[pick])
            ),
        ),
        mistake(
            "You took one interval for each model and put their ends together. Take the difference in every "
            "draw first, then the quantiles.",
            two_intervals,
            end_by_end,
        ),
        mistake(
            "The difference is the same in every draw: the picks are not used.",
            interval_with(lambda score, truth, a, b, pick, other: score(truth, a) - score(truth, b)),
        ),
        mistake(
            "Mean ± 1.96 standard deviations supposes a bell curve. The card asks for the quantiles of the "
            "draws.",
            normal_interval(False),
        ),
        mistake(
            "You divided by the root of the number of draws: with more draws the interval would shrink to "
            "nothing. The spread of the draws itself is the answer, by its quantiles.",
            normal_interval(True),
        ),
        mistake(
            "This is the interval of the first model alone. Take its score minus the second's.",
            interval_with(lambda score, truth, a, b, pick, other: score(truth[pick], a[pick])),
        ),
        mistake(
            "The two ends are swapped: first the quantile 0.025, then 0.975.",
            lambda *given: paired_interval(*given)[::-1],
        ),
        mistake(
            "You pick a difference that occurs. `torch.quantile` interpolates between the two nearest, and "
            "the card asks for its numbers.",
            by_rank(lambda n: int(0.025 * n), lambda n: int(0.975 * n)),
            by_rank(lambda n: int(0.025 * n), lambda n: int(0.975 * n) - 1),
            by_rank(lambda n: round(0.025 * n), lambda n: round(0.975 * n)),
            *[interpolated(how) for how in ("nearest", "lower", "higher", "midpoint")],
        ),
        mistake(
            "You gave `score` its arguments in the other order: it is `score(truth, predicted)`.",
            interval_with(
                lambda score, truth, a, b, pick, other: (
                    score(a[pick], truth[pick]) - score(b[pick], truth[pick])
                )
            ),
        ),
        mistake(
            "You took the columns of `picks` for the draws. Each of its rows is one.",
            lambda score, truth, a, b, picks: paired_interval(score, truth, a, b, picks.T),
        ),
    ],
)

# 11.4 --------------------------------------------------------------------------------------------------


def shingles_of(text, size):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}


def near_duplicates(texts, size, least):
    sets = [shingles_of(text, size) for text in texts]
    return [
        (i, j)
        for i, j in itertools.combinations(range(len(sets)), 2)
        if len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= least
    ]


def pairs_with(cut=None, alike=None, exact=False):
    """Pairs by other shingles or another likeness; `exact`: above `least`, not at it."""

    def wrong(texts, size, least):
        sets = [cut(text, size) if cut else shingles_of(text, size) for text in texts]
        found = []
        for i, j in itertools.combinations(range(len(sets)), 2):
            a, b = sets[i], sets[j]
            value = alike(a, b) if alike else len(a & b) / max(1, len(a | b))
            if value > least or (value == least and not exact):
                found.append((i, j))
        return found

    return wrong


def words_of(text):
    return re.findall(r"\w+", text.lower())


def only_full(text, size):
    words = words_of(text)
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def one_less(text, size):
    words = words_of(text)
    return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size))}


def apart(text, size):
    words = words_of(text)
    return {tuple(words[i : i + size]) for i in range(0, max(1, len(words)), size)}


def cased(text, size):
    words = re.findall(r"\w+", text)
    return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}


def by_space(text, size):
    words = text.lower().split()
    return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}


def counted(a, b):
    return 2 * len(a & b) / (len(a) + len(b))


def with_lists(likeness):
    """Pairs by `likeness` of the lists of shingles, in which a repeated one stands several times."""

    def cut(text, size):
        words = words_of(text)
        return [tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))]

    return pairs_with(cut=cut, alike=likeness)


def of_lists(a, b):
    return len([s for s in a if s in b]) / len(a + [s for s in b if s not in a])


def of_counters(a, b):
    return (Counter(a) & Counter(b)).total() / (Counter(a) | Counter(b)).total()


def of_lengths(a, b):
    both = len(set(a) & set(b))
    return both / (len(a) + len(b) - both)


def of_joined(text, size):
    return {"".join(shingle) for shingle in shingles_of(text, size)}


def without_order(text, size):
    return {tuple(sorted(shingle)) for shingle in shingles_of(text, size)}


def without_marks(text, size):
    words = re.sub(r"[^\w\s]", "", text.lower()).split()
    return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}


def with_short_ends(text, size):
    words = words_of(text)
    return {tuple(words[i : i + size]) for i in range(len(words))}


def single_if_short(text, size):
    words = words_of(text)
    return shingles_of(text, size) if len(words) >= size else {(word,) for word in words}


PRESS = [
    "Shares rose sharply on Monday after the bank raised its forecast for the year.",
    "Shares rose sharply on Monday, after the bank RAISED its forecast for the year!",
    "Shares fell sharply on Monday after the bank raised its forecast for the year.",
    "The striker scored twice before half time and the visitors never came back.",
    "Shares rose sharply on Monday after the bank raised its forecast for the year. Analysts had expected "
    "less, and the price of oil did the rest.",
]
TURNED = ["the year for the bank raised its forecast", "the bank raised its forecast for the year", "a goal"]
SHORT = ["More to follow", "more to follow.", "No comment", "More to follow soon"]
EQUAL = ["one two three four", "one two three five", "six two three four"]

exercise(
    "11.4",
    "Near-duplicates by shingles",
    reference=near_duplicates,
    returns="the pairs",
    cases=[
        case("news, three words each, half shared", PRESS, 3, 0.5),
        case("news, a third shared", PRESS, 2, 0.3),
        case("the same words in another order", TURNED, 3, 0.5),
        case("shorter than a shingle", SHORT, 5, 0.9),
        case("short ones with the same end", ["More to follow", "to follow", "follow"], 5, 0.3),
        case("exactly at the limit", EQUAL, 2, 0.5),
        case("nothing alike", PRESS[2:4], 3, 0.2),
        case("the last words differ", ["a b c d e f", "a b c d e g", "h b c d e f"], 3, 0.6),
        case(
            "only a comma differs", ["rain , wind and snow", "rain, wind and snow", "rain wind, snow"], 2, 0.9
        ),
        case("repeated words", ["rain rain rain rain", "rain rain"], 1, 0.9),
        case("a word in two", ["to day", "today"], 2, 0.5),
        case("a quote", ["a b c d", "a b c d e f g h i j"], 3, 0.5),
        case("a quote stands behind", ["a b c d e f g h i j", "a b c d"], 3, 0.5),
        case("half of it rewritten", ["a b c d e f", "a b c d x y"], 2, 0.55),
        case("a word put in front", ["late a b c d e f g h i", "a b c d e f g h i"], 3, 0.6),
        case("a word three times over", ["rain rain rain wind", "rain sun"], 1, 0.5),
        case("hyphen and apostrophe", ["the bank's well-known fund", "the bank s well known fund"], 2, 0.9),
    ],
    mistakes=[
        mistake(
            "Capital letters make a difference to you. Lower-case the texts first.",
            pairs_with(cut=cased),
        ),
        mistake(
            'Punctuation sticks to your words (`monday,`). Take the words by re.findall(r"\\w+", …).',
            pairs_with(cut=by_space),
            pairs_with(cut=lambda text, size: by_space(text.replace(".", ""), size)),
        ),
        mistake(
            "You compare single words, so their order is lost. A shingle is `size` words in a row.",
            pairs_with(cut=lambda text, size: set(words_of(text))),
        ),
        mistake(
            "You divide by the smaller set. Then a text is a duplicate of whatever quotes it; Jaccard "
            "divides by the union.",
            pairs_with(alike=lambda a, b: len(a & b) / min(len(a), len(b))),
        ),
        mistake(
            "You divide by the sizes of both sets, in which shared shingles count twice. Jaccard divides by "
            "the union.",
            pairs_with(alike=counted),
            pairs_with(alike=lambda a, b: len(a & b) / (len(a) + len(b))),
        ),
        mistake("A pair exactly at `least` belongs to the result: `>=`.", pairs_with(exact=True)),
        mistake(
            "A text of fewer words than a shingle has none here, so it is found nowhere. It has one: all its "
            "words.",
            pairs_with(cut=only_full),
        ),
        mistake(
            "The last shingle of each text is missing: there are n − size + 1.", pairs_with(cut=one_less)
        ),
        mistake(
            "Your shingles do not overlap. One begins at every word, so that a word put in front moves none "
            "out of step.",
            pairs_with(cut=apart),
        ),
        mistake(
            "Every pair is there twice, or a text with itself. Give (i, j) with i < j only.",
            lambda texts, size, least: sorted(
                near_duplicates(texts, size, least) + [(j, i) for i, j in near_duplicates(texts, size, least)]
            ),
            lambda texts, size, least: sorted(
                near_duplicates(texts, size, least) + [(i, i) for i in range(len(texts))]
            ),
        ),
        mistake(
            "Only texts beside one another are compared. Every pair can be alike.",
            lambda texts, size, least: [(i, j) for i, j in near_duplicates(texts, size, least) if j == i + 1],
        ),
        mistake(
            "Your shingles are made of letters. They are made of words.",
            pairs_with(
                cut=lambda text, size: {text.lower()[i : i + size] for i in range(len(text) - size + 1)}
            ),
        ),
        mistake(
            "Repeated shingles count several times. A text's shingles are a set: each counts once.",
            with_lists(of_lists),
            with_lists(of_counters),
            with_lists(of_lengths),
        ),
        mistake(
            'The words of a shingle are joined without a space, so "to day" is "today". Take a tuple.',
            pairs_with(cut=of_joined),
        ),
        mistake(
            "The words inside a shingle have lost their order. Take a tuple of them, as they stand.",
            pairs_with(cut=without_order),
        ),
        mistake(
            "You delete the punctuation and split at spaces, which glues together what a hyphen or an "
            "apostrophe parts. "
            'Take the words by re.findall(r"\\w+", …).',
            pairs_with(cut=without_marks),
        ),
        mistake(
            "At the end of a text your shingles get shorter than `size`. Only a text with fewer words has a "
            "shorter one.",
            pairs_with(cut=with_short_ends),
        ),
        mistake(
            "A text with fewer words than a shingle has one shingle, all its words; you took each as one.",
            pairs_with(cut=single_if_short),
        ),
        mistake(
            "You divide by the size of one of the two sets, the first, the second or the larger. Jaccard "
            "divides by the union.",
            pairs_with(alike=lambda a, b: len(a & b) / len(a)),
            pairs_with(alike=lambda a, b: len(a & b) / len(b)),
            pairs_with(alike=lambda a, b: len(a & b) / max(len(a), len(b))),
        ),
    ],
)

# 11.5 --------------------------------------------------------------------------------------------------

draw = Draw("11.5")


def calibration_error(probabilities, truth, bins):
    sure, said = probabilities.max(dim=1)
    right = (said == truth).float()
    place = (sure * bins).long().clamp(max=bins - 1)
    gaps = [abs((sure[place == i] - right[place == i]).sum()) for i in range(bins)]
    return (sum(gaps) / len(truth)).item()


def error_with(sure=None, right=None, gap=None, weight=None, inside=None):
    """The calibration error with another confidence, another hit, or another sum over the bins."""

    def wrong(probabilities, truth, bins):
        p, said = probabilities.max(dim=1)
        p = sure(probabilities, truth) if sure else p
        hit = right(probabilities, truth) if right else (said == truth).float()
        total, used = 0.0, 0
        for i in range(bins):
            low, high = i / bins, (i + 1) / bins
            chosen = inside(p, low, high) if inside else (p >= low) & ((p < high) | (i == bins - 1))
            if chosen.any():
                difference = (p[chosen].mean() - hit[chosen].mean()).item()
                total += (gap(difference) if gap else abs(difference)) * (
                    weight(chosen) if weight else chosen.float().mean().item()
                )
                used += 1
        return total / used if weight and used else total

    return wrong


def worst_gap(probabilities, truth, bins):
    sure, said = probabilities.max(dim=1)
    right = (said == truth).float()
    place = (sure * bins).long().clamp(max=bins - 1)
    return max(
        abs(sure[place == i].mean() - right[place == i].mean()).item()
        for i in range(bins)
        if (place == i).any()
    )


def empty_bins(probabilities, truth, bins):
    sure, said = probabilities.max(dim=1)
    right = (said == truth).float()
    place = (sure * bins).long().clamp(max=bins - 1)
    found = [
        (place == i).float().mean() * abs(sure[place == i].mean() - right[place == i].mean())
        for i in range(bins)
    ]
    return sum(found).item()


def placed(place):
    """The calibration error whose rows are in the bins `place(confidence, bins, probabilities)`."""

    def wrong(probabilities, truth, bins):
        sure, said = probabilities.max(dim=1)
        right, found = (said == truth).float(), place(sure, bins, probabilities)
        return sum(abs((sure[found == i] - right[found == i]).sum().item()) for i in found.unique()) / len(
            truth
        )

    return wrong


def by_uniform(sure, bins, probabilities):
    least = 1 / probabilities.shape[1]
    return ((sure - least) / (1 - least) * bins).long().clamp(0, bins - 1)


def equally_full(sure, bins, probabilities):
    place = torch.zeros(len(sure), dtype=torch.int64)
    for number, rows in enumerate(sure.argsort().chunk(bins)):
        place[rows] = number
    return place


def from_the_middle(probabilities, truth, bins):
    sure, said = probabilities.max(dim=1)
    right = (said == truth).float()
    place = (sure * bins).long().clamp(max=bins - 1)
    return sum(
        abs(((place[place == i] + 0.5) / bins - right[place == i]).sum().item()) for i in range(bins)
    ) / len(truth)


def honest(rows, classes):
    """Probabilities, and a truth drawn from them: the gaps of the bins have either sign."""
    logits = 1.5 * draw.floats(rows, classes)
    uniform = (draw.integers(10**6, rows, classes) + 0.5) / 10**6
    return logits.softmax(dim=1), (logits - (-uniform.log()).log()).argmax(dim=1)


exercise(
    "11.5",
    "Expected calibration error",
    reference=calibration_error,
    returns="the error",
    cases=[
        case("three classes", (2 * draw.floats(40, 3)).softmax(dim=1), draw.integers(3, 40), 5),
        case("two classes", (2 * draw.floats(60, 2)).softmax(dim=1), draw.integers(2, 60), 10),
        case("empty bins", (8 * draw.floats(12, 4)).softmax(dim=1), draw.integers(4, 12), 20),
        case(
            "sure of itself: probabilities of 1",
            torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.33, 0.67]]),
            torch.tensor([0, 0, 1]),
            10,
        ),
        case("one bin", (2 * draw.floats(30, 3)).softmax(dim=1), draw.integers(3, 30), 1),
        case(
            "sure, and nearly sure",
            torch.tensor([[1.0, 0.0], [0.95, 0.05], [0.96, 0.04]]),
            torch.tensor([1, 0, 0]),
            10,
        ),
        case(
            "too modest",
            (0.3 * torch.eye(4)[[0, 1, 2, 3, 1]]).softmax(dim=1),
            torch.tensor([0, 1, 2, 3, 1]),
            15,
        ),
        case("too sure here, too modest there", *honest(90, 3), 10),
    ],
    mistakes=[
        mistake(
            "Every bin counts alike here. Weight each by its share of the rows.",
            error_with(weight=lambda chosen: 1.0),
        ),
        mistake(
            "The gaps keep their signs, so too sure in one bin cancels too modest in another. Take absolute "
            "values.",
            error_with(gap=lambda d: d),
            error_with(gap=lambda d: -d),
        ),
        mistake(
            "The gaps are squared; their absolute values are asked for.", error_with(gap=lambda d: d * d)
        ),
        mistake(
            "You took the probability of the true class. Confidence is that of the class that is *said*, the "
            "largest.",
            error_with(sure=lambda p, truth: p.gather(1, truth[:, None])[:, 0]),
        ),
        mistake(
            "You looked at one column only, the probability of class 1. Confidence is the row's largest.",
            error_with(sure=lambda p, truth: p[:, 1], right=lambda p, truth: (truth == 1).float()),
            error_with(sure=lambda p, truth: p[:, 1]),
        ),
        mistake(
            "A confidence of exactly 1 falls into no bin of yours. It belongs to the last one.",
            error_with(inside=lambda p, low, high: (p >= low) & (p < high)),
        ),
        mistake(
            "This is the largest gap of a bin. Asked for is the mean over the rows.",
            worst_gap,
        ),
        mistake(
            "There is NaN: an empty bin has no mean. Leave it out.",
            empty_bins,
        ),
        mistake(
            "All rows went into one bin: mean confidence against accuracy. Then too sure and too modest "
            "cancel.",
            lambda probabilities, truth, bins: calibration_error(probabilities, truth, 1),
        ),
        mistake(
            "A confidence of exactly 1 has a bin of its own. It belongs to the last of the `bins`.",
            placed(lambda sure, bins, probabilities: (sure * bins).long()),
        ),
        mistake(
            "Your bins are of another width, or moved: `.long()` of confidence times `bins`, not rounded.",
            placed(lambda sure, bins, probabilities: (sure * bins).round().long()),
            placed(lambda sure, bins, probabilities: (sure * bins).round().long().clamp(max=bins - 1)),
            placed(lambda sure, bins, probabilities: (sure * (bins - 1)).long()),
            placed(lambda sure, bins, probabilities: (sure * (bins - 1)).round().long()),
        ),
        mistake(
            "Your bins begin at the lowest confidence that there can be. They divide all of 0 to 1.",
            placed(by_uniform),
        ),
        mistake(
            "Your bins hold equally many rows. Here they are equally wide.",
            placed(equally_full),
        ),
        mistake(
            "You took the middle of a bin for its confidence. It is the mean over the rows in it.",
            from_the_middle,
        ),
        mistake(
            "The gaps are added up and not divided by the number of rows, or the result is in percent.",
            lambda probabilities, truth, bins: len(truth) * calibration_error(probabilities, truth, bins),
            lambda probabilities, truth, bins: 100 * calibration_error(probabilities, truth, bins),
        ),
        mistake(
            "You took the gap row by row. It is between two means, of all rows in a bin.",
            lambda probabilities, truth, bins: (
                (probabilities.amax(dim=1) - (probabilities.argmax(dim=1) == truth).float())
                .abs()
                .mean()
                .item()
            ),
        ),
    ],
)

# 11.6 --------------------------------------------------------------------------------------------------

draw = Draw("11.6")


def fit_temperature(logits, truth):
    low, high = math.log(0.02), math.log(50)  # the loss falls, then rises: keep the third that holds the best

    def loss(log_t):
        return cross_entropy(logits.double() / math.exp(log_t), truth).item()

    for _ in range(60):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def sampled(rows, classes, sharp, scale):
    """Logits `scale` times too large for the truth, which is drawn from their own probabilities."""
    logits = sharp * draw.floats(rows, classes)
    uniform = (draw.integers(10**6, rows, classes) + 0.5) / 10**6
    truth = (logits - (-uniform.log()).log()).argmax(dim=1)  # the Gumbel trick: a draw from the softmax
    return scale * logits, truth


exercise(
    "11.6",
    "One temperature",
    reference=fit_temperature,
    returns="the temperature",
    rtol=0.01,
    atol=0.0,
    cases=[
        case("too sure", *sampled(150, 3, 1.5, 4.0)),
        case("too modest", *sampled(200, 4, 2.0, 0.3)),
        case("far too sure", *sampled(120, 2, 1.0, 13.0)),
        case("about right", *sampled(200, 5, 1.5, 1.0)),
    ],
    mistakes=[
        mistake(
            "This is 1/T: you multiplied the logits by it. The temperature divides them.",
            lambda logits, truth: 1 / fit_temperature(logits, truth),
        ),
        mistake(
            "This is the logarithm of T. You searched over log T, which is wise; take exp at the end.",
            lambda logits, truth: math.log(fit_temperature(logits, truth)),
        ),
        mistake(
            "You put probabilities where logits belong: cross_entropy takes the softmax itself.",
            lambda logits, truth: fit_temperature(logits.softmax(dim=1), truth),
        ),
        mistake(
            "Your T is still the 1 that it began with. Has the optimizer this number, does the loss depend "
            "on it, and is `step` called?",
            lambda logits, truth: 1.0,
        ),
        mistake(
            "Your T is on the way and has not arrived: more steps, or larger ones, until the loss stops "
            "falling.",
            *[
                lambda logits, truth, part=part: math.exp(part * math.log(fit_temperature(logits, truth)))
                for part in (0.1, 0.3, 0.5, 0.8)
            ],
        ),
        mistake(
            "This is the T with the *largest* loss among those you tried. Look for the smallest.",
            lambda logits, truth: max(
                [i / 10 for i in range(1, 101)], key=lambda t: cross_entropy(logits / t, truth).item()
            ),
        ),
    ],
)

# 11.7 --------------------------------------------------------------------------------------------------

draw = Draw("11.7")


def auc(scores, positive):
    above = scores[positive][:, None] - scores[~positive][None, :]
    return ((above > 0).float() + 0.5 * (above == 0).float()).mean().item()


def auc_with(tie):
    def wrong(scores, positive):
        above = scores[positive][:, None] - scores[~positive][None, :]
        return ((above > 0).float() + tie * (above == 0).float()).mean().item()

    return wrong


def by_place(scores, positive):
    """Ranks in the order of argsort: equal scores get different ranks."""
    ranks = scores.argsort(stable=True).argsort().float() + 1
    n, m = positive.sum(), (~positive).sum()
    return ((ranks[positive].sum() - n * (n + 1) / 2) / (n * m)).item()


def average_precision(scores, positive):
    order = scores.argsort(descending=True, stable=True)
    hits = positive[order].float()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return ((precision * hits).sum() / hits.sum()).item()


def mixed(rows, levels):
    """Scores with ties, and labels that go with them a little."""
    found = draw.integers(levels, rows)
    positive = found + draw.integers(levels, rows) > levels - 1
    positive[0], positive[1] = True, False
    return found / levels, positive


exercise(
    "11.7",
    "The area by pairs",
    reference=auc,
    returns="the area",
    cases=[
        case("no ties", draw.floats(20), draw.integers(2, 20) == 1),
        case("many ties", *mixed(30, 4)),
        case(
            "all scores equal", torch.full((6,), 0.5), torch.tensor([True, False, True, False, False, True])
        ),
        case("one positive", torch.tensor([0.2, 0.9, 0.4]), torch.tensor([False, False, True])),
        case("upside down", torch.tensor([0.9, 0.1, 0.8, 0.3]), torch.tensor([False, True, False, True])),
        case("perfect", torch.tensor([3.0, 2.0, -1.0, -2.0]), torch.tensor([True, True, False, False])),
        case("rare positives", draw.floats(80), draw.integers(10, 80) == 0),
        case("negatives first", torch.tensor([0.5, 0.5, 0.1, 0.5]), torch.tensor([False, True, False, True])),
    ],
    mistakes=[
        mistake("A tie counts as lost here. It counts one half.", auc_with(0.0)),
        mistake("A tie counts as won here (`>=`). It counts one half.", auc_with(1.0)),
        mistake(
            "This is the share of pairs in which the *negative* is above.",
            lambda scores, positive: 1 - auc(scores, positive),
        ),
        mistake(
            "Equal scores got different ranks, by their place in the tensor. A tie counts one half.",
            by_place,
        ),
        mistake(
            "This is the average precision, an area under the other curve. Count pairs.",
            average_precision,
        ),
        mistake(
            "You divided by all pairs of rows. Only pairs of a positive and a negative count.",
            lambda scores, positive: (
                auc(scores, positive) * (positive.sum() * (~positive).sum()).item() / len(scores) ** 2
            ),
            lambda scores, positive: (
                auc(scores, positive)
                * (positive.sum() * (~positive).sum()).item()
                / (len(scores) * (len(scores) - 1) / 2)
            ),
        ),
        mistake(
            "You cut the scores at 0.5 first, and the ranking is gone. Compare the scores themselves.",
            lambda scores, positive: auc((scores > 0.5).float(), positive),
            lambda scores, positive: auc((scores >= 0.5).float(), positive),
        ),
        mistake(
            "This is the accuracy at the threshold 0.5. The area needs no threshold.",
            lambda scores, positive: ((scores > 0.5) == positive).float().mean().item(),
        ),
        mistake(
            "The number of pairs is asked for as a share: divide by positives times negatives.",
            lambda scores, positive: auc(scores, positive) * (positive.sum() * (~positive).sum()).item(),
        ),
    ],
)

# 11.8 --------------------------------------------------------------------------------------------------

draw = Draw("11.8")


def total_cost(p, positive, threshold, c_fp, c_fn):
    said = p >= threshold
    return c_fp * (said & ~positive).sum().item() + c_fn * (positive & ~said).sum().item()


def cheapest_threshold(p, positive, c_fp, c_fn):
    candidates = [*sorted(set(p.tolist()), reverse=True)]
    candidates = [math.inf, *candidates]
    return min(candidates, key=lambda t: total_cost(p, positive, t, c_fp, c_fn))


def threshold_with(cost=None, candidates=None, last=False):
    def wrong(p, positive, c_fp, c_fn):
        tried = candidates(p) if candidates else [math.inf, *sorted(set(p.tolist()), reverse=True)]
        tried = tried[::-1] if last else tried
        return min(tried, key=lambda t: (cost or total_cost)(p, positive, t, c_fp, c_fn))

    return wrong


def strictly(p, positive, threshold, c_fp, c_fn):
    said = p > threshold
    return c_fp * (said & ~positive).sum().item() + c_fn * (positive & ~said).sum().item()


def first_of(tried, later=False):
    """The first of the cheapest in the order of `tried(p)` (`later`: the last), another for infinity."""

    def wrong(p, positive, c_fp, c_fn):
        candidates = tried(p.tolist())
        return min(
            candidates[::-1] if later else candidates, key=lambda t: total_cost(p, positive, t, c_fp, c_fn)
        )

    return wrong


def row_by_row(p, positive, c_fp, c_fn):
    """A sweep over the sorted rows that may stop between two rows of one probability."""
    order = p.argsort(descending=True, stable=True)
    hits = positive[order].float()
    alarms, found = (torch.cat([hits.new_zeros(1), part.cumsum(0)]) for part in (1 - hits, hits))
    best = int((c_fp * alarms + c_fn * (hits.sum() - found)).argmin())
    return p[order][best - 1].item() if best else math.inf


def between(p, positive, c_fp, c_fn):
    values = sorted(set(p.tolist()), reverse=True)
    tried = [math.inf, *[(a + b) / 2 for a, b in itertools.pairwise(values)], 0.0]
    return min(tried, key=lambda t: total_cost(p, positive, t, c_fp, c_fn))


def of_rates(p, positive, threshold, c_fp, c_fn):
    said = p >= threshold
    return c_fp * said[~positive].float().mean().item() + c_fn * (~said)[positive].float().mean().item()


def risk(rows):
    p = (1.5 * draw.floats(rows) - 1).sigmoid()
    return p, draw.integers(10**4, rows) < p * 10**4


exercise(
    "11.8",
    "A threshold by cost",
    reference=cheapest_threshold,
    returns="the threshold",
    cases=[
        case("a miss costs ten", *risk(40), 1.0, 10.0),
        case("an alarm costs ten", *risk(40), 10.0, 1.0),
        case("equal costs", *risk(30), 1.0, 1.0),
        case(
            "best to say nothing",
            torch.tensor([0.9, 0.8, 0.6]),
            torch.tensor([False, False, True]),
            5.0,
            1.0,
        ),
        case(
            "best to say it always", torch.tensor([0.1, 0.7, 0.3]), torch.tensor([True, True, True]), 1.0, 2.0
        ),
        case(
            "equal probabilities",
            torch.tensor([0.5, 0.5, 0.25, 0.25, 0.75]),
            torch.tensor([True, True, False, True, False]),
            1.0,
            1.5,
        ),
        case("a miss costs three", *risk(60), 1.0, 3.0),
        case(
            "ties, the lowest first",
            torch.tensor([0.25, 0.5, 0.75]),
            torch.tensor([True, False, True]),
            1.0,
            1.0,
        ),
        case("nobody is as cheap", torch.tensor([0.5, 0.25]), torch.tensor([False, True]), 1.0, 1.0),
        case("two rows of one value", torch.tensor([0.5, 0.5]), torch.tensor([True, False]), 2.0, 1.0),
    ],
    mistakes=[
        mistake(
            "The two costs are swapped: c_fp is for an alarm without cause, c_fn for a miss.",
            lambda p, positive, c_fp, c_fn: cheapest_threshold(p, positive, c_fn, c_fp),
        ),
        mistake(
            "You look for the fewest errors, as if both kinds cost the same.",
            lambda p, positive, c_fp, c_fn: cheapest_threshold(p, positive, 1, 1),
        ),
        mistake(
            "A row exactly at the threshold is called positive: `p >= threshold`.",
            threshold_with(cost=strictly),
        ),
        mistake(
            "Of equally cheap thresholds the largest is asked for; you give the smallest.",
            threshold_with(last=True),
        ),
        mistake(
            '"Nobody" is a choice, too: math.inf belongs to the thresholds that you try.',
            threshold_with(candidates=lambda p: sorted(set(p.tolist()), reverse=True)),
        ),
        mistake(
            "That is the threshold of the theory, for probabilities that mean what they say. Here the "
            "cheapest one on these rows is asked for.",
            lambda p, positive, c_fp, c_fn: c_fp / (c_fp + c_fn),
            lambda p, positive, c_fp, c_fn: c_fn / (c_fp + c_fn),
        ),
        mistake(
            "You tried thresholds on a grid. Try the probabilities that occur, and math.inf: between them "
            "nothing changes.",
            threshold_with(candidates=lambda p: [i / 100 for i in range(100, -1, -1)]),
            threshold_with(candidates=lambda p: [i / 10 for i in range(10, -1, -1)]),
            threshold_with(candidates=lambda p: torch.linspace(1, 0, 101).tolist()),
        ),
        mistake(
            "You add up rates, each divided by the size of its class. The cost is a sum over rows.",
            threshold_with(cost=of_rates),
        ),
        mistake(
            "You give the cost; the threshold that has it is asked for.",
            lambda p, positive, c_fp, c_fn: total_cost(
                p, positive, cheapest_threshold(p, positive, c_fp, c_fn), c_fp, c_fn
            ),
        ),
        mistake(
            "You try the values in the order of the rows and keep the first (or last) of equally cheap ones. "
            "Sort them: of equally cheap ones the largest is asked for.",
            first_of(lambda p: [*p, math.inf]),
            first_of(lambda p: [math.inf, *p]),
            first_of(lambda p: [*p, math.inf], later=True),
            first_of(lambda p: [math.inf, *p], later=True),
        ),
        mistake(
            "Infinity comes last in your search, so that it loses where it is as cheap as another. It is the "
            "largest: try it first.",
            first_of(lambda p: [*sorted(p, reverse=True), math.inf]),
        ),
        mistake(
            "Of equally cheap ones your search keeps the one tried last (`<=`). Going down, only a smaller "
            "cost may replace the best.",
            first_of(lambda p: [*sorted(p, reverse=True), math.inf], later=True),
        ),
        mistake(
            "Your sweep stops between rows of the same probability. A threshold takes all of them or none: "
            "compare costs only where the value changes.",
            row_by_row,
        ),
        mistake(
            'For "nobody" you take another number than math.inf. The card asks for infinity, which no '
            "probability ever reaches.",
            first_of(lambda p: [1.0, *sorted(p, reverse=True)]),
            first_of(lambda p: [1.1, *sorted(p, reverse=True)]),
            first_of(lambda p: [max(p) + 1, *sorted(p, reverse=True)]),
            first_of(lambda p: [2.0, *sorted(p, reverse=True)]),
        ),
        mistake(
            "You tried the middles between probabilities. Try the probabilities themselves, and math.inf.",
            between,
        ),
    ],
)

# 11.9 --------------------------------------------------------------------------------------------------


def rows_needed(differ, gain):
    return math.ceil((1.96 * differ**0.5 + 0.84 * (differ - gain**2) ** 0.5) ** 2 / gain**2)


def rows_with(first=1.96, second=0.84, inner=None, power=2, end=math.ceil, scale=1):
    def wrong(differ, gain):
        rest = inner(differ, gain) if inner else (differ - gain**2) ** 0.5
        return end((first * differ**0.5 + second * rest) ** power / (scale * gain) ** power)

    return wrong


# Stands for a right number that is a float, in a verdict as "the type is float": else 312.0 passes for 312.
Float = type("float", (str,), {})


def use_rows_needed(answer, differ, gain):
    found = answer(differ, gain)
    return Float("right") if isinstance(found, float) and found == rows_needed(differ, gain) else found


exercise(
    "11.9",
    "How many test rows?",
    reference=rows_needed,
    use=use_rows_needed,
    returns="the number of rows",
    cases=[
        case("one row in ten differs, one point", 0.1, 0.01),
        case("one in five, one point", 0.2, 0.01),
        case("one in ten, five points", 0.1, 0.05),
        case("one wins always", 0.1, 0.1),
        case("three points", 0.15, 0.03),
        case("half a point", 0.04, 0.005),
        case("a tenth of a point", 0.1, 0.001),
    ],
    mistakes=[
        mistake(
            "The number is rounded down, rounded to the nearest or left with decimals; round it up.",
            rows_with(end=int),
            rows_with(end=lambda n: n),
            rows_with(end=round),
        ),
        mistake(
            "Without the second term the difference is found only every other time: that is a power of 50 %.",
            rows_with(second=0.0),
        ),
        mistake(
            "z is 1.96 for 5 % in both tails together; 1.64 is for one tail.",
            rows_with(first=1.64),
            rows_with(first=1.645),
        ),
        mistake(
            "1.28 belongs to a power of 90 %. For 80 % it is 0.84.",
            rows_with(second=1.28),
            rows_with(second=1.2816),
        ),
        mistake("The whole bracket is squared, and the gain too.", rows_with(power=1)),
        mistake(
            "The second root is of differ − gain², not of differ.",
            rows_with(inner=lambda differ, gain: differ**0.5),
        ),
        mistake(
            "The second root is of differ − gain²: the gain is to be squared.",
            rows_with(inner=lambda differ, gain: (differ - gain) ** 0.5),
        ),
        mistake(
            "The two roots are missing: `** 0.5`.",
            lambda differ, gain: math.ceil((1.96 * differ + 0.84 * (differ - gain**2)) ** 2 / gain**2),
        ),
        mistake(
            "The gain is a share: one point is 0.01, not 1.",
            rows_with(scale=100),
            rows_with(scale=0.01),
        ),
        mistake(
            "The terms are squared one by one. Add them first, then square.",
            lambda differ, gain: math.ceil((1.96**2 * differ + 0.84**2 * (differ - gain**2)) / gain**2),
        ),
        mistake(
            "The number is right, but a float. Rows are counted: `math.ceil` gives an int.",
            lambda differ, gain: float(rows_needed(differ, gain)),
        ),
        mistake(
            "Your z have more digits than the card's. It asks for 1.96 and 0.84 as they are printed.",
            rows_with(first=1.959963984540054, second=0.8416212335729143),
            rows_with(first=1.959964, second=0.841621),
            rows_with(second=0.8416212335729143),
            rows_with(second=0.8416),
            rows_with(second=0.842),
            rows_with(first=1.959963984540054),
        ),
        mistake(
            "The two z are exchanged: 1.96 stands at the first root, 0.84 at the second.",
            rows_with(first=0.84, second=1.96),
        ),
        mistake(
            "The gain divides only one of the terms, or is not squared with the rest: (…)² / gain² is "
            "((…) / gain)².",
            lambda differ, gain: math.ceil(
                (1.96 * differ**0.5 + 0.84 * (differ - gain**2) ** 0.5 / gain) ** 2
            ),
            lambda differ, gain: math.ceil(
                (1.96 * differ**0.5 + 0.84 * (differ - gain**2) ** 0.5) ** 2 / gain
            ),
            lambda differ, gain: math.ceil((1.96 * differ**0.5 + 0.84 * (differ - gain**2) ** 0.5) / gain**2),
        ),
        mistake(
            "gain² is added under the second root. It is taken away from differ.",
            rows_with(inner=lambda differ, gain: (differ + gain**2) ** 0.5),
        ),
    ],
)

# 11.10 -------------------------------------------------------------------------------------------------

# Words that a test of invariance must leave alone, for they carry the judgement.
OPINION = set(
    """
    not no never nothing nobody nor without hardly barely scarcely n't cannot but too lack lacks lacking
    fail fails failed failure good bad great best worst better worse dull boring boredom funny unfunny
    hilarious moving touching love loved loves hate hated hates enjoy enjoyed enjoyable beautiful
    beautifully brilliant brilliantly awful terrible terribly horrible dreadful poor poorly weak weaker
    weakest strong stronger fine finest fun tedious tedium clever smart stupid silly fresh stale charming
    charm predictable original excellent superb wonderful amazing fantastic marvelous terrific perfect
    perfectly masterpiece mediocre lame pathetic mess disaster waste wasted worth worthy worthless
    gripping compelling engaging entertaining delight delightful lovely gorgeous memorable forgettable
    powerful powerless intelligent witty lazy laziest lazily careless carelessly warm warmth cold flat
    shallow bland tired sluggish slow ugly annoying annoyingly disappointing disappointingly
    disappointment unfortunately fortunately sadly luckily thankfully happily badly nice pleasant
    unpleasant interesting uninteresting pointless flawed flaw flaws holes splendid magnificent remarkable
    disgusting ridiculous overrated underrated recommend recommended needed needless long short
    """.split()
)
LEAST_PAIRS = 8

REVIEWS = [
    "a gripping film that never lets go .",
    "the film is dull and far too long .",
    "this french comedy is a delight .",
    "an american remake that nobody needed .",
    "the acting is fine , but the story is weak .",
    "two hours of your life that you will not get back .",
    "a quiet film about loss , beautifully shot in paris .",
    "the director knows what he wants .",
    "hollywood at its laziest .",
    "steven is the only reason to see this film .",
    "a film for children and for their parents .",
    "the plot has holes , and the film does not care .",
    "it is a film of great warmth .",
    "michael gives the best performance of his career .",
    "the script was written in new york , and it shows .",
    "not a good film , and not a bad one .",
]


def invariance_pairs(reviews):
    swaps = {"film": "movie", "french": "italian", "michael": "peter", "paris": "rome"}
    pairs = []
    for review in reviews:
        words = [swaps.get(word, word) for word in review.split()]
        if words != review.split():
            pairs.append((review, " ".join(words)))
    return pairs


def pairs_by(change):
    return lambda reviews: [(review, change(review)) for review in reviews]


def judging(words):
    """Which of these carry a judgement, in small letters and without punctuation."""
    plain = {word.lower().strip('.,;:!?()"*') for word in words}
    return {word for word in plain if word in OPINION or word.endswith("n't")}


def longest_common(one, other):
    """How many words can be kept in their order to come from one list to the other."""
    lengths = [0] * (len(other) + 1)
    for word in one:
        above = lengths[:]
        for place, match in enumerate(other):
            lengths[place + 1] = above[place] + 1 if word == match else max(above[place + 1], lengths[place])
    return lengths[-1]


def judge_pairs(pairs, reviews):
    if not isinstance(pairs, list) or not all(isinstance(p, tuple) and len(p) == 2 for p in pairs):
        return "a list of tuples (before, after) is asked for"
    if len({before for before, _ in pairs}) < len(pairs):
        return "a review stands in the list twice; give each at most once"
    for before, after in pairs:
        if before not in reviews:
            return f"the first of a pair is one of the reviews, unchanged, and this is not: {before!r}"
        if before.split() == after.split():
            return f"nothing was changed in {before!r}: leave such a review out"
        lost, new = Counter(before.split()), Counter(after.split())
        stay, lost, new = lost & new, lost - new, new - lost
        if changed := sorted(judging(lost) ^ judging(new)):
            return f"{changed[0]!r} carries the judgement, and you took it away or put it in: {after!r}"
        if max(lost.total(), new.total()) > 3:
            return f"more than three words are changed, so the meaning may be, too: {after!r}"
        if longest_common(before.split(), after.split()) < stay.total():
            return f"the words that stay are in another order, which can turn the meaning round: {after!r}"
    if len(pairs) < LEAST_PAIRS:
        return f"{len(pairs)} pairs; make at least {LEAST_PAIRS} of these {len(reviews)} reviews"
    return ""


exercise(
    "11.10",
    "A behavioural test of your own",
    reference=invariance_pairs,
    judge=judge_pairs,
    cases=[
        case("sixteen reviews", REVIEWS),
        case("another order", REVIEWS[::-1]),
    ],
    mistakes=[
        mistake(
            "Nothing is changed in some of your pairs: such a pair cannot fail, and it flatters the rate.",
            pairs_by(lambda review: review.replace("film", "movie")),
            pairs_by(lambda review: review),
            pairs_by(lambda review: review + " "),
        ),
        mistake(
            "That turns the judgement round, so the answer *should* change: it is a directional test.",
            pairs_by(
                lambda review: review.replace(" is ", " is not ") if " is " in review else "not " + review
            ),
            pairs_by(lambda review: "not " + review),
            pairs_by(lambda review: review.replace(" .", " , but it is boring .")),
        ),
        mistake(
            "The first of a pair is to be the review as it is; you put the changed one there.",
            lambda reviews: [pair[::-1] for pair in invariance_pairs(reviews)],
        ),
        mistake(
            "The two texts are in a list; a pair is a tuple (before, after).",
            lambda reviews: [list(pair) for pair in invariance_pairs(reviews)],
        ),
        mistake(
            "You gave the changed texts alone. A pair keeps the review as it was, to compare with.",
            lambda reviews: [after for _, after in invariance_pairs(reviews)],
        ),
        mistake(
            "The words that stay are in another order: that can turn the meaning round, and the answer.",
            lambda reviews: [(review, " ".join(review.split()[::-1])) for review in reviews],
            lambda reviews: [(review, " ".join(sorted(review.split()))) for review in reviews],
            lambda reviews: [
                (review, " ".join([*review.split()[1:], review.split()[0]])) for review in reviews
            ],
        ),
        mistake(
            "All words are changed, if only to capitals: more than three in a pair. Keep the change small.",
            pairs_by(str.upper),
            pairs_by(str.title),
        ),
        mistake(
            "What you put in carries a judgement, and may turn the verdict round. Take something harmless.",
            pairs_by(lambda review: "wonderful , " + review),
            pairs_by(lambda review: "unfortunately , " + review),
            pairs_by(lambda review: review + " BORING !"),
            pairs_by(lambda review: review.replace(" .", " , great fun .")),
        ),
    ],
)
