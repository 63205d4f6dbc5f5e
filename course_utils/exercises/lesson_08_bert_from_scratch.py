"""Exercises of lesson 08, BERT from scratch: their references, inputs and typical mistakes."""

import math
import numbers

import torch
from torch import nn
from torch.nn.functional import gelu

from course_utils.checks.exercise import Draw, case, exercise, forbid, mistake, shown, tensors_up_to

FUSED = forbid("scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention")


def padding(*lengths):
    """A mask of texts of these lengths: 1 for a real token, 0 for padding."""
    longest = max(lengths)
    return torch.tensor([[1] * length + [0] * (longest - length) for length in lengths])


# 8.1 ---------------------------------------------------------------------------------------------------

draw = Draw("8.1")


def soft_lookup(query, keys, values):
    return (keys @ query).softmax(dim=0) @ values


def looked_up(share, score=lambda query, keys: keys @ query):
    """`soft_lookup` with another score, or other shares made of the scores."""
    return lambda query, keys, values: share(score(query, keys)) @ values


def overflowing(scores):
    return scores.exp() / scores.exp().sum()


def cosine(query, keys):
    return (keys @ query) / (keys.norm(dim=1) * query.norm())


def use_lookup(answer, query, keys, values):
    """The answer's result; with one key it owes no gradient to query and keys, for its share is always 1."""
    found = answer(query, keys, values)
    lone = len(keys) == 1 and torch.is_tensor(found) and found.requires_grad
    return found + 0 * (keys @ query).sum() if lone else found


exercise(
    "8.1",
    "Soft lookup",
    reference=soft_lookup,
    use=use_lookup,
    returns="the answer",
    gradients=["query", "keys", "values"],
    cases=[
        case("three keys, one number each", draw.floats(2), draw.floats(3, 2), draw.floats(3, 1)),
        case("as many keys as features", draw.floats(4), draw.floats(4, 4), draw.floats(4, 4)),
        case("one key", draw.floats(3), draw.floats(1, 3), draw.floats(1, 2)),
        case("large scores", 10 * draw.floats(8), 10 * draw.floats(5, 8), draw.floats(5, 3)),
        case("nothing in common", torch.zeros(3), draw.floats(6, 3), draw.floats(6, 2)),
    ],
    mistakes=[
        mistake(
            "The shares are the raw scores; they can be negative, and they do not add up to 1. Softmax makes "
            "shares of them.",
            looked_up(lambda scores: scores),
        ),
        mistake(
            "You divide the scores by their sum. Scores can be negative, and their sum can be 0: softmax "
            "takes e to the power of each first.",
            looked_up(lambda scores: scores / scores.sum()),
        ),
        mistake(
            "That is the hard lookup: the value of the best key alone. The soft one mixes all values by "
            "their shares.",
            lambda query, keys, values: values[(keys @ query).argmax()],
        ),
        mistake(
            "All keys got the same share: this is the plain mean of the values.",
            lambda query, keys, values: values.mean(dim=0),
        ),
        mistake(
            "Your score is the cosine. The dot product is asked for: the lengths of the vectors count.",
            looked_up(lambda scores: scores.softmax(dim=0), cosine),
        ),
        mistake(
            "The scores are divided by a root. That is the next section's; here the dot product stays as it "
            "is.",
            looked_up(lambda scores: scores.softmax(dim=0), lambda q, k: k @ q / q.shape[0] ** 0.5),
        ),
        mistake(
            "The factor 4 of the example is in your scores. The formula has none.",
            looked_up(lambda scores: (4 * scores).softmax(dim=0)),
        ),
        mistake(
            "Softmax is taken of the query. It makes shares of the *scores*, which come out of the product.",
            lambda query, keys, values: (keys @ query.softmax(dim=0)) @ values,
        ),
        mistake(
            "Those are sigmoids: each score judged alone. The shares of all keys add up to 1, so they need "
            "one softmax.",
            looked_up(lambda scores: scores.sigmoid()),
        ),
        mistake(
            "The products of shares and values are averaged. Add them up: the shares do the averaging.",
            lambda query, keys, values: ((keys @ query).softmax(dim=0)[:, None] * values).mean(dim=0),
        ),
        mistake(
            "e to the power of a large score is infinite, and the result NaN. Take torch's softmax, or "
            "subtract the largest score first.",
            looked_up(overflowing),
        ),
        mistake(
            "You mixed the keys. The keys only say how much; what is mixed are the values.",
            lambda query, keys, values: (keys @ query).softmax(dim=0) @ keys,
        ),
        mistake(
            "Each value is multiplied by its share, and the sum over the keys is missing.",
            lambda query, keys, values: (keys @ query).softmax(dim=0)[:, None] * values,
        ),
        mistake(
            "These are the shares. One step is left: they mix the values.",
            lambda query, keys, values: (keys @ query).softmax(dim=0),
        ),
    ],
)

# 8.2 ---------------------------------------------------------------------------------------------------

draw = Draw("8.2")


def scaled(q, k):
    return q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5


def hidden(scores, mask, low=-math.inf):
    return scores.masked_fill(mask[:, None, None, :] == 0, low)


def attention(q, k, v, mask):
    shares = hidden(scaled(q, k), mask).softmax(dim=-1)
    return shares @ v, shares


def attention_with(scale=None, hide=hidden, dim=-1, after=lambda shares, mask: shares):
    """`attention` with another scale, another way to mask, or softmax along another dimension."""

    def wrong(q, k, v, mask):
        scores = q @ k.transpose(-1, -2)
        scores = scaled(q, k) if scale is None else scores * scale(q, k)
        shares = after(hide(scores, mask).softmax(dim=dim), mask)
        return shares @ v, shares

    return wrong


def queries_hidden(scores, mask):
    """Hides rows, as far as the shapes allow it; else there would be an exception."""
    return scores.masked_fill(mask[:, None, :, None] == 0, -math.inf)


def unmasked(scores, mask):
    return scores


def both_hidden(scores, mask, low=-math.inf):
    if scores.shape[-2] != scores.shape[-1]:
        raise ValueError("a mask of keys hides no queries here")
    both = mask[:, None, :, None] * mask[:, None, None, :]
    return scores.masked_fill(both == 0, low)


def divided_again(shares, mask):
    kept = shares * mask[:, None, None, :]
    return kept / kept.sum(dim=-1, keepdim=True)


def divided_late(q, k, v, mask):
    shares = hidden(q @ k.transpose(-1, -2), mask).softmax(dim=-1) / q.shape[-1] ** 0.5
    return shares @ v, shares


def scores_too(q, k, v, mask):
    scores = hidden(scaled(q, k), mask)
    return scores.softmax(dim=-1) @ v, scores


def lined_up(place):
    """Hides by the mask as it is after `place(mask)`, as far as the shapes allow it."""
    return [
        attention_with(hide=lambda scores, mask, low=low: scores.masked_fill(place(mask) == 0, low))
        for low in (-math.inf, -1e9)
    ]


def values_hidden(q, k, v, mask):
    shares = scaled(q, k).softmax(dim=-1)
    return shares @ (v * mask[:, None, :, None]), shares


def keys_poured(q, k, v, mask):
    return attention(q, k.reshape(*k.shape[:2], k.shape[3], k.shape[2]).transpose(2, 3), v, mask)


def dropped(p):
    """`attention` with a dropout of the shares left in."""
    return attention_with(after=lambda shares, mask: nn.functional.dropout(shares, p))


def triple(batch, heads, queries, size, keys=None, width=None):
    """Random q, k and v, so large that shares are far from equal."""
    keys, width = keys or queries, width or size
    return (
        1.5 * draw.floats(batch, heads, queries, size),
        1.5 * draw.floats(batch, heads, keys, size),
        draw.floats(batch, heads, keys, width),
    )


