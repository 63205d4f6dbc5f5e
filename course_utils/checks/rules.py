"""What an answer may not do, and who notices: calls of torch, syntax, calls of what it is given.

A rule is declared with the exercise and enforced whatever the result is. Calls of torch are seen by a
`TorchFunctionMode`, so functions, methods, operators, layers and aliases count alike; what a function of
torch calls inside itself does not. Syntax is looked up in the answer's source, where there is one.
"""

import ast
import dataclasses
import functools
import inspect
import textwrap
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

from course_utils.checks.compare import cut, is_own
from course_utils.translation import message, translate

LOOPS = {
    ast.For: "for",
    ast.While: "while",
    ast.ListComp: message("a comprehension"),
    ast.SetComp: message("a comprehension"),
    ast.DictComp: message("a comprehension"),
    ast.GeneratorExp: message("a comprehension"),
}


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule: which kind it is, the names that it is about, and how much is allowed."""

    kind: str  # "torch", "loops", "given", "size" or "models"
    names: tuple[str, ...] = ()
    most: int | None = 0
    least: int = 0


def forbid(*names: str) -> Rule:
    """No call of the torch functions called `names`, such as "softmax" (also as method, layer or alias)."""
    return Rule("torch", names, 0)


def at_most(most: int, *names: str) -> Rule:
    """At most so many calls, together, of the torch functions called `names` in one call of the answer."""
    return Rule("torch", names, most)


def no_loops() -> Rule:
    """No `for`, `while` or comprehension in the answer's source and in the learner's functions it calls."""
    return Rule("loops")


def calls(name: str, most: int | None = None, least: int = 0) -> Rule:
    """How often the answer may call (and has to call) its argument `name`, a function or a module."""
    return Rule("given", (name,), most, least)


def tensors_up_to(elements: int) -> Rule:
    """No call of torch may give a tensor of more than so many elements."""
    return Rule("size", most=elements)


def no_models() -> Rule:
    """No use of a model that the notebook has, nor of `from_pretrained`: only of what the answer is given."""
    return Rule("models")


class Watch:
    """Notes what the rules of an exercise are about while one answer runs once."""

    def __init__(self, rules: tuple[Rule, ...], argument_names: list[str]):
        self.rules = rules
        self.broken = ""  # the first rule that was broken, a sentence
        self._argument_names = argument_names
        self._torch = {}
        self._given = {}

    def give(self, arguments: list) -> list:
        """`arguments`, with those that a rule counts the calls of replaced by ones that count."""
        given = list(arguments)
        for rule in self.rules:
            if rule.kind == "given":
                position = self._argument_names.index(rule.names[0])
                given[position] = self._counted(given[position], rule)
        return given

    def _counted(self, argument: Any, rule: Rule) -> Any:
        import torch

        name = rule.names[0]
        self._given[name] = 0

        def note(*_: Any) -> None:
            self._given[name] += 1
            if rule.most is not None and self._given[name] > rule.most:
                self._break(_called_too_often(name, rule.most))

        if isinstance(argument, torch.nn.Module):
            argument.register_forward_pre_hook(note)
            return argument

        def counting(*args: Any, **kwargs: Any) -> Any:
            note()
            return argument(*args, **kwargs)

        return counting

    def mode(self) -> Any:
        """A context in which torch's calls are noted."""
        from torch.overrides import TorchFunctionMode

        watch = self

        class Noting(TorchFunctionMode):
            def __torch_function__(self, function, types, args=(), kwargs=None):
                watch._note_call(function)
                result = function(*args, **(kwargs or {}))
                watch._note_result(result)
                return result

        return Noting()

    def _note_call(self, function: Callable) -> None:
        name = getattr(function, "__name__", "").strip("_").removeprefix("special_").removeprefix("linalg_")
        for rule in self.rules:
            if rule.kind == "torch" and name.rstrip("_") in rule.names:
                self._torch[rule] = self._torch.get(rule, 0) + 1
                if self._torch[rule] > rule.most:
                    self._break(_called_too_often(name, rule.most))
            elif rule.kind == "models" and name == "from_pretrained":
                self._break(translate("a pretrained model is loaded"))

    def _note_result(self, result: Any) -> None:
        import torch

        for rule in self.rules:
            if rule.kind == "size" and torch.is_tensor(result) and result.numel() > rule.most:
                shape = tuple(result.shape)
                much = translate(
                    "a tensor of shape {shape} arises, and {number} elements are the most",
                    shape=shape,
                    number=f"{rule.most:,}",
                )
                self._break(much)

    def _break(self, what: str) -> None:
        if not self.broken:
            self.broken = translate(
                "{what}{where}, and the card rules that out", what=what, where=_own_line()
            )

    def finish(self) -> None:
        """Look at what has to have happened once the answer has returned."""
        for rule in self.rules:
            if rule.kind == "given" and self._given.get(rule.names[0], 0) < rule.least:
                often = self._given.get(rule.names[0], 0)
                seldom = translate(
                    "`{name}` is called {often}, where {least} is the least",
                    name=rule.names[0],
                    often=_times(often),
                    least=_times(rule.least),
                )
                self._break(seldom)


