"""What a learner has tried and passed: one small file in the user's data folder, never an answer's text.

The file is `progress.json`; what `python -m course_utils progress --export FILE` writes has the same form:

    {
      "format": 1,
      "exercises": {
        "4.2": {
          "attempts": 3,                         how often an answer was judged
          "failed": 0,                           how many of these failed since the last right one
          "first": "2026-11-02T09:14:03+00:00",  the first and the last attempt, in UTC
          "last": "2026-11-02T09:31:40+00:00",
          "passed": "2026-11-02T09:31:40+00:00", the first right one, or null
          "mistakes": {"This is what you get without the factor ½.": 2}
        }
      }
    }

`mistakes` has the explanations that the check gave, and how often.
"""

import collections
import contextlib
import datetime
import hashlib
import itertools
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator

from course_utils.errors import CourseError

NAME = "pytorch-hf-course"  # of the folder
FILE = "progress.json"
FORMAT = 1
WAIT = 1  # seconds for another kernel to finish writing
LARGEST = 5_000_000  # bytes; with every mistake of the course made once it is a twentieth of that
DRIVE = pathlib.Path("/content/drive/MyDrive")  # where Colab mounts a user's Google Drive
_in_memory: dict[str, int] = {}  # attempts of this kernel that failed in a row, for where nothing is kept


def folder() -> pathlib.Path | None:
    """Where progress is kept; None if it is off.

    The variable COURSE_PROGRESS names a folder, or is "off". Without it: on Colab with Drive mounted a folder
    there, which the next runtime finds again; elsewhere one where this system keeps a user's data. What was
    noted there before Drive was mounted is added to what Drive has, and then deleted.

    Source: https://platformdirs.readthedocs.io
    """
    named = os.environ.get("COURSE_PROGRESS")
    if named and named.lower() == "off":
        return None
    if named:
        return pathlib.Path(named).expanduser()
    if _on_colab() and os.path.isdir(DRIVE):
        return DRIVE / NAME
    return _user_folder()


def _user_folder():
    from platformdirs import user_data_path

    return user_data_path(NAME, appauthor=False)


def _on_colab():
    # A program that a notebook starts with ! has the variable, and not the module.
    return "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ


def read() -> dict[str, dict]:
    """The attempts at every exercise, {"4.2": {"attempts": 3, ...}}, as above; empty if there are none.

    Raises `CourseError` if there is a file that cannot be read, or that is not one of this course.
    """
    place = folder()
    if place is None:
        return {}
    if place.is_relative_to(DRIVE):
        with contextlib.suppress(OSError), _locked(place):  # it takes over what is not there yet
            pass
    return _load(place / FILE)


