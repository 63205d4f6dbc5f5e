"""The exercise engine: what it says to right, wrong and hostile answers, and what it leaves untouched."""

import collections
import contextlib
import io
import random
import sys
import threading
import time
import warnings

import numpy
import pytest
import torch
from torch import nn

from course_utils import exercises
from course_utils.checks import check
from course_utils.checks import exercise as declare
from course_utils.checks.compare import cut, first_difference, short
from course_utils.checks.exercise import case, mistake
from course_utils.checks.feedback import verdict
from course_utils.checks.sandbox import run, untouched_state
from course_utils.environment import set_seed


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch):
    """Start every test without exercises, and without the lessons' modules."""
    monkeypatch.setattr(declare, "declared", {})
    monkeypatch.setattr(exercises, "lessons", dict)


def exercise(reference, *cases, mistakes=(), **settings):
    """Declare the exercise 7.1, Test."""
    cases = [case(f"input {index + 1}", *args) for index, args in enumerate(cases)]
    declare.exercise("7.1", "Test", reference=reference, cases=cases, mistakes=mistakes, **settings)


def said(answer):
    return verdict("7.1", answer)


def double(x):
    return x * 2


NUMBERS = ((1.0,), (2.0,), (-3.0,))
TENSORS = ((torch.tensor([1.0, 2.0, 3.0]),), (torch.tensor([[4.0], [5.0]]),), (torch.zeros(0),))


# Right answers and stubs ------------------------------------------------------------------------------------


def test_right():
    exercise(double, *TENSORS)
    assert said(lambda x: x + x) == "✓ 7.1 Test: right on all 3 inputs"


def test_check_prints_the_verdict(capsys):
    exercise(double, *NUMBERS)
    check("7.1", double)
    assert capsys.readouterr() == ("✓ 7.1 Test: right on all 3 inputs\n", "")


def test_a_stub_is_not_attempted():
    def stub(x):
        raise NotImplementedError

    def stub_with_a_hint(x):
        raise NotImplementedError(
            "your turn",
        )

    exercise(double, *NUMBERS)
    for unwritten in (stub, stub_with_a_hint, ...):
        assert said(unwritten) == "○ 7.1 Test: not attempted yet"


def test_what_torch_has_not_implemented_is_no_stub():
    exercise(lambda x: x.float().softmax(0), (torch.tensor([1, 2]),))
    answer = said(lambda x: x.softmax(0))
    assert "✗ 7.1 Test: your code raised NotImplementedError: " in answer
    assert "softmax" in answer and "test_engine" not in answer and "lambda x: x.softmax(0)" in answer


def test_a_stub_that_is_left_in_one_branch_is_an_exception():
    def half(x):
        if x < 0:
            raise NotImplementedError
        return x * 2

    exercise(double, *NUMBERS)
    assert said(half).startswith("✗ 7.1 Test: your code raised NotImplementedError")
    assert '"input 3"' in said(half)


def test_a_module_without_forward_is_no_stub():
    class Forgetful(nn.Module):
        pass

    exercise(nn.Identity, ((), torch.ones(1)), kind="module")
    assert said(Forgetful).startswith("✗ 7.1 Test: your code raised NotImplementedError: Module [Forgetful]")


def test_an_answer_of_another_kind():
    exercise(double, *NUMBERS)
    assert said(4.0) == "✗ 7.1 Test: pass your function itself, without parentheses; this is of type float"
    assert said(None).startswith("✗ 7.1 Test: pass your function itself")


# What differs, in the documented order ----------------------------------------------------------------------


def detached(x):
    return (x * 2).detach()


ORDER = [  # each answer differs in what it is listed for and in what comes after it
    (lambda x: [1.0], "the type is list, expected torch.Tensor"),
    (lambda x: None, "the result is None: is the `return` missing?"),
    (lambda x: 3.5, "the type is float, expected torch.Tensor"),
    (lambda x: numpy.ones(3), "the type is ndarray, expected torch.Tensor"),
    (
        lambda x: torch.full((4,), torch.nan, dtype=torch.float64, device="meta"),
        "the shape is (4,), expected (3,)",
    ),
    (
        lambda x: torch.full((3,), torch.nan, dtype=torch.float64, device="meta"),
        "the dtype is torch.float64, expected torch.float32",
    ),
    (lambda x: torch.full((3,), torch.nan, device="meta"), "the device is meta, expected cpu"),
    (lambda x: x.detach() * torch.nan, "the result is cut off from the graph, so no gradient can flow back"),
    (lambda x: torch.stack([x[0] * torch.nan, x[1], x[2]]), "the result has NaN (1 of 3 elements are NaN)"),
    (lambda x: x * 3, "3 of 3 values differ; the first, at [0], is 3, expected 2"),
    (
        lambda x: x.detach() * 2 + 0 * x,
        "the result is right, but in the gradient of `x` 3 of 3 values differ",
    ),
]


