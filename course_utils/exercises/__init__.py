"""The exercises of the lessons: data, imported only when their lesson checks something."""

import ast
import importlib
import pathlib
import pkgutil
import re
import sys

from course_utils.checks import exercise


def lessons() -> dict[int, str]:
    """The lessons that have exercises: {1: "lesson_01_tensors", ...}."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return {int(name.split("_")[1]): name for name in sorted(names) if name.startswith("lesson_")}


def catalogue() -> dict[int, tuple[str, dict[str, str]]]:
    """Every lesson's name and the titles of its exercises: {4: ("Losses", {"4.1": "Log-sum-exp", ...}), ...}.

    The modules are read and not imported, which takes half a second where importing them takes seven.
    """
    found = {}
    for number, module in lessons().items():
        tree = ast.parse((pathlib.Path(__file__).parent / f"{module}.py").read_text(encoding="utf8"))
        name = re.search(r"lesson \d\d, (.+?): ", ast.get_docstring(tree))[1]
        titles = {}
        for node in tree.body:
            match node:
                case ast.Expr(ast.Call(ast.Name("exercise"), [ast.Constant(own), ast.Constant(title), *_])):
                    titles[own] = title
        found[number] = (name[0].upper() + name[1:], titles)
    return found


def of_lesson(number: int) -> dict[str, exercise.Exercise]:
    """The exercises of lesson `number` (an int), {"4.1": Exercise, ...}; empty if it has none."""
    name = f"course_utils.exercises.{lessons().get(number)}"
    if number in lessons() and name not in sys.modules:
        for old in [known for known in exercise.declared if known.split(".")[0] == str(number)]:
            del exercise.declared[old]  # an import that was interrupted left it behind
        importlib.import_module(name)
    return {name: known for name, known in exercise.declared.items() if name.split(".")[0] == str(number)}


def find(number: str) -> exercise.Exercise:
    """The exercise `number`, a `str` such as "4.2".

    Raises `LookupError` with the nearest number there is if there is none.
    """
    lesson, _, position = str(number).partition(".")
    if lesson.isdecimal() and number in (exercises := of_lesson(int(lesson))):
        return exercises[number]
    known = of_lesson(int(lesson)) if lesson.isdecimal() else {}
    if known and position.isdecimal():
        nearest = min(known, key=lambda name: abs(int(name.split(".")[1]) - int(position)))
    elif known:
        nearest = next(iter(known))
    else:
        wanted = int(lesson) if lesson.isdecimal() else 0
        nearest = next(
            iter(of_lesson(min(lessons(), key=lambda other: abs(other - wanted), default=0))), None
        )
    hint = f'; the nearest is check("{nearest}", ...)' if nearest else ""
    raise LookupError(f"there is no exercise {number!r}{hint}")
