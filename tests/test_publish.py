"""Publishing: which addresses are taken, what is written where, and that a second time changes nothing."""

import re
import shutil
import subprocess
import sys
import tomllib

import lessons
import publish
import pytest

import notebooks

ADDRESS = "https://github.com/Some-Body/their.course"
NAMES = ("00_start_here.ipynb", "13_deployment.ipynb")


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/Some-Body/their.course",
        "https://github.com/Some-Body/their.course.git",
        "https://github.com/Some-Body/their.course/",
        "https://www.github.com/Some-Body/their.course",
        "https://name:secret@github.com/Some-Body/their.course.git",
        "git@github.com:Some-Body/their.course.git",
        "git@github.com:Some-Body/their.course",
        "ssh://git@github.com/Some-Body/their.course.git",
        "ssh://git@ssh.github.com:443/Some-Body/their.course.git",
    ],
)
def test_every_way_to_name_a_repository_on_github(text):
    assert publish.address_of(text) == ADDRESS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/home/somebody/course",
        "file:///home/somebody/course",
        "https://gitlab.com/somebody/course",
        "git@gitlab.com:somebody/course.git",
        "https://github.com.example.org/somebody/course",
        "https://example.org/github.com/somebody/course",
        "http://github.com/somebody/course",
        "https://github.com/somebody",
        "https://github.com/somebody/course/tree/main",
        'https://github.com/somebody/course"',
        "https://github.com/somebody/cou rse",
        "https://github.com/somebody/..",
        f"https://github.com/{notebooks.UNSET}/pytorch-hf-course",
        "https://github.com/somebody/course\n",
    ],
)
def test_anything_else_is_refused_with_what_to_type(text):
    with pytest.raises(SystemExit, match="repository on GitHub.* make publish ADDRESS=https://github.com/"):
        publish.address_of(text)


def test_a_refusal_shows_no_password():
    with pytest.raises(SystemExit) as error:
        publish.address_of("https://name:secret@gitlab.com/somebody/course")
    assert "gitlab.com/somebody" in str(error.value) and "secret" not in str(error.value)


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout of two lessons and the files that hold the address, with an origin and no address yet."""
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(notebooks.ROOT / name, tmp_path)
    text = (tmp_path / "pyproject.toml").read_text(encoding="utf8")
    unset = f'Repository = "https://github.com/{notebooks.UNSET}/pytorch-hf-course"'
    (tmp_path / "pyproject.toml").write_text(publish.PROJECT.sub(unset, text), encoding="utf8")
    (tmp_path / "notebooks").mkdir()
    for name in NAMES:
        shutil.copy(notebooks.FOLDER / name, tmp_path / "notebooks")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path / "notebooks")
    notebooks.write_addresses()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", "git@github.com:Some-Body/their.course.git")
    return tmp_path


def contents(folder):
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts
    }


def first_and_setup(project, name):
    cells = lessons.read(project / "notebooks" / name).cells
    return cells[0].source, cells[2].source


def test_before_it_the_lessons_say_in_words_how_to_open_them(project):
    assert notebooks.repository() is None
    for name in NAMES:
        first, setup = first_and_setup(project, name)
        assert notebooks.NO_BADGE in first and "colab-badge" not in first + setup
        assert notebooks.UNSET not in first + setup and "git+" not in setup


def test_it_takes_the_origin_writes_all_places_and_says_so(project, capsys):
    publish.main([])
    assert notebooks.repository() == ADDRESS
    for name in NAMES:
        first, setup = first_and_setup(project, name)
        link = f"https://colab.research.google.com/github/Some-Body/their.course/blob/main/notebooks/{name}"
        assert first.count("Open in Colab") == 1 and f"]({link})\n" in first
        assert notebooks.NO_BADGE not in first
        assert f'"git+{ADDRESS}"' in setup
    assert f"\ngit clone {ADDRESS} pytorch-hf-course\n" in (project / "README.md").read_text(encoding="utf8")
    printed = capsys.readouterr().out
    for what in ("pyproject.toml", "of 2 lessons", *NAMES, "README.md", "git diff"):
        assert what in printed


def test_a_second_time_changes_nothing_and_says_so(project, capsys):
    publish.main([])
    before = contents(project)
    capsys.readouterr()
    publish.main([])
    assert contents(project) == before
    assert capsys.readouterr().out == f"nothing to change: the address is {ADDRESS} everywhere\n"


def test_an_address_that_is_named_goes_before_the_origin_and_can_be_changed(project):
    publish.main([])
    publish.main(["https://github.com/another/course"])
    everything = b"".join(contents(project).values())
    assert notebooks.repository() == "https://github.com/another/course"
    assert b"Some-Body" not in everything and b"github/another/course/blob/main" in everything


def test_what_was_run_and_studied_stays(project):
    """Only the two cells' text and ids change: no output, no minutes, so that README's table stays true."""

    def rest(name):
        notebook = lessons.read(project / "notebooks" / name)
        return [
            (cell.source, cell.id, cell.get("outputs")) for cell in notebook.cells[1:2] + notebook.cells[3:]
        ]

    before = {name: rest(name) for name in NAMES}
    outputs = lessons.read(project / "notebooks" / NAMES[0]).cells[2].outputs
    publish.main([])
    assert {name: rest(name) for name in NAMES} == before
    assert lessons.read(project / "notebooks" / NAMES[0]).cells[2].outputs == outputs


def test_an_interrupted_run_is_finished_by_the_next(project, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(notebooks, "write_addresses", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish.main([])
    publish.main([])
    assert all(f"git+{ADDRESS}" in first_and_setup(project, name)[1] for name in NAMES)
    assert not list(project.rglob("*.new"))


@pytest.mark.parametrize("remotes", ["none", "a folder"])
def test_an_origin_that_tells_no_address_changes_nothing(project, remotes):
    git(project, "remote", "remove", "origin")
    if remotes == "a folder":
        git(project, "remote", "add", "origin", str(project.parent))
    before = contents(project)
    with pytest.raises(SystemExit, match=r"type  make publish ADDRESS=https://github\.com/OWNER/NAME"):
        publish.main([])
    assert contents(project) == before


def test_the_workflow_has_the_tests_nbformat_and_runs_the_tool():
    root = notebooks.ROOT
    workflow = (root / ".github" / "workflows" / "badges.yml").read_text(encoding="utf8")
    assert "python tools/publish.py" in workflow and "contents: write" in workflow
    pattern = re.search(r"--only-matching '(.*?)'", workflow)[1]
    assert re.search(pattern, (root / "tests" / "requirements.txt").read_text(encoding="utf8"), re.MULTILINE)


# As in the workflow: no course_utils is installed, and nothing but nbformat with what it needs.
WITH_NBFORMAT_ALONE = """
import importlib.metadata, re, sys
def plain(name):
    return re.sub("[-_.]+", "-", name).lower()
