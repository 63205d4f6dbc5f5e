"""Mark an assignment: nbgrader's autograde, with each notebook run in a jail and judged outside of it.

nbgrader restores what students may not change, keeps the gradebook and makes the feedback pages, all of it in
this process, where no student's code runs. In the place of its `Execute` stands a run in the jail; what comes
back are the cells' outputs, to be shown, and the answers' outcomes, to be judged.

Done with a submission, its marks are written to `marks/ASSIGNMENT/STUDENT.json`: what is there for the same
submission, source and seed is not marked again.
"""

import ast
import concurrent.futures
import contextlib
import copy
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
import re
import sysconfig
import tempfile
import threading
import time
import warnings
from typing import Any

from course_utils.classroom import jail
from course_utils.classroom.inputs_only import names_bound, names_used
from course_utils.classroom.judge import Judge, Mark
from course_utils.classroom.plain import not_plain
from course_utils.errors import CourseError

LARGEST = 20_000_000  # bytes of a notebook, as submitted and as it comes back
PAGES = ("text/plain", "image/png")
BASE64 = re.compile(r"[A-Za-z0-9+/=\n]*")
OUTPUTS = {"stream": {"name", "text"}, "error": {"ename", "evalue", "traceback"}}


@dataclasses.dataclass
class Assignment:
    """What is the same for all submissions of one assignment."""

    course: pathlib.Path
    name: str  # "04_losses"
    config: Any
    source: Any  # the teacher's notebook
    judge: Judge
    prepared: pathlib.Path  # the course as the jail sees it
    bwrap: str | None
    limits: jail.Limits
    lock: Any  # held by whoever is in nbgrader's code; free while a jail runs


def grade(course: pathlib.Path, name: str, at_once: int = 2, limits: jail.Limits | None = None) -> list[dict]:
    """Mark all submissions of the assignment `name` in nbgrader's folder `course`; one row for each.

    Writes the gradebook, `feedback/`, `grades.csv` and `marks/`, and prints a line for each submission.

    Raises `CourseError` if there is no such assignment, nothing was submitted, or not even an empty
    notebook runs in the jail here.
    """
    import nbformat

    course = course.resolve()  # nbgrader changes the working directory, under all threads
    source = course / "source" / name / f"{name}.ipynb"
    if not jail.name_is_safe(name) or not source.is_file():
        raise CourseError(
            f"{course} has no assignment {name!r}: type  python -m course_utils class release --help"
        )
    students = sorted(path.parent.name for path in (course / "submitted").glob(f"*/{name}") if path.is_dir())
    if not students:
        raise CourseError(
            f"nothing is in {course / 'submitted'}: type  python -m course_utils class collect --help"
        )
    bwrap = jail.bubblewrap()
    print(
        "each submission runs in bubblewrap: no network, no other files"
        if bwrap
        else "bubblewrap (bwrap) is missing: submissions run in plain processes with limits on time, memory "
        "and files, but could read this computer's files and use its network"
    )
    judge = Judge(int(name[:2]))
    with tempfile.TemporaryDirectory(prefix="class-") as folder:
        prepared = pathlib.Path(folder)
        jail.prepare(judge, prepared)
        limits = limits or jail.Limits()
        jail.trial(prepared, limits, bwrap)
        config = _config(course)
        book = nbformat.read(source, as_version=4)
        lock = threading.Lock()
        assignment = Assignment(course, name, config, book, judge, prepared, bwrap, limits, lock)
        _need_generated(assignment)
        rows = []
        here = contextlib.chdir(os.getcwd())  # and back to it
        with here, concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            runs = [pool.submit(_row, assignment, student) for student in students]
            try:
                for run in concurrent.futures.as_completed(runs):
                    rows.append(run.result())
                    print(f"[{len(rows)}/{len(students)}] {_line(rows[-1])}", flush=True)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    _feedback(assignment, students)
    _export(assignment)
    return sorted(rows, key=lambda row: row["student"])


def _line(row):
    states = [mark["state"] for mark in row["marks"]]
    said = f"{row['student']}: {states.count('right')} of {len(states)} right"
    if by_hand := states.count("by hand"):
        said += f", {by_hand} to be marked by hand"
    if row["ended"]:
        said += f", {row['ended']}"
    return said + (", marked before" if row["again"] else f", {row['seconds']:.0f} s")