@pytest.mark.parametrize(("answer", "expected"), ORDER, ids=[expected[:30] for _, expected in ORDER])
def test_what_differs_first(answer, expected):
    exercise(double, TENSORS[0], gradients=["x"])
    assert said(answer).startswith(f"✗ 7.1 Test: {expected}")


def test_the_input_that_shows_it_is_shown():
    exercise(abs, *NUMBERS)
    text = said(lambda x: x)
    assert text.startswith("✗ 7.1 Test: the value is -3, expected 3\n")
    assert text.endswith('\n   on the input "input 3":\n   x = -3.0')


def test_gradients():
    def forgetful(x, y):
        return x * y.detach() + (y - y.detach()) * 0

    exercise(lambda x, y: x * y, (torch.tensor(2.0), torch.tensor(3.0)), gradients=["x", "y"])
    assert said(lambda x, y: y * x).startswith("✓")
    assert "no gradient reaches `y`" in said(lambda x, y: x * y.detach())
    assert "in the gradient of `y` the value is 0, expected 2" in said(forgetful)
    assert "cut off from the graph" in said(lambda x, y: torch.tensor(x.item() * y.item()))


def test_gradients_where_there_are_none():
    exercise(lambda x: (x > 0).sum(), (torch.ones(2),), (torch.zeros(2),), gradients=["x"])
    assert said(lambda x: (x > 0).long().sum()).startswith("✓")
    assert said(lambda x: (x >= 0).sum()).startswith("✗ 7.1 Test: the value is 2, expected 0")


def test_a_permuted_gradient_is_noticed():
    exercise(lambda x: x * 1, (torch.ones(3),), gradients=["x"])
    assert "in the gradient of `x`" in said(lambda x: x.detach() + x.flip(0) - x.flip(0).detach())


def test_nan_that_is_expected():
    exercise(lambda x: x / x, (torch.tensor([0.0, 1.0]),))
    assert said(lambda x: x / x).startswith("✓")
    assert "lacks the NaN that is expected" in said(lambda x: torch.ones(2))


# What the comparison says -----------------------------------------------------------------------------------


class Unprintable:
    def __repr__(self):
        raise ValueError


