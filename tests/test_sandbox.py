"""What an answer does reaches nothing outside, what is set changes no verdict, and state is seen."""

import asyncio
import builtins
import io
import logging
import os
import random
import subprocess
import sys
import time
import types
import warnings

import numpy
import pytest
import torch
from torch import nn

from course_utils import exercises
from course_utils.checks import exercise as engine
from course_utils.checks import sandbox
from course_utils.checks.exercise import Draw, case, mistake
from course_utils.checks.feedback import inputs, verdict


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch):
    monkeypatch.setattr(engine, "declared", {})
    monkeypatch.setattr(exercises, "lessons", dict)


def declare(reference, *cases, **settings):
    settings = {"mistakes": []} | settings
    engine.exercise("7.1", "Test", reference=reference, cases=cases, **settings)


def said(answer):
    return verdict("7.1", answer)


NUMBERS = [case("one", torch.tensor([1.0, 2.0])), case("two", torch.tensor([[3.0]]))]


# State ------------------------------------------------------------------------------------------------------


class RunningMean(nn.Module):
    def __init__(self, width, momentum):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, x):
        self.mean = (1 - self.momentum) * self.mean + self.momentum * x.mean(0)
        return x - self.mean


class ForgetsTheOldMean(RunningMean):
    def forward(self, x):
        self.mean = self.momentum * x.mean(0)
        return x - self.mean


class NeverStores(RunningMean):
    def forward(self, x):
        return x - ((1 - self.momentum) * self.mean + self.momentum * x.mean(0))


def test_a_module_is_called_several_times_and_its_state_is_compared():
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    declare(RunningMean, case("twice", (2, 0.5), rows, then=[(rows + 1,)]), kind="module")
    assert said(RunningMean) == "✓ 7.1 Test"
    assert said(ForgetsTheOldMean).startswith("✗ 7.1 Test: the output of call 2: 4 of 4 values differ")
    assert said(NeverStores).startswith("✗ 7.1 Test: its state after call 1: in item ['mean'] 2 of 2 values")
    assert "   and then, on the same object: " in said(NeverStores)


def test_a_function_is_called_several_times():
    declare(lambda x: x + 1, case("twice", 1, then=[(5,)]))
    seen = []

    def remembers(x):
        seen.append(x)
        return len(seen) + 1

    assert said(lambda x: x + 1) == "✓ 7.1 Test"
    assert "the result of call 2: the value is " in said(remembers)


class Momentum:
    def __init__(self, lr):
        self.lr, self.velocity = lr, 0.0

    def step(self, p, g):
        self.velocity = 0.9 * self.velocity + g
        return p - self.lr * self.velocity


def two_steps(optimizer, p, g):
    made = optimizer(0.1)
    first = made.step(p, g)
    return {"the new p": first, "the p after 2 steps": made.step(first, g)}


def test_a_class_is_scripted_and_its_results_have_names():
    class Plain(Momentum):
        def step(self, p, g):
            return p - self.lr * g

    declare(Momentum, case("one", 1.0, 2.0), kind="class", use=two_steps)
    assert said(Momentum) == "✓ 7.1 Test"
    text = said(Plain)
    assert text.startswith("✗ 7.1 Test: the p after 2 steps: the value is 0.6, expected 0.42\n")
    assert "   p = 1.0\n   g = 2.0" in text
    assert said(Momentum(1)).startswith("✗ 7.1 Test: pass your class itself")


def test_names_of_what_is_returned():
    declare(lambda p, g: (p - g, g), case("one", 3.0, 1.0), returns=("the new p", "the velocity"))
    assert said(lambda p, g: (p, g)).startswith("✗ 7.1 Test: the new p: the value is 3, expected 2\n")
    assert said(lambda p, g: (p - g, p)).startswith("✗ 7.1 Test: the velocity: the value is 3, expected 1\n")


def test_switching_on_gradients_of_the_input_is_seen():
    declare(lambda x: x.sum(), *NUMBERS)
    text = said(lambda x: x.requires_grad_().sum().detach())
    assert "`requires_grad` of the input `x` is not as it has to be afterwards" in text


def test_gradients_are_asked_for_where_they_are_named_only():
    pairs = [case("one", torch.tensor(2.0), torch.tensor(3.0))]
    declare(lambda p, y: (p - y) ** 2, *pairs, gradients=["p"])
    assert said(lambda p, y: (p - y.detach()) ** 2).startswith("✓")
    assert "cut off from the graph" in said(lambda p, y: (p.detach() - y) ** 2)


