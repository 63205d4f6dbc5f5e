"""Lesson 08: its BERT against transformers and torch, at other lengths and sizes; its rule and counts."""

import ast

import lessons
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import BertConfig, BertModel

from course_utils import checkpoints
from course_utils.checks.exercise import Draw
from course_utils.checks.feedback import verdict
from course_utils.exercises import lesson_08_bert_from_scratch as declared

LESSON = lessons.read(lessons.FOLDER / "08_bert_from_scratch.ipynb")
NAMES = [
    "Bert",
    "Block",
    "SelfAttention",
    "Layer",
    "EarlyNorm",
    "Embeddings",
    "attention",
    "NAMES",
    "own_name",
]
NAMES += ["corrupt", "interval"]
LIMITS = {torch.float64: 1e-9, torch.float32: 2e-5}


@pytest.fixture(scope="module")
def code():
    """What the lesson defines as NAMES; its globals have the names of its modules' parts, so only these."""
    namespace = {"__name__": "lesson_08"}
    exec(lessons.imports(LESSON), namespace)
    for node in [node for cell in LESSON.code for node in lessons.tree(cell.source).body]:
        named = [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]
        if {getattr(node, "name", None), *named} & set(NAMES):
            exec(ast.unparse(node), namespace)  # a stub first, then the lesson's own
    return namespace


@pytest.fixture(scope="module")
def folder():
    return checkpoints.choose("embedded")


def batch_of(lengths, config, seed):
    """A padded batch of random ids with random types: (ids, mask, types), each (batch, seq)."""
    generator = torch.Generator().manual_seed(seed)
    mask = declared.padding(*lengths)
    ids = torch.randint(1, config.vocab_size, mask.shape, generator=generator) * mask
    types = torch.randint(config.type_vocab_size, mask.shape, generator=generator).sort(dim=1).values * mask
    return ids, mask, types


def renamed(code, state):
    return {code["own_name"](name): tensor for name, tensor in state.items() if "position_ids" not in name}


def gradients_of(bert, states, pooled, mask, seed):
    """The gradients of a random sum over the real tokens of the last state, and of the pooled vectors."""
    generator = torch.Generator().manual_seed(seed)
    pull = torch.randn(states[-1].shape, generator=generator, dtype=torch.float64).to(states[-1])
    ((states[-1] * pull * mask[:, :, None]).sum() / mask.sum() + pooled.mean()).backward()
    found = {name: p.grad for name, p in bert.named_parameters()}
    bert.zero_grad(set_to_none=True)
    return found