def _config(course):
    """The teacher's nbgrader configuration, for the folder `course`."""
    from traitlets.config import Config, PyFileConfigLoader

    # nbgrader calls `alembic`, which stands beside this Python, activated or not.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    path = course / "nbgrader_config.py"
    config = PyFileConfigLoader(path.name, str(course)).load_config() if path.exists() else Config()
    config.CourseDirectory.root = str(course.resolve())
    config.HTMLExporter.template_name = "feedback"
    return config


def _gradebook(assignment):
    from nbgrader.api import Gradebook
    from nbgrader.coursedir import CourseDirectory

    directory = CourseDirectory(config=assignment.config)
    return Gradebook(directory.db_url, directory.course_id)


def _need_generated(assignment):
    from nbgrader.api import MissingEntry

    with _gradebook(assignment) as gradebook:
        try:
            gradebook.find_assignment(assignment.name)
        except MissingEntry:
            raise CourseError(
                f"nbgrader does not know {assignment.name} yet: in {assignment.course}, type  "
                f"nbgrader generate_assignment {assignment.name} --create --force"
            ) from None


def _row(assignment: Assignment, student: str) -> dict:
    """Mark one submission; whatever happens, its row."""
    folder = assignment.course / "marks" / assignment.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{student}.json"
    start = time.monotonic()
    row = {"student": student, "submission": "", "ended": "", "seconds": 0.0, "again": False}
    try:
        row["submission"] = _fingerprint(assignment, student)
        if path.exists():
            before = json.loads(path.read_text(encoding="utf8"))
            if before["submission"] == row["submission"]:
                return before | {"again": True}
        with assignment.lock:
            marks, row["ended"] = _autograde(assignment, student)
    except Exception as error:  # one submission never stops the others
        text = str(error) if isinstance(error, CourseError) else f"{type(error).__name__}: {error}"
        row["ended"] = (text or type(error).__name__)[:200]
        marks = [
            Mark(number, "missing", f"✗ {number} {exercise.title}: {row['ended']}")
            for number, exercise in assignment.judge.exercises.items()
        ]
    # A student may have written it, and it goes to the teacher's terminal.
    row["ended"] = "".join(letter if letter.isprintable() else " " for letter in row["ended"])
    with assignment.lock:
        _save(assignment, student, marks)
    row["marks"] = [dataclasses.asdict(mark) for mark in marks]
    row["seconds"] = time.monotonic() - start
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(row, indent=1, ensure_ascii=False), encoding="utf8")
    os.replace(beside, path)
    return row