def broken_in_source(rules: tuple[Rule, ...], answer: Any) -> str:
    """The first rule on syntax or models that `answer`'s source breaks, a sentence, or ""."""
    kinds = {rule.kind for rule in rules}
    for function in _own_functions(answer, set()) if kinds & {"loops", "models"} else ():
        if "models" in kinds and (name := _model_in(function)):
            return translate("`{name}` is a model of the notebook, and the card rules that out", name=name)
        if "loops" in kinds and (loop := _loop_in(function)):
            return translate("there is {loop}, and the card rules loops out", loop=loop)
    return ""


def _own_functions(answer: Any, seen: set) -> Iterator[Callable]:
    """`answer` and the functions written beside it that it names, each once; a class's methods."""
    if isinstance(answer, functools.partial | types.MethodType):
        answer = answer.func if isinstance(answer, functools.partial) else answer.__func__
    if not inspect.isroutine(answer) and "__call__" in vars(type(answer)) and not inspect.isclass(answer):
        answer = type(answer)  # an object that can be called
    if inspect.isclass(answer):
        for member in vars(answer).values():
            if inspect.isfunction(member):
                yield from _own_functions(member, seen)
        return
    answer = inspect.unwrap(answer) if callable(answer) else answer
    if not inspect.isfunction(answer) or answer in seen:
        return
    seen.add(answer)
    yield answer
    for value in _names(answer).values():
        if getattr(value, "__module__", None) == answer.__module__:
            yield from _own_functions(value, seen)


def _names(function: Callable) -> dict[str, Any]:
    """What a function's globals and enclosing functions give the names that it uses."""
    found = {}
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        found |= {name: function.__globals__[name] for name in code.co_names if name in function.__globals__}
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return found


def _model_in(function: Callable) -> str:
    return next((name for name, value in _names(function).items() if _is_model(value)), "")


def _is_model(value: Any) -> bool:
    """Whether a value is a model of torch, or scikit-learn's: one of its objects, classes or functions."""
    import torch

    module = getattr(value, "__module__", None) or type(value).__module__
    return isinstance(value, torch.nn.Module) or str(module).partition(".")[0] == "sklearn"


def _loop_in(function: Callable) -> str:
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):  # no source, or a lambda inside a larger expression
        return ""
    if function.__name__ == "<lambda>":
        wanted = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
        if len(wanted) > 1:  # several in one statement: the one that uses the same names
            wanted = [node for node in wanted if _same_names(node, function.__code__)]
        tree = wanted[0] if len(wanted) == 1 else ast.Module(body=[], type_ignores=[])
    for node in ast.walk(tree):
        if type(node) in LOOPS:
            line = lines[node.lineno - 1].strip()
            return translate(
                "`{loop}` in line {number} of your cell ({code})",
                loop=translate(LOOPS[type(node)]),
                number=first + node.lineno - 1,
                code=line,
            )
    return ""


def _same_names(node: ast.Lambda, code: types.CodeType) -> bool:
    made = compile(ast.fix_missing_locations(ast.Expression(node)), "", "eval").co_consts[0]
    return (made.co_names, made.co_varnames) == (code.co_names, code.co_varnames)


def _own_line() -> str:
    """Where in the learner's code the program is just now: " in line 3 of your cell (x = …)", or ""."""
    own = [frame for frame in traceback.extract_stack() if is_own(frame.filename)]
    if not own:
        return ""
    code = cut(own[-1].line or "", 60)
    return translate(" in line {number} of your cell ({code})", number=own[-1].lineno, code=code)


def _called_too_often(name: str, most: int) -> str:
    if most == 0:
        return translate("`{name}` is called", name=name)
    return translate("`{name}` is called more than {often}", name=name, often=_times(most))


def _times(count: int) -> str:
    few = {0: message("never"), 1: message("once"), 2: message("twice")}
    return translate(few[count]) if count in few else translate("{number} times", number=count)
