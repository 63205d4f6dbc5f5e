"""Exercises of lesson 01, tensors: their references, inputs and typical mistakes."""

import math

import torch

from course_utils.checks.exercise import Draw, case, exercise, forbid, mistake, no_loops, tensors_up_to


def integers(*rows):
    """A tensor out of rows of Python's numbers."""
    return torch.tensor(rows)


# 1.1 ---------------------------------------------------------------------------------------------------


def hide(ids, chosen, special, mask_id):
    hidden = chosen & ~special
    return ids.masked_fill(hidden, mask_id), ids.masked_fill(~hidden, -100)


def hidden_by(rule, mask_id=None):
    """`hide` with another rule of which tokens are hidden, and perhaps a fixed id in place of mask_id."""

    def answer(ids, chosen, special, mask_id_given):
        hidden = rule(chosen, special)
        written = mask_id_given if mask_id is None else mask_id
        return ids.masked_fill(hidden, written), ids.masked_fill(~hidden, -100)

    return answer


def labelled_by(label):
    """`hide` with other labels: `label` makes them out of the ids, what is hidden, special, and "
    "the inputs."""

    def answer(ids, chosen, special, mask_id):
        hidden = chosen & ~special
        inputs = ids.masked_fill(hidden, mask_id)
        return inputs, label(ids, hidden, special, inputs)

    return answer


def hide_over_the_ids(ids, chosen, special, mask_id):
    hidden = chosen & ~special
    ids[hidden] = mask_id
    return ids, ids.masked_fill(~hidden, -100)


draw = Draw("1.1")

exercise(
    "1.1",
    "Hide some tokens",
    reference=hide,
    returns=("the inputs", "the labels"),
    cases=[
        case(
            "two reviews",
            integers([101, 1037, 13940, 3185, 102], [101, 10634, 102, 0, 0]),
            integers([0, 0, 1, 0, 0], [0, 1, 1, 0, 1]).bool(),
            integers([1, 0, 0, 0, 1], [1, 0, 1, 1, 1]).bool(),
            103,
        ),
        case(
            "nothing chosen", integers([101, 7, 102]), torch.zeros(1, 3).bool(), integers([1, 0, 1]).bool(), 9
        ),
        case("all chosen", integers([101, 7, 102]), torch.ones(1, 3).bool(), integers([1, 0, 1]).bool(), 9),
        case(
            "nothing special, id 0 a word",
            draw.integers(3, 2, 6),
            draw.integers(2, 2, 6).bool(),
            torch.zeros(2, 6).bool(),
            4,
        ),
        case(
            "all mixed",
            draw.integers(90, 4, 5),
            draw.integers(2, 4, 5).bool(),
            draw.integers(2, 4, 5).bool(),
            99,
        ),
    ],
    mistakes=[
        mistake(
            "Special tokens are treated as hidden as well, in the inputs, the labels or both. Hidden is what "
            "`chosen` names *and* `special` does not: `chosen & ~special`.",
            hidden_by(lambda chosen, special: chosen),
            hidden_by(lambda chosen, special: chosen | special),
            lambda ids, chosen, special, mask_id: (
                ids.masked_fill(chosen, mask_id),
                hide(ids, chosen, special, mask_id)[1],
            ),
            lambda ids, chosen, special, mask_id: (
                hide(ids, chosen, special, mask_id)[0],
                ids.masked_fill(~chosen, -100),
            ),
        ),
        mistake(
            "`special` is taken the wrong way round: only special tokens are hidden, and they must stay. "
            "`~special` is True where they are not.",
            hidden_by(lambda chosen, special: chosen & special),
        ),
        mistake(
            "You hide every token that is not special, whether it was chosen or not: `chosen & ~special`.",
            hidden_by(lambda chosen, special: ~special),
        ),
        mistake(
            "`|` hides a token of which one of the two is true; both must be: `chosen & ~special`.",
            hidden_by(lambda chosen, special: chosen | ~special),
        ),
        mistake(
            "The inputs get a fixed id. What stands in place of a hidden token is the argument `mask_id`.",
            hidden_by(lambda chosen, special: chosen & ~special, 103),
        ),
        mistake(
            "The labels are the wrong way round: they are to be the ids where a token is hidden, and -100 "
            "everywhere else.",
            labelled_by(lambda ids, hidden, special, inputs: ids.masked_fill(hidden, -100)),
        ),
        mistake(
            "Your labels are ids also where nothing is hidden. There is nothing to guess there: -100.",
            labelled_by(lambda ids, hidden, special, inputs: ids.clone()),
            labelled_by(lambda ids, hidden, special, inputs: ids.masked_fill(special, -100)),
        ),
        mistake(
            "Where a token is hidden your labels say `mask_id`, as the inputs do. They are to say the id "
            "that stood there: make both results from the original `ids`.",
            labelled_by(lambda ids, hidden, special, inputs: inputs.masked_fill(~hidden, -100)),
            hide_over_the_ids,
        ),
        mistake(
            "Where nothing is hidden the labels are 0, which is an id like any other. Put -100 there.",
            labelled_by(lambda ids, hidden, special, inputs: ids * hidden),
        ),
    ],
)