exercise(
    "8.2",
    "Scaled attention with a mask",
    reference=attention,
    returns=("the mixed values", "the shares"),
    gradients=["q", "k", "v"],
    rules=[FUSED],
    cases=[
        case("two texts, one padded", *triple(2, 2, 4, 3), padding(4, 2)),
        case("no padding", *triple(1, 3, 3, 8), padding(3)),
        case("fewer queries than keys", *triple(2, 2, 3, 4, keys=5), padding(3, 5)),
        case("wider values", *triple(2, 1, 4, 2, width=6), padding(4, 3)),
        case("one real token", *triple(2, 2, 3, 4), padding(1, 3)),
        case("padding in front", *triple(1, 2, 4, 4), torch.tensor([[0, 1, 1, 1]])),
        case("large scores", *(9 * part for part in triple(2, 2, 4, 4)), padding(2, 4)),
        case(
            "padding has by far the largest scores",
            torch.full((1, 1, 2, 4), 10.0),
            torch.tensor([[[[1.0, 2, 3, 4], [2.0, 2, 2, 1], [20.0, 20, 20, 20]]]]),
            draw.floats(1, 1, 3, 2),
            padding(3)[:, :3] * torch.tensor([[1, 1, 0]]),
        ),
        case(
            "real scores near -1000",
            torch.full((1, 1, 2, 4), 20.0),
            torch.tensor([[[[-25.0, -25, -25, -25], [-25.0, -25, -25, -25.1], [0.0, 0, 0, 0]]]]),
            draw.floats(1, 1, 3, 2),
            torch.tensor([[1, 1, 0]]),
        ),
        case("two of everything", *triple(2, 2, 2, 2), padding(2, 1)),
    ],
    mistakes=[
        mistake(
            "The scale is missing: the scores are divided by the root of the size of a head.",
            attention_with(scale=lambda q, k: 1),
        ),
        mistake(
            "You divide by the size itself. It is its square root: the spread of a sum grows with the root "
            "of the number of its terms.",
            attention_with(scale=lambda q, k: 1 / q.shape[-1]),
        ),
        mistake(
            "The scale is made of another dimension. It is the size of a head, the last dimension of q.",
            attention_with(scale=lambda q, k: q.shape[-2] ** -0.5),
            attention_with(scale=lambda q, k: k.shape[-2] ** -0.5),
            attention_with(scale=lambda q, k: (q.shape[-1] * q.shape[1]) ** -0.5),
            lambda q, k, v, mask: attention(q * (q.shape[-1] / v.shape[-1]) ** 0.5, k, v, mask),
        ),
        mistake(
            "You multiply by the root of the size. Divide by it.",
            attention_with(scale=lambda q, k: q.shape[-1] ** 0.5),
        ),
        mistake(
            "Softmax runs over the queries. Each query shares itself out among the *keys*, the last "
            "dimension of the scores.",
            attention_with(dim=-2),
            attention_with(hide=lambda scores, mask: hidden(scores, mask, -1e9), dim=-2),
        ),
        mistake(
            "Padding is read: the mask is not used.",
            attention_with(hide=unmasked),
        ),
        mistake(
            "The mask is the wrong way round: real tokens are hidden and padding is read.",
            attention_with(hide=lambda scores, mask: hidden(scores, 1 - mask)),
            attention_with(hide=lambda scores, mask: hidden(scores, 1 - mask, -1e9)),
            attention_with(hide=lambda scores, mask: scores - 1e9 * mask[:, None, None, :]),
        ),
        mistake(
            "Padding gets the score 0, and e to the power of 0 is 1: it still gets a share. Give it −∞ "
            "before the softmax.",
            attention_with(hide=lambda scores, mask: hidden(scores, mask, 0.0)),
            attention_with(hide=lambda scores, mask: hidden(scores, mask, 1e-9)),
            attention_with(hide=lambda scores, mask: scores * mask[:, None, None, :]),
        ),
        mistake(
            "The mask is added as it is, 1 for real and 0 for padding. Add 0 and −∞ (or use masked_fill).",
            attention_with(hide=lambda scores, mask: scores + mask[:, None, None, :]),
        ),
        mistake(
            "The shares of padding are set to 0 after the softmax, so what is left no longer adds up to 1. "
            "Mask the scores, before it.",
            attention_with(hide=unmasked, after=lambda shares, mask: shares * mask[:, None, None, :]),
        ),
        mistake(
            "The shares of padding are set to 0 after the softmax and the rest divided again. Where padding "
            "held nearly everything, nothing is left to divide: mask the scores, before it.",
            attention_with(hide=unmasked, after=divided_again),
        ),
        mistake(
            "You hide the rows of padding as well as its columns. All queries are answered; only keys are "
            "hidden.",
            attention_with(hide=both_hidden),
            attention_with(hide=lambda scores, mask: both_hidden(scores, mask, -1e9)),
            attention_with(hide=both_hidden, after=lambda shares, mask: shares.nan_to_num()),
        ),
        mistake(
            "The shares are divided by the root, after the softmax. Divide the scores, before it.",
            divided_late,
        ),
        mistake(
            "You hide the padding as queries, and it is to be hidden as keys: the last dimension of the "
            "scores.",
            attention_with(hide=queries_hidden, after=lambda shares, mask: shares.nan_to_num()),
            attention_with(hide=queries_hidden),
            attention_with(
                hide=lambda scores, mask: scores.masked_fill(mask[:, None, :, None] == 0, -1e9),
            ),
        ),
        mistake(
            "The number that hides padding is not far enough down: beside large scores it is one of many. "
            "Take −∞.",
            attention_with(hide=lambda scores, mask: hidden(scores, mask, -10.0)),
            attention_with(hide=lambda scores, mask: hidden(scores, mask, -1.0)),
            attention_with(hide=lambda scores, mask: hidden(scores, mask, -100.0)),
        ),
        mistake(
            "The second of the two is the scores. The shares are asked for, after the softmax.",
            scores_too,
        ),
        mistake(
            "The two are swapped: first the mixed values, then the shares.",
            lambda q, k, v, mask: attention(q, k, v, mask)[::-1],
        ),
        mistake(
            "Softmax runs over the heads (dimension 1) or over the texts (dimension 0). Each query shares "
            "itself out among its keys: the last dimension.",
            *[
                attention_with(hide=lambda scores, mask, low=low: hidden(scores, mask, low), dim=dim)
                for dim in (1, 0)
                for low in (-math.inf, -1e9)
            ],
        ),
        mistake(
            "Your mask meets the wrong dimensions. Shapes are lined up from the right, and the scores are "
            "(batch, heads, n, m): put the two new dimensions in the middle, `mask[:, None, None, :]`.",
            *lined_up(lambda mask: mask[:, None]),
            *lined_up(lambda mask: mask),
            *lined_up(lambda mask: mask[:, :, None, None]),
        ),
        mistake(
            "You hide the values of padding, and its keys still get their shares: what is left no longer "
            "adds up to 1. Mask the scores, before the softmax.",
            values_hidden,
        ),
        mistake(
            "The keys are turned by `reshape` or `view`, which pours the numbers into the new shape in "
            "reading order. `transpose(-1, -2)` turns each head's table round.",
            keys_poured,
        ),
        mistake(
            "There is dropout in your shares: some are 0, and a row no longer adds up to 1. Leave it out.",
            dropped(0.1),
            dropped(0.5),
        ),
        mistake(
            "These are the mixed values alone. A tuple is asked for: the shares come second.",
            lambda q, k, v, mask: attention(q, k, v, mask)[0],
        ),
    ],
)

# 8.3 ---------------------------------------------------------------------------------------------------

draw = Draw("8.3")


def split(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def joined(x):
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.value, self.output = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)

    def projected(self, x):
        return self.query(x), self.key(x), self.value(x)

    def forward(self, x, mask):
        q, k, v = (split(each, self.heads) for each in self.projected(x))
        return self.output(joined(attention(q, k, v, mask)[0]))


def heads_with(cut=split, join=joined, attend=attention, project=SelfAttention.projected, output=True):
    """`SelfAttention` with other heads, another attention inside, or other projections."""

    class Wrong(SelfAttention):
        def forward(self, x, mask):
            q, k, v = (cut(each, self.heads) for each in project(self, x))
            mixed = join(attend(q, k, v, mask)[0])
            return self.output(mixed) if output else mixed

    return Wrong


class WithShares(SelfAttention):
    def forward(self, x, mask):
        mixed, shares = attention(*(split(each, self.heads) for each in self.projected(x)), mask)
        return self.output(joined(mixed)), shares


class DroppedEnd(SelfAttention):
    p = 0.1

    def forward(self, x, mask):
        return nn.functional.dropout(super().forward(x, mask), self.p)


def heads_behind(hide):
    """Heads that stay behind the tokens, so that heads are compared with heads."""
    return heads_with(
        cut=lambda x, heads: x.unflatten(-1, (heads, -1)),
        join=lambda x: x.flatten(2),
        attend=attention_with(hide=hide),
    )


class ZeroAtPadding(SelfAttention):
    def forward(self, x, mask):
        return super().forward(x, mask) * mask[:, :, None]


class WithResidual(SelfAttention):
    def forward(self, x, mask):
        return x + super().forward(x, mask)


def poured(x, heads):
    return x.reshape(x.shape[0], heads, x.shape[1], -1)


def interleaved(x, heads):
    return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


def poured_back(x):
    return x.reshape(x.shape[0], x.shape[2], -1)


def by_root_of_hidden(q, k, v, mask):
    return attention(q / q.shape[1] ** 0.5, k, v, mask)


