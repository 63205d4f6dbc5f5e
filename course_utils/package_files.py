"""Files that packages carry: found without importing the package, and used only if their SHA-256 is right."""

import contextlib
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
    with _explained(package, version) as install:
        paths = [file.locate() for file in _files(package) if file.as_posix().endswith(ending)]
        if len(paths) != 1 or not paths[0].is_file():
            raise CourseError(f"The package {package} lacks its file {ending}: type  {install}")
        _compare(ending, package, file_sha256(paths[0]), sha256, install)
    return str(paths[0])


@functools.cache
def package_folder(package: str, version: str, folder: str, sha256: str) -> dict[str, bytes]:
    """The text files (.txt) below a folder of an installed package: {path below the folder: its bytes}.

    The paths are sorted. The package's code is not imported. The files are read once a process.

    Raises `CourseError` if the package or the folder is missing or cannot be read, or if the SHA-256 of all
    paths and contents together, each as "path SHA-256-of-the-file" on a line, is not `sha256`; the message
    says what to type.
    """
    with _explained(package, version) as install:
        inside = [file for file in _files(package) if file.as_posix().startswith(folder + "/")]
        texts = {
            file.as_posix()[len(folder) + 1 :]: file.locate().read_bytes()
            for file in sorted(inside, key=lambda file: file.as_posix())
            if file.suffix == ".txt"
        }
        listed = "".join(f"{path} {hashlib.sha256(text).hexdigest()}\n" for path, text in texts.items())
        _compare(folder, package, hashlib.sha256(listed.encode()).hexdigest(), sha256, install)
    return texts


@contextlib.contextmanager
def _explained(package, version):
    """Gives the command that installs the package; an error inside becomes one that says to type it."""
    install = f"pip install --force-reinstall --no-deps {package}=={version}"
    try:
        yield install
    except importlib.metadata.PackageNotFoundError:
        raise CourseError(
            f"The package {package} is missing: type  pip install {package}=={version}"
        ) from None
    except (OSError, ValueError) as error:  # a file, or the list of files, is unreadable, or no text
        raise CourseError(f"The package {package} cannot be read ({error}): type  {install}") from None


def _files(package):
    return importlib.metadata.files(package) or []


def _compare(name, package, found, sha256, install):
    if found != sha256:
        raise CourseError(
            f"{name} of the package {package} is damaged, or not the version that the course uses: "
            f"its SHA-256 begins {found[:8]}, expected {sha256[:8]}. Type  {install}"
        )


def file_sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
