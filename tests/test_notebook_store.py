"""Storing a lesson: run from a fresh kernel, normalised, and never half-written."""

import re

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import notebooks

BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://example.org)"


def write(path, *cells, **metadata):
    nbformat.write(new_notebook(cells=list(cells), metadata=metadata), path)
    return path


def code(source, *names):
    return new_code_cell(source, metadata={"tags": list(names)} if names else {})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A small lesson that was stored: (path, its notebook, seconds, megabytes)."""
    old = code("x = 1\nprint('x is', x)\nprint('and that is all')")
    old.execution_count = 17
    old.outputs = [new_output("stream", name="stdout", text="stale\n")]
    old.metadata = {
        "tags": ["nbval-ignore-output", "mine"],
        "collapsed": True,
        "execution": {"started": "now"},
    }
    path = write(
        tmp_path_factory.mktemp("store") / "42_words.ipynb",
        new_markdown_cell(f"# 42 · Words\n\n{BADGE}\n\nYou will count."),
        code("an old setup cell", "setup"),
        old,
        new_markdown_cell("Twice the same."),
        new_markdown_cell("Twice the same."),
        code("undefined_name", "raises-exception"),
        code("import os\nx + 1, os.listdir(), os.environ['COURSE_PROGRESS']"),
        code("{'the': 'last'}"),
        widgets={"state": {}},
        kernelspec={"name": "python3", "display_name": "My own kernel"},
        authors=[{"name": "somebody"}],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COURSE_PROGRESS")
        seconds, megabytes = notebooks.store(path)
    return path, nbformat.read(path, as_version=4), seconds, megabytes


def test_it_runs_from_a_fresh_kernel_in_order(stored):
    _, notebook, seconds, megabytes = stored
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4, 5]
    assert cells[1].outputs == [new_output("stream", name="stdout", text="x is 1\nand that is all\n")]
    assert cells[3].outputs[0].execution_count == 4
    assert 0 < seconds < 60
    assert 10 < megabytes < 10_000


def test_it_runs_in_the_notebook_s_folder_and_notes_no_progress(stored):
    _, notebook, *_ = stored
    assert notebook.cells[6].outputs[0].data["text/plain"] == "(2, ['42_words.ipynb'], 'off')"


def test_every_cell_is_still_there(stored):
    _, notebook, *_ = stored
    assert len(notebook.cells) == 8
    assert notebook.cells[0].source.startswith("# 42 · Words")
    assert "ru_maxrss" not in nbformat.writes(notebook)


def test_badge_and_setup_cell_are_those_of_pyproject(stored):
    _, notebook, *_ = stored
    assert notebook.cells[0].source == (
        f"# 42 · Words\n\n{notebooks.badge('42_words.ipynb')}\n\nYou will count."
    )
    assert notebook.cells[1].source == notebooks.setup_source()
    assert re.match(r"Python 3\.\d+\.\d+ · torch ", notebook.cells[1].outputs[0].text)


@pytest.mark.parametrize("line", [BADGE, notebooks.NO_BADGE])
@pytest.mark.parametrize("address", [None, "https://github.com/somebody/their-course"])
def test_badge_and_setup_cell_are_written_over_either_kind(monkeypatch, line, address):
    monkeypatch.setattr(notebooks, "repository", lambda: address)
    notebook = new_notebook(cells=[new_markdown_cell(f"# 42\n\n{line}\n\nYou will."), code("old", "setup")])
    notebooks.prepare(notebook, "42_words.ipynb")
    badge = notebooks.NO_BADGE
    if address:
        link = "https://colab.research.google.com/github/somebody/their-course/blob/main/notebooks/42_words.ipynb"
        badge = f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})"
    assert notebook.cells[0].source == f"# 42\n\n{badge}\n\nYou will."
    assert (f'"git+{address}"' in notebook.cells[1].source) == bool(address)
    assert notebook.cells[1].source == notebooks.setup_source()
    assert notebooks.words(notebook.cells[0].source) == 3, "the badge is not read, so the minutes stay"


def test_the_setup_cell_installs_nothing_here():
    names = {}
    exec(notebooks.setup_source().replace("\nsetup()", ""), names)
    assert callable(names["setup"]) and "packages" not in names


def test_a_deliberate_error_is_stored_as_it_is_seen(stored):
    _, notebook, *_ = stored
    (error,) = notebook.cells[5].outputs
    assert error.ename == "NameError"
    assert "undefined_name" in error.traceback[-2]
    assert error.traceback[-1].endswith("name 'undefined_name' is not defined")


def test_what_differs_from_run_to_run_is_dropped(stored):
    path, notebook, *_ = stored
    assert notebook.cells[2].metadata == {"tags": ["nbval-ignore-output"]}
    assert notebook.cells[6].metadata == {}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.display_name == "Python 3"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids), "cells with the same text have ids of their own"
    assert "stale" not in path.read_text(encoding="utf8")
    nbformat.validate(notebook)


def test_storing_again_changes_no_byte(stored):
    path, *_ = stored
    before = path.read_bytes()
    notebooks.store(path)
    assert path.read_bytes() == before
    assert b"\r\n" not in before and before.endswith(b"\n")


def test_normalising_twice_is_normalising_once(stored):
    _, notebook, *_ = stored
    again = nbformat.from_dict(notebook)
    notebooks.normalise(again)
    assert again == notebook


def test_ids_depend_on_the_text_alone():
    one = new_notebook(cells=[new_markdown_cell("a"), code("b"), code("a")])
    other = new_notebook(cells=[code("b"), new_markdown_cell("more"), new_markdown_cell("a")])
    notebooks.normalise(one)
    notebooks.normalise(other)
    assert one.cells[0].id == other.cells[2].id
    assert one.cells[1].id == other.cells[0].id
    assert one.cells[0].id != one.cells[2].id, "a text and a code cell of the same source"


def test_neighbouring_prints_are_joined():
    cell = code("x")
    cell.outputs = [
        new_output("stream", name="stdout", text="a"),
        new_output("stream", name="stdout", text="b"),
        new_output("stream", name="stderr", text="c"),
        new_output("display_data", {"text/plain": "d"}),
        new_output("stream", name="stdout", text="e"),
    ]
    notebook = new_notebook(cells=[cell])
    notebooks.normalise(notebook)
    kinds = [output.get("text", "picture") for output in notebook.cells[0].outputs]
    assert kinds == ["ab", "c", "picture", "e"]


def test_the_alt_text_of_a_picture_is_kept():
    cell = code("x")
    metadata = {"image/png": {"alt": "What the picture shows."}}
    cell.outputs = [new_output("display_data", {"image/png": "AAAA"}, metadata=metadata)]
    notebook = new_notebook(cells=[cell])
    notebooks.normalise(notebook)
    assert notebook.cells[0].outputs[0].metadata == metadata


def test_a_notebook_that_fails_keeps_its_file(tmp_path):
    path = write(tmp_path / "42_words.ipynb", new_markdown_cell(BADGE), code("print(1)"), code("1 / 0"))
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.store(path)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["42_words.ipynb"]


@pytest.fixture
def three(tmp_path, monkeypatch):
    """Three lessons in a folder, and a `store` that only notes which it was asked for."""
    asked = []
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path)
    monkeypatch.setattr(notebooks, "store", lambda path: asked.append(path.name) or (1.6, 234.5))
    for name in ("00_start", "01_tensors", "09_bert"):
        write(tmp_path / f"{name}.ipynb", code("1"))
    return asked


def test_store_all_stores_the_lessons_that_are_named(three, capsys):
    notebooks.store_all(["09", "00"])
    assert three == ["00_start.ipynb", "09_bert.ipynb"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "00_start.ipynb ..."
    assert re.fullmatch(r"00_start\.ipynb: 2 s, 234 MB of memory at the peak, \d+ kB", lines[1])


def test_store_all_stores_all(three):
    notebooks.store_all()
    assert three == ["00_start.ipynb", "01_tensors.ipynb", "09_bert.ipynb"]


def test_store_all_names_a_number_that_is_unknown(three):
    with pytest.raises(SystemExit, match=r"^no notebook 07, 1; there are 00_start\.ipynb, 01_tensors\.ipynb"):
        notebooks.store_all(["00", "07", "1"])
    assert three == [], "nothing is run before the mistake is told"