exercise(
    "8.3",
    "Many heads",
    reference=SelfAttention,
    kind="module",
    gradients=["x", "parameters"],
    rules=[FUSED],
    cases=[
        case("two heads, a padded text", (4, 2), 2 * draw.floats(2, 3, 4), padding(3, 2)),
        case("three heads of four", (12, 3), 2 * draw.floats(2, 5, 12), padding(2, 5)),
        case("one head", (4, 1), 2 * draw.floats(1, 4, 4), padding(4)),
        case("as many heads as features", (4, 4), 2 * draw.floats(2, 4, 4), padding(4, 1)),
        case("one token", (6, 2), 2 * draw.floats(1, 1, 6), padding(1)),
    ],
    mistakes=[
        mistake(
            "The heads are cut with `reshape` alone, which pours the numbers into the new box in reading "
            "order: a head then holds features of several tokens. Split the last dimension first, then "
            "change the order.",
            heads_with(cut=poured, join=poured_back),
            heads_with(cut=poured),
        ),
        mistake(
            "The heads are put together with `reshape` alone, so features of different tokens meet. Bring "
            "the tokens back in front of the heads first (`transpose(1, 2)`).",
            heads_with(join=poured_back),
        ),
        mistake(
            "Head 0 is to take the *first* features of a token, head 1 the next ones. Yours deals them out "
            "in turn.",
            heads_with(cut=interleaved),
            heads_with(cut=interleaved, join=lambda x: x.permute(0, 2, 3, 1).flatten(2)),
        ),
        mistake(
            "There is one head as wide as the whole vector, whatever `heads` says.",
            heads_with(cut=lambda x, heads: x[:, None], join=lambda x: x[:, 0]),
        ),
        mistake(
            "You scale by the root of `hidden`. Each head computes its own scores, so it is the root of the "
            "size of a head, hidden // heads.",
            heads_with(attend=by_root_of_hidden),
        ),
        mistake(
            "The scale is missing: divide the scores by the root of the size of a head.",
            heads_with(attend=attention_with(scale=lambda q, k: 1)),
        ),
        mistake(
            "Padding is read: the mask is not used.",
            heads_with(attend=attention_with(hide=unmasked)),
        ),
        mistake(
            "The mask hides padding as queries; it is to be hidden as keys.",
            heads_with(attend=attention_with(hide=queries_hidden)),
            heads_with(
                attend=attention_with(
                    hide=lambda scores, mask: scores.masked_fill(mask[:, None, :, None] == 0, -1e9)
                )
            ),
        ),
        mistake(
            "The last step is missing: the layer `output` on the joined heads.",
            heads_with(output=False),
        ),
        mistake(
            "The rows of padding are set to 0. They are computed like all others; nobody reads them.",
            ZeroAtPadding,
        ),
        mistake(
            "You added x to the result. That residual connection comes later, in 8.5, around this module.",
            WithResidual,
        ),
        mistake(
            "The values are the vectors themselves. They go through the layer `value` first.",
            heads_with(project=lambda self, x: (self.query(x), self.key(x), x)),
        ),
        mistake(
            "Queries and keys are swapped: the row of a token holds what *it* asks for.",
            heads_with(project=lambda self, x: (self.key(x), self.query(x), self.value(x))),
        ),
        mistake(
            "Two of the three come out of the same layer. `query`, `key` and `value` have each their own.",
            heads_with(project=lambda self, x: (self.query(x), self.query(x), self.value(x))),
            heads_with(project=lambda self, x: (self.query(x), self.key(x), self.key(x))),
        ),
        mistake(
            "Softmax runs over the queries; each query shares itself out among the keys.",
            heads_with(attend=attention_with(dim=-2)),
        ),
        mistake(
            "Keys and values are swapped: queries are compared with `key(x)`, and `value(x)` is mixed.",
            heads_with(project=lambda self, x: (self.query(x), self.value(x), self.key(x))),
        ),
        mistake(
            "The heads still stand behind the tokens, so your scores compare heads with heads. Bring them in "
            "front of the tokens before the product: `transpose(1, 2)`.",
            heads_behind(hidden),
            heads_behind(lambda scores, mask: hidden(scores, mask, -1e9)),
            heads_behind(lambda scores, mask: scores.masked_fill(mask[:, :, None, None] == 0, -math.inf)),
            heads_behind(lambda scores, mask: scores.masked_fill(mask[:, :, None, None] == 0, -1e9)),
            heads_behind(unmasked),
        ),
        mistake(
            "There is dropout in your module, so numbers are 0 at random. The card asks for none.",
            heads_with(attend=dropped(0.1)),
            heads_with(attend=dropped(0.5)),
            DroppedEnd,
            type("DroppedHalf", (DroppedEnd,), {"p": 0.5}),
            heads_with(attend=dropped(0.1), join=lambda x: nn.functional.dropout(joined(x), 0.1)),
        ),
        mistake(
            "Your module gives the shares as well. One tensor is asked for, what comes out of `output`.",
            WithShares,
        ),
        mistake(
            "Softmax runs over the heads or over the texts; each query shares itself out among the keys.",
            *[
                heads_with(
                    attend=attention_with(
                        hide=lambda scores, mask, low=low: hidden(scores, mask, low), dim=dim
                    )
                )
                for dim in (1, 0)
                for low in (-math.inf, -1e9)
            ],
        ),
        mistake(
            "Queries, keys and values are x itself. Each goes through its own layer first.",
            heads_with(project=lambda self, x: (x, x, x)),
        ),
        mistake(
            "The shares of padding are set to 0 after the softmax, so what is left no longer adds up to 1. "
            "Mask the scores, before it.",
            heads_with(
                attend=attention_with(
                    hide=unmasked, after=lambda shares, mask: shares * mask[:, None, None, :]
                )
            ),
        ),
        mistake(
            "Padding gets the score 0, and e to the power of 0 is 1: it still gets a share. Give it −∞.",
            heads_with(attend=attention_with(hide=lambda scores, mask: hidden(scores, mask, 0.0))),
            heads_with(attend=attention_with(hide=lambda scores, mask: scores * mask[:, None, None, :])),
        ),
    ],
)

# 8.4 ---------------------------------------------------------------------------------------------------

draw = Draw("8.4")


def uneven(norm):
    """A LayerNorm whose scale and shift differ from feature to feature, so that leaving it out shows."""
    nn.init.normal_(norm.weight, 1.0, 0.3)
    nn.init.normal_(norm.bias, 0.0, 0.3)
    return norm


class Embeddings(nn.Module):
    def __init__(self, vocabulary, positions, types, hidden, eps):
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, hidden), nn.Embedding(positions, hidden)
        self.types, self.norm = nn.Embedding(types, hidden), uneven(nn.LayerNorm(hidden, eps))

    def places_of(self, ids):
        return self.places.weight[: ids.shape[1]]

    def forward(self, ids, types):
        return self.norm(self.words(ids) + self.places_of(ids) + self.types(types))


def embeddings_with(total=None, end=lambda self, x: self.norm(x), places=Embeddings.places_of):
    """`Embeddings` with another sum, other places, or another end."""

    class Wrong(Embeddings):
        def forward(self, ids, types):
            words, place, kind = self.words(ids), places(self, ids), self.types(types)
            return end(self, total(words, place, kind) if total else words + place + kind)

    return Wrong


class Renormed(Embeddings):
    def forward(self, ids, types):
        return self.norm(self.words(ids)) + self.places_of(ids) + self.types(types)


class NormedApart(Embeddings):
    def forward(self, ids, types):
        return self.norm(self.words(ids)) + self.norm(self.places_of(ids)) + self.norm(self.types(types))


class TypesBehind(Embeddings):
    def forward(self, ids, types):
        return self.norm(self.words(ids) + self.places_of(ids)) + self.types(types)


class TypeZero(Embeddings):
    def forward(self, ids, types):
        return super().forward(ids, torch.zeros_like(types))


def usual_eps(self, x):
    return nn.functional.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias)


def other_eps(self, x):
    return nn.functional.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias, 1e-12)


exercise(
    "8.4",
    "What enters",
    reference=Embeddings,
    kind="module",
    cases=[
        case("a pair of texts", (9, 8, 2, 4, 1e-12), draw.integers(9, 2, 5), draw.integers(2, 2, 5)),
        case("as long as allowed", (5, 6, 2, 6, 1e-12), draw.integers(5, 3, 6), draw.integers(2, 3, 6)),
        case("a large eps", (7, 5, 3, 4, 0.5), draw.integers(7, 2, 3), draw.integers(3, 2, 3)),
        case("one word over and over", (4, 6, 2, 4, 1e-5), torch.full((1, 4), 2), torch.zeros(1, 4).long()),
        case("one token", (4, 3, 2, 4, 0.1), draw.integers(4, 2, 1), draw.integers(2, 2, 1)),
    ],
    mistakes=[
        mistake(
            "The positions are missing: the same word is the same vector wherever it stands.",
            embeddings_with(lambda word, place, kind: word + kind),
        ),
        mistake(
            "The types are missing, or all 0: `self.types(types)` joins the sum.",
            embeddings_with(lambda word, place, kind: word + place),
            TypeZero,
        ),
        mistake(
            "Words alone are not enough: positions and types are added.",
            embeddings_with(lambda word, place, kind: word),
        ),
        mistake("The LayerNorm at the end is missing.", embeddings_with(end=lambda self, x: x)),
        mistake(
            "The LayerNorm stands behind the words alone. It comes after the sum of all three.",
            Renormed,
        ),
        mistake(
            "Each of the three went through the LayerNorm by itself. It comes once, after their sum.",
            NormedApart,
        ),
        mistake(
            "The types are added behind the LayerNorm. It comes after the sum of all three.",
            TypesBehind,
        ),
        mistake(
            "The places are read off the ids. A place is where a token stands: 0, 1, 2 … from the left.",
            embeddings_with(places=lambda self, ids: self.places(ids % self.places.num_embeddings)),
            embeddings_with(places=lambda self, ids: self.places(ids)),
        ),
        mistake(
            "The places count through the batch. Every text begins at 0; count along dimension 1.",
            embeddings_with(
                places=lambda self, ids: self.places(torch.arange(ids.shape[0]) % len(self.places.weight))[
                    :, None
                ]
            ),
            embeddings_with(
                places=lambda self, ids: self.places(torch.arange(ids.numel()).reshape(ids.shape))
            ),
            embeddings_with(
                places=lambda self, ids: self.places(
                    torch.arange(ids.numel()).reshape(ids.shape) % self.places.num_embeddings
                )
            ),
        ),
        mistake(
            "The places begin at 1. The first token stands at 0.",
            embeddings_with(
                places=lambda self, ids: self.places(
                    torch.arange(1, ids.shape[1] + 1) % self.places.num_embeddings
                )
            ),
            embeddings_with(places=lambda self, ids: self.places(torch.arange(1, ids.shape[1] + 1))),
        ),
        mistake(
            "The places count from the right. The first token of a text stands at 0, the next at 1.",
            embeddings_with(places=lambda self, ids: self.places(torch.arange(ids.shape[1]).flip(0))),
        ),
        mistake(
            "All tokens got the same place. There is one for each: 0, 1, 2 … along the text.",
            embeddings_with(places=lambda self, ids: self.places.weight[0]),
        ),
        mistake(
            "`eps` is not passed on: `nn.LayerNorm(hidden, eps=eps)`.",
            embeddings_with(end=usual_eps),
            embeddings_with(end=other_eps),
        ),
        mistake(
            "You took the mean of the three vectors. With a large eps that is not the same: add them.",
            embeddings_with(lambda word, place, kind: (word + place + kind) / 3),
        ),
        mistake(
            "There is dropout in your module, so numbers are 0 at random. The card asks for none.",
            *[
                embeddings_with(end=lambda self, x, p=p: nn.functional.dropout(self.norm(x), p))
                for p in (0.1, 0.5)
            ],
        ),
        mistake(
            "The words are multiplied by the root of `hidden`. The first Transformer did that, and BERT does "
            "not.",
            type(
                "Scaled",
                (Embeddings,),
                {
                    "forward": lambda self, ids, types: self.norm(
                        self.words(ids) * self.norm.weight.numel() ** 0.5
                        + self.places_of(ids)
                        + self.types(types)
                    )
                },
            ),
        ),
    ],
)

