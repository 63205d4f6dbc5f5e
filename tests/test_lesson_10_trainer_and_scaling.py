"""Lesson 10 on fresh inputs: steps, metrics, caches, LoRA, memory, two real processes, an own file."""

import re
import shutil
import types

import lessons
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from peft import LoraConfig, get_peft_model
from safetensors import SafetensorError
from sklearn.metrics import f1_score
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerState,
    TrainingArguments,
)

from course_utils import data
from course_utils.exercises import lesson_10_trainer_and_scaling as declared

LESSON = lessons.read(lessons.FOLDER / "10_trainer_and_scaling.ipynb")
NAMES = "accuracy_and_f1 affordable interval Upper pad_states pairs_of Detour fits torchrun TINY".split()


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


def tiny(own, **changes):
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(**own.TINY | changes))


def trainer_on(tmp_path, model, rows, callbacks=(), **changes):
    generator = torch.Generator().manual_seed(1)
    rows = [
        {"input_ids": torch.randint(1, 100, (6,), generator=generator), "labels": i % 2} for i in range(rows)
    ]
    settings = {"report_to": [], "disable_tqdm": True, "use_cpu": True, "save_strategy": "no"}
    args = TrainingArguments(str(tmp_path), **settings | changes)
    trainer = Trainer(model, args, train_dataset=rows, eval_dataset=rows, callbacks=list(callbacks))
    trainer.remove_callback(PrinterCallback)
    return trainer


@pytest.mark.parametrize(
    ("rows", "batch", "accumulation", "epochs", "drop_last"),
    [
        (20, 8, 1, 1, False),
        (20, 8, 1, 1, True),
        (30, 4, 3, 2, False),
        (30, 4, 3, 2, True),
        (18, 4, 2, 1.5, False),
    ],
)
def test_the_steps_are_those_of_the_trainer(own, tmp_path, rows, batch, accumulation, epochs, drop_last):
    trainer = trainer_on(
        tmp_path,
        tiny(own),
        rows,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs,
        dataloader_drop_last=drop_last,
    )
    trainer.train()
    assert trainer.state.global_step == declared.count_steps(rows, batch, accumulation, epochs, drop_last)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_metrics_are_scikit_learns(own, classes):
    random = np.random.default_rng(classes)
    logits, labels = random.normal(size=(40, classes)), random.integers(classes, size=40)
    labels[labels == classes - 1] = 0
    expected = f1_score(labels, logits.argmax(-1), average="macro", zero_division=0)
    for metrics in (own.accuracy_and_f1, declared.metrics):
        found = metrics((logits, labels))
        assert found["macro_f1"] == pytest.approx(expected)
        assert found["accuracy"] == pytest.approx((logits.argmax(-1) == labels).mean())


def test_a_budget_stops_a_real_trainer(own, tmp_path):
    ticks = iter(range(100))
    budget = declared.Budget(3, lambda: next(ticks))
    trainer = trainer_on(tmp_path, tiny(own), 64, [budget], per_device_train_batch_size=4)
    trainer.args.save_only_model = True
    trainer.train()
    assert trainer.state.global_step == 3
    assert (tmp_path / "checkpoint-3").exists()


def test_a_save_that_is_cut_off_stops_the_next_start_until_its_folder_is_deleted(own, tmp_path, monkeypatch):
    def trainer():
        batches = {"per_device_train_batch_size": 8, "max_steps": 12}
        return trainer_on(tmp_path, tiny(own), 40, save_strategy="steps", save_steps=4, **batches)

    def cut_off(state, path):
        if state.global_step == 8:
            raise KeyboardInterrupt
        save(state, path)

    save = TrainerState.save_to_json
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainerState, "save_to_json", cut_off)
        trainer().train()
    whole, half = ({path.name for path in (tmp_path / f"checkpoint-{n}").iterdir()} for n in (4, 8))
    assert whole - half == {"trainer_state.json"}
    with pytest.raises(FileNotFoundError, match="checkpoint-8/trainer_state.json"):
        trainer().train(resume_from_checkpoint=True)
    weights = tmp_path / "checkpoint-8" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(SafetensorError):
        trainer().train(resume_from_checkpoint=True)
    weights.unlink()
    with pytest.raises(ValueError, match="valid checkpoint at .*checkpoint-8"):
        trainer().train(resume_from_checkpoint=True)
    shutil.rmtree(tmp_path / "checkpoint-8")
    again = trainer()
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 12


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_upper_part_goes_on_where_the_lower_part_ends(own, depth):
    model = tiny(own).eval()
    ids, mask = (
        torch.randint(1, 100, (3, 7)),
        torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1, 1, 0, 0, 0, 0, 0]]),
    )
    with torch.no_grad():
        output = model(ids, attention_mask=mask, output_hidden_states=True)
        items = [
            {"hidden": row[:size], "labels": 0}
            for row, size in zip(output.hidden_states[depth], mask.sum(1).tolist(), strict=True)
        ]
        batch = own.pad_states(items)
        assert torch.equal(batch["attention_mask"], mask)
        found = own.Upper(model, depth)(**batch)
        alone = declared.upper_logits(model, batch["hidden"], mask, depth)
    torch.testing.assert_close(found["logits"], output.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(alone, output.logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rank", "alpha"), [(2, 4), (8, 8), (4, 1)])
def test_the_lora_layers_are_pefts(own, rank, alpha):
    torch.manual_seed(rank)
    model = get_peft_model(
        nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)),
        LoraConfig(r=rank, lora_alpha=alpha, target_modules=["0"]),
    )
    theirs = model.base_model.model[0]
    nn.init.normal_(theirs.lora_B["default"].weight)
    x = torch.randn(3, 2, 6)
    for kind in (own.Detour, declared.LoraLinear):
        ours = kind(theirs.base_layer, rank, alpha)
        with torch.no_grad():
            ours.A.copy_(theirs.lora_A["default"].weight)
            ours.B.copy_(theirs.lora_B["default"].weight)
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(declared.merged(ours)(x), theirs(x), rtol=0, atol=1e-5)
    merged = own.Detour.merged_weight(ours)
    theirs.merge()
    torch.testing.assert_close(merged, theirs.weight, rtol=0, atol=1e-5)


