"""The students' edition has no solution in it and nbgrader accepts it; the teacher's has all of it."""

import copy
import json
import os
import pathlib
import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_utils import __main__ as commands
from course_utils.classroom import instructor, kernels, lessons, release
from course_utils.errors import CourseError
from course_utils.exercises import find

PATHS = sorted(lessons.folder().glob("*.ipynb"))
# Lines of a solution that its own card or hints give away, in the lessons as in the class edition.
SAID = {
    "2.7": ["norm = vector.norm()"],
    "6.3": ["optimizer.zero_grad()"],
    "6.4": ["schedule.step()"],
    "6.5": ["model.train(mode)"],
    "7.8": ["place = {symbol: i for i, symbol in enumerate(order)}"],
    "10.11": ["while len(settings) > 1:"],
    "13.7": ["future.set_exception(error)"],
    "15.4": ["left, top, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]"],
    "15.6": ["ids = list(start)", "logits[suppressed] = -torch.inf"],
    "15.9": ["places = [blank]"],
    "17.6": ["k = torch.arange(alpha + 1, dtype=torch.float64)"],
    "19.2": ["for x, y in batches:", "loss.backward()", "optimizer.step()"],
    "19.4": ["names = sorted({name(label) for label in labels if not gap(label)})"],
}
# The lesson itself shows these lines elsewhere, mostly in its own version below the exercise:
# {exercise: (how many, out of how many that tell something)}.
SHOWN = {
    "0.4": (2, 2),
    "0.5": (4, 5),
    "0.7": (1, 4),
    "1.5": (1, 1),
    "2.1": (1, 6),
    "2.2": (1, 9),
    "2.3": (2, 7),
    "2.8": (9, 14),
    "2.9": (1, 9),
    "3.3": (6, 6),
    "3.4": (8, 9),
    "3.12": (1, 14),
    "4.3": (1, 6),
    "4.4": (2, 3),
    "4.5": (1, 2),
    "5.1": (1, 5),
    "5.5": (2, 6),
    "6.1": (3, 3),
    "6.2": (3, 5),
    "6.3": (8, 8),
    "6.4": (5, 5),
    "6.5": (4, 9),
    "6.6": (8, 8),
    "6.7": (9, 11),
    "6.8": (1, 3),
    "7.1": (9, 9),
    "7.2": (8, 8),
    "7.3": (7, 7),
    "7.7": (5, 5),
    "7.8": (14, 17),
    "7.9": (1, 4),
    "8.2": (2, 4),
    "8.3": (2, 9),
    "8.4": (3, 6),
    "8.5": (2, 6),
    "8.7": (4, 4),
    "8.8": (2, 6),
    "9.3": (1, 3),
    "9.4": (6, 8),
    "9.7": (1, 6),
    "10.2": (1, 5),
    "10.5": (5, 5),
    "10.8": (1, 6),
    "11.1": (2, 2),
    "11.2": (7, 7),
    "11.4": (1, 6),
    "11.5": (3, 6),
    "12.1": (2, 5),
    "12.2": (2, 5),
    "12.4": (1, 6),
    "12.7": (1, 12),
    "12.9": (1, 11),
    "13.2": (3, 5),
    "13.7": (1, 8),
    "13.8": (6, 10),
    "14.1": (1, 2),
    "14.2": (2, 5),
    "14.3": (1, 3),
    "14.4": (2, 6),
    "14.5": (3, 14),
    "14.6": (1, 4),
    "14.8": (1, 5),
    "16.4": (1, 4),
    "16.6": (1, 8),
    "17.2": (1, 3),
    "17.4": (1, 3),
    "17.5": (1, 4),
    "17.6": (3, 7),
    "17.7": (2, 4),
    "18.2": (1, 7),
    "19.2": (1, 10),
}
TRIVIAL = re.compile(
    r"return [\w.]+|[\w., ]+ = [\w., ]+|super\(\)\.__init__\(\)|for \w+ in \w+:|with torch\.no_grad\(\):"
    r"|(#|def |class |@|\"\"\"|import |from ).*"
)


def without_comment(line):
    return re.sub(r"\s+#.*$", "", line.strip())


def telling(card, stub):
    """The lines of a card's solution that tell something: not the stub's, not `return x`, not tiny."""
    known = {without_comment(line) for line in stub.splitlines()}
    lines = [without_comment(line) for line in card.solution.splitlines()]
    return [t for t in lines if len(t) >= 12 and t not in known and not TRIVIAL.fullmatch(t)]


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def editions(request):
    lesson = nbformat.read(request.param, as_version=4)
    return lesson, release.students_edition(lesson)


