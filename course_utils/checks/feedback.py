"""From an answer to one verdict: ✓ right, ○ not attempted, ✗ wrong and why."""

import dataclasses
import inspect
import re
import traceback
from typing import Any

from course_utils import attempts
from course_utils.checks.compare import cut, first_difference, is_own, item, labelled, part, short
from course_utils.checks.exercise import Case, Exercise, Shown
from course_utils.checks.rules import broken_in_source
from course_utils.checks.sandbox import (
    Ended,
    Outcome,
    OutOfTime,
    Refused,
    arguments_of,
    run,
    untouched_state,
    within,
)
from course_utils.claims import say
from course_utils.exercises import find
from course_utils.translation import translate


def check(number: str, answer: Any, record: bool = True) -> None:
    """Print what is right or wrong about `answer` to the exercise `number`, a `str` such as "4.2".

    The attempt is recorded (`course_utils.attempts`), but not a stub, nor where `record` is False, as for a
    wrong answer that a lesson shows. After two attempts in a row that failed it points to Hint 1, after four
    to Hint 2: every exercise of the lessons has both.

    Nothing that the answer does (raise, loop for ever, change its input, seed, ask, exit) reaches the
    notebook, but for code in C that keeps the interpreter to itself: see `course_utils.checks.sandbox`.

    Raises `LookupError` if there is no such exercise; the message names the nearest.
    """
    text = verdict(number, answer)
    say(text)
    if not record or text.startswith("○"):
        return
    failed = attempts.record(number, text.startswith("✓"), _explained(find(number), text))
    if failed >= 2:
        hint = translate(
            "{failed} attempts failed in a row: open Hint {number} below.",
            failed=failed,
            number=1 if failed < 4 else 2,
        )
        say(f"   {hint}")


def verdict(number: str, answer: Any) -> str:
    """The text that `check` prints: a line that begins with ✓, ○ or ✗, and sometimes more lines below."""
    with untouched_state():
        return within(None, lambda: _verdict(find(number), answer))


def passes(number: str, answer: Any, seconds: float) -> bool:
    """Whether `answer` is right, with `seconds` as the time limit for each case: for trying many answers."""
    with untouched_state():
        return within(None, lambda: not _first_problem(find(number), answer, seconds))


def inputs(number: str, name: str) -> tuple:
    """The arguments of the input called `name` of the exercise `number`, to try an answer on.

    Raises `LookupError` if there is no such exercise or input.
    """
    for case in find(number).cases:
        if case.name == name:
            return tuple(arguments_of(case))
    raise LookupError(f"exercise {number} has no input {name!r}")


class Told(Exception):
    """An exception of another process: its text is all that is known of it."""


@dataclasses.dataclass
class Attempt:
    """What came of running one answer on an exercise's inputs; nothing of it has been judged."""

    misfit: str = ""  # why it is not even of the kind that is asked for
    stub: bool = False
    broken: str = ""  # the rule on syntax or models that its source breaks, a sentence
    outcomes: list[Outcome] = dataclasses.field(
        default_factory=list
    )  # for each case; the last may be out of time


def attempt(exercise: Exercise, answer: Any) -> Attempt:
    """Run `answer` on every case of `exercise`."""
    if answer is ... or (answer is None and exercise.kind == "value"):
        return Attempt(stub=True)
    # What torch.compile made runs as the function that it was made from: compiling takes longer than a check.
    answer = getattr(answer, "_torchdynamo_orig_callable", answer)
    if misfit := _misfit(exercise, answer):
        return Attempt(misfit=misfit)
    outcomes = [run(exercise, answer, exercise.cases[0])]
    if _is_stub(outcomes[0].error):
        return Attempt(stub=True)
    for case in exercise.cases[1:]:
        if isinstance(outcomes[-1].error, OutOfTime):
            break
        outcomes.append(run(exercise, answer, case))
    return Attempt(broken=broken_in_source(exercise.rules, answer), outcomes=outcomes)