Pair = collections.namedtuple("Pair", "left right")
SAME = [
    (3, 3.0),
    (3.0, 3),
    (2.0, numpy.float32(2)),
    (numpy.float32(2), 2.0),
    (2, numpy.int64(2)),
    (True, numpy.bool_(True)),
    (2.0, numpy.array(2.0)),
    (1e6, 1e6 + 1),
    (float("inf"), float("inf")),
    (float("nan"), float("nan")),
    ((2, 3), torch.zeros(2, 3).shape),
    ((1, 2), Pair(1, 2)),
    ({"a": 1}, collections.OrderedDict(a=1)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ([], []),
    ({1, 2}, {2, 1}),
    (None, None),
    ("text", "text"),
    (torch.tensor(3), torch.tensor(3)),
    (torch.zeros(0, 2), torch.zeros(0, 2)),
    (torch.tensor([torch.inf, torch.nan]), torch.tensor([torch.inf, torch.nan])),
    (torch.ones(2), nn.Parameter(torch.ones(2))),
    (torch.tensor([True]), torch.tensor([True])),
    (numpy.array([1.0, numpy.nan]), numpy.array([1.0, numpy.nan])),
    (numpy.array(["a"]), numpy.array(["a"])),
    ([{"x": (torch.ones(1), 2)}], [{"x": (torch.ones(1), 2)}]),
]
DIFFERENT = [
    (1, True, "the type is bool, expected int"),
    (True, 1, "the type is int, expected bool"),
    (1.0, "1.0", "the type is str, expected float"),
    (2.0, torch.tensor(2.0), "the type is torch.Tensor, expected float: call .item() on it"),
    (torch.tensor(2.0), 2.0, "the type is float, expected torch.Tensor"),
    ([1], (1,), "the type is tuple, expected list"),
    (3, 2.5, "the value is 2.5, expected 3"),
    (0.5, 0.75, "the value is 0.75, expected 0.5"),
    (0.5, float("nan"), "the value is nan, expected 0.5"),
    (float("nan"), 0.5, "the value is 0.5, expected nan"),
    (float("inf"), 5.0, "the value is 5, expected inf"),
    (5.0, float("inf"), "the value is inf, expected 5"),
    ("yes", "no", "the value is 'no', expected 'yes'"),
    ([1, 2], [1], "the length is 1, expected 2"),
    ([1, 2], [1, 3], "in item [1] the value is 3, expected 2"),
    ({"a": 1}, {"b": 1}, "the keys are ['b'], expected ['a']"),
    ({"a": 1}, {"a": 1, 2: 1}, "the keys are ['a', 2], expected ['a']"),
    (
        {"a": [1, {"b": torch.ones(2)}]},
        {"a": [1, {"b": torch.ones(3)}]},
        "in item ['a'] in item [1] in item ['b'] the shape is (3,)",
    ),
    (torch.ones(2, 2), torch.eye(2), "2 of 4 values differ; the first, at [0, 1], is 0, expected 1"),
    (torch.tensor(2), torch.tensor(3), "the value is 3, expected 2"),
    (torch.tensor([1]), torch.tensor(1), "the shape is (), expected (1,)"),
    (torch.zeros(0, 2), torch.zeros(2, 0), "the shape is (2, 0), expected (0, 2)"),
    (torch.tensor([True]), torch.tensor([1]), "the dtype is torch.int64, expected torch.bool"),
    (torch.ones(2), torch.ones(2).to_sparse(), "the layout is torch.sparse_coo, expected torch.strided"),
    (
        torch.tensor([torch.inf]),
        torch.tensor([1.0]),
        "1 of 1 values differ; the first, at [0], is 1, expected inf",
    ),
    (numpy.ones(2), torch.ones(2), "the type is torch.Tensor, expected ndarray"),
    (numpy.ones(2), numpy.ones(3), "the shape is (3,), expected (2,)"),
    (numpy.ones(2), numpy.ones(2, dtype="float32"), "the dtype is float32, expected float64"),
    (numpy.ones(2), numpy.array([1.0, 2.0]), "1 of 2 values differ; the first, at [1], is 2, expected 1"),
    (numpy.array(["a"]), numpy.array(["b"]), "the value is array(['b']"),
    (1, None, "the result is None"),
    (None, 1, "the type is int, expected NoneType"),
    (1, Unprintable(), "the type is Unprintable, expected int"),
    ({"a": 1}, {"b": Unprintable()}, "the keys are ['b'], expected ['a']"),
]


@pytest.mark.parametrize(("expected", "got"), SAME, ids=repr)
def test_the_same(expected, got):
    assert first_difference(expected, got, 1e-4, 1e-5) == ""


@pytest.mark.parametrize(("expected", "got", "difference"), DIFFERENT, ids=[row[2] for row in DIFFERENT])
def test_different(expected, got, difference):
    assert first_difference(expected, got, 1e-4, 1e-5).startswith(difference)


def test_modules_are_compared_by_their_state():
    set_seed(0)
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    assert first_difference(one, one, 0, 0) == ""
    assert first_difference(one, other, 0, 0).startswith("in item ['weight'] 4 of 4 values differ")


def test_the_tolerance_is_the_exercise_s():
    exercise(double, (1.0,), rtol=0, atol=0.1)
    assert said(lambda x: 2.09).startswith("✓")
    assert said(lambda x: 2.11).startswith("✗")


def test_what_cannot_be_compared_is_told():
    exercise(double, (1.0,))
    assert "cannot be compared" in said(lambda x: 10**400)


def test_short_and_cut():
    assert short("a\n  b") == "'a\\n  b'" and cut("a\n  b", 9) == "a b"
    assert short(["   ", "a  b"]) == "['   ', 'a  b']" and cut("it's\n  so,  isn't\n it", 99).count("\n") == 0
    assert short(Unprintable()) == "<Unprintable whose repr fails>"
    assert len(cut("x" * 500, 100)) == 100 and cut("x" * 500, 100).endswith("…")


def test_a_huge_result_is_cut():
    exercise(lambda x: "short", (1,))
    for huge in ("y" * 1_000_000, ["y"] * 100_000, {index: index for index in range(100_000)}):
        assert len(said(lambda x, huge=huge: huge)) < 400


def test_a_huge_input_is_cut():
    exercise(len, (list(range(100_000)),))
    assert len(said(lambda numbers: 0)) < 450


# Named mistakes ---------------------------------------------------------------------------------------------


def test_a_named_mistake_wins_over_the_difference():
    exercise(double, *TENSORS, mistakes=[mistake("You squared; twice is asked for.", torch.square)])
    assert said(lambda x: x**2) == "✗ 7.1 Test: You squared; twice is asked for."
    assert said(lambda x: x**3).startswith("✗ 7.1 Test: 3 of 3 values differ")


def test_a_mistake_must_be_the_same_wherever_it_shows():
    exercise(abs, *NUMBERS, mistakes=[mistake("You gave the negative.", lambda x: -x)])
    assert said(lambda x: -x) == "✗ 7.1 Test: You gave the negative."
    assert "You gave the negative." not in said(lambda x: -x if x > 1 else x)


def test_a_mistake_is_named_whatever_else_is_wrong_where_it_does_not_show():
    exercise(abs, *NUMBERS, mistakes=[mistake("A negative number stays negative.", lambda x: x)])
    assert said(lambda x: x if x < 2 else x + 1) == "✗ 7.1 Test: A negative number stays negative."


def test_of_two_mistakes_the_one_that_explains_more_is_named():
    rare = mistake("A three stays a three.", lambda x: x if x == 3 else x * 2)
    common = mistake("Numbers below five stay as they are.", lambda x: x if x < 5 else x * 2)
    exercise(double, (3.0,), (4.0,), (5.0,), (6.0,), mistakes=[rare, common])
    assert said(lambda x: x if x < 6 else -x) == "✗ 7.1 Test: Numbers below five stay as they are."


def test_a_mistake_that_explains_less_than_half_of_what_is_wrong_is_not_named():
    rare = mistake("A three stays a three.", lambda x: x if x == 3 else x * 2)
    exercise(double, (3.0,), (4.0,), (5.0,), (6.0,), mistakes=[rare])
    assert "stays" in said(lambda x: x if x < 4.5 else x * 2)
    assert "stays" not in said(lambda x: x)


def test_a_family_of_mistakes_shares_its_explanation():
    family = mistake("You took a power.", lambda x: x**2, lambda x: x**3)
    exercise(double, (1.0,), (3.0,), mistakes=[family])
    assert said(lambda x: x * x) == said(lambda x: x * x * x) == "✗ 7.1 Test: You took a power."
    assert "power" not in said(lambda x: x**4)


def test_an_exception_alone_explains_nothing():
    exercise(double, *NUMBERS, mistakes=[mistake("A float has no length.", len)])
    assert said(len).startswith("✗ 7.1 Test: your code raised TypeError: object of type 'float' has no len()")


def test_a_mistake_in_the_gradient_alone():
    wrong = mistake("The second factor is cut off.", lambda x: x * x.detach())
    exercise(torch.square, (torch.tensor([1.0, 2.0]),), mistakes=[wrong], gradients=["argument 1"])
    assert said(lambda x: x.detach() * x) == "✗ 7.1 Test: The second factor is cut off."
    assert said(lambda x: x * x).startswith("✓")


def test_a_mistake_that_changes_its_input():
    def in_place(numbers):
        numbers.sort()
        return numbers

    exercise(sorted, ([3, 1],), ([2, 1],), mistakes=[mistake("You sorted the caller's list.", in_place)])
    assert said(in_place) == "✗ 7.1 Test: You sorted the caller's list."


# Inputs -----------------------------------------------------------------------------------------------------


CHANGES = [
    ([3, 1, 2], lambda x: x.sort()),
    ([[1], [2]], lambda x: x[0].append(5)),
    ({"a": 1}, lambda x: x.update(b=2)),
    ({"a": [1]}, lambda x: x.update(a=None)),
    (torch.tensor([1.0, torch.nan]), lambda x: x.zero_()),
    (torch.tensor([True]), lambda x: x.logical_not_()),
    (numpy.array([1.0, 2.0]), lambda x: x.fill(0)),
    (nn.Linear(1, 1), lambda x: nn.init.zeros_(x.weight)),
    ({1, 2}, lambda x: x.clear()),
]


@pytest.mark.parametrize(("argument", "change"), CHANGES, ids=[repr(argument) for argument, _ in CHANGES])
def test_a_changed_input_is_told(argument, change):
    exercise(lambda things: 1, (argument,))
    kept = repr(argument)

    def answer(things):
        change(things)
        return 1

    assert said(lambda things: 1).startswith("✓")
    assert said(answer).startswith("✗ 7.1 Test: your code changed its input `things`: work on a copy of it")
    assert repr(argument) == kept, "the exercise's own input was changed"


def test_inputs_that_equal_nothing_are_not_changed():
    exercise(lambda *things: 1, ([float("nan")], torch.tensor([torch.nan]), object(), "text", None, (1, 2)))
    assert said(lambda *things: 1).startswith("✓")


def test_an_input_is_to_be_changed_in_place():
    def fill(x):
        x.fill_(7)

    exercise(fill, (torch.zeros(2),), (torch.ones(3),))
    assert said(fill).startswith("✓")
    assert "`x` is to be changed in place, and is as it was" in said(lambda x: None)
    assert "in `x`, changed in place, 2 of 2 values differ" in said(lambda x: x.add_(1) and None)


def test_a_training_step_is_judged_by_the_model_it_leaves():
    def step(model, optimizer):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()

    def twice(model, optimizer):
        step(model, optimizer)
        optimizer.step()

    model = nn.Linear(2, 1)
    before = model.weight.detach().clone()
    exercise(step, (model, torch.optim.SGD(model.parameters(), lr=0.1)))
    assert said(step).startswith("✓")
    assert "in `model`, changed in place, in item ['weight'] 2 of 2 values differ" in said(twice)
    assert torch.equal(model.weight, before) and model.weight.grad is None


def test_arguments_without_a_name():
    exercise(
        torch.add, (torch.ones(1), torch.ones(1)), gradients=["argument 1", "argument 2"]
    )  # written in C: it has no signature
    assert "argument 1 = torch.tensor([1.])" in said(lambda x, y: x - y)
    assert "no gradient reaches `argument 2`" in said(lambda x, y: x + y.detach())


# Time -------------------------------------------------------------------------------------------------------


def loop(x):
    while True:
        x += 1


def loop_that_swallows_exceptions(x):
    while True:
        try:
            x += 1
        except Exception:
            pass


def loop_that_swallows_everything(x):
    while True:
        try:
            x += 1
        except:  # noqa: E722
            pass


def loop_that_prints_and_swallows(x):
    while True:
        try:
            print("again")
        except:  # noqa: E722
            pass


LOOPS = [loop, loop_that_swallows_exceptions, loop_that_swallows_everything, loop_that_prints_and_swallows]


@pytest.mark.parametrize("endless", LOOPS, ids=lambda loop: loop.__name__)
def test_an_endless_loop_is_stopped(endless, capfd):
    exercise(double, *NUMBERS, seconds=0.1)
    threads = threading.active_count()
    start = time.perf_counter()
    text = said(endless)
    assert time.perf_counter() - start < 2
    assert text.startswith('✗ 7.1 Test: still running after 0.1 seconds, and stopped on the input "input 1".')
    assert threading.active_count() == threads, "the thread was left behind"
    assert capfd.readouterr() == ("", "")


def test_a_long_wait_is_left_behind():
    exercise(double, *NUMBERS, seconds=0.05)
    wake = threading.Event()
    start = time.perf_counter()
    text = said(lambda x: wake.wait(30))  # one call in C, which nothing can interrupt
    assert time.perf_counter() - start < 3
    wake.set()
    assert "still running after 0.05 seconds" in text


def test_a_loop_on_a_later_input_is_told_with_its_name():
    def answer(x):
        while x < 0:
            pass
        return x * 2

    exercise(double, *NUMBERS, seconds=0.1)
    assert 'stopped on the input "input 3"' in said(answer)


def test_what_is_printed_is_bounded():
    def chatty(x):
        for _ in range(1000):
            print("line " * 10)
        print("x" * 1_000_000)
        return x * 2

    exercise(double, *NUMBERS)
    text = said(chatty)
    assert text.startswith(
        "✓ 7.1 Test: right on all 3 inputs\n   printed by your code on the first input:\n   | line"
    )
    assert len(text) < 3000 and len(text.splitlines()) <= 12


def test_prints_and_warnings_do_not_reach_the_notebook(capsys):
    def chatty(x):
        print("to stdout")
        print("to stderr", file=sys.stderr)
        return x * 2

    exercise(double, *NUMBERS)
    assert said(chatty).splitlines()[2:] == ["   | to stdout", "   | to stderr"]
    assert capsys.readouterr() == ("", "")


# Exceptions -------------------------------------------------------------------------------------------------


def test_an_exception_is_shown_with_its_line():
    def answer(x):
        y = x * 2
        return y[0]  # the line

    exercise(double, *NUMBERS)
    lines = said(answer).splitlines()
    assert lines[0] == "✗ 7.1 Test: your code raised TypeError: 'float' object is not subscriptable"
    assert lines[1].startswith("   in line ") and lines[1].endswith(" of your cell: return y[0]  # the line")
    assert lines[2:] == ['   on the input "input 1":', "   x = 1.0"]


def test_an_exception_inside_torch_is_shown_with_the_learner_s_line():
    exercise(double, *TENSORS)
    text = said(lambda x: nn.functional.linear(x, torch.ones(7, 7)))
    assert "your code raised RuntimeError: " in text
    assert "nn.functional.linear(x, torch.ones(7, 7))" in text


def test_nothing_ends_the_notebook():
    def leave(x):
        sys.exit("bye")

    def interrupt(x):
        raise KeyboardInterrupt

    def generator_exit(x):
        raise GeneratorExit

    exercise(double, *NUMBERS)
    assert said(leave).startswith("✗ 7.1 Test: your code raised SystemExit: bye\n   in line ")
    assert said(interrupt).startswith("✗ 7.1 Test: your code raised KeyboardInterrupt\n   in line ")
    assert said(generator_exit).startswith("✗ 7.1 Test: your code raised GeneratorExit\n   in line ")


def test_hostile_exceptions():
    class Silent(Exception):
        def __str__(self):
            raise ValueError

    def raises(error):
        def answer(x):
            raise error

        return answer

    exercise(double, *NUMBERS, mistakes=[mistake("A float has no length.", len)])
    assert "Silent: <exception str() failed>" in said(raises(Silent()))
    assert len(said(raises(ValueError("long " * 10_000)))) < 500
    assert "RecursionError" in said(lambda x: (f := lambda: f())())


def test_the_wrong_number_of_arguments():
    exercise(double, *NUMBERS)
    assert "your code raised TypeError: " in said(lambda: 1)


# What stays untouched ---------------------------------------------------------------------------------------


def states():
    return random.getstate(), numpy.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()


def test_random_numbers_go_on_as_if_nothing_had_been():
    def answer(x):
        random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
        random.random(), numpy.random.rand(), torch.rand(1)
        return x

    exercise(double, *NUMBERS, mistakes=[mistake("It was not doubled.", answer)])
    before = states()
    said(answer)
    assert states() == before
    exercise_with_judge = dict(judge=lambda value, x: answer("") or "wrong")
    declare.declared.clear()
    exercise(double, *NUMBERS, **exercise_with_judge)
    said(answer)
    assert states() == before


def test_an_answer_that_draws_gets_what_the_reference_gets():
    exercise(lambda size: torch.rand(size), (1,), (2,), (3,))
    torch.manual_seed(5)
    assert said(lambda size: torch.rand(size)).startswith("✓")


def test_settings_of_torch_are_given_back():
    def answer(x):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.set_num_threads(3)
        torch.set_default_device("meta")
        return torch.tensor(2.0, device="cpu")

    exercise(lambda x: torch.tensor(2.0), *NUMBERS)
    threads = torch.get_num_threads()
    assert "the dtype is torch.float64, expected torch.float32" in said(answer), (
        "the reference runs untouched"
    )
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_default_device() == torch.device("cpu")
    assert torch.is_grad_enabled()
    assert torch.get_num_threads() == threads
    with torch.no_grad():
        said(answer)
        assert not torch.is_grad_enabled()


def test_settings_are_given_back_after_an_exception_and_a_time_out():
    def raises(x):
        torch.set_default_dtype(torch.float64)
        raise ValueError

    def loops(x):
        torch.set_default_dtype(torch.float64)
        loop(x)

    exercise(double, *NUMBERS, seconds=0.1)
    for answer in (raises, loops):
        said(answer)
        assert torch.get_default_dtype() == torch.float32


def test_an_instance_given_as_a_function_is_untouched():
    norm = nn.BatchNorm1d(1)
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    exercise(
        nn.BatchNorm1d(1),
        (torch.tensor([[1.0], [2.0]]),),
        (torch.tensor([[1.0], [5.0]]),),
        gradients=["args"],
    )
    assert said(norm).startswith("✓")
    assert all(torch.equal(tensor, before[name]) for name, tensor in norm.state_dict().items())
    assert norm.training and norm.weight.grad is None


def test_a_value_is_untouched_even_by_a_careless_judge():
    def judge(value):
        value.append(3)
        return ""

    mine = [1, 2]
    exercise([1, 2], kind="value", judge=judge)
    assert said(mine) == "✓ 7.1 Test"
    assert mine == [1, 2]


def test_the_class_of_a_module_is_untouched():
    class Counter(nn.Linear):
        built = 0

    exercise(nn.Linear, ((2, 1), torch.ones(1, 2)), kind="module", gradients=["input", "parameters"])
    before = dict(vars(Counter))
    assert said(Counter).startswith("✓")
    assert dict(vars(Counter)) == before


def test_warnings_and_stdout_are_as_before():
    exercise(double, *NUMBERS)
    filters, stdout, stderr = list(warnings.filters), sys.stdout, sys.stderr
    said(double)
    assert warnings.filters == filters and sys.stdout is stdout and sys.stderr is stderr


def test_untouched_state_gives_back_what_its_block_changed():
    before = states()
    with contextlib.suppress(ValueError), untouched_state():
        set_seed(3)
        torch.set_default_dtype(torch.float64)
        raise ValueError
    assert states() == before and torch.get_default_dtype() == torch.float32


# Values -----------------------------------------------------------------------------------------------------


def test_values():
    exercise(0.25, kind="value", mistakes=[mistake("This is the odds, not the share.", 1 / 3)])
    assert said(0.25) == "✓ 7.1 Test"
    assert said(None) == said(...) == "○ 7.1 Test: not attempted yet"
    assert said(1 / 3) == "✗ 7.1 Test: This is the odds, not the share."
    assert said(0.5) == "✗ 7.1 Test: the value is 0.5, expected 0.25"
    assert said(torch.tensor(0.25)).endswith("expected float: call .item() on it")
    assert said(lambda: 0.25) == "✗ 7.1 Test: pass the value, not a function"
    assert said(Unprintable()).startswith("✗ 7.1 Test: the type is Unprintable")


def test_a_value_with_a_history():
    x = torch.ones(2, requires_grad=True)
    exercise(torch.tensor([2.0, 2.0]), kind="value")
    assert said(x * 2) == "✓ 7.1 Test"
    assert said(x * 3).startswith("✗ 7.1 Test: 2 of 2 values differ")


def test_a_value_that_cannot_be_copied():
    exercise([1], kind="value")
    assert said(number for number in [1]) == (
        "✗ 7.1 Test: the type is generator, expected list: is there a `yield` where a `return` belongs?"
    )


# Judges -----------------------------------------------------------------------------------------------------


def judge_even(result, limit):
    return "" if result % 2 == 0 and result > limit else f"{result} is odd, or not above {limit}"


def test_a_judge_lets_many_answers_pass():
    exercise(lambda limit: 2 * limit + 2, (1,), (2,), (3,), judge=judge_even)
    assert said(lambda limit: 100).startswith("✓")
    assert said(lambda limit: 2 * limit + 2).startswith("✓")
    assert said(lambda limit: 5).startswith("✗ 7.1 Test: 5 is odd, or not above 1\n")
    assert said(lambda limit: 2).startswith("✗ 7.1 Test: 2 is odd, or not above 2\n")


def test_a_judge_that_stumbles_is_the_answer_s_fault():
    def patient(result, limit):
        return result() or ""

    exercise(lambda limit: 2 * limit + 2, (1,), judge=judge_even)
    assert said(lambda limit: None).startswith("✗ 7.1 Test: the result is None: is the `return` missing?")
    assert said(lambda limit: "four").startswith("✗ 7.1 Test: the result cannot be judged (TypeError: ")
    declare.declared.clear()
    exercise(lambda limit: lambda: "", (1,), judge=patient, seconds=0.1)
    assert said(lambda limit: lambda: loop(1)).startswith(
        "✗ 7.1 Test: the result cannot be judged (OutOfTime"
    )
    assert said(lambda limit: sys.exit).startswith("✗ 7.1 Test: the result cannot be judged (Ended")


def test_a_judge_sees_inputs_that_nobody_changed():
    seen = []

    def judge(result, numbers):
        seen.append(list(numbers))
        numbers.clear()
        return ""

    exercise(sorted, ([2, 1],), judge=judge)
    said(sorted)
    said(sorted)
    assert seen == [[2, 1], [2, 1]]


# Modules ----------------------------------------------------------------------------------------------------


class Scale(nn.Module):
    """Multiplies each feature by a learnt weight, then drops some."""

    def __init__(self, width, p=0.5):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width))
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
        self.dropout = nn.Dropout(p)

    def forward(self, x):
        return self.dropout(x * self.weight) * self.frozen