# 8.5 ---------------------------------------------------------------------------------------------------

draw = Draw("8.5")


class Layer(nn.Module):
    def __init__(self, hidden, inner, eps):
        super().__init__()
        self.attention_norm = uneven(nn.LayerNorm(hidden, eps))
        self.widen, self.narrow = nn.Linear(hidden, inner), nn.Linear(inner, hidden)
        self.norm = uneven(nn.LayerNorm(hidden, eps))

    def inside(self, x):
        return self.narrow(gelu(self.widen(x)))

    def forward(self, x, attend):
        x = self.attention_norm(x + attend(x))
        return self.norm(x + self.inside(x))


def layer(forward):
    """`Layer` with another forward: `forward(layer, x, attend)`."""
    return type("Wrong", (Layer,), {"forward": lambda self, x, attend: forward(self, x, attend)})


def bent_by(function):
    """`Layer` with another function between its two linear layers."""

    def wrong(self, x, attend):
        x = self.attention_norm(x + attend(x))
        return self.norm(x + self.narrow(function(self.widen(x))))

    return layer(wrong)


def before(self, x, attend):
    x = x + attend(self.attention_norm(x))
    return x + self.inside(self.norm(x))


def from_the_start(self, x, attend):
    return self.norm(x + self.inside(self.attention_norm(x + attend(x))))


def in_parallel(self, x, attend):
    return self.norm(self.attention_norm(x + attend(x)) + self.inside(x))


def after_the_part(self, x, attend):
    x = x + self.attention_norm(attend(x))
    return x + self.norm(self.inside(x))


def one_norm(self, x, attend):
    x = self.attention_norm(x + attend(x))
    return self.attention_norm(x + self.inside(x))


def other_norm(self, x, attend):
    x = self.norm(x + attend(x))
    return self.norm(x + self.inside(x))


class Shared(Layer):
    """One LayerNorm under two names."""

    def __init__(self, hidden, inner, eps):
        super().__init__(hidden, inner, eps)
        self.norm = self.attention_norm


def dropping(self, x, attend):
    x = self.attention_norm(x + nn.functional.dropout(attend(x), 0.1))
    return self.norm(x + nn.functional.dropout(self.inside(x), 0.1))


def attention_alone(self, x, attend):
    a = attend(x)
    return self.norm(a + self.inside(self.attention_norm(x + a)))


def norms_swapped(self, x, attend):
    x = self.norm(x + attend(x))
    return self.attention_norm(x + self.inside(x))


def normed(norm, x, eps=None):
    """What a LayerNorm gives, with another `eps` if there is one."""
    return nn.functional.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, eps or norm.eps)


# What two LayerNorms have for eps where it is not passed on, or only to one (None: the right one).
OTHER_EPS = [(1e-5, 1e-5), (1e-12, 1e-12), (1e-5, None), (None, 1e-5)]


def fixed_eps(first, second):
    def wrong(self, x, attend):
        x = normed(self.attention_norm, x + attend(x), first)
        return normed(self.norm, x + self.inside(x), second)

    return layer(wrong)


TURNED = shown("lambda x: x.flip(1)", lambda x: x.flip(1))
MEAN = shown("lambda x: x.mean(dim=1, keepdim=True).expand_as(x)", lambda x: x.mean(1, True).expand_as(x))
CURVED = shown("lambda x: x.sin()", lambda x: x.sin())

exercise(
    "8.5",
    "A layer",
    reference=Layer,
    kind="module",
    gradients=["x", "parameters"],
    cases=[
        case("four features, eight inside", (4, 8, 1e-12), 2 * draw.floats(2, 3, 4), TURNED),
        case("every token takes the mean", (6, 10, 1e-12), 2 * draw.floats(2, 4, 6), MEAN),
        case("a large eps", (4, 6, 0.5), draw.floats(1, 3, 4), CURVED),
        case("one token", (8, 4, 1e-12), 3 * draw.floats(1, 1, 8), CURVED),
    ],
    mistakes=[
        mistake(
            "Both residual connections are missing: what goes in is added to what comes out, around the "
            "attention and around the two linear layers.",
            layer(lambda self, x, attend: self.norm(self.inside(self.attention_norm(attend(x))))),
        ),
        mistake(
            "The first residual connection is missing: x + attend(x).",
            layer(
                lambda self, x, attend: (lambda a: self.norm(a + self.inside(a)))(
                    self.attention_norm(attend(x))
                )
            ),
        ),
        mistake(
            "The second residual connection is missing: what enters the two linear layers is added to what "
            "they give.",
            layer(lambda self, x, attend: self.norm(self.inside(self.attention_norm(x + attend(x))))),
        ),
        mistake(
            "The second residual adds the x from the very beginning. Add what enters the two linear layers.",
            layer(from_the_start),
        ),
        mistake(
            "The two linear layers read the x from the very beginning. They read what comes out of the first "
            "LayerNorm.",
            layer(in_parallel),
        ),
        mistake(
            "Your LayerNorms stand before attention and linear layers. In BERT they stand behind each sum.",
            layer(before),
        ),
        mistake(
            "The function between the two linear layers is not GELU.",
            bent_by(torch.relu),
            bent_by(torch.tanh),
            bent_by(torch.sigmoid),
            bent_by(nn.functional.silu),
        ),
        mistake(
            "Between the two linear layers nothing bends: without GELU they are one linear map.",
            bent_by(lambda x: x),
        ),
        mistake(
            "That is GELU's approximation by tanh. BERT uses GELU itself, `approximate='none'`, torch's "
            "default.",
            bent_by(lambda x: gelu(x, approximate="tanh")),
        ),
        mistake(
            "GELU stands behind the second linear layer; it belongs between the two.",
            layer(
                lambda self, x, attend: (lambda a: self.norm(a + gelu(self.narrow(self.widen(a)))))(
                    self.attention_norm(x + attend(x))
                )
            ),
        ),
        mistake(
            "One LayerNorm is used twice. `attention_norm` and `norm` have each their own numbers.",
            layer(one_norm),
            layer(other_norm),
            Shared,
        ),
        mistake("The two LayerNorms are swapped: `attention_norm` is the first.", layer(norms_swapped)),
        mistake(
            "Your LayerNorms normalise what attention and linear layers give. They stand behind the *sums*.",
            layer(after_the_part),
        ),
        mistake(
            "The last LayerNorm is missing, behind the second sum.",
            layer(lambda self, x, attend: (lambda a: a + self.inside(a))(self.attention_norm(x + attend(x)))),
        ),
        mistake(
            "The first LayerNorm is missing, behind the first sum.",
            layer(lambda self, x, attend: (lambda a: self.norm(a + self.inside(a)))(x + attend(x))),
        ),
        mistake(
            "The LayerNorms are missing, one behind each sum.",
            layer(lambda self, x, attend: (lambda a: a + self.inside(a))(x + attend(x))),
        ),
        mistake(
            "`eps` is not passed on to the LayerNorms, or to one of them only.",
            *[fixed_eps(*pair) for pair in OTHER_EPS],
        ),
        mistake(
            "There is dropout in your layer, so numbers are 0 at random. The card asks for none.",
            layer(dropping),
        ),
        mistake(
            "The second sum begins with what the attention gave. It begins with what enters the two linear "
            "layers.",
            layer(attention_alone),
        ),
    ],
)

