"""An exercise module without its references, judges and mistakes: what the jail may know of the exercises."""

import ast
import inspect
import symtable

from course_utils.checks.exercise import Exercise

SECRET = ("reference", "judge", "mistakes")


def inputs_only(source: str, exercises: dict[str, Exercise]) -> str:
    """The text of an exercise module with only what its cases and its `use` need.

    A reference becomes one that does nothing and has the same argument names, mistakes and judges go, and
    then every function, class and value of the module that nothing needs any more.
    """
    module = ast.parse(source)
    declarations = [statement for statement in module.body if _declares(statement)]
    for statement in declarations:
        call = statement.value
        number = call.args[0].value
        call.keywords = [word for word in call.keywords if word.arg not in SECRET]
        stand_in = ast.parse(_stand_in(exercises[number]), mode="eval").body
        call.keywords += [
            ast.keyword("reference", stand_in),
            ast.keyword("mistakes", ast.List([], ast.Load())),
        ]
    return ast.unparse(ast.Module(_needed(module.body, declarations), []))


def shared_with_reference(source: str, stripped: str) -> dict[str, list[str]]:
    """For each exercise, the functions and classes of its reference that `stripped` still has."""
    left = {
        node.name for node in ast.parse(stripped).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    module = ast.parse(source)
    found = {}
    for statement in filter(_declares, module.body):
        call = statement.value
        reference = next(word.value for word in call.keywords if word.arg == "reference")
        wanted = _closure(module.body, names_used(reference))
        found[call.args[0].value] = sorted(wanted & left)
    return found


def _declares(statement) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and isinstance(statement.value.func, ast.Name)
        and statement.value.func.id == "exercise"
    )


def _stand_in(exercise: Exercise) -> str:
    """An expression with the reference's argument names and nothing else of it."""
    function = exercise.reference.forward if exercise.kind == "module" else exercise.reference
    try:
        names = ", ".join(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a value, or a function written in C
        return "None"
    lambda_ = f"lambda {names}: None"
    return f"type('Reference', (), {{'forward': {lambda_}}})" if exercise.kind == "module" else lambda_


def _needed(body: list, declarations: list) -> list:
    """The statements that the declarations need, in their order; imports and bare calls always."""
    draws = {name for statement in body if _draws(statement) for name in names_bound(statement)}
    keep = {
        index
        for index, statement in enumerate(body)
        if statement in declarations
        or isinstance(statement, ast.Import | ast.ImportFrom)
        or (isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Constant))
        # What draws numbers is kept, needed or not: the numbers after it depend on it.
        or (isinstance(statement, ast.Assign) and (_draws(statement) or names_used(statement.value) & draws))
    }
    while True:
        used = {name for index in keep for name in names_used(body[index])}
        more = {index for index, statement in enumerate(body) if names_bound(statement) & used} - keep
        if not more:
            return [body[index] for index in sorted(keep)]
        keep |= more


def _draws(statement) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "Draw"


def names_bound(statement) -> set[str]:
    """The names that a statement at the top of a module gives a value, or whose value it changes."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return set()
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name | ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            while isinstance(node, ast.Subscript | ast.Attribute):
                node = node.value
            found |= {node.id} if isinstance(node, ast.Name) else set()
    return found


def names_used(node: ast.AST) -> set[str]:
    """The names of the module that a statement or an expression uses; its own local names are none."""
    tables = [symtable.symtable(ast.unparse(node), "", "exec")]
    names = {symbol.get_name() for symbol in tables[0].get_symbols() if symbol.is_referenced()}
    while tables:
        children = tables.pop().get_children()
        names |= {
            symbol.get_name() for child in children for symbol in child.get_symbols() if symbol.is_global()
        }
        tables += children
    return names


def _closure(body: list, names: set[str]) -> set[str]:
    """`names` and, again and again, what the functions and classes of these names use."""
    definitions = {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    reached: set[str] = set()
    while new := (names & set(definitions)) - reached:
        reached |= new
        names = {name for one in new for name in names_used(definitions[one])}
    return reached
