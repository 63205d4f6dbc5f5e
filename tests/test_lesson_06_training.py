"""Lesson 06 on fresh inputs: batches, the pieces of the loop, intervals, killing and resuming, the export."""

import math
import os
import random
import re
import subprocess
import sys
import time
import types

import lessons
import pytest
import torch
from nbconvert import PythonExporter
from safetensors.torch import save_file
from torch import nn

NAMES = """
    collate random_batches bucketed_batches positions BATCH masked_mean interval training_step one_epoch
    logits_of evaluate EarlyStop fit Reviews same start steps_in kill_after parameter_count DEVICE
""".split()
LESSON = lessons.read(lessons.FOLDER / "06_training.ipynb")
FILES = ("checkpoint.py", "order.py", "parts.py", "steps.py", "program.py")


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


def written(name):
    """The source of a file that a cell of the lesson writes, with %%writefile or write_text."""
    for cell in LESSON.code:
        magic = f"%%writefile {{work}}/{name}\n"
        if magic in cell.source:
            return cell.source.partition(magic)[2] + "\n"
        if f'(work / "{name}").write_text(' in cell.source:
            return re.search(r'SOURCE = """\n(.*?)"""', cell.source, re.DOTALL)[1]
    raise LookupError(name)


@pytest.fixture
def program(own, tmp_path):
    """A folder with the lesson's program and some data."""
    for name in FILES:
        (tmp_path / name).write_text(written(name), encoding="utf8")
    random = torch.Generator().manual_seed(3)
    ids = torch.randint(1, 50, (96, 9), generator=random)
    save_file(
        {"ids": ids, "labels": torch.randint(0, 2, (96,), generator=random)}, tmp_path / "data.safetensors"
    )
    return tmp_path


@pytest.fixture
def run(program):
    """The names of the program's modules."""
    space = {"__name__": "run"}
    for name in FILES[:-1]:
        source = re.sub(r"^from (order|parts|steps|checkpoint) import .*\n", "", written(name), flags=re.M)
        exec(source, space)
    return types.SimpleNamespace(**{key: space[key] for key in ("Checkpoint", "build", "take_steps")})


@pytest.mark.parametrize("seed", range(5))
def test_batches_by_length_have_every_index_once_and_little_padding(own, seed):
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 49, (2000,), generator=random).tolist()
    batches = own.bucketed_batches(lengths, random)
    assert sorted(index for batch in batches for index in batch) == list(range(2000))
    assert max(map(len, batches)) <= own.BATCH
    padding = {
        name: 1 - sum(lengths) / own.positions(made, lengths)
        for name, made in (("by length", batches), ("random", own.random_batches(lengths, random)))
    }
    assert padding["by length"] < 0.1 < 0.3 < padding["random"]
    assert own.bucketed_batches(lengths, random) != batches  # another epoch, other neighbours


def test_collate_pads_with_zeros_and_has_a_column(own):
    ids, labels = own.collate([([5, 6, 7], 1), ([8], 0)])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]] and labels.tolist() == [1, 0]
    assert own.collate([([], 1)])[0].tolist() == [[0]]


def test_a_bootstrap_interval_covers_the_true_share_about_as_often_as_it_says(own):
    random = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(200):
        low, high = own.interval((torch.rand(300, generator=random) < 0.7).float())
        covered += low <= 0.7 <= high
    assert 180 <= covered <= 199


def test_an_interval_is_about_two_standard_errors_to_each_side(own):
    hits = torch.arange(400) % 4 != 0  # 75 % right
    low, high = own.interval(hits.float())
    assert high - low == pytest.approx(2 * 1.96 * (0.75 * 0.25 / 400) ** 0.5, rel=0.1)


