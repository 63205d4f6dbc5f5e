"""`make test-colab`, as far as it can be tested without its environment: what it takes, runs and refuses."""

import re
import subprocess
import sys
import tomllib

import colab_lesson as lesson
import colab_test
import lessons
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output
from packaging.requirements import Requirement

PROJECT = tomllib.loads((colab_test.ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
LINES = (colab_test.COLAB / "constraints.txt").read_text(encoding="utf8").splitlines()
PINS = {
    re.sub(r"[-_.]+", "-", name).lower(): version
    for name, version in (line.split("==") for line in LINES if line and not line.startswith("#"))
}


def test_what_colab_has_satisfies_the_course_and_the_rest_is_installed_by_the_setup_cell():
    for text in PROJECT["dependencies"]:
        wanted = Requirement(text)
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if "==" in text:
            assert name not in PINS, "the setup cell installs it"
        else:
            assert wanted.specifier.contains(PINS[name]), f"{text}, and Colab has {PINS[name]}"
    assert "course-utils" not in PINS


def test_the_tool_starts_where_course_utils_is_not_installed():
    code = (
        "import sys; sys.meta_path[:] = [found for found in sys.meta_path if 'editable' not in repr(found)]; "
        f"sys.path[:] = [path for path in sys.path if path not in ('', {str(colab_test.ROOT)!r})]; "
        "import importlib.util as util; assert util.find_spec('course_utils') is None; "
        f"sys.path.insert(0, {str(colab_test.ROOT / 'tools')!r}); import colab_lesson; "
        "assert not colab_lesson.INSTALLED"
    )
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_versions_that_must_stay_are_among_them():
    assert set(lesson.KEPT) <= set(PINS)


def test_every_lesson_s_word_on_what_to_install_is_understood():
    """By its text: what the tool does not find, it would report as a lesson that fails."""
    found = {}
    for path in lessons.paths():
        for cell in lessons.read(path).code:
            for line in cell.source.splitlines():
                if "raise ModuleNotFoundError" in line and "%pip" in line:
                    found[path.name[:2]] = lesson.TYPED.search(line)
    assert set(found) == {"13", "15", "16", "17", "18"} and all(found.values())


def test_lesson_14_names_its_source_once():
    cells = lessons.read(next(lessons.FOLDER.glob("14_*"))).code
    assert sum(cell.source.count(lesson.WITHOUT_HUB[0]) for cell in cells) == 1


def test_claims_are_counted_where_a_line_begins_with_the_sign():
    text = "✓ one\nand ✓ not\n✗ not\n✓ two\n"
    cell = new_code_cell("x", outputs=[new_output("stream", name="stdout", text=text)])
    silent = new_code_cell("y", outputs=[new_output("display_data", {"text/plain": "✓ not printed"})])
    assert lesson.claims(new_notebook(cells=[cell, silent])) == 2


class Client:
    """Runs nothing: takes notes, and raises what it was given, once."""

    def __init__(self, error):
        self.nb, self.error, self.ran = new_notebook(), error, []

    def execute_cell(self, cell, index, store_history=True):
        self.ran.append(cell.source)
        error, self.error = self.error, None
        if error:
            raise CellExecutionError("", *error)


def test_what_a_lesson_says_to_type_is_typed_and_the_cell_is_run_again():
    client = Client(
        ("ModuleNotFoundError", "type, in a cell of its own:  %pip install --no-deps 'jiwer>=4,<5'")
    )
    lesson.execute(client, new_code_cell("import jiwer"), 0)
    assert client.ran == ["import jiwer", "%pip install --no-deps 'jiwer>=4,<5'", "import jiwer"]
    assert client.nb.cells == []


@pytest.mark.parametrize(
    "error",
    [
        ("ModuleNotFoundError", "No module named 'jiwer'"),
        ("ValueError", "type, in a cell: %pip install jiwer"),
    ],
)
def test_any_other_error_is_the_lesson_s(error):
    client = Client(error)
    with pytest.raises(CellExecutionError):
        lesson.execute(client, new_code_cell("import jiwer"), 0)
    assert client.ran == ["import jiwer"]


def test_an_unknown_lesson_is_named_before_anything_is_installed(monkeypatch):
    monkeypatch.setattr(colab_test, "make_environment", lambda: pytest.fail("too early"))
    with pytest.raises(SystemExit, match="no lesson 98, 99"):
        colab_test.main(["01", "99", "98"])


def stored(path, *cells):
    cells = [new_code_cell(source, metadata={"tags": names}) for source, names in cells]
    for cell in cells:
        cell.outputs = (
            [new_output("error", ename="NameError")] if "raises-exception" in cell.metadata.tags else []
        )
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """As if course_utils were not installed, and with a setup cell that needs nothing."""
    monkeypatch.setattr(lesson, "INSTALLED", False)
    monkeypatch.setattr(lesson.notebooks, "setup_source", lambda address: f"address = {address!r}")
    return tmp_path / "42_words.ipynb"


def test_a_small_lesson_is_run_alone_with_the_stub_and_the_address(bare):
    path = stored(
        bare,
        ("", ["setup"]),
        ("import os, sys\nassert 'google.colab' in sys.modules and not os.listdir()", []),
        ("assert address == 'file:///course'", []),
        ("undefined", ["raises-exception"]),
    )
    seconds, claims = lesson.run(path, "file:///course")
    assert 0 < seconds < 60 and claims == 0


@pytest.mark.parametrize(
    ("source", "tags", "expected"),
    [
        ("print('✓ more')", [], "1 claims were made, and 0 are stored"),
        ("1 / 0", ["raises-exception"], "ZeroDivisionError in place of NameError"),
        ("1 / 0", [], "ZeroDivisionError"),
    ],
)
def test_a_small_lesson_that_does_something_else_fails(bare, source, tags, expected):
    with pytest.raises((AssertionError, CellExecutionError), match=expected):
        lesson.run(stored(bare, (source, tags)), "file:///course")


def test_a_setup_cell_that_starts_something_again_fails(bare, monkeypatch):
    again = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])"
    monkeypatch.setattr(lesson.notebooks, "setup_source", lambda address: again)
    with pytest.raises(CellExecutionError, match="the second run of the setup cell started"):
        lesson.run(stored(bare, ("", ["setup"])), "file:///course")
