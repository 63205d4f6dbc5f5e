"""Texts and labels out of a CSV, TSV, JSON lines or parquet file; what is wrong with its form is said."""

import csv
import difflib
import io
import json
import os
from collections.abc import Iterable
from typing import Any

from course_utils.errors import CourseError

LARGEST = 100_000_000  # bytes: in memory, a file is several times as large
SHOWN = 5  # so many rows, labels and the like are listed; of the rest, only the number
USUAL = {".csv": ",", ".tsv": "\t"}
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
JSON_LINES = (".jsonl", ".ndjson", ".json")


def read(
    path: str, text: str, label: str, encoding: str, delimiter: str | None
) -> tuple[str, list[tuple[int, Any, Any]], str]:
    """The columns `text` and `label` of a file: ("line" or "row", [(number, text, label), …], a remark).

    Numbers are lines from 1 as in a text editor, or rows from 1 of a parquet file. The remark, on an unusual
    delimiter, is "" if there is nothing to say. `encoding` and `delimiter` are as in `own_data.from_file`.

    Raises `CourseError`, with lines and what to do, if the file cannot be read in this form.
    """
    file, ending = os.path.basename(path), os.path.splitext(path)[1].lower()
    _refuse_file(path, ending)
    if ending == ".parquet":
        return "row", _read_parquet(path, text, label), ""
    content = _decoded(path, encoding)
    if ending in JSON_LINES:
        return "line", _read_json_lines(file, content, text, label), ""
    return "line", *_read_csv(file, content, USUAL[ending], delimiter, text, label)


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
        raise CourseError(f"{file} {ends}. Save it as {listed(known, 9)} (a spreadsheet: as CSV UTF-8).")
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
            f'{shown(sample, 200)}. If that looks right, add  encoding="{guess}"  to the call.'
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
            f"{file}: {numbered('line', wrong)} not {len(columns)} columns, as the header has, with {named} "
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
        why, what = next(iter(broken.values())), numbered("line", list(broken))
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
            f"{file} has no column {' and no column '.join(map(shown, absent.values()))}{how}. "
            f"It has: {listed(map(shown, columns), 20)}. {what}"
        )


def shown(value: Any, most: int = 40) -> str:
    """`value` in quotes, at most `most` characters of it."""
    value = str(value)
    return json.dumps(value if len(value) <= most else value[:most] + "…", ensure_ascii=False)


def listed(items: Iterable[str], most: int) -> str:
    """The first `most` items with commas between them, and how many more there are."""
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def numbered(unit: str, numbers: list[int]) -> str:
    """The beginning of a sentence on lines or rows: "Line 5 has", "Lines 5, 9 have"."""
    which = listed(map(str, numbers), SHOWN)
    return f"{unit.capitalize()} {which} has" if len(numbers) == 1 else f"{unit.capitalize()}s {which} have"
