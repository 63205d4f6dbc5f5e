"""Sixty submissions of lesson 04, most of them hostile or broken, really run: every mark is right."""

import csv
import json
import socket
import time

import classes
import nbformat
import psutil
import pytest
from hostile import SUBMISSIONS
from nbgrader.api import Gradebook

from course_utils.classroom import jail
from course_utils.classroom.grade import grade

LIMITS = jail.Limits(memory=2_500_000_000)


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """The course folder and the rows, {student: row}."""
    course = tmp_path_factory.mktemp("course")
    server = socket.create_server(("127.0.0.1", 0))
    release = classes.make(course)
    for name, (make, _, _) in SUBMISSIONS.items():
        book = make(release)
        if isinstance(book, nbformat.NotebookNode):
            for cell in book.cells:
                cell.source = cell.source.replace("PORT", str(server.getsockname()[1]))
                cell.source = cell.source.replace("COURSE'", f"{course}'")
        classes.submit(course, name, book)
    start = time.monotonic()
    rows = grade(course, classes.NAME, limits=LIMITS)
    print(f"{len(rows)} submissions in {time.monotonic() - start:.0f} s")
    server.close()
    return course, {row["student"]: row for row in rows}


def test_there_are_enough_of_them():
    assert len(SUBMISSIONS) >= 60
    assert sum(not name.startswith("honest") for name in SUBMISSIONS) >= 20


def test_nobody_is_lost(marked):
    course, rows = marked
    assert set(rows) == set(SUBMISSIONS)
    with open(course / "grades.csv", encoding="utf8") as file:
        assert {row["student_id"] for row in csv.DictReader(file)} == set(SUBMISSIONS)


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_every_mark_is_right(marked, name):
    _, right, by_hand = SUBMISSIONS[name]
    states = {mark["number"]: mark["state"] for mark in marked[1][name]["marks"]}
    assert {number for number, state in states.items() if state == "right"} == right, marked[1][name]
    assert {number for number, state in states.items() if state == "by hand"} == by_hand


def test_the_gradebook_says_the_same(marked):
    course, rows = marked
    points = {number: exercise.stars.count("★") for number, exercise in classes.EXERCISES.items()}
    with open(course / "grades.csv", encoding="utf8") as file:
        for row in csv.DictReader(file):
            right = [m["number"] for m in rows[row["student_id"]]["marks"] if m["state"] == "right"]
            assert float(row["score"]) == sum(points[number] for number in right)
            assert float(row["max_score"]) == sum(points.values())


def test_feedback_shows_the_checks_own_words(marked):
    course, rows = marked
    page = course / "feedback" / "honest_but_wrong_in_4.2" / classes.NAME / f"{classes.NAME}.html"
    text = page.read_text(encoding="utf8")
    assert "The sign is missing" in text and "✓ 4.6" in text


def test_nothing_is_left_running(marked):
    assert not [p for p in psutil.process_iter(["cmdline"]) if "98765" in (p.info["cmdline"] or [])]


def test_run_again_it_continues(marked, capsys):
    course, rows = marked
    lost = course / "marks" / classes.NAME / "honest_and_empty.json"
    before = lost.read_text(encoding="utf8")
    lost.unlink()
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:  # as Formgrader does
        by_hand = gradebook.find_grade("check-4-2", classes.NAME, classes.NAME, "blinds_the_rules")
        by_hand.manual_score, by_hand.needs_manual_grade = 1, False
        gradebook.db.commit()
    again = grade(course, classes.NAME, limits=LIMITS)
    assert [row["student"] for row in again if not row["again"] and row["submission"]] == ["honest_and_empty"]
    assert json.loads(lost.read_text(encoding="utf8"))["marks"] == json.loads(before)["marks"]
    right = [mark["number"] for mark in rows["blinds_the_rules"]["marks"] if mark["state"] == "right"]
    points = sum(classes.EXERCISES[number].stars.count("★") for number in right)
    with open(course / "grades.csv", encoding="utf8") as file:
        (score,) = [row["score"] for row in csv.DictReader(file) if row["student_id"] == "blinds_the_rules"]
    assert float(score) == points + 1
