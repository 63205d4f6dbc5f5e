"""Lesson 09 on fresh inputs: batches, measurements, the budget, the step, another width and another file."""

import time
import types

import lessons
import nbformat
import pytest
import torch
from nbclient import NotebookClient
from torch import nn
from transformers import BertConfig, BertModel, BertTokenizer, get_linear_schedule_with_warmup

from course_utils import checkpoints
from course_utils.exercises import lesson_09_finetune_bert as declared

LESSON = lessons.read(lessons.FOLDER / "09_finetune_bert.ipynb")
NAMES = "by_length affordable interval mean_over_tokens groups_of SEEDS BUDGETS".split()
# What the lesson claims about accuracy: a BERT whose weights are random cannot know anything.
NEEDS_KNOWLEDGE = {
    "with all it may read, each simple model beats guessing by five points",
    "in every run the loss falls from the first third to the last",
    "every seed's best is five points above guessing",
    "on average, the seeds get more right than counting words",
    "and more than the frozen BERT",
    "a clearly positive sentence is recognised",
    "a clearly negative one is recognised",
    "it is surer when it is right than when it is wrong",
}


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


@pytest.mark.parametrize("count", [1, 7, 16, 403, 1000])
def test_batches_have_every_index_once_and_little_padding(own, count):
    random = torch.Generator().manual_seed(count)
    lengths = torch.randint(3, 65, (count,), generator=random).tolist()
    torch.manual_seed(count)
    batches = own.by_length(lengths, 8)
    assert sorted(index for batch in batches for index in batch) == list(range(count))
    assert max(map(len, batches)) <= 8
    if count >= 400:
        boxes = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
        assert 1 - sum(lengths) / boxes < 0.1


@pytest.mark.parametrize(
    ("seconds", "speed", "available", "expected"),
    [(90, 60, 10_000, 1800), (90, 1, 10_000, 700), (900, 100, 6730, 6730), (90, 60, 160, 160)],
)
def test_a_budget_affords_what_it_pays_for_and_never_less_than_700(own, seconds, speed, available, expected):
    own.affordable.__globals__["EPOCHS"] = 1
    assert own.affordable(seconds, speed, available) == expected


def test_the_mean_is_over_the_tokens_that_are_no_padding(own):
    vectors = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    mean = own.mean_over_tokens(vectors, {"attention_mask": mask})
    expected = torch.stack([vectors[0].mean(0), vectors[1, :2].mean(0), vectors[2, 0]])
    torch.testing.assert_close(mean, expected)


def test_the_lessons_groups_are_those_of_the_exercise(own):
    model = declared.small_bert()
    model.bert.embeddings.requires_grad_(False)
    found, expected = own.groups_of(model, 0.1), declared.two_groups(model, 0.1)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["weight_decay"] == theirs["weight_decay"]
        assert list(map(id, ours["params"])) == list(map(id, theirs["params"]))
    assert sum(p.numel() for group in found for p in group["params"]) == sum(
        p.numel() for p in model.parameters() if p.requires_grad
    )


@pytest.mark.parametrize("hidden", [16, 24])
def test_the_lessons_step_equals_the_exercises_in_float32(hidden):
    one_step = lessons.definitions(LESSON, "one_step")["one_step"]
    space = one_step.__globals__
    cpu = torch.device("cpu")
    space["autocast"] = torch.autocast("cpu", enabled=False)
    space["scaler"] = torch.amp.GradScaler("cpu", enabled=False)
    batch = declared.padded_batch(declared.Draw("test"), [5, 3, 2], 2)
    states = []
    for step in (one_step, declared.fine_tuning_step):
        model = declared.small_bert(hidden).to(cpu)
        optimizer = torch.optim.AdamW(declared.two_groups(model, 0.01), lr=0.01)
        schedule = get_linear_schedule_with_warmup(optimizer, 1, 5)
        torch.manual_seed(1)
        losses = [step(model, batch, optimizer, schedule) for _ in range(4)]
        states.append((losses, [p.detach() for p in model.parameters()], schedule.get_last_lr()))
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


def test_an_interval_holds_the_mean_and_narrows_with_the_root_of_the_size(own):
    few, many = (torch.arange(size) % 4 == 0 for size in (400, 6400))
    low, high = own.interval(few.float())
    narrow = own.interval(many.float())
    assert low < 0.25 < high
    assert (high - low) / (narrow[1] - narrow[0]) == pytest.approx(4, rel=0.15)


