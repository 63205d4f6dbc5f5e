"""Run an answer on one input: in a time limit, on copies, with its exceptions caught and every setting kept.

What cannot be stopped from inside the process: code in C that keeps the interpreter to itself, such as
`sum(range(10**11))`, `7**10**8` or a regular expression that backtracks for ever. Interrupting or restarting
the kernel is the only way out of those.
"""

import builtins
import contextlib
import copy
import ctypes
import dataclasses
import io
import logging
import os
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from course_utils.checks.compare import first_difference
from course_utils.checks.exercise import Case, Exercise, Shown
from course_utils.checks.rules import Watch
from course_utils.environment import set_seed
from course_utils.translation import message, translate

# What the parts of a result are called: compared as they stand, translated where they are shown.
CALL = message("the result of call {}")
PARAMETERS = message("its parameters")
OUTPUT, OUTPUT_OF_CALL = message("the output"), message("the output of call {}")
STATE = message("its state after call {}")
PARAMETER = message("the parameter {}")


@dataclasses.dataclass
class Outcome:
    """What came of running an answer on one case."""

    value: Any = None
    error: BaseException | None = None
    changed: dict[int, Any] = dataclasses.field(default_factory=dict)  # argument position -> what it became
    switched: dict[int, list[bool]] = dataclasses.field(default_factory=dict)  # ... -> its requires_grad
    gradients: dict[str, Any] | None = None  # None: the result carries no gradient
    printed: str = ""
    broken: str = ""  # the rule that was broken, a sentence


class OutOfTime(Exception):
    """The answer was still running when its time was up."""


class Ended(Exception):
    """The answer raised what would end the kernel (its cause), such as SystemExit."""


class Refused(Exception):
    """The answer asked for something that a check cannot give; the text says what."""


class _FewLines(io.StringIO):
    """Keeps the first characters that are printed, so that an endless loop cannot fill the memory."""

    def write(self, text):
        if self.tell() < 1000:
            super().write(text[:1000])
        return len(text)


def run(exercise: Exercise, answer: Any, case: Case, seconds: float | None = None) -> Outcome:
    """Run `answer` on a copy of `case`'s arguments; nothing of the learner's changes.

    `seconds` replaces the exercise's own time limit.
    """
    outcome = Outcome()
    watch = Watch(exercise.rules, exercise.argument_names())
    printed = _FewLines()
    with untouched_state(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            within(seconds or exercise.seconds, lambda: _use(exercise, answer, case, watch, outcome))
        except Exception as error:
            outcome.error = error
    outcome.printed = printed.getvalue()
    outcome.broken = watch.broken
    return outcome


def arguments_of(case: Case) -> list:
    """A fresh copy of a case's arguments, what is only shown as a text unwrapped."""
    # Together, since one may hold another: an optimizer the model's parameters.
    return copy.deepcopy([arg.value if isinstance(arg, Shown) else arg for arg in case.args])


def _use(exercise, answer, case, watch, outcome):
    """Fill `outcome`: called in the thread that has the time limit."""
    import torch

    set_seed(0)
    answer = _copied(answer)
    before, arguments = arguments_of(case), arguments_of(case)
    names, inputs = exercise.argument_names(), {}
    for position, name in enumerate(names):
        if name in exercise.gradients:
            inputs[f"`{name}`"] = arguments[position].requires_grad_()
            arguments[position] = arguments[position].clone()  # a leaf would refuse in-place operations
    switches = [_switches(argument) for argument in arguments]
    given = watch.give(arguments)
    if exercise.kind == "module":
        outcome.value = _use_module(exercise, answer, given, case, inputs, watch)
    elif exercise.kind == "value":
        outcome.value = answer
    elif exercise.use:
        with watch.mode():
            outcome.value = exercise.use(answer, *given)
    else:
        with watch.mode():
            results = [answer(*given)] + [answer(*copy.deepcopy(args)) for args in case.then]
        several = {CALL.format(number): result for number, result in enumerate(results, 1)}
        outcome.value = several if case.then else results[0]
    watch.finish()
    if inputs:
        outcome.gradients = _gradients(outcome.value, inputs)
    for position, (old, new) in enumerate(zip(before, arguments, strict=True)):
        if torch.is_tensor(new) and new.requires_grad and not old.requires_grad:
            new = new.detach()
        if not _same(old, new):
            outcome.changed[position] = new
        if _switches(arguments[position]) != switches[position]:
            outcome.switched[position] = _switches(arguments[position])


def _use_module(exercise, answer, given, case, inputs, watch):
    """Build the module with the reference's parameters, call it; what it gives and becomes, by name."""
    import torch

    constructor, *first = given
    set_seed(0)
    reference = exercise.reference(*copy.deepcopy(constructor))
    set_seed(0)
    with watch.mode():
        module = answer(*constructor)
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            translate(
                "a class derived from nn.Module is asked for, and this made a {kind}",
                kind=type(module).__name__,
            )
        )
    shapes, wanted = (
        {name: _kind(built, name, tensor) for name, tensor in built.state_dict().items()}
        for built in (module, reference)
    )
    found = {PARAMETERS: shapes}
    numbers = range(1, len(case.then) + 2)
    outputs = [OUTPUT_OF_CALL.format(number) for number in numbers] if case.then else [OUTPUT]
    states = [STATE.format(number) for number in numbers]
    if shapes != wanted:
        return found | dict.fromkeys(outputs) | dict.fromkeys(states)
    module.load_state_dict(reference.state_dict())
    if "parameters" in exercise.gradients:
        learnt = [row for row in module.named_parameters() if row[1].requires_grad]
        inputs |= {PARAMETER.format(f"`{name}`"): parameter for name, parameter in learnt}
    set_seed(0)  # building it may have drawn any number of random numbers
    for number, args in enumerate([first, *copy.deepcopy(case.then)], 1):
        with watch.mode():
            found[outputs[number - 1]] = module(*args)
        state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        found[states[number - 1]] = state
    return found