# 8.6 ---------------------------------------------------------------------------------------------------

draw = Draw("8.6")


def bert(embed, layers, dense, ids, mask, types):
    states = [embed(ids, types)]
    for each in layers:
        states.append(each(states[-1], mask))
    return states, torch.tanh(dense(states[-1][:, 0]))


def bert_with(pooled=lambda dense, states: torch.tanh(dense(states[-1][:, 0])), kept=lambda states: states):
    """`bert` with another pooled vector, or other states given back."""

    def wrong(embed, layers, dense, ids, mask, types):
        states, _ = bert(embed, layers, dense, ids, mask, types)
        return kept(states), pooled(dense, states)

    return wrong


def mean_of_real(embed, layers, dense, ids, mask, types):
    states, _ = bert(embed, layers, dense, ids, mask, types)
    real = mask[:, :, None]
    return states, torch.tanh(dense((states[-1] * real).sum(dim=1) / real.sum(dim=1)))


def all_from_the_embeddings(embed, layers, dense, ids, mask, types):
    x = embed(ids, types)
    states = [x, *(each(x, mask) for each in layers)]
    return states, torch.tanh(dense(states[-1][:, 0]))


def without_mask(embed, layers, dense, ids, mask, types):
    return bert(embed, layers, dense, ids, torch.ones_like(mask), types)


def without_types(embed, layers, dense, ids, mask, types):
    return bert(embed, layers, dense, ids, mask, torch.zeros_like(types))


def residual_around(embed, layers, dense, ids, mask, types):
    states = [embed(ids, types)]
    for each in layers:
        states.append(states[-1] + each(states[-1], mask))
    return states, torch.tanh(dense(states[-1][:, 0]))


def upside_down(embed, layers, dense, ids, mask, types):
    return bert(embed, layers[::-1], dense, ids, mask, types)


def first_layer_only(embed, layers, dense, ids, mask, types):
    return bert(embed, [layers[0]] * len(layers), dense, ids, mask, types)


class Toy(nn.Module):
    """A stand-in for a layer: every token takes from the real ones, and something nonlinear follows."""

    def __init__(self, hidden):
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)

    def forward(self, x, mask):
        mean = (x * mask[:, :, None]).sum(1, True) / mask.sum(1)[:, None, None]
        return torch.sin(self.dense(x + mean) * 2)