def compare(code, ours, theirs, batch, limit, seed=0):
    ids, mask, types = batch
    out = theirs(ids, mask, types, output_hidden_states=True)
    states, pooled = ours(ids, mask, types)
    assert len(states) == len(out.hidden_states)
    for mine, its in zip(states, out.hidden_states, strict=True):
        real = mask.bool()
        torch.testing.assert_close(mine[real], its[real], rtol=0, atol=limit)
    torch.testing.assert_close(pooled, out.pooler_output, rtol=0, atol=limit)
    its = renamed(code, gradients_of(theirs, out.hidden_states, out.pooler_output, mask, seed))
    mine = gradients_of(ours, states, pooled, mask, seed)
    assert mine.keys() == its.keys()
    for name, gradient in its.items():
        torch.testing.assert_close(
            mine[name], gradient, rtol=0, atol=limit, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("dtype", LIMITS, ids=str)
def test_the_embedded_weights_give_bert_models_states_and_gradients(code, folder, dtype):
    config = BertConfig.from_pretrained(folder)
    ours = code["Bert"](config).eval()
    ours.load_state_dict(renamed(code, load_file(f"{folder}/model.safetensors")))
    ours.to(dtype)
    theirs = BertModel.from_pretrained(folder, dtype=dtype).eval()
    draw = Draw("lengths of lesson 08")
    for seed in range(4):
        lengths = [1 + length for length in draw.integers(40, 4).tolist()]
        compare(code, ours, theirs, batch_of(lengths, config, seed), LIMITS[dtype], seed)


SIZES = [
    {"hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 2, "intermediate_size": 40},
    {"hidden_size": 16, "num_attention_heads": 16, "num_hidden_layers": 1, "intermediate_size": 8},
    {"hidden_size": 40, "num_attention_heads": 1, "num_hidden_layers": 3, "type_vocab_size": 4},
    {"hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 2, "layer_norm_eps": 1e-3},
]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{sizes['hidden_size']} wide")
def test_a_bert_of_any_size_is_bert_model(code, sizes, attention):
    config = BertConfig(vocab_size=50, max_position_embeddings=20, initializer_range=0.2, **sizes)
    config._attn_implementation = attention
    torch.manual_seed(0)
    theirs = BertModel(config).eval().double()
    ours = code["Bert"](config).eval().double()
    ours.load_state_dict(renamed(code, theirs.state_dict()))
    for seed, lengths in enumerate([[20, 3, 11], [1], [7, 7], [2, 19, 1, 5]]):
        compare(code, ours, theirs, batch_of(lengths, config, seed), 1e-9, seed)


@pytest.mark.parametrize("lengths", [[5, 2], [3, 3, 3], [1, 6]])
def test_attention_is_torchs_fused_one_with_its_gradients(code, lengths):
    mask = declared.padding(*lengths)
    generator = torch.Generator().manual_seed(1)
    shape = (len(lengths), 2, max(lengths), 4)
    q, k, v = (
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(3)
    )
    mixed, shares = code["attention"](q, k, v, mask)
    fused = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :].bool())
    torch.testing.assert_close(mixed, fused, rtol=0, atol=1e-12)
    assert (shares.masked_select(mask[:, None, None, :] == 0) == 0).all()
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones_like(shares[..., 0]))
    pull = torch.randn(shape, generator=generator, dtype=torch.float64)
    for mine, its in zip(
        torch.autograd.grad((mixed * pull).sum(), (q, k, v)),
        torch.autograd.grad((fused * pull).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-12)


@pytest.mark.parametrize("early", [False, True], ids=["behind", "before"])
def test_a_layer_is_torchs_transformer_layer(code, early):
    torch.manual_seed(0)
    its = nn.TransformerEncoderLayer(
        12, 3, 20, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=early
    ).double()
    heads = code["SelfAttention"](12, 3).double()
    layer = code["EarlyNorm" if early else "Layer"](12, 20, 1e-6).double()
    weights = its.self_attn.in_proj_weight.chunk(3), its.self_attn.in_proj_bias.chunk(3)
    with torch.no_grad():
        for part, weight, bias in zip((heads.query, heads.key, heads.value), *weights, strict=True):
            part.weight.copy_(weight)
            part.bias.copy_(bias)
    heads.output.load_state_dict(its.self_attn.out_proj.state_dict())
    pairs = {"attention_norm": "norm1", "norm": "norm2", "widen": "linear1", "narrow": "linear2"}
    for mine, theirs in pairs.items():
        getattr(layer, mine).load_state_dict(getattr(its, theirs).state_dict())
    x, mask = torch.randn(2, 5, 12, dtype=torch.float64), declared.padding(5, 3)
    expected = its(x, src_key_padding_mask=mask == 0)
    found = layer(x, lambda x: heads(x, mask))
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], rtol=0, atol=1e-10)


def test_without_positions_the_order_of_tokens_does_not_matter(code):
    config = BertConfig(vocab_size=50, hidden_size=16, num_attention_heads=2, intermediate_size=32)
    torch.manual_seed(0)
    bert = code["Bert"](config).eval().double()
    ids, mask, _ = batch_of([9], config, 0)
    order = torch.tensor([0, *(1 + torch.randperm(8)).tolist()])
    with torch.no_grad():
        assert (bert(ids, mask)[1] - bert(ids[:, order], mask)[1]).abs().max() > 1e-4
        bert.embeddings.places.weight.zero_()
        torch.testing.assert_close(bert(ids, mask)[1], bert(ids[:, order], mask)[1], rtol=0, atol=1e-12)


def test_more_padding_changes_no_real_token(code):
    config = BertConfig(vocab_size=50, hidden_size=16, num_attention_heads=2, intermediate_size=32)
    torch.manual_seed(0)
    bert = code["Bert"](config).eval().double()
    ids, mask, types = batch_of([6, 2], config, 0)
    wider = [torch.cat([part, torch.zeros(2, 5).long()], dim=1) for part in (ids, mask, types)]
    with torch.no_grad():
        short, long = bert(ids, mask, types)[0][-1], bert(*wider)[0][-1][:, :6]
    torch.testing.assert_close(short[mask.bool()], long[mask.bool()], rtol=0, atol=1e-12)


