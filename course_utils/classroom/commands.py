"""`python -m course_utils class …`: what a teacher types."""

import argparse
import importlib.util
import pathlib
import shutil
from typing import Any

from course_utils.errors import CourseError


def add_commands(subparsers: Any) -> None:
    """Add `class` and its commands to argparse's `subparsers`; each sets `run(options)`, an exit code."""
    parser = subparsers.add_parser("class", help="for teachers: see TEACHING.md")
    commands = parser.add_subparsers(dest="class_command", required=True)

    release = commands.add_parser("release", help="write assignments, and the teacher's edition")
    release.add_argument("--lessons", nargs="+", required=True, metavar="04", help="their numbers")
    release.add_argument(
        "--out", required=True, type=pathlib.Path, metavar="COURSE", help="nbgrader's folder"
    )
    release.set_defaults(run=_release)

    collect = commands.add_parser("collect", help="put what students sent into nbgrader's folders")
    collect.add_argument("sent", type=pathlib.Path, metavar="FOLDER_OR_ZIP", help="what students sent")
    collect.add_argument(
        "--course", required=True, type=pathlib.Path, metavar="COURSE", help="nbgrader's folder"
    )
    collect.add_argument("--assignment", required=True, metavar="04_losses", help="its name")
    collect.add_argument("--roster", type=pathlib.Path, metavar="CSV", help="whose is what: columns id, file")
    collect.set_defaults(run=_collect)

    grade = commands.add_parser("grade", help="mark an assignment's submissions, each in a sandbox")
    grade.add_argument(
        "--course", required=True, type=pathlib.Path, metavar="COURSE", help="nbgrader's folder"
    )
    grade.add_argument("--assignment", required=True, metavar="04_losses", help="its name")
    grade.set_defaults(run=_grade)

    schedule = commands.add_parser("schedule", help="print a run sheet made from the lessons' minutes")
    schedule.add_argument("plan", choices=["day", "week", "semester"])
    schedule.set_defaults(run=_schedule)

    slides = commands.add_parser("slides", help="write a deck of slides for each lesson")
    slides.add_argument("--lessons", nargs="+", required=True, metavar="04", help="their numbers")
    slides.add_argument("--out", required=True, type=pathlib.Path, metavar="FOLDER")
    slides.set_defaults(run=_slides)

    bundle = commands.add_parser("bundle", help="write all that a room without internet needs into a folder")
    bundle.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR")
    bundle.add_argument("--python", metavar="3.12", help="the Python of the room; without it, this one")
    bundle.add_argument("--platform", metavar="linux_x86_64", help="its system; without it, this one")
    bundle.set_defaults(run=_bundle)


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
    if shutil.which("alembic") is None:  # nbgrader calls it by name
        print("  source .venv/bin/activate  (the environment that this runs in: nbgrader calls its programs)")
    for name in names:
        print(f"  nbgrader generate_assignment {name} --create --force")
    print(f"Then hand out what is in {options.out / 'release'}. The teacher's edition stays in instructor/.")
    return 0


def _collect(options: argparse.Namespace) -> int:
    from course_utils.classroom import collect

    _need_the_extra()
    found = collect.collect(options.sent, options.course, options.assignment, options.roster)
    used = [hand_in for hand_in in found if not hand_in.problem]
    for hand_in in used:
        print(f"{hand_in.student}: {hand_in.file}: {collect.summary(hand_in)}")
        for exercise, note in hand_in.rebuilt.notes:
            print(f"    {exercise}: {note}" if exercise else f"    {note}")
    for hand_in in found:
        if hand_in.problem:
            print(f"not used: {hand_in.file}: {hand_in.problem}")
    print(f"\n{len(used)} collected, {len(found) - len(used)} files not used (listed in collected.csv)")
    if used:
        print(
            f"Next, type  python -m course_utils class grade --course {options.course} "
            f"--assignment {options.assignment}"
        )
    return 0 if used else 1


def _grade(options: argparse.Namespace) -> int:
    from course_utils.classroom.grade import grade
    from course_utils.classroom.report import report

    _need_the_extra()
    rows = grade(options.course, options.assignment)
    page = report(options.course, options.assignment, rows)
    by_hand = [
        f"{row['student']} {mark['number']}"
        for row in rows
        for mark in row["marks"]
        if mark["state"] == "by hand"
    ]
    if by_hand:
        print(f"To be marked by hand ({len(by_hand)}): {', '.join(by_hand)}")
    print(f"{options.course / 'grades.csv'}, {options.course / 'feedback'} and {page} are written")
    return 0


def _schedule(options: argparse.Namespace) -> int:
    from course_utils.classroom.schedule import run_sheet

    print(run_sheet(options.plan))
    return 0


def _slides(options: argparse.Namespace) -> int:
    from course_utils.classroom.slides import slides

    for deck in slides(options.lessons, options.out):
        print(deck)
    print(
        "Open a deck in a browser; no network is needed. Keys: → and ↓, O for an overview, S for the notes."
    )
    return 0


def _bundle(options: argparse.Namespace) -> int:
    from course_utils.classroom.bundle import bundle

    size = bundle(options.out, options.python, options.platform)
    print(
        f"{options.out}: {size / 1e9:.2f} GB. Copy it to the room's machines; README.txt says what to type."
    )
    return 0
