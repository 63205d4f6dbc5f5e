"""The class report: counts, mistakes by their explanation, and nothing of a student's text as HTML."""

import re

from course_utils import exercises
from course_utils.classroom.report import report


def row(student, state, words, ended=""):
    marks = [{"number": number, "state": "right", "words": "✓"} for number in exercises.of_lesson(4)]
    marks[1] = {"number": "4.2", "state": state, "words": words}
    return {"student": student, "ended": ended, "marks": marks}


def test_the_report_counts_and_escapes(tmp_path):
    told = exercises.of_lesson(4)["4.2"].mistakes[0].explanation
    rows = [
        row("Zoë", "right", "✓"),
        row("a", "wrong", f"✗ 4.2 …: {told}"),
        row("b", "wrong", f"✗ 4.2 …: {told}"),
    ]
    rows += [row("<script>", "by hand", "○ 4.2 …: to be marked by hand: <b>exec</b>", "<i>")]
    page = report(tmp_path, "04_losses", rows).read_text(encoding="utf8")
    assert "1 of 4 are right on all 9 exercises." in page and "Fewest are right on 4.2: 1 of 4." in page
    assert re.search(rf"<td>4.2</td><td>2</td><td>{re.escape(told)[:30]}", page)
    assert "<td>Zoë</td>" in page and "<td>&lt;b&gt;exec&lt;/b&gt;</td>" in page
    assert not re.search("<script>|<b>|<i>", page)
    assert not list(tmp_path.glob("*.part"))
