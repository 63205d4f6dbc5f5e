"""A small class on lesson 04: nbgrader's course folder, and submissions to it."""

import copy

import lessons
import nbformat

from course_utils.classroom import release
from course_utils.classroom.grade import _config

NAME = "04_losses"
LESSON = lessons.read(lessons.FOLDER / f"{NAME}.ipynb")
EXERCISES = {exercise.number: exercise for exercise in lessons.exercises(LESSON)}


def make(course):
    """A course folder with the assignment released and generated; the students' edition."""
    from nbgrader.apps import NbGraderAPI

    path = release.source(course, NAME)
    path.parent.mkdir(parents=True)
    nbformat.write(release.students_edition(LESSON.notebook), path)
    (course / "nbgrader_config.py").write_text(release.CONFIG, encoding="utf8")
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
