"""`data.from_file`: what it gives, and for every fault the sentence that says where it is and what to do."""

import csv
import json
import random
from collections import Counter

import pyarrow
import pytest
from datasets import Dataset, Features, Value
from datasets.features import ClassLabel
from pyarrow import parquet

from course_utils import data, labelled_files
from course_utils.errors import CourseError


@pytest.fixture(scope="module")
def reviews():
    """200 review sentences, [(text, 0 or 1), …]: 101 of one class, 99 of the other."""
    rows = data.rotten_tomatoes()["train"][:200]
    return list(zip(rows["text"], rows["label"], strict=True))


@pytest.fixture
def write(tmp_path, reviews):
    """write("name.csv", rows, …) writes a table with the csv module and gives its path."""

    def to_csv(name="reviews.csv", rows=reviews, header=("text", "label"), encoding="utf-8", **dialect):
        path = tmp_path / name
        with open(path, "w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, **dialect)
            writer.writerow(header)
            writer.writerows(rows)
        return path

    return to_csv


def to_json_lines(path, rows):
    path.write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows), encoding="utf8")
    return path


def to_parquet(path, rows, **columns):
    table = {"text": [t for t, _ in rows], "label": [y for _, y in rows]} | columns
    parquet.write_table(pyarrow.table(table), path, compression="none")
    return path


def error(path, **options):
    with pytest.raises(CourseError) as caught:
        data.from_file(path, **options)
    assert caught.value.__cause__ is None
    return str(caught.value)


def contents(splits):
    """{text: class name} of all splits."""
    found = {}
    for part in splits.values():
        names = part.features["label"].names
        found |= {t: names[y] for t, y in zip(part["text"], part["label"], strict=True)}
    return found


def with_labels(reviews, change):
    return [(text, change(row, label)) for row, (text, label) in enumerate(reviews)]


# What it gives.


def test_two_hundred_rows(write, reviews, capsys):
    splits = data.from_file(write())
    assert splits.num_rows == {"train": 160, "validation": 20}
    for part in splits.values():
        assert part.column_names == ["text", "label"]
        assert part.features["text"] == Value("string")
        assert part.features["label"] == ClassLabel(names=["0", "1"])
    line = "Texts from reviews.csv: 160 train, 20 validation, 20 test kept back; 2 classes: 0 = 0, 1 = 1\n"
    assert capsys.readouterr().out == line
    given = dict(reviews)
    assert {text: int(name) for text, name in contents(splits).items()}.items() <= given.items()


def test_with_test_the_other_splits_are_the_same_and_nothing_is_lost(write, reviews, capsys):
    path = write()
    without, whole = data.from_file(path), data.from_file(path, with_test=True)
    assert "160 train, 20 validation, 20 test; 2 classes" in capsys.readouterr().out
    assert list(whole) == ["train", "validation", "test"]
    assert whole["train"].to_dict() == without["train"].to_dict()
    assert whole["validation"].to_dict() == without["validation"].to_dict()
    assert contents(whole) == {text: str(label) for text, label in reviews}


def test_the_split_is_always_the_same_and_leaves_the_random_state_alone(write):
    before = random.getstate()
    path = write()
    first = data.from_file(path, with_test=True)
    random.seed(1)
    second = data.from_file(path, with_test=True)
    random.setstate(before)
    assert {n: p.to_dict() for n, p in first.items()} == {n: p.to_dict() for n, p in second.items()}
    data.from_file(path)
    assert random.getstate() == before


@pytest.mark.parametrize("seed", range(8))
def test_no_text_is_in_two_splits_whatever_its_spelling_and_every_class_is_in_each(write, reviews, seed):
    draw = random.Random(seed)
    rows = []
    for text, label in draw.sample(reviews, draw.randint(60, 200)):
        rows += [(text, label)] * draw.randint(1, 3)
        rows += [(draw.choice([text.upper(), f"  {text} ", text.replace(" ", "  ")]), label)]
    draw.shuffle(rows)
    splits = data.from_file(write(rows=rows), with_test=True)
    plain = [" ".join(t.casefold().split()) for part in splits.values() for t in part["text"]]
    assert len(plain) == len(set(plain)) == len({" ".join(t.casefold().split()) for t, _ in rows})
    for part in splits.values():
        assert set(part["label"]) == {0, 1}


