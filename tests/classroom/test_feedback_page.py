"""nbgrader's feedback page names the exercises, and a browser that opens it asks nobody for anything."""

import base64
import hashlib
import pathlib
import re
import time

import classes
import nbformat
import pytest

from course_utils.classroom import jail
from course_utils.classroom.grade import grade

ELSEWHERE = "<script src='https://a.test/x.js'></script><script>steal()</script>![](https://a.test/i.png)"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a submission whose author wrote into a cell what a browser should not run."""
    course = tmp_path_factory.mktemp("course")
    book = classes.make(course)
    classes.submit(course, "li", book)
    book.cells.append(nbformat.v4.new_markdown_cell(ELSEWHERE))
    classes.submit(course, "anna", book)
    with pytest.MonkeyPatch.context() as patch:  # no answer is run here
        for name, answer in {"prepare": None, "trial": None, "run": ""}.items():
            patch.setattr(jail, name, lambda *_, answer=answer: time.sleep(1) or answer)
        patch.chdir(course.parent)
        rows = grade(pathlib.Path(course.name), classes.NAME)
        assert pathlib.Path.cwd() == course.parent  # nbgrader works in the course's folder
    assert [(row["student"], row["ended"]) for row in rows] == [("anna", ""), ("li", "")]
    path = course / "feedback" / "anna" / classes.NAME / f"{classes.NAME}.html"
    return path.read_text(encoding="utf8")


def test_every_exercise_has_its_number_and_title(page):
    for number, exercise in classes.EXERCISES.items():
        name, title = f"check-{number.replace('.', '-')}", f"{number} {exercise.title}"
        assert f'<a href="#{name}">{title}</a>' in page
        assert re.search(rf'<span class="nbgrader-label">{re.escape(title)}</span>', page)
    assert "Test cell" not in page and "Grade cell" not in page


def test_nothing_is_loaded_from_another_host(page):
    page = page.replace(page[page.rindex("steal()") - 200 :], "")  # what the student wrote is for the policy
    tags = re.findall(r"<(?:script|link|img|iframe|object|embed|base)\b[^>]*>", page)
    assert tags and not [tag for tag in tags if re.search("https?:|//", re.sub("data:[^\"']*", "", tag))]
    assert not re.search(r"@import|url\(['\"]?(https?:)?//", page)


def test_only_our_own_scripts_may_run(page):
    policy = re.search(
        r'<head>\s*<meta content="([^"]*)" http-equiv="Content-Security-Policy"/>|'
        r'<head>\s*<meta http-equiv="Content-Security-Policy" content="([^"]*)"/>',
        page,
    )
    rules = dict(rule.strip().split(" ", 1) for rule in (policy[1] or policy[2]).split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts]
    allowed = rules["script-src"].split()
    assert "steal()" in scripts and "MathJax" in scripts[0]
    assert [digest in allowed for digest in hashes] == [script != "steal()" for script in scripts]
