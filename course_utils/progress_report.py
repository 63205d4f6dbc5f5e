"""What a learner has done so far: a table, in a notebook a picture, and what to do next."""

import collections
import textwrap
from typing import TYPE_CHECKING

from course_utils import attempts, plotting
from course_utils.claims import say
from course_utils.exercises import catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Catalogue = dict[int, tuple[str, dict[str, str]]]  # as `course_utils.exercises.catalogue` gives it
MOST = 5  # mistakes that are shown


def progress() -> None:
    """Print the exercises that you have done in every lesson, what to do next, and the mistakes made most.

    In a notebook it draws them as well. Raises `CourseError` if what is kept cannot be read.
    """
    place = attempts.folder()
    if place is None:
        say("Progress is off (COURSE_PROGRESS=off): nothing is kept.")
        return
    kept, lessons = attempts.read(), catalogue()
    say(table(kept, lessons))
    say(f"\nKept in {place / attempts.FILE}")
    if kept and _in_a_notebook():
        plotting.show(picture(kept, lessons), alt=summary(kept, lessons))


def _in_a_notebook():
    from IPython import get_ipython

    return get_ipython() is not None


def table(kept: dict[str, dict], lessons: Catalogue) -> str:
    """The text that `progress` prints. `kept` is what `attempts.read` gives."""
    lines = ["lesson                          done     attempts"]
    for lesson, (name, titles) in lessons.items():
        tried = [kept[number] for number in titles if number in kept]
        done = sum(entry["passed"] is not None for entry in tried)
        count = sum(entry["attempts"] for entry in tried) or ""
        lines.append(f"{lesson:02d} {name:26}  {done:3} of {len(titles):2}  {count:9}".rstrip())
    lines += ["", summary(kept, lessons)]
    if mistakes := _mistakes(kept, lessons):
        lines += ["", "Mistakes made most:"]
        for (number, text), count in mistakes.most_common(MOST):
            first, later = f"  {count} × {number}: ", " " * 4
            lines += textwrap.wrap(" ".join(text.split()), 100, initial_indent=first, subsequent_indent=later)
    return "\n".join(lines)


def summary(kept: dict[str, dict], lessons: Catalogue) -> str:
    """How many exercises are done, and which is next, in one line."""
    titles = {number: title for _, own in lessons.values() for number, title in own.items()}
    done = [number for number in titles if number in kept and kept[number]["passed"] is not None]
    text = f"Exercises done: {len(done)} of {len(titles)}"
    number = following(kept, lessons)
    return f"{text}. Next: {number} {titles[number]}" if number else f"{text}, the whole course."


def following(kept: dict[str, dict], lessons: Catalogue) -> str:
    """The number of the exercise to do next, "" if all are done.

    It is the first open one of the lesson last worked at, else of a later lesson, else of any.
    """
    numbers = [number for _, titles in lessons.values() for number in titles]
    tried = [number for number in numbers if number in kept]
    start = 0
    if tried:
        lesson = max(tried, key=lambda number: kept[number]["last"]).partition(".")[0]
        start = next(i for i, number in enumerate(numbers) if number.partition(".")[0] == lesson)
    ordered = numbers[start:] + numbers[:start]
    return next((n for n in ordered if n not in kept or kept[n]["passed"] is None), "")


def _mistakes(kept, lessons):
    """How often each (exercise, explanation) was met, for the exercises that there are."""
    counts = collections.Counter()
    for _, titles in lessons.values():
        for number in titles:
            for text, count in kept.get(number, {"mistakes": {}})["mistakes"].items():
                counts[number, text] += count
    return counts


def picture(kept: dict[str, dict], lessons: Catalogue) -> "Figure":
    """A bar for each lesson, cut into its exercises: done, tried and not done yet, to do."""
    import matplotlib
    import matplotlib.pyplot as plt

    names = [f"{lesson:02d} {name}" for lesson, (name, _) in lessons.items()]
    kinds = (
        ("done", plotting.BLUE, None),
        ("tried, not done yet", plotting.YELLOW, "///"),
        ("to do", "white", None),
    )
    counts = {kind: [0] * len(names) for kind, _, _ in kinds}
    for row, (_, titles) in enumerate(lessons.values()):
        for number in titles:
            entry = kept.get(number)
            kind = "to do" if entry is None else "tried, not done yet" if entry["passed"] is None else "done"
            counts[kind][row] += 1
    with matplotlib.rc_context():
        plotting.use_style()
        fig, ax = plt.subplots(figsize=(7, 0.5 + 0.26 * len(names)))
        left = [0] * len(names)
        for kind, color, hatch in kinds:
            look = {"color": color, "edgecolor": "#444444", "linewidth": 0.8, "hatch": hatch}
            ax.barh(names, counts[kind], left=left, label=kind, height=0.65, **look)
            left = [before + more for before, more in zip(left, counts[kind], strict=True)]
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.set(xlabel="exercises of the lesson")
        fig.suptitle(summary(kept, lessons), x=0, ha="left", fontsize=11)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig
