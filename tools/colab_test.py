"""Run the lessons in an environment with Colab's versions, each as a learner there would.

`make test-colab`, or `make test-colab LESSONS="01 04"`. It makes the environment (.venv-colab, once) with
what `tools/colab/constraints.txt` says, and without `course_utils`. Then each lesson is copied alone into an
empty folder and run, with a stub of `google.colab`; its setup cell installs `course_utils` from this
checkout's last commit, by a `file://` address. A lesson fails if a cell does, if a claim is not made, if an
error on purpose is another one, if the setup cell starts anything when it is run again, or if the version of
torch, transformers, datasets or numpy changed. At the end the setup cell has to find an uploaded wheel and
an uploaded zip.

There is no GPU and no hub in it: `tools/colab/constraints.txt` says what else differs from Colab. It needs
the network to install, and takes about half an hour on two cores.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
COLAB = ROOT / "tools" / "colab"
ENVIRONMENT = ROOT / ".venv-colab"
PYTHON = str(ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
STAMP = ENVIRONMENT / "colab.stamp"
INSTALLED = ("course_utils", "pyproject.toml", "README.md", "LICENSE")  # what the package is made of


def make_environment():
    """Make .venv-colab with this Python and what constraints.txt says, unless it is there."""
    wanted = sys.version + (COLAB / "constraints.txt").read_text(encoding="utf8")
    if STAMP.exists() and STAMP.read_text(encoding="utf8") == wanted:
        return
    print("installing Colab's versions into .venv-colab (a few minutes)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    pip("install", "-r", str(COLAB / "constraints.txt"))
    STAMP.write_text(wanted, encoding="utf8")


def pip(*words):
    subprocess.run([PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", *words], check=True)


def git(*words):
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def passes(path, source, *words):
    """Run the lesson in `path` with the course from `source`, which prints a line; whether it went well."""
    pip("uninstall", "--quiet", "--yes", "course_utils")
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("COURSE_", "PYTHON"))
    }
    environment["HF_HUB_OFFLINE"] = "1"  # the same run everywhere, with and without a hub
    environment["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the kernel's debugger warns otherwise
    command = [PYTHON, str(ROOT / "tools" / "colab_lesson.py"), str(path), source, *words]
    return subprocess.run(command, env=environment).returncode == 0


def main(numbers):
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    if unknown := set(numbers) - {path.name[:2] for path in paths}:
        raise SystemExit(f"no lesson {', '.join(sorted(unknown))}")
    paths = [path for path in paths if not numbers or path.name[:2] in numbers]
    make_environment()
    if git("status", "--porcelain", "--", *INSTALLED):
        print("course_utils has changes that are not committed: they are not tested here")
    failed = [path.name for path in paths if not passes(path, ROOT.as_uri())]
    with tempfile.TemporaryDirectory() as folder:
        zipped = pathlib.Path(folder, "pytorch-hf-course-main.zip")  # as GitHub's Download ZIP
        git("archive", "--prefix=pytorch-hf-course-main/", f"--output={zipped}", "HEAD")
        pip("wheel", "--no-deps", "--wheel-dir", folder, f"git+{ROOT.as_uri()}")
        for file in (zipped, *pathlib.Path(folder).glob("*.whl")):
            print(f"setup cell with {file.name} beside it, ", end="", flush=True)
            if not passes(paths[0], str(file), "setup"):
                failed.append(file.name)
    if failed:
        raise SystemExit(f"FAILED: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
