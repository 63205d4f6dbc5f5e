"""Nobody is marked down because of where the course is installed, or because the jail starts nothing."""

import nbformat
import pytest

from course_utils.classroom import jail
from course_utils.classroom.judge import Judge
from course_utils.errors import CourseError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    jail.prepare(Judge(4), folder)
    return folder


@pytest.fixture(params=["jail", "plain"])
def bwrap(request):
    return jail.bubblewrap() if request.param == "jail" else None


def test_an_empty_notebook_runs(prepared, bwrap):
    jail.trial(prepared, jail.Limits(), bwrap)


def test_where_nothing_starts_nothing_is_marked(prepared, bwrap, monkeypatch):
    monkeypatch.setattr(jail, "_site_packages", lambda: [])
    with pytest.raises(CourseError, match="No module named.*nothing was marked"):
        jail.trial(prepared, jail.Limits(), bwrap)


def test_packages_below_tmp_are_there(prepared, bwrap, tmp_path, monkeypatch):
    packages, out = tmp_path / "more-packages", tmp_path / "out"
    packages.mkdir()
    out.mkdir()
    (packages / "only_here.py").write_text("print('found')", encoding="utf8")
    before = jail._site_packages()
    monkeypatch.setattr(jail, "_site_packages", lambda: [*before, str(packages)])
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import only_here")])
    nbformat.write(book, tmp_path / "notebook.ipynb")
    assert jail.run(prepared, tmp_path / "notebook.ipynb", out, jail.Limits(), bwrap) == ""
    executed = nbformat.read(out / "executed.ipynb", as_version=4)
    assert executed.cells[0].outputs[0].text == "found\n"
