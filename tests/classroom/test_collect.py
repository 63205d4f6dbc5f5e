"""What students send becomes the teacher's notebook with their answers, and nothing is dropped silently."""

import csv
import json
import os
import zipfile

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from course_utils import __main__ as commands
from course_utils.classroom import collect, files, lessons, rebuild, release
from course_utils.errors import CourseError

A = "04_losses"
LESSON = nbformat.read(lessons.path("04"), as_version=4)
CARDS = {card.number: card for card in lessons.cards(LESSON)}
NLL = "def nll(log_p, target):\n    return -log_p.gather(1, target[:, None]).mean()"
MINE = "def cross_entropy(logits, target, ignore_index):\n    return helper(logits, target)"


@pytest.fixture(scope="module")
def released():
    """What `nbgrader generate_assignment` makes of lesson 04's source, as `test_release.py` proves."""
    notebook = release.students_edition(LESSON)
    for cell in notebook.cells:
        cell.source = cell.source.split("\n### BEGIN HIDDEN TESTS")[0]
    return notebook


@pytest.fixture
def course(released, tmp_path):
    folder = tmp_path / "course"
    files.write(folder / "release" / A / f"{A}.ipynb", nbformat.writes(released))
    return folder


@pytest.fixture
def student(released):
    """The released notebook as a fresh copy for a student to work in."""
    return nbformat.from_dict(json.loads(json.dumps(released)))


def cell(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def place(notebook, name):
    return [cell.id for cell in notebook.cells].index(name)


def rebuilt(released, notebook):
    return rebuild.rebuild(released, rebuild.read(json.dumps(notebook)))


def lost(notebook, *, ids=True, grades=True, colab=False):
    """The notebook as an editor saves it that loses ids and nbgrader's metadata; Colab moves ids."""
    plain = json.loads(json.dumps(notebook))
    for cell in plain["cells"]:
        if grades:
            cell["metadata"].pop("nbgrader", None)
        if colab:
            cell["metadata"]["id"] = cell["id"]
        if ids:
            cell.pop("id")
        cell["source"] = cell["source"].splitlines(keepends=True)  # as on disk
    plain["nbformat_minor"] = 0
    return plain


def as_version_3(notebook):
    plain = nbformat.reads(json.dumps(lost(notebook)), as_version=4)
    return json.loads(nbformat.writes(plain, version=3))


SAVED = {
    "JupyterLab": lambda notebook: notebook,
    "ids lost": lambda notebook: lost(notebook, grades=False),
    "metadata lost": lambda notebook: lost(notebook, ids=False),
    "Colab": lambda notebook: lost(notebook, colab=True),
    "both lost": lost,
    "nbformat 3": as_version_3,
}


def sources(result, name):
    """The source at `name`, and what stands directly above and below it."""
    at = place(result.notebook, name)
    return [cell.source for cell in result.notebook.cells[at - 1 : at + 2]]


# Rebuilding -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED)
def test_every_answer_comes_through_every_editor(released, student, save):
    for card in CARDS.values():
        student.cells[card.stub].source = card.solution + "  # mine"
    result = rebuilt(released, save(student))
    assert result.answered == list(CARDS) and not result.open and not result.notes
    for position, (old, new) in enumerate(zip(released.cells, result.notebook.cells, strict=True)):
        mine = next((c.solution + "  # mine" for c in CARDS.values() if c.stub == position), None)
        assert new.source == (mine or old.source) and new.metadata == old.metadata and new.id == old.id
    nbformat.validate(result.notebook)


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED)
def test_a_helper_in_a_cell_of_its_own_comes_along(released, student, save):
    cell(student, "answer-4-3").source = MINE
    student.cells.insert(place(student, "answer-4-3"), new_code_cell("def helper(a, b): ..."))
    student.cells.insert(place(student, "check-4-1") + 1, new_code_cell("import statistics"))
    student.cells.append(new_code_cell("print('much later')"))
    result = rebuilt(released, save(student))
    assert sources(result, "answer-4-3")[:2] == ["def helper(a, b): ...", MINE]
    assert "import statistics" in [
        c.source for c in result.notebook.cells[: place(result.notebook, "answer-4-2")]
    ]
    assert "much later" not in json.dumps(result.notebook)
    assert result.notes == [("", "1 code cells added below the last exercise are left out")]
    nbformat.validate(result.notebook)


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED)
def test_two_answers_in_one_cell_are_both_found(released, student, save):
    both = f"{NLL}\n\n\n{MINE}"
    cell(student, "answer-4-2").source = both
    result = rebuilt(released, save(student))
    assert result.answered == ["4.2", "4.3"]
    assert cell(result.notebook, "answer-4-2").source == cell(result.notebook, "answer-4-3").source == both
    assert result.notes == [("4.3", "the answer was found in another cell")]


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED)
def test_an_answer_moved_to_the_end_is_found_with_its_helper(released, student, save):
    moved = student.cells.pop(place(student, "answer-4-3"))
    moved.source = MINE
    student.cells += [new_code_cell("def helper(a, b): ..."), moved]
    result = rebuilt(released, save(student))
    assert result.answered == ["4.3"]
    assert sources(result, "answer-4-3")[:2] == ["def helper(a, b): ...", MINE]


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED)
def test_deleted_cells_are_the_teachers_again_and_named(released, student, save):
    for name in ("answer-4-2", "check-4-4", "check-4-5", "answer-4-5"):
        student.cells.pop(place(student, name))
    cell(student, "answer-4-4").source = CARDS["4.4"].solution
    result = rebuilt(released, save(student))
    assert result.answered == ["4.4"]
    assert [c.id for c in result.notebook.cells] == [c.id for c in released.cells]
    missing = "no cell with an answer was found: the stub stands there"
    assert result.notes == [("4.2", missing), ("4.5", missing)]
    assert cell(result.notebook, "answer-4-2").source == cell(released, "answer-4-2").source


