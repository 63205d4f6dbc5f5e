"""Your own labelled texts from a file: what is wrong with them is said before anything else runs."""

import numbers
import os
import random
import re
from collections import Counter
from typing import TYPE_CHECKING

from course_utils.errors import CourseError
from course_utils.labelled_files import SHOWN, listed, numbered, read, shown

if TYPE_CHECKING:
    from datasets import DatasetDict

FEWEST, FEWEST_OF_A_CLASS = 30, 5
# What spreadsheets, pandas and R write for nothing.
MISSING = {"", "None", "NaN", "nan", "NULL", "null", "N/A", "n/a", "NA", "#N/A", "<NA>"}
KINDS = {"string", "number", "true or false"}
NUMBER = re.compile(r"[-+]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)(e[-+]?[0-9]+)?", re.IGNORECASE)
WHOLE = re.compile(r"[-+]?[0-9]+(\.0*)?")


def from_file(
    path: str | os.PathLike,
    text: str = "text",
    label: str = "label",
    with_test: bool = False,
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> "DatasetDict":
    """Your own labelled texts, a `datasets.DatasetDict` of "train" and "validation" like `rotten_tomatoes`'.

    `path` ends in .csv, .tsv, .jsonl (.ndjson, .json: one object a line) or .parquet; `text` and `label` name
    two of its columns, and the others are left out. `encoding` is for all but parquet. `delimiter` stands
    between the columns of a .csv or .tsv; without it, the one that parts both names in the header is taken.

    Columns: "text" (str) and "label" (int, a `ClassLabel`: `train.features["label"].names` lists the classes,
    sorted; their ids count from 0). Labels may be strings, whole numbers (1.0 is 1), or true and false.

    Of ten texts of a class one goes to "validation" and one to "test", at least one each, always the same
    ones; `with_test` gives "test" as well. Of texts that are equal but for case and spaces, the first stays.
    A line says what was read and dropped.

    Raises `CourseError`, with lines or rows and what to do, if anything is wrong: with the file, its encoding
    or form, the columns' names, texts, labels or classes. Source: the file, which is only read.
    """
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    path = os.path.expanduser(os.fspath(path))
    file = os.path.basename(path)
    unit, rows, remark = read(path, text, label, encoding, delimiter)
    kept, faults = _examined(rows, unit, label)
    if faults:
        start = "Lines count from 1, as in a text editor" if unit == "line" else "Rows count from 1"
        raise CourseError("\n- ".join([f"{file} cannot be used yet. ({start}.)", *faults]))

    names = sorted(set(kept.values()))
    if all(map(WHOLE.fullmatch, names)):
        names.sort(key=float)
    parts = _split(kept, names)
    sizes = ", ".join(f"{len(texts):,} {name}" for name, texts in parts.items())
    if not with_test:
        del parts["test"]
        sizes += " kept back"
    classes = listed([f"{i} = {name}" for i, name in enumerate(names)], 2 * SHOWN)
    repeated = f"; {len(rows) - len(kept):,} repeated texts dropped" if len(rows) > len(kept) else ""
    print(f"Texts from {file}: {sizes}; {len(names)} classes: {classes}{repeated}{remark}")
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    columns = {
        name: {"text": texts, "label": [kept[text] for text in texts]} for name, texts in parts.items()
    }
    return DatasetDict({name: Dataset.from_dict(both, features) for name, both in columns.items()})


def _examined(rows, unit, label):
    """({text: its class}, without repeated texts; [what is wrong, and what to do, …])"""
    faults = []

    def note(numbers, what):
        if numbers:
            faults.append(f"{numbered(unit, numbers)} {what}")

    no_text = [number for number, text, _ in rows if _missing(text)]
    strange = [number for number, text, _ in rows if not _missing(text) and not isinstance(text, str)]
    no_label = [number for number, _, value in rows if _missing(value)]
    note(no_text, "no text. Write one, or take them out.")
    note(strange, "a text that is no string. Name the column of the texts with  text=…")
    note(no_label, "no label. Write one (other than NA, None and the like), or take them out.")
    left_out = {*no_text, *strange, *no_label}
    rows = [row for row in rows if row[0] not in left_out]
    if rows and all(NUMBER.fullmatch(text.strip()) for _, text, _ in rows):
        faults.append("All texts are numbers. Name the column of the texts with  text=…")
    names, wrong = _class_names(rows, unit)
    if wrong:
        return {}, [*faults, wrong]

    first, contradictions = {}, []
    for number, text, value in rows:
        earlier, name, _ = first.setdefault(_plain(text), (number, names[value], text))
        if name != names[value]:
            contradictions.append(f"{earlier} and {number}")
    if contradictions:
        faults.append(
            f"The same text has two labels, {len(contradictions)} times: {unit}s "
            f"{listed(contradictions, SHOWN)}. Decide for one, or take them out."
        )
    kept = {text: name for _, name, text in first.values()}
    sizes = Counter(kept.values())
    few = [f"{shown(name)} has {size}" for name, size in sizes.items() if size < FEWEST_OF_A_CLASS]
    if len(kept) < FEWEST:
        faults.append(f"There are {len(kept)} different texts with a label; at least {FEWEST} are needed.")
    if len(sizes) == 1:
        faults.append(f"All labels are {shown(*sizes)}. At least two classes are needed.")
    elif len(sizes) > len(kept) / 5 and len(kept) >= FEWEST:
        faults.append(
            f"Column {shown(label)} has {len(sizes)} different labels in {len(kept)} texts. Are they ids or "
            "dates? Name the column of the classes with  label=…"
        )
    elif few:
        least = f"At least {FEWEST_OF_A_CLASS} texts of each class are needed"
        faults.append(f"{least}: {listed(few, SHOWN)}. Add some, or take the class out.")
    return kept, faults


def _class_names(rows, unit):
    """({label: class name}, what is wrong or "")"""
    first, kinds = {}, {}
    for number, _, value in rows:
        kinds.setdefault(_kind(value), number)
        if not kinds.keys() - KINDS:
            first.setdefault(value, number)
    if kinds.keys() - KINDS or len(kinds) > 1:
        found = listed([f"{kind} ({unit} {number})" for kind, number in kinds.items()], SHOWN)
        return {}, f"Labels are all strings, all whole numbers or all true and false; here: {found}."
    names = {value: str(value).strip() for value in first}
    if "number" in kinds or all(map(NUMBER.fullmatch, names.values())):
        broken = [number for number, _, value in rows if not WHOLE.fullmatch(names[value])]
        if broken:
            return {}, (
                f"{numbered(unit, broken)} a label that is a number, but no whole one. To predict "
                "amounts is regression, no classification. Make classes of them first, such as low and high."
            )
        return {value: name.partition(".")[0] for value, name in names.items()}, ""
    alike = {}
    for value, number in first.items():
        alike.setdefault(_plain(str(value)), []).append(f"{shown(value)} ({unit} {number})")
    pairs = [" and ".join(group) for group in alike.values() if len(group) > 1]
    if pairs:
        return {}, f"Labels differ only in case or spaces: {listed(pairs, SHOWN)}. Write them in one way."
    if alike.keys() <= {"true", "false"}:
        return {value: name.lower() for value, name in names.items()}, ""
    return names, ""


def _split(kept, names):
    """{"train": [text, …], "validation": …, "test": …}, with the same shares of each class, shuffled."""
    draw, parts = random.Random(0), {"train": [], "validation": [], "test": []}
    groups = {name: [] for name in names}
    for text, name in kept.items():
        groups[name].append(text)
    for texts in groups.values():
        draw.shuffle(texts)
        tenth = max(1, round(len(texts) / 10))
        parts["test"] += texts[:tenth]
        parts["validation"] += texts[tenth : 2 * tenth]
        parts["train"] += texts[2 * tenth :]
    for texts in parts.values():
        draw.shuffle(texts)
    return parts


def _kind(value):
    names = {bool: "true or false", str: "string"}
    return names.get(type(value), "number" if isinstance(value, numbers.Number) else type(value).__name__)


def _missing(value):
    return value is None or value != value or (isinstance(value, str) and value.strip() in MISSING)


def _plain(text):
    return " ".join(text.casefold().split())