# 1.2 ---------------------------------------------------------------------------------------------------


def split_heads(x, heads):
    batch, seq, hidden = x.shape
    return x.reshape(batch, seq, heads, hidden // heads).permute(0, 2, 1, 3)


draw = Draw("1.2")

exercise(
    "1.2",
    "Split into heads",
    reference=split_heads,
    cases=[
        case("one text, two heads", torch.arange(12).reshape(1, 3, 4), 2),
        case("as many tokens as heads", draw.floats(2, 3, 6), 3),
        case("one head", draw.floats(2, 4, 3), 1),
        case("one feature a head", draw.floats(3, 2, 4), 4),
        case("a view that is not contiguous", draw.floats(5, 2, 8).transpose(0, 1), 2),
    ],
    mistakes=[
        mistake(
            "The shape is right and the numbers are in the wrong places: reshape keeps the reading order, so "
            "a head got pieces of several tokens. First split the last dimension in two, then swap "
            "dimensions.",
            lambda x, heads: x.reshape(x.shape[0], heads, x.shape[1], x.shape[2] // heads),
            lambda x, heads: x.transpose(1, 2).reshape(x.shape[0], heads, x.shape[1], x.shape[2] // heads),
        ),
        mistake(
            "The two numbers are exchanged: you made parts of length `heads`. There are `heads` parts, each "
            "of length hidden // heads.",
            lambda x, heads: x.reshape(*x.shape[:2], x.shape[2] // heads, heads).transpose(1, 2),
        ),
        mistake(
            "This is (batch, seq, heads, features): split, but not swapped. `heads` is to stand before "
            "`seq`.",
            lambda x, heads: x.reshape(*x.shape[:2], heads, x.shape[2] // heads),
        ),
        mistake(
            "A head is to be neighbouring features: the first head the first hidden/heads of them. You dealt "
            "them out in turn. Split into (heads, hidden // heads), in this order.",
            lambda x, heads: x.reshape(*x.shape[:2], x.shape[2] // heads, heads).permute(0, 3, 1, 2),
        ),
        mistake(
            "The last two dimensions are swapped: a head is to be (seq, features).",
            lambda x, heads: split_heads(x, heads).transpose(2, 3),
        ),
        mistake(
            "The heads stand before the batch: the order asked for is (batch, heads, seq, features).",
            lambda x, heads: split_heads(x, heads).transpose(0, 1),
        ),
    ],
)

# 1.3 ---------------------------------------------------------------------------------------------------


def may_look(mask):
    real = mask.bool()
    places = torch.arange(mask.shape[1])
    return real[:, :, None] & real[:, None, :] & (places <= places[:, None])


def looking(rule, rows=True, columns=True):
    """`may_look` with another rule for two places i, j, and perhaps without looking at a padding."""

    def answer(mask):
        real, places = mask.bool(), torch.arange(mask.shape[1])
        pairs = rule(places[:, None], places).expand(len(mask), -1, -1)
        pairs = pairs & real[:, :, None] if rows else pairs
        return pairs & real[:, None, :] if columns else pairs

    return answer


def before(i, j):
    return j <= i


def padding_at_the_end(mask):
    places = torch.arange(mask.shape[1])
    return (places <= places[:, None]) & (places[:, None] < mask.sum(dim=1)[:, None, None])


exercise(
    "1.3",
    "Who may look at whom",
    reference=may_look,
    cases=[
        case("padding at the end", integers([1, 1, 0, 0])),
        case("no padding", torch.ones(2, 3, dtype=torch.int64)),
        case("padding in front", integers([0, 1, 1, 1, 1], [0, 0, 0, 1, 1])),
        case("three texts of three", integers([1, 1, 1], [1, 0, 0], [1, 1, 0])),
        case("one token, and none", integers([1], [0])),
    ],
    rules=[no_loops()],
    mistakes=[
        mistake(
            "The order is turned round: token i may look at tokens *before* it, j <= i. Rows are i, columns "
            "j.",
            looking(lambda i, j: j >= i),
        ),
        mistake(
            "A token may look at itself as well: j <= i, not j < i.",
            looking(lambda i, j: j < i),
        ),
        mistake(
            "Here every token looks at all tokens of its text, also at those that come after it.",
            looking(lambda i, j: (j == j) & (i == i)),
        ),
        mistake(
            "You take the padding to stand at the end, after the count of real tokens. It may stand in "
            "front: "
            "ask the mask itself.",
            padding_at_the_end,
        ),
        mistake(
            "The padding is not looked at, but it looks: its rows are to be False as well.",
            looking(before, rows=False),
        ),
        mistake(
            "The padding does not look, but it is looked at: its columns are to be False as well.",
            looking(before, columns=False),
        ),
        mistake(
            "This leaves out nothing of the padding: where `mask` is 0, row and column are to be False.",
            looking(before, rows=False, columns=False),
        ),
        mistake(
            "`==` is True as well where both are padding. Both have to be real: `&`.",
            lambda mask: (mask[:, :, None] == mask[:, None, :]).tril(),
        ),
        mistake(
            "One real token of the two is enough here. Both have to be real: `&`, not `|`.",
            lambda mask: (mask[:, :, None] | mask[:, None, :]).bool().tril(),
        ),
        mistake(
            "True and False are exchanged: True says that i may look at j.",
            lambda mask: ~may_look(mask),
        ),
        mistake(
            "The values are right, but they are numbers; bools are asked for. `.bool()` converts.",
            lambda mask: may_look(mask).long(),
            lambda mask: may_look(mask).float(),
            lambda mask: may_look(mask).int(),
        ),
    ],
)

# 1.4 ---------------------------------------------------------------------------------------------------


def token_weights(mask):
    return mask / mask.sum(dim=1, keepdim=True).clamp(min=1)


draw = Draw("1.4")

exercise(
    "1.4",
    "Masked mean, step 1: weights",
    reference=token_weights,
    returns="the weights",
    cases=[
        case("two texts", integers([1, 1, 1, 1], [1, 0, 0, 0])),
        case("no padding", torch.ones(2, 5, dtype=torch.int64)),
        case("an empty text", integers([0, 0, 0], [1, 1, 0])),
        case("three texts of three", integers([1, 1, 1], [1, 1, 0], [1, 0, 0])),
        case("a mask with holes", draw.integers(2, 3, 7)),
    ],
    mistakes=[
        mistake(
            "A text with no real token gives 0 / 0, which is NaN. It must give zeros: keep the divisor "
            "above 0.",
            lambda mask: mask / mask.sum(dim=1, keepdim=True),
        ),
        mistake(
            "You divide by seq. Divide by each text's count of *real* tokens.",
            lambda mask: mask / mask.shape[1],
        ),
        mistake(
            "You divide by the count of the whole batch. Each text has a count of its own: sum along dim 1.",
            lambda mask: mask / mask.sum().clamp(min=1),
            lambda mask: mask / mask.sum(),
        ),
        mistake(
            "You add up along the batch (dim=0): how many texts have a token there. How many tokens a text "
            "has "
            "is the sum along dim 1.",
            lambda mask: mask / mask.sum(dim=0),
            lambda mask: mask / mask.sum(dim=0).clamp(min=1),
            lambda mask: mask / mask.sum(dim=0, keepdim=True).clamp(min=1),
        ),
        mistake(
            "Without keepdim=True the counts, (batch,), are aligned with seq: text 0's count divides column "
            "0. "
            "With as many texts as tokens this raises no error.",
            lambda mask: mask / mask.sum(dim=1),
            lambda mask: mask / mask.sum(dim=1).clamp(min=1),
        ),
        mistake(
            "Adding to the count avoids the division by zero, and makes every other text's weights too "
            "small. "
            "Only a count of 0 may change.",
            lambda mask: mask / (mask.sum(dim=1, keepdim=True) + 1),
        ),
        mistake(
            "Padding gets the weight of a real token. Multiply by the mask, or divide the mask itself.",
            lambda mask: (1 / mask.sum(dim=1, keepdim=True).clamp(min=1)).expand_as(mask),
            lambda mask: torch.ones(mask.shape) / mask.sum(dim=1, keepdim=True).clamp(min=1),
            lambda mask: (torch.ones(mask.shape) / mask.sum(dim=1, keepdim=True)).nan_to_num(posinf=0),
        ),
        mistake(
            "Softmax gives padding a share too, since exp(0) is 1. Padding has weight 0.",
            lambda mask: mask.float().softmax(dim=1),
        ),
        mistake(
            "The weights of a text are to add up to 1: divide its mask by its count.",
            lambda mask: mask.float(),
            lambda mask: mask * mask.sum(dim=1, keepdim=True).float(),
        ),
        mistake(
            "You divide by the count of the padding. Divide by that of the real tokens.",
            lambda mask: mask / (1 - mask).sum(dim=1, keepdim=True).clamp(min=1),
        ),
        mistake(
            "`//` rounds down to whole numbers. Divide with `/`.",
            lambda mask: mask // mask.sum(dim=1, keepdim=True).clamp(min=1),
        ),
    ],
)

# 1.5 ---------------------------------------------------------------------------------------------------


def weighted_sum(vectors, weights):
    return torch.einsum("bs,bsh->bh", weights, vectors)


draw = Draw("1.5")

exercise(
    "1.5",
    "Masked mean, step 2: the weighted sum",
    reference=weighted_sum,
    returns="the vectors",
    cases=[
        case(
            "one text", torch.tensor([[[1.0, 2.0], [3.0, 5.0], [9.0, 9.0]]]), torch.tensor([[0.5, 0.5, 0.0]])
        ),
        case("any weights", draw.floats(2, 5, 3), draw.floats(2, 5)),
        case("batch, seq and hidden are all 3", draw.floats(3, 3, 3), draw.floats(3, 3)),
        case("one token", draw.floats(4, 1, 2), draw.floats(4, 1)),
        case("weights all 0", draw.floats(1, 3, 4), torch.zeros(1, 3)),
    ],
    rules=[no_loops()],
    mistakes=[
        mistake(
            "The weights stand under `hidden`: aligned at the right, (batch, seq) falls under (seq, hidden). "
            "Give the weights a third dimension: weights[:, :, None].",
            lambda vectors, weights: (vectors * weights).sum(dim=1),
            lambda vectors, weights: (vectors * weights[:, None, :]).sum(dim=1),
        ),
        mistake(
            "The weights are not used: this is the plain sum, or the plain mean, of the vectors.",
            lambda vectors, weights: vectors.sum(dim=1),
            lambda vectors, weights: vectors.mean(dim=1),
        ),
        mistake(
            "`mean` divides by seq once more, and the weights have seen to that already. Take the sum.",
            lambda vectors, weights: (vectors * weights[:, :, None]).mean(dim=1),
        ),
        mistake(
            "You divide by the sum of the weights. The sum itself is asked for, whatever the weights add up "
            "to.",
            lambda vectors, weights: weighted_sum(vectors, weights) / weights.sum(dim=1, keepdim=True),
            lambda vectors, weights: (
                weighted_sum(vectors, weights) / weights.sum(dim=1, keepdim=True).clamp(min=1)
            ),
        ),
        mistake(
            "`@` took the weights as one matrix for all texts, so every text met every row of weights. Give "
            "them "
            "a dimension: weights[:, None, :] holds one (1, seq) matrix for each text.",
            lambda vectors, weights: weights @ vectors,
        ),
        mistake(
            "You add up along `hidden`. What has to go is `seq`, dim 1.",
            lambda vectors, weights: (vectors * weights[:, :, None]).sum(dim=2),
            lambda vectors, weights: (vectors * weights[:, :, None]).sum(dim=-1),
        ),
        mistake(
            "You add up along the batch, so that all texts become one. What has to go is `seq`, dim 1.",
            lambda vectors, weights: (vectors * weights[:, :, None]).sum(dim=0),
        ),
        mistake(
            "You added up the vectors and the weights apart. Each vector has a weight of its own: multiply "
            "before you add.",
            lambda vectors, weights: vectors.sum(dim=1) * weights.sum(dim=1, keepdim=True),
        ),
        mistake(
            "The weights are used as a mask: a vector whose weight is not 0 counts in full. Multiply by the "
            "weight.",
            lambda vectors, weights: (vectors * (weights != 0)[:, :, None]).sum(dim=1),
        ),
        mistake(
            "The weights went through a softmax. They are any numbers, and are used as they are.",
            lambda vectors, weights: weighted_sum(vectors, weights.softmax(dim=1)),
        ),
        mistake(
            "The vectors of all texts are added up: each text has weights and vectors of its own, one letter "
            "(b) for both.",
            lambda vectors, weights: torch.einsum("bs,csh->bh", weights, vectors),
        ),
        mistake(
            "The product with the weights is right, but not added up: `seq` has to go.",
            lambda vectors, weights: vectors * weights[:, :, None],
        ),
        mistake(
            "The numbers are right, but a dimension of length 1 is left over. Take it away: [:, 0, :], or "
            ".squeeze(1).",
            lambda vectors, weights: (vectors * weights[:, :, None]).sum(dim=1, keepdim=True),
        ),
    ],
)

# 1.6 ---------------------------------------------------------------------------------------------------


def text_vectors(table, ids, skip):
    real = ~torch.isin(ids, torch.tensor(skip))
    weights = real / real.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.einsum("bs,bsh->bh", weights, table[ids])


def mean_where(real, divisor=None):
    """`text_vectors` with another rule of which ids count, and perhaps another divisor."""

    def answer(table, ids, skip):
        counts = real(ids, skip)
        total = (table[ids] * counts[:, :, None]).sum(dim=1)
        return total / (divisor(counts) if divisor else counts.sum(dim=1, keepdim=True).clamp(min=1))

    return answer


def kept(ids, skip):
    return ~torch.isin(ids, torch.tensor(skip))


def count_not_zero(table, ids, skip):
    vectors = table[ids] * kept(ids, skip)[:, :, None]
    return vectors.sum(dim=1) / (vectors != 0).any(dim=-1).sum(dim=1, keepdim=True).clamp(min=1)


def each_once(table, ids, skip):
    rows = [sorted(set(row) - set(skip)) for row in ids.tolist()]
    return torch.stack([table[row].sum(dim=0) / max(len(row), 1) for row in rows])


draw = Draw("1.6")

exercise(
    "1.6",
    "Masked mean, step 3: from ids to vectors",
    reference=text_vectors,
    returns="the vectors",
    cases=[
        case(
            "one text, its ends and padding left out", draw.floats(8, 2), integers([1, 5, 6, 2, 0]), [0, 1, 2]
        ),
        case(
            "two texts of different lengths",
            draw.floats(9, 3),
            integers([1, 5, 6, 2], [1, 8, 2, 0]),
            [0, 1, 2],
        ),
        case(
            "nothing is left of the second text", draw.floats(7, 4), integers([1, 5, 2], [1, 2, 0]), [2, 1, 0]
        ),
        case("only id 6 is left out", draw.floats(8, 3), draw.integers(8, 3, 6), [6]),
        case("a repeated id counts each time", draw.floats(5, 2), integers([4, 4, 4, 3, 0]), [0]),
        case(
            "a vector of zeros counts like any other",
            torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, 0.0], [1.0, 4.0]]),
            integers([2, 1, 3, 0]),
            [0],
        ),
    ],
    mistakes=[
        mistake(
            "All positions count here, also those to leave out. Make a mask from `skip` first.",
            lambda table, ids, skip: table[ids].mean(dim=1),
        ),
        mistake(
            "Only one id of `skip` is left out. `torch.isin(ids, torch.tensor(skip))` looks for all.",
            mean_where(lambda ids, skip: ids != skip[0]),
            mean_where(lambda ids, skip: ids != skip[-1]),
        ),
        mistake(
            "You left out id 0 whatever `skip` says. What counts is the argument.",
            mean_where(lambda ids, skip: ids != 0),
        ),
        mistake(
            "A token that occurs twice counts once here, as in a set. It is to count twice.",
            each_once,
        ),
        mistake(
            "This is the mean of what is to be left *out*. Turn the mask round with `~`.",
            mean_where(lambda ids, skip: ~kept(ids, skip)),
        ),
        mistake(
            "Where nothing is left this divides 0 by 0, which is NaN. Such a text is to give zeros.",
            mean_where(kept, lambda counts: counts.sum(dim=1, keepdim=True)),
        ),
        mistake(
            "You divide by seq. Divide by the number of tokens that count in each text.",
            mean_where(kept, lambda counts: counts.shape[1]),
        ),
        mistake(
            "You divide by the count of the whole batch. Each text has a count of its own.",
            mean_where(kept, lambda counts: counts.sum()),
            mean_where(kept, lambda counts: counts.sum().clamp(min=1)),
        ),
        mistake(
            "You count the vectors that are not 0, and a token that counts may have a vector of zeros. Count "
            "the tokens instead.",
            count_not_zero,
        ),
        mistake(
            "An id counts only if it differs from *all* ids in `skip`; from some of them every id differs.",
            mean_where(lambda ids, skip: (ids[:, :, None] != torch.tensor(skip)).any(dim=-1)),
        ),
        mistake(
            "You divide by the right count, but add up the vectors of all tokens: those in `skip` must not "
            "be in the sum.",
            lambda table, ids, skip: (
                table[ids].sum(dim=1) / kept(ids, skip).sum(dim=1, keepdim=True).clamp(min=1)
            ),
        ),
        mistake(
            "Adding to the count avoids the division by zero, and makes every other mean too small. Only a "
            "count of 0 may change.",
            mean_where(kept, lambda counts: counts.sum(dim=1, keepdim=True) + 1),
        ),
        mistake(
            "This is the sum of the vectors. For the mean, divide by the number of tokens that count.",
            mean_where(kept, lambda counts: 1),
        ),
    ],
)

# 1.7 ---------------------------------------------------------------------------------------------------


def masked_softmax(scores, mask, dim):
    scores = scores.masked_fill(~mask, -math.inf)
    e = (scores - scores.amax(dim=dim, keepdim=True)).exp()
    return (e / e.sum(dim=dim, keepdim=True)).nan_to_num()


def exponentials(top, keep=True):
    """A softmax that subtracts `top(scores, mask, dim)` and, if `keep`, leaves out what is masked."""

    def answer(scores, mask, dim):
        e = (scores - top(scores, mask, dim)).exp()
        e = e * mask if keep else e
        return (e / e.sum(dim=dim, keepdim=True)).nan_to_num()

    return answer


def not_safe(scores, mask, dim):
    e = scores.exp().masked_fill(~mask, 0)
    return e / e.sum(dim=dim, keepdim=True)


def not_safe_with_care(scores, mask, dim):
    e = scores.masked_fill(~mask, -math.inf).exp()
    return e / e.sum(dim=dim, keepdim=True).clamp(min=1e-9)


def largest_of_all(scores, mask, dim):
    scores = scores.masked_fill(~mask, -math.inf)
    return not_safe(scores - scores.max(), mask, dim).nan_to_num()


def share_of_all(scores, mask, dim):
    scores = scores.masked_fill(~mask, -math.inf)
    e = (scores - scores.amax(dim=dim, keepdim=True)).exp()
    return (e / e.sum()).nan_to_num()


def empty_is_nan(scores, mask, dim):
    return scores.masked_fill(~mask, -math.inf).softmax(dim=dim)


def filled_with(number):
    return lambda scores, mask, dim: scores.masked_fill(~mask, number).softmax(dim=dim)


def along(dimension):
    def answer(scores, mask, dim):
        try:
            return masked_softmax(scores, mask, dimension)
        except IndexError:  # the tensor has fewer dimensions
            return masked_softmax(scores, mask, -1)

    return answer


draw = Draw("1.7")

exercise(
    "1.7",
    "A softmax that knows the mask",
    reference=masked_softmax,
    returns="the shares",
    cases=[
        case("the last one is padding", torch.tensor([2.0, 2.0, 7.0]), torch.tensor([True, True, False]), 0),
        case("along the rows", draw.floats(3, 4), torch.ones(3, 4).bool(), 1),
        case("a square, along the columns", draw.floats(4, 4), draw.integers(5, 4, 4) > 0, 0),
        case("three dimensions, the middle one", draw.floats(2, 3, 2), draw.integers(5, 2, 3, 2) > 0, 1),
        case(
            "large scores",
            torch.tensor([[1000.0, 1001.0, 5.0], [-1000.0, -1001.0, -1000.5]]),
            integers([1, 1, 1], [1, 1, 1]).bool(),
            -1,
        ),
        case(
            "a large score that is masked", torch.tensor([[0.0, 1.0, 500.0]]), integers([1, 1, 0]).bool(), 1
        ),
        case("an enormous score that is masked", torch.tensor([2.0, 1.0, 1e30]), integers(1, 1, 0).bool(), 0),
        case("nothing is left of the first row", draw.floats(2, 3), integers([0, 0, 0], [1, 1, 0]).bool(), 1),
    ],
    rules=[forbid("softmax", "log_softmax", "softmin")],
    mistakes=[
        mistake(
            "This is right for small scores, and breaks on large ones: exp(1000) is inf, and exp(-1000) is "
            "0. "
            "Subtract the largest score along dim first.",
            not_safe,
            lambda scores, mask, dim: not_safe(scores, mask, dim).nan_to_num(),
            not_safe_with_care,
        ),
        mistake(
            "The largest score that you subtract may be a masked one; then all others vanish, and 0 / 0 is "
            "left. Take the largest of those that count: fill in minus infinity first.",
            exponentials(lambda scores, mask, dim: scores.amax(dim=dim, keepdim=True)),
            lambda scores, mask, dim: not_safe(scores - scores.amax(dim=dim, keepdim=True), mask, dim),
        ),
        mistake(
            "You subtract the largest score of the whole tensor. Where the others lie far below it they all "
            "vanish. Take the largest along dim, with keepdim=True.",
            exponentials(lambda scores, mask, dim: scores.masked_fill(~mask, -math.inf).max()),
            largest_of_all,
            exponentials(lambda scores, mask, dim: scores.max()),
            lambda scores, mask, dim: not_safe(scores - scores.max(), mask, dim),
        ),
        mistake(
            "You subtract the largest of all scores. Beside a masked one that is huge, the differences of "
            "the others are rounded away. Fill in minus infinity before you look for the largest.",
            lambda scores, mask, dim: masked_softmax(scores - scores.amax(dim=dim, keepdim=True), mask, dim),
        ),
        mistake(
            "You divide by the sum over the whole tensor. The shares add up to 1 along dim.",
            share_of_all,
        ),
        mistake(
            "Where nothing counts you give NaN: minus infinity minus minus infinity, or 0 / 0. Such shares "
            "are "
            "to be 0.",
            empty_is_nan,
        ),
        mistake(
            "This is softmax over all scores, with zeros put in afterwards: what is left no longer adds up "
            "to 1.",
            lambda scores, mask, dim: scores.softmax(dim=dim) * mask,
        ),
        mistake(
            "A score that is set to 0 still gets a share, since exp(0) is 1. Set it to minus infinity, whose "
            "exp is 0.",
            lambda scores, mask, dim: (scores * mask).softmax(dim=dim),
            lambda scores, mask, dim: (scores * mask).softmax(dim=dim) * mask,
        ),
        mistake(
            "A large negative number in place of minus infinity is a score like any other where nothing "
            "counts: "
            "all are equal there, and get equal shares. Those are to be 0.",
            filled_with(-1e9),
            filled_with(-1e4),
            filled_with(torch.finfo(torch.float32).min),
        ),
        mistake(
            "The mask is not used: what is masked gets a share as well.",
            lambda scores, mask, dim: scores.softmax(dim=dim),
        ),
        mistake(
            "You always work along the same dimension. Use the argument `dim`.",
            along(-1),
            along(0),
            along(1),
        ),
        mistake(
            "The mask is taken the wrong way round: True marks what counts.",
            lambda scores, mask, dim: masked_softmax(scores, ~mask, dim),
            lambda scores, mask, dim: empty_is_nan(scores, ~mask, dim),
        ),
    ],
)

# 1.8 ---------------------------------------------------------------------------------------------------


def analogy(table, a, b, c):
    target = table[b] - table[a] + table[c]
    cosines = (table @ target / table.norm(dim=1)).nan_to_num()
    cosines[[a, b, c]] = -math.inf
    return cosines.argmax().item()


def cosines_to_place(table, a, b, c):
    target = table[b] - table[a] + table[c]
    return (table @ target / table.norm(dim=1)).nan_to_num()


def moved_up(table, a, b, c):
    rows = [row for row in range(len(table)) if row not in (a, b, c)]
    return cosines_to_place(table, a, b, c)[rows].argmax().item()


def nearest_to(target, scores=None, leave_out=lambda a, b, c: [a, b, c]):
    """`analogy` with another target, another measure, or other rows left out."""

    def answer(table, a, b, c):
        aim = target(table[a], table[b], table[c])
        found = scores(table, aim) if scores else (table @ aim / table.norm(dim=1)).nan_to_num()
        found[leave_out(a, b, c)] = -math.inf
        return found.argmax().item()

    return answer


def step_from_a_to_b(a, b, c):
    return b - a + c


def unit(vector):
    return vector / vector.norm().clamp(min=1e-12)


def farthest(table, a, b, c):
    cosines = (table @ step_from_a_to_b(table[a], table[b], table[c]) / table.norm(dim=1)).nan_to_num()
    cosines[[a, b, c]] = math.inf
    return cosines.argmin().item()


draw = Draw("1.8")

WORDS = torch.tensor(
    [
        [1.0, 0.0, 0.2],  # 0 man
        [0.0, 1.0, 0.2],  # 1 woman
        [1.0, 0.1, 2.0],  # 2 king
        [0.1, 1.0, 2.0],  # 3 queen
        [9.0, 9.0, 9.0],  # 4 a word that occurs so often that its vector is long
        [0.5, 0.5, -3.0],  # 5 apple
    ]
)

exercise(
    "1.8",
    "One word is to another as …",
    reference=analogy,
    returns="the row",
    cases=[
        case("man is to king as woman is to", WORDS, 0, 2, 1),
        case("king is to man as queen is to", WORDS, 2, 0, 3),
        case(
            "the nearest of all is c",
            torch.tensor([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.9], [1.0, -0.5]]),
            0,
            1,
            2,
        ),
        case(
            "a row of zeros is the best",
            torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.5, 1.0], [0.0, 0.0], [-1.0, -1.0], [0.0, -3.0]]),
            0,
            1,
            2,
        ),
        case(
            "a row of zeros, and a better one", torch.cat([draw.floats(30, 3), torch.zeros(1, 3)]), 3, 7, 11
        ),
        case(
            "many random rows of many lengths", draw.floats(60, 5) * (0.1 + draw.floats(60, 1).abs()), 4, 5, 6
        ),
        case("the same step the other way round", draw.floats(40, 4), 9, 2, 17),
    ],
    rules=[no_loops()],
    mistakes=[
        mistake(
            "You found one of the three words themselves. Leave out the rows a, b and c: give them a cosine "
            "below all others.",
            nearest_to(step_from_a_to_b, leave_out=lambda a, b, c: []),
            nearest_to(step_from_a_to_b, leave_out=lambda a, b, c: [a]),
            nearest_to(step_from_a_to_b, leave_out=lambda a, b, c: [b]),
            nearest_to(step_from_a_to_b, leave_out=lambda a, b, c: [a, b]),
            nearest_to(step_from_a_to_b, leave_out=lambda a, b, c: [c]),
            nearest_to(step_from_a_to_b, leave_out=lambda a, b, c: [b, c]),
        ),
        mistake(
            "You took a, b and c out of the table, and gave the row's number in what is left. Rows after a "
            "removed one have moved up: give the number in `table`.",
            moved_up,
        ),
        mistake(
            "You took the fourth best. The words a, b and c need not be the three nearest: leave out these "
            "rows, and take the best.",
            lambda table, a, b, c: cosines_to_place(table, a, b, c).topk(4).indices[3].item(),
        ),
        mistake(
            "You looked elsewhere. The place is the vector of b, minus that of a, plus that of c.",
            nearest_to(lambda a, b, c: b - a),
            nearest_to(lambda a, b, c: b - c + a),
        ),
        mistake(
            "You chose by the dot product, so a long vector wins whatever its direction. Divide by the "
            "length "
            "of each row.",
            nearest_to(step_from_a_to_b, lambda table, aim: table @ aim),
        ),
        mistake(
            "You chose by the distance. The cosine asks for the direction alone.",
            nearest_to(step_from_a_to_b, lambda table, aim: -(table - aim).norm(dim=1)),
        ),
        mistake(
            "You scaled the words to length 1 before taking the step. The place to look comes from the "
            "vectors as "
            "they are; only the cosine looks at directions.",
            nearest_to(lambda a, b, c: unit(b) - unit(a) + unit(c)),
        ),
        mistake(
            "The step goes the wrong way: from a to b is table[b] - table[a].",
            nearest_to(lambda a, b, c: a - b + c),
        ),
        mistake(
            "The three vectors are only added up. The step from a to b is a difference: table[b] - table[a].",
            nearest_to(lambda a, b, c: a + b + c),
        ),
        mistake(
            "This is what is nearest to c alone; the step from a to b is missing.",
            nearest_to(lambda a, b, c: c),
        ),
        mistake(
            "A row of zeros gives 0 / 0, which is NaN, and argmax takes NaN for the largest. Its cosine is "
            "to "
            "be 0.",
            nearest_to(step_from_a_to_b, lambda table, aim: table @ aim / table.norm(dim=1)),
        ),
        mistake(
            "This is the row that points the other way: take the largest cosine, not the smallest.",
            farthest,
        ),
    ],
)

