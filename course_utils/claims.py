"""A statement of fact that the code beside it proves."""

import sys
from typing import Any

from course_utils.translation import translate


def say(text: str) -> None:
    """Print `text`; on a terminal that cannot show ✓, ○ or ✗, words stand in their place."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf8"
    for sign, word in (("✓", "[ok]"), ("○", "[open]"), ("✗", "[wrong]")):
        try:
            sign.encode(encoding)
        except UnicodeEncodeError:
            text = text.replace(sign, word)
    print(text.encode(encoding, "replace").decode(encoding))


def claim(text: str, condition: Any) -> None:
    """Print `✓ text` if `condition` holds; raise `AssertionError` with the text if it does not.

    The text is looked up in the language of COURSE_LANG.

    `condition` is a bool, a NumPy bool or a tensor with one boolean element.

    Raises `TypeError` for anything else: a non-empty list or a tensor of many elements would be a claim
    that cannot fail, or one that says nothing.
    """
    if type(condition).__name__ not in ("bool", "bool_", "Tensor"):
        raise TypeError(
            f"claim(text, condition) takes a bool, and got {type(condition).__name__}. "
            "Compare something: claim('the loss fell', last < first)"
        )
    if type(condition).__name__ == "Tensor":
        if condition.numel() != 1 or str(condition.dtype) != "torch.bool":
            raise TypeError(
                f"claim(text, condition) takes one bool, and got a tensor of shape {tuple(condition.shape)} "
                f"and dtype {condition.dtype}. End the comparison with .all() or .any()"
            )
        condition = condition.item()
    text = translate(text)
    if not condition:
        raise AssertionError(text)
    say(f"✓ {text}")
