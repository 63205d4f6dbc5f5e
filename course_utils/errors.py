"""The one error that the course itself raises."""


class CourseError(RuntimeError):
    """Something outside the lesson is wrong; the message says what to type next."""
