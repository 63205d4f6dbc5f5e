"""`python -m course_utils class …`: what a teacher types."""

import argparse
import importlib.util
import pathlib
from typing import Any

from course_utils.errors import CourseError


def add_commands(subparsers: Any) -> None:
    """Add `class` and its commands to argparse's `subparsers`; each sets `run(options)`, an exit code."""
    parser = subparsers.add_parser("class", help="make nbgrader assignments of lessons, and collect them")
    commands = parser.add_subparsers(dest="class_command", required=True)

    release = commands.add_parser("release", help="write assignments, and the teacher's edition")
    release.add_argument("--lessons", nargs="+", required=True, metavar="04", help="their numbers")
    release.add_argument(
        "--out", required=True, type=pathlib.Path, metavar="COURSE", help="nbgrader's folder"
    )
    release.set_defaults(run=_release)


def _need_the_extra():
    missing = [
        name for name in ("nbgrader", "nbformat", "nbclient") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise CourseError(
            f"a class needs {', '.join(missing)}: in the course's folder, type  "
            'pip install -r requirements-class.txt -e ".[class]"'
        )


def _release(options: argparse.Namespace) -> int:
    from course_utils.classroom.release import release

    _need_the_extra()
    names = release(options.lessons, options.out)
    print(f"\nNext, type  cd {options.out}  and, for each assignment:")
    for name in names:
        print(f"  nbgrader generate_assignment {name} --create --force")
    print(f"Then hand out what is in {options.out / 'release'}. The teacher's edition stays in instructor/.")
    return 0
