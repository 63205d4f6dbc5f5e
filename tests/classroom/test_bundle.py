"""The bundle: what is in it, what it refuses, and that it installs with the index off and runs lesson 00.

The course's own packages are gigabytes: all but the last test bundle two tiny wheels made here. The last
makes the whole bundle, which needs an index and minutes: `make class-test` sets COURSE_BUNDLE for it.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import nbformat
import pytest

from course_utils import __main__ as commands
from course_utils.classroom import bundle, lessons
from course_utils.errors import CourseError

NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_QUIET": "1"}
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def tiny_wheel(folder, name, tag="py3-none-any", needs=()):
    """A wheel with one module that says `made = name`."""
    info = f"{name}-1.0.dist-info"
    texts = {
        f"{name}.py": f"made = {name!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    texts[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in texts) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as wheel:
        for path, text in texts.items():
            wheel.writestr(path, text)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A requirements file of one tiny wheel that needs another, and one in place of the course's own."""
    index = tmp_path / "index"
    index.mkdir()
    tiny_wheel(index, "tiny_first", needs=["tiny_second"])
    tiny_wheel(index, "tiny_second")
    for name, value in (NO_INDEX | {"PIP_FIND_LINKS": str(index)}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bundle, "_own_wheel", lambda root, wheels: tiny_wheel(wheels, "course_utils"))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("tiny_first==1.0\n", encoding="utf8")
    return requirements


def test_a_bundle_is_whole_and_installs_with_the_index_off(small, tmp_path):
    out = tmp_path / "a room" / "bundle"
    size = bundle.bundle(out, requirements=small, free=1e6)
    assert {path.name.split("-")[0] for path in (out / "wheels").iterdir()} == {
        "tiny_first",
        "tiny_second",
        "course_utils",
    }
    assert len(list((out / "notebooks").glob("*.ipynb"))) == len(list(lessons.folder().glob("*.ipynb")))
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    assert size == sum(path.stat().st_size for path in files.values())
    sums = dict(reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text().splitlines())
    assert sums == {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if name != "SHA256SUMS"
    }
    assert not list(out.parent.glob(".bundle-*"))

    moved = out.rename(tmp_path / "moved away")
    shutil.rmtree(tmp_path / "index")
    install(moved)
    code = "import tiny_first, tiny_second, course_utils; print(tiny_first.made, course_utils.made)"
    ran = run([moved / ".venv/bin/python", "-c", code], moved)
    assert ran.stdout.split() == ["tiny_first", "course_utils"]

    (moved / "notebooks" / "00_start_here.ipynb").write_text("changed", encoding="utf8")
    ran = subprocess.run(["sh", "install.sh"], cwd=moved, env=environment(), capture_output=True, text=True)
    assert ran.returncode != 0 and "00_start_here.ipynb" in ran.stdout + ran.stderr


def environment():
    """Without an index and without this process's packages."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return kept | NO_INDEX | {"PYTHON": sys.executable, "HF_HUB_OFFLINE": "1"}


def run(command, folder):
    return subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, text=True)


def install(folder):
    ran = run(["sh", "install.sh"], folder)
    assert "jupyter lab" in ran.stdout


def test_wheels_are_those_of_the_python_and_platform_asked(small, tmp_path):
    other = next(python for python in bundle.PYTHONS if python != THIS)
    digits = other.replace(".", "")
    tag = f"cp{digits}-cp{digits}-{bundle.TAGS[bundle._here()][1]}"
    tiny_wheel(tmp_path / "index", "tiny_third", tag=tag)
    small.write_text("tiny_third==1.0\n", encoding="utf8")
    bundle.bundle(tmp_path / "for another", python=other, requirements=small, free=1e6)
    assert list((tmp_path / "for another" / "wheels").glob(f"*-{tag}.whl"))
    assert f"Python {other} on" in (tmp_path / "for another" / "README.txt").read_text()
    with pytest.raises(CourseError, match="No matching distribution found for tiny_third"):
        bundle.bundle(tmp_path / "for this", requirements=small, free=1e6)
    assert not (tmp_path / "for this").exists() and not list(tmp_path.glob(".bundle-*"))


def test_what_is_refused(small, tmp_path, monkeypatch, capsys):
    assert commands.main(["class", "bundle", "--out", str(tmp_path / "x"), "--python", "3.9"]) == 1
    assert "3.11 3.12 3.13" in capsys.readouterr().err
    with pytest.raises(CourseError, match="win_amd64"):
        bundle.bundle(tmp_path / "x", platform="amiga")
    foreign = "win_amd64" if sys.platform != "win32" else "linux_x86_64"
    with pytest.raises(CourseError, match=f"a bundle for {foreign} has to be made on such a system"):
        bundle.bundle(tmp_path / "x", platform=foreign)
    with pytest.raises(CourseError, match=r"GB free; a bundle needs up to 1000000 GB"):
        bundle.bundle(tmp_path / "x", requirements=small, free=1e15)
    with pytest.raises(CourseError, match="is there already"):
        bundle.bundle(tmp_path, requirements=small)
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(not os.environ.get("COURSE_BUNDLE"), reason="gigabytes: make class-test runs it")
def test_the_whole_bundle_installs_with_the_index_off_and_runs_lesson_00(tmp_path, monkeypatch):
    out = tmp_path / "bundle"
    with monkeypatch.context() as patch:
        patch.delenv("PYTHONPATH")  # the tests' guard of the network: pip may download here, and only here
        assert commands.main(["class", "bundle", "--out", str(out)]) == 0
    install(out)
    runs_the_first_cells_of_lesson_00(out)


def runs_the_first_cells_of_lesson_00(folder):
    notebook = nbformat.read(folder / "notebooks" / "00_start_here.ipynb", as_version=4)
    code = [place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    notebook.cells = notebook.cells[: code[4] + 1]
    nbformat.write(notebook, folder / "first.ipynb")
    nbconvert = ["-m", "nbconvert", "--to", "notebook", "--execute", "--output", "ran.ipynb", "first.ipynb"]
    run([folder / ".venv/bin/python", *nbconvert], folder)
    ran = json.loads((folder / "ran.ipynb").read_text(encoding="utf8"))
    outputs = json.dumps([cell.get("outputs") for cell in ran["cells"]], ensure_ascii=False)
    assert "positive" in outputs and '"error"' not in outputs
    where = "import course_utils; print(course_utils.__file__)"
    installed = run([folder / ".venv/bin/python", "-c", where], folder).stdout.strip()
    assert pathlib.Path(installed).is_relative_to(folder / ".venv")