def short_run(tmp_path, monkeypatch, checkpoint=None, file=None):
    """The executed notebook with few sentences; whatever a cell raises is kept in it."""
    notebook = nbformat.read(lessons.FOLDER / "09_finetune_bert.ipynb", as_version=4)
    end = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith("## When it goes wrong"))
    notebook.cells = notebook.cells[:end]
    changes = {
        "least=700": "least=64",
        '"laptop": 68': '"laptop": 1',
        "OWN_FILE = None": f"OWN_FILE = {file and str(file)!r}",
        "train, validation, test = reviews": "if OWN_FILE is None:\n"
        "    for name, rows in reviews.items():\n"
        "        reviews[name] = rows.select(range(900 if name == 'train' else 120))\n"
        "train, validation, test = reviews",
    }
    for old, new in changes.items():
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
        assert cells, f"the lesson no longer says {old!r}"
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.startswith("check("):
            cell.source = ""
    if checkpoint:
        monkeypatch.setenv("COURSE_CHECKPOINT", str(checkpoint))
    NotebookClient(
        notebook, timeout=600, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    return notebook


def failures(notebook):
    """(Claims that did not hold, other errors) of an executed notebook."""
    errors = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "error"
    ]
    claims = {error.evalue for error in errors if error.ename == "AssertionError"}
    return claims, [f"{error.ename}: {error.evalue}" for error in errors if error.ename != "AssertionError"]


def printed(notebook):
    return "".join(map(lessons.printed, (cell for cell in notebook.cells if cell.cell_type == "code")))


def test_no_cell_knows_the_embedded_models_sizes(tmp_path, monkeypatch):
    """The same cells on a BERT of 768 numbers, two layers and random weights: only knowledge is missing."""
    folder = tmp_path / "wide"
    torch.manual_seed(0)
    tokenizer = BertTokenizer.from_pretrained(checkpoints.choose("embedded"))
    config = BertConfig(hidden_size=768, num_hidden_layers=2, num_attention_heads=12, intermediate_size=512)
    checkpoints.save(BertModel(config), tokenizer, folder)
    notebook = short_run(tmp_path, monkeypatch, checkpoint=folder)
    claims, others = failures(notebook)
    assert others == []
    assert claims <= NEEDS_KNOWLEDGE, claims - NEEDS_KNOWLEDGE
    assert "✓ reloaded, it gives the same answers" in printed(notebook)


def test_a_file_of_ones_own_with_three_classes_goes_through(tmp_path, monkeypatch):
    file = lessons.file_of_three_classes(tmp_path)
    notebook = short_run(tmp_path, monkeypatch, file=file)
    assert failures(notebook) == (set(), [])
    text = printed(notebook)
    assert "middle" in text
    assert "✓ it knows the names of its classes" in text


def test_a_wrong_size_is_a_clear_error():
    cell = next(cell for cell in LESSON.code if cell.source.startswith("SIZE = "))
    wrong = cell.source.replace('SIZE = "laptop"', 'SIZE = "large"')
    with pytest.raises(ValueError, match="SIZE is one of quick, laptop, colab, and got 'large'"):
        exec(wrong, {"EPOCHS": 1, "claim": lambda *_: None})


@pytest.mark.parametrize("size", ["quick", "laptop", "colab"])
def test_every_size_has_a_budget(own, size):
    assert own.BUDGETS[size] > 0


def test_a_small_bert_reads_its_mask():
    model = declared.small_bert()
    batch = declared.padded_batch(declared.Draw("mask"), [5, 2])
    with torch.no_grad():
        with_mask = model(**batch).logits
        without = model(batch["input_ids"], token_type_ids=batch["token_type_ids"]).logits
    assert torch.allclose(with_mask[0], without[0], atol=1e-5)
    assert not torch.allclose(with_mask[1], without[1], atol=1e-2)
    assert isinstance(model.bert.pooler.dense, nn.Linear)


@pytest.mark.parametrize("fits", [16, 4, 1])
def test_out_of_memory_halves_the_batch_until_it_fits_and_says_so(capsys, fits):
    cell = next(cell.source for cell in LESSON.cells if "def halved" in cell.source)
    tried = []

    def fine_tune(model, some, epochs, watch):
        tried.append(space["BATCH"])
        watch()
        if space["BATCH"] > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    unused = dict.fromkeys(["model", "some", "epochs"])
    space = {"BATCH": 16, "moments": [], "fine_tune": fine_tune, "time": time, **unused}
    exec(cell, space)
    space["trial"]()
    assert tried == [size for size in (16, 8, 4, 2, 1) if size >= fits]
    assert space["BATCH"] == fits and len(space["moments"]) == 1  # those of the batch that fitted
    expected = [f"out of memory: batches of {size} from here on" for size in tried[1:]]
    assert capsys.readouterr().out.splitlines() == expected


def test_where_not_even_one_sentence_fits_the_trial_ends():
    cell = next(cell.source for cell in LESSON.cells if "def halved" in cell.source)

    def fine_tune(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    unused = dict.fromkeys(["model", "some", "epochs"])
    space = {"BATCH": 4, "moments": [], "fine_tune": fine_tune, "time": time, **unused}
    exec(cell, space)
    with pytest.raises(RuntimeError, match="No executable batch size"):
        space["trial"]()
