"""Your own labelled texts from a file: what is wrong with them is said before anything else runs."""

import csv
import difflib
import io
import json
import numbers
import os
import random
import re
from collections import Counter
from typing import TYPE_CHECKING

from course_utils.errors import CourseError

if TYPE_CHECKING:
    from datasets import DatasetDict

LARGEST = 100_000_000  # bytes: in memory, a file is several times as large
FEWEST, FEWEST_OF_A_CLASS = 30, 5
SHOWN = 5  # so many rows, labels and the like are listed; of the rest, only the number
USUAL = {".csv": ",", ".tsv": "\t"}
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
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
    file, ending = os.path.basename(path), os.path.splitext(path)[1].lower()
    _refuse_file(path, ending)
    unit, remark = "line", ""
    if ending == ".parquet":
        unit, rows = "row", _read_parquet(path, text, label)
    elif ending in JSON_LINES:
        rows = _read_json_lines(file, _decoded(path, encoding), text, label)
    else:
        rows, remark = _read_csv(file, _decoded(path, encoding), USUAL[ending], delimiter, text, label)
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
    classes = _listed([f"{i} = {name}" for i, name in enumerate(names)], 2 * SHOWN)
    repeated = f"; {len(rows) - len(kept):,} repeated texts dropped" if len(rows) > len(kept) else ""
    print(f"Texts from {file}: {sizes}; {len(names)} classes: {classes}{repeated}{remark}")
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    columns = {
        name: {"text": texts, "label": [kept[text] for text in texts]} for name, texts in parts.items()
    }
    return DatasetDict({name: Dataset.from_dict(both, features) for name, both in columns.items()})


def _refuse_file(path, ending):
    folder, file = os.path.split(os.path.abspath(path))
    known = (*USUAL, *JSON_LINES, ".parquet")
    if os.path.isdir(path):
        raise CourseError(f"{path} is a folder. Name a file in it.")
    if not os.path.isfile(path):
        readable = os.path.isdir(folder) and os.access(folder, os.R_OK)
        near = difflib.get_close_matches(file, os.listdir(folder) if readable else [], 1)
        hint = f"Did you mean {near[0]}?" if near else "Check the name, or give the whole path."
        raise CourseError(f"There is no file {file} in {folder}. {hint}")
    if ending not in known:
        ends = f"ends in {ending}" if ending else "has no ending"
        raise CourseError(f"{file} {ends}. Save it as {_listed(known, 9)} (a spreadsheet: as CSV UTF-8).")
    if os.path.getsize(path) > LARGEST:
        size = f"{os.path.getsize(path) / 1e6:,.0f} MB, and at most {LARGEST / 1e6:,.0f} MB are read"
        raise CourseError(f"{file} has {size}. Make a smaller file of a part of it, and name that.")


def _decoded(path, encoding):
    """The file's text, without a byte order mark."""
    file, failed = os.path.basename(path), []
    try:
        with open(path, "rb") as opened:
            content = opened.read()
    except OSError as error:
        raise CourseError(f"{file} cannot be read: {error.strerror}.") from None
    unicode = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    for guess in (encoding, unicode, "cp1252", "latin-1"):  # latin-1 reads anything
        try:
            decoded = content.decode(guess).removeprefix("\ufeff")
            break
        except UnicodeError as error:
            failed.append(getattr(error, "start", 0))
        except LookupError:
            usual = 'Usual ones are "utf-8", "cp1252" and "utf-16".'
            raise CourseError(f"{encoding!r} is no encoding of text that Python knows. {usual}") from None
    if "\0" in decoded:
        raise CourseError(f"{file} is no text: it holds zero bytes. Is it another kind of file, renamed?")
    if failed:
        line = content[: failed[0]].decode(guess, "ignore").count("\n") + 1
        sample = decoded.split("\n")[line - 1].strip()
        raise CourseError(
            f"{file} is not {encoding}: line {line} cannot be read. It is probably {guess}, and the line "
            f'{_shown(sample, 200)}. If that looks right, add  encoding="{guess}"  to the call.'
        )
    if not decoded.strip():
        raise CourseError(f"{file} is empty. Save it again from where it comes.")
    return decoded