def test_no_line_of_a_solution_is_left(editions):
    lesson, students = editions
    invisible = json.dumps([students.metadata, *([c.metadata, c.get("outputs")] for c in students.cells)])
    assert not any(cell.get("attachments") for cell in students.cells)
    assert "<summary>Solution" not in json.dumps(students)
    for card in lessons.cards(lesson):
        lines = telling(card, lesson.cells[card.stub].source)
        area = "\n".join(cell.source for cell in students.cells[card.position : card.hints + 1])
        assert [line for line in lines if line in area] == SAID.get(card.number, []), card.number
        assert not [line for line in lines if json.dumps(line)[1:-1] in invisible], card.number


def test_what_the_lesson_itself_shows_of_a_solution_is_known(editions):
    lesson, students = editions
    for card in lessons.cards(lesson):
        area = range(card.position, card.hints + 1)
        others = [cell.source for place, cell in enumerate(students.cells) if place not in area]
        shown = {without_comment(line) for source in others for line in source.splitlines()}
        lines = telling(card, lesson.cells[card.stub].source)
        found = sum(line in shown for line in lines)
        assert SHOWN.get(card.number, (0, len(lines))) == (found, len(lines)), card.number


def test_a_solution_that_is_left_would_be_found(editions):
    lesson, students = editions
    for card in lessons.cards(lesson):
        assert telling(card, lesson.cells[card.stub].source) or len(card.solution.splitlines()) < 4, (
            card.number
        )
    assert "<summary>Solution" in json.dumps(lesson)


def test_exercises_are_marked_and_the_rest_is_the_lessons(editions):
    lesson, students = editions
    before = copy.deepcopy(lesson)
    cards, places = lessons.cards(lesson), set()
    for card in cards:
        name = card.number.replace(".", "-")
        stub, check, hints = (students.cells[place] for place in (card.stub, card.check, card.hints))
        original = lesson.cells[card.stub], lesson.cells[card.check]
        assert (
            stub.metadata.nbgrader.grade_id == stub.id == f"answer-{name}" and stub.metadata.nbgrader.solution
        )
        assert stub.source == original[0].source and stub.outputs == original[0].outputs
        assert (
            check.metadata.nbgrader.grade_id == check.id == f"check-{name}" and check.metadata.nbgrader.locked
        )
        assert check.metadata.nbgrader.points == card.stars and check.outputs == original[1].outputs
        visible, hidden = check.source.split("\n### BEGIN HIDDEN TESTS\n")
        assert visible == original[1].source
        assert f'hand_in("{card.number}", {card.answer})\n### END HIDDEN TESTS' in hidden
        assert re.findall("<summary>(.*?)</summary>", hints.source) == ["Hint 1", "Hint 2"]
        places |= {card.stub, card.check, card.hints}
    for place, (old, new) in enumerate(zip(lesson.cells, students.cells, strict=True)):
        if place not in places | {0}:
            assert new == old or (
                new.cell_type == "markdown" and new.source == release.without_links(old.source)
            )
    text = "\n".join(cell.source for cell in students.cells if cell.cell_type == "markdown")
    assert not re.search(r"\]\([^)]*ipynb|\]\(\.\./|colab-badge", text)
    assert lesson == before
    nbformat.validate(students)


def test_the_room_is_asked_two_or_three_questions_in_each_section(editions):
    lesson, _ = editions
    for section, asked in zip(lessons.sections(lesson), instructor.questions(lesson), strict=True):
        wanted = (0,) if section.title in instructor.NOT_TAUGHT else (2, 3)
        assert len(asked) in wanted and all("<" not in text or "`" in text for text in asked), section.title


def test_every_mistake_is_explained_to_the_teacher(editions):
    for card in lessons.cards(editions[0]):
        shown = instructor.mistakes(card.number)
        for mistake in find(card.number).mistakes:
            assert mistake.explanation in shown


# The command ----------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """Without running lessons: the teacher's edition is the lesson as it is."""
    monkeypatch.setattr(instructor, "edition", lambda lesson: lesson)


def test_two_lessons_are_released_and_it_is_said_what_to_type_next(quick, tmp_path, capsys):
    assert commands.main(["class", "release", "--lessons", "04", "5", "--out", str(tmp_path)]) == 0
    for name in ("04_losses", "05_optimizers"):
        assert (
            release.source(tmp_path, name).exists() and (tmp_path / "instructor" / f"{name}.ipynb").exists()
        )
        assert f"nbgrader generate_assignment {name}" in capsys.readouterr().out or name == "05_optimizers"
    assert not list(tmp_path.rglob("*.part"))


def test_what_a_teacher_edited_is_left_alone(quick, tmp_path, capsys):
    arguments = ["class", "release", "--lessons", "04", "--out", str(tmp_path)]
    assert commands.main(arguments) == 0
    assert commands.main(arguments) == 0  # nothing was edited: made anew
    config, source = tmp_path / "nbgrader_config.py", release.source(tmp_path, "04_losses")
    config.write_text(config.read_text() + "# mine\n")
    source.write_text(source.read_text().replace("04 · Losses", "04 · Losses, for us"))
    edited = source.read_bytes()
    capsys.readouterr()
    assert commands.main(["class", "release", "--lessons", "05", "04", "--out", str(tmp_path)]) == 1
    assert f"{source} has been changed" in capsys.readouterr().err
    assert source.read_bytes() == edited and not (tmp_path / "source" / "05_optimizers").exists()
    source.rename(tmp_path / "mine.ipynb")
    assert commands.main(arguments) == 0 and "# mine" in config.read_text()


