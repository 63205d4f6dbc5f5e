"""Put a student's answers into the released notebook, so that all else in it is the teacher's.

A cell of a submission is recognised, in this order, by nbgrader's `grade_id`; by its id (Colab keeps it in
the metadata); by being nothing but `check("4.2", …)`; by having the source of a released cell; by defining
what is asked for where an exercise's cell is missing; and by sharing half of its lines with a cell of the
lesson that is missing there. What is left was added by the student.

An exercise's answer is the code cell recognised as its own. Where that is missing or still the stub, it is
the last other cell of the student's that defines the name which the check is given: so an answer that was
moved, or written into another exercise's cell, is found. Where there is none, the stub stays.

Code cells that the student added above the last check are carried over, to where they stood: above the answer
that follows, or else below the cell before. So is the other half of an answer's cell that was split. Of a
changed cell of the lesson the teacher's is kept, and what it defines in addition (an import, a helper) is
carried over below it. Checks are always the teacher's. Added text is left out.
"""

import ast
import copy
import dataclasses
import json
import re
from typing import Any

from course_utils.classroom.lessons import CHECK

CELLS = 2000  # a notebook of more is refused; a lesson has about 160
TEXT = 2_000_000  # characters of all cells together, outputs not counted; a lesson has about 100,000
SOURCE = 100_000  # characters of one cell of the student's
ADDED = 200  # cells that a student may have added


class Unusable(ValueError):
    """Why a file cannot be used, in words for the teacher."""


@dataclasses.dataclass
class Cell:
    """A cell of a submission: what is read of it, and the released cell that it stands for."""

    kind: str
    source: str
    names: list[str]  # grade_id and ids, in the order in which they are believed
    stands_for: int | None = None


@dataclasses.dataclass
class Rebuilt:
    """The notebook to grade, the exercises that were answered, and what the teacher should know."""

    notebook: Any
    answered: list[str]
    open: list[str]  # still the stub, or not found
    notes: list[tuple[str, str]]  # (exercise or "", sentence)


