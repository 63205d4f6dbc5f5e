"""Read a stored lesson: its cells, sections, claims and exercises. Shared by the tests of the notebooks."""

import ast
import csv
import dataclasses
import pathlib
import re

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from course_utils import data

FOLDER = pathlib.Path(__file__).parent.parent / "notebooks"
CARD = re.compile(r"### Your turn (\d+\.\d+) · (.+?) (★+)(☆*) · (\d+) min")
DETAILS = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
PYTHON_FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


@dataclasses.dataclass
class Lesson:
    """A notebook and its file's name, such as "01_tensors.ipynb"."""

    name: str
    notebook: nbformat.NotebookNode

    @property
    def number(self):
        """The two digits that the name begins with."""
        return self.name[:2]

    @property
    def cells(self):
        return self.notebook.cells

    @property
    def code(self):
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @property
    def markdown(self):
        return [cell for cell in self.cells if cell.cell_type == "markdown"]

    def section(self, title):
        """The cells from the one that begins with the heading `## title` to the next such heading."""
        found, inside = [], False
        for cell in self.cells:
            if cell.cell_type == "markdown" and re.match(r"## ", cell.source):
                inside = cell.source.splitlines()[0] == f"## {title}"
            if inside:
                found.append(cell)
        return found


@dataclasses.dataclass
class Exercise:
    """An exercise as a notebook has it; what is missing is "" (or {} for the details)."""

    number: str
    title: str
    stars: str
    minutes: str
    stub: str  # the source of the stub cell
    checked: str  # the number that the check cell names
    answer: str  # the name that the check cell passes
    output: str  # what the check cell printed
    details: dict[str, str]  # "Hint 1", "Hint 2", "Solution" -> what opens

    @property
    def solution(self):
        """The code in the Solution's python fence, or ""."""
        fence = PYTHON_FENCE.search(self.details.get("Solution", ""))
        return fence[1] if fence else ""


def paths():
    """The stored lessons, in order."""
    return sorted(FOLDER.glob("*.ipynb"))


def read(path):
    return Lesson(path.name, nbformat.read(path, as_version=4))


def tags(cell):
    return cell.metadata.get("tags", [])


def tree(source):
    """The syntax tree of a code cell, magics included; an empty one if the cell is a syntax error."""
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def calls(source, *names):
    """The calls of the functions called `names` that running a cell makes: those in bodies are left out."""
    found, todo = [], list(tree(source).body)
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            found.append(node)
        todo += ast.iter_child_nodes(node)
    return found


def claims(lesson):
    """The claims of a lesson, as the source of their texts."""
    found = [call for cell in lesson.code for call in calls(cell.source, "claim")]
    return [ast.unparse(call.args[0]) for call in found if call.args]


def imports(lesson):
    """The import statements at the top level of a lesson's code cells, as one source."""
    nodes = [
        node
        for cell in lesson.code
        if "raises-exception" not in tags(cell)
        for node in tree(cell.source).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return "\n".join(map(ast.unparse, nodes))


def definitions(lesson, *names):
    """What a lesson's sections define as `names`, {name: object}, without running the rest of the lesson.

    Runs the lesson's imports and, in the notebook's order, the top-level functions, classes and assignments
    that `names` stand for or need. So a test can feed fresh inputs to what learners read.

    Raises `LookupError` for a name that no cell before "When it goes wrong" defines.
    """
    end = lesson.cells.index(lesson.section("When it goes wrong")[0])
    body = [
        node for cell in lesson.cells[:end] if cell.cell_type == "code" for node in tree(cell.source).body
    ]
    defined = {}  # name -> the statements that define it
    for node in body:
        for name in _defines(node):
            defined.setdefault(name, []).append(node)
    if missing := sorted(set(names) - set(defined)):
        raise LookupError(f"lesson {lesson.number} does not define {missing}")
    needed, todo = set(), list(names)
    while todo:
        for node in defined.get(todo.pop(), []):
            if node not in needed:
                needed.add(node)
                todo += _uses(compile(ast.Module([node], []), lesson.name, "exec"))
    namespace = {"__name__": f"lesson_{lesson.number}"}
    source = [imports(lesson), *(ast.unparse(node) for node in body if node in needed)]
    exec("\n".join(source), namespace)
    return {name: namespace[name] for name in names}


def _uses(code):
    """The names that a code object takes from outside itself: globals (and attributes), not its locals."""
    inner = [constant for constant in code.co_consts if hasattr(constant, "co_names")]
    return [*code.co_names, *(name for part in inner for name in _uses(part))]


def _defines(node):
    """The names that a top-level statement gives a function, a class or a value."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        names = [use for target in node.targets for use in ast.walk(target) if isinstance(use, ast.Name)]
        return [name.id for name in names if isinstance(name.ctx, ast.Store)]
    return []


def texts(output):
    """Every text of a code cell's output; pictures have none but their `text/plain`."""
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [output.evalue, *output.traceback]
    return [
        text for kind, text in output.data.items() if not kind.startswith("image/") and isinstance(text, str)
    ]


def printed(cell):
    """What a code cell printed to stdout."""
    return "".join(
        o.text for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == "stdout"
    )


def exercises(lesson):
    """The exercises of a lesson, in the order of their cards (the cells that begin with `### Your turn`)."""
    found = []
    for index, cell in enumerate(lesson.cells):
        if cell.cell_type == "markdown" and cell.source.startswith("### Your turn"):
            found.append(_exercise(cell.source.splitlines()[0], lesson.cells[index + 1 : index + 4]))
    return found


def _exercise(heading, following):
    card = CARD.fullmatch(heading)
    number, title, full, empty, minutes = card.groups() if card else ("", heading, "", "", "")
    exercise = Exercise(number, title, full + empty, minutes, "", "", "", "", {})
    if [cell.cell_type for cell in following] != ["code", "code", "markdown"]:
        return exercise
    stub, check, details = following
    exercise.stub = stub.source
    match tree(check.source).body:
        case [ast.Expr(ast.Call(ast.Name("check"), [ast.Constant(str(checked)), ast.Name(answer)], []))]:
            exercise.checked, exercise.answer, exercise.output = checked, answer, printed(check)
    if not DETAILS.sub("", details.source).strip():  # nothing but <details>
        exercise.details = {name.strip(): text for name, text in DETAILS.findall(details.source)}
    return exercise


def headings(lesson):
    """The (level, text) of every markdown heading, in order."""
    found = []
    for cell in lesson.markdown:
        source = FENCE.sub("", cell.source)
        found += [(len(m[1]), m[2]) for m in re.finditer(r"^(#{1,6}) +(.*)$", source, re.MULTILINE)]
    return found


def file_of_three_classes(folder):
    """A CSV of 200 review sentences whose labels are words, three of them: a learner's own file."""
    texts = data.rotten_tomatoes()["train"]["text"][:200]
    path = folder / "mine.csv"
    with open(path, "w", encoding="utf8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        writer.writerows([text, ("short", "middle", "long")[min(2, len(text) // 80)]] for text in texts)
    return path