class WithMoreRandomNumbers(Scale):
    def __init__(self, width, p=0.5):
        torch.rand(100)
        super().__init__(width, p)


class OtherName(nn.Module):
    def __init__(self, width, p=0.5):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(width))

    def forward(self, x):
        return x * self.scale


class OtherShape(Scale):
    def __init__(self, width, p=0.5):
        super().__init__(1, p)


class Deaf(Scale):
    def forward(self, x):
        return self.dropout(x * self.weight.detach()) + 0 * x


class CutOff(Scale):
    def forward(self, x):
        return self.dropout(x.detach() * self.weight) * self.frozen


class TwiceTheGradient(Scale):
    def forward(self, x):
        weight = 2 * self.weight - self.weight.detach()
        return self.dropout(x * weight) * self.frozen


class WithoutDropout(Scale):
    def forward(self, x):
        return x * self.weight


@pytest.fixture
def scale():
    without = mistake("The dropout is missing.", WithoutDropout)
    cases = [((3,), torch.ones(2, 3)), ((4, 0.1), torch.rand(5, 4)), ((1, 0.0), torch.ones(1, 1))]
    exercise(Scale, *cases, kind="module", gradients=["x", "parameters"], mistakes=[without])


def test_modules(scale):
    assert said(Scale) == said(WithMoreRandomNumbers) == "✓ 7.1 Test: right on all 3 inputs"
    assert said(WithoutDropout) == "✗ 7.1 Test: The dropout is missing."