def test_got_and_expected_stand_side_by_side_and_inputs_can_be_typed():
    declare(lambda x: x + 1, *NUMBERS)
    lines = said(lambda x: x).splitlines()
    assert lines[1:] == [
        "   got      torch.tensor([1., 2.])",
        "   expected torch.tensor([2., 3.])",
        '   on the input "one":',
        "   x = torch.tensor([1., 2.])",
    ]
    (x,) = inputs("7.1", "two")
    assert x.tolist() == [[3.0]]
    with pytest.raises(LookupError, match="no input 'three'"):
        inputs("7.1", "three")


def test_every_exercise_draws_inputs_of_its_own():
    first, again, other = Draw("7.1").floats(3), Draw("7.1").floats(3), Draw("7.2").floats(3)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert Draw("7.1").integers(5, 100).unique().tolist() == [0, 1, 2, 3, 4]


# What the learner has set changes no verdict ----------------------------------------------------------------


def under_float64():
    torch.set_default_dtype(torch.float64)


def under_meta():
    torch.set_default_device("meta")


def under_strict_warnings():
    warnings.simplefilter("error")


def under_determinism():
    torch.use_deterministic_algorithms(True)


@pytest.fixture
def settings_back():
    with warnings.catch_warnings():
        yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("setting", [under_float64, under_meta, under_strict_warnings, under_determinism])
def test_a_right_answer_is_right_whatever_is_set(settings_back, setting):
    def answer(x):
        warnings.warn("for your information", stacklevel=2)
        return x * torch.ones(1)

    declare(lambda x: x * torch.ones(1), *NUMBERS, gradients=["x"])
    setting()
    assert said(answer).splitlines()[0] == "✓ 7.1 Test: right on all 2 inputs"


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_right_answer_is_right_without_gradients_around(mode):
    declare(lambda x: x * 2, *NUMBERS, gradients=["x"])
    with mode():
        assert said(lambda x: x + x) == "✓ 7.1 Test: right on all 2 inputs"


def test_a_check_that_cannot_work_blames_nobody():
    def broken(x):
        raise OSError("a file is gone")

    declare(broken, *NUMBERS, mistakes=[mistake("You did it wrong.", lambda x: x)])
    text = said(lambda x: x)
    assert text.startswith("○ 7.1 Test: this check does not work here, so your answer was not judged")
    assert "OSError: a file is gone" in text and "course_utils doctor" in text


def test_an_interrupted_import_heals(monkeypatch, tmp_path):
    package = tmp_path / "lesson_77_x.py"
    package.write_text(
        "from course_utils.checks.exercise import case, exercise\n"
        "exercise('77.1', 'One', reference=abs, cases=[case('a', 1)], mistakes=[])\n"
        "import builtins\n"
        "if builtins.first_time:\n    builtins.first_time = False\n    raise KeyboardInterrupt\n"
    )
    monkeypatch.setattr(exercises, "lessons", lambda: {77: "lesson_77_x"})
    monkeypatch.setattr(exercises, "__path__", [str(tmp_path)])
    monkeypatch.setattr(builtins, "first_time", True, raising=False)
    with pytest.raises(KeyboardInterrupt):
        exercises.of_lesson(77)
    assert list(exercises.of_lesson(77)) == ["77.1"]
    assert verdict("77.1", abs) == "✓ 77.1 One"
    sys.modules.pop("course_utils.exercises.lesson_77_x")


# Everything is given back -----------------------------------------------------------------------------------


def settings():
    return {
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
        "print": vars(torch._tensor_str.PRINT_OPTS).copy(),
        "numpy": numpy.get_printoptions(),
        "matmul": torch.get_float32_matmul_precision(),
        "warnings": list(warnings.filters),
        "cwd": os.getcwd(),
        "path": list(sys.path),
        "environ": dict(os.environ),
        "recursion": sys.getrecursionlimit(),
        "random": random.getstate(),
    }


