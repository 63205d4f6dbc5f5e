"""Run an answer on one input: in a time limit, on copies, with its exceptions caught."""

import contextlib
import copy
import ctypes
import dataclasses
import io
import random
import threading
from typing import Any


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


class _Stop(BaseException):
    """Raised inside a learner's thread whose time is up."""


class _FewLines(io.StringIO):
    """Keeps the first characters that are printed, so that an endless loop cannot fill the memory."""

    def write(self, text):
        if self.tell() < 1000:
            super().write(text[:1000])
        return len(text)


def run(exercise, answer, case):
    """Run `answer` on a copy of `case`'s arguments; an `Outcome`.

    Nothing of the learner's changes: a value or a module instance is copied first, and `untouched_state`
    (which the caller holds) keeps the random numbers.
    """
    import torch

    outcome = Outcome()
    arguments = list(copy.deepcopy(case.args))
    before = copy.deepcopy(case.args)
    inputs = {}
    if exercise.gradients:
        for position, argument in enumerate(arguments):
            if torch.is_tensor(argument) and argument.is_floating_point():
                inputs[f"argument {position + 1}"] = argument.requires_grad_()
                arguments[position] = argument.clone()  # a leaf would refuse in-place operations
    seed_all(0)
    printed = _FewLines()
    try:
        with contextlib.redirect_stdout(printed):
            outcome.value, outcome.gradients = _within(
                exercise.seconds, lambda: _use(exercise, answer, arguments, inputs)
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
        return copy.deepcopy(answer), None
    if exercise.kind == "module":
        constructor, *arguments = arguments
        seed_all(0)
        reference = exercise.reference(*constructor)
        module = answer(*constructor)
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"a class derived from nn.Module is asked for, and this made a {type(module).__name__}"
            )
        shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        if shapes != {name: tuple(tensor.shape) for name, tensor in reference.state_dict().items()}:
            return {"parameters": shapes, "output": None}, None
        module.load_state_dict(reference.state_dict())
        inputs = inputs | dict(module.named_parameters()) if exercise.gradients else {}
        result = {"parameters": shapes, "output": module(*arguments)}
    else:
        result = answer(*arguments)
    return result, _gradients(result, inputs) if inputs else None


def _gradients(result, inputs):
    """Gradients of a fixed weighted sum of all that is differentiable in `result`; None if nothing is."""
    import torch

    outputs = [tensor for tensor in _tensors(result) if tensor.requires_grad]
    if not outputs:
        return None
    # Unequal weights: a plain sum would hide a permuted gradient.
    total = sum(
        (out * torch.linspace(0.5, 1.5, out.numel()).reshape(out.shape).to(out)).sum() for out in outputs
    )
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


def _within(seconds, work):
    """The result of `work()`, run in a thread; raises what it raises, or `OutOfTime`.

    A thread, because signals cannot interrupt a loop on Windows or off the main thread. An exception is
    put into a thread whose time is up; one that swallows it again and again is left behind.
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
    for _ in range(20):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Stop))
        thread.join(0.05)
        if not thread.is_alive():
            return


def _same(old, new):
    """Whether a copied argument still is what it was (NaN equals NaN)."""
    import torch

    if torch.is_tensor(old):
        same_kind = torch.is_tensor(new) and old.shape == new.shape and old.dtype == new.dtype
        return same_kind and torch.allclose(old, new.detach(), rtol=0, atol=0, equal_nan=True)
    if isinstance(old, torch.nn.Module):
        return _same(list(old.state_dict().values()), list(new.state_dict().values()))
    if isinstance(old, dict):
        return (
            isinstance(new, dict) and list(old) == list(new) and _same(list(old.values()), list(new.values()))
        )
    if isinstance(old, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return not hasattr(old, "__eq__") or type(old).__eq__ is object.__eq__ or bool(old == new)


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
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        numpy.random.set_state(array)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
