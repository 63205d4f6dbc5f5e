"""Make nbgrader assignments of lessons: the students' edition, and the teacher's beside it.

The assignment of lesson 04 is called `04_losses`. In nbgrader's course folder its source is
`source/04_losses/04_losses.ipynb`; the teacher's edition is `instructor/04_losses.ipynb`, outside all folders
of nbgrader's, so nothing there is ever handed out.

What nbgrader is told of the cells of the source:

- An exercise's stub is a solution cell, `answer-4-2`: the student writes there.
- Its `check("4.2", …)` is a locked, graded cell, `check-4-2`, worth one point a star. Below what learners
  know stands a hidden test, which `nbgrader generate_assignment` takes out and `class grade` puts back.
- All other cells are plain ones. A student may try things out in them: nbgrader would make locked cells
  undeletable and uneditable in JupyterLab. Nothing is lost by it, since `class collect` puts the answers into
  the teacher's own notebook.

There is no solution in the students' edition: the cards keep their hints and lose the Solution, and the links
lose the places that they lead to (the badge and the neighbouring lessons would open the edition with
solutions). The lesson's own version of what was built stays: in the lessons a folded cell shows it after the
exercise, and the rest of the lesson runs on it. So a student who scrolls on reads how it is done: of 188
exercises, 71 have a telling line in common with the lesson's own code and 15 have all of them, mostly where a
central piece is built (`tests/classroom/test_release.py` counts them). And the lessons are public, with their
solutions; the references are in `course_utils`. Marks that count need questions in person, too.

The teacher's seed, `COURSE_SEED`, is not asked for here: only `class grade` draws inputs with it.
"""

import copy
import pathlib
import re
from typing import Any

from course_utils.classroom import files, instructor, lessons

CONFIG = """\
# The course for nbgrader: written once by  python -m course_utils class release  and yours from then on.
from nbgrader.preprocessors import CheckCellMetadata, ClearHiddenTests, ComputeChecksums, LockCells, SaveCells

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "pytorch-hf-course"

# The source has stubs, not solutions, and its outputs are the lesson's pictures: neither is cleared.
c.GenerateAssignment.preprocessors = [
    LockCells,
    CheckCellMetadata,
    ComputeChecksums,
    SaveCells,
    ClearHiddenTests,
    ComputeChecksums,
    CheckCellMetadata,
]

# Seconds for one cell: a few of the lessons' train a network.
c.Execute.timeout = 900
"""
HIDDEN_TEST = """\

### BEGIN HIDDEN TESTS
from course_utils.classroom.agent import hand_in; hand_in("{number}", {answer})
### END HIDDEN TESTS"""
NOTE = (
    "**Class edition.** Write each answer into the cell below its card, and leave the cell with `check` "
    "as it is. Before you hand it in, restart the kernel and run all cells. Solutions that the text "
    "mentions are with your teacher."
)
LINK = re.compile(r"(?<!!)\[([^\[\]]+)\]\((?!https?://|#)[^()\s]+\)")  # to another file of the repository


def release(numbers: list[str], course: pathlib.Path) -> list[str]:
    """Release the lessons `numbers` ("04") into the folder `course`; the names of the assignments.

    Runs each lesson once with its solutions, for the teacher's edition. Prints what it writes.

    Raises `CourseError` for a number that is no lesson, without the lessons or the packages of the extra
    `class`, where a file that it would write has been changed since it was released (before anything is
    written), and where a lesson with its solutions does not run or a check refuses one.
    """
    import nbformat

    paths = [lessons.path(number) for number in numbers]
    targets = {path: (source(course, path.stem), course / "instructor" / path.name) for path in paths}
    files.refuse_if_edited(course, *(target for pair in targets.values() for target in pair))
    if not (course / "nbgrader_config.py").exists():
        files.write(course / "nbgrader_config.py", CONFIG)
    for path, (for_students, for_teacher) in targets.items():
        notebook = nbformat.read(path, as_version=4)
        files.write_recorded(course, for_students, nbformat.writes(students_edition(notebook)))
        print(f"{for_students}: {len(lessons.cards(notebook))} exercises", flush=True)
        print(f"{for_teacher}: running the lesson with its solutions ...", flush=True)
        files.write_recorded(course, for_teacher, nbformat.writes(instructor.edition(notebook)))
    return [path.stem for path in paths]


def source(course: pathlib.Path, assignment: str) -> pathlib.Path:
    """Where nbgrader expects the source of `assignment`."""
    return course / "source" / assignment / f"{assignment}.ipynb"


def students_edition(lesson: Any) -> Any:
    """nbgrader's source of the stored notebook `lesson`, which stays as it is; see the top of this file."""
    notebook = copy.deepcopy(lesson)
    cards = lessons.cards(notebook)
    for cell in notebook.cells:
        cell.pop("attachments", None)
        if cell.cell_type == "markdown":
            cell.source = without_links(cell.source)
    title = [
        part
        for part in notebook.cells[0].source.split("\n\n")
        if not re.search("colab|All lessons", part, re.I)
    ]
    notebook.cells[0].source = "\n\n".join([*title, NOTE])
    for card in cards:
        stub, check, hints = (notebook.cells[place] for place in (card.stub, card.check, card.hints))
        mark(stub, f"answer-{card.number.replace('.', '-')}", solution=True)
        mark(check, f"check-{card.number.replace('.', '-')}", points=card.stars)
        check.source += HIDDEN_TEST.format(number=card.number, answer=card.answer)
        hints.source = "".join(
            found[0] for found in lessons.DETAILS.finditer(hints.source) if found[1].strip() != "Solution"
        ).rstrip()
    return notebook


def mark(cell: Any, name: str, *, points: int = 0, solution: bool = False) -> None:
    """Make of `cell` nbgrader's solution cell, or a locked cell that is worth `points`, called `name`."""
    cell.id = name  # kept by editors that drop nbgrader's metadata
    cell.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade_id": name,
        "grade": not solution,
        "solution": solution,
        "locked": not solution,
        "task": False,
        "cell_type": "code",
        **({} if solution else {"points": points}),
    }


def without_links(text: str) -> str:
    """Markdown whose links to other files of the repository are plain words."""
    return LINK.sub(r"\1", text)
