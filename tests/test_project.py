"""The project's own files agree with one another: versions, address, README, Makefile, CI."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib

import lessons
import pytest
from packaging.requirements import Requirement

import notebooks
from course_utils import python_version

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]


def read(name):
    return (ROOT / name).read_text(encoding="utf8")


def pins(name):
    """{package: version} of a requirements file; fails on a line that is not an exact pin with its reason."""
    found = {}
    for line in read(name).splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([\w-]+)==([\w.]+) +# .{10,}", line)
            assert match, f"{name}: not an exact pin with a word on what needs it: {line}"
            found[match[1]] = match[2]
    return found


def test_every_pin_lies_in_the_range_of_pyproject():
    names = ("requirements.txt", "requirements-class.txt", "requirements-book.txt")
    exact = {package: version for name in names for package, version in pins(name).items()}
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    for requirement in map(Requirement, PROJECT["dependencies"] + extras):
        if requirement.name == "ipython":  # comes with jupyterlab; the range is for Colab
            continue
        assert requirement.specifier.contains(exact[requirement.name]), requirement


@pytest.mark.parametrize(
    "package, colab",
    [("torch", "2.11.0"), ("transformers", "5.15.0"), ("datasets", "4.0.0"), ("ipython", "7.34.0")],
)
def test_the_ranges_admit_what_colab_brings(package, colab):
    (requirement,) = [r for r in map(Requirement, PROJECT["dependencies"]) if r.name == package]
    assert requirement.specifier.contains(colab)


def test_the_tests_pins_are_exact_and_not_repeated():
    assert not set(pins("tests/requirements.txt")) & set(pins("requirements.txt"))


def test_the_pins_are_what_is_installed():
    import importlib.metadata

    for package, version in (pins("requirements.txt") | pins("tests/requirements.txt")).items():
        assert importlib.metadata.version(package).split("+")[0] == version, package


def test_conda_reads_the_same_requirements():
    text = read("environment.yml")
    assert "- -r requirements.txt" in text and "==" not in text


def test_the_address_stands_where_publish_writes_it_and_nowhere_else():
    address = notebooks.repository()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    holders = [
        name
        for name in tracked.splitlines()
        if name.endswith((".py", ".md", ".toml", ".yml", ".txt", "Makefile"))
        and (address or f"/{notebooks.UNSET}/") in read(name)
    ]
    assert holders == (["README.md", "pyproject.toml"] if address else ["pyproject.toml"])


def test_python_versions_agree():
    lowest, highest = python_version.LOWEST, python_version.HIGHEST
    assert PROJECT["requires-python"] == f">={lowest[0]}.{lowest[1]},<{highest[0]}.{highest[1] + 1}"
    versions = [f"{lowest[0]}.{minor}" for minor in range(lowest[1], highest[1] + 1)]
    assert str(versions).replace("'", '"') in read(".github/workflows/test.yml")


def test_the_readme_lists_every_lesson_with_its_title_and_link():
    text = read("README.md")
    for path in lessons.paths():
        title = lessons.read(path).cells[0].source.splitlines()[0].removeprefix(f"# {path.name[:2]} · ")
        assert f"| {path.name[:2]} | [{title}](notebooks/{path.name}) |" in text


def test_what_readme_and_contributing_point_to_exists():
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", read(name)):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{name}: {target}"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no make")
def test_the_commands_of_readme_and_contributing_are_in_the_makefile():
    commands = set(re.findall(r"make (\w[\w-]*)", read("README.md") + read("CONTRIBUTING.md")))
    commands = {
        command for command in commands if f"`make {command}" in read("README.md") + read("CONTRIBUTING.md")
    }
    assert {"lab", "test", "notebooks"} <= commands
    for command in commands:
        plan = subprocess.run(["make", "--dry-run", command], cwd=ROOT, capture_output=True, text=True)
        assert plan.returncode == 0, plan.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no make")
def test_make_refuses_a_wrong_python_before_it_installs_anything(tmp_path):
    old = tmp_path / "python3.10"
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 10, 0); '
        'exec(open(sys.argv[1]).read())" "$@"\n'
    )
    old.chmod(0o755)
    command = ["make", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}", "lab"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13, and this is 3.10" in refused.stderr
    assert "make lab PYTHON=python3.12" in refused.stderr
    assert not (tmp_path / "venv").exists()


def test_this_python_is_let_through():
    script = str(ROOT / "course_utils" / "python_version.py")
    passed = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert (passed.returncode, passed.stdout, passed.stderr) == (0, "", "")


def test_the_style_is_clean():
    for command in (["check"], ["format", "--check"]):
        ruff = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
        )
        assert ruff.returncode == 0, ruff.stdout


def test_the_readmes_table_has_the_costs_of_the_lessons_own_cards():
    cost = re.compile(
        r"(\d+) min for the core, (\d+) min for what goes deeper; (\d+) s to run on two cores, ([\d.]+) GB"
    )
    for lesson in map(lessons.read, lessons.paths()):
        core, deeper, seconds, memory = cost.search(lesson.cells[1].source).groups()
        (row,) = [line for line in read("README.md").splitlines() if line.startswith(f"| {lesson.number} |")]
        assert row.endswith(f"| {core} min | {deeper} min | {seconds} s | {memory} GB |"), row
