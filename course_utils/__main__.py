"""`python -m course_utils`: this machine (doctor), what you have done (progress), and for teachers: class."""

import argparse
import sys

from course_utils import attempts
from course_utils.claims import say
from course_utils.classroom.commands import add_commands
from course_utils.doctor import doctor
from course_utils.errors import CourseError
from course_utils.progress_report import progress


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m course_utils", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "doctor", help="say what is right and wrong with this machine; exit 1 on a [fail]"
    )
    command.set_defaults(run=lambda options: 1 if doctor() else 0)
    command = commands.add_parser("progress", help="show the exercises that you have done, and what is next")
    choice = command.add_mutually_exclusive_group()
    choice.add_argument("--reset", action="store_true", help="begin anew; the old file is kept beside it")
    choice.add_argument("--export", metavar="FILE", help="write what is kept to a new file, as JSON")
    command.set_defaults(run=_progress)
    add_commands(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments` (without them the command line's) name; the exit code."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; what is written stays", file=sys.stderr)
        return 130  # what a shell says of a program that Ctrl-C ended


def _progress(options):
    if options.reset:
        kept = attempts.reset()
        say(f"Progress begins anew; the old one is in {kept}" if kept else "There was no progress to reset.")
    elif options.export is not None:
        say(f"{attempts.export(options.export)} exercises written to {options.export}")
    else:
        progress()
    return 0


if __name__ == "__main__":
    sys.exit(main())
