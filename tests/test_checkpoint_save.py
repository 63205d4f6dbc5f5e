"""checkpoints.save: a whole save or the one that was there before, also when the disk is full."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from course_utils import CourseError, checkpoints

FULL_DISK = """
import resource, signal, sys
import torch
from transformers import BertForSequenceClassification, BertTokenizer
from course_utils import CourseError, checkpoints

tokenizer = BertTokenizer.from_pretrained(sys.argv[1])
model = BertForSequenceClassification.from_pretrained(sys.argv[1])
torch.nn.init.ones_(model.classifier.weight)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing then fails with an OSError, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    checkpoints.save(model, tokenizer, sys.argv[1])
except CourseError as error:
    print(error)
"""


def tiny(seed):
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=30_522,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    return BertForSequenceClassification(config).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return BertTokenizer.from_pretrained(os.path.dirname(checkpoints.embedded()))


def logits(model, tokenizer):
    with torch.no_grad():
        return model(**tokenizer("a gripping movie", return_tensors="pt")).logits


def load(folder):
    return BertForSequenceClassification.from_pretrained(folder).eval()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_saved_model_gives_the_same_logits(tmp_path, tokenizer):
    model = tiny(0)
    checkpoints.save(model, tokenizer, tmp_path / "critic")
    again = BertTokenizer.from_pretrained(tmp_path / "critic")
    assert torch.equal(logits(load(tmp_path / "critic"), again), logits(model, tokenizer))
    assert any(name.endswith(".safetensors") for name in names(tmp_path / "critic"))


def test_a_second_save_replaces_the_first_whole(tmp_path, tokenizer):
    folder = tmp_path / "critic"
    checkpoints.save(tiny(0), tokenizer, folder)
    second = tiny(1)
    checkpoints.save(second, tokenizer, str(folder))
    assert torch.equal(logits(load(folder), tokenizer), logits(second, tokenizer))
    assert names(tmp_path) == ["critic"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on a file's size")
def test_on_a_full_disk_the_earlier_save_stays(tmp_path, tokenizer):
    folder = tmp_path / "critic"
    first = tiny(0)
    checkpoints.save(first, tokenizer, folder)
    command = [sys.executable, "-c", FULL_DISK, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "could not be saved" in done.stdout and "Free some disk space" in done.stdout
    assert names(tmp_path) == ["critic"]
    assert torch.equal(logits(load(folder), tokenizer), logits(first, tokenizer))


def test_a_failed_rename_puts_the_earlier_save_back(tmp_path, tokenizer, monkeypatch):
    folder = tmp_path / "critic"
    first = tiny(0)
    checkpoints.save(first, tokenizer, folder)
    rename = pathlib.Path.rename

    def refuse_the_new_one(path, target):
        if path.name.endswith("-part"):
            raise OSError("no")
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", refuse_the_new_one)
    with pytest.raises(CourseError, match="as it was"):
        checkpoints.save(tiny(1), tokenizer, folder)
    assert names(tmp_path) == ["critic"]
    assert torch.equal(logits(load(folder), tokenizer), logits(first, tokenizer))


# What is not its own, and a process that is killed.


@pytest.mark.skipif(os.name == "nt", reason="Windows lets not everybody make links")
def test_what_is_no_earlier_save_is_left_alone(tmp_path, tokenizer):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "mine.ipynb").write_text("work")
    file = tmp_path / "file"
    file.write_text("text")
    link, dangling = tmp_path / "link", tmp_path / "dangling"
    link.symlink_to(notebooks, target_is_directory=True)
    dangling.symlink_to(tmp_path / "nowhere")
    before = names(tmp_path)
    for place in (notebooks, file, link, dangling):
        with pytest.raises(CourseError, match="ame a|Name another"):
            checkpoints.save(tiny(0), tokenizer, place)
    assert names(tmp_path) == before
    assert (notebooks / "mine.ipynb").read_text() == "work" and file.read_text() == "text"


def test_a_file_that_somebody_put_into_a_save_is_not_deleted(tmp_path, tokenizer):
    folder = tmp_path / "critic"
    checkpoints.save(tiny(0), tokenizer, folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(CourseError, match=r"notes\.txt.*would delete it"):
        checkpoints.save(tiny(1), tokenizer, folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_neighbours_with_similar_names_stay(tmp_path, tokenizer):
    for name in ("critic.old", "critic.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("work")
    for seed in (0, 1):
        checkpoints.save(tiny(seed), tokenizer, tmp_path / "critic")
    assert names(tmp_path) == ["critic", "critic.old", "critic.part"]
    assert all((tmp_path / name / "mine").read_text() == "work" for name in ("critic.old", "critic.part"))


def test_choosing_deletes_nothing_of_a_save_in_progress(tmp_path, tokenizer):
    folder = tmp_path / "critic"
    checkpoints.save(tiny(0), tokenizer, folder)
    part = checkpoints._beside(folder, "part")
    part.mkdir()
    (part / "half").write_text("in progress")
    assert checkpoints.choose(str(folder)) == str(folder)
    assert (part / "half").read_text() == "in progress"
    checkpoints.save(tiny(1), tokenizer, folder)
    assert names(tmp_path) == ["critic"] and "half" not in names(folder)


def test_what_a_first_save_left_half_done_does_not_get_into_the_next(tmp_path, tokenizer):
    folder = tmp_path / "critic"
    part = checkpoints._beside(folder, "part")
    part.mkdir()
    (part / "half").write_text("of a process that was killed")
    checkpoints.save(tiny(0), tokenizer, folder)
    assert names(tmp_path) == ["critic"] and "half" not in names(folder)


def test_the_folder_one_stands_in_and_names_that_are_none(tmp_path, tokenizer, monkeypatch):
    checkpoints.save(tiny(0), tokenizer, tmp_path / "critic")
    monkeypatch.chdir(tmp_path / "critic")
    assert checkpoints.choose(".") == "."
    for name in ("..", "/", "x" * 5000, "a\0b"):
        with pytest.raises(CourseError):
            checkpoints.choose(name)
    with pytest.raises(CourseError, match="would delete it"):
        checkpoints.save(tiny(1), tokenizer, "/")


@contextlib.contextmanager
def stopped_at(step, model, tokenizer, how):
    """Inside, `how()` is called in place of the step number `step` of a save; yields the count of steps."""
    done = [0]

    def counted(work):
        def counting(*args, **kwargs):
            done[0] += 1
            return how() if done[0] == step else work(*args, **kwargs)

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for owner in (model, tokenizer):
            patch.setattr(owner, "save_pretrained", counted(owner.save_pretrained))
        for owner, name in (
            (pathlib.Path, "write_text"),
            (pathlib.Path, "rename"),
            (checkpoints.shutil, "rmtree"),
        ):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        yield done


def interrupt():
    raise KeyboardInterrupt


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def save_and_stop(step, model, tokenizer, folder, how):
    """Save, and stop at a step; whether the save came to its end."""
    if how is kill:
        child = os.fork()
        if child == 0:
            with stopped_at(step, model, tokenizer, how):
                checkpoints.save(model, tokenizer, folder)
            os._exit(0)
        return os.waitpid(child, 0)[1] == 0
    with stopped_at(step, model, tokenizer, how), contextlib.suppress(KeyboardInterrupt):
        checkpoints.save(model, tokenizer, folder)
        return True
    return False


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("how", [kill, interrupt])
def test_stopped_at_any_step_a_whole_save_is_found(tmp_path, tokenizer, how, capsys):
    first, second, folder = tiny(0), tiny(1), tmp_path / "critic"
    old, new = logits(first, tokenizer), logits(second, tokenizer)
    found = []
    for step in range(1, 50):
        checkpoints.save(first, tokenizer, folder)
        ended = save_and_stop(step, second, tokenizer, folder, how)
        now = logits(load(pathlib.Path(checkpoints.choose(str(folder)))), tokenizer)
        assert torch.equal(now, old) or torch.equal(now, new)
        found.append("new" if torch.equal(now, new) else "old")
        if ended:
            break
    assert found[0] == "old" and found[-1] == "new" and len(found) > 5
    checkpoints.save(first, tokenizer, folder)
    assert names(tmp_path) == ["critic"]
