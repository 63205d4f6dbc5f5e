"""Lesson 00's code on fresh inputs: its head equals the library's, its cells fit a BERT of another size."""

import types

import lessons
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

NAMES = "LessonPooler LessonHead Stars as_batch positive teach".split()


@pytest.fixture(scope="module")
def lesson():
    path = next(path for path in lessons.paths() if path.name.startswith("00_"))
    return types.SimpleNamespace(**lessons.definitions(lessons.read(path), *NAMES))


@pytest.fixture
def wide():
    """A small random BERT of another hidden size than the embedded one's, on the device of the lesson."""
    torch.manual_seed(0)
    config = BertConfig(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)
    return BertForSequenceClassification(config).eval()


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("hidden", [12, 48])
def test_the_head_equals_the_librarys(lesson, hidden, classes):
    config = BertConfig(
        vocab_size=30,
        hidden_size=hidden,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=24,
        num_labels=classes,
    )
    model = BertForSequenceClassification(config).eval()
    ids = torch.randint(0, 30, (3, 7))
    head, state = lesson.LessonHead(hidden, classes), model.state_dict()
    names = {name: f"bert.{name}" if name.startswith("pooler") else name for name in head.state_dict()}
    head.load_state_dict({name: state[there] for name, there in names.items()})
    with torch.no_grad():
        states = model.bert(input_ids=ids).last_hidden_state
        torch.testing.assert_close(head(states), model(input_ids=ids).logits)


def test_stars_lie_between_one_and_five(lesson):
    stars = lesson.Stars(6)
    ratings = stars(100 * torch.randn(50, 6))
    assert ratings.shape == (50,) and ratings.min() >= 1 and ratings.max() <= 5


def test_teaching_changes_what_is_not_frozen_in_a_bert_of_another_size(lesson, wide, capsys):
    datasets = pytest.importorskip("datasets")
    texts = ["a fine film", "dull", "warm and funny", "two hours lost", "a mess , and long"] * 4
    rows = datasets.Dataset.from_dict({"text": texts, "label": [1, 0, 1, 0, 0] * 4})
    wide = wide.to(lesson.as_batch(["a"])["input_ids"].device)
    before = {name: tensor.clone() for name, tensor in wide.state_dict().items()}
    lesson.teach(wide, rows, size=5)
    same = {name for name, tensor in wide.state_dict().items() if torch.equal(tensor, before[name])}
    half = 2 * len(wide.bert.encoder.layer) // 3
    assert half > 0
    frozen = ("bert.embeddings.", *(f"bert.encoder.layer.{i}." for i in range(half)))
    assert all(name in same for name in before if name.startswith(frozen))
    upper = [name for name in same if ".layer." in name and not name.startswith(frozen)]
    assert not [name for name in upper if "key.bias" not in name]
    assert "classifier.weight" not in same


def test_positive_gives_one_probability_for_each_text_in_order(lesson, wide):
    wide = wide.to(lesson.as_batch(["a"])["input_ids"].device)
    texts = [f"film number {i}" for i in range(120)]
    together, alone = lesson.positive(wide, texts), lesson.positive(wide, texts[77:78])
    assert together.shape == (120,) and ((together > 0) & (together < 1)).all()
    torch.testing.assert_close(together[77:78], alone)