def judged(exercise: Exercise, attempt: Attempt, references: list[Outcome]) -> str:
    """The verdict on `attempt`, the `references` being the outcomes of the reference on the same cases."""
    name = f"{exercise.number} {translate(exercise.title)}"
    if attempt.stub:
        return f"○ {labelled(name, translate('not attempted yet'))}"
    if attempt.misfit:
        return f"✗ {labelled(name, attempt.misfit)}"
    if failed := next((found.error for found in references if found.error is not None), None):
        why = translate(
            "this check does not work here, so your answer was not judged ({error}). "
            "Type  python -m course_utils doctor",
            error=cut(_message(failed), 200),
        )
        return f"○ {labelled(name, why)}"
    problem = _problem(exercise, attempt, references)
    printed = attempt.outcomes[0].printed.splitlines()[:10]
    lines = [f"✗ {labelled(name, problem)}" if problem else f"✓ {_extent(exercise, name)}"]
    if printed:
        lines += [f"   {translate('printed by your code on the first input:')}"]
        lines += [f"   | {line}" for line in printed]
    return "\n".join(lines)


def references(exercise: Exercise, seconds: float | None = None) -> list[Outcome]:
    """The outcomes of the exercise's own reference; `seconds` replaces the time limit of a case."""
    return [run(exercise, exercise.reference, case, seconds) for case in exercise.cases]


def _verdict(exercise, answer):
    found = attempt(exercise, answer)
    return judged(exercise, found, [] if found.stub or found.misfit else references(exercise))


def _explained(exercise, text):
    """The mistake's explanation that a verdict gives, or ""."""
    for mistake in exercise.mistakes:
        name = f"{exercise.number} {translate(exercise.title)}"
        said = f"✗ {labelled(name, translate(mistake.explanation))}"
        if text == said or text.startswith(f"{said}\n"):
            return mistake.explanation
    return ""


def _extent(exercise, name):
    if len(exercise.cases) == 1:
        return name
    return labelled(name, translate("right on all {number} inputs", number=len(exercise.cases)))


def _misfit(exercise, answer):
    """Why `answer` is not even of the kind that is asked for, or ""."""
    kind = type(answer).__name__
    if inspect.iscoroutinefunction(answer) or inspect.isasyncgenfunction(answer):
        return translate("this is an `async def`: calling it gives a coroutine and runs nothing. Write `def`")
    if exercise.kind == "function" and not callable(answer):
        return translate("pass your function itself, without parentheses; this is of type {kind}", kind=kind)
    if exercise.kind in ("module", "class") and not inspect.isclass(answer):
        return translate("pass your class itself, without parentheses; this is of type {kind}", kind=kind)
    if exercise.kind == "value" and inspect.isfunction(answer):
        return translate("pass the value, not a function")
    return ""


