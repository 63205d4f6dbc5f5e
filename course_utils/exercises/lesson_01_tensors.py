"""Exercises of lesson 01, tensors: their references, inputs and typical mistakes."""

import torch

from course_utils.checks.exercise import case, exercise, mistake

random = torch.Generator().manual_seed(1)


def floats(*shape):
    return torch.randn(*shape, generator=random)


def integers(high, *shape):
    return torch.randint(0, high, shape, generator=random)


# 1.1 ---------------------------------------------------------------------------------------------------


def attention_mask(ids, pad_id):
    return (ids != pad_id).long()


exercise(
    "1.1",
    "Attention mask",
    reference=attention_mask,
    cases=[
        case("two texts, padded with 0", torch.tensor([[101, 7, 9, 102], [101, 102, 0, 0]]), 0),
        case("padded with 1", torch.tensor([[0, 5, 2, 1], [0, 2, 1, 1], [0, 0, 2, 1]]), 1),
        case("nothing but padding", torch.full((2, 3), 9), 9),
        case("many random ids", integers(4, 5, 8), 3),
    ],
    mistakes=[
        mistake(
            "The mask is the other way round: 1 stands for a token, 0 for padding.",
            lambda ids, pad_id: (ids == pad_id).long(),
        ),
        mistake(
            "You gave bools; the tokenizer's masks are of dtype int64. Convert with .long().",
            lambda ids, pad_id: ids != pad_id,
        ),
        mistake(
            "You compared with 0 instead of pad_id: other models pad with other numbers.",
            lambda ids, pad_id: (ids != 0).long(),
        ),
        mistake(
            "You gave the ids themselves where there is a token; 1 is asked for.",
            lambda ids, pad_id: ids * (ids != pad_id),
        ),
    ],
)

# 1.2 ---------------------------------------------------------------------------------------------------


def pad_batch(lists, pad_id):
    longest = max(len(ids) for ids in lists)
    return torch.tensor([ids + [pad_id] * (longest - len(ids)) for ids in lists])


def padded_in_place(lists, pad_id):
    longest = max(len(ids) for ids in lists)
    for ids in lists:
        while len(ids) < longest:
            ids.append(pad_id)
    return torch.tensor(lists)


exercise(
    "1.2",
    "Pad a batch",
    reference=pad_batch,
    cases=[
        case("two lists", [[5, 6, 7], [8]], 0),
        case("the longest comes last, padded with 1", [[4], [4, 5], [4, 5, 6, 7]], 1),
        case("equal lengths", [[3, 1], [2, 9]], 0),
        case("a single list", [[7, 7, 7]], 0),
        case("padded with -100, as labels are", [[2, 2], [1, 1, 1]], -100),
    ],
    mistakes=[
        mistake(
            "You padded at the front; BERT's padding stands at the end of a row.",
            lambda lists, pad_id: pad_batch([ids[::-1] for ids in lists], pad_id).flip(1),
        ),
        mistake(
            "You cut every list to the shortest; the box is as wide as the longest.",
            lambda lists, pad_id: torch.tensor([ids[: min(map(len, lists))] for ids in lists]),
        ),
        mistake(
            "You padded with 0 instead of pad_id.",
            lambda lists, pad_id: pad_batch(lists, 0),
        ),
        mistake(
            "The numbers are right, but of a floating-point dtype: torch.zeros and torch.ones make "
            "float32. "
            "Give them dtype=torch.int64, or use torch.full.",
            lambda lists, pad_id: pad_batch(lists, pad_id).float(),
        ),
        mistake(
            "You made the lists themselves longer; the caller's lists must stay as they are. "
            "`ids + [...]` makes a new list, `ids.append` and `ids +=` change the old one.",
            padded_in_place,
        ),
    ],
)

# 1.3 ---------------------------------------------------------------------------------------------------


