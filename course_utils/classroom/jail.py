"""Run a student's notebook where it can harm nothing: in bubblewrap, with limits, on a folder of its own.

Inside there are the system's programs, Python and its packages, read-only, and the course without its
solutions; no network, no other process, no home, no other file of this machine.
"""

import compileall
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import IO

import psutil

import course_utils
from course_utils.classroom import travel
from course_utils.classroom.agent import STATES
from course_utils.classroom.judge import Judge
from course_utils.errors import CourseError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/fonts", "/etc/ld.so.cache")
PASSED_ON = ("COURSE_SEED", "LANG", "LC_ALL")
EMPTY = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
LESSON_FREE = ("__init__.py", "agent.py", "kernels.py", "travel.py")  # of this package, what the jail gets


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one submission may use."""

    seconds: int = 180  # in all: an honest notebook takes 10 to 20 on an idle machine
    cell_seconds: int = 60
    memory: int = 4_000_000_000  # bytes, of all its processes together
    processes: int = 120  # threads not counted
    files: int = 500
    disk: int = 100_000_000  # bytes


def bubblewrap() -> str | None:
    """The path of `bwrap` if it is installed and may make its namespaces here."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    test = [program, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    return program if subprocess.run(test, capture_output=True, timeout=30).returncode == 0 else None


def prepare(judge: Judge, folder: pathlib.Path) -> None:
    """Put into `folder` the course as the jail may see it: one lesson's inputs, no reference, no notebook."""
    package = pathlib.Path(course_utils.__file__).parent
    copy = folder / "course_utils"

    def left_out(where, names):
        here = pathlib.Path(where)
        if here == package / "exercises":
            return [name for name in names if name != "__init__.py"]
        if here == package / "classroom":
            return [name for name in names if name not in LESSON_FREE]
        return [name for name in names if name == "__pycache__"]

    shutil.copytree(package, copy, ignore=left_out)
    name = judge.module.__name__.rpartition(".")[2]
    (copy / "exercises" / f"{name}.py").write_text(judge.stripped, encoding="utf8")
    checks = copy / "checks" / "__init__.py"
    text = checks.read_text(encoding="utf8")
    checks.write_text(text.replace("checks.feedback import check", "classroom.agent import check"), "utf8")
    travel.write_tree(copy / "classroom" / STATES, judge.states())
    compileall.compile_dir(copy, quiet=2)


def trial(course: pathlib.Path, limits: Limits, bwrap: str | None) -> None:
    """Run a notebook without cells, so that no student is marked down for a jail that starts nothing.

    Raises `CourseError` with the last line of what went wrong if it does not come to its end.
    """
    with tempfile.TemporaryDirectory(prefix="class-") as folder, tempfile.TemporaryFile() as errors:
        out, notebook = pathlib.Path(folder, "out"), pathlib.Path(folder, "notebook.ipynb")
        out.mkdir()
        notebook.write_text(EMPTY, encoding="utf8")
        stopped = run(course, notebook, out, limits, bwrap, errors)
        ended = out / "ended.txt"
        why = ended.read_text(encoding="utf8") if ended.is_file() else None
        if not stopped and why == "":
            return
        errors.seek(0)
        said = errors.read().decode("utf8", "replace").strip().splitlines() or ["no message"]
        raise CourseError(
            f"an empty notebook does not run where submissions are to run ({stopped or why or said[-1]}): "
            "nothing was marked. Type  python -m course_utils doctor"
        )


def run(
    course: pathlib.Path,
    notebook: pathlib.Path,
    out: pathlib.Path,
    limits: Limits,
    bwrap: str | None,
    errors: IO[bytes] | int = subprocess.DEVNULL,
) -> str:
    """Run `notebook`; what it hands in and shows comes into `out`. The answer: "", or why it was stopped.

    `course` is what `prepare` made, `bwrap` what `bubblewrap` answered: None runs a plain process. What that
    process says on its stderr goes to the file `errors`.
    """
    command = _jailed(bwrap, course, notebook, out) if bwrap else _plain(course, notebook, out)
    command += [str(limits.cell_seconds), str(limits.memory)]
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp" if bwrap else str(out),
        "TMPDIR": "/tmp" if bwrap else str(out),
        "USER": "student",
        "PYTHONPATH": os.pathsep.join(["/course" if bwrap else str(course), *_site_packages()]),
        "COURSE_HANDED_IN": "/out" if bwrap else str(out),
        "COURSE_PROGRESS": "off",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=nothing,
        stdout=nothing,
        stderr=errors,
        start_new_session=True,
        cwd=out,
    )
    seen: set[psutil.Process] = set()
    try:
        return _watch(process, out, limits, seen)
    finally:
        _end(process, out, seen)