def _is_stub(error):
    """Whether an answer itself raised `NotImplementedError`: torch does so too, for a dtype it lacks."""
    if not isinstance(error, NotImplementedError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return is_own(last.filename) and (not last.line or "NotImplementedError" in last.line)


def _first_problem(exercise, answer, seconds):
    """Any sentence if `answer` is wrong, "" if it is right: `_problem` without looking for the reason."""
    if misfit := _misfit(exercise, answer) or broken_in_source(exercise.rules, answer):
        return misfit
    for case in exercise.cases:
        reference, outcome = run(exercise, exercise.reference, case), run(exercise, answer, case, seconds)
        if problem := _difference(exercise, case, reference, outcome) or outcome.broken:
            return problem
    return ""


def _problem(exercise: Exercise, attempt: Attempt, references: list[Outcome]) -> str:
    """What is wrong with the answer, or "" if nothing is."""
    outcomes = attempt.outcomes
    if isinstance(outcomes[-1].error, OutOfTime):
        return translate(
            'still running after {seconds} seconds, and stopped on the input "{name}". '
            "Is there a loop whose condition never becomes false, or does it try far too many ways?",
            seconds=f"{exercise.seconds:g}",
            name=translate(exercise.cases[len(outcomes) - 1].name),
        )
    problems = [_difference(exercise, *row) for row in zip(exercise.cases, references, outcomes, strict=True)]
    broken = attempt.broken or next(filter(None, (outcome.broken for outcome in outcomes)), "")
    if not any(problems):
        return translate("the result is right, but {problem}", problem=broken) if broken else ""
    if explanation := _explanation(exercise, references, outcomes):
        return translate(explanation)
    if broken:
        return broken
    position = next(index for index, problem in enumerate(problems) if problem)
    case, reference, outcome = exercise.cases[position], references[position], outcomes[position]
    if outcome.error is not None:
        return f"{told(outcome.error)}{_input(exercise, case)}"
    return f"{problems[position]}{_side_by_side(exercise, reference, outcome)}{_input(exercise, case)}"


def _difference(exercise: Exercise, case: Case, reference: Outcome, outcome: Outcome) -> str:
    """What differs between the outcomes of the reference and of the answer on one case, or ""."""
    if outcome.error is not None:
        return translate("an exception was raised")
    names = exercise.argument_names()
    for position, changed in outcome.changed.items():
        if position not in reference.changed:
            return translate(
                "your code changed its input `{name}`: work on a copy of it", name=names[position]
            )
        if difference := _compared(exercise, reference.changed[position], changed):
            return translate(
                "in `{name}`, changed in place, {difference}", name=names[position], difference=difference
            )
    for position in reference.changed:
        if position not in outcome.changed:
            return translate("`{name}` is to be changed in place, and is as it was", name=names[position])
    for position in reference.switched.keys() | outcome.switched.keys():
        if reference.switched.get(position) != outcome.switched.get(position):
            return translate(
                "`requires_grad` of the input `{name}` is not as it has to be afterwards",
                name=names[position],
            )
    if exercise.judge is not None:
        return _judged(exercise, outcome.value, case)
    difference = _compared(exercise, reference.value, outcome.value)
    if difference or reference.gradients is None:
        return _named(exercise, difference)
    if outcome.gradients is None:
        return translate("the result is cut off from the graph, so no gradient can flow back")
    for name, wanted in reference.gradients.items():
        found = outcome.gradients.get(name)
        if wanted is not None and found is None:
            return translate("the result is right, but no gradient reaches {name}", name=part(name))
        difference = "" if wanted is None else _compared(exercise, wanted, found)
        if difference:
            return translate(
                "the result is right, but in the gradient of {name} {difference}",
                name=part(name),
                difference=difference,
            )
    return ""


def _named(exercise, difference):
    """A difference with the exercise's names for what is returned."""
    if not difference or exercise.returns == "the result":
        return difference
    if isinstance(exercise.returns, str):
        return labelled(translate(exercise.returns), difference)
    # Only the first place is one of the results; a second one lies inside it.
    places = {item(number): name for number, name in enumerate(exercise.returns)}
    first = re.search("|".join(map(re.escape, places)), difference)
    if not first:
        return difference
    name = translate(places[first[0]])
    return difference[: first.start()] + labelled(name, difference[first.end() :])


def _compared(exercise, expected, got):
    """`first_difference` in the exercise's tolerance and time; what cannot be compared is a difference."""
    try:
        return within(exercise.seconds, lambda: first_difference(expected, got, exercise.rtol, exercise.atol))
    except Exception:
        return translate(
            "the result cannot be compared with what is expected: it is {value}",
            value=_short(exercise, got, 100),
        )


def _short(exercise, value, limit):
    """`short(value)`, as far as printing it ends in time."""
    try:
        return within(exercise.seconds, lambda: short(value, limit))
    except OutOfTime:
        return translate("a {kind} that takes for ever to print", kind=type(value).__name__)


def _judged(exercise, value, case):
    """What the exercise's judge says; it may stumble over a result that is nothing like one it expects."""
    if value is None:
        return translate("the result is None: is the `return` missing?")
    try:
        with untouched_state():
            return translate(within(exercise.seconds, lambda: exercise.judge(value, *arguments_of(case))))
    except Exception as error:
        why = cut(f"{type(error).__name__}: {error}", 100)
        return translate(
            "the result cannot be judged ({error}): it is {value}",
            error=why,
            value=_short(exercise, value, 100),
        )


def _explanation(exercise, references, outcomes):
    """The explanation of the typical mistake that gives what the answer gave, or "".

    A mistake that gives the same on every case comes first. Then those that give the same wherever they
    differ from the reference, whatever else is wrong with the answer: of them the one that accounts for most
    of the cases on which the answer is wrong, if that is at least half of them; fewer may agree by chance.
    Cases on which it raises say nothing. What the mistakes gave is kept with the exercise: for the next
    answer nothing of it is computed again.
    """
    wrong_on = sum(
        not _alike(exercise, reference, outcome)
        for reference, outcome in zip(references, outcomes, strict=True)
        if outcome.error is None
    )
    loose, most = "", max(wrong_on / 2, 1) - 0.5  # at least half, and one
    for number, mistake in enumerate(exercise.mistakes):
        for variant, wrong in enumerate(mistake.answers):
            same, shows = [], []
            for index, (reference, outcome) in enumerate(zip(references, outcomes, strict=True)):
                place = (number, variant, index)
                other = exercise.found.get(place) or run(exercise, wrong, exercise.cases[index])
                if other.error is not None:
                    continue
                exercise.found[place] = other
                shows.append(not _alike(exercise, reference, other))
                same.append(outcome.error is None and _alike(exercise, outcome, other))
                if shows[-1] and not same[-1]:
                    break
            else:
                if any(shows) and all(same):
                    return mistake.explanation
                if sum(shows) > most:
                    loose, most = mistake.explanation, sum(shows)
    return loose


def _alike(exercise, one: Outcome, other: Outcome) -> bool:
    """Whether two outcomes are the same in all that is compared."""
    if set(one.changed) != set(other.changed) or one.switched != other.switched:
        return False
    pairs = [(other.value, one.value), (other.gradients, one.gradients)]
    pairs += [(other.changed[position], one.changed[position]) for position in other.changed]
    return not any(_compared(exercise, *pair) for pair in pairs)


def _side_by_side(exercise, reference, outcome):
    """What the answer gave and what is expected, one above the other, where they are short."""
    if exercise.judge is not None or isinstance(reference.value, int | float | str):
        return ""
    if type(outcome.value) is not type(reference.value):
        return ""
    got, expected = typed(outcome.value, exercise), typed(reference.value, exercise)
    if got == expected or max(len(got), len(expected)) > 100:
        return ""
    return "\n   " + translate("got      {got}\n   expected {expected}", got=got, expected=expected)


def _input(exercise, case):
    """The input that shows the difference, below the verdict's line, in a form that can be typed."""
    if exercise.kind == "value":
        return ""
    names = exercise.argument_names()
    texts = [typed(value, exercise) for value in case.args]
    lines = [f"   {part(name)} = {cut(text, 200)}" for name, text in zip(names, texts, strict=False)]
    if case.then:
        calls = ", ".join(str(tuple(typed(value, exercise) for value in args)) for args in case.then)
        lines.append(f"   {translate('and then, on the same object:')} {cut(calls, 200)}")
    if any(len(text) > 200 for text in texts):
        lines.append(
            f"   {translate('all of it:')} from course_utils.checks.feedback import inputs; "
            f"inputs({exercise.number!r}, {case.name!r})"
        )
    where = translate('on the input "{name}":', name=translate(case.name))
    return "\n".join([f"\n   {where}", *lines])


def typed(value: Any, exercise: Exercise) -> str:
    """`value` on one line as a learner can type it."""
    if isinstance(value, Shown):
        return value.text
    text = _short(exercise, value, 10_000)
    return text.replace("tensor(", "torch.tensor(").replace("torch.torch.", "torch.")


def told(error: BaseException) -> str:
    """The learner's exception in one line, with their own line of code if it can be found."""
    if isinstance(error, Told):
        return str(error)
    if isinstance(error, Refused):
        message = translate("your code asks for what a check cannot give: {reason}", reason=error)
    else:
        message = translate("your code raised {error}", error=cut(_message(error), 200))
    frames = traceback.extract_tb((error.__cause__ if isinstance(error, Ended) else error).__traceback__)
    own = [frame for frame in frames if is_own(frame.filename)]
    if own:
        where = translate("in line {number} of your cell: {code}", number=own[-1].lineno, code=own[-1].line)
        message += f"\n   {where}"
    return message


def _message(error):
    """The exception's name and text, as Python prints it: also if the learner's own `__str__` raises."""
    return "".join(traceback.format_exception_only(error.__cause__ if isinstance(error, Ended) else error))