def test_accumulated_gradients_are_the_large_batchs():
    torch.manual_seed(0)
    model, x, y = nn.Linear(4, 3), torch.randn(9, 4), torch.randint(3, (9,))
    y[:4] = -100
    loss = nn.functional.cross_entropy(model(x), y)
    expected = torch.autograd.grad(loss, list(model.parameters()))
    found = declared.accumulate(model, list(zip(x.split([5, 3, 1]), y.split([5, 3, 1]), strict=True)))
    assert found == pytest.approx(loss.item(), abs=1e-6)
    for p, g in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, g)


def test_pairs_hold_half_of_each_kind_and_negatives_of_the_same_topic(own, capsys):
    rows = data.bbc_articles()["validation"]
    pairs = own.pairs_of(rows, seed=5)
    topics = dict(zip(rows["title"], rows["label"], strict=True))
    firsts = [text.split("\n")[0].strip() for text in rows["text"]]
    assert len(pairs) == len(rows)
    assert 0.4 < sum(label for *_, label in pairs) / len(pairs) < 0.6
    for headline, sentence, label in pairs:
        owners = [i for i, text in enumerate(firsts) if text.startswith(sentence)]
        assert any(topics[headline] == rows[i]["label"] for i in owners)
        assert not label or any(rows[i]["title"] == headline for i in owners)


@pytest.mark.parametrize("memory", [0, 10**6, 16 * 10**9])
def test_the_lessons_arithmetic_is_the_exercises(own, memory):
    for case in ((10_000, 500, 70, 16), (10**8, 10**8, 90_000, 128)):
        assert own.fits(memory, *case) == declared.largest_batch(memory, *case)


def test_a_budget_affords_what_it_pays_for(own):
    assert own.affordable(10, 100, 5000) == 1000
    assert own.affordable(10, 1, 5000) == 384
    assert own.affordable(10, 1, 160) == 160


WORKER = """
import json, torch, torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
dist.init_process_group("gloo")
rank, ranks = dist.get_rank(), dist.get_world_size()
items = [5, 3][rank]
torch.manual_seed(0)
x, y = torch.randn(8, 4), torch.randn(8, 7)
mine = slice(0, 5) if rank == 0 else slice(5, 8)
model = torch.nn.Linear(4, 7)
whole = torch.autograd.grad(((model(x) - y) ** 2).mean(), list(model.parameters()))
local = torch.autograd.grad(((model(x[mine]) - y[mine]) ** 2).mean(), list(model.parameters()))
for g in local:
    g *= items
    dist.all_reduce(g)
off = max((g / 8 - w).abs().max().item() for g, w in zip(local, whole))
fully_shard(model, mesh=init_device_mesh("cpu", (ranks,)))
rows = [None] * ranks
dist.all_gather_object(rows, len(model.weight.to_local()))
if rank == 0:
    print(json.dumps({"off": off, "rows": rows}))
dist.destroy_process_group()
"""


def test_two_real_processes_average_and_cut_as_the_exercises_do(own, tmp_path):
    (tmp_path / "worker.py").write_text(WORKER, encoding="utf8")
    said = own.torchrun(tmp_path, "worker.py")
    assert said["off"] < 1e-6
    assert said["rows"] == [end - start for start, end in declared.shards(7, 2)]


def test_a_failing_worker_is_an_error(own, tmp_path):
    (tmp_path / "worker.py").write_text("raise ValueError('no such thing')", encoding="utf8")
    with pytest.raises(RuntimeError, match="worker.py"):
        own.torchrun(tmp_path, "worker.py")


@pytest.mark.parametrize(("rows", "ranks"), [(7, 2), (10, 4), (5, 4), (2, 4), (9, 4)])
def test_shards_are_torchs_chunks(rows, ranks):
    pieces = [len(piece) for piece in torch.arange(rows).chunk(ranks)]
    sizes = [end - start for start, end in declared.shards(rows, ranks)]
    assert sizes == pieces + [0] * (ranks - len(pieces))


def test_a_file_of_ones_own_with_three_classes_goes_through(tmp_path):
    """The cells up to the comparison of the two ends, on 200 rows: nothing in them knows the reviews."""
    file = lessons.file_of_three_classes(tmp_path)
    notebook = nbformat.read(lessons.FOLDER / "10_trainer_and_scaling.ipynb", as_version=4)
    end = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith("## ◆ Deeper · A search"))
    notebook.cells = notebook.cells[:end]
    changes = {
        "OWN_FILE = None": f"OWN_FILE = {str(file)!r}",
        "least=384": "least=40",
        '"laptop": 18': '"laptop": 0.1',
        "min(80, len(train))": "24",
        'gain["+ lower layers frozen, batch 16"] > 1.3': "True",
    }
    for old, new in changes.items():
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
        assert cells, f"the lesson no longer says {old!r}"
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    for cell in notebook.cells:
        if cell.cell_type == "code" and re.match(r"check\(|# @title Draw", cell.source):
            cell.source = ""
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = "".join(map(lessons.printed, (cell for cell in notebook.cells if cell.cell_type == "code")))
    assert "✓ lower half, kept, and upper half give the whole model's logits" in text
    assert "✓ the model in hand at the end is the best of the run" in text
    assert "reads well above chance" not in text
