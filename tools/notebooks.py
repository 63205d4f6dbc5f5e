"""Store lessons: write the badge and the setup cell, run from a fresh kernel, keep only what belongs.

For authors, in a checkout: `make notebooks`, or `python tools/notebooks.py 01` for one lesson. A lesson's
notebook is its only source, so this changes nothing but the badge line, the setup cell, the outputs and the
metadata, and in lesson 19 the glossary and the errors by message (those alone: `make glossary`). Badge lines
and setup cells alone, without a run: `python tools/notebooks.py address` (`make publish` does that too).
"""

import copy
import hashlib
import math
import os
import pathlib
import re
import sys
import time
import tomllib

import glossary

from course_utils.classroom.lessons import BADGE, CARD, lines, minutes, words

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
UNSET = "OWNER_TO_BE_SET"  # the owner in pyproject.toml as long as the course is published nowhere
NO_BADGE = (
    "To open this lesson on Colab, upload it, and beside it the course's wheel or zip, "
    "or publish your fork: [how](../README.md#start)."
)
TAGS = {"folded", "nbval-ignore-output", "raises-exception", "setup", glossary.TAG}
REFERENCE = "19"  # the lesson with the glossary and the errors by message
FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # in JupyterLab, on Colab
COST = re.compile(
    r"^\*\*Cost\*\*: (\d+) min for the core, (\d+) min for what goes deeper; "
    r"(\d+) s to run on two cores, (\d\.\d) GB of memory\.$",
    re.MULTILINE,
)
SETUP = """\
# @title Setup, the same in every lesson
# On Colab it installs what is missing; elsewhere it installs nothing.
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

if importlib.util.find_spec("course_utils") is None:
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError("course_utils is missing here: in the course's folder, type  make lab")
    # The course: its wheel or zip, uploaded beside this notebook, or else its address.
    course = list(Path().glob("course_utils-*-none-any.whl"))
    for path in filter(zipfile.is_zipfile, Path().glob("*.zip")):
        if "course_utils/__init__.py" in str(zipfile.ZipFile(path).namelist()):
            folder = Path(tempfile.mkdtemp())
            zipfile.ZipFile(path).extractall(folder)
            course += [file.parent for file in folder.rglob("pyproject.toml")]
{address}
    packages = [
        {packages},
        course[0],
    ]
    # --no-deps: Colab's own torch, transformers, datasets and numpy stay as they are.
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", *packages], check=True)
    importlib.invalidate_caches()

from course_utils import check, checkpoints, claim, data, environment, plotting, set_seed, setup, show

setup()"""
ADDRESS = '    course.append("git+{address}")'
NO_ADDRESS = """\
    if not course:
        raise ModuleNotFoundError("upload the course's wheel or zip (Files, on the left); run this again")"""


def repository():
    """The address of the course's repository, out of `pyproject.toml`, its one place; None if it has none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    address = project["urls"]["Repository"]
    return None if f"/{UNSET}/" in address else address


def setup_source(address=None):
    """The source of the setup cell of every lesson; `address` is the course's repository, as git takes it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    pinned = [f'"{name}"' for name in project["dependencies"] if "==" in name]  # what Colab lacks
    address = address or repository()
    found = ADDRESS.format(address=address) if address else NO_ADDRESS
    return SETUP.format(packages=",\n        ".join(pinned), address=found)


def badge(name):
    """The line with the Colab badge of the notebook called `name`; without an address, what to do instead."""
    if not (address := repository()):
        return NO_BADGE
    badge = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open in Colab]({badge})]({colab_link(address, name)})"


def colab_link(address, name):
    """Where Colab opens the notebook called `name` of the repository at `address`."""
    return f"{address.replace('github.com', 'colab.research.google.com/github')}/blob/main/notebooks/{name}"


def store_all(numbers=()):
    """Run and store the lessons whose numbers ("01") are given, or all; a line each on time, memory, size.

    Raises `SystemExit` where course_utils is not this checkout's, or naming the numbers that fit no
    notebook, and whatever a cell raises.
    """
    import nbformat

    import course_utils

    if pathlib.Path(course_utils.__file__).parent.parent != ROOT:
        raise SystemExit(f"course_utils is installed from elsewhere: in {ROOT}, type  make notebooks")
    paths = sorted(FOLDER.glob("*.ipynb"))
    unknown = set(numbers) - {path.name[:2] for path in paths}
    if unknown:
        raise SystemExit(
            f"no notebook {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in paths)}"
        )
    for path in paths:
        if not numbers or path.name[:2] in numbers:
            print(f"{path.name} ...", flush=True)
            seconds, megabytes = store(path)
            size = path.stat().st_size / 1000
            print(f"{path.name}: {seconds:.0f} s, {megabytes:.0f} MB of memory at the peak, {size:.0f} kB")
            notebook = nbformat.read(path, as_version=4)
            core, deeper = minutes(notebook)
            rate = words_a_line(notebook)
            print(f"   {core:.0f} min core, {deeper:.0f} min deeper, {rate:.1f} words a line of shown code")


