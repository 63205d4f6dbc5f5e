"""What is right and wrong with this machine, and what to type: `python -m course_utils doctor`."""

import importlib.metadata
import os
import sys

from course_utils import checkpoints, data, environment, hub
from course_utils.errors import CourseError
from course_utils.python_version import problem


def doctor():
    """Print one line a fact about this machine, each [ok], [warn] or [fail] with what to do.

    Returns the number of [fail] lines. `python -m course_utils doctor` exits with 1 if there are any.
    """
    fails = 0
    for status, fact in _facts():
        print(f"[{status}]{' ' * (5 - len(status))}{fact}", flush=True)
        fails += status == "fail"
    return fails


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
    except (ImportError, OSError) as error:  # installed, but broken: a library is missing, or another build's
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


def _memory_gigabytes():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError):  # Windows has no sysconf
        return None


def _file_facts():
    for what, find in (("embedded BERT", checkpoints.embedded), ("reviews", data.reviews_file)):
        try:
            yield "ok", f"{what} present, SHA-256 right: {os.path.basename(find())}"
        except CourseError as error:
            yield "fail", str(error)
