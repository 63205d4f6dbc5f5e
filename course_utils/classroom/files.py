"""Write a class's files: beside and renamed, and never over what a teacher has changed."""

import hashlib
import json
import os
import pathlib
import tempfile

from course_utils.errors import CourseError

RECORD = ".released.json"  # in the course's folder: {file: SHA-256 of what was written there}


def write(path: pathlib.Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` and make its folder; whoever reads meanwhile finds all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with open(handle, "w", encoding="utf8", newline="\n") as file:
            file.write(text)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def refuse_if_edited(course: pathlib.Path, *paths: pathlib.Path) -> None:
    """Raise `CourseError` if one of `paths` is there and is not as `write_recorded` left it."""
    record = _record(course)
    for path in paths:
        name = path.relative_to(course).as_posix()
        if path.exists() and _sha256(path.read_bytes()) != record.get(name):
            raise CourseError(
                f"{path} has been changed since it was released, and is left as it is. "
                "To have it made anew, rename it (or move it away) and type this again"
            )


def write_recorded(course: pathlib.Path, path: pathlib.Path, text: str) -> None:
    """`write`, and note in the course's record what was written. Raises as `refuse_if_edited` does."""
    refuse_if_edited(course, path)
    write(path, text)
    record = _record(course) | {path.relative_to(course).as_posix(): _sha256(text.encode())}
    write(course / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")


def _record(course):
    try:
        return json.loads((course / RECORD).read_text(encoding="utf8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise CourseError(
            f"{course / RECORD} is not JSON: delete it, rename the notebooks it was for"
        ) from None


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