def _load(path):
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST // 1_000_000} MB")
        found = json.loads(path.read_text(encoding="utf8"))
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r}, and not {FORMAT}")
        return {number: _checked(entry) for number, entry in found["exercises"].items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CourseError(
            f"{path} cannot be read ({error.strerror}): name another folder in COURSE_PROGRESS."
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CourseError(
            f"{path} is not a file of this course's progress ({type(error).__name__}: {error}). Type  "
            "python -m course_utils progress --reset  to begin anew; the file is kept under another name."
        ) from None


def _checked(entry):
    return {
        "attempts": int(entry["attempts"]),
        "failed": int(entry["failed"]),
        "first": str(entry["first"]),
        "last": str(entry["last"]),
        "passed": None if entry["passed"] is None else str(entry["passed"]),
        "mistakes": {str(text): int(count) for text, count in entry["mistakes"].items()},
    }


def record(number: str, passed: bool, mistake: str = "") -> int:
    """Note an attempt at the exercise `number` ("4.2"); how many have failed since the last right one.

    `mistake` is the explanation that was given, "" if none was. Raises nothing, waits for a second at most:
    where nothing can be kept (COURSE_PROGRESS=off, a full disk, a file that is not this course's), what is
    there stays as it is, and this kernel counts for itself.
    """
    _in_memory[number] = 0 if passed else _in_memory.get(number, 0) + 1
    try:
        place = folder()
        if place is None:
            return _in_memory[number]
        with _locked(place):
            exercises = _load(place / FILE)
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            fresh = {"attempts": 0, "failed": 0, "first": now, "last": now, "passed": None, "mistakes": {}}
            entry = exercises.setdefault(number, fresh)
            entry["attempts"] += 1
            entry["failed"] = 0 if passed else entry["failed"] + 1
            entry["last"] = now
            if passed and entry["passed"] is None:
                entry["passed"] = now
            if mistake:
                entry["mistakes"][mistake] = entry["mistakes"].get(mistake, 0) + 1
            _write(place / FILE, exercises)
            return entry["failed"]
    except Exception:  # whatever is wrong with a disk, the learner has asked about an answer
        return _in_memory[number]


@contextlib.contextmanager
def _locked(place) -> Iterator[None]:
    """A block that only one process at a time is in; the folder is made if need be."""
    from filelock import FileLock

    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Drive cannot lock; all kernels of a runtime share its temporary folder.
    on_drive = place.is_relative_to(DRIVE)
    lock = pathlib.Path(tempfile.gettempdir()) / f"{NAME}.lock" if on_drive else place / "progress.lock"
    with FileLock(lock, timeout=WAIT, poll_interval=0.01):
        if on_drive:
            _take_over(place)
        yield


def _take_over(place):
    """Add what this runtime noted before Drive was mounted to what Drive has, and delete it here.

    Interrupted between the two, it adds nothing twice: the file on Drive says what it has taken over.
    """
    local = _user_folder()
    if not (local / FILE).exists():
        return
    with contextlib.suppress(CourseError, OSError), _locked(local):
        mark = hashlib.sha256((local / FILE).read_bytes()).hexdigest()
        fresh, exercises = _load(local / FILE), _load(place / FILE)
        if not exercises or json.loads((place / FILE).read_text(encoding="utf8")).get("taken_over") != mark:
            for number, entry in fresh.items():
                exercises[number] = _together(exercises[number], entry) if number in exercises else entry
            _write(place / FILE, exercises, taken_over=mark)
        (local / FILE).unlink()


def _together(one, other):
    """Two entries of an exercise as one."""
    early, late = sorted((one, other), key=lambda entry: entry["last"])
    passed = [entry["passed"] for entry in (one, other) if entry["passed"] is not None]
    mistakes = collections.Counter(early["mistakes"])
    mistakes.update(late["mistakes"])
    return {
        "attempts": early["attempts"] + late["attempts"],
        "failed": late["failed"] + (early["failed"] if late["passed"] is None else 0),
        "first": min(early["first"], late["first"]),
        "last": late["last"],
        "passed": min(passed, default=None),
        "mistakes": dict(mistakes),
    }


def _write(path, exercises, **more):
    """Written beside and renamed, so that whatever interrupts this leaves a whole file."""
    beside = path.with_name(f"{path.name}.part")
    try:
        with open(beside, "w", encoding="utf8", opener=_for_the_user_alone) as file:
            # dumps, since dump is ten times slower
            file.write(json.dumps({"format": FORMAT, "exercises": exercises} | more, ensure_ascii=False))
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _for_the_user_alone(path, flags):
    return os.open(path, flags, 0o600)


def reset() -> pathlib.Path | None:
    """Begin anew: what was kept gets another name, which is given; None if there was nothing.

    Raises `CourseError` if progress is off, or if the folder cannot be written.
    """
    place = _kept_somewhere()
    try:
        if not (place / FILE).exists():
            return None
        with _locked(place):
            stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
            names = (place / f"progress_until_{stamp}_{count}.json" for count in itertools.count(1))
            kept = next(name for name in names if not name.exists())
            os.replace(place / FILE, kept)
    except TimeoutError:
        raise CourseError(f"{place} is in use by another program: try once more.") from None
    except OSError as error:
        raise CourseError(f"{place} cannot be written ({error.strerror}).") from None
    _in_memory.clear()
    return kept


def export(path: str | os.PathLike) -> int:
    """Write what is kept to the new file `path`, in the form above; the number of exercises in it.

    Raises `CourseError` if progress is off or cannot be read, if there is such a file, or if it cannot be
    written.
    """
    _kept_somewhere()
    path, exercises = pathlib.Path(path), read()
    if path.exists():
        raise CourseError(f"{path} exists, and is not overwritten: name another file.")
    try:
        _write(path, exercises)
    except OSError as error:
        raise CourseError(f"{path} cannot be written ({error.strerror}): name another file.") from None
    return len(exercises)


def _kept_somewhere():
    place = folder()
    if place is None:
        raise CourseError("Progress is off: unset COURSE_PROGRESS, or name a folder in it.")
    return place


def unwritable() -> str:
    """Why progress cannot be kept here, and what to type; "" if it can, or if it is off."""
    place = "the user's data folder"
    try:
        place = folder()
        if place is None:
            return ""
        with _locked(place), tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(4096))
        _load(place / FILE)
    except CourseError as error:
        return str(error)
    except Exception as error:
        why = getattr(error, "strerror", None) or error
        return f"progress cannot be kept in {place} ({why}): name another folder in COURSE_PROGRESS"
    return ""
