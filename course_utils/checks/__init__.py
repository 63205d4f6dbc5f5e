"""Check a learner's answer at once, offline, and say why it is wrong.

`check` is what lessons call. `exercise`, `case` and `mistake` are what `lesson_NN_topic.py` beside this
file declares the exercises of lesson NN with; that file is imported when that lesson checks something.
"""

from course_utils.checks.declare import case, exercise, mistake
from course_utils.checks.verdict import check, verdict

__all__ = ["case", "check", "exercise", "mistake", "verdict"]
