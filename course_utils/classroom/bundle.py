"""A folder with all that a room without internet needs: wheels, the lessons, a script that installs them."""

import hashlib
import os
import pathlib
import platform as system
import shutil
import subprocess
import sys
import sysconfig
import tempfile

from course_utils.classroom import files, lessons
from course_utils.errors import CourseError

PYTHONS = ("3.11", "3.12", "3.13")
# Bytes: a CUDA build of torch with its libraries, which pip takes on Linux unless told otherwise, twice,
# since pip keeps a copy meanwhile. With the CPU build a bundle has 0.7 GB.
FREE = 8e9
# What pip calls the systems that a wheel may be for, newest first; glibc 2.35 is Ubuntu 22.04's.
TAGS = {
    "linux_x86_64": [f"manylinux_2_{n}_x86_64" for n in range(35, 4, -1)]
    + ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"],
    "linux_aarch64": [f"manylinux_2_{n}_aarch64" for n in range(35, 16, -1)]
    + ["manylinux2014_aarch64", "linux_aarch64"],
    "macosx_arm64": [
        f"macosx_{n}_0_{kind}" for n in (15, 14, 13, 12, 11) for kind in ("arm64", "universal2")
    ],
    "win_amd64": ["win_amd64"],
}
SYSTEMS = {"Linux": "linux", "Darwin": "macosx", "Windows": "win"}

INSTALL_SH = """\
#!/bin/sh
# Makes the environment .venv in this folder out of the wheels beside this file. No network is used.
set -e
cd "$(dirname "$0")"
if command -v sha256sum >/dev/null; then sha256sum --quiet -c SHA256SUMS; else shasum -a 256 -c SHA256SUMS; fi
"${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --no-index --find-links wheels -r requirements.txt course-utils
echo "Next, type  .venv/bin/jupyter lab notebooks/00_start_here.ipynb"
"""
INSTALL_BAT = """\
@echo off
rem Makes the environment .venv in this folder out of the wheels beside this file. No network is used.
cd /d "%~dp0"
py -{python} -m venv .venv || exit /b 1
.venv\\Scripts\\python -m pip install --no-index --find-links wheels -r requirements.txt course-utils
if errorlevel 1 exit /b 1
echo Next, type  .venv\\Scripts\\jupyter lab notebooks\\00_start_here.ipynb
"""
README = """\
The course, for a room without internet. It needs Python {python} on {platform}, and nothing else.

1. Copy this folder to each machine, to a place where you may write.
2. Linux and macOS: type  sh install.sh  in it (another Python:  PYTHON=python{python} sh install.sh).
   Windows: double-click install.bat.
3. Type what the script says last; then  .venv/bin/python -m course_utils doctor  tells whether all is well.

SHA256SUMS lists every file; install.sh compares them before it installs.
"""


def bundle(
    out: pathlib.Path,
    python: str | None = None,
    platform: str | None = None,
    requirements: pathlib.Path | None = None,
    free: float = FREE,
) -> int:
    """Write the folder `out`, for Python `python` ("3.12") on `platform` ("linux_x86_64"); its size in bytes.

    pip downloads the wheels, with what its own configuration says of indexes: `PIP_EXTRA_INDEX_URL` takes
    torch's CPU build, for example. `requirements` is the course's `requirements.txt` unless given.

    Raises `CourseError` if `out` is there, with less than `free` bytes of disk, for a Python or platform that
    is not supported, for another operating system than this one (pip reads conditions such as
    `sys_platform == "win32"` of the machine it runs on), and where pip finds no wheel, with its words.
    """
    root = lessons.folder().parent
    requirements = requirements or root / "requirements.txt"
    here, this_python = _here(), f"{sys.version_info.major}.{sys.version_info.minor}"
    python, platform = python or this_python, platform or here
    if python not in PYTHONS or platform not in TAGS:
        raise CourseError(
            f"type  --python  one of {' '.join(PYTHONS)} and  --platform  one of {' '.join(TAGS)}"
        )
    if platform.split("_")[0] != here.split("_")[0]:
        raise CourseError(
            f"a bundle for {platform} has to be made on such a system, and this is {here}: "
            "pip decides here which packages a system needs"
        )
    out = out.absolute()
    if out.exists():
        raise CourseError(f"{out} is there already, and is left as it is: name another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    found = shutil.disk_usage(out.parent).free
    if found < free:
        raise CourseError(
            f"{out.parent} has {found / 1e9:.1f} GB free; a bundle needs up to {free / 1e9:.0f} GB"
        )
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".bundle-") as folder:
        part = pathlib.Path(folder) / "bundle"
        wheels = part / "wheels"
        wheels.mkdir(parents=True)
        target = []
        if (python, platform) != (this_python, here):
            target = [f"--python-version={python}", "--implementation=cp"]
            target += [f"--platform={tag}" for tag in TAGS[platform]]
        _pip(folder, "download", "--only-binary=:all:", *target, "--dest", wheels, "-r", requirements)
        _own_wheel(root, wheels)
        shutil.copytree(lessons.folder(), part / "notebooks", ignore=shutil.ignore_patterns(".*", "__*"))
        shutil.copy(requirements, part / "requirements.txt")
        shutil.copy(root / "LICENSE", part)
        files.write(part / "install.sh", INSTALL_SH)
        files.write(part / "install.bat", INSTALL_BAT.format(python=python))
        files.write(part / "README.txt", README.format(python=python, platform=platform))
        listed = sorted(path for path in part.rglob("*") if path.is_file())
        sums = "".join(f"{_sha256(path)}  {path.relative_to(part).as_posix()}\n" for path in listed)
        files.write(part / "SHA256SUMS", sums)
        part.rename(out)
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def _here():
    machine = sysconfig.get_platform().replace("-", "_").split("_", 1)[1]
    name = SYSTEMS.get(system.system(), "?")
    return f"{name}_{machine.split('_')[-1]}" if name == "macosx" else f"{name}_{machine}"


def _own_wheel(root, wheels):
    """Build the course's own wheel from a copy: setuptools writes into the folder that it builds."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(root / name, folder)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / "course_utils", pathlib.Path(folder) / "course_utils", ignore=ignored)
        _pip(folder, "wheel", "--no-deps", "--wheel-dir", wheels, folder)


def _pip(scratch, *arguments):
    """Run pip; what it keeps for a while, it keeps in the folder `scratch`: `/tmp` may be small."""
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    environment = os.environ | {"PIP_QUIET": "1", "TMPDIR": str(scratch), "TEMP": str(scratch)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise CourseError(
            f"pip {arguments[0]} failed, and nothing is written. It said:\n{ended.stderr[-3000:]}"
        )


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