class ToyEmbeddings(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.words, self.types = nn.Embedding(9, hidden), nn.Embedding(2, hidden)

    def forward(self, ids, types):
        return self.words(ids) + self.types(types)


def parts(count, hidden=4, seed=0):
    """(embed, layers, dense) with random weights, shown by what they are."""
    torch.manual_seed(seed)
    embed, dense = ToyEmbeddings(hidden), nn.Linear(hidden, hidden)
    layers = [Toy(hidden) for _ in range(count)]
    return (
        shown("an embedding of words and types", embed),
        shown(f"a list of {count} small layers", layers),
        shown(f"nn.Linear({hidden}, {hidden})", dense),
    )


exercise(
    "8.6",
    "The whole",
    reference=bert,
    returns=("the states", "the pooled vector"),
    cases=[
        case("two layers", *parts(2), draw.integers(9, 2, 4), padding(4, 2), draw.integers(2, 2, 4)),
        case(
            "five layers", *parts(5, 6, 1), draw.integers(9, 3, 3), padding(3, 1, 2), draw.integers(2, 3, 3)
        ),
        case(
            "one layer, one text",
            *parts(1, 4, 2),
            draw.integers(9, 1, 3),
            padding(3),
            torch.ones(1, 3).long(),
        ),
        case("no layer", *parts(0, 4, 3), draw.integers(9, 2, 2), padding(2, 2), draw.integers(2, 2, 2)),
    ],
    mistakes=[
        mistake(
            "Every layer reads the embeddings. Each is to read what the one before it gives.",
            all_from_the_embeddings,
        ),
        mistake(
            "The embeddings' output is missing from the states: it is the first.",
            bert_with(kept=lambda states: states[1:]),
        ),
        mistake(
            "The last layer's output is missing from the states.",
            bert_with(kept=lambda states: states[:1] if len(states) == 1 else states[:-1]),
        ),
        mistake(
            "The first of the two is the last state alone. All are asked for, in a list.",
            bert_with(kept=lambda states: states[-1]),
        ),
        mistake(
            "The tanh behind `dense` is missing.",
            bert_with(lambda dense, states: dense(states[-1][:, 0])),
        ),
        mistake(
            "The tanh comes before `dense`. It is tanh(dense(…)).",
            bert_with(lambda dense, states: dense(torch.tanh(states[-1][:, 0]))),
        ),
        mistake(
            "The pooled vector is made of all tokens, by their mean or maximum. BERT's pooler reads the "
            "first token, `[CLS]`, alone.",
            bert_with(lambda dense, states: torch.tanh(dense(states[-1].mean(dim=1)))),
            bert_with(lambda dense, states: states[-1].mean(dim=1)),
            bert_with(lambda dense, states: dense(states[-1].mean(dim=1))),
            bert_with(lambda dense, states: torch.tanh(dense(states[-1].amax(dim=1)))),
            mean_of_real,
            bert_with(lambda dense, states: torch.tanh(dense(states[-1])).mean(dim=1)),
        ),
        mistake(
            "The pooled vector is made of the last token. `[CLS]` is the first.",
            bert_with(lambda dense, states: torch.tanh(dense(states[-1][:, -1]))),
        ),
        mistake(
            "`[0]` is the first text with all its tokens. The first token of every text is `[:, 0]`.",
            bert_with(lambda dense, states: torch.tanh(dense(states[-1][0]))),
        ),
        mistake(
            "The pooled vector reads the embeddings. It reads the last state.",
            bert_with(lambda dense, states: torch.tanh(dense(states[0][:, 0]))),
        ),
        mistake(
            "Behind `dense` stands another function than tanh.",
            bert_with(lambda dense, states: torch.relu(dense(states[-1][:, 0]))),
            bert_with(lambda dense, states: torch.sigmoid(dense(states[-1][:, 0]))),
            bert_with(lambda dense, states: gelu(dense(states[-1][:, 0]))),
        ),
        mistake(
            "Mask and types are mixed up: embed(ids, types), and layer(x, mask).",
            lambda embed, layers, dense, ids, mask, types: bert(embed, layers, dense, ids, mask, mask),
            lambda embed, layers, dense, ids, mask, types: bert(embed, layers, dense, ids, types, types),
            lambda embed, layers, dense, ids, mask, types: bert(embed, layers, dense, ids, types, mask),
        ),
        mistake(
            "You add a residual connection around each layer. A layer has its own inside.",
            residual_around,
        ),
        mistake("Padding is read: hand the mask on to every layer.", without_mask),
        mistake("The types are not handed on: embed(ids, types).", without_types),
        mistake("The layers run from the last to the first.", upside_down),
        mistake("One layer runs again and again. Each is used once, in order.", first_layer_only),
        mistake(
            "The two are swapped: first the list of states, then the pooled vector.",
            lambda *arguments: bert(*arguments)[::-1],
        ),
        mistake(
            "The pooler's layer is missing: it is `dense` first, and tanh of what that gives.",
            bert_with(lambda dense, states: torch.tanh(states[-1][:, 0])),
        ),
        mistake(
            "The pooled vector is the first token's vector as it is. It goes through `dense` and tanh.",
            bert_with(lambda dense, states: states[-1][:, 0]),
        ),
        mistake(
            "There is a pooled vector for every token. Pick the first token's vector, `[:, 0]`.",
            bert_with(lambda dense, states: torch.tanh(dense(states[-1]))),
        ),
    ],
)

# 8.7 ---------------------------------------------------------------------------------------------------

draw = Draw("8.7")


def corrupt(ids, special, chance, kind, words, mask_id):
    chosen = (chance < 0.15) & ~special
    inputs = ids.masked_fill(chosen & (kind < 0.8), mask_id)
    swapped = chosen & (kind >= 0.8) & (kind < 0.9)
    return torch.where(swapped, words, inputs), ids.masked_fill(~chosen, -100)


def corrupt_with(
    choose=lambda chance, special: (chance < 0.15) & ~special,
    masked=lambda kind: kind < 0.8,
    swapped=lambda kind: (kind >= 0.8) & (kind < 0.9),
    label=lambda ids, chosen, inputs, kind: ids.masked_fill(~chosen, -100),
    everywhere=False,
):
    """`corrupt` with other choices, other shares of the three kinds, or other labels."""

    def wrong(ids, special, chance, kind, words, mask_id):
        chosen = choose(chance, special)
        hit = torch.ones_like(chosen) if everywhere else chosen
        inputs = torch.where(chosen & masked(kind), torch.full_like(ids, mask_id), ids)
        inputs = torch.where(hit & swapped(kind), words, inputs)
        return inputs, label(ids, chosen, inputs, kind)

    return wrong


def corrupt_in_place(ids, special, chance, kind, words, mask_id):
    chosen = (chance < 0.15) & ~special
    ids[chosen & (kind < 0.8)] = mask_id
    swapped = chosen & (kind >= 0.8) & (kind < 0.9)
    ids[swapped] = words[swapped]
    return ids, ids.masked_fill(~chosen, -100)


def drawn(batch, seq, every=False):
    """ids, special, chance, kind, words and mask_id; `every`: all chances low, so that every token is hit."""
    uniform = (draw.integers(100, batch, seq).float() / 100, draw.integers(100, batch, seq).float() / 100)
    special = torch.zeros(batch, seq).bool()
    special[:, 0] = special[:, -1] = True
    return (
        5 + draw.integers(90, batch, seq),
        special,
        uniform[0] * (0.14 if every else 0.4),
        uniform[1],
        5 + draw.integers(90, batch, seq),
        3,
    )


EDGES = (
    torch.tensor([[10, 11, 12, 13, 14, 15, 16]]),
    torch.zeros(1, 7).bool(),
    torch.tensor([[0.15, 0.0, 0.1, 0.14, 0.1, 0.9, 0.2]]),
    torch.tensor([[0.0, 0.8, 0.9, 0.5, 0.85, 0.3, 0.85]]),
    torch.tensor([[20, 21, 22, 23, 24, 25, 26]]),
    4,
)

exercise(
    "8.7",
    "80, 10, 10",
    reference=corrupt,
    returns=("the inputs", "the labels"),
    cases=[
        case("three texts", *drawn(3, 9)),
        case("numbers on the edge", *EDGES),
        case("every word is chosen", *drawn(2, 12, every=True)),
        case("many", *drawn(8, 30)),
        case("none is chosen", EDGES[0], EDGES[1], torch.full((1, 7), 0.5), *EDGES[3:]),
        case("all special", EDGES[0], ~EDGES[1], torch.zeros(1, 7), *EDGES[3:]),
    ],
    mistakes=[
        mistake(
            "Every chosen token is masked. Of the chosen, 80 % are; 10 % become another word, and 10 % stay.",
            corrupt_with(masked=lambda kind: kind >= 0, swapped=lambda kind: kind < 0),
        ),
        mistake(
            "No token becomes another word: where 0.8 ≤ kind < 0.9, the id of `words` belongs.",
            corrupt_with(swapped=lambda kind: kind < 0),
        ),
        mistake(
            "Where 0.9 ≤ kind the chosen token is to stay as it is. Yours are replaced too.",
            corrupt_with(swapped=lambda kind: kind >= 0.8),
        ),
        mistake(
            "The last two shares are exchanged: from 0.8 to 0.9 another word, from 0.9 on unchanged.",
            corrupt_with(swapped=lambda kind: kind >= 0.9),
        ),
        mistake(
            "The order of the shares is another: below 0.8 stands `mask_id`.",
            corrupt_with(masked=lambda kind: kind >= 0.2, swapped=lambda kind: kind < 0.1),
            corrupt_with(masked=lambda kind: kind >= 0.2, swapped=lambda kind: (kind >= 0.1) & (kind < 0.2)),
            corrupt_with(masked=lambda kind: kind > 0.2, swapped=lambda kind: kind < 0.1),
        ),
        mistake(
            "Special tokens are chosen, too. `[CLS]`, `[SEP]` and padding are never.",
            corrupt_with(choose=lambda chance, special: chance < 0.15),
        ),
        mistake(
            "`special` is taken the wrong way round: only special tokens are chosen.",
            corrupt_with(choose=lambda chance, special: (chance < 0.15) & special),
        ),
        mistake(
            "Words that nobody chose become other words: the 10 % are of the *chosen*.",
            corrupt_with(everywhere=True),
        ),
        mistake(
            "Your labels leave out what was replaced by a word, or stayed. There is something to guess at "
            "*every* chosen place.",
            corrupt_with(
                label=lambda ids, chosen, inputs, kind: ids.masked_fill(~chosen | (kind >= 0.8), -100)
            ),
            corrupt_with(
                label=lambda ids, chosen, inputs, kind: ids.masked_fill(~chosen | (kind >= 0.9), -100)
            ),
            corrupt_with(label=lambda ids, chosen, inputs, kind: ids.masked_fill(inputs == ids, -100)),
        ),
        mistake(
            "Your labels are the changed ids. They are to say what stood there before.",
            corrupt_with(label=lambda ids, chosen, inputs, kind: inputs.masked_fill(~chosen, -100)),
            corrupt_in_place,
        ),
        mistake(
            "Your labels are ids also where nothing was chosen. Put -100 there, and the loss leaves it out.",
            corrupt_with(label=lambda ids, chosen, inputs, kind: ids.clone()),
            lambda ids, special, chance, kind, words, mask_id: (
                corrupt(ids, special, chance, kind, words, mask_id)[0],
                ids.masked_fill(special, -100),
            ),
        ),
        mistake(
            "Where nothing was chosen your labels are 0, an id like any other. Put -100 there.",
            corrupt_with(label=lambda ids, chosen, inputs, kind: ids * chosen),
        ),
        mistake(
            "Where nothing was chosen your labels hold another number than -100, the one that the loss "
            "leaves out.",
            corrupt_with(label=lambda ids, chosen, inputs, kind: ids.masked_fill(~chosen, -1)),
            corrupt_with(label=lambda ids, chosen, inputs, kind: ids.masked_fill(~chosen, 100)),
            lambda ids, special, chance, kind, words, mask_id: (
                corrupt(ids, special, chance, kind, words, mask_id)[0],
                ids.masked_fill((chance >= 0.15) | special, mask_id),
            ),
        ),
        mistake(
            "The two are swapped: first the changed ids, then the labels.",
            lambda *arguments: corrupt(*arguments)[::-1],
        ),
        mistake(
            "You change every token by its `kind`, chosen or not. Only chosen ones may change.",
            lambda ids, special, chance, kind, words, mask_id: (
                torch.where(kind < 0.8, mask_id, torch.where(kind < 0.9, words, ids)),
                corrupt(ids, special, chance, kind, words, mask_id)[1],
            ),
        ),
        mistake(
            "`chance` also says what becomes of a chosen token in your code. That is `kind`'s part: the two "
            "are drawn apart.",
            lambda ids, special, chance, kind, words, mask_id: corrupt(
                ids, special, chance, chance / 0.15, words, mask_id
            ),
        ),
        mistake(
            "Special tokens are not changed, but they have labels: put -100 there as well.",
            lambda ids, special, chance, kind, words, mask_id: (
                corrupt(ids, special, chance, kind, words, mask_id)[0],
                ids.masked_fill(chance >= 0.15, -100),
            ),
        ),
        mistake(
            "The labels are the wrong way round: they are the ids where a token was chosen, and -100 "
            "elsewhere.",
            corrupt_with(label=lambda ids, chosen, inputs, kind: ids.masked_fill(chosen, -100)),
        ),
        mistake(
            "The masked ones are overwritten: a kind below 0.9 holds for them as well. The second part "
            "begins at 0.8.",
            corrupt_with(swapped=lambda kind: kind < 0.9),
        ),
        mistake(
            "Mind the edges: a kind of exactly 0.8 becomes another word, and one of exactly 0.9 stays.",
            corrupt_with(swapped=lambda kind: (kind > 0.8) & (kind < 0.9)),
            corrupt_with(swapped=lambda kind: (kind >= 0.8) & (kind <= 0.9)),
            corrupt_with(swapped=lambda kind: (kind > 0.8) & (kind <= 0.9)),
            corrupt_with(masked=lambda kind: kind <= 0.8, swapped=lambda kind: (kind > 0.8) & (kind < 0.9)),
            corrupt_with(masked=lambda kind: kind <= 0.8, swapped=lambda kind: (kind > 0.8) & (kind <= 0.9)),
        ),
        mistake(
            "A fixed id stands where something is masked. It is the argument `mask_id`.",
            lambda ids, special, chance, kind, words, mask_id: corrupt(
                ids, special, chance, kind, words, 103
            ),
        ),
        mistake(
            "A chance of exactly 0.15 is not below it.",
            corrupt_with(choose=lambda chance, special: (chance <= 0.15) & ~special),
        ),
        mistake(
            "You choose where `chance` is *above* 0.15, and that is most tokens.",
            corrupt_with(choose=lambda chance, special: (chance > 0.15) & ~special),
            corrupt_with(choose=lambda chance, special: (chance >= 0.15) & ~special),
        ),
    ],
)

# 8.8 ---------------------------------------------------------------------------------------------------

draw = Draw("8.8")


class EarlyNorm(Layer):
    def forward(self, x, attend):
        x = x + attend(self.attention_norm(x))
        return x + self.inside(self.norm(x))


def normed_road(self, x, attend):
    x = self.attention_norm(x)
    x = x + attend(x)
    x = self.norm(x)
    return x + self.inside(x)


def late(self, x, attend):
    x = self.attention_norm(x + attend(x))
    return self.norm(x + self.inside(x))


def early_from_the_start(self, x, attend):
    return x + self.inside(self.norm(x + attend(self.attention_norm(x))))


def bent_early(function):
    """`EarlyNorm` with another function between its two linear layers."""

    def wrong(self, x, attend):
        x = x + attend(self.attention_norm(x))
        return x + self.narrow(function(self.widen(self.norm(x))))

    return layer(wrong)


def early_fixed_eps(first, second):
    def wrong(self, x, attend):
        x = x + attend(normed(self.attention_norm, x, first))
        return x + self.inside(normed(self.norm, x, second))

    return layer(wrong)


def early(first="attention_norm", second="norm", end=lambda self, x: x, part=Layer.inside, roads=(1, 1)):
    """`EarlyNorm` with other LayerNorms, something behind it, other linear layers or without a residual."""

    def wrong(self, x, attend):
        x = roads[0] * x + attend(getattr(self, first)(x))
        return end(self, roads[1] * x + part(self, getattr(self, second)(x)))

    return layer(wrong)


def first_road_normed(self, x, attend):
    x = self.attention_norm(x)
    x = x + attend(x)
    return x + self.inside(self.norm(x))


def second_road_normed(self, x, attend):
    x = self.norm(x + attend(self.attention_norm(x)))
    return x + self.inside(x)


class SharedEarly(EarlyNorm):
    """One LayerNorm under two names."""

    def __init__(self, hidden, inner, eps):
        super().__init__(hidden, inner, eps)
        self.norm = self.attention_norm


def early_in_parallel(self, x, attend):
    return x + attend(self.attention_norm(x)) + self.inside(self.norm(x))


exercise(
    "8.8",
    "LayerNorm before",
    reference=EarlyNorm,
    kind="module",
    gradients=["x", "parameters"],
    cases=[
        case("four features, eight inside", (4, 8, 1e-12), 2 * draw.floats(2, 3, 4), TURNED),
        case("every token takes the mean", (6, 10, 1e-12), 2 * draw.floats(2, 4, 6), MEAN),
        case("a large eps", (4, 6, 0.5), draw.floats(1, 3, 4), CURVED),
        case("one token", (8, 4, 1e-12), 3 * draw.floats(1, 1, 8), CURVED),
    ],
    mistakes=[
        mistake(
            "This is BERT's own order, with each LayerNorm behind the sum. Here each stands before its part.",
            layer(late),
        ),
        mistake(
            "The residual road goes through a LayerNorm, or two. Add the x from *before* the LayerNorm: "
            "nothing stands on that road.",
            layer(normed_road),
            layer(first_road_normed),
            layer(second_road_normed),
        ),
        mistake(
            "The second LayerNorm stands behind the second sum, as in BERT. It belongs in front of `widen`.",
            layer(
                lambda self, x, attend: (lambda a: self.norm(a + self.inside(a)))(
                    x + attend(self.attention_norm(x))
                )
            ),
        ),
        mistake(
            "The function between the two linear layers is not GELU.",
            bent_early(torch.relu),
            bent_early(torch.tanh),
            bent_early(nn.functional.silu),
            bent_early(torch.sigmoid),
        ),
        mistake(
            "`eps` is not passed on to the LayerNorms, or to one of them only.",
            *[early_fixed_eps(*pair) for pair in OTHER_EPS],
        ),
        mistake(
            "A LayerNorm stands behind the second sum. Nothing does: the sum is the result.",
            early(end=lambda self, x: self.norm(x)),
            early(end=lambda self, x: self.attention_norm(x)),
        ),
        mistake(
            "One LayerNorm is used twice: `attention_norm` in front of `attend`, `norm` in front of `widen`.",
            early(second="attention_norm"),
            early(first="norm"),
            SharedEarly,
        ),
        mistake(
            "The first residual connection is missing: x + what `attend` gives.",
            early(roads=(0, 1)),
        ),
        mistake(
            "The second residual connection is missing: add what the first sum gave.",
            early(roads=(1, 0)),
        ),
        mistake(
            "Between the two linear layers nothing bends: without GELU they are one linear map.",
            early(part=lambda self, x: self.narrow(self.widen(x))),
        ),
        mistake(
            "That is GELU's approximation by tanh. As in 8.5 it is GELU itself, torch's default.",
            early(part=lambda self, x: self.narrow(gelu(self.widen(x), approximate="tanh"))),
        ),
        mistake(
            "The LayerNorms stand behind attention and linear layers. They belong in front of them.",
            layer(after_the_part),
        ),
        mistake(
            "The second sum begins with the very first x. It begins with what the first sum gave.",
            layer(early_from_the_start),
        ),
        mistake(
            "Both parts read the same x. The linear layers read what the first sum gave.",
            layer(early_in_parallel),
        ),
        mistake(
            "There are no LayerNorms in your layer: one stands in front of each part.",
            layer(lambda self, x, attend: (lambda a: a + self.inside(a))(x + attend(x))),
        ),
        mistake(
            "The first LayerNorm is missing, in front of the attention.",
            layer(lambda self, x, attend: (lambda a: a + self.inside(self.norm(a)))(x + attend(x))),
        ),
        mistake(
            "The second LayerNorm is missing, in front of the linear layers.",
            layer(lambda self, x, attend: (lambda a: a + self.inside(a))(x + attend(self.attention_norm(x)))),
        ),
        mistake(
            "The residual connections are missing: each sum begins with x.",
            layer(lambda self, x, attend: self.inside(self.norm(attend(self.attention_norm(x))))),
        ),
        mistake(
            "The two LayerNorms are swapped: `attention_norm` is the first.",
            layer(
                lambda self, x, attend: (lambda a: a + self.inside(self.attention_norm(a)))(
                    x + attend(self.norm(x))
                )
            ),
        ),
    ],
)

# 8.9 ---------------------------------------------------------------------------------------------------


def without_layers(vocabulary, positions, types, hidden):
    """The parameters of embeddings and pooler."""
    return (vocabulary + positions + types) * hidden + 2 * hidden + hidden * hidden + hidden


def one_layer(hidden, inner):
    attend = 4 * (hidden * hidden + hidden) + 2 * hidden
    return attend + hidden * inner + inner + inner * hidden + hidden + 2 * hidden


def deepest(budget, vocabulary, positions, types, hidden, inner):
    return divmod(budget - without_layers(vocabulary, positions, types, hidden), one_layer(hidden, inner))


def counted(each=lambda h, i: 0, once=lambda v, p, t, h: 0):
    """`deepest` whose count is off by something in each layer, or once."""

    def wrong(budget, vocabulary, positions, types, hidden, inner):
        rest = without_layers(vocabulary, positions, types, hidden) + once(
            vocabulary, positions, types, hidden
        )
        return divmod(budget - rest, one_layer(hidden, inner) + each(hidden, inner))

    return wrong


def rounded(change):
    """`deepest` with another number of layers: `change(layers, left)`."""

    def wrong(budget, vocabulary, positions, types, hidden, inner):
        rest, size = without_layers(vocabulary, positions, types, hidden), one_layer(hidden, inner)
        layers = change(*divmod(budget - rest, size))
        return layers, budget - rest - layers * size

    return wrong


EXACT = without_layers(100, 16, 2, 8) + 5 * one_layer(8, 32)


def nearest(budget, vocabulary, positions, types, hidden, inner):
    left = budget - without_layers(vocabulary, positions, types, hidden)
    layers = round(left / one_layer(hidden, inner))
    return layers, left - layers * one_layer(hidden, inner)


def use_deepest(answer, budget, vocabulary, positions, types, hidden, inner):
    """What the answer gives; a third item says so if the right numbers are not all of type int."""
    arguments = budget, vocabulary, positions, types, hidden, inner
    found, right = answer(*arguments), deepest(*arguments)
    plain = isinstance(found, tuple) and all(isinstance(number, numbers.Real) for number in found)
    if plain and found == right and not all(isinstance(number, numbers.Integral) for number in found):
        return (*found, "floats")
    return found


exercise(
    "8.9",
    "As deep as the budget allows",
    reference=deepest,
    returns=("the number of layers", "what is left"),
    use=use_deepest,
    rules=[tensors_up_to(0)],
    cases=[
        case("small", 20_000, 100, 16, 2, 8, 32),
        case("it fits exactly", EXACT, 100, 16, 2, 8, 32),
        case("one too few", EXACT - 1, 100, 16, 2, 8, 32),
        case("no layer fits", without_layers(50, 10, 2, 4) + 7, 50, 10, 2, 4, 16),
        case("bert-base", 110_000_000, 30_522, 512, 2, 768, 3_072),
        case("narrow inside", 12_345, 11, 7, 3, 6, 4),
    ],
    mistakes=[
        mistake(
            "The biases of the linear layers are missing.",
            counted(lambda h, i: -(5 * h + i), lambda v, p, t, h: -h),
            counted(lambda h, i: -(5 * h + i)),
            counted(lambda h, i: -(h + i)),
            counted(once=lambda v, p, t, h: -h),
        ),
        mistake(
            "All LayerNorms are missing: each has 2 · hidden numbers. There are two in a layer and one "
            "behind the embeddings.",
            counted(lambda h, i: -4 * h, lambda v, p, t, h: -2 * h),
        ),
        mistake(
            "4 · hidden are missing in each layer: either its two LayerNorms, of 2 · hidden each, or the "
            "biases of the four layers of attention.",
            counted(lambda h, i: -4 * h),
        ),
        mistake(
            "The LayerNorm behind the embeddings is missing.",
            counted(once=lambda v, p, t, h: -2 * h),
        ),
        mistake("A layer has two LayerNorms.", counted(lambda h, i: -2 * h)),
        mistake(
            "A LayerNorm has two numbers a feature, a scale and a shift.",
            counted(lambda h, i: -2 * h, lambda v, p, t, h: -h),
        ),
        mistake(
            "The pooler is missing: one linear layer from hidden to hidden.",
            counted(once=lambda v, p, t, h: -(h * h + h)),
        ),
        mistake(
            "Attention has four linear layers: query, key, value and output.",
            counted(lambda h, i: -(h * h + h)),
        ),
        mistake(
            "There are two linear layers behind the attention: hidden to inner, and back.",
            counted(lambda h, i: -(h * i + h)),
            counted(lambda h, i: -(h * i + i)),
        ),
        mistake("The positions are missing: each has a vector.", counted(once=lambda v, p, t, h: -p * h)),
        mistake("The types are missing: each has a vector, too.", counted(once=lambda v, p, t, h: -t * h)),
        mistake(
            "There is a number for each word too many: a body has no bias for words. That is a head's.",
            counted(once=lambda v, p, t, h: v),
        ),
        mistake(
            "You round up. A layer that does not fit whole is not built.",
            rounded(lambda layers, left: layers + (left > 0)),
            rounded(lambda layers, left: layers + 1),
        ),
        mistake(
            "Where the budget is met exactly you give one layer less. At most the budget is allowed.",
            rounded(lambda layers, left: layers - (left == 0)),
        ),
        mistake(
            "The whole budget goes to layers. Embeddings and pooler have to be paid first.",
            lambda budget, v, p, t, hidden, inner: divmod(budget, one_layer(hidden, inner)),
        ),
        mistake(
            "The two are swapped: first the number of layers, then what is left.",
            lambda *arguments: deepest(*arguments)[::-1],
        ),
        mistake(
            "The numbers are right, but floats; integers are asked for. `//` or `divmod` gives them.",
            lambda *arguments: tuple(float(number) for number in deepest(*arguments)),
        ),
        mistake(
            "The number of layers has decimals: only whole layers are built, so round it down.",
            lambda budget, v, p, t, h, i: ((budget - without_layers(v, p, t, h)) / one_layer(h, i), 0),
            lambda budget, v, p, t, h, i: (
                (budget - without_layers(v, p, t, h)) / one_layer(h, i),
                deepest(budget, v, p, t, h, i)[1],
            ),
        ),
        mistake(
            "You round to the nearest whole number. A layer that does not fit whole is not built.",
            nearest,
        ),
        mistake(
            "The second number is what is used. Asked for is what is left of the budget.",
            lambda budget, *sizes: (deepest(budget, *sizes)[0], budget - deepest(budget, *sizes)[1]),
        ),
        mistake(
            "What is left still holds the embeddings and the pooler: take them away, too.",
            lambda budget, v, p, t, h, i: (
                deepest(budget, v, p, t, h, i)[0],
                budget - deepest(budget, v, p, t, h, i)[0] * one_layer(h, i),
            ),
        ),
        mistake(
            "This is the number of layers alone. Give a tuple, with what is left of the budget.",
            lambda *arguments: deepest(*arguments)[0],
        ),
        mistake(
            "The biases of the two linear layers behind the attention differ in size: `inner` numbers for "
            "the first, `hidden` for the second.",
            counted(lambda h, i: i - h),
            counted(lambda h, i: h - i),
        ),
        mistake(
            "The pooler is counted in every layer. It stands once, behind the last.",
            counted(lambda h, i: h * h + h, lambda v, p, t, h: -(h * h + h)),
            counted(lambda h, i: h * h + h),
        ),
        mistake(
            "Positions and types are both missing: each of them has a vector.",
            counted(once=lambda v, p, t, h: -(p + t) * h),
        ),
        mistake(
            "You took inner for 4 · hidden, as in BERT. It is an argument of its own.",
            lambda budget, v, p, t, hidden, inner: deepest(budget, v, p, t, hidden, 4 * hidden),
        ),
        mistake(
            "The head that guesses words is counted as well. The body ends with the pooler.",
            counted(once=lambda v, p, t, h: h * h + h + 2 * h + v),
            counted(once=lambda v, p, t, h: v * h + v),
            counted(once=lambda v, p, t, h: v * h),
        ),
    ],
)

# 8.10 --------------------------------------------------------------------------------------------------


def waves(positions, hidden):
    angle = torch.arange(positions)[:, None] / 10_000 ** (torch.arange(0, hidden, 2) / hidden)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def angles(positions, hidden, base=10_000, over=None, first=0, step=2):
    """The (positions, hidden // 2) angles of `waves`, or wrong ones."""
    exponent = torch.arange(0, hidden // 2) * step / (over or hidden)
    return torch.arange(first, first + positions)[:, None] / base**exponent


def twice_every_feature(positions, hidden):
    feature = torch.arange(hidden)
    angle = torch.arange(positions)[:, None] / 10_000 ** (2 * feature / hidden)
    return torch.where(feature % 2 == 0, angle.sin(), angle.cos())


def woven(a, b):
    return torch.stack([a, b], dim=-1).flatten(1)


def unbracketed(positions, hidden):
    i = torch.arange(hidden // 2)
    angle = torch.arange(positions)[:, None] / 10_000**2 * i / hidden
    return woven(angle.sin(), angle.cos())


exercise(
    "8.10",
    "Positions out of waves",
    reference=waves,
    returns="the table",
    cases=[
        case("three places", 3, 4),
        case("one place", 1, 6),
        case("two features", 5, 2),
        case("many", 40, 16),
    ],
    mistakes=[
        mistake(
            "Sines and cosines stand in two halves. They alternate: feature 0 is a sine, feature 1 the "
            "cosine of the same angle.",
            lambda n, d: torch.cat([angles(n, d).sin(), angles(n, d).cos()], dim=1),
        ),
        mistake(
            "Sine and cosine are exchanged: even features are sines.",
            lambda n, d: woven(angles(n, d).cos(), angles(n, d).sin()),
        ),
        mistake(
            "Only sines: odd features are cosines.",
            lambda n, d: woven(angles(n, d).sin(), angles(n, d).sin()),
        ),
        mistake(
            "Every feature has an angle of its own. A sine and the cosine behind it share one: the exponent "
            "is 2i / hidden for features 2i and 2i + 1.",
            lambda n, d: torch.where(
                torch.arange(d) % 2 == 0,
                (torch.arange(n)[:, None] / 10_000 ** (torch.arange(d) / d)).sin(),
                (torch.arange(n)[:, None] / 10_000 ** (torch.arange(d) / d)).cos(),
            ),
        ),
        mistake(
            "The exponent counts every feature: 2 · 0, 2 · 1, 2 · 2 … A sine and the cosine behind it share "
            "one: i counts the *pairs*.",
            twice_every_feature,
        ),
        mistake(
            "The exponent is i / hidden. It is 2i / hidden.",
            lambda n, d: woven(angles(n, d, step=1).sin(), angles(n, d, step=1).cos()),
        ),
        mistake(
            "The exponent is counted twice over: with features 2i and 2i + 1 it is 2i / hidden.",
            lambda n, d: woven(angles(n, d, step=4).sin(), angles(n, d, step=4).cos()),
        ),
        mistake(
            "The angle is multiplied by the power of 10,000. It is divided.",
            lambda n, d: woven(angles(n, d, base=1e-4).sin(), angles(n, d, base=1e-4).cos()),
        ),
        mistake(
            "The places begin at 1. The first is 0, whose sines are all 0.",
            lambda n, d: woven(angles(n, d, first=1).sin(), angles(n, d, first=1).cos()),
        ),
        mistake(
            "These are the angles; their sines and cosines are asked for.",
            lambda n, d: woven(angles(n, d), angles(n, d)),
        ),
        mistake(
            "The base is another number than 10,000.",
            lambda n, d: woven(angles(n, d, base=1000).sin(), angles(n, d, base=1000).cos()),
            lambda n, d: woven(angles(n, d, base=1e5).sin(), angles(n, d, base=1e5).cos()),
        ),
        mistake(
            "The exponent is rounded down to a whole number: `/`, not `//`.",
            lambda n, d: woven(
                (torch.arange(n)[:, None] / 10_000 ** (torch.arange(0, d, 2) // d)).sin(),
                (torch.arange(n)[:, None] / 10_000 ** (torch.arange(0, d, 2) // d)).cos(),
            ),
        ),
        mistake(
            "`10_000 ** 2 * i / hidden` takes the power first, of 2 alone. The whole exponent needs "
            "brackets: `10_000 ** (2 * i / hidden)`.",
            unbracketed,
        ),
        mistake(
            "Positions and features meet in the wrong order, and `reshape` pours the numbers into rows where "
            "they do not belong. A row of the table is a position.",
            lambda n, d: torch.stack([angles(n, d).T.sin(), angles(n, d).T.cos()], dim=1).reshape(n, d),
            lambda n, d: waves(n, d).T.reshape(n, d),
        ),
        mistake("The table is turned: rows are places.", lambda n, d: waves(n, d).T),
    ],
)