def safe_masked_mean(vectors, mask):
    weights = mask[:, :, None].to(vectors.dtype)
    return (vectors * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def without_clamp(vectors, mask):
    weights = mask[:, :, None].to(vectors.dtype)
    return (vectors * weights).sum(dim=1) / weights.sum(dim=1)


exercise(
    "1.3",
    "A masked mean that survives an empty text",
    reference=safe_masked_mean,
    gradients=True,
    cases=[
        case("ordinary", floats(2, 4, 3), torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])),
        case("nothing is padding", floats(3, 2, 5), torch.ones(3, 2, dtype=torch.int64)),
        case("an empty text", floats(2, 3, 2), torch.tensor([[0, 0, 0], [1, 1, 0]])),
        case("one token, one feature", floats(1, 1, 1), torch.tensor([[1]])),
    ],
    mistakes=[
        mistake(
            "This is the mean over all positions: the padding counts as well. Multiply by the mask first.",
            lambda vectors, mask: vectors.mean(dim=1),
        ),
        mistake(
            "The sum is masked, but you divide by seq. Divide by each text's count of real tokens.",
            lambda vectors, mask: (vectors * mask[:, :, None]).mean(dim=1),
        ),
        mistake(
            "A text with no real token gives 0 / 0, which is NaN. It must give zeros.",
            without_clamp,
        ),
        mistake(
            "You divide by the count of real tokens in the whole batch. Each text has a count of its own: "
            "sum the mask along dim 1.",
            lambda vectors, mask: (vectors * mask[:, :, None]).sum(dim=1) / mask.sum().clamp(min=1),
        ),
        mistake(
            "Adding 1 to the count avoids the division by zero, and makes every other text's mean too "
            "small. "
            "Only a count of 0 may change.",
            lambda vectors, mask: (vectors * mask[:, :, None]).sum(1) / (mask.sum(1, keepdim=True) + 1),
        ),
        mistake(
            "The values are right, but nan_to_num at the end leaves NaN in the gradient: 0 / 0 is still "
            "computed "
            "on the way. Make the divisor harmless instead.",
            lambda vectors, mask: without_clamp(vectors, mask).nan_to_num(),
        ),
    ],
)

# 1.4 ---------------------------------------------------------------------------------------------------


def my_softmax(scores, dim):
    e = (scores - scores.amax(dim=dim, keepdim=True)).exp()
    return e / e.sum(dim=dim, keepdim=True)


exercise(
    "1.4",
    "Softmax over any dimension",
    reference=my_softmax,
    gradients=True,
    cases=[
        case("a matrix, along its rows", floats(3, 4), 1),
        case("a square matrix, along its columns", floats(4, 4), 0),
        case("large scores", torch.tensor([[1000.0, 1000.0], [-1000.0, 0.0]]), -1),
        case("three dimensions, the middle one", floats(2, 3, 2), 1),
        case("one score", torch.tensor([5.0]), 0),
    ],
    mistakes=[
        mistake(
            "This is right for small scores and overflows for large ones: exp(1000) is inf, and inf / "
            "inf is NaN. "
            "Subtract the largest score along dim first.",
            lambda scores, dim: scores.exp() / scores.exp().sum(dim=dim, keepdim=True),
        ),
        mistake(
            "You divide by the sum over the whole tensor. The shares along `dim` must add up to 1, one "
            "by one.",
            lambda scores, dim: (scores - scores.max()).exp() / (scores - scores.max()).exp().sum(),
        ),
        mistake(
            "You always work along the last dimension. Use the argument `dim`.",
            lambda scores, dim: my_softmax(scores, -1),
        ),
        mistake(
            "These are the logarithms of the shares: the last step, exp or the division, is missing.",
            lambda scores, dim: my_softmax(scores, dim).log(),
        ),
        mistake(
            "You divide by the sum of the scores, without exp: the shares may be negative, and 0 / 0 "
            "may occur.",
            lambda scores, dim: scores / scores.sum(dim=dim, keepdim=True),
        ),
    ],
)