def _read_csv(file, content, usual, delimiter, text, label):
    """([(line, text, label), …], a remark on the delimiter)"""

    def records(mark, strict):
        reader, line = csv.reader(io.StringIO(content, newline=""), delimiter=mark, strict=strict), 1
        try:
            for record in reader:
                if len(record) > 1 or "".join(record).strip():  # an empty line is none
                    yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            raise CourseError(
                f"{file}: the quotes are wrong in the row that begins in line {line} ({error}). A text that "
                'begins with " has to end with one, and each " inside it has to be written twice.'
            ) from None

    def header(mark):
        return [name.strip() for name in next(records(mark, strict=False), (1, []))[1]]

    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n '):
        raise CourseError(f'delimiter is one character, such as ";", and got {delimiter!r}.')
    headers = {mark: header(mark) for mark in ([delimiter] if delimiter else [usual, *DELIMITERS])}
    mark = max(headers, key=lambda mark: ({text, label} <= set(headers[mark]), len(headers[mark])))
    columns, named = headers[mark], DELIMITERS.get(mark, repr(mark))
    _refuse_columns(file, columns, text, label, f" in its first line, read with {named} between the columns")
    rows = list(records(mark, strict=True))
    wrong = [line for line, record in rows if len(record) != len(columns)]
    if wrong:
        raise CourseError(
            f"{file}: {_rows('line', wrong)} not {len(columns)} columns, as the header has, with {named} "
            f'between them. Put every text that holds {named} in quotes: "…".'
        )
    text, label = columns.index(text), columns.index(label)
    remark = "" if mark in (usual, delimiter) else f"; {named} between the columns"
    return [(line, record[text], record[label]) for line, record in rows[1:]], remark


