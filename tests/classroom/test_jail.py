"""The jail, and the plain process without bubblewrap: nobody is marked down by them, and both hold limits."""

import time

import nbformat
import psutil
import pytest

from course_utils.classroom import agent, jail
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


def run(prepared, tmp_path, bwrap, *sources, **limits):
    """Run cells; why they were stopped."""
    (tmp_path / "out").mkdir()
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbformat.write(book, tmp_path / "notebook.ipynb")
    return jail.run(prepared, tmp_path / "notebook.ipynb", tmp_path / "out", jail.Limits(**limits), bwrap)


FILLED = """
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(876543)"]
subprocess.Popen(sleep, env={}, start_new_session=True)
time.sleep(2)
os.makedirs(f"{os.environ['COURSE_HANDED_IN']}/a/b")
for n in range(20):
    open(f"{os.environ['COURSE_HANDED_IN']}/a/b/{n}", "wb").write(bytes(1_000_000))
while True:
    try:
        time.sleep(1000)
    except BaseException:
        pass
"""


def test_folders_in_folders_count_and_nothing_goes_on(prepared, bwrap, tmp_path):
    why = run(prepared, tmp_path, bwrap, FILLED, disk=10_000_000, cell_seconds=250)
    assert why == "stopped at more than 10 MB or 500 files"
    time.sleep(0.1)
    left = [
        process for process in psutil.process_iter(["cmdline"]) if "876543" in str(process.info["cmdline"])
    ]
    assert left == []


def test_a_cell_that_prints_without_end_is_interrupted_long_before_its_time_and_the_next_one_runs(
    prepared, bwrap, tmp_path
):
    endless = "while True:\n    print('✓' * 1000)"
    start = time.monotonic()
    assert (
        run(prepared, tmp_path, bwrap, "x = 1", endless, endless, "print('next', x)", cell_seconds=150) == ""
    )
    assert time.monotonic() - start < 100
    cells = nbformat.read(tmp_path / "out" / "executed.ipynb", as_version=4).cells
    for cell in cells[1:3]:
        printed, error = cell.outputs
        assert len(printed.text) == agent.LARGEST_OUTPUT and error.ename == "KeyboardInterrupt"
    assert cells[3].outputs[0].text == "next 1\n"


def test_a_kernel_that_leaves_is_told(prepared, tmp_path):
    assert run(prepared, tmp_path, None, "import os; os._exit(0)") == ""
    assert (tmp_path / "out" / "ended.txt").read_text(encoding="utf8") == "the kernel ended"


def test_without_the_program_there_is_no_bubblewrap(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert jail.bubblewrap() is None