def test_the_masking_rule_has_its_shares(code):
    generator = torch.Generator().manual_seed(0)
    shape = (400, 100)
    ids = torch.randint(1000, 30_000, shape, generator=generator)
    special = torch.rand(shape, generator=generator) < 0.1
    chance, kind = torch.rand(2, *shape, generator=generator)
    words = torch.randint(1000, 30_000, shape, generator=generator)
    before = ids.clone()
    inputs, labels = code["corrupt"](ids, special, chance, kind, words, 103)
    assert torch.equal(ids, before)
    chosen = labels != -100
    assert not (chosen & special).any()
    assert chosen.sum() / (~special).sum() == pytest.approx(0.15, abs=0.005)
    assert torch.equal(labels[chosen], ids[chosen])
    assert torch.equal(inputs[~chosen], ids[~chosen])
    masked, swapped = inputs[chosen] == 103, (inputs[chosen] == words[chosen]) & (ids != words)[chosen]
    assert masked.float().mean() == pytest.approx(0.8, abs=0.02)
    assert swapped.float().mean() == pytest.approx(0.1, abs=0.015)
    assert (inputs[chosen] == ids[chosen]).float().mean() == pytest.approx(0.1, abs=0.015)


def test_the_interval_draws_sentences_and_is_wider_where_they_agree_inside(code):
    generator = torch.Generator().manual_seed(0)
    sentence = torch.arange(300).repeat_interleave(8)
    alone = (torch.rand(2400, generator=generator) < 0.3).float()
    together = (torch.rand(300, generator=generator) < 0.3).float().repeat_interleave(8)
    narrow, wide = code["interval"](alone, sentence), code["interval"](together, sentence)
    assert narrow[0] < alone.mean() < narrow[1]
    assert wide[0] < together.mean() < wide[1]
    assert (wide[1] - wide[0]) / (narrow[1] - narrow[0]) == pytest.approx(8**0.5, rel=0.25)


@pytest.mark.parametrize(
    "sizes", [(40, 16, 2, 24, 2, 40), (50, 20, 3, 16, 0, 8), (100, 8, 1, 32, 3, 32)], ids=str
)
def test_the_count_is_bert_models(sizes):
    vocabulary, positions, types, hidden, layers, inner = sizes
    config = BertConfig(
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        type_vocab_size=types,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=8,
        intermediate_size=inner,
    )
    size = sum(p.numel() for p in BertModel(config).parameters())
    others = (vocabulary, positions, types, hidden, inner)
    assert declared.deepest(size, *others) == (layers, 0)
    assert declared.deepest(size + 5, *others) == (layers, 5)


def fused(q, k, v, mask):
    return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None].bool()), q


def built(budget, vocabulary, positions, types, hidden, inner):
    torch.zeros(hidden)
    return declared.deepest(budget, vocabulary, positions, types, hidden, inner)


class Library(declared.SelfAttention):
    def forward(self, x, mask):
        its = nn.MultiheadAttention(x.shape[-1], self.heads, batch_first=True)
        return its(x, x, x, key_padding_mask=mask == 0)[0] + 0 * super().forward(x, mask)


@pytest.mark.parametrize(("number", "answer"), [("8.2", fused), ("8.3", Library), ("8.9", built)])
def test_what_a_card_rules_out_is_refused(number, answer):
    assert "the card rules that out" in verdict(number, answer)


def test_the_worked_value_of_the_budget_is_right():
    assert declared.deepest(110_000_000, 30_522, 512, 2, 768, 3_072) == (12, 517_760)
    card = next(cell.source for cell in LESSON.markdown if cell.source.startswith("### Your turn 8.9"))
    assert "is `(12, 517760)`" in card


def test_the_waves_are_the_formula():
    table = declared.waves(7, 6)
    for position in range(7):
        for pair in range(3):
            angle = torch.tensor(position / 10_000 ** (2 * pair / 6))
            torch.testing.assert_close(table[position, 2 * pair], angle.sin())
            torch.testing.assert_close(table[position, 2 * pair + 1], angle.cos())


def test_the_whole_bert_has_at_most_150_lines():
    """From one attention to the loaded names, docstrings and blank lines included."""
    parts = ["def attention(", "class SelfAttention(", "class Embeddings(", "class Layer(", "class Block("]
    parts += ["class Bert(", "NAMES = {", "def own_name("]
    cells = [next(cell.source for cell in reversed(LESSON.code) if part in cell.source) for part in parts]
    assert 80 <= sum(len(source.splitlines()) for source in cells) <= 150


def test_a_place_inside_a_result_gets_no_second_name():
    """8.6 returns a list and a tensor: item [1] of the list is not the second result."""

    def zeroed(embed, layers, dense, ids, mask, types):
        states = [embed(ids, types)]
        for layer in layers:
            states.append(layer(states[-1] * mask[:, :, None], mask))
        return states, torch.tanh(dense(states[-1][:, 0]))

    said = verdict("8.6", zeroed)
    assert "the states: in item [" in said and "the pooled vector" not in said, said
