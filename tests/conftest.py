"""The whole run happens with the network off, and leaves no new file in the repository."""

import importlib.util
import os
import pathlib
import subprocess
import tempfile

import pytest

OFFLINE = pathlib.Path(__file__).parent / "offline"

# Before anything imports huggingface_hub, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"
# Before anything imports torch: its threads wait for one another in a short loop, as under setup().
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.pop("COURSE_CHECKPOINT", None)  # it would change what the lessons print
os.environ["COURSE_PROGRESS"] = "off"  # nobody's file is written, and no output depends on one
# For every Python that a test starts, and, just below, for this one.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")]))
WORKER = "PYTEST_XDIST_WORKER" in os.environ  # one of the processes that share the work of one run
if WORKER:
    LOG = os.environ["COURSE_NETWORK_LOG"]  # the run's, and the run looks at it
else:
    _handle, LOG = tempfile.mkstemp(prefix="course_network_", suffix=".log")
    os.close(_handle)
    os.environ["COURSE_NETWORK_LOG"] = LOG
_spec = importlib.util.spec_from_file_location("course_offline", OFFLINE / "sitecustomize.py")
_spec.loader.exec_module(importlib.util.module_from_spec(_spec))

before = pytest.StashKey[set]()
complaints = pytest.StashKey[list]()


def new_files(root):
    """The files under `root` that git neither tracks nor ignores; none if it is not a git checkout."""
    try:
        status = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=all"],
            capture_output=True,
            text=True,
            encoding="utf8",
        )
    except FileNotFoundError:  # no git
        return set()
    return {line[3:] for line in status.stdout.splitlines() if line.startswith("?? ")}


def pytest_sessionstart(session):
    session.config.stash[before] = new_files(session.config.rootpath)


def pytest_sessionfinish(session):
    if WORKER:
        return
    found = []
    with open(LOG, encoding="utf8") as file:
        found += [f"the network was asked for by {line.strip()}" for line in file]
    os.remove(LOG)
    left = new_files(session.config.rootpath) - session.config.stash.get(before, set())
    found += [f"a new file was left in the repository: {name}" for name in sorted(left)]
    session.config.stash[complaints] = found
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for complaint in config.stash.get(complaints, []):
        terminalreporter.write_line(f"FAILED {complaint}", red=True)