def _fingerprint(assignment, student):
    """What a mark depends on: the submission, the source, the seed.

    Raises `CourseError` if the submission is nothing that can be read.
    """
    if not jail.name_is_safe(student):
        raise CourseError("the name of the student's folder has characters that no name has here")
    folder = assignment.course / "submitted" / student / assignment.name
    path = folder / f"{assignment.name}.ipynb"
    if not path.is_file() or any(part.is_symlink() for part in folder.rglob("*")):
        raise CourseError(
            f"there is no {path.name} in the submission" if not path.is_file() else "it has links"
        )
    if sum(part.stat().st_size for part in folder.rglob("*")) > LARGEST:
        raise CourseError(f"the submission is larger than {LARGEST / 1e6:g} MB")
    parts = [
        path.read_bytes(),
        json.dumps(assignment.source).encode(),
        os.environ.get("COURSE_SEED", "").encode(),
    ]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _autograde(assignment: Assignment, student: str) -> tuple[list[Mark], str]:
    """Run nbgrader's autograde for one submission, in the jail; the marks, and why it ended early."""
    from nbgrader.converters import Autograde
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, SaveAutoGrades

    found: dict[str, Any] = {}

    def restore(notebook, resources):
        _restore(notebook, assignment.source)
        return notebook, resources

    def run(notebook, resources):
        found["marks"], found["ended"] = _run(assignment, notebook)
        return notebook, resources

    directory = CourseDirectory(config=assignment.config)
    directory.assignment_id, directory.student_id = assignment.name, student
    app = Autograde(coursedir=directory, config=assignment.config)
    app.sanitize_preprocessors = [restore, *app.sanitize_preprocessors]
    app.autograde_preprocessors = [run, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
    app.force = True
    _start(app)
    return found["marks"], found["ended"]


_errors = threading.local()  # what nbgrader, whose log is one for all threads, said in this one


class _Errors(logging.Handler):
    def emit(self, record):
        _errors.said.append(record.getMessage())


def _start(app) -> None:
    """Run one of nbgrader's converters, silently.

    Raises `CourseError` with the error that it would have logged.
    """
    from nbgrader.converters.base import NbGraderException

    _errors.said = []
    app.log.handlers, app.log.propagate = [_Errors(logging.ERROR)], False
    try:
        with warnings.catch_warnings(action="ignore"):
            app.start()
    except NbGraderException:
        errors = [text for text in _errors.said if text.startswith("Traceback")] + _errors.said
        last = errors[0].strip().splitlines()[-1] if errors else "no reason is known"
        raise CourseError(f"nbgrader could not use the notebook ({last[:150]})") from None


def _run(assignment: Assignment, notebook: Any) -> tuple[list[Mark], str]:
    """Run a notebook in the jail and fill in its outputs; the marks, and why the run ended early or ""."""
    import nbformat

    known = {cell.source.strip() for cell in assignment.source.cells}
    own = [c.source for c in notebook.cells if c.cell_type == "code" and c.source.strip() not in known]
    reason = not_plain(own)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    short = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in _needed(cells, known)]
    )
    with tempfile.TemporaryDirectory(prefix="class-", ignore_cleanup_errors=True) as folder:
        out = pathlib.Path(folder, "out")
        out.mkdir()
        path = pathlib.Path(folder, "notebook.ipynb")
        nbformat.write(short, path)
        assignment.lock.release()
        try:
            ended = jail.run(assignment.prepared, path, out, assignment.limits, assignment.bwrap)
        finally:
            assignment.lock.acquire()
            os.environ["NBGRADER_EXECUTION"] = (
                "autograde"  # nbgrader takes it away when it ends, in any thread
            )
        ended = ended or _text(out / "ended.txt", 200)
        for cell, outputs in zip(cells, _outputs(out / "executed.ipynb", len(cells)), strict=True):
            cell.outputs = outputs
        marks = [
            assignment.judge.mark(number, out / f"{number}.safetensors", reason, ended)
            for number in assignment.judge.exercises
        ]
    for cell in notebook.cells:
        for mark in marks:
            if _grade_id(cell) == cell_name(mark.number):
                cell.outputs = _said(mark)
    return marks, ended


def cell_name(number: str) -> str:
    """The name that nbgrader knows the check of an exercise by: "check-4-2"."""
    return f"check-{number.replace('.', '-')}"


def _grade_id(cell) -> str:
    noted = cell.metadata.get("nbgrader")
    return str(noted.get("grade_id", "")) if isinstance(noted, dict) else ""


def _restore(notebook: Any, source: Any) -> None:
    """Give nbgrader's cells their metadata back, once each, and put checks that were deleted to the end.

    nbgrader restores the text of locked cells itself, and gives up where their metadata was changed.
    """
    wanted = {_grade_id(cell): cell for cell in source.cells if _grade_id(cell)}
    for cell in notebook.cells:
        original = wanted.pop(_grade_id(cell), None)
        cell.metadata.pop("nbgrader", None)
        if original is not None:
            cell.metadata["nbgrader"] = copy.deepcopy(original.metadata["nbgrader"])
    for cell in wanted.values():
        if cell.metadata["nbgrader"]["grade"]:  # with the answer before it, it can still be run
            notebook.cells.append(copy.deepcopy(cell))


def _needed(cells: list, known: set[str]) -> list[str]:
    """What to run of each cell: of the lesson's own cells only the statements whose names somebody uses.

    A lesson trains, draws and measures; for the answers to be marked, most of that need not happen again.
    """
    found = [[cell.source] for cell in cells]  # what a student wrote, and the checks, run as they are
    own = {}  # the lesson's statements: (cell, position) -> statement
    for index, cell in enumerate(cells):
        if cell.source.strip() in known and "nbgrader" not in cell.metadata:
            try:
                statements = ast.parse(cell.source).body
            except SyntaxError:  # a magic command
                continue
            found[index] = []
            own |= {(index, position): statement for position, statement in enumerate(statements)}
    binds = {place: _names_bound(statement) for place, statement in own.items()}
    wanted = set().union(*[_names_used(text) for texts in found for text in texts])
    kept: set[tuple[int, int]] = set()
    while more := {place for place, names in binds.items() if names & wanted} - kept:
        kept |= more
        wanted |= set().union(*[_names_used(ast.unparse(own[place])) for place in more])
    for index, position in sorted(kept):
        found[index].append(ast.unparse(own[index, position]))
    return ["\n".join(texts) for texts in found]


