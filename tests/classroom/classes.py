"""A small class on lesson 04: nbgrader's course folder, and submissions to it."""

import copy

import lessons
import nbformat

from course_utils.classroom.grade import _config

NAME = "04_losses"
HIDDEN = """
### BEGIN HIDDEN TESTS
from course_utils.classroom.agent import hand_in; hand_in("{number}", {answer})
### END HIDDEN TESTS"""
LESSON = lessons.read(lessons.FOLDER / f"{NAME}.ipynb")
EXERCISES = {exercise.number: exercise for exercise in lessons.exercises(LESSON)}


def source():
    """nbgrader's source notebook: stubs are solution cells, checks are locked, graded, with a hidden test."""
    book = copy.deepcopy(LESSON.notebook)
    for exercise in EXERCISES.values():
        name = exercise.number.replace(".", "-")
        for cell in book.cells:
            if cell.source == exercise.stub:
                mark(cell, f"answer-{name}")
            elif cell.source == f'check("{exercise.number}", {exercise.answer})':
                mark(cell, f"check-{name}", len(exercise.stars))
                cell.source += HIDDEN.format(number=exercise.number, answer=exercise.answer)
            elif "<summary>Solution" in cell.source:
                cell.source = "Hints"
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    return book


def mark(cell, name, points=0):
    cell.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade_id": name,
        "grade": points > 0,
        "locked": points > 0,
        "solution": points == 0,
        "task": False,
    } | ({"points": points} if points else {})


def make(course):
    """A course folder with the assignment generated; the students' edition."""
    from nbgrader.apps import NbGraderAPI

    folder = course / "source" / NAME
    folder.mkdir(parents=True)
    nbformat.write(source(), folder / f"{NAME}.ipynb")
    (course / "nbgrader_config.py").write_text(
        "from nbgrader.preprocessors import CheckCellMetadata, ClearHiddenTests, ComputeChecksums\n"
        "from nbgrader.preprocessors import LockCells, SaveCells\n"
        "c = get_config()\n"
        "c.GenerateAssignment.preprocessors = [LockCells, CheckCellMetadata, ComputeChecksums, SaveCells, "
        "ClearHiddenTests, ComputeChecksums, CheckCellMetadata]\n"
    )
    result = NbGraderAPI(config=_config(course)).generate_assignment(NAME, force=True, create=True)
    assert result["success"], result
    return nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", as_version=4)


def cell(book, name):
    return next(one for one in book.cells if one.metadata.get("nbgrader", {}).get("grade_id") == name)


def answered(book, answers):
    """The students' edition with these answers, {"4.2": source}."""
    book = copy.deepcopy(book)
    for number, text in answers.items():
        cell(book, f"answer-{number.replace('.', '-')}").source = text
    return book


def solutions(*but):
    return {number: exercise.solution for number, exercise in EXERCISES.items() if number not in but}


def submit(course, student, book):
    """Put a notebook (or any bytes) where nbgrader expects what `student` submitted."""
    folder = course / "submitted" / student / NAME
    folder.mkdir(parents=True)
    if isinstance(book, bytes):
        (folder / f"{NAME}.ipynb").write_bytes(book)
    elif book is not None:
        nbformat.write(book, folder / f"{NAME}.ipynb")