def test_a_changed_check_is_the_teachers_and_named(released, student):
    cell(student, "check-4-2").source = 'print("✓ 4.2 Negative log-likelihood: right on all 4 inputs")'
    student.cells[place(student, "check-4-2")].metadata.nbgrader["points"] = 100
    result = rebuilt(released, student)
    assert cell(result.notebook, "check-4-2") == cell(released, "check-4-2")
    assert ("4.2", "its check was changed: the teacher's is used") in result.notes


def test_an_answer_in_the_checks_own_cell_is_found(released, student):
    student.cells.pop(place(student, "answer-4-2"))
    cell(student, "check-4-2").source = f'{NLL}\n\n\ncheck("4.2", nll)'
    result = rebuilt(released, student)
    assert result.answered == ["4.2"] and NLL in cell(result.notebook, "answer-4-2").source
    assert cell(result.notebook, "check-4-2").source == 'check("4.2", nll)'


def test_both_halves_of_a_split_cell_come_along(released, student):
    at = place(student, "answer-4-3")
    half = nbformat.from_dict(json.loads(json.dumps(student.cells[at])))  # JupyterLab copies the metadata
    half.id, half.source = "0123abcd", "def helper(a, b): ..."
    student.cells[at].source = MINE
    student.cells.insert(at, half)
    result = rebuilt(released, student)
    assert sources(result, "answer-4-3")[:2] == [half.source, MINE] and result.answered == ["4.3"]


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED)
def test_of_a_changed_cell_of_the_lesson_only_what_it_adds_is_kept(released, student, save):
    changed = next(c for c in student.cells if c.source.startswith("import math"))
    original = changed.source
    changed.source = original.replace("import math", "import math\nimport statistics as st") + "\nx = None"
    result = rebuilt(released, save(student))
    texts = [c.source for c in result.notebook.cells]
    at = texts.index(original)
    assert texts[at + 1] == "import statistics as st" and len(texts) == len(released.cells) + 1
    assert result.notes == [("", "a changed cell of the lesson: only what it adds is kept, st")]


