"""Reading lessons: `definitions` takes code out of a notebook with what it needs, and nothing else."""

import lessons
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

SOURCES = [
    "import math\nprint('not run')",
    "SCALE, unused = 2, 1 / 1",
    "def area(r):\n    return math.pi * square(r)",
    "def square(x):\n    return x * x",
    "raise RuntimeError('the rest of the lesson is not run')",
    "def square(x):\n    return SCALE * x * x",
    "r = undefined",
]
AFTER = "def stub():\n    raise NotImplementedError"


@pytest.fixture
def lesson():
    cells = [new_markdown_cell("## Circles"), *map(new_code_cell, SOURCES)]
    cells += [new_markdown_cell("## When it goes wrong"), new_code_cell(AFTER)]
    return lessons.Lesson("98_circles.ipynb", new_notebook(cells=cells))


def test_definitions_bring_what_they_need_and_the_last_one_wins(lesson, capsys):
    area = lessons.definitions(lesson, "area")["area"]
    assert area(1) == pytest.approx(2 * 3.14159265)
    assert capsys.readouterr().out == ""


def test_a_name_that_is_not_defined_before_the_exercises_is_refused(lesson):
    with pytest.raises(LookupError, match="stub"):
        lessons.definitions(lesson, "square", "stub")
