"""Try mutants of every exercise's Solution: none that changes a result may pass its check.

A mutant is a Solution with one place changed: an operator, a comparison, a constant, a statement or a keyword
left out, two arguments swapped. For authors, in a checkout: `make mutants`, or `python tools/mutants.py 04`
for one lesson. Mutants that give the same results as the Solution are listed with the reason in EQUIVALENT.
"""

import ast
import copy
import dataclasses
import linecache
import pathlib
import random
import re
import sys
import time
from collections.abc import Iterator

import nbformat

ROOT = pathlib.Path(__file__).parent.parent
EQUIVALENT = pathlib.Path(__file__).with_name("equivalent_mutants.txt")
SECONDS = 3.0  # the time limit for one case of a mutant
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
CARD = re.compile(r"### Your turn (\d+\.\d+) · ")
SOLUTION = re.compile(r"<summary>Solution</summary>.*?^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
CHECK = re.compile(r'check\("[\d.]+", (\w+)\)')


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A changed Solution of the exercise `number`: its source, and the line that differs as it is now."""

    number: str
    name: str  # what the answer is called
    imports: str
    source: str
    line: str


def solutions(path: pathlib.Path) -> Iterator[tuple[str, str, str, str]]:
    """(number, name of the answer, the notebook's imports, source) of every exercise of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    imports = []
    for cell in cells:
        if cell.cell_type == "code" and "raises-exception" not in cell.metadata.get("tags", []):
            try:
                body = ast.parse(cell.source).body
            except SyntaxError:  # a magic
                continue
            imports += [ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    for index, cell in enumerate(cells):
        card = CARD.match(cell.source) if cell.cell_type == "markdown" else None
        if card:
            name, solution = CHECK.search(cells[index + 2].source), SOLUTION.search(cells[index + 3].source)
            yield card[1], name[1], "\n".join(imports), solution[1]


def changes(tree: ast.AST) -> Iterator[ast.AST]:
    """Copies of a syntax tree, each with one place changed."""
    for position, node in enumerate(ast.walk(tree)):
        for change in _changes_of(node):
            changed = copy.deepcopy(tree)
            place = next(other for i, other in enumerate(ast.walk(changed)) if i == position)
            change(place)
            yield ast.fix_missing_locations(changed)


def _changes_of(node):
    """Functions that change one node in place."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in OPERATORS:
        yield lambda place: setattr(place, "op", OPERATORS[type(place.op)]())
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in OPERATORS:
                yield lambda place, i=i: place.ops.__setitem__(i, OPERATORS[type(place.ops[i])]())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield lambda place: setattr(place, "op", ast.UAdd())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield lambda place: setattr(place, "operand", ast.UnaryOp(ast.Not(), place.operand))
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield lambda place: setattr(place, "value", not place.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield lambda place: setattr(place, "value", place.value + 1)
        if node.value != 0:
            yield lambda place: setattr(place, "value", place.value * 0.5)
    if isinstance(node, ast.Call):
        if len(node.args) >= 2 and not any(isinstance(arg, ast.Starred) for arg in node.args):
            yield lambda place: place.args.__setitem__(slice(0, 2), place.args[1::-1])
        for i in range(len(node.keywords)):
            yield lambda place, i=i: place.keywords.pop(i)
    for field in ("body", "orelse"):
        statements = getattr(node, field, None)
        for i, statement in enumerate(statements if isinstance(statements, list) else []):
            inside = not isinstance(node, ast.Module)
            text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if inside and not text and not isinstance(statement, ast.Return | ast.FunctionDef | ast.Pass):
                yield lambda place, i=i, field=field: getattr(place, field).__setitem__(i, ast.Pass())


def mutants(path: pathlib.Path) -> Iterator[Mutant]:
    """Every mutant of every Solution of a notebook."""
    for number, name, imports, source in solutions(path):
        before = ast.unparse(ast.parse(source)).splitlines()
        for changed in changes(ast.parse(source)):
            after = ast.unparse(changed)
            if after.splitlines() == before:  # two equal arguments swapped
                continue
            pairs = zip(before, after.splitlines(), strict=False)
            line = next((new.strip() for old, new in pairs if old != new), after.splitlines()[-1].strip())
            yield Mutant(number, name, imports, after, line)


def survives(mutant: Mutant, seconds: float = SECONDS) -> bool:
    """Whether the check lets a mutant pass, with `seconds` as the time limit for each case."""
    from course_utils.checks.feedback import passes

    filename = f"<mutant {mutant.number}>"
    linecache.cache[filename] = (len(mutant.source), None, mutant.source.splitlines(True), filename)
    namespace = {"__name__": "__main__"}
    exec(mutant.imports, namespace)
    try:
        exec(compile(mutant.source, filename, "exec"), namespace)
    except Exception:  # it cannot even be defined
        return False
    return passes(mutant.number, namespace[mutant.name], seconds)


def equivalent() -> dict[tuple[str, str], str]:
    """{(number, changed line): why the results are the same}."""
    rows = [line.split(" | ") for line in EQUIVALENT.read_text(encoding="utf8").splitlines() if line]
    return {(number, line): reason for number, line, reason in rows if not number.startswith("#")}


def sample(found: list[Mutant], each: int) -> list[Mutant]:
    """At most `each` mutants of every exercise, the same ones every time."""
    dice, chosen = random.Random(0), []
    for number in dict.fromkeys(mutant.number for mutant in found):
        of_exercise = [mutant for mutant in found if mutant.number == number]
        chosen += dice.sample(of_exercise, min(each, len(of_exercise)))
    return chosen


def main(numbers: list[str]) -> int:
    """Try all the mutants of the lessons with these numbers ("04"), or of all; 1 if one passes."""
    known, passed = equivalent(), []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if numbers and path.name[:2] not in numbers:
            continue
        start, found = time.monotonic(), list(mutants(path))
        through = [mutant for mutant in found if survives(mutant)]
        wrong = [mutant for mutant in through if (mutant.number, mutant.line) not in known]
        passed += wrong
        counts = f"{len(found)} mutants, {len(through)} pass, {len(wrong)} not listed"
        print(f"{path.name}: {counts} ({time.monotonic() - start:.0f} s)")
        for mutant in wrong:
            print(f"   {mutant.number} | {mutant.line}", flush=True)
    return int(bool(passed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
