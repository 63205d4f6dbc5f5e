"""Set-up, data, figures and exercise checks behind the course's notebooks.

Nothing heavy is imported here: torch, transformers, datasets and matplotlib are imported inside the
functions that need them, so `import course_utils` takes a fraction of a second.
"""

from course_utils import checkpoints, data, environment, plotting
from course_utils.checks import check
from course_utils.claims import claim
from course_utils.environment import set_seed, setup
from course_utils.errors import CourseError
from course_utils.plotting import show
from course_utils.progress_report import progress

__all__ = [
    "CourseError",
    "check",
    "checkpoints",
    "claim",
    "data",
    "environment",
    "plotting",
    "progress",
    "set_seed",
    "setup",
    "show",
]
