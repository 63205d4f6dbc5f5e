"""From an answer to one verdict: ✓ right, ○ not attempted, ✗ wrong and why."""

import inspect
import linecache
import os
import sysconfig
import traceback

from course_utils.checks.compare import cut, first_difference, short
from course_utils.checks.declare import find
from course_utils.checks.run import Ended, OutOfTime, run, untouched_state


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
    with untouched_state():
        outcomes = []
        for case in exercise.cases:
            outcomes.append(run(exercise, answer, case))
            if isinstance(outcomes[-1].error, NotImplementedError | OutOfTime):
                break
        if isinstance(outcomes[-1].error, NotImplementedError):
            return f"○ {name}: not attempted yet"
        problem = _problem(exercise, answer, outcomes)
    printed = outcomes[0].printed.splitlines()[:10]
    lines = [f"✗ {name}: {problem}" if problem else f"✓ {name}{_extent(exercise)}"]
    if printed:
        lines += ["   printed by your code on the first input:"] + [f"   | {line}" for line in printed]
    return "\n".join(lines)


def _extent(exercise):
    return "" if exercise.kind == "value" else f": right on all {len(exercise.cases)} inputs"


def _misfit(exercise, answer):
    """Why `answer` is not even of the kind that is asked for, or ""."""
    if exercise.kind == "function" and not callable(answer):
        return f"pass your function itself, without parentheses; this is of type {type(answer).__name__}"
    if exercise.kind == "module" and not inspect.isclass(answer):
        return f"pass your class itself, without parentheses; this is of type {type(answer).__name__}"
    if exercise.kind == "value" and inspect.isfunction(answer):
        return "pass the value, not a function"
    return ""


def _problem(exercise, answer, outcomes):
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
        return f"{_raised(answer, outcome.error)}{_input(exercise, case)}"
    return f"{problems[position]}{_input(exercise, case)}"


def _difference(exercise, case, reference, outcome):
    """What differs between the outcomes of the reference and of the answer on one case, or ""."""
    if outcome.error is not None:
        return "an exception was raised"
    names = _argument_names(exercise)
    for position, changed in outcome.changed.items():
        if position not in reference.changed:
            return f"your code changed its input `{names[position]}`: work on a copy of it"
        difference = first_difference(reference.changed[position], changed, exercise.rtol, exercise.atol)
        if difference:
            return f"in `{names[position]}`, changed in place, {difference}"
    for position in reference.changed:
        if position not in outcome.changed:
            return f"`{names[position]}` is to be changed in place, and is as it was"
    if exercise.judge is not None:
        return exercise.judge(outcome.value, *case.args)
    difference = first_difference(reference.value, outcome.value, exercise.rtol, exercise.atol)
    if difference or not exercise.gradients:
        return difference
    if outcome.gradients is None:
        return "the result is cut off from the graph, so no gradient can flow back"
    for name, wanted in reference.gradients.items():
        found = outcome.gradients.get(name)
        if wanted is not None and found is None:
            return f"the result is right, but no gradient reaches {name}"
        difference = "" if wanted is None else first_difference(wanted, found, exercise.rtol, exercise.atol)
        if difference:
            return f"the result is right, but in the gradient of {name} {difference}"
    return ""


def _reproduces(exercise, wrong, outcomes):
    """Whether the typical mistake `wrong` gives just what the learner's answer gave, on every case."""
    for case, outcome in zip(exercise.cases, outcomes, strict=True):
        other = run(exercise, wrong, case)
        if other.error is not None or outcome.error is not None:
            if type(other.error) is not type(outcome.error):
                return False
            continue
        if set(other.changed) != set(outcome.changed):
            return False
        pairs = [(other.value, outcome.value), (other.gradients, outcome.gradients)]
        pairs += [(other.changed[position], outcome.changed[position]) for position in other.changed]
        if any(first_difference(*pair, exercise.rtol, exercise.atol) for pair in pairs):
            return False
    return True


def _argument_names(exercise):
    """The names of a case's arguments, out of the reference's signature."""
    if exercise.kind == "module":
        forward = list(inspect.signature(exercise.reference.forward).parameters)[1:]
        return ["constructor arguments", *forward]
    return list(inspect.signature(exercise.reference).parameters) if exercise.kind == "function" else []


def _on(exercise, outcomes):
    return f' on the input "{exercise.cases[len(outcomes) - 1].name}"'


def _input(exercise, case):
    """The input that shows the difference, below the verdict's line."""
    if exercise.kind == "value":
        return ""
    pairs = zip(_argument_names(exercise), case.args, strict=False)
    lines = [f"   {name} = {short(value, 100)}" for name, value in pairs]
    return "\n".join([f'\n   on the input "{case.name}":', *lines])


def _raised(answer, error):
    """The learner's exception in one line, with their own line of code if it can be found."""
    if isinstance(error, Ended):
        error = error.__cause__
    text = cut(str(error), 200)
    message = f"your code raised {type(error).__name__}" + (f": {text}" if text else "")
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    if own:
        line = linecache.getline(own[-1].filename, own[-1].lineno).strip()
        message += f"\n   in line {own[-1].lineno} of your cell: {line}"
    return message


def _is_own(filename):
    libraries = [
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        os.path.dirname(os.path.dirname(__file__)),
    ]
    return not filename.startswith(tuple(libraries)) and "site-packages" not in filename