def test_a_lesson_that_there_is_not_is_named(tmp_path, capsys):
    assert commands.main(["class", "release", "--lessons", "04", "77", "--out", str(tmp_path)]) == 1
    assert "no lesson '77'" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_without_the_lessons_it_is_said_where_to_go(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        lessons, "__file__", str(tmp_path / "site-packages/course_utils/classroom/lessons.py")
    )
    with pytest.raises(CourseError, match="no lessons here.*git clone"):
        lessons.folder()


# The teacher's edition ------------------------------------------------------------------------------------


def small(solution):
    """A lesson of one section and one exercise, 0.1, with this solution."""
    details = "<details><summary>{}</summary>\n\n{}\n\n</details>\n".format
    return new_notebook(
        cells=[
            new_markdown_cell("## A sum\n\nWhich sum is the larger of the two? " + "word " * 320),
            new_code_cell("from course_utils import check\nimport os\nprint(os.environ['COURSE_PROGRESS'])"),
            new_markdown_cell(f"### Your turn 4.2 · {find('4.2').title} ★★☆ · 8 min\n\nAdd."),
            new_code_cell("def nll(log_p, target):\n    raise NotImplementedError"),
            new_code_cell('check("4.2", nll)'),
            new_markdown_cell(
                details("Hint 1", "a")
                + details("Hint 2", "b")
                + details("Solution", f"```python\n{solution}\n```")
            ),
        ]
    )


def test_ctrl_c_ends_it_with_a_line_and_without_a_traceback(tmp_path, monkeypatch, capsys):
    def interrupted(client, **options):  # as nbclient does on SIGINT
        client.km = None
        raise AssertionError

    monkeypatch.setattr(kernels.Client, "execute", interrupted)
    assert commands.main(["class", "release", "--lessons", "04", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\ninterrupted; what is written stays\n"
    assert not (tmp_path / "instructor" / "04_losses.ipynb").exists()


def test_the_teachers_edition_is_run_with_its_solutions(capsys):
    right = "def nll(log_p, target):\n    return -log_p.gather(1, target[:, None]).mean()"
    made = instructor.edition(small(right))
    sources = [cell.source for cell in made.cells]
    assert sources[4] == right and made.cells[2].outputs[0].text == "off\n"
    assert made.cells[5].outputs[0].text.startswith("✓ 4.2 ")
    assert sources[1].startswith(
        "**For the teacher · A sum**: 11 min, from minute 0"
    )  # 2 of prose, 8, 2 lines
    assert "1. Which sum is the larger of the two?" in sources[1]
    assert "typical mistakes of 4.2" in sources[7] and "Solution" not in sources[6]


@pytest.mark.parametrize("wrong", ["def nll(log_p, target):\n    return log_p.mean()", "nll = 1 / 0"])
def test_a_solution_that_is_refused_or_raises_is_named(wrong):
    with pytest.raises(CourseError, match="4.2 is refused here|ZeroDivisionError"):
        instructor.edition(small(wrong))


# nbgrader itself ------------------------------------------------------------------------------------------


def nbgrader(course, *arguments):
    """Run nbgrader in the folder `course`, from this environment; what it said."""
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def test_nbgrader_generates_every_assignment(quick, tmp_path):
    release.release([path.name[:2] for path in PATHS], tmp_path)
    nbgrader(tmp_path, "generate_assignment", "--assignment=*", "--create")
    for path in PATHS:
        source = nbformat.read(release.source(tmp_path, path.stem), as_version=4)
        released = nbformat.read(tmp_path / "release" / path.stem / path.name, as_version=4)
        assert "HIDDEN" not in json.dumps(released) and "hand_in" not in json.dumps(released)
        for old, new in zip(source.cells, released.cells, strict=True):
            assert (
                new.source == old.source.split("\n### BEGIN HIDDEN TESTS")[0].rstrip()
                or new.source == old.source
            )
            assert new.get("outputs") == old.get("outputs") and new.id == old.id


def test_nbgrader_validates_lesson_04(tmp_path):
    assert commands.main(["class", "release", "--lessons", "04", "--out", str(tmp_path)]) == 0
    teachers = nbformat.read(tmp_path / "instructor" / "04_losses.ipynb", as_version=4)
    assert sum("✓ 4." in json.dumps(c.get("outputs"), ensure_ascii=False) for c in teachers.cells) == 9
    nbgrader(tmp_path, "generate_assignment", "04_losses", "--create")
    assert "Success" in nbgrader(
        tmp_path, "validate", str(tmp_path / "release" / "04_losses" / "04_losses.ipynb")
    )