def test_what_cannot_be_carried_is_said(released, student):
    cell(student, "answer-4-2").source = NLL + "\n" + "#" * rebuild.SOURCE
    cell(student, "answer-4-3").cell_type = "raw"
    changed = next(c for c in student.cells if c.source.startswith("import math"))
    changed.source += "\nthis is no Python"
    at = place(student, "answer-4-4")
    student.cells[at:at] = [new_code_cell(f"a = {i}") for i in range(rebuild.ADDED + 1)]
    result = rebuilt(released, student)
    assert result.answered == [] and len(result.open) == 9
    notes = dict(result.notes)
    assert "longer than" in notes["4.2"] and "no cell with an answer" in notes["4.3"]
    said = [note for number, note in result.notes if not number]
    assert any("a changed cell of the lesson is left out" in note for note in said)
    assert any(f"too many or too long: a = {rebuild.ADDED}" in note for note in said)


def test_half_a_letter_and_hostile_metadata_do_no_harm(released, student):
    cell(student, "answer-4-2").source = NLL + "  # \ud800"
    plain = json.loads(json.dumps(student))
    plain["cells"][0]["metadata"] = {"nbgrader": {"grade_id": ["x"]}, "id": {}}
    result = rebuild.rebuild(released, rebuild.read(json.dumps(plain)))
    assert result.answered == ["4.2"] and nbformat.writes(result.notebook).encode("utf8")


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "no notebook"),
        ("[]", "no notebook"),
        ('{"cells": 3}', "no notebook"),
        ('{"cells": [3]}', "no notebook"),
        ('{"cells": [{"source": [3]}]}', "no notebook"),
        ("[" * 100_000, "no notebook"),
        (json.dumps({"cells": [{}] * (rebuild.CELLS + 1)}), "more than 2000 cells"),
        (json.dumps({"cells": [{"source": "x" * 2000}] * 1001}), "more than 2,000,000 characters"),
    ],
)
def test_what_is_no_notebook_is_refused(text, why):
    with pytest.raises(rebuild.Unusable, match=why):
        rebuild.read(text)


def test_another_lesson_is_refused(released):
    other = release.students_edition(nbformat.read(lessons.path("05"), as_version=4))
    with pytest.raises(rebuild.Unusable, match="none of this assignment's exercises"):
        rebuilt(released, other)


# Collecting -----------------------------------------------------------------------------------------------