# 1.5 ---------------------------------------------------------------------------------------------------


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)


def cosine_matrix(a, b):
    return unit(a) @ unit(b).T


exercise(
    "1.5",
    "All cosines at once",
    reference=cosine_matrix,
    cases=[
        case("three rows against two", floats(3, 4), floats(2, 4)),
        case("square, three against three", floats(3, 3), floats(3, 3)),
        case("rows of very different lengths", floats(2, 5) * 100, floats(4, 5) * 0.01),
        case(
            "a row of zeros", torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        ),
        case("opposite directions", torch.tensor([[1.0, 1.0]]), torch.tensor([[-2.0, -2.0]])),
    ],
    mistakes=[
        mistake(
            "These are dot products: longer vectors get larger values. Scale every row to length 1 first.",
            lambda a, b: a @ b.T,
        ),
        mistake(
            "Only `a` was scaled to length 1; the rows of `b` need it as well.",
            lambda a, b: unit(a) @ b.T,
        ),
        mistake(
            "A row of zeros gives 0 / 0, which is NaN. Its cosines are to be 0: keep the norm above 0 "
            "with clamp.",
            lambda a, b: (a / a.norm(dim=1, keepdim=True)) @ (b / b.norm(dim=1, keepdim=True)).T,
        ),
        mistake(
            "The rows and columns are swapped: element [i, j] belongs to row i of `a` and row j of `b`.",
            lambda a, b: cosine_matrix(b, a),
        ),
        mistake(
            "You scaled the columns (dim=0). A vector is a row: take the norm along dim=1.",
            lambda a, b: unit(a.T).T @ unit(b.T),
        ),
    ],
)

# 1.6 ---------------------------------------------------------------------------------------------------


def bag_of_words(ids, mask, vocabulary):
    return torch.zeros(ids.shape[0], vocabulary).scatter_add(1, ids, mask.float())


def repeats_lost(ids, mask, vocabulary):
    counts = torch.zeros(ids.shape[0], vocabulary)
    rows = torch.arange(ids.shape[0])[:, None].expand_as(ids)
    counts[rows, ids] += mask.float()
    return counts


def presence(ids, mask, vocabulary):
    return (bag_of_words(ids, mask, vocabulary) > 0).float()


exercise(
    "1.6",
    "Count the words",
    reference=bag_of_words,
    cases=[
        case("a repeated token and padding", torch.tensor([[2, 1, 2, 0]]), torch.tensor([[1, 1, 1, 0]]), 4),
        case("nothing is padding", integers(6, 3, 10), torch.ones(3, 10, dtype=torch.int64), 6),
        case(
            "padding with a token's own id",
            torch.tensor([[3, 3, 3], [1, 3, 3]]),
            torch.tensor([[1, 1, 0], [1, 0, 0]]),
            5,
        ),
        case("an empty text", torch.tensor([[0, 0], [1, 1]]), torch.tensor([[0, 0], [1, 1]]), 3),
    ],
    mistakes=[
        mistake(
            "Padding is counted. Let it add 0: the mask tells which positions count.",
            lambda ids, mask, vocabulary: bag_of_words(ids, torch.ones_like(mask), vocabulary),
        ),
        mistake(
            "A token that occurs twice in a text is counted once: `counts[rows, ids] += 1` reads, adds "
            "and writes "
            "back, so repeats overwrite one another. scatter_add (or index_put_ with accumulate=True) "
            "adds them.",
            repeats_lost,
        ),
        mistake(
            "You gave 1 for every token that occurs; how often it occurs is asked for.",
            presence,
        ),
        mistake(
            "The counts are integers; the dtype asked for is float32.",
            lambda ids, mask, vocabulary: bag_of_words(ids, mask, vocabulary).long(),
        ),
        mistake(
            "These are the counts of the whole batch together; each text is to have its own row.",
            lambda ids, mask, vocabulary: bag_of_words(ids, mask, vocabulary).sum(dim=0),
        ),
    ],
)
