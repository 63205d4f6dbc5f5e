"""Every declared exercise: its stub, its Solution, its typical mistakes, and a hard-coded answer."""

import copy
import inspect
import linecache

import lessons
import pytest

from course_utils import exercises
from course_utils.checks.feedback import verdict
from course_utils.checks.sandbox import run

DECLARED = {
    number: exercise
    for lesson in sorted(exercises.lessons())
    for number, exercise in exercises.of_lesson(lesson).items()
}
MISTAKES = [
    (number, index, variant)
    for number, exercise in DECLARED.items()
    for index, mistake in enumerate(exercise.mistakes)
    for variant in range(len(mistake.answers))
]


@pytest.fixture(scope="module")
def written():
    """What the notebooks have of each exercise, with the import statements of its notebook."""
    found = {}
    for path in lessons.paths():
        lesson = lessons.read(path)
        imports = lessons.imports(lesson)
        found |= {exercise.number: (exercise, imports) for exercise in lessons.exercises(lesson)}
    return found


def answer(imports, source, name):
    """What `name` is after running a notebook's imports and `source`, a cell or a Solution."""
    filename = f"<answer {name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace = {"__name__": "__main__"}
    exec(imports, namespace)
    exec(compile(source, filename, "exec"), namespace)
    return namespace[name]


def test_exercises_are_declared_and_written(written):
    assert DECLARED, "no lesson declares an exercise"
    assert list(DECLARED) == list(written)


@pytest.mark.parametrize("number", DECLARED)
def test_the_stub_is_not_attempted(written, number):
    exercise, imports = written[number]
    expected = f"○ {number} {exercise.title}: not attempted yet"
    assert verdict(number, answer(imports, exercise.stub, exercise.answer)) == expected


@pytest.mark.parametrize("number", DECLARED)
def test_the_solution_of_the_notebook_passes(written, number):
    exercise, imports = written[number]
    said = verdict(number, answer(imports, exercise.solution, exercise.answer))
    assert said.startswith(f"✓ {number} {exercise.title}"), said


@pytest.mark.parametrize("number", DECLARED)
def test_the_reference_passes(number):
    said = verdict(number, DECLARED[number].reference)
    assert said.startswith(f"✓ {number} {DECLARED[number].title}"), said


@pytest.mark.parametrize("number", DECLARED)
def test_the_mistakes_are_at_least_three_and_told_apart(number):
    explanations = [mistake.explanation for mistake in DECLARED[number].mistakes]
    assert len(explanations) >= 3
    assert len(set(explanations)) == len(explanations)
    assert all(len(explanation.split()) >= 5 for explanation in explanations)


@pytest.mark.parametrize(("number", "index", "variant"), MISTAKES)
def test_a_mistake_is_refused_with_its_own_explanation(number, index, variant):
    mistake = DECLARED[number].mistakes[index]
    said = verdict(number, mistake.answers[variant])
    assert said.startswith(f"✗ {number} {DECLARED[number].title}: {mistake.explanation}"), said


@pytest.mark.parametrize("number", [number for number, known in DECLARED.items() if known.kind != "value"])
def test_the_inputs_are_several_and_named(number):
    cases = DECLARED[number].cases
    assert len(cases) >= (1 if DECLARED[number].judge else 3 if DECLARED[number].kind == "function" else 2)
    assert all(case.name for case in cases)
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize(
    "number",
    [number for number, known in DECLARED.items() if known.kind == "function" and known.judge is None],
)
def test_a_hard_coded_answer_is_refused(number):
    exercise = DECLARED[number]
    for case in exercise.cases:
        result = run(exercise, exercise.reference, case).value

        def hard_coded(*args, result=result):
            try:
                return copy.deepcopy(result)
            except RuntimeError:  # a tensor with a history
                return result.detach().requires_grad_()

        assert verdict(number, hard_coded).startswith("✗"), (
            f'the result on the input "{case.name}" passes for all'
        )


@pytest.mark.parametrize("number", [number for number, known in DECLARED.items() if known.kind != "value"])
def test_the_stub_takes_what_the_cases_give(written, number):
    """The stub, the Solution and the reference agree on the arguments, so that a message can name them."""
    exercise, imports = written[number]
    stub, solution = (
        answer(imports, source, exercise.answer) for source in (exercise.stub, exercise.solution)
    )
    reference = DECLARED[number].reference
    if DECLARED[number].kind == "module":
        stub, solution, reference = (known.forward for known in (stub, solution, reference))
    wanted = list(inspect.signature(reference).parameters)
    assert list(inspect.signature(stub).parameters) == wanted
    assert list(inspect.signature(solution).parameters) == wanted