# 1.9 ---------------------------------------------------------------------------------------------------


def bag_of_words(ids, mask, vocabulary):
    return torch.zeros(ids.shape[0], vocabulary).scatter_add(1, ids, mask.float())


def repeats_lost(ids, mask, vocabulary):
    counts = torch.zeros(ids.shape[0], vocabulary)
    rows = torch.arange(ids.shape[0])[:, None].expand_as(ids)
    counts[rows, ids] += mask.float()
    return counts


def written_once(ids, mask, vocabulary):
    return torch.zeros(ids.shape[0], vocabulary).scatter(1, ids, mask.float())


draw = Draw("1.9")

exercise(
    "1.9",
    "Count the words",
    reference=bag_of_words,
    returns="the counts",
    cases=[
        case("a repeated token and padding", integers([2, 1, 2, 0]), integers([1, 1, 1, 0]), 4),
        case("nothing is padding", draw.integers(6, 3, 10), torch.ones(3, 10, dtype=torch.int64), 6),
        case(
            "padding with a token's own id", integers([3, 3, 3], [1, 3, 3]), integers([1, 1, 0], [1, 0, 0]), 5
        ),
        case("an empty text", integers([0, 0], [1, 1]), integers([0, 0], [1, 1]), 3),
        case("the size of BERT", draw.integers(30_522, 8, 64), draw.integers(2, 8, 64), 30_522),
    ],
    rules=[no_loops(), tensors_up_to(250_000)],
    mistakes=[
        mistake(
            "Padding is counted. Let it add 0: the mask tells which positions count.",
            lambda ids, mask, vocabulary: bag_of_words(ids, torch.ones_like(mask), vocabulary),
        ),
        mistake(
            "You took id 0 for padding, and the ids do not tell: a padded place may hold any id. Ask "
            "the mask.",
            lambda ids, mask, vocabulary: bag_of_words(ids, (ids != 0).long(), vocabulary),
        ),
        mistake(
            "The mask is the wrong way round: 1 is a real token, 0 is padding.",
            lambda ids, mask, vocabulary: bag_of_words(ids, 1 - mask, vocabulary),
        ),
        mistake(
            "You added the ids. Each real token adds 1 to its place.",
            lambda ids, mask, vocabulary: bag_of_words(ids, ids * mask, vocabulary),
        ),
        mistake(
            "Padding is counted as token 0: `ids * mask` makes it a 0, and 0 is an id like any other. Let "
            "it add 0.",
            lambda ids, mask, vocabulary: bag_of_words(ids * mask, torch.ones_like(mask), vocabulary),
        ),
        mistake(
            "A token that occurs twice in a text is counted once: `counts[rows, ids] += 1` and `scatter` "
            "read, "
            "add and write back, so repeats overwrite one another. `scatter_add` (or `index_put_` with "
            "accumulate=True) adds them.",
            repeats_lost,
            written_once,
            lambda ids, mask, vocabulary: torch.zeros(len(ids), vocabulary).scatter(1, ids, 1.0),
            lambda ids, mask, vocabulary: (bag_of_words(ids, mask, vocabulary) > 0).float(),
        ),
        mistake(
            "The counts are right, but integers; the dtype asked for is float32.",
            lambda ids, mask, vocabulary: bag_of_words(ids, mask, vocabulary).long(),
        ),
        mistake(
            "These are the counts of the whole batch together; each text is to have a row of its own.",
            lambda ids, mask, vocabulary: bag_of_words(ids, mask, vocabulary).sum(dim=0),
            lambda ids, mask, vocabulary: bag_of_words(ids, mask, vocabulary).sum(dim=0, keepdim=True),
        ),
        mistake(
            "These are shares, which add up to 1 in each text. The counts themselves are asked for.",
            lambda ids, mask, vocabulary: bag_of_words(ids, mask, vocabulary) / mask.sum(dim=1, keepdim=True),
        ),
    ],
)
