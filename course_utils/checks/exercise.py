"""An exercise is data: a reference, inputs, a tolerance, and the typical mistakes with their explanations."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Case:
    """One input: a name that a learner can read, and the arguments."""

    name: str
    args: tuple


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A wrong answer that people really give, and the sentence that tells them why it is wrong."""

    explanation: str
    answer: Any


@dataclasses.dataclass(frozen=True)
class Exercise:
    """What `check` needs to judge an answer; see `exercise` for the fields."""

    number: str
    title: str
    reference: Any
    cases: tuple[Case, ...]
    mistakes: tuple[Mistake, ...]
    kind: str
    judge: Callable | None
    gradients: bool
    rtol: float
    atol: float
    seconds: float

    def argument_names(self):
        """A name for each of a case's arguments, out of the reference's signature."""
        module = self.kind == "module"
        try:
            signature = inspect.signature(self.reference.forward if module else self.reference)
            names = list(signature.parameters)
        except (TypeError, ValueError):  # a value, or a function written in C
            names = []
        if module:
            names[:1] = ["constructor arguments"]
        most = max(len(case.args) for case in self.cases)
        return names + [f"argument {position + 1}" for position in range(len(names), most)]


declared: dict[str, Exercise] = {}


def case(name, *args):
    """An input called `name`: a function is called with `args`.

    For a module, the first of `args` is the tuple of its constructor's arguments, the rest are `forward`'s.
    """
    return Case(name, args)


def mistake(explanation, answer):
    """A typical wrong `answer` (of the kind that the exercise asks for) and what to tell who gives it."""
    return Mistake(explanation, answer)


def exercise(
    number,
    title,
    *,
    reference,
    mistakes,
    cases=(),
    kind="function",
    judge=None,
    gradients=False,
    rtol=1e-4,
    atol=1e-5,
    seconds=10.0,
):
    """Declare the exercise `number` ("4.2": lesson 4, exercise 2).

    - `kind` "function": an answer is a function; it is compared with `reference` on every case.
    - `kind` "value": an answer is a number, a string, a tensor, a list ...; it is compared with `reference`.
    - `kind` "module": an answer is a subclass of `nn.Module`; it is built with a case's first argument,
      given the reference's parameters (so their names and shapes are part of the task), and called.
    - `judge`, for open-ended exercises (functions or values) with many right answers: called with a result
      and the case's arguments, it answers "" or a sentence that says what is wrong. `reference` is then one
      right answer.
    - `gradients`: the gradients with respect to every floating-point input (and parameter) are compared too.
    - `rtol`, `atol`: as in `torch.testing.assert_close`. `seconds`: the time limit for one case.

    Raises `ValueError` if the declaration cannot be checked.
    """
    if kind not in ("function", "value", "module"):
        raise ValueError(f"exercise {number}: kind is 'function', 'value' or 'module', and got {kind!r}")
    if kind == "module" and judge is not None:
        raise ValueError(f"exercise {number}: a judge goes with a function (a class is one) or a value")
    if kind == "value":
        cases = (Case("", ()),)
    if not cases or number in declared:
        raise ValueError(f"exercise {number} has no cases, or is declared twice")
    declared[number] = Exercise(
        number, title, reference, tuple(cases), tuple(mistakes), kind, judge, gradients, rtol, atol, seconds
    )