def _kind(module, name, tensor):
    """A parameter's shape; a buffer is called one, since it is saved as well and not trained."""
    return f"{tuple(tensor.shape)}{', a buffer' if name in dict(module.named_buffers()) else ''}"


def _copied(answer):
    """A copy, so that running it cannot change the learner's object; functions and classes are themselves."""
    try:
        return copy.deepcopy(answer)
    except Exception:  # a tensor with a history, a generator ... cannot be copied
        return answer


def _gradients(result, inputs):
    """Gradients of a fixed weighted sum of all that is differentiable in `result`; None if nothing is."""
    import torch

    outputs = [tensor for tensor in _tensors(result) if tensor.requires_grad]
    if not outputs:
        return None
    # Unequal weights, since a plain sum would hide a permuted gradient; the only element of a loss gets 1.
    total = sum((out * torch.linspace(1, 2, out.numel()).reshape(out.shape).to(out)).sum() for out in outputs)
    gradients = torch.autograd.grad(total, list(inputs.values()), allow_unused=True)
    return dict(zip(inputs, gradients, strict=True))


def _tensors(result) -> Iterator[Any]:
    import torch

    if torch.is_tensor(result):
        yield result
    elif isinstance(result, dict):
        for item in result.values():
            yield from _tensors(item)
    elif isinstance(result, list | tuple):
        for item in result:
            yield from _tensors(item)


def _switches(argument) -> list[bool]:
    """`requires_grad` of the tensors in an argument, a module's parameters included."""
    import torch

    if isinstance(argument, torch.nn.Module):
        return [parameter.requires_grad for parameter in argument.parameters()]
    return [tensor.requires_grad for tensor in _tensors(argument)]


_left_behind: list[threading.Thread] = []


def within(seconds: float | None, work: Callable[[], Any]) -> Any:
    """The result of `work()`, run in a thread of its own; raises what it raises, or `OutOfTime`.

    A thread, because signals cannot interrupt a loop on Windows or off the main thread, and because grad
    mode, inference mode and the default device are as new in it. A thread whose time is up is stopped, or
    left behind if it waits inside a call in C or swallows every exception. `seconds` None: no limit.
    """
    box = {}

    def target():
        try:
            box["result"] = work()
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=target, daemon=True)
    end = time.monotonic() + (seconds if seconds is not None else float("inf"))
    thread.start()
    try:
        while thread.is_alive() and time.monotonic() < end:
            # In short waits: a thread that waits in C hears of no interruption.
            thread.join(min(0.1, max(0.0, end - time.monotonic())))
    finally:  # also when the learner interrupts the kernel
        late = thread.is_alive()
        if late:
            _stop(thread)
    if late:
        raise OutOfTime
    if "error" in box:
        error = box["error"]
        if isinstance(error, Exception):
            raise error
        raise Ended from error
    return box["result"]


def _stop(thread):
    """Put an exception into a thread, again and again for about a second.

    A bare `except` in a loop swallows it, unless it comes just between; so it comes often, at ever other
    places. `SystemExit`, because a thread that it ends says nothing.
    """
    interval, hook = sys.getswitchinterval(), sys.unraisablehook
    sys.setswitchinterval(1e-5)
    sys.unraisablehook = lambda ignored: None  # it may come inside a destructor, which can raise nothing
    try:
        for _ in range(1000):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
            )
            thread.join(0.001)
            if not thread.is_alive():
                return
    finally:
        sys.setswitchinterval(interval)
        sys.unraisablehook = hook
    _left_behind.append(thread)


