"""Check a learner's answer at once, offline, and say why it is wrong.

`check` is what lessons call. `exercise` says what an exercise is, `sandbox` runs an answer, `rules` says what
an answer may not use, `compare` what differs from what is expected, `feedback` makes the verdict of it.
"""

from course_utils.checks.feedback import check

__all__ = ["check"]