def _names_bound(statement) -> set[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    return names_bound(statement)


def _names_used(source: str) -> set[str]:
    """The names that a cell uses; none if it is no plain Python."""
    try:
        return names_used(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()


def _text(path: pathlib.Path, most: int) -> str:
    """The beginning of a plain file that the jail wrote."""
    if path.is_symlink() or not path.is_file():
        return ""
    with open(path, "rb") as file:
        return file.read(most).decode("utf8", "replace")


def _outputs(path: pathlib.Path, cells: int) -> list[list]:
    """What the cells of the notebook that came back have printed; only texts and pictures of it."""
    import nbformat

    nothing: list[list] = [[] for _ in range(cells)]
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        return nothing
    try:
        book = nbformat.reads(path.read_text(encoding="utf8"), as_version=4)
        nbformat.validate(book)
        found = [[shown for output in cell.outputs if (shown := _shown(output))] for cell in book.cells]
    except Exception:  # whatever a forged file holds
        return nothing
    return found if len(found) == cells else nothing


def _shown(output):
    """An output with only what a page can show safely: texts and PNG pictures."""
    import nbformat

    kind = output.output_type
    if kind in OUTPUTS:
        return nbformat.v4.new_output(kind, **{name: output[name] for name in OUTPUTS[kind]})
    data = {name: str(item) for name, item in output.get("data", {}).items() if name in PAGES}
    if not BASE64.fullmatch(data.get("image/png", "")):
        del data["image/png"]
    return nbformat.v4.new_output("display_data", data=data) if data else None


def _said(mark: Mark) -> list:
    """The outputs of a graded cell: the judge's words, and for nbgrader an error unless it is right."""
    import nbformat

    words = [nbformat.v4.new_output("stream", name="stdout", text=mark.words + "\n")]
    if mark.state == "right":
        return words
    return [*words, nbformat.v4.new_output("error", ename=mark.state, evalue="", traceback=[mark.state])]


def _save(assignment: Assignment, student: str, marks: list[Mark]) -> None:
    """Write the marks into the gradebook, whatever is there of an earlier run but a teacher's own marks."""
    with _gradebook(assignment) as gradebook:
        gradebook.update_or_create_student(student)
        gradebook.update_or_create_submission(assignment.name, student)
        for mark in marks:
            grade = gradebook.find_grade(cell_name(mark.number), assignment.name, assignment.name, student)
            grade.auto_score = grade.cell.max_score if mark.state == "right" else 0.0
            grade.needs_manual_grade = mark.state == "by hand" or grade.manual_score is not None
        gradebook.db.commit()


def _feedback(assignment: Assignment, students: list[str]) -> None:
    """nbgrader's feedback pages; a submission that has none is named by its row."""
    from nbgrader.converters import GenerateFeedback
    from nbgrader.coursedir import CourseDirectory

    from course_utils.classroom.feedback_page import Page

    class TitledPage(Page):
        titles = {
            cell_name(number): f"{number} {exercise.title}"
            for number, exercise in assignment.judge.exercises.items()
        }

    for student in students:
        if not (assignment.course / "autograded" / student / assignment.name).is_dir():
            continue
        directory = CourseDirectory(config=assignment.config)
        directory.assignment_id, directory.student_id = assignment.name, student
        app = GenerateFeedback(coursedir=directory, config=assignment.config)
        app.exporter_class = TitledPage
        app.force = True
        try:
            _start(app)
        except Exception as error:
            print(f"{student}: no feedback page ({type(error).__name__}: {error})")


def _export(assignment: Assignment) -> None:
    """nbgrader's `grades.csv`, beside and renamed."""
    from nbgrader.plugins import CsvExportPlugin

    beside = assignment.course / "grades.csv.part"
    with _gradebook(assignment) as gradebook:
        CsvExportPlugin(to=str(beside), assignment=[assignment.name]).export(gradebook)
    os.replace(beside, assignment.course / "grades.csv")