def test_every_split_has_the_same_shares_of_the_classes_and_is_shuffled(write, reviews):
    rows = with_labels(
        reviews, lambda row, _: ["bad", "good", "mixed"][0 if row < 100 else 1 if row < 160 else 2]
    )
    splits = data.from_file(write(rows=rows), with_test=True)
    assert splits["train"].features["label"].names == ["bad", "good", "mixed"]
    counts = {name: dict(Counter(part["label"])) for name, part in splits.items()}
    assert counts["train"] == {0: 80, 1: 48, 2: 32}
    assert counts["validation"] == counts["test"] == {0: 10, 1: 6, 2: 4}
    for part in splits.values():
        labels = list(part["label"])
        assert labels != sorted(labels)


def test_the_smallest_file_has_every_class_in_every_split(write, reviews):
    rows = with_labels(reviews[:30], lambda row, _: "rare" if row < 5 else "frequent")
    splits = data.from_file(write(rows=rows), with_test=True)
    assert [Counter(part["label"])[1] for part in splits.values()] == [3, 1, 1]


def test_repeated_texts_are_dropped_and_told(write, reviews, capsys):
    again = [(text.upper(), label) for text, label in reviews[:2]]
    splits = data.from_file(write(rows=reviews + again + reviews[5:6]), with_test=True)
    assert sum(splits.num_rows.values()) == 200
    assert capsys.readouterr().out.endswith("; 3 repeated texts dropped\n")
    assert reviews[0][0] in contents(splits)  # the first stays


def test_every_format_gives_the_same(write, reviews, tmp_path):
    named = with_labels(reviews, lambda _, label: ["negative", "positive"][label])
    paths = [
        write("reviews.csv", named),
        write("reviews.TSV", named, delimiter="\t"),
        write("semicolons.csv", named, delimiter=";"),
        write("bom.csv", named, encoding="utf-8-sig"),
        write("quoted.csv", named, quoting=csv.QUOTE_ALL, lineterminator="\n"),
        to_json_lines(tmp_path / "reviews.jsonl", named),
        to_json_lines(tmp_path / "reviews.ndjson", named),
        to_json_lines(tmp_path / "reviews.json", named),
        to_parquet(tmp_path / "reviews.parquet", named),
    ]
    found = [
        {n: part.to_dict() for n, part in data.from_file(path, with_test=True).items()} for path in paths
    ]
    assert all(one == found[0] for one in found)
    assert data.from_file(paths[0])["train"].features["label"].names == ["negative", "positive"]


def test_other_column_names_an_index_column_and_columns_that_nobody_needs(write, reviews, tmp_path):
    rows = [(row, label, "x", text) for row, (text, label) in enumerate(reviews)]
    path = write(rows=rows, header=("", "stars", "date", " Review "))
    splits = data.from_file(path, text="Review", label="stars", with_test=True)
    assert contents(splits) == {text: str(label) for text, label in reviews}
    rows = [(row, *pair) for row, pair in enumerate(reviews)]
    assert data.from_file(write(rows=rows, header=("Unnamed: 0", "text", "label")))["train"].num_rows == 160
    path = to_parquet(tmp_path / "r.parquet", reviews, __index_level_0__=list(range(200)))
    assert data.from_file(path)["train"].column_names == ["text", "label"]


def test_text_over_several_lines_quotes_and_empty_lines_stay_whole(tmp_path, reviews):
    path = tmp_path / "reviews.csv"
    reviews = [(text.replace('"', "'"), label) for text, label in reviews]
    rows = [f'"{text}\r\nand ""so"", again;",{label}\r\n\r\n' for text, label in reviews]
    path.write_bytes(("text,label\r\n" + "".join(rows)).encode())
    found = contents(data.from_file(path, with_test=True))
    assert found == {f'{text}\r\nand "so", again;': str(label) for text, label in reviews}


