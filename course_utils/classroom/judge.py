"""The marks of what was handed in. No student's code runs here: outcomes are data."""

import copy
import dataclasses
import inspect
import pathlib
import sys
import tempfile
from typing import Any

from course_utils import exercises
from course_utils.checks.exercise import Exercise
from course_utils.checks.feedback import Attempt, judged, references
from course_utils.checks.sandbox import Outcome, set_seed
from course_utils.classroom import travel
from course_utils.classroom.inputs_only import inputs_only, shared_with_reference
from course_utils.errors import CourseError


@dataclasses.dataclass(frozen=True)
class Mark:
    """One exercise of one submission: "right", "wrong", "not attempted", "missing" or "by hand", and why."""

    number: str
    state: str
    words: str


class Judge:
    """The exercises of one lesson with what their references give, computed once for all submissions."""

    def __init__(self, lesson: int):
        self.exercises = exercises.of_lesson(lesson)
        self.module = sys.modules[f"course_utils.exercises.{exercises.lessons()[lesson]}"]
        source = inspect.getsource(self.module)
        self.stripped = inputs_only(source, self.exercises)
        self._shared = shared_with_reference(source, self.stripped)
        self._references: dict[str, list[Outcome]] = {}

    def references(self, number: str) -> list[Outcome]:
        """What the reference of an exercise gives on its inputs."""
        if number not in self._references:
            # With time enough: the machine is busy with students' notebooks.
            self._references[number] = references(self.exercises[number], seconds=300)
        return self._references[number]

    def by_hand(self, number: str) -> str:
        """Why answers to an exercise can only be marked by hand, whatever they are, or ""."""
        if self._shared[number]:
            return f"its inputs are made with parts of its reference ({', '.join(self._shared[number])})"
        exercise, found = self.exercises[number], self.references(number)
        if failed := next((one.error for one in found if one.error is not None), None):
            return f"its reference fails here ({type(failed).__name__})"
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "outcomes")
            try:
                travel.write(path, Attempt(outcomes=found))
                said = judged(exercise, travel.read(path), found)
            except (CourseError, TypeError, ValueError, RuntimeError) as error:
                said = f"{type(error).__name__}: {error}"
        if not said.startswith("✓"):
            return "what its answers give is no data (" + said.partition(": ")[2].splitlines()[0][:100] + ")"
        if exercise.kind == "module" and any(" at 0x" in repr(case.args[0]) for case in exercise.cases):
            return "its modules are built from objects, which do not travel"
        return ""

    def mark(self, number: str, path: pathlib.Path, not_plain: str, ended: str = "") -> Mark:
        """The mark of what was handed in at `path`.

        `not_plain` says why the source does not vouch for the rules, `ended` why the run ended early.
        """
        exercise = self.exercises[number]
        name = f"{number} {exercise.title}"
        try:
            attempt = travel.read(path)
        except CourseError as error:
            why = f"{error}; {ended}" if ended else str(error)
            return Mark(number, "missing", f"✗ {name}: {why}")
        if not (attempt.stub or attempt.misfit) and not self._complete(exercise, attempt):
            return Mark(number, "missing", f"✗ {name}: what was handed in lacks some of the inputs")
        if not attempt.stub and (why := self.by_hand(number)):
            return Mark(number, "by hand", f"○ {name}: to be marked by hand, since {why}")
        try:
            words = judged(exercise, attempt, self.references(number))
        except Exception as error:  # a forged outcome that is nothing like what an answer gives
            return Mark(number, "missing", f"✗ {name}: it cannot be judged ({type(error).__name__})")
        if words.startswith("✓") and exercise.rules and not_plain:
            why = f"the result is right, and {not_plain}, so its rules are checked by a person"
            return Mark(number, "by hand", f"○ {name}: to be marked by hand: {why}")
        state = {"✓": "right", "✗": "wrong", "○": "not attempted"}[words[0]]
        return Mark(number, state, words)

    def _complete(self, exercise: Exercise, attempt: Attempt) -> bool:
        """Whether there is an outcome for each input, or for each one until the time was up."""
        found = attempt.outcomes
        late = bool(found) and isinstance(found[-1].error, travel.OutOfTime)
        return len(found) == len(exercise.cases) or (late and len(found) <= len(exercise.cases))

    def states(self) -> dict[str, dict[str, Any]]:
        """For each module exercise and each of its constructors' arguments, the parameters to start from."""
        found: dict[str, dict[str, Any]] = {}
        for number, exercise in self.exercises.items():
            if exercise.kind != "module":
                continue
            found[number] = {}
            for case in exercise.cases:
                set_seed(0)
                module = exercise.reference(*copy.deepcopy(case.args[0]))
                buffers = dict(module.named_buffers())
                found[number][repr(case.args[0])] = {
                    name: (tensor, name in buffers) for name, tensor in module.state_dict().items()
                }
        return found