def store(path):
    """Run one notebook from a fresh kernel, normalise and write it; (seconds, peak megabytes of its kernel).

    Raises `nbclient.exceptions.CellExecutionError` if a cell fails that is not tagged for it; then the file
    stays as it was.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    prepare(notebook, path.name)
    os.environ["COURSE_PROGRESS"] = "off"  # the kernel's too: an author's attempts change no output
    start = time.perf_counter()
    client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(path.parent)}})
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - start
        megabytes = _peak_megabytes(client)
    write_reference(notebook, path.name)
    write_minutes(notebook)
    normalise(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return seconds, megabytes


def write_addresses():
    """Write badge line and setup cell into every lesson, without a run; the names of those that changed."""
    import nbformat

    changed = []
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        prepare(notebook, path.name)
        write_minutes(notebook)
        normalise(notebook)
        if write_text(path, nbformat.writes(notebook) + "\n"):
            changed.append(path.name)
    return changed


def write_text(path, text):
    """Write `text` beside `path` and rename it, unless it stands there already; whether anything changed."""
    if path.read_text(encoding="utf8") == text:
        return False
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf8", newline="\n")
    os.replace(beside, path)
    return True


def write_glossary():
    """Write the glossary and the errors by message into the lesson that holds them, and run nothing.

    Raises `SystemExit` with what `tools/glossary.toml` lacks.
    """
    import nbformat

    if problems := glossary.problems(glossary.lessons(FOLDER)):
        raise SystemExit("\n".join(problems))
    for path in FOLDER.glob(f"{REFERENCE}_*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        write_reference(notebook, path.name)
        write_minutes(notebook)
        normalise(notebook)
        nbformat.write(notebook, path)


def write_reference(notebook, name):
    """Write the glossary and the errors by message of all stored lessons into `notebook`, if it has them."""
    if name.startswith(f"{REFERENCE}_"):
        glossary.write(notebook, glossary.lessons(FOLDER) | {name: notebook})


def _peak_megabytes(client):
    """The peak resident memory of the client's kernel, in MB; 0 where the platform does not tell."""
    source = (
        "import sys\n"
        "try:\n"
        "    import resource\n"
        "    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    print(peak / (1e6 if sys.platform == 'darwin' else 1e3))\n"
        "except ImportError:\n"
        "    print(0)"
    )
    from nbformat.v4 import new_code_cell

    # nbclient puts the cell that it ran into the notebook, at the index given: give it a place of its own.
    client.nb.cells.append(new_code_cell(source))
    try:
        probe = client.execute_cell(client.nb.cells[-1], len(client.nb.cells) - 1, store_history=False)
    finally:
        client.nb.cells.pop()
    return float(probe.outputs[0].text)


def prepare(notebook, name):
    """Write the badge line and the setup cell, as `pyproject.toml` has the address, into `notebook`."""
    first = notebook.cells[0]
    first.source = BADGE.sub(lambda _: badge(name), first.source)
    for cell in notebook.cells:
        if "setup" in cell.metadata.get("tags", []):
            cell.source = setup_source()


def normalise(notebook):
    """Drop what differs from run to run: timings, widget state, foreign metadata; give stable cell ids."""
    seen = set()
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if tag in TAGS]
        cell.metadata = {"tags": tags} if tags else {}
        if {"folded", "setup"} & set(tags):
            cell.metadata |= copy.deepcopy(FOLDED)
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()
        cell.id = next(digest[i : i + 8] for i in range(0, 56) if digest[i : i + 8] not in seen)
        seen.add(cell.id)
        cell.pop("attachments", None)
        if cell.cell_type == "code":
            cell.outputs = _merge_streams(cell.outputs)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.nbformat_minor = 5


def write_minutes(notebook):
    """Write into the line of costs how long the lesson takes to study, rounded up to five minutes."""
    core, deeper = (5 * math.ceil(found / 5) for found in minutes(notebook))
    cost = notebook.cells[1]
    cost.source = COST.sub(
        rf"**Cost**: {core} min for the core, {deeper} min for what goes deeper; "
        r"\3 s to run on two cores, \4 GB of memory.",
        cost.source,
    )


def words_a_line(notebook):
    """The words of prose for a line of shown code, over a lesson's sections without its exercises."""
    prose = code = exercise = 0
    for cell in notebook.cells[3:]:
        if cell.cell_type == "markdown" and cell.source.startswith("## On your own"):
            break
        if glossary.TAG in cell.metadata.get("tags", []):
            continue
        if exercise:
            exercise -= 1
        elif cell.cell_type == "markdown" and CARD.match(cell.source):
            exercise = 3
        elif cell.cell_type == "markdown":
            prose += words(cell.source)
        else:
            code += lines(cell)
    return prose / max(code, 1)


def _merge_streams(outputs):
    """Outputs with neighbouring prints joined into one."""
    merged = []
    for output in outputs:
        joins = merged and output.output_type == merged[-1].output_type == "stream"
        if joins and output.name == merged[-1].name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


if __name__ == "__main__":
    if sys.argv[1:] == ["glossary"]:
        write_glossary()
    elif sys.argv[1:] == ["address"]:
        print(f"{len(write_addresses())} notebooks have a new badge line or setup cell")
    else:
        store_all(sys.argv[1:])
