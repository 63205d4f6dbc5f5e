"""`python -m course_utils`: what is right and wrong with this machine, and what you have done so far."""

import argparse
import sys

from course_utils import attempts
from course_utils.claims import say
from course_utils.doctor import doctor
from course_utils.errors import CourseError
from course_utils.progress_report import progress


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments` (without them the command line's) name; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m course_utils", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say what is right and wrong with this machine; exit 1 on a [fail]")
    command = commands.add_parser("progress", help="show the exercises that you have done, and what is next")
    choice = command.add_mutually_exclusive_group()
    choice.add_argument("--reset", action="store_true", help="begin anew; the old file is kept beside it")
    choice.add_argument("--export", metavar="FILE", help="write what is kept to a new file, as JSON")
    chosen = parser.parse_args(arguments)
    if chosen.command == "doctor":
        return 1 if doctor() else 0
    try:
        _progress(chosen)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _progress(chosen):
    if chosen.reset:
        kept = attempts.reset()
        say(f"Progress begins anew; the old one is in {kept}" if kept else "There was no progress to reset.")
    elif chosen.export is not None:
        say(f"{attempts.export(chosen.export)} exercises written to {chosen.export}")
    else:
        progress()


if __name__ == "__main__":
    sys.exit(main())
