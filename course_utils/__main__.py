"""`python -m course_utils doctor` looks at this machine; `... notebooks` runs and stores lessons."""

import argparse
import sys


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m course_utils", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say what is right and wrong with this machine; exit 1 on a [fail]")
    store = commands.add_parser(
        "notebooks", help="write setup cells, run the notebooks, store them normalised"
    )
    store.add_argument("numbers", nargs="*", help="the lessons' numbers, such as 01; all without it")
    chosen = parser.parse_args(arguments)
    if chosen.command == "doctor":
        from course_utils.environment import doctor

        return 1 if doctor() else 0
    from course_utils.notebooks import store_all

    store_all(chosen.numbers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
