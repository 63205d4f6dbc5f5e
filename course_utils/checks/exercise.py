"""What an exercise is: data. A reference, inputs, what is compared, rules, and typical mistakes."""

import dataclasses
import inspect
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from course_utils.checks.rules import Rule, at_most, calls, forbid, no_loops, no_models, tensors_up_to
from course_utils.translation import message

__all__ = [
    "Case",
    "Draw",
    "Exercise",
    "Mistake",
    "Shown",
    "at_most",
    "calls",
    "case",
    "exercise",
    "forbid",
    "mistake",
    "no_loops",
    "no_models",
    "shown",
    "tensors_up_to",
]

KINDS = ("function", "value", "module", "class")


@dataclasses.dataclass(frozen=True)
class Case:
    """One input: a name that a learner can read, and the arguments of one call or of several in a row."""

    name: str
    args: tuple
    then: tuple[tuple, ...] = ()


@dataclasses.dataclass(frozen=True)
class Mistake:
    """What people really do wrong: wrong answers of one family, and the sentence that tells their authors."""

    explanation: str
    answers: tuple


@dataclasses.dataclass(frozen=True)
class Shown:
    """An argument whose `repr` says nothing, such as a function, with the text that a learner can type."""

    text: str
    value: Any


@dataclasses.dataclass(frozen=True)
class Exercise:
    """What `check` needs to judge an answer; see `exercise` for the fields."""

    number: str
    title: str
    reference: Any
    cases: tuple[Case, ...]
    mistakes: tuple[Mistake, ...]
    kind: str
    use: Callable | None
    returns: str | tuple[str, ...]
    gradients: tuple[str, ...]
    rules: tuple[Rule, ...]
    judge: Callable | None
    rtol: float
    atol: float
    seconds: float
    # What the mistakes gave, once they were tried: {(mistake, variant, case): outcome}, by position.
    found: dict = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def argument_names(self) -> list[str]:
        """A name for each of a case's arguments, out of the reference's (or `use`'s) signature."""
        module = self.kind == "module"
        function = self.use or (self.reference.forward if module else self.reference)
        try:
            names = list(inspect.signature(function).parameters)
        except (TypeError, ValueError):  # a value, or a function written in C
            names = []
        if self.use or module:
            names = names[1:]  # the answer itself, or self
        if module:
            names = [message("constructor arguments"), *names]
        most = max(len(case.args) for case in self.cases)
        return names + [message("argument {}").format(position + 1) for position in range(len(names), most)]


declared: dict[str, Exercise] = {}


class Draw:
    """Random inputs for one exercise, with a seed of their own: a new case changes no other exercise's.

    A teacher's seed in the variable `COURSE_SEED`, an int, gives other inputs.
    """

    def __init__(self, number: str):
        import torch

        self._generator = torch.Generator().manual_seed(
            zlib.crc32(number.encode()) + int(os.environ.get("COURSE_SEED") or 0)
        )

    def floats(self, *shape: int) -> Any:
        """A float32 tensor of this shape, out of the standard normal distribution."""
        import torch

        return torch.randn(*shape, generator=self._generator, dtype=torch.float32, device="cpu")

    def integers(self, high: int, *shape: int) -> Any:
        """An int64 tensor of this shape, each number from 0 to `high` - 1."""
        import torch

        return torch.randint(0, high, shape, generator=self._generator, device="cpu")


def case(name: str, *args: Any, then: Sequence[tuple] = ()) -> Case:
    """An input called `name`: the answer is called with `args`, then with each tuple of `then`.

    For a module, the first of `args` is the tuple of its constructor's arguments and the rest are
    `forward`'s; every call goes to the same object, and its state after each call is compared too.
    """
    return Case(name, args, tuple(then))


def mistake(explanation: str, *answers: Any) -> Mistake:
    """Typical wrong `answers` of one family (of the kind that the exercise asks for) and what to tell."""
    return Mistake(explanation, answers)


def shown(text: str, value: Any) -> Shown:
    """An argument `value`, shown to learners as `text`."""
    return Shown(text, value)


def exercise(
    number: str,
    title: str,
    *,
    reference: Any,
    mistakes: Sequence[Mistake],
    cases: Sequence[Case] = (),
    kind: str = "function",
    use: Callable | None = None,
    returns: str | tuple[str, ...] = "the result",
    gradients: Sequence[str] = (),
    rules: Sequence[Rule] = (),
    judge: Callable | None = None,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    seconds: float = 10.0,
) -> Exercise:
    """Declare the exercise `number` ("4.2": lesson 4, exercise 2).

    - `kind` "function": an answer is a function; it is compared with `reference` on every case. "value": an
      answer is a number, a string, a tensor, a list ... "module": a subclass of `nn.Module`; it is built with
      a case's first argument, given the reference's parameters (so their names and shapes are part of the
      task), and called. "class": any other class, scripted by `use`.
    - `use(answer, *args)` is run in place of `answer(*args)`, and what it returns is compared: most simply a
      dict whose keys say what each value is. So an exercise can ask for any sequence of calls.
    - `returns`: what the result is called in the verdict, or a name for each item of a tuple.
    - `gradients`: the names of the arguments whose gradients are compared, "parameters" for a module's.
    - `rules`: what an answer may not do, see `course_utils.checks.rules`.
    - `judge`, for open-ended exercises with many right answers: called with a result and the case's
      arguments, it answers "" or a sentence that says what is wrong. `reference` is then one right answer.
    - `rtol`, `atol`: as in `torch.testing.assert_close`. `seconds`: the time limit for one case.

    Raises `ValueError` if the declaration cannot be checked.
    """
    if kind not in KINDS:
        raise ValueError(f"exercise {number}: kind is one of {', '.join(KINDS)}, and got {kind!r}")
    if kind == "module" and judge is not None:
        raise ValueError(f"exercise {number}: a judge goes with a function (a class is one) or a value")
    if kind == "class" and use is None:
        raise ValueError(f"exercise {number}: a class is judged by what `use` does with it")
    if kind == "value":
        cases = (Case("", ()),)
    if not cases or number in declared:
        raise ValueError(f"exercise {number} has no cases, or is declared twice")
    made = Exercise(
        number,
        title,
        reference,
        tuple(cases),
        tuple(mistakes),
        kind,
        use,
        returns,
        tuple(gradients),
        tuple(rules),
        judge,
        rtol,
        atol,
        seconds,
    )
    unknown = set(gradients) - set(made.argument_names()) - {"parameters"}
    if unknown:
        raise ValueError(f"exercise {number}: no argument is called {', '.join(sorted(unknown))}")
    declared[number] = made
    return made