def test_every_setting_is_given_back(tmp_path):
    from matplotlib import pyplot

    def answer(x):
        logging.basicConfig(level=logging.DEBUG, force=True)
        logging.disable(logging.CRITICAL)
        torch.use_deterministic_algorithms(True)
        torch.autograd.set_detect_anomaly(True)
        torch.set_printoptions(precision=1)
        numpy.set_printoptions(precision=1)
        torch.set_float32_matmul_precision("medium")
        warnings.simplefilter("error")
        os.chdir(tmp_path)
        sys.path.insert(0, "nowhere")
        os.environ["COURSE_ANSWER"] = "1"
        sys.setrecursionlimit(5000)
        random.seed(1)
        pyplot.figure()
        pyplot.rcParams["font.size"] = 3
        return x * 2

    declare(lambda x: x * 2, *NUMBERS)
    before, figures, size = settings(), pyplot.get_fignums(), pyplot.rcParams["font.size"]
    assert said(answer).startswith("✓")
    assert settings() == before
    assert pyplot.get_fignums() == figures and pyplot.rcParams["font.size"] == size


# What ends or stops a kernel --------------------------------------------------------------------------------


def asks(x):
    return x * float(input("how often? "))


def stops(x):
    breakpoint()
    return x * 2


def leaves(x):
    os._exit(1)


async def awaits(x):
    await asyncio.sleep(0)
    return x * 2


def yields(x):
    yield x * 2


def test_what_waits_or_ends_gets_the_true_reason(monkeypatch):
    declare(lambda x: x * 2, *NUMBERS)
    assert "`input()` waits for a person, and a check has none" in said(asks)
    assert "`breakpoint()` waits for a person" in said(stops)
    assert "`os._exit()` would end the kernel" in said(leaves)
    assert "this is an `async def`: calling it gives a coroutine" in said(awaits)
    assert "is there a `yield` where a `return` belongs?" in said(yields)

    stdin = io.StringIO()
    monkeypatch.setattr(sys, "stdin", stdin)
    assert "your code raised SystemExit" in said(lambda x: exit())
    assert sys.stdin is stdin and not stdin.closed


def test_in_ipython_an_answer_neither_ends_the_kernel_nor_shows_figures(monkeypatch):
    ended, shown = [], []
    display = types.SimpleNamespace(publish=shown.append)
    shell = types.SimpleNamespace(ask_exit=lambda: ended.append(True), display_pub=display)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    declare(lambda x: x * 2, *NUMBERS)
    text = said(lambda x: shell.ask_exit())
    assert "`exit()` would end the kernel: leave a function with `return`" in text and not ended
    said(lambda x: display.publish("a figure"))
    assert not shown
    shell.ask_exit()
    display.publish("mine")
    assert ended == [True] and shown == ["mine"]


def test_a_compiled_answer_is_judged_as_the_function_that_it_is():
    declare(lambda x: x * 2, *NUMBERS, seconds=1)
    assert said(torch.compile(lambda x: x + x)).startswith("✓")


class Endless:
    def __eq__(self, other):
        while True:
            pass

    def __repr__(self):
        while True:
            pass


class EndlessNumber(float):
    def __rsub__(self, other):
        while True:
            pass

    __eq__ = Endless.__eq__
    __ne__ = Endless.__eq__


def test_looking_at_an_answer_is_within_the_time_limit():
    declare(lambda x: 1.0, *NUMBERS, seconds=0.2)
    start = time.monotonic()
    assert said(lambda x: Endless()).startswith("✗ 7.1 Test: the type is Endless, expected float")
    assert said(lambda x: EndlessNumber(2)).startswith("✗")
    assert time.monotonic() - start < 20


def test_a_loop_in_a_destructor_is_stopped_without_a_message(monkeypatch):
    class Undead:
        def __del__(self):
            while True:
                pass

    def answer(x):
        Undead()
        return 1.0

    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    declare(lambda x: 1.0, *NUMBERS, seconds=0.2)
    assert "still running after 0.2 seconds" in said(answer)
    assert ignored == []


def test_a_thread_left_behind_prints_nothing_into_the_next_cell():
    source = """
import sys, time
from course_utils.checks.exercise import case, exercise
from course_utils.checks.feedback import check
import course_utils.exercises as exercises
exercises.lessons = dict
exercise("7.1", "Test", reference=abs, cases=[case("one", 1)], mistakes=[], seconds=0.2)

def swallows(x):
    while True:
        try:
            while True:
                time.sleep(0.01)
                print("from the loop")
        except BaseException:
            pass

check("7.1", swallows)
print("next cell")
time.sleep(0.5)
print("end")
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert "still running after 0.2 seconds" in done.stdout
    assert done.stdout.split("next cell\n")[1] == "end\n", done.stdout


def test_the_docstring_says_what_cannot_be_stopped():
    assert "code in C that keeps the interpreter" in sandbox.__doc__