def test_a_folder_of_home_and_a_str_are_paths_too(write, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert data.from_file(str(write()))["train"].num_rows == 160
    assert data.from_file("~/reviews.csv")["train"].num_rows == 160


@pytest.mark.parametrize(
    "written, names",
    [
        (["negative", "positive"], ["negative", "positive"]),
        ([" positive", " negative"], ["negative", "positive"]),
        ([False, True], ["false", "true"]),
        (["TRUE", "FALSE"], ["false", "true"]),
        ([0.0, 1.0], ["0", "1"]),
        (["0.0", "1.0"], ["0", "1"]),
        (["1", "1.0", "2"], ["1", "2"]),
        ([1, 2], ["1", "2"]),
        (["1", "2"], ["1", "2"]),
        ([-1, 0, 1], ["-1", "0", "1"]),
        (list(range(1, 11)), [str(number) for number in range(1, 11)]),
        (["2 stars", "10 stars"], ["10 stars", "2 stars"]),
        (["schlecht", "großartig", "好"], ["großartig", "schlecht", "好"]),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_labels_become_classes_by_name(write, reviews, tmp_path, written, names, ending):
    rows = with_labels(reviews, lambda row, _: written[row % len(written)])
    path = tmp_path / f"reviews.{ending}"
    if ending == "csv":
        write(rows=rows)
    else:
        (to_json_lines if ending == "jsonl" else to_parquet)(path, rows)
    splits = data.from_file(path, with_test=True)
    assert splits["train"].features["label"].names == names
    expected = [str(one).strip().removesuffix(".0") for one in written]
    expected = [one.lower() if one.lower() in ("true", "false") else one for one in expected]
    assert contents(splits) == {text: expected[row % len(written)] for row, (text, _) in enumerate(reviews)}


def test_a_parquet_file_of_datasets_keeps_its_class_names(reviews, tmp_path):
    columns = {"text": [text for text, _ in reviews], "label": [label for _, label in reviews]}
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    path = tmp_path / "reviews.parquet"
    Dataset.from_dict(columns, features).to_parquet(path)
    splits = data.from_file(path, with_test=True)
    assert splits["train"].features["label"].names == ["bad", "good"]
    assert contents(splits) == {text: ["bad", "good"][label] for text, label in reviews}
    columns["label"][3] = -1  # what `datasets` writes where nobody knows
    Dataset.from_dict(columns, features).to_parquet(path)
    assert "- Row 4 has no label." in error(path)


def test_the_line_lists_a_handful_of_many_classes(write, reviews, capsys):
    data.from_file(write(rows=with_labels(reviews, lambda row, _: f"class {row % 12:02}")))
    assert "12 classes: 0 = class 00, 1 = class 01" in (line := capsys.readouterr().out)
    assert line.endswith("9 = class 09 and 2 more\n")


def test_the_delimiter_is_detected_and_told_or_given(write, capsys):
    data.from_file(write(delimiter=";"))
    assert capsys.readouterr().out.endswith("1 = 1; semicolons between the columns\n")
    data.from_file(write(delimiter="\t"))
    assert capsys.readouterr().out.endswith("; tabs between the columns\n")
    data.from_file(write("reviews.tsv"))
    assert capsys.readouterr().out.endswith("; commas between the columns\n")
    data.from_file(write(delimiter="~"), delimiter="~")
    assert capsys.readouterr().out.endswith("1 = 1\n")


# The file.


def test_no_such_file(write, tmp_path):
    write()
    message = error(tmp_path / "review.csv")
    assert message == f"There is no file review.csv in {tmp_path}. Did you mean reviews.csv?"
    assert "Check the name, or give the whole path" in error(tmp_path / "elsewhere" / "other.parquet")
    assert "There is no file" in error("https://example.org/reviews.csv")


def test_a_folder_an_unknown_ending_and_none(tmp_path):
    assert error(tmp_path) == f"{tmp_path} is a folder. Name a file in it."
    for name, part in {
        "r.txt": "r.txt ends in .txt",
        "r": "r has no ending",
        "r.xlsx": "a spreadsheet: as CSV",
    }.items():
        (tmp_path / name).write_text("text,label\n")
        message = error(tmp_path / name)
        assert part in message and ".csv, .tsv, .jsonl, .ndjson, .json, .parquet" in message


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.jsonl", "r.parquet"])
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    expected = "r.parquet is damaged, or no parquet file" if name == "r.parquet" else f"{name} is empty."
    assert error(tmp_path / name).startswith(expected)


@pytest.mark.parametrize("content, part", [("text,label\n", "0 different texts"), ('""\n', "no column")])
def test_a_file_without_rows(tmp_path, content, part):
    (tmp_path / "r.csv").write_text(content)
    assert part in error(tmp_path / "r.csv")


def test_a_file_that_is_too_large(tmp_path):
    with open(tmp_path / "r.csv", "wb") as file:
        file.truncate(labelled_files.LARGEST + 1_000_000)
    assert "r.csv has 101 MB, and at most 100 MB are read. Make a smaller file" in error(tmp_path / "r.csv")


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
def test_a_file_that_may_not_be_read(tmp_path, monkeypatch, name):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / name).write_text("text,label\n")
    monkeypatch.setattr(labelled_files, "open", refuse, raising=False)
    assert error(tmp_path / name) == f"{name} cannot be read: Permission denied."


# Encoding and form.


def test_cp1252(write, reviews):
    reviews = [(text, label) for text, label in reviews if text.isascii()]
    rows = [*reviews[:3], ("ein schöner Film für 5 €", 1), *reviews[3:]]
    message = error(write(rows=rows, encoding="cp1252"))
    assert message == (
        "reviews.csv is not utf-8: line 5 cannot be read. It is probably cp1252, and the line "
        '"ein schöner Film für 5 €,1". If that looks right, add  encoding="cp1252"  to the call.'
    )
    found = contents(data.from_file(write(rows=rows, encoding="cp1252"), encoding="cp1252", with_test=True))
    assert "ein schöner Film für 5 €" in found


def test_other_encodings(write, reviews, tmp_path):
    path = write(rows=reviews, encoding="utf-16", delimiter="\t")
    assert 'It is probably utf-16, and the line "text\\tlabel"' in error(path)
    assert data.from_file(path, encoding="utf-16")["train"].num_rows == 160
    (tmp_path / "r.csv").write_bytes(b"text,label\nna\xefve \x81,1\n")
    assert "line 2 cannot be read. It is probably latin-1" in error(tmp_path / "r.csv")
    path = write(rows=[("ein schöner Film", 1)])
    assert "reviews.csv is not ascii: line 2 cannot be read. It is probably utf-8" in error(
        path, encoding="ascii"
    )
    assert "'utf8mb4' is no encoding of text that Python knows" in error(path, encoding="utf8mb4")
    assert "'rot13' is no encoding" in error(path, encoding="rot13")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "r.csv").write_bytes(b"PK\x03\x04\x14\x00\x06\x00\xff\xfe\x81")
    assert "r.csv is no text: it holds zero bytes" in error(tmp_path / "r.csv")
    (tmp_path / "r.jsonl").write_bytes(b"PK\x03\x04\x14\x00\x06\x00")
    assert "r.jsonl is no text" in error(tmp_path / "r.jsonl")


def test_a_delimiter_that_is_not_there_or_none(write):
    message = error(write(), delimiter=";")
    assert 'no column "text" and no column "label" in its first line, read with semicolons' in message
    assert message.endswith(
        'It has: "text,label". Is something else between its columns? Say what with  delimiter=…'
    )
    for wrong in ("", ";;", '"', "\n"):
        assert f'delimiter is one character, such as ";", and got {wrong!r}' in error(
            write(), delimiter=wrong
        )


def test_rows_with_too_many_or_too_few_fields(tmp_path, reviews):
    path = tmp_path / "r.csv"
    path.write_text('text,label\n"two\nlines",1\ngood, and long,1\nfine\nwell,0\n')
    assert error(path) == (
        "r.csv: Lines 4, 5 have not 2 columns, as the header has, with commas between them. "
        'Put every text that holds commas in quotes: "…".'
    )
    path.write_text("text,label\n" + "a, b,1\n" * 9)
    assert "Lines 2, 3, 4, 5, 6 and 4 more have not 2 columns" in error(path)


@pytest.mark.parametrize(
    "lines, line",
    [
        (["fine,1", '"never closed,1', "good,0"], 3),
        (["fine,1", '"closed" too early,1', "good,0"], 3),
        (['"two', 'lines",1', "fine,0", r'"a \"quote\" inside",1'], 5),
        (['"never closed,1', *["a long text"] * 20_000], 2),
    ],
)
def test_quotes_that_are_wrong(tmp_path, lines, line):
    (tmp_path / "r.csv").write_text("\n".join(["text,label", *lines]))
    message = error(tmp_path / "r.csv")
    assert f"r.csv: the quotes are wrong in the row that begins in line {line} (" in message
    assert 'each " inside it has to be written twice' in message


def test_broken_json_lines(tmp_path, reviews):
    path = to_json_lines(tmp_path / "r.jsonl", reviews)
    lines = path.read_text().splitlines()
    lines[6] = lines[6][:-1]
    lines[8:8] = ["", '["text", "ab"]', "null", '"text"', "[" * 100_000]
    path.write_text("\n".join(lines))
    message = error(path)
    assert message.startswith(
        "r.jsonl: Lines 7, 10, 11, 12, 13 have no whole JSON object (Expecting ',' delimiter"
    )
    path.write_text(json.dumps([{"text": "good", "label": 1}]))
    assert "r.jsonl is one JSON list. Write one object a line instead" in error(path)


def test_half_an_emoji_in_json_lines(tmp_path, reviews):
    path = to_json_lines(tmp_path / "r.jsonl", [("a whole one 🎬", 1), *reviews])
    assert data.from_file(path)["train"].num_rows
    with open(path, "a") as file:
        file.write(r'{"text": "cut off \uD83C", "label": 1}')
    assert "r.jsonl: Line 202 has no whole JSON object" in error(path)


def test_json_lines_without_a_column_or_a_key(tmp_path, reviews):
    path = to_json_lines(tmp_path / "r.jsonl", reviews)
    assert (
        'r.jsonl has no column "Text". It has: "text", "label". Say which is which: add  text="text"'
        in error(path, text="Text")
    )
    with open(path, "a") as file:
        file.write('{"text": "no key"}\n\n{}\n{"text": "good enough", "label": NaN}\n')
    message = error(path)
    assert "- Line 203 has no text." in message
    assert "- Lines 201, 203, 204 have no label." in message


def test_a_parquet_file_that_is_damaged(tmp_path, reviews):
    path = to_parquet(tmp_path / "r.parquet", reviews)
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    assert "r.parquet is damaged, or no parquet file (" in error(path)
    path.write_bytes(b"text,label\ngood,1\n")
    assert "r.parquet is damaged, or no parquet file (" in error(path)
    at = whole.index(reviews[0][0].encode())
    path.write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
    assert "r.parquet is damaged, or no parquet file (" in error(path)
    path.write_bytes(whole)
    assert (
        'r.parquet has no column "labels". It has: "text", "label". Say which is which: add  label="label"'
        in error(path, label="labels")
    )


# Columns.


def test_a_column_that_is_missing(write):
    path = write(header=("Review_text", "sentiment"))
    assert error(path) == (
        'reviews.csv has no column "text" and no column "label" in its first line, read with commas between '
        'the columns. It has: "Review_text", "sentiment". Say which is which: add  text="Review_text", '
        'label="…"  to the call.'
    )
    assert 'no column "label" in its first line' in error(path, text="Review_text")
    message = error(write(header=("Text", "Label"), delimiter=";"))
    expected = 'It has: "Text", "Label". Say which is which: add  text="Text", label="Label"'
    assert f"semicolons between the columns. {expected}" in message


def test_a_column_that_is_there_twice(write, reviews):
    assert "have to name one column each" in error(write(), label="text")
    rows = [(text, label, label) for text, label in reviews]
    assert "have to name one column each" in error(write(rows=rows, header=("text", "label", "label")))


# Texts.


def test_missing_texts(write, reviews, tmp_path):
    rows = list(reviews)
    for row, nothing in zip(
        (0, 10, 20, 30, 40, 50, 60), ("", "  ", "\t", None, "nan", "N/A", "\xa0"), strict=True
    ):
        rows[row] = (nothing, 1)
    assert error(write(rows=rows)) == (
        "reviews.csv cannot be used yet. (Lines count from 1, as in a text editor.)\n"
        "- Lines 2, 12, 22, 32, 42 and 2 more have no text. Write one, or take them out."
    )
    message = error(to_parquet(tmp_path / "r.parquet", rows))
    assert "(Rows count from 1.)\n- Rows 1, 11, 21, 31, 41 and 2 more have no text." in message
    assert "- Lines 1, 11, 21, 31, 41 and 2 more have no text." in error(
        to_json_lines(tmp_path / "r.jsonl", rows)
    )


def test_lines_are_those_of_an_editor(tmp_path, reviews):
    rows = ['"{}\nthe end",{}\n\n'.format(text.replace('"', "'"), label) for text, label in reviews]
    rows[1] = ",1\n"
    (tmp_path / "r.csv").write_text("text,label\n" + "".join(rows))
    assert "- Line 5 has no text." in error(tmp_path / "r.csv")


def test_texts_that_are_numbers(write, reviews, tmp_path):
    rows = [*reviews, (5, 1), (2.5, 0), (["a"], 0), (True, 1)]
    expected = (
        "- Lines 201, 202, 203, 204 have a text that is no string. Name the column of the texts with  text=…"
    )
    assert expected in error(to_json_lines(tmp_path / "r.jsonl", rows))
    rows = [(row, label) for row, (_, label) in enumerate(reviews)]
    assert "Rows 1, 2, 3, 4, 5 and 195 more have a text that is no" in error(
        to_parquet(tmp_path / "r.parquet", rows)
    )
    assert "- All texts are numbers. Name the column of the texts with  text=…" in error(write(rows=rows))


def test_the_same_text_with_two_labels(write, reviews):
    rows = [*reviews, (reviews[0][0], 1 - reviews[0][1]), (f" {reviews[4][0].upper()}", 1 - reviews[4][1])]
    assert error(write(rows=rows)).endswith(
        "\n- The same text has two labels, 2 times: lines 2 and 202, 6 and 203. "
        "Decide for one, or take them out."
    )


# Labels.


@pytest.mark.parametrize("nothing", [None, float("nan"), "", " ", "NaN", "None", "NULL", "NA"])
def test_gaps_in_labels(write, reviews, tmp_path, nothing):
    expected = "Lines 4, 9 have no label. Write one (other than NA, None and the like), or take them out."
    named = with_labels(reviews, lambda row, y: nothing if row in (2, 7) else f"class {y}")
    assert error(write(rows=named)).endswith(f"\n- {expected}")
    if isinstance(nothing, str) or nothing is None:
        assert "- Rows 3, 8 have no label." in error(to_parquet(tmp_path / "r.parquet", named))
    else:
        numbers = with_labels(reviews, lambda row, y: nothing if row in (2, 7) else float(y))
        assert "- Rows 3, 8 have no label." in error(to_parquet(tmp_path / "r.parquet", numbers))
    assert "- Lines 3, 8 have no label." in error(to_json_lines(tmp_path / "r.jsonl", named))


def test_numbers_that_are_not_whole(write, reviews, tmp_path):
    expected = "have a label that is a number, but no whole one. To predict amounts is regression"
    rows = with_labels(reviews, lambda row, y: 1.5 if row in (3, 5) else float(y))
    assert f"- Lines 5, 7 {expected}" in error(write(rows=rows))
    assert f"- Lines 4, 6 {expected}" in error(to_json_lines(tmp_path / "r.jsonl", rows))
    assert f"- Rows 4, 6 {expected}" in error(to_parquet(tmp_path / "r.parquet", rows))
    rows = with_labels(reviews, lambda row, y: "2,5" if row in (3, 5) else y)
    assert f"- Lines 5, 7 {expected}" in error(write(rows=rows, delimiter=";"))
    rows = with_labels(reviews, lambda row, y: float("inf") if row in (3, 5) else y)
    assert f"- Lines 4, 6 {expected}" in error(to_json_lines(tmp_path / "r.jsonl", rows))


def test_labels_that_differ_in_case_or_spaces(write, reviews, tmp_path):
    rows = with_labels(
        reviews, lambda row, _: ["Positive", "negative", "positive ", "very  good", "very good"][row % 5]
    )
    expected = (
        'Labels differ only in case or spaces: "Positive" (line 2) and "positive " (line 4), '
        '"very  good" (line 5) and "very good" (line 6). Write them in one way.'
    )
    assert error(write(rows=rows)).endswith(f"\n- {expected}")
    rows = with_labels(reviews, lambda row, _: ["True", "false", "TRUE"][row % 3])
    assert '"True" (row 1) and "TRUE" (row 3)' in error(to_parquet(tmp_path / "r.parquet", rows))


def test_labels_of_several_kinds_or_of_none_that_are_classes(reviews, tmp_path):
    path = tmp_path / "r.jsonl"
    rows = with_labels(reviews, lambda row, y: [True, "good", 1][row % 3])
    expected = "- Labels are all strings, all whole numbers or all true and false; here: "
    assert f"{expected}true or false (line 1), string (line 2), number (line 3)." in error(
        to_json_lines(path, rows)
    )
    rows = with_labels(reviews, lambda row, y: ["drama", "comedy"])
    assert f"{expected}list (line 1)." in error(to_json_lines(path, rows))


def test_one_class_only(write, reviews):
    for one in ("good", 1, True):
        message = error(write(rows=with_labels(reviews, lambda *_: one)))  # noqa: B023
        assert message.endswith(f'\n- All labels are "{str(one).lower()}". At least two classes are needed.')


def test_ids_in_place_of_labels(write, reviews):
    for label in (lambda row, _: row, lambda row, _: f"user {row}", lambda row, _: row % 41):
        count = len(set(map(label, range(200), range(200))))
        assert error(write(rows=with_labels(reviews, label))).endswith(
            f'- Column "label" has {count} different labels in 200 texts. Are they ids or dates? '
            "Name the column of the classes with  label=…"
        )
    data.from_file(write(rows=with_labels(reviews, lambda row, _: row % 40)))


@pytest.mark.parametrize("count", [1, 16, 29])
def test_too_few_rows(write, reviews, count):
    message = error(write(rows=with_labels(reviews[:count], lambda row, _: row % 2)))
    assert f"- There are {count} different texts with a label; at least 30 are needed." in message


def test_too_few_rows_without_the_repeated_ones(write, reviews):
    assert "- There are 20 different texts" in error(write(rows=reviews[:20] * 3))


def test_too_few_rows_of_a_class(write, reviews):
    rows = with_labels(
        reviews, lambda row, y: "mixed" if row in (1, 2) else "odd" if 10 < row < 15 else f"class {y}"
    )
    assert error(write(rows=rows)).endswith(
        '\n- At least 5 texts of each class are needed: "mixed" has 2, "odd" has 4. '
        "Add some, or take the class out."
    )


def test_all_that_is_wrong_is_said_at_once(write, reviews, capsys):
    rows = with_labels(reviews, lambda row, y: "" if row == 1 else "odd" if row == 5 else f"class {y}")
    rows[0] = (" ", "class 1")
    rows.append((reviews[10][0], f"class {1 - reviews[10][1]}"))
    message = error(write(rows=rows))
    starts = [
        "Line 2 has no text",
        "Line 3 has no label",
        "The same text has two labels, 1 times: lines 12 and 202",
    ]
    for line, start in zip(
        message.splitlines()[1:], [*starts, "At least 5 texts of each class"], strict=True
    ):
        assert line.startswith(f"- {start}")
    assert capsys.readouterr().out == ""


# The reviews have the same columns.


def test_the_reviews_labels_have_names_too():
    splits = data.rotten_tomatoes(with_test=True)
    for part in splits.values():
        assert part.features == {"text": Value("string"), "label": ClassLabel(names=["negative", "positive"])}
        assert type(part[0]["label"]) is int
