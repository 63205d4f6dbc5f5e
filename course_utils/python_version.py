"""Refuse a Python that the course does not support, before anything is installed.

Runs on any Python from 3.6, so it uses nothing newer and imports nothing of the course.
"""

import sys

LOWEST, HIGHEST = (3, 11), (3, 13)


def problem(version: "tuple[int, int]") -> str:
    """What is wrong with `version`, a (major, minor) pair, and what to type; "" if nothing is wrong."""
    if LOWEST <= version <= HIGHEST:
        return ""
    return (
        f"This course needs Python 3.11, 3.12 or 3.13, and this is {version[0]}.{version[1]}. "
        "Install one of them and type:  make lab PYTHON=python3.12"
    )


if __name__ == "__main__":
    sys.exit(problem(sys.version_info[:2]) or 0)
