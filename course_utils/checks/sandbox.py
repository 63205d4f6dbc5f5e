"""Run an answer on one input: in a time limit, on copies, with its exceptions caught."""

import contextlib
import copy
import ctypes
import dataclasses
import io
import random
import sys
import threading
from typing import Any

from course_utils.checks.compare import first_difference


@dataclasses.dataclass
class Outcome:
    """What came of running an answer on one case."""

    value: Any = None
    error: BaseException | None = None
    changed: dict[int, Any] = dataclasses.field(default_factory=dict)  # argument position -> what it became
    gradients: dict[str, Any] | None = None  # None: the result carries no gradient
    printed: str = ""


class OutOfTime(Exception):
    """The answer was still running when its time was up."""


class Ended(Exception):
    """The answer raised what would end the kernel (its cause), such as SystemExit."""


class _FewLines(io.StringIO):
    """Keeps the first characters that are printed, so that an endless loop cannot fill the memory."""

    def write(self, text):
        if self.tell() < 1000:
            super().write(text[:1000])
        return len(text)


def run(exercise, answer, case):
    """Run `answer` on a copy of `case`'s arguments; an `Outcome`.

    Nothing of the learner's changes: the answer is copied as well, and `untouched_state` keeps the random
    numbers and torch's settings.
    """
    import torch

    outcome = Outcome()
    arguments = list(copy.deepcopy(case.args))
    before = copy.deepcopy(case.args)
    inputs = {}
    if exercise.gradients:
        for position, argument in enumerate(arguments):
            if torch.is_tensor(argument) and argument.is_floating_point():
                inputs[f"`{exercise.argument_names()[position]}`"] = argument.requires_grad_()
                arguments[position] = argument.clone()  # a leaf would refuse in-place operations
    printed = _FewLines()
    with untouched_state(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        seed_all(0)
        try:
            outcome.value, outcome.gradients = within(
                exercise.seconds, lambda: _use(exercise, _copied(answer), arguments, inputs)
            )
        except Exception as error:
            outcome.error = error
    outcome.printed = printed.getvalue()
    for position, (old, new) in enumerate(zip(before, arguments, strict=True)):
        if not _same(old, new):
            outcome.changed[position] = new
    return outcome


def _use(exercise, answer, arguments, inputs):
    """(result, gradients) of an answer, according to the exercise's kind."""
    import torch

    if exercise.kind == "value":
        return answer, None
    if exercise.kind == "module":
        constructor, *arguments = arguments
        seed_all(0)
        reference = exercise.reference(*constructor)
        module = answer(*constructor)
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"a class derived from nn.Module is asked for, and this made a {type(module).__name__}"
            )
        shapes, wanted = (
            {name: _kind(built, name, tensor) for name, tensor in built.state_dict().items()}
            for built in (module, reference)
        )
        if shapes != wanted:
            return {"parameters": shapes, "output": None}, None
        module.load_state_dict(reference.state_dict())
        if exercise.gradients:
            learnt = [row for row in module.named_parameters() if row[1].requires_grad]
            inputs = inputs | {f"the parameter `{name}`": parameter for name, parameter in learnt}
        seed_all(0)  # building it may have drawn any number of random numbers
        result = {"parameters": shapes, "output": module(*arguments)}
    else:
        result = answer(*arguments)
    return result, _gradients(result, inputs) if inputs else None


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


def _tensors(result):
    import torch

    if torch.is_tensor(result):
        yield result
    elif isinstance(result, dict):
        for item in result.values():
            yield from _tensors(item)
    elif isinstance(result, list | tuple):
        for item in result:
            yield from _tensors(item)


def within(seconds, work):
    """The result of `work()`, run in a thread; raises what it raises, or `OutOfTime`.

    A thread, because signals cannot interrupt a loop on Windows or off the main thread. A thread whose time
    is up is stopped, or left behind if it waits inside a call in C or swallows every exception.
    """
    box = {}

    def target():
        try:
            box["result"] = work()
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
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
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
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


def seed_all(seed):
    """Seed every source of random numbers that an answer may use."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def untouched_state():
    """Give back the random numbers and torch's settings as they were, whatever an answer did to them."""
    import numpy
    import torch

    python, array = random.getstate(), numpy.random.get_state()
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        numpy.random.set_state(array)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