class _Muted:
    """A stream that drops what threads left behind print; everything else goes to the stream below."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        if any(thread.ident == threading.get_ident() for thread in _left_behind):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def _same(old, new):
    """Whether a copied argument still is what it was (NaN equals NaN)."""
    import numpy
    import torch

    if isinstance(old, torch.Tensor | numpy.ndarray):
        return not first_difference(old, new, rtol=0, atol=0)
    if old is new or type(old) is not type(new):
        return old is new
    if isinstance(old, torch.nn.Module):
        old, new = old.state_dict(), new.state_dict()
    if isinstance(old, dict):
        return list(old) == list(new) and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return type(old).__eq__ is object.__eq__ or bool(old == new)


@contextlib.contextmanager
def untouched_state() -> Iterator[None]:
    """A block with the same settings whatever the learner has set, which gives all of them back as they were.

    Inside: float32 as the default, no warnings turned into errors, no deterministic or anomaly mode, random
    numbers of its own; what would end or stop the kernel (`exit()`, `input()`, `breakpoint()`) is refused.
    """
    import numpy
    import torch

    with contextlib.ExitStack() as stack:
        give_back = stack.callback
        give_back(random.setstate, random.getstate())
        give_back(numpy.random.set_state, numpy.random.get_state())
        stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        give_back(torch.set_default_dtype, torch.get_default_dtype())
        give_back(torch.set_num_threads, torch.get_num_threads())
        give_back(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
        strict = torch.are_deterministic_algorithms_enabled()
        warn = torch.is_deterministic_algorithms_warn_only_enabled()
        give_back(torch.use_deterministic_algorithms, strict, warn_only=warn)
        anomaly, nan = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
        give_back(torch.autograd.set_detect_anomaly, anomaly, nan)
        give_back(vars(torch._tensor_str.PRINT_OPTS).update, vars(torch._tensor_str.PRINT_OPTS).copy())
        give_back(lambda kept: numpy.set_printoptions(**kept), numpy.get_printoptions())
        give_back(_refill, warnings.filters, list(warnings.filters))
        give_back(sys.setrecursionlimit, sys.getrecursionlimit())
        give_back(_refill, sys.path, list(sys.path))
        give_back(os.chdir, os.getcwd())
        give_back(_put_environment_back, dict(os.environ))
        root = logging.root
        give_back(_put_logging_back, root.level, list(root.handlers), root.manager.disable)
        give_back(_put_figures_back, *_figures())
        stack.enter_context(_nothing_ends_the_kernel())
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(False)
        torch.autograd.set_detect_anomaly(False)
        torch.set_printoptions(profile="default")
        warnings.simplefilter("ignore")
        yield
    if any(thread.is_alive() for thread in _left_behind) and not isinstance(sys.stdout, _Muted | _FewLines):
        sys.stdout, sys.stderr = _Muted(sys.stdout), _Muted(sys.stderr)


def _refill(kept, items):
    if kept != items:
        kept[:] = items
        if kept is warnings.filters:
            warnings._filters_mutated()


def _put_environment_back(kept):
    if dict(os.environ) != kept:
        os.environ.clear()
        os.environ.update(kept)


def _put_logging_back(level, handlers, disabled):
    logging.root.setLevel(level)
    logging.root.handlers[:] = handlers
    logging.disable(disabled)


def _figures():
    """The open figures and matplotlib's settings, as far as matplotlib is there."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    return (pyplot.get_fignums(), dict(pyplot.rcParams)) if pyplot else (None, None)


def _put_figures_back(numbers, settings):
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in set(pyplot.get_fignums()) - set(numbers or ()):
        pyplot.close(number)
    if settings is not None and dict(pyplot.rcParams) != settings:
        dict.update(pyplot.rcParams, settings)


@contextlib.contextmanager
def _nothing_ends_the_kernel():
    """Put refusals in the place of what asks a person something, or ends the process."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    places = [
        (
            builtins,
            "input",
            message("`input()` waits for a person, and a check has none: take it as an argument"),
        ),
        (sys, "breakpointhook", message("`breakpoint()` waits for a person: take it out before you check")),
        (os, "_exit", message("`os._exit()` would end the kernel")),
    ]
    if hasattr(shell, "ask_exit"):
        reason = message("`exit()` would end the kernel: leave a function with `return`")
        places.append((shell, "ask_exit", reason))
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    stdin = sys.stdin
    try:
        for owner, name, reason in places:
            setattr(owner, name, _refuse(reason))
        if shell is not None:  # figures that an answer shows
            kept.append((shell.display_pub, "publish", shell.display_pub.publish))
            shell.display_pub.publish = lambda *args, **kwargs: None
        sys.stdin = io.StringIO()  # the built-in exit() closes it
        yield
    finally:
        sys.stdin = stdin
        for owner, name, value in kept:
            setattr(owner, name, value)


def _refuse(reason):
    def refuse(*args, **kwargs):
        raise Refused(translate(reason))

    return refuse
