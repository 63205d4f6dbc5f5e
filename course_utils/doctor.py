"""What is right and wrong with this machine, and what to type: `python -m course_utils doctor`."""

import importlib.metadata
import os
import pathlib
import sys

from course_utils import checkpoints, data, environment, hub
from course_utils.errors import CourseError
from course_utils.python_version import problem


def doctor() -> int:
    """Print one line a fact about this machine, each [ok], [warn] or [fail] with what to do.

    Returns the number of [fail] lines. `python -m course_utils doctor` exits with 1 if there are any.
    """
    fails = 0
    for status, fact in _all_facts():
        print(f"[{status}]{' ' * (5 - len(status))}{fact}", flush=True)
        fails += status == "fail"
    return fails


def _all_facts():
    """`_facts`, and where looking itself fails (a package's folder is gone, say) a fact about that."""
    try:
        yield from _facts()
    except Exception as error:
        again = "pip install --force-reinstall -r requirements.txt"
        yield "fail", f"looking further failed ({type(error).__name__}: {error}): type  {again}"


def _facts():
    """Yield a (status, fact) pair for everything that a bug report should say."""
    python = ".".join(map(str, sys.version_info[:3]))
    wrong = problem(sys.version_info[:2])
    yield ("fail", wrong) if wrong else ("ok", f"Python {python} ({environment.where()}, {sys.platform})")
    missing = False
    for status, fact in _package_facts():
        missing |= status == "fail"
        yield status, fact
    if missing:
        yield "warn", "device, precision, model and data were not looked at: install the packages first"
        return
    yield from _hardware_facts()
    if hub.reachable():
        yield "ok", "Hugging Face's hub answers"
    else:
        yield (
            "warn",
            "Hugging Face's hub does not answer: every lesson runs without it, on the embedded model",
        )
    yield from _file_facts()


def _package_facts():
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        yield "fail", "packaging is missing: type  pip install packaging"
        return
    try:
        requirements = importlib.metadata.requires("course-utils") or []
    except importlib.metadata.PackageNotFoundError:
        yield "fail", "course-utils is not installed: in the folder of the course, type  make lab"
        return
    for requirement in map(Requirement, requirements):
        name, allowed = requirement.name, requirement.specifier
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield "fail", f"{name} is missing: type  pip install '{name}{allowed}'"
            continue
        if allowed.contains(version, prereleases=True):
            yield "ok", f"{name} {version}"
        else:
            yield "fail", f"{name} {version} is outside {allowed}: type  pip install '{name}{allowed}'"


def _hardware_facts():
    import shutil

    try:
        import torch
    except Exception as error:  # installed, but broken: a library is missing, or another build's
        version = importlib.metadata.version("torch")
        yield "fail", f"torch does not start ({error}): type  pip install --force-reinstall torch=={version}"
        return
    chosen = environment.device()
    name = torch.cuda.get_device_name() if chosen.type == "cuda" else chosen.type
    try:
        dtype = str(environment.precision(chosen)).removeprefix("torch.")
        yield "ok", f"device: {name}; precision for training: {dtype}"
    except CourseError as error:  # COURSE_PRECISION
        yield "fail", str(error)
    cores = os.cpu_count() or 1
    yield (
        ("ok" if cores >= 2 else "warn"),
        f"{cores} processor cores, {torch.get_num_threads()} used by torch",
    )
    gigabytes = _memory_gigabytes()
    if gigabytes is not None:
        enough = gigabytes >= 4
        yield (
            ("ok" if enough else "warn"),
            f"{gigabytes:.1f} GB of memory" + ("" if enough else ": close others"),
        )
    free = shutil.disk_usage(".").free / 1e9
    enough = free >= 2
    yield (
        ("ok" if enough else "warn"),
        f"{free:.1f} GB of disk free" + ("" if enough else ": free at least 2 GB"),
    )


# Where Linux says how much memory a container may take, in its two versions of control groups.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def _memory_gigabytes():
    """The machine's memory, or what a container may take of it; None where neither is told."""
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError):  # Windows has no sysconf
        return None
    for path in LIMITS:
        try:
            sizes.append(int(pathlib.Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    return min(sizes) / 1e9


def _file_facts():
    named = os.environ.get("COURSE_CHECKPOINT", "")
    if named and named != checkpoints.EMBEDDED and not os.path.isdir(named) and not hub.reachable():
        yield (
            "fail",
            f"COURSE_CHECKPOINT is {named!r}, which is no folder, and the hub does not answer: "
            "type  unset COURSE_CHECKPOINT",
        )
    for what, find in (("embedded BERT", checkpoints.embedded), ("reviews", data.reviews_file)):
        try:
            yield "ok", f"{what} present, SHA-256 right: {os.path.basename(find())}"
        except CourseError as error:
            yield "fail", str(error)
