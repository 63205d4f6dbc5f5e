"""The first difference between what was expected and what came, in the order in which it helps to hear it."""

import os
import re
import sysconfig
from typing import Any

from course_utils.translation import message, translate

LIBRARIES = (
    sysconfig.get_path("stdlib"),
    sysconfig.get_path("purelib"),
    os.path.dirname(os.path.dirname(__file__)),
)

FIELD = re.compile(r"(\d+|`[^`]*`)$")  # the number or the name at the end of a part's name
SPACES = re.compile(r"""(?P<quoted>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|\s+""")


def first_difference(expected: Any, got: Any, rtol: float, atol: float) -> str:
    """A sentence that says what differs first, or "" if nothing does.

    The order: type, shape, dtype, device, gradient, NaN, value. Lists, tuples and dicts are compared item by
    item, modules by their state. NumPy's scalars count as Python's numbers, ints and floats of the same value
    as equal, and what derives from tuple or dict (`torch.Size`) as a tuple or dict.
    """
    import numpy
    import torch

    if got is None and expected is not None:
        return translate("the result is None: is the `return` missing?")
    expected, got = _plain(expected), _plain(got)
    if _kind(expected) != _kind(got):
        hint = ""
        if torch.is_tensor(got) and got.numel() == 1 and isinstance(expected, int | float | bool):
            hint = translate(": call .item() on it")
        if type(got).__name__ == "generator":
            hint = translate(": is there a `yield` where a `return` belongs?")
        return _unlike("type", _type_name(got), _type_name(expected)) + hint
    if torch.is_tensor(expected):
        return _tensor_difference(expected, got, rtol, atol)
    if isinstance(expected, numpy.ndarray):
        return _array_difference(expected, got, rtol, atol)
    if isinstance(expected, torch.nn.Module):
        expected, got = expected.state_dict(), got.state_dict()
    if isinstance(expected, dict):
        return _items_difference("keys", expected, got, rtol, atol)
    if isinstance(expected, list | tuple):
        if len(expected) != len(got):
            return _unlike("length", len(got), len(expected))
        return _items_difference("items", dict(enumerate(expected)), dict(enumerate(got)), rtol, atol)
    if isinstance(expected, float):
        return _number_difference(expected, got, rtol, atol)
    return "" if expected == got else _unlike("value", short(got), short(expected))


UNLIKE = {
    "type": message("the type is {got}, expected {expected}"),
    "length": message("the length is {got}, expected {expected}"),
    "keys": message("the keys are {got}, expected {expected}"),
    "items": message("the items are {got}, expected {expected}"),
    "value": message("the value is {got}, expected {expected}"),
    "shape": message("the shape is {got}, expected {expected}"),
    "dtype": message("the dtype is {got}, expected {expected}"),
    "device": message("the device is {got}, expected {expected}"),
    "layout": message("the layout is {got}, expected {expected}"),
}


def _unlike(what, got, expected):
    return translate(UNLIKE[what], got=got, expected=expected)


def labelled(name: str, text: str) -> str:
    """`text` with what it is about before it, and a colon between."""
    return translate("{name}: {text}", name=name, text=text)


def item(key: Any) -> str:
    """How a difference says in which item it lies."""
    return translate("in item [{key}] ", key=repr(key))


def part(name: str) -> str:
    """What a part of a result is called, such as "its state after call 2", in the learner's language."""
    if not (last := FIELD.search(name)):
        return translate(name)
    return translate(name[: last.start()] + "{}").replace("{}", last[0])


def _plain(value):
    """NumPy's scalars and arrays without dimensions as Python's numbers, anything else as it is."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value


def _kind(value):
    import torch

    if isinstance(value, int | float) and not isinstance(value, bool):
        return float
    for kind in (torch.Tensor, tuple, dict):
        if isinstance(value, kind):
            return kind
    return type(value)


def _type_name(value):
    return "torch.Tensor" if _kind(value).__name__ == "Tensor" else type(value).__name__


def _items_difference(what, expected, got, rtol, atol):
    if set(expected) != set(got):
        return _unlike(what, short(list(got)), short(list(expected)))
    for key in expected:
        difference = first_difference(expected[key], got[key], rtol, atol)
        if difference:
            named = isinstance(key, str) and " " in key  # a phrase that says what the item is
            return labelled(part(key), difference) if named else item(key) + difference
    return ""


def _number_difference(expected, got, rtol, atol):
    if (got != got) != (expected != expected):
        return _unlike("value", got, f"{expected:.6g}")
    if expected == got or expected != expected:
        return ""
    if abs(expected) != float("inf") and abs(expected - got) <= atol + rtol * abs(expected):
        return ""
    return _unlike("value", f"{got:.6g}", f"{expected:.6g}")


def _tensor_difference(expected, got, rtol, atol):
    for name in ("shape", "dtype", "device", "layout"):
        wanted, found = getattr(expected, name), getattr(got, name)
        if wanted != found:
            plain = (tuple(found), tuple(wanted)) if name == "shape" else (found, wanted)
            return _unlike(name, *plain)
    if expected.requires_grad and not got.requires_grad:
        return translate(
            "the result is cut off from the graph, so no gradient can flow back: "
            "look for .item(), .detach(), .numpy(), torch.tensor(...) or torch.no_grad()"
        )
    return _values_difference(expected.detach(), got.detach(), rtol, atol)


def _array_difference(expected, got, rtol, atol):
    import numpy
    import torch

    for name in ("shape", "dtype"):
        wanted, found = getattr(expected, name), getattr(got, name)
        if wanted != found:
            return _unlike(name, found, wanted)
    if expected.dtype.kind in "fiub":
        return _values_difference(torch.tensor(expected), torch.tensor(got), rtol, atol)
    return "" if numpy.array_equal(expected, got) else _unlike("value", short(got), short(expected))


def _values_difference(expected, got, rtol, atol):
    """The difference between the numbers in two tensors of the same shape, dtype and device."""
    import torch

    floating = expected.is_floating_point()
    if floating and not torch.equal(expected.isnan(), got.isnan()):
        counts = {"number": int(got.isnan().sum()), "all": got.numel()}
        if got.isnan().any():
            return translate("the result has NaN ({number} of {all} elements are NaN)", **counts)
        return translate(
            "the result lacks the NaN that is expected ({number} of {all} elements are NaN)", **counts
        )
    if floating:
        wrong = ~torch.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)
    else:
        wrong = got != expected
    if not wrong.any():
        return ""
    if not got.shape:
        return _unlike("value", _number(got), _number(expected))
    first = tuple(wrong.nonzero()[0].tolist())
    where = ", ".join(map(str, first))
    return translate(
        "{number} of {all} values differ; the first, at [{place}], is {got}, expected {expected}",
        number=int(wrong.sum()),
        all=got.numel(),
        place=where,
        got=_number(got[first]),
        expected=_number(expected[first]),
    )


def _number(element):
    value = element.item()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def short(value: Any, limit: int = 160) -> str:
    """`repr(value)` on one line, cut to `limit` characters."""
    try:
        return cut(repr(value), limit)
    except Exception:
        return translate("<{kind} whose repr fails>", kind=type(value).__name__)


def cut(text: str, limit: int) -> str:
    """`text` on one line, cut to `limit` characters; spaces inside a quoted string stay as they are."""
    text = SPACES.sub(lambda found: found["quoted"] or " ", text).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def is_own(filename: str) -> bool:
    """Whether a file is the learner's: not Python's, not a package's, not the course's."""
    return not filename.startswith(("<frozen", *LIBRARIES)) and "site-packages" not in filename
