"""What came of running an answer, as data in one file: numbers, texts, containers, tensors; never a pickle.

The file is safetensors; the tree of everything that is no tensor is JSON in its metadata. Whoever reads it
may have it from a hostile process: it is bounded in size, and reading it runs none of its content.
"""

import dataclasses
import json
import os
import pathlib
import stat
from typing import Any

from course_utils.checks.compare import short
from course_utils.checks.feedback import Attempt, Told, told
from course_utils.checks.sandbox import Outcome, OutOfTime
from course_utils.errors import CourseError

LARGEST = 32_000_000  # bytes of a file
CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class Unknown:
    """Stands for a value that does not travel: a class of its name is made of it, with its repr."""

    def __init__(self, text: str):
        self._text = text

    def __repr__(self) -> str:
        return self._text


def write(path: pathlib.Path, attempt: Attempt) -> None:
    """Write `attempt` to `path`, beside and renamed."""
    tree = dataclasses.asdict(dataclasses.replace(attempt, outcomes=[]))
    tree["outcomes"] = [vars(outcome) | {"error": _error(outcome.error)} for outcome in attempt.outcomes]
    write_tree(path, tree)


def write_tree(path: pathlib.Path, tree: Any) -> None:
    """Write any value that travels to `path`, beside and renamed."""
    import torch
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_packed(tree, tensors))
    beside = path.with_name(path.name + ".part")
    save_file(tensors, beside, {"tree": text})
    os.replace(beside, path)


def read(path: pathlib.Path) -> Attempt:
    """The attempt in `path`.

    Raises `CourseError` if there is none that can be used.
    """
    try:
        tree = read_tree(path)
        outcomes = [Outcome(**_checked(outcome)) for outcome in tree.pop("outcomes")]
        attempt = Attempt(**tree, outcomes=outcomes)
    except CourseError:
        raise
    except Exception as error:  # whatever a forged file holds
        raise CourseError(f"what was handed in cannot be read ({type(error).__name__})") from None
    texts = [attempt.misfit, attempt.broken, *[text for o in outcomes for text in (o.printed, o.broken)]]
    if not all(type(text) is str and len(text) <= 5000 for text in texts) or type(attempt.stub) is not bool:
        raise CourseError("what was handed in is not of the form that it has to have")
    return attempt


def read_tree(path: pathlib.Path) -> Any:
    """The value in `path`, which has to be a plain file of a bounded size.

    Raises `CourseError` if it is none, and whatever a file that is not of this form leads to.
    """
    from safetensors import safe_open

    try:
        kind = os.lstat(path)
    except FileNotFoundError:
        raise CourseError("nothing was handed in") from None
    if not stat.S_ISREG(kind.st_mode) or kind.st_size > LARGEST:
        raise CourseError("what was handed in is no plain file, or too large")
    with safe_open(path, framework="pt") as file:
        return _unpacked(json.loads(file.metadata()["tree"]), file)


def _error(error):
    if error is None:
        return None
    return ["out of time", ""] if isinstance(error, OutOfTime) else ["raised", told(error)[:1000]]


def _checked(outcome):
    """An outcome's fields with an exception in the place of its text."""
    if outcome["error"] is not None:
        kind, text = outcome["error"]
        outcome["error"] = OutOfTime() if kind == "out of time" else Told(str(text))
    if not isinstance(outcome["changed"], dict) or not isinstance(outcome["switched"], dict):
        raise TypeError
    return outcome


def _packed(value, tensors):
    """`value` as JSON, its tensors put into `tensors`."""
    import numpy
    import torch

    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor) and value.layout == torch.strided:
        return {"tensor": _put(value, tensors), "requires_grad": value.requires_grad}
    if isinstance(value, numpy.ndarray) and value.dtype.kind in "fiubc":
        return {"array": _put(torch.from_numpy(value.copy()), tensors)}
    if isinstance(value, dict):
        return {"dict": [[_packed(key, tensors), _packed(item, tensors)] for key, item in value.items()]}
    for name, kind in CONTAINERS.items():
        if type(value) is kind or (kind is tuple and isinstance(value, tuple)):
            return {name: [_packed(item, tensors) for item in value]}
    if type(value) is bytes:
        return {"bytes": value.hex()}
    if type(value) is complex:
        return {"complex": [value.real, value.imag]}
    if isinstance(value, torch.dtype | torch.device):
        return {type(value).__name__: str(value).removeprefix("torch.")}
    return {"unknown": [type(value).__name__, short(value, 200)]}


def _put(tensor, tensors):
    name = str(len(tensors))
    tensors[name] = tensor.detach().clone().contiguous()
    return name


def _unpacked(tree, file):
    import torch

    if not isinstance(tree, dict):
        return tree
    [(kind, item), *more] = tree.items()
    if kind == "tensor":
        tensor = file.get_tensor(item)
        return tensor.requires_grad_() if more[0][1] else tensor
    if kind == "array":
        return file.get_tensor(item).numpy()
    if kind == "dict":
        return {_unpacked(key, file): _unpacked(value, file) for key, value in item}
    if kind in CONTAINERS:
        return CONTAINERS[kind](_unpacked(value, file) for value in item)
    if kind == "bytes":
        return bytes.fromhex(item)
    if kind == "complex":
        return complex(*item)
    if kind == "dtype":
        return {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}[
            f"torch.{item}"
        ]
    if kind == "device":
        return torch.device(item)
    name, text = item
    return type(str(name), (Unknown,), {})(str(text))