def test_parameters_are_part_of_a_module(scale):
    assert "its parameters: the keys are ['scale'], expected ['weight', 'frozen']" in said(OtherName)
    assert "its parameters: in item ['weight'] the value is '(1,)', expected '(3,)'" in said(OtherShape)
    assert '   on the input "input 1":\n   constructor arguments = (3,)\n   x = torch.tensor(' in said(
        OtherShape
    )


def test_gradients_of_a_module(scale):
    assert "no gradient reaches the parameter `weight`" in said(Deaf)
    assert "no gradient reaches `x`" in said(CutOff)
    assert "in the gradient of the parameter `weight` " in said(TwiceTheGradient)


def test_what_is_no_module(scale):
    assert said(Scale(3)) == "✗ 7.1 Test: pass your class itself, without parentheses; this is of type Scale"
    assert "a class derived from nn.Module is asked for, and this made a dict" in said(
        type("Bad", (), {"__new__": lambda cls, *args: {}})
    )
    assert "your code raised TypeError" in said(
        nn.Identity().__class__.__mro__[-1]
    )  # object takes no arguments


# Declarations -----------------------------------------------------------------------------------------------


def test_a_declaration_that_cannot_be_checked_is_refused():
    exercise(double, (1,))
    with pytest.raises(ValueError, match="twice"):
        exercise(double, (1,))
    declare.declared.clear()
    with pytest.raises(ValueError, match="no cases"):
        exercise(double)
    with pytest.raises(ValueError, match="one of function, value, module, class"):
        exercise(double, (1,), kind="funktion")
    with pytest.raises(ValueError, match="a judge goes with"):
        exercise(nn.Identity, ((), torch.ones(1)), kind="module", judge=judge_even)