def read(text: str) -> list[Cell]:
    """The cells of a notebook's JSON `text`, of nbformat 3 or 4, valid or not. Raises `Unusable`."""
    try:
        notebook = json.loads(text)
        cells = notebook.get("cells")
        if cells is None:
            cells = [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        if len(cells) > CELLS:
            raise Unusable(f"it has more than {CELLS} cells")
        cells = [_cell(cell) for cell in cells]
        if sum(len(cell.source) for cell in cells) > TEXT:
            raise Unusable(f"its cells hold more than {TEXT:,} characters")
        return cells
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable(f"it is no notebook ({type(error).__name__})") from None


def _cell(cell):
    source = cell.get("source", cell.get("input", ""))
    source = source if isinstance(source, str) else "".join(source)
    source = source.encode("utf8", "replace").decode("utf8").replace("\r\n", "\n")  # half a surrogate pair
    metadata = cell.get("metadata") or {}
    names = [(metadata.get("nbgrader") or {}).get("grade_id"), cell.get("id"), metadata.get("id")]
    return Cell(str(cell.get("cell_type")), source, [name for name in names if isinstance(name, str)])


def rebuild(released: Any, cells: list[Cell]) -> Rebuilt:
    """The released notebook with the answers in `cells`, which are marked with what they stand for.

    Raises `Unusable` if `cells` are not of this assignment: no check and no stub of it is among them.
    """
    notebook, notes = copy.deepcopy(released), []
    place = {cell.id: position for position, cell in enumerate(released.cells)}
    exercises = {
        check[1]: (place[f"answer-{check[1].replace('.', '-')}"], position, check[2])
        for position, cell in enumerate(released.cells)
        if cell.id.startswith("check-") and (check := CHECK.match(cell.source))
    }
    names = {answer: name for answer, _, name in exercises.values()}
    _recognise(released, cells, place, names)
    of_exercises = {position for answer, check, _ in exercises.values() for position in (answer, check)}
    if not any(cell.stands_for in of_exercises for cell in cells):
        raise Unusable("none of this assignment's exercises is in it")
    own = [c for c in cells if c.kind == "code" and (c.stands_for is None or c.stands_for in of_exercises)]
    answered, left_open, taken = [], [], []
    for number, (answer, check, name) in exercises.items():
        stub = _plain(released.cells[answer].source)
        found = _answer(own, answer, stub, name)
        if any(
            _plain(c.source) != _plain(released.cells[check].source) for c in cells if c.stands_for == check
        ):
            notes.append((number, "its check was changed: the teacher's is used"))
        if found is None:
            if not any(c.stands_for == answer and c.kind == "code" for c in cells):
                notes.append((number, "no cell with an answer was found: the stub stands there"))
            left_open.append(number)
        elif len(found.source) > SOURCE:
            notes.append((number, f"the answer is longer than {SOURCE:,} characters: the stub stands there"))
            left_open.append(number)
        else:
            if found.stands_for != answer:
                notes.append((number, "the answer was found in another cell"))
                found.stands_for = answer if found.stands_for is None else found.stands_for
            notebook.cells[answer].source = found.source
            notebook.cells[answer].outputs = []
            answered.append(number)
            taken.append(found)
    last = max(i for i, c in enumerate(cells) if c.stands_for in of_exercises)
    above, below = _added(released, cells[: last + 1], names, taken, notes)
    if late := sum(c.kind == "code" and c.stands_for is None for c in cells[last + 1 :]):
        notes.append(("", f"{late} code cells added below the last exercise are left out"))
    notebook.cells = _woven(notebook.cells, above, below)
    return Rebuilt(notebook, answered, left_open, notes)


def _plain(source):
    """A source as it is compared: without blanks at line ends and empty lines around."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())


def _recognise(released, cells, place, names):
    """Mark each of `cells` with the position of the released cell that it stands for, if any."""
    by_source = {}
    for position, cell in enumerate(released.cells):
        by_source.setdefault(_plain(cell.source), position)
    for cell in cells:
        known = [place[name] for name in cell.names if name in place]
        check = CHECK.fullmatch(_plain(cell.source)) if cell.kind == "code" else None
        checked = place.get(f"check-{check[1].replace('.', '-')}") if check else None
        cell.stands_for = known[0] if known else checked
        if cell.stands_for is None:
            cell.stands_for = by_source.get(_plain(cell.source))
    lines = [_lines(cell.source) if cell.cell_type == "code" else set() for cell in released.cells]
    there, before = {cell.stands_for for cell in cells}, -1
    for index, cell in enumerate(cells):
        if cell.stands_for is None and cell.kind == "code" and len(cell.source) <= SOURCE:
            after = (c.stands_for for c in cells[index + 1 :] if c.stands_for is not None)
            gap = [p for p in range(before + 1, next(after, len(released.cells))) if p not in there]
            asked = [p for p in gap if p in names and _defines(names[p]).search(cell.source)]
            own = _lines(cell.source)
            common = {p: len(lines[p] & own) for p in gap if p not in names and own}
            alike = [p for p, count in common.items() if 2 * count >= max(len(lines[p]), len(own))]
            if found := asked + alike:
                cell.stands_for = found[0]
                there.add(found[0])
        before = before if cell.stands_for is None else cell.stands_for


def _lines(source):
    return set(_plain(source).splitlines())


def _defines(name):
    """The pattern of a statement at the top of a cell that defines `name`; the cell need not be valid."""
    return re.compile(rf"^(?:(?:async\s+)?def|class)\s+{name}\b|^{name}\s*(?::[^=\n]*)?=(?!=)", re.MULTILINE)


def _answer(own, answer, stub, name):
    """The student's cell that answers an exercise: its own, or the last other that defines it, or None."""
    tried = [cell for cell in own if _plain(cell.source) not in ("", stub)]
    its_own = [cell for cell in tried if cell.stands_for == answer]
    others = [cell for cell in tried if _defines(name).search(cell.source)]
    for candidates in ([cell for cell in its_own if cell in others], others, its_own):
        if candidates:
            return candidates[-1]
    return None


def _added(released, cells, names, taken, notes):
    """Code to carry over: ({position: sources to stand above it}, {position: sources to stand below it})."""
    above, below, before, count = {}, {}, 0, 0
    for index, cell in enumerate(cells):
        here = cell.stands_for
        original = "" if here is None else released.cells[here].source
        spare = cell.kind == "code" and not any(cell is other for other in taken)
        if spare and _plain(cell.source) not in ("", _plain(original)):
            count += here is None or here in names
            after = next((c.stands_for for c in cells[index + 1 :] if c.stands_for is not None), None)
            if len(cell.source) > SOURCE or count > ADDED:
                notes.append(("", f"a cell is left out, one too many or too long: {_head(cell)}"))
            elif here in names:  # the other half of an answer that was split, or an earlier try
                above.setdefault(here, []).append(cell.source)
            elif here is None:
                where, at = (above, after) if after in names else (below, before)
                where.setdefault(at, []).append(cell.source)
            elif not CHECK.match(original) and (more := _more(original, cell, notes)):
                below.setdefault(here, []).append(more)
        before = before if here is None else here
    return above, below


def _head(cell):
    return printable(cell.source.strip().splitlines()[0][:60])


def printable(text: str) -> str:
    """A text without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _more(original, cell, notes):
    """The statements of a changed cell of the lesson that define what the lesson's own does not."""
    try:
        known, tree = _names(ast.parse(original).body), ast.parse(cell.source)
        kept = [node for node in tree.body if _names([node]) - known]
        source = "\n".join(map(ast.unparse, kept))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        notes.append(("", f"a changed cell of the lesson is left out: {_head(cell)}"))
        return ""
    if kept:
        added = ", ".join(sorted(_names(kept) - known))
        notes.append(("", f"a changed cell of the lesson: only what it adds is kept, {added}"))
    return source


def _names(nodes):
    """The names that statements at the top of a cell define."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return found


def _woven(cells, above, below):
    """The cells with the student's in place. Nothing but their source is taken over."""
    from nbformat.v4 import new_code_cell

    found, number = [], 0
    for position, cell in enumerate(cells):
        group = [*above.get(position, []), cell, *below.get(position, [])]
        for item in group:
            if isinstance(item, str):
                number += 1
                item = new_code_cell(item, id=f"added-{number}")
            found.append(item)
    return found
