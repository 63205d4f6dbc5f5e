"""Write the address of the course's repository to all places that need it, and say what changed.

`make publish` takes it from the checkout's `origin`; `make publish ADDRESS=https://github.com/YOU/your-fork`
names another. The places are `pyproject.toml`, the badge line and the setup cell of every lesson, and
README.md's line with `git clone`. No lesson is run, and a second run changes nothing.
"""

import pathlib
import re
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))  # it need not be installed

import notebooks

# https://github.com/owner/name (also with .git, a slash, a name and a password), git@github.com:owner/name
GITHUB = re.compile(
    r"(?:https://(?:[^/@\s]+@)?(?:www\.)?|(?:ssh://)?git@|ssh://git@ssh\.)github\.com(?::\d+)?[:/]"
    r"([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)/([A-Za-z0-9_.-]*?[A-Za-z0-9_-])(?:\.git)?/?"
)
PROJECT = re.compile(r'^Repository = ".*"$', re.MULTILINE)
CLONE = re.compile(r"^git clone .*$", re.MULTILINE)
TYPE = "type  make publish ADDRESS=https://github.com/OWNER/NAME  with the names of your repository"


def origin(folder):
    """What the checkout in `folder` has as its `origin`.

    Raises `SystemExit`, saying what to type, if it has none or is no checkout.
    """
    command = ["git", "-C", str(folder), "remote", "get-url", "origin"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        raise SystemExit(f"this folder has no git origin that says where the course is: {TYPE}") from None


def address_of(text):
    """The address `https://github.com/owner/name` of what git calls `text`, without what logs one in.

    Raises `SystemExit`, saying what to type, for anything that is not a repository on GitHub: Colab opens
    lessons from there alone.
    """
    found = GITHUB.fullmatch(text)
    if not found or found[1] == notebooks.UNSET:
        shown = re.sub(r"//[^/@\s]+@", "//", text)  # no password on the screen
        raise SystemExit(f"Colab's badges need a repository on GitHub, and {shown!r} is none: {TYPE}")
    return f"https://github.com/{found[1]}/{found[2]}"


def publish(address):
    """Write `address` into the project and its lessons; a line for each thing that changed."""
    changed = []
    project, readme = notebooks.ROOT / "pyproject.toml", notebooks.ROOT / "README.md"
    text = project.read_text(encoding="utf8")
    if notebooks.write_text(project, PROJECT.sub(f'Repository = "{address}"', text)):
        changed.append(f"pyproject.toml: the repository is {address}")
    if lessons := notebooks.write_addresses():
        changed.append(f"badge line and setup cell of {len(lessons)} lessons: {', '.join(lessons)}")
    text = readme.read_text(encoding="utf8")
    if notebooks.write_text(readme, CLONE.sub(f"git clone {address} pytorch-hf-course", text)):
        changed.append("README.md: the line with git clone")
    return changed


def main(arguments):
    address = address_of(arguments[0] if arguments else origin(notebooks.ROOT))
    changed = publish(address)
    print("\n".join(changed) or f"nothing to change: the address is {address} everywhere")
    if changed:
        print("look at  git diff,  then commit and push")


if __name__ == "__main__":
    main([argument for argument in sys.argv[1:] if argument])
