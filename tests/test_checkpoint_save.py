"""checkpoints.save: a whole save or the one that was there before, also when the disk is full."""

import os
import pathlib
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
    (folder / "stray.txt").write_text("of the first save")
    second = tiny(1)
    checkpoints.save(second, tokenizer, str(folder))
    assert torch.equal(logits(load(folder), tokenizer), logits(second, tokenizer))
    assert names(tmp_path) == ["critic"] and "stray.txt" not in names(folder)


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
        if path.name.endswith(".part"):
            raise OSError("no")
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", refuse_the_new_one)
    with pytest.raises(CourseError, match="as it was"):
        checkpoints.save(tiny(1), tokenizer, folder)
    assert names(tmp_path) == ["critic"]
    assert torch.equal(logits(load(folder), tokenizer), logits(first, tokenizer))