needed, left = set(), ["nbformat"]
while left:
    name = left.pop()
    if name not in needed:
        needed.add(name)
        requires = importlib.metadata.requires(name) or []
        left += [plain(re.match(r"[\\w.-]+", line)[0]) for line in requires if "extra ==" not in line]
homes = importlib.metadata.packages_distributions()
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in homes and name != "course_utils" and not needed & set(map(plain, homes[name])):
            raise ModuleNotFoundError(name)
sys.meta_path[:] = [Refuse(), *(found for found in sys.meta_path if "editable" not in repr(found))]
sys.path[:] = [place for place in sys.path if place not in ("", COURSE)]
import importlib.util, runpy
assert importlib.util.find_spec("course_utils") is None
sys.argv = [TOOL, ADDRESS]
sys.path.insert(0, TOOL.rpartition("/")[0])
runpy.run_path(TOOL, run_name="__main__")
"""


def test_it_runs_as_in_the_workflow_where_only_nbformat_is_installed(tmp_path):
    for folder in ("tools", "course_utils"):
        shutil.copytree(notebooks.ROOT / folder, tmp_path / folder)
    for name in ("pyproject.toml", "README.md", *(f"notebooks/{name}" for name in NAMES)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(notebooks.ROOT / name, tmp_path / name)
    names = {"COURSE": str(notebooks.ROOT), "TOOL": (tmp_path / "tools/publish.py").as_posix()}
    given = "".join(f"{name} = {value!r}\n" for name, value in (names | {"ADDRESS": ADDRESS}).items())
    command = [sys.executable, "-I", "-c", given + WITH_NBFORMAT_ALONE]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf8")
    assert run.returncode == 0, run.stderr
    assert f'Repository = "{ADDRESS}"' in (tmp_path / "pyproject.toml").read_text(encoding="utf8")


def test_the_readme_has_the_address_of_pyproject_or_none():
    project = tomllib.loads((notebooks.ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    (line,) = publish.CLONE.findall((notebooks.ROOT / "README.md").read_text(encoding="utf8"))
    address = project["urls"]["Repository"]
    assert line.split()[2] == ("ADDRESS" if f"/{notebooks.UNSET}/" in address else address)
