"""Lesson 06 on fresh inputs: batches by length, bootstrap intervals, killing and resuming a run."""

import os
import time
import types

import lessons
import pytest
import torch
from safetensors.torch import save_file

NAMES = """
    collate random_batches bucketed_batches box_size BATCH masked_mean interval same Batches build
    save_checkpoint load_checkpoint take_steps start steps_in kill_after HEADER FOOTER parameter_count
""".split()
LESSON = lessons.read(lessons.FOLDER / "06_training.ipynb")


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, *NAMES))


def some_data(seed, rows=96, vocabulary=50, longest=9):
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, vocabulary, (rows, longest), generator=random)
    return ids, torch.randint(0, 2, (rows,), generator=random)


@pytest.mark.parametrize("seed", range(5))
def test_batches_by_length_have_every_index_once_and_little_padding(own, seed):
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 49, (2000,), generator=random).tolist()
    batches = own.bucketed_batches(lengths, random)
    assert sorted(index for batch in batches for index in batch) == list(range(2000))
    assert max(map(len, batches)) <= own.BATCH
    padding = {
        name: 1 - sum(lengths) / own.box_size(made, lengths)
        for name, made in (("by length", batches), ("random", own.random_batches(lengths, random)))
    }
    assert padding["by length"] < 0.1 < 0.3 < padding["random"]
    assert own.bucketed_batches(lengths, random) != batches  # another epoch, other neighbours


def test_collate_pads_with_zeros(own):
    ids, labels = own.collate([([5, 6, 7], 1), ([8], 0)])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]] and labels.tolist() == [1, 0]


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


def resumed_at(own, folder, stop, last=20, forget=None):
    """The state after `last` steps, with a checkpoint after `stop`, loaded into newly built parts."""
    ids, y = some_data(seed=3)
    parts = own.build(len(ids), 50)
    list(own.take_steps(parts, ids, y, 0, stop))
    path = folder / f"{stop}.pt"
    own.save_checkpoint(parts, stop, path)
    torch.manual_seed(999)  # what another process would have
    parts = own.build(len(ids), 50)
    first = own.load_checkpoint(parts, torch.load(path, weights_only=True), forget)
    assert first == stop
    list(own.take_steps(parts, ids, y, first, last))
    return {name: part.state_dict() for name, part in parts.items()}


@pytest.mark.parametrize("stop", [1, 5, 6, 7, 13, 19])  # an epoch has 6 steps
def test_a_run_resumed_anywhere_equals_an_uninterrupted_one(own, tmp_path, stop):
    ids, y = some_data(seed=3)
    parts = own.build(len(ids), 50)
    list(own.take_steps(parts, ids, y, 0, 20))
    whole = {name: part.state_dict() for name, part in parts.items()}
    assert own.same(resumed_at(own, tmp_path, stop), whole)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("part", ["model", "optimizer", "schedule", "batches", "random numbers"])
def test_a_forgotten_part_is_seen(own, tmp_path, part):
    assert not own.same(resumed_at(own, tmp_path, 7, forget=part), resumed_at(own, tmp_path, 7))


def test_same_sees_one_bit(own):
    a, b = torch.ones(3), torch.ones(3)
    assert own.same({"x": [a, 1]}, {"x": [b, 1]})
    b[1] = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    assert not own.same({"x": [a, 1]}, {"x": [b, 1]})
    assert not own.same({"x": a}, {"y": a})
    assert not own.same([a], [a, a])


@pytest.mark.parametrize("step", [13, 35])
def test_a_killed_process_resumes_bit_for_bit(own, tmp_path, step):
    cells = [cell.source for cell in LESSON.code]
    wanted = ("class Batches", "class RandomNumbers", "def save_checkpoint", "def main")
    sources = [next(source for source in cells if start in source) for start in wanted]
    (tmp_path / "worker.py").write_text("\n\n\n".join([own.HEADER, *sources, own.FOOTER]), encoding="utf8")
    ids, labels = some_data(seed=step)
    save_file({"ids": ids, "labels": labels}, tmp_path / "data.safetensors")

    whole = own.start(tmp_path, "whole")
    code = own.kill_after(own.start(tmp_path, "killed", step), tmp_path / "killed" / "log.txt", step)
    assert code == -9 or os.name == "nt"
    assert not (tmp_path / "killed" / "final.pt").exists()
    left = torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)
    assert left["step"] == step // 12 * 12
    assert whole.wait(timeout=120) == 0
    assert own.start(tmp_path, "killed").wait(timeout=120) == 0
    ends = [torch.load(tmp_path / name / "final.pt", weights_only=True) for name in ("whole", "killed")]
    assert own.same(*ends)


def test_a_worker_that_dies_early_is_reported_and_not_waited_for(own, tmp_path):
    (tmp_path / "worker.py").write_text("raise SystemExit(3)", encoding="utf8")
    process = own.start(tmp_path, "dead")
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="never logged step 5"):
        own.kill_after(process, tmp_path / "dead" / "log.txt", 5)
    assert time.monotonic() - started < 60
