"""Run one lesson as on Colab: alone in an empty folder, without course_utils, with a stub of google.colab.

`tools/colab_test.py` starts it, with the Python of the environment that is like Colab's:
`python tools/colab_lesson.py NOTEBOOK SOURCE`. SOURCE is where the setup cell gets the course from: a git
address, or a wheel or zip, which is put beside the notebook. With `setup` behind that, nothing but the setup
cell is run. It prints what went wrong and exits with 1, or one line with seconds and claims.
"""

import importlib.metadata
import importlib.util
import pathlib
import re
import shutil
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell

INSTALLED = importlib.util.find_spec("course_utils") is not None
TOOLS = pathlib.Path(__file__).resolve().parent
sys.path.append(str(TOOLS.parent))  # this program's own: the environment has no course_utils yet

import notebooks  # noqa: E402

STUBS = TOOLS / "colab" / "stub"
KEPT = ("torch", "transformers", "datasets", "numpy")
STUB = """\
import sys
assert sys.prefix == {prefix!r}, sys.prefix
sys.path.append({stub!r})
import google.colab"""
REFUSE = """\
import subprocess
def refuse(*arguments, **options):
    raise AssertionError(f"the second run of the setup cell started {{arguments}}")
kept, subprocess.run = subprocess.run, refuse"""
ALLOW = "subprocess.run = kept; del kept, refuse"
TYPED = re.compile(r"type, in a cell of its own:  (%pip install [^\n]+)")
# Lesson 14 takes its digits from the hub on Colab; where there is none, its error says to take the package's.
WITHOUT_HUB = ('SOURCE = "hub"', 'SOURCE = "package"  # no hub in this test; was "hub"')


def run(path, source, setup_only=False):
    """Run the lesson in `path`; (seconds, claims). Raises `AssertionError` or `CellExecutionError`."""
    assert not INSTALLED, "course_utils is here already"
    versions = {name: importlib.metadata.version(name) for name in KEPT}
    notebook = nbformat.read(path, as_version=4)
    promised = claims(notebook)
    errors = {index: error_of(cell) for index, cell in enumerate(notebook.cells)}
    uploaded = pathlib.Path(source) if source.endswith((".whl", ".zip")) else None
    with tempfile.TemporaryDirectory() as folder:
        if uploaded:
            shutil.copy(uploaded, folder)
        client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": folder}})
        start = time.perf_counter()
        with client.setup_kernel():
            hidden(client, STUB.format(prefix=sys.prefix, stub=str(STUBS)))
            for index, cell in enumerate(notebook.cells):
                setup = "setup" in cell.metadata.get("tags", [])
                if setup:
                    cell.source = notebooks.setup_source(None if uploaded else source)
                cell.source = cell.source.replace(*WITHOUT_HUB)
                execute(client, cell, index)
                if error_of(cell) != errors[index]:
                    raise AssertionError(f"{error_of(cell)} in place of {errors[index]}:\n{cell.source}")
                if setup:
                    for again in (REFUSE, cell.source, ALLOW):
                        hidden(client, again)
                    if setup_only:
                        return time.perf_counter() - start, 0
        seconds = time.perf_counter() - start
    now = {name: importlib.metadata.version(name) for name in KEPT}
    assert now == versions, f"the lesson changed installed versions: {versions} to {now}"
    assert claims(notebook) == promised, f"{claims(notebook)} claims were made, and {promised} are stored"
    return seconds, promised


def execute(client, cell, index):
    """Run a cell; if it says which packages to install, install them as it says, and run it again."""
    try:
        client.execute_cell(cell, index)
    except CellExecutionError as error:
        typed = TYPED.search(error.evalue)
        if error.ename != "ModuleNotFoundError" or not typed:
            raise
        hidden(client, typed[1])
        client.execute_cell(cell, index)


def hidden(client, source):
    """Run `source` as a cell that does not stay in the notebook."""
    client.nb.cells.append(new_code_cell(source))
    try:
        client.execute_cell(client.nb.cells[-1], len(client.nb.cells) - 1, store_history=False)
    finally:
        client.nb.cells.pop()


def error_of(cell):
    """The name of the error that a cell has among its outputs, or None."""
    return next((out.ename for out in cell.get("outputs", []) if out.output_type == "error"), None)


def claims(notebook):
    """How many claims hold, by what the cells printed."""
    printed = [out.text for cell in notebook.cells for out in cell.get("outputs", []) if out.get("text")]
    return sum(len(re.findall(r"^✓ ", text, re.MULTILINE)) for text in printed)


if __name__ == "__main__":
    lesson = pathlib.Path(sys.argv[1])
    try:
        took, held = run(lesson, sys.argv[2], setup_only="setup" in sys.argv[3:])
    except (AssertionError, CellExecutionError) as error:
        raise SystemExit(f"{lesson.name} FAILED: {str(error)[-3000:]}") from None
    print(f"{lesson.name}: {took:.0f} s, {held} claims hold")
