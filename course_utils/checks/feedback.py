"""From an answer to one verdict: ✓ right, ○ not attempted, ✗ wrong and why."""

import copy
import inspect
import os
import sysconfig
import traceback

from course_utils.checks.compare import cut, first_difference, short
from course_utils.checks.sandbox import Ended, OutOfTime, run, untouched_state, within
from course_utils.exercises import find


def check(number, answer):
    """Print what is right or wrong about `answer` to the exercise `number`, a `str` such as "4.2".

    Nothing that the answer does (raise, loop for ever, change its input, seed) reaches the notebook.

    Raises `LookupError` if there is no such exercise; the message names the nearest.
    """
    print(verdict(number, answer))


def verdict(number, answer):
    """The text that `check` prints: a line that begins with ✓, ○ or ✗, and sometimes more lines below."""
    exercise = find(number)
    name = f"{exercise.number} {exercise.title}"
    if answer is ... or (answer is None and exercise.kind == "value"):
        return f"○ {name}: not attempted yet"
    misfit = _misfit(exercise, answer)
    if misfit:
        return f"✗ {name}: {misfit}"
    outcomes = []
    for case in exercise.cases:
        outcomes.append(run(exercise, answer, case))
        if _is_stub(outcomes[0].error):
            return f"○ {name}: not attempted yet"
        if isinstance(outcomes[-1].error, OutOfTime):
            break
    problem = _problem(exercise, outcomes)
    printed = outcomes[0].printed.splitlines()[:10]
    lines = [f"✗ {name}: {problem}" if problem else f"✓ {name}{_extent(exercise)}"]
    if printed:
        lines += ["   printed by your code on the first input:"] + [f"   | {line}" for line in printed]
    return "\n".join(lines)


def _extent(exercise):
    return f": right on all {len(exercise.cases)} inputs" if len(exercise.cases) > 1 else ""


def _misfit(exercise, answer):
    """Why `answer` is not even of the kind that is asked for, or ""."""
    if exercise.kind == "function" and not callable(answer):
        return f"pass your function itself, without parentheses; this is of type {type(answer).__name__}"
    if exercise.kind == "module" and not inspect.isclass(answer):
        return f"pass your class itself, without parentheses; this is of type {type(answer).__name__}"
    if exercise.kind == "value" and inspect.isfunction(answer):
        return "pass the value, not a function"
    return ""


def _is_stub(error):
    """Whether an answer itself raised `NotImplementedError`: torch does so too, for a dtype it lacks."""
    if not isinstance(error, NotImplementedError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return _is_own(last.filename) and (not last.line or "NotImplementedError" in last.line)


def _problem(exercise, outcomes):
    """What is wrong with the answer that gave `outcomes`, or "" if nothing is."""
    if isinstance(outcomes[-1].error, OutOfTime):
        return (
            f"still running after {exercise.seconds:g} seconds, and stopped{_on(exercise, outcomes)}. "
            "Is there a loop whose condition never becomes false?"
        )
    references = [run(exercise, exercise.reference, case) for case in exercise.cases]
    problems = [_difference(exercise, *row) for row in zip(exercise.cases, references, outcomes, strict=True)]
    if not any(problems):
        return ""
    for mistake in exercise.mistakes:
        if _reproduces(exercise, mistake.answer, outcomes):
            return mistake.explanation
    position = next(index for index, problem in enumerate(problems) if problem)
    outcome, case = outcomes[position], exercise.cases[position]
    if outcome.error is not None:
        return f"{_raised(outcome.error)}{_input(exercise, case)}"
    return f"{problems[position]}{_input(exercise, case)}"


def _difference(exercise, case, reference, outcome):
    """What differs between the outcomes of the reference and of the answer on one case, or ""."""
    if outcome.error is not None:
        return "an exception was raised"
    names = exercise.argument_names()
    for position, changed in outcome.changed.items():
        if position not in reference.changed:
            return f"your code changed its input `{names[position]}`: work on a copy of it"
        difference = _compared(exercise, reference.changed[position], changed)
        if difference:
            return f"in `{names[position]}`, changed in place, {difference}"
    for position in reference.changed:
        if position not in outcome.changed:
            return f"`{names[position]}` is to be changed in place, and is as it was"
    if exercise.judge is not None:
        return _judged(exercise, outcome.value, case)
    difference = _compared(exercise, reference.value, outcome.value)
    if difference or reference.gradients is None:
        return difference
    if outcome.gradients is None:
        return "the result is cut off from the graph, so no gradient can flow back"
    for name, wanted in reference.gradients.items():
        found = outcome.gradients.get(name)
        if wanted is not None and found is None:
            return f"the result is right, but no gradient reaches {name}"
        difference = "" if wanted is None else _compared(exercise, wanted, found)
        if difference:
            return f"the result is right, but in the gradient of {name} {difference}"
    return ""


def _compared(exercise, expected, got):
    """`first_difference` in the exercise's tolerance; a result that cannot be compared is a difference."""
    try:
        return first_difference(expected, got, exercise.rtol, exercise.atol)
    except Exception:
        return f"the result cannot be compared with what is expected: it is {short(got, 100)}"


def _judged(exercise, value, case):
    """What the exercise's judge says; it may stumble over a result that is nothing like one it expects."""
    if value is None:
        return "the result is None: is the `return` missing?"
    try:
        with untouched_state():
            return within(exercise.seconds, lambda: exercise.judge(value, *copy.deepcopy(case.args)))
    except Exception as error:
        why = cut(f"{type(error).__name__}: {error}", 100)
        return f"the result cannot be judged ({why}): it is {short(value, 100)}"


def _reproduces(exercise, wrong, outcomes):
    """Whether the typical mistake `wrong` gives just what the learner's answer gave, on every case."""
    for case, outcome in zip(exercise.cases, outcomes, strict=True):
        other = run(exercise, wrong, case)
        if other.error is not None or outcome.error is not None:
            if None in (other.error, outcome.error) or _message(other.error) != _message(outcome.error):
                return False
            continue
        if set(other.changed) != set(outcome.changed):
            return False
        pairs = [(other.value, outcome.value), (other.gradients, outcome.gradients)]
        pairs += [(other.changed[position], outcome.changed[position]) for position in other.changed]
        if any(_compared(exercise, *pair) for pair in pairs):
            return False
    return True


def _on(exercise, outcomes):
    return f' on the input "{exercise.cases[len(outcomes) - 1].name}"'


def _input(exercise, case):
    """The input that shows the difference, below the verdict's line."""
    if exercise.kind == "value":
        return ""
    pairs = zip(exercise.argument_names(), case.args, strict=False)
    lines = [f"   {name} = {short(value, 100)}" for name, value in pairs]
    return "\n".join([f'\n   on the input "{case.name}":', *lines])


def _raised(error):
    """The learner's exception in one line, with their own line of code if it can be found."""
    message = f"your code raised {cut(_message(error), 200)}"
    frames = traceback.extract_tb((error.__cause__ if isinstance(error, Ended) else error).__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    if own:
        message += f"\n   in line {own[-1].lineno} of your cell: {own[-1].line}"
    return message


def _message(error):
    """The exception's name and text, as Python prints it: also if the learner's own `__str__` raises."""
    return "".join(traceback.format_exception_only(error.__cause__ if isinstance(error, Ended) else error))


def _is_own(filename):
    libraries = [
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        os.path.dirname(os.path.dirname(__file__)),
    ]
    return not filename.startswith(("<frozen", *libraries)) and "site-packages" not in filename