def test_an_unknown_exercise_names_the_nearest(monkeypatch):
    with pytest.raises(LookupError, match=r"^there is no exercise '7.1'$"):
        said(double)
    for number in ("2.1", "2.2", "2.9", "7.3"):
        declare.exercise(number, "Test", reference=double, cases=[case("one", 1)], mistakes=[])
    monkeypatch.setattr(exercises, "lessons", lambda: {2: "lesson_02_x", 7: "lesson_07_y"})
    for name in ("lesson_02_x", "lesson_07_y"):
        monkeypatch.setitem(sys.modules, f"course_utils.exercises.{name}", exercises)
    nearest = {"2.4": "2.2", "2.8": "2.9", "2": "2.1", "2.x": "2.1", 2.7: "2.9", "6.1": "7.3", "99.1": "7.3"}
    nearest |= {"": "2.1", "one": "2.1", None: "2.1", 2.1: "2.1"}
    for number, expected in nearest.items():
        with pytest.raises(LookupError) as caught:
            verdict(number, double)
        assert (
            str(caught.value) == f'there is no exercise {number!r}; the nearest is check("{expected}", ...)'
        )
    assert verdict("2.9", double).startswith("✓")


def test_the_lessons_are_found(monkeypatch):
    monkeypatch.undo()
    found = exercises.lessons()
    assert found[1] == "lesson_01_tensors"
    assert set(exercises.of_lesson(1)) >= {"1.1", "1.2"}
    assert exercises.of_lesson(12345) == {}


def test_run_keeps_the_first_that_is_printed():
    exercise(double, (1,))
    outcome = run(exercises.find("7.1"), lambda x: print("one", "two") or x, case("one", 1))
    assert outcome.printed == "one two\n" and outcome.value == 1 and outcome.error is None
    with contextlib.redirect_stdout(io.StringIO()) as out:
        check("7.1", double)
    assert out.getvalue() == "✓ 7.1 Test\n"
