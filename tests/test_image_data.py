"""The digits: their file and split, the same columns from the hub, and what is said if something is wrong."""

import csv
import gzip
import hashlib
import random

import datasets
import numpy
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image
from PIL import Image as pillow

from course_utils import data, image_data
from course_utils.errors import CourseError

SIZES = {"train": 3000, "validation": 1000, "test": 1000}
# SHA-256 of a split's pixels and labels: other rows, or another order, would change the lesson's numbers.
PIXELS = {
    "train": "5b00b73ae82a101f7d33504fb6f1b3548305cc16a32fefc52900e88281d568c8",
    "validation": "24593d0ad5d72066c1fe7dc905dac002e97cae6b4ca0aa7f1bce8d873e09799e",
    "test": "523bbcb98ce8b66283abecff1c62d516e300f4e6e5b00e89f60362d701f91998",
}


@pytest.fixture(scope="module")
def splits():
    return data.digits(with_test=True)


def pixels(rows):
    return numpy.stack([numpy.asarray(image) for image in rows["image"][:]])


@pytest.mark.parametrize("name", SIZES)
def test_a_split_never_changes(splits, name):
    found = hashlib.sha256(pixels(splits[name]).tobytes() + bytes(splits[name]["label"][:])).hexdigest()
    assert found == PIXELS[name]


def test_sizes_and_columns(splits):
    assert splits.num_rows == SIZES
    for rows in splits.values():
        assert rows.column_names == ["image", "label"]
        assert isinstance(rows.features["image"], Image)
        assert rows.features["label"].names == list("0123456789")
        assert rows[0]["image"].size == (28, 28) and rows[0]["image"].mode == "L"
        counts = numpy.bincount(rows["label"][:])
        assert len(counts) == 10 and counts.min() > len(rows) / 13


def test_every_digit_of_the_file_is_in_one_split(splits):
    with gzip.open(data.digits_file(), "rt", encoding="ascii", newline="") as file:
        rows = {(bytes(map(int, row[:-1])), int(row[-1])) for row in csv.reader(file)}
    assert len(rows) == data.LEDGER["digits"].rows
    found = [
        (image.tobytes(), label)
        for part in splits.values()
        for image, label in zip(pixels(part), part["label"][:], strict=True)
    ]
    assert len(found) == len(set(found)) and set(found) == rows


def test_without_being_asked_for_the_test_digits_are_not_there(splits, capsys):
    before = random.getstate()
    found = data.digits()
    assert random.getstate() == before
    assert list(found) == ["train", "validation"]
    assert found["validation"]["label"][:] == splits["validation"]["label"][:]
    assert capsys.readouterr().out == "MNIST digits from the package: 3,000 train, 1,000 validation\n"


def test_an_unknown_source():
    with pytest.raises(CourseError, match="source is 'package' or 'hub', and got 'web'"):
        data.digits(source="web")


def hubs(count, columns=("image", "label")):
    """What the hub answers, in small: `count` training digits and two to test."""
    features = Features({columns[0]: Image(), columns[1]: ClassLabel(names=list("0123456789"))})

    def part(size):
        images = [pillow.new("L", (28, 28), color=i % 256) for i in range(size)]
        return Dataset.from_dict({columns[0]: images, columns[1]: [i % 10 for i in range(size)]}, features)

    return DatasetDict({"train": part(count), "test": part(2)})


def test_the_hubs_digits_have_the_same_columns(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(image_data, "HELD", {"package": 1000, "hub": 20})
    monkeypatch.setattr(image_data.hub, "reachable", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: asked.append((a, k)) or hubs(100))
    found = data.digits(with_test=True, source="hub")
    assert asked == [(("ylecun/mnist",), {"revision": image_data.DIGITS.revision})]
    assert found.num_rows == {"train": 80, "validation": 20, "test": 2}
    assert found["train"].features["label"].names == list("0123456789")
    seen = [image.getpixel((0, 0)) for part in ("train", "validation") for image in found[part]["image"][:]]
    assert sorted(seen) == list(range(100)) and seen != sorted(seen)
    assert capsys.readouterr().out == "MNIST digits from the hub: 80 train, 20 validation, 2 test\n"


def test_other_columns_on_the_hub(monkeypatch):
    monkeypatch.setattr(image_data.hub, "reachable", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: hubs(10, ("picture", "label")))
    with pytest.raises(CourseError, match="other splits or columns.*type  data.digits"):
        data.digits(source="hub")


def test_without_the_hub_the_error_says_what_to_type():
    with pytest.raises(CourseError, match="Lesson 14 also runs without the hub: type  data.digits"):
        data.digits(source="hub")