def _site_packages() -> list[str]:
    """The folders of installed packages, without any checkout of the course."""
    return [path for path in dict.fromkeys(map(os.path.realpath, sys.path)) if path.endswith("-packages")]


def _jailed(bwrap, course, notebook, out):
    python = os.path.realpath(sys.executable)
    folders = sorted({os.path.realpath(sys.base_prefix), *_site_packages()} - {"/usr"})
    command = [bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]
    command += ["--cap-drop", "ALL", "--new-session", "--die-with-parent", "--hostname", "jail"]
    # What is mounted later lies above: Python and its packages may stand below /tmp, or the course's copy.
    command += ["--size", "268435456", "--tmpfs", "/tmp"]
    for path in [*filter(os.path.exists, SYSTEM), *folders]:
        command += (
            ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind", path, path]
        )
    for path in [*folders, *_site_packages()]:  # an installed course has its references with it
        for package in [pathlib.Path(path), *pathlib.Path(path).glob("lib/python*/site-packages")]:
            if (package / "course_utils").is_dir():
                command += ["--tmpfs", str(package / "course_utils")]
    command += ["--proc", "/proc", "--dev", "/dev", "--size", "67108864", "--tmpfs", "/dev/shm"]
    command += ["--ro-bind", str(course), "/course", "--ro-bind", str(notebook), "/in/notebook.ipynb"]
    command += ["--bind", str(out), "/out", "--chdir", "/tmp"]
    command += ["--remount-ro", "/dev", "--remount-ro", "/"]
    return [*command, python, "-m", "course_utils.classroom.agent", "/in/notebook.ipynb"]


def _plain(course, notebook, out):
    return [os.path.realpath(sys.executable), "-m", "course_utils.classroom.agent", str(notebook)]


def _watch(process, out, limits, seen) -> str:
    """Wait until the process ends or goes beyond a limit; `seen` gets every process that it had."""
    end = time.monotonic() + limits.seconds
    while True:
        try:
            process.wait(0.5)
            return ""
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() > end:
            return f"stopped after {limits.seconds} seconds"
        below = _below(process.pid)
        seen.update(below)
        if len(below) > limits.processes:
            return f"stopped at more than {limits.processes} processes"
        if sum(map(_memory, below)) > limits.memory:
            return f"stopped at more than {limits.memory / 1e9:g} GB of memory"
        if _too_full(out, limits):
            return f"stopped at more than {limits.disk / 1e6:g} MB or {limits.files} files"


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:  # it has just ended
        return []


def _memory(process: psutil.Process) -> int:
    """The bytes that it shares with no other process."""
    try:
        memory = process.memory_info()
    except psutil.Error:
        return 0
    return memory.rss - getattr(memory, "shared", 0)


def _too_full(out: pathlib.Path, limits: Limits) -> bool:
    """Whether more is in `out` than may be, or a folder in which nobody can look."""
    files, size, folders = 0, 0, [str(out)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # just removed
                        size += entry.stat(follow_symlinks=False).st_size
                    files += 1
                    if files > limits.files or size > limits.disk:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:  # a path that is too long, or no permission: made to hide something
            return True
    return False


def _end(process, out, seen):
    """End everything that `process` started: the first process of its namespace takes all others with it."""
    for child in seen.union(_below(process.pid)):
        with contextlib.suppress(psutil.Error):
            child.kill()
    process.kill()
    process.wait()
    for other in psutil.process_iter():  # without a namespace: what made itself independent
        with contextlib.suppress(psutil.Error):
            if other.environ().get("COURSE_HANDED_IN") == str(out):
                other.kill()


def name_is_safe(name: str) -> bool:
    """Whether a student's or an assignment's name is a plain folder name."""
    return bool(re.fullmatch(r"[\w][\w .@+-]*", name)) and ".." not in name
