"""`python -m course_utils doctor`: what is right and wrong with this machine."""

import argparse
import sys

from course_utils.doctor import doctor


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments` (without them the command line's) name; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m course_utils", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say what is right and wrong with this machine; exit 1 on a [fail]")
    parser.parse_args(arguments)
    return 1 if doctor() else 0


if __name__ == "__main__":
    sys.exit(main())