class Sum(nn.Module):
    """A small network over padded ids."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.EmbeddingBag(20, 8, padding_idx=0), nn.Dropout(0.2), nn.Linear(8, 2))

    def forward(self, ids):
        return self.layers(ids)


def some_rows(own, count=60, seed=0):
    random = torch.Generator().manual_seed(seed)
    rows = own.Reviews([], torch.randint(0, 2, (count,), generator=random).tolist())
    rows.lengths = torch.randint(1, 9, (count,), generator=random).tolist()
    rows.rows = [torch.randint(2, 20, (length,), generator=random).tolist() for length in rows.lengths]
    return rows


def held_out(own):
    return [own.collate([rows[index] for index in range(20)]) for rows in [some_rows(own, 20, seed=1)]]


def test_fit_ends_in_the_state_of_its_lowest_validation_loss(own):
    torch.manual_seed(0)
    model, held = Sum(), held_out(own)
    history = own.fit(model, some_rows(own), held, epochs=8, patience=2, lr=0.1)
    assert own.evaluate(model, held, own.DEVICE)[0] == pytest.approx(min(row[1] for row in history), abs=1e-5)
    assert len(history) < 8


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_fit_says_that_its_first_loss_is_no_number(own, value):
    model = Sum()
    with torch.no_grad():
        model.layers[2].bias.fill_(value)
    with pytest.raises(RuntimeError, match="epoch 1 ended with a training loss of nan"):
        own.fit(model, some_rows(own), held_out(own), epochs=2, patience=1)


@pytest.mark.parametrize("mode", [True, False])
def test_measuring_leaves_the_mode(own, mode):
    model = Sum().train(mode)
    loss, accuracy = own.evaluate(model, held_out(own), own.DEVICE)
    assert model.training is mode and math.isfinite(loss) and 0 <= accuracy <= 1


def resumed_at(own, run, folder, stop, last=20, forget=None):
    """The states after `last` steps, with a checkpoint after `stop` loaded into newly built parts."""
    random = torch.Generator().manual_seed(3)
    ids, y = torch.randint(1, 50, (96, 9), generator=random), torch.randint(0, 2, (96,), generator=random)
    parts = run.build(96, 50)
    list(run.take_steps(parts, ids, y, 0, stop))
    run.Checkpoint(folder / f"{stop}.pt", parts).save(stop)
    if last == stop:
        return {name: part.state_dict() for name, part in parts.items()}
    parts = run.build(96, 50)
    torch.manual_seed(999)  # what another process would have
    assert run.Checkpoint(folder / f"{stop}.pt", parts).load(forget) == stop
    list(run.take_steps(parts, ids, y, stop, last))
    return {name: part.state_dict() for name, part in parts.items()}


@pytest.mark.parametrize("stop", [1, 5, 6, 7, 13, 19])  # an epoch has 6 steps
def test_a_run_resumed_anywhere_equals_an_uninterrupted_one(own, run, tmp_path, stop):
    whole = resumed_at(own, run, tmp_path, 20)
    assert own.same(resumed_at(own, run, tmp_path, stop), whole)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("part", ["model", "optimizer", "schedule", "order", "random numbers"])
def test_a_forgotten_part_is_seen(own, run, tmp_path, part):
    whole = resumed_at(own, run, tmp_path, 20)
    assert not own.same(resumed_at(own, run, tmp_path, 7, forget=part), whole)


def test_same_sees_one_bit(own):
    a, b = torch.ones(3), torch.ones(3)
    assert own.same({"x": [a, 1]}, {"x": [b, 1]})
    b[1] = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    assert not own.same({"x": [a, 1]}, {"x": [b, 1]})
    assert not own.same({"x": a}, {"y": a})
    assert not own.same([a], [a, a])


@pytest.mark.parametrize("step", [13, 35])
def test_a_killed_process_resumes_bit_for_bit(own, program, step):
    whole = own.start(program, "whole")
    killed = own.start(program, "killed", step)
    assert own.kill_after(killed, program / "killed" / "log.txt", step) == -9 or os.name == "nt"
    assert not (program / "killed" / "final.pt").exists()
    left = torch.load(program / "killed" / "checkpoint.pt", weights_only=True)
    assert left["step"] == step // 12 * 12
    assert whole.wait(timeout=300) == 0
    assert own.start(program, "killed").wait(timeout=300) == 0
    ends = [torch.load(program / name / "final.pt", weights_only=True) for name in ("whole", "killed")]
    assert own.same(*ends)


SAVES = """
import torch
from checkpoint import Checkpoint
model = torch.nn.Linear(300, 300)
saved = Checkpoint("checkpoint.pt", {"model": model})
print("ready", flush=True)
for step in range(saved.load() + 1, 10**9):
    torch.nn.init.constant_(model.weight, step)
    saved.save(step)
    print(step, flush=True)
"""
# One process starts many: importing torch takes longer than all that is measured here.
STARTS = """
import os, signal, sys, time, torch
torch.set_num_threads(1)  # threads do not survive a fork
for wait in map(float, sys.argv[1:]):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 1)
        exec(open("saves.py").read())
    os.close(write)
    with os.fdopen(read) as said:
        said.readline()
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        last = ([0] + said.read().split())[-1]
    found = torch.load("checkpoint.pt", weights_only=True) if os.path.exists("checkpoint.pt") else None
    step = found["step"] if found else 0
    whole = found is None or bool((found["parts"]["model"]["weight"] == step).all())
    print(last, step, whole, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_at_any_moment_of_a_save_the_last_whole_checkpoint_is_loaded(program):
    (program / "saves.py").write_text(SAVES, encoding="utf8")
    rng = random.Random(6)
    waits = [f"{rng.random() / 50:.4f}" for _ in range(20)]
    command = [sys.executable, "-c", STARTS, *waits]
    done = subprocess.run(command, cwd=program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    before = 0
    for line in done.stdout.splitlines():
        said, step, whole = line.split()
        assert whole == "True"  # all of a state, and of the step that it says
        assert max(before, int(said)) <= int(step) <= max(before, int(said)) + 1
        before = int(step)
    assert len(done.stdout.splitlines()) == 20 and before > 0


def test_a_program_that_dies_early_is_reported_and_not_waited_for(own, tmp_path):
    (tmp_path / "program.py").write_text("raise SystemExit(3)", encoding="utf8")
    process = own.start(tmp_path, "dead")
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="never logged step 5"):
        own.kill_after(process, tmp_path / "dead" / "log.txt", 5)
    assert time.monotonic() - started < 120


def test_the_exported_script_does_not_start_itself_again():
    """Another process runs program.py alone, whose text stands in the script as a string."""
    source, _ = PythonExporter().from_notebook_node(LESSON.notebook)
    assert source.count("Popen(") == 1 and '[sys.executable, "program.py"' in source
    assert "__file__" not in source and "linecache" not in source
    for name in FILES:
        text = written(name)
        assert "Popen" not in text and "subprocess" not in text