def write(path, notebook, time=1_700_000_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf8")
    os.utime(path, (time, time))


def listed(course):
    with open(course / "collected.csv", encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def students(course):
    return sorted(path.parent.parent.name for path in (course / "submitted").glob(f"*/{A}/{A}.ipynb"))


def test_files_in_any_mix_are_collected_and_every_other_is_listed(course, student, tmp_path, capsys):
    sent = tmp_path / "sent"
    cell(student, "answer-4-2").source = NLL
    write(sent / "Zoë Müller_12345_assignsubmission_file_" / "04_losses (1).ipynb", lost(student, colab=True))
    write(sent / "李 雷_7_assignsubmission_file_" / "my work.ipynb", student)
    write(sent / "ben" / A / f"{A}.ipynb", as_version_3(student))
    write(sent / "04_losses_carla-Copy1.ipynb", student)
    write(sent / "anna" / f"{A}.ipynb", student, 1_700_000_000)
    write(sent / "anna" / f"{A} (2).ipynb", lost(student), 1_700_000_900)
    write(sent / "ben" / ".ipynb_checkpoints" / "x.ipynb", student)
    (sent / "broken").mkdir()
    (sent / "broken" / f"{A}.ipynb").write_bytes(b"\xff\xfe not a notebook")
    (sent / "broken" / "notes.docx").write_bytes(b"PK")
    (sent / "broken" / "more.zip").write_bytes(b"PK")
    (sent / "thief").mkdir()
    (sent / "thief" / f"{A}.ipynb").symlink_to(sent / "ben" / A / f"{A}.ipynb")
    (sent / "thief2").symlink_to(sent / "ben", target_is_directory=True)
    arguments = ["class", "collect", str(sent), "--course", str(course), "--assignment", A]
    assert commands.main(arguments) == 0
    out = capsys.readouterr().out
    assert students(course) == sorted(["Zoë_Müller_12345", "李_雷_7", "ben", "carla", "anna"])
    assert "5 collected, 7 files not used" in out and "class grade" in out
    rows = {row["file"]: row for row in listed(course) if not row["exercise"]}
    on_disk = {p.relative_to(sent).as_posix() for p in sent.rglob("*") if p.is_symlink() or p.is_file()}
    assert set(rows) == on_disk
    why = {name: row["note"] for name, row in rows.items() if row["used"] == "no"}
    assert why == {
        f"anna/{A}.ipynb": f"an older one of anna: anna/{A} (2).ipynb was taken",
        "ben/.ipynb_checkpoints/x.ipynb": "a checkpoint of JupyterLab, not what was handed in",
        f"broken/{A}.ipynb": "it is not UTF-8, so no notebook",
        "broken/more.zip": "an archive inside: unpack it and collect its folder",
        "broken/notes.docx": "not a notebook (.ipynb)",
        f"thief/{A}.ipynb": "a link or a special file",
        "thief2": "a link or a special file",
    }
    assert all(name in out and note in out for name, note in why.items())
    made = nbformat.read(course / "submitted" / "anna" / A / f"{A}.ipynb", as_version=4)
    assert cell(made, "answer-4-2").source == NLL
    assert (course / "submitted" / "anna" / A / "timestamp.txt").read_text() == "2023-11-14 22:28:20 UTC\n"


def test_collected_again_only_what_is_new_is_written(course, student, tmp_path):
    sent, path = tmp_path / "sent", course / "submitted" / "anna" / A / f"{A}.ipynb"
    write(sent / "anna.ipynb", student)
    write(sent / "ben.ipynb", student)
    collect.collect(sent, course, A)
    before = path.stat().st_mtime_ns
    cell(student, "answer-4-2").source = NLL
    write(sent / "ben.ipynb", student)
    collect.collect(sent, course, A)
    assert path.stat().st_mtime_ns == before and len(listed(course)) == 2
    assert NLL.splitlines()[0] in (course / "submitted" / "ben" / A / f"{A}.ipynb").read_text(encoding="utf8")


def test_a_newer_one_that_is_broken_does_not_displace_the_older(course, student, tmp_path):
    sent = tmp_path / "sent"
    write(sent / "anna" / f"{A}.ipynb", student)
    write(sent / "anna" / f"{A} (1).ipynb", {"cells": 3}, 1_800_000_000)
    write(sent / "ben" / f"{A}.ipynb", student)
    used = [hand_in.file for hand_in in collect.collect(sent, course, A) if not hand_in.problem]
    assert used == [f"anna/{A}.ipynb", f"ben/{A}.ipynb"]


@pytest.mark.parametrize(
    "names, wanted",
    [
        (["04_losses_anna.ipynb", "Copy of 04_losses ben (1).ipynb"], ["anna", "ben"]),
        (["sent/anna 04-losses.ipynb", "sent/Ben-04 Losses-Copy2.ipynb"], ["anna", "Ben"]),
        (["anna/04_losses.ipynb"], ["anna"]),
        (["anna/04_losses/04_losses.ipynb", "ben/04_losses/04_losses.ipynb"], ["anna", "ben"]),
        (["A B_9_assignsubmission_file_/task.ipynb"], ["A_B_9"]),
        (["Zoe\u0308.ipynb"], ["Zoë"]),
        (["04_losses.ipynb"], [""]),
        (["a;rm -rf $HOME.ipynb", "...ipynb"], ["a_rm_-rf_HOME", ""]),
        (["anna@school.org.ipynb"], ["anna@school.org"]),
    ],
)
def test_whose_a_file_is(names, wanted):
    hand_ins = [collect.HandIn(name, 0.0) for name in names]
    collect._tell_whose(hand_ins, A, None)
    assert [hand_in.student for hand_in in hand_ins] == wanted
    assert all(bool(hand_in.problem) == (not hand_in.student) for hand_in in hand_ins)


def test_a_roster_says_whose_it_is(course, student, tmp_path):
    sent, roster = tmp_path / "sent", tmp_path / "roster.csv"
    for name in ("x.ipynb", "y/Übung.ipynb", "stranger.ipynb"):
        write(sent / name, student)
    roster.write_text("id,file\ns-001,X.ipynb\ns-002,y/U\u0308bung.ipynb\n", encoding="utf-8-sig")
    found = {h.file: h for h in collect.collect(sent, course, A, roster)}
    assert found["x.ipynb"].student == "s-001" and found["y/Übung.ipynb"].student == "s-002"
    assert "the roster has no such file" in found["stranger.ipynb"].problem
    roster.write_text("name;file\na;b\n")
    with pytest.raises(CourseError, match="id,file"):
        collect.collect(sent, course, A, roster)


# A zip ----------------------------------------------------------------------------------------------------


def zipped(path, entries, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def test_a_hostile_zip_writes_nothing_outside_and_stops_no_one(course, student, tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "SIZE", 3_000_000)
    good = json.dumps(student)
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = 0o120777 << 16
    sent = zipped(
        tmp_path / "sent.zip",
        [
            ("../../outside.ipynb", good),
            ("/tmp/absolute.ipynb", good),
            ("C:\\windows.ipynb", good),
            (link, "/etc/passwd"),
            ("bomb.ipynb", b" " * 4_000_000),
            ("inner.zip", b"PK"),
            ("__MACOSX/._anna.ipynb", b"x"),
            ("\x1b[31mred.ipynb", good),
            ("=cmd()_04_losses.ipynb", good),
            ("class/anna.ipynb", good),
        ],
    )
    before = {path for path in tmp_path.rglob("*") if course not in path.parents}
    found = {hand_in.file: hand_in.problem for hand_in in collect.collect(sent, course, A)}
    assert found == {
        "../../outside.ipynb": "its path leads out of the zip",
        "/tmp/absolute.ipynb": "its path leads out of the zip",
        "C:/windows.ipynb": "its path leads out of the zip",
        "link.ipynb": "a link or a special file",
        "bomb.ipynb": "it is larger than 3 MB",
        "inner.zip": "an archive inside: unpack it and collect its folder",
        "__MACOSX/._anna.ipynb": "a hidden file of the system",
        "?[31mred.ipynb": "",
        "=cmd()_04_losses.ipynb": "",
        "class/anna.ipynb": "",
    }
    assert students(course) == ["31mred", "class", "cmd"]
    assert {path for path in tmp_path.rglob("*") if course not in path.parents} == before
    assert "'=cmd()_04_losses.ipynb" in [row["file"] for row in listed(course)]


def test_a_damaged_file_in_a_zip_stops_no_other(course, student, tmp_path):
    sent = zipped(tmp_path / "sent.zip", [("ben.ipynb", "{}" * 90), ("anna.ipynb", json.dumps(student))])
    raw = bytearray(sent.read_bytes())
    raw[raw.index(b"ben.ipynb") + len("ben.ipynb")] ^= 0xFF  # the first byte of what is in it
    sent.write_bytes(raw)
    found = {hand_in.file: hand_in.problem for hand_in in collect.collect(sent, course, A)}
    assert found["anna.ipynb"] == "" and "cannot be read" in found["ben.ipynb"]


def test_too_much_is_refused_in_words(course, student, tmp_path, monkeypatch):
    sent = zipped(tmp_path / "sent.zip", [(f"{i}.ipynb", json.dumps(student)) for i in range(4)])
    monkeypatch.setattr(collect, "TOTAL", 1_000_000)
    with pytest.raises(CourseError, match="collect it in parts"):
        collect.collect(sent, course, A)
    monkeypatch.setattr(collect, "FILES", 3)
    with pytest.raises(CourseError, match="more than 3 files"):
        collect.collect(sent, course, A)


def test_the_command_says_what_is_missing(course, tmp_path, capsys):
    file = tmp_path / "x.ipynb"
    file.write_text("{}")
    for sent, assignment, said in [
        (tmp_path, "05_optimizers", "nbgrader generate_assignment 05_optimizers"),
        (tmp_path, "../release/04_losses", "nbgrader generate_assignment"),
        (file, A, "neither a folder nor a zip"),
        (tmp_path / "nowhere", A, "neither a folder nor a zip"),
    ]:
        arguments = ["class", "collect", str(sent), "--course", str(course), "--assignment", assignment]
        assert commands.main(arguments) == 1
        assert said in capsys.readouterr().err


def test_text_that_was_added_is_left_out(released, student):
    student.cells.insert(5, new_markdown_cell("<script>alert(1)</script>"))
    assert "alert" not in json.dumps(rebuilt(released, student).notebook)