def _read_json_lines(file, content, text, label):
    if content.lstrip().startswith("["):
        raise CourseError(
            f"{file} is one JSON list. Write one object a line instead, without commas between."
        )
    rows, columns, broken = [], {}, {}
    for number, line in enumerate(io.StringIO(content, newline=""), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if "\\ud" in line.lower():  # half of a surrogate pair is no character
                json.dumps(row, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            broken[number] = getattr(error, "msg", error)
            continue
        if isinstance(row, dict):
            columns.update(row)
            rows.append((number, row.get(text), row.get(label)))
        else:
            broken[number] = "Expecting { and }"
    if broken:
        why, what = next(iter(broken.values())), _rows("line", list(broken))
        raise CourseError(f"{file}: {what} no whole JSON object ({why}). Correct or delete it.")
    _refuse_columns(file, list(columns), text, label)
    return rows


def _read_parquet(path, text, label):
    import pyarrow
    from datasets import ClassLabel, Features
    from pyarrow import parquet

    file = os.path.basename(path)
    try:
        with parquet.ParquetFile(path) as opened:
            schema = opened.schema_arrow
            _refuse_columns(file, schema.names, text, label)
            table = opened.read([text, label])
        texts, labels = table[text].to_pylist(), table[label].to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeError) as error:
        raise CourseError(f"{file} is damaged, or no parquet file ({error}). Copy it again.") from None
    feature = Features.from_arrow_schema(pyarrow.schema([schema.field(label)], schema.metadata))[label]
    if isinstance(feature, ClassLabel):  # written by `datasets`: the file has the names, and -1 is no label
        names = dict(enumerate(feature.names))
        labels = [names.get(value) for value in labels]
    return list(zip(range(1, len(texts) + 1), texts, labels, strict=True))


def _refuse_columns(file, columns, text, label, how=""):
    if text == label or columns.count(text) > 1 or columns.count(label) > 1:
        raise CourseError(f"{file}: text={text!r} and label={label!r} have to name one column each.")
    absent = {which: name for which, name in (("text", text), ("label", label)) if name not in columns}
    if absent:
        lower, advice = {name.lower(): name for name in columns}, []
        for which, name in absent.items():
            near = difflib.get_close_matches(name.lower(), lower, 1, 0.5)
            advice.append(f'{which}="{lower[near[0]] if near else "…"}"')
        what = f"Say which is which: add  {', '.join(advice)}  to the call."
        if how and len(columns) == 1:
            what = "Is something else between its columns? Say what with  delimiter=…"
        raise CourseError(
            f"{file} has no column {' and no column '.join(map(_shown, absent.values()))}{how}. "
            f"It has: {_listed(map(_shown, columns), 20)}. {what}"
        )


def _examined(rows, unit, label):
    """({text: its class}, without repeated texts; [what is wrong, and what to do, …])"""
    faults = []

    def note(numbers, what):
        if numbers:
            faults.append(f"{_rows(unit, numbers)} {what}")

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
            f"{_listed(contradictions, SHOWN)}. Decide for one, or take them out."
        )
    kept = {text: name for _, name, text in first.values()}
    sizes = Counter(kept.values())
    few = [f"{_shown(name)} has {size}" for name, size in sizes.items() if size < FEWEST_OF_A_CLASS]
    if len(kept) < FEWEST:
        faults.append(f"There are {len(kept)} different texts with a label; at least {FEWEST} are needed.")
    if len(sizes) == 1:
        faults.append(f"All labels are {_shown(*sizes)}. At least two classes are needed.")
    elif len(sizes) > len(kept) / 5 and len(kept) >= FEWEST:
        faults.append(
            f"Column {_shown(label)} has {len(sizes)} different labels in {len(kept)} texts. Are they ids or "
            "dates? Name the column of the classes with  label=…"
        )
    elif few:
        least = f"At least {FEWEST_OF_A_CLASS} texts of each class are needed"
        faults.append(f"{least}: {_listed(few, SHOWN)}. Add some, or take the class out.")
    return kept, faults


def _class_names(rows, unit):
    """({label: class name}, what is wrong or "")"""
    first, kinds = {}, {}
    for number, _, value in rows:
        kinds.setdefault(_kind(value), number)
        if not kinds.keys() - KINDS:
            first.setdefault(value, number)
    if kinds.keys() - KINDS or len(kinds) > 1:
        found = _listed([f"{kind} ({unit} {number})" for kind, number in kinds.items()], SHOWN)
        return {}, f"Labels are all strings, all whole numbers or all true and false; here: {found}."
    names = {value: str(value).strip() for value in first}
    if "number" in kinds or all(map(NUMBER.fullmatch, names.values())):
        broken = [number for number, _, value in rows if not WHOLE.fullmatch(names[value])]
        if broken:
            return {}, (
                f"{_rows(unit, broken)} a label that is a number, but no whole one. To predict "
                "amounts is regression, no classification. Make classes of them first, such as low and high."
            )
        return {value: name.partition(".")[0] for value, name in names.items()}, ""
    alike = {}
    for value, number in first.items():
        alike.setdefault(_plain(str(value)), []).append(f"{_shown(value)} ({unit} {number})")
    pairs = [" and ".join(group) for group in alike.values() if len(group) > 1]
    if pairs:
        return {}, f"Labels differ only in case or spaces: {_listed(pairs, SHOWN)}. Write them in one way."
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


def _shown(value, most=40):
    value = str(value)
    return json.dumps(value if len(value) <= most else value[:most] + "…", ensure_ascii=False)


def _listed(items, most):
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def _rows(unit, numbers):
    listed = _listed(map(str, numbers), SHOWN)
    return f"{unit.capitalize()} {listed} has" if len(numbers) == 1 else f"{unit.capitalize()}s {listed} have"
