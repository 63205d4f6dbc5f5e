"""A run sheet for a day, a week or a semester, made from the minutes of the lessons' sections.

Sections are whole: one is taught in one session or goes home. In class: the core, its exercises, the errors
on purpose, the recap and the quiz. Home: what is marked ◆ Deeper, On your own, and Go further. Minutes are
those of the lessons (see `lessons.minutes`), each section's rounded to whole ones, at least 1: they add up.
"""

import dataclasses

from course_utils.classroom import lessons

LONGEST = 90  # minutes of one session
BREAK, LUNCH, LUNCH_FROM = 15, 60, 11 * 60 + 30  # minutes; lunch is the first break from 11:30 on


@dataclasses.dataclass(frozen=True)
class Plan:
    title: str
    why: str  # why these lessons
    days: list[list[str]]  # the lessons of each day, or of each week of a semester
    start: int  # of a day, in minutes after midnight
    unit: str = "Day"
    lab: int = 0  # minutes of open work at a day's end
    breaks: bool = True  # else each session is a meeting of its own, on another day


PLANS = {
    "day": Plan(
        "A one-day workshop",
        "for people who have trained a network before (what they then use of 01, 04, 05 and 06 they know): "
        "00 shows where it leads, 07 turns text into what a BERT reads, 09 fine-tunes one and measures it.",
        [["00", "07", "09"]],
        start=9 * 60,
    ),
    "week": Plan(
        "A one-week course",
        "the straight way from tensors to a BERT that is fine-tuned, compared and served; what they use of "
        "02 (the graph) and 05 (Adam, schedules, clipping) you say in ten minutes, where it comes.",
        [["00", "01"], ["03", "04"], ["06", "07"], ["08", "09"], ["11", "13"]],
        start=9 * 60,
        lab=60,
    ),
    "semester": Plan(
        "A semester of 14 weeks",
        "one lesson a week, in their order; 14 to 17 are for reports by students, 18 is the final project, "
        "and 19 is there to be looked up.",
        [[f"{number:02}"] for number in range(14)],
        start=10 * 60,
        unit="Week",
        breaks=False,
    ),
}


@dataclasses.dataclass(frozen=True)
class Item:
    """A section as it stands on a run sheet."""

    lesson: str  # "04"
    title: str
    minutes: int
    exercises: tuple[str, ...] = ()  # "4.1"
    home: bool = False


@dataclasses.dataclass(frozen=True)
class Session:
    start: int  # minutes after midnight
    items: list[Item]

    @property
    def minutes(self) -> int:
        return sum(item.minutes for item in self.items)

    @property
    def end(self) -> int:
        return self.start + -(-self.minutes // 5) * 5  # clocks show steps of five


def items(number: str) -> list[Item]:
    """The sections of lesson `number`, in order. Raises `CourseError` if there is no such lesson."""
    import nbformat

    notebook = nbformat.read(lessons.path(number), as_version=4)
    cards = lessons.cards(notebook)
    return [
        Item(
            number,
            section.title or "Begin",
            max(1, round(section.minutes)),
            tuple(card.number for card in cards if card.position in section.cells),
            section.deeper or section.title == "Go further",
        )
        for section in lessons.sections(notebook)
    ]


def sessions(taught: list[Item], plan: Plan) -> list[Session]:
    """The items of one day as few sessions as `LONGEST` allows, about equally long, with their times."""
    count = len(_packed(taught, LONGEST))
    shortest = max(item.minutes for item in taught)
    limit = next(n for n in range(shortest, LONGEST + 1) if len(_packed(taught, n)) == count)
    rows = _packed(taught, limit)
    if plan.lab:
        rows.append([Item("–", "Open work: what is not finished, then what stands under Home", plan.lab)])
    found, clock, eaten = [], plan.start, False
    for row in rows:
        session = Session(clock, row)
        found.append(session)
        if plan.breaks:
            lunch = not eaten and session.end >= LUNCH_FROM
            eaten = eaten or lunch
            clock = session.end + (LUNCH if lunch else BREAK)
    return found


def _packed(taught, limit):
    rows = [[]]
    for item in taught:
        if sum(other.minutes for other in rows[-1]) + item.minutes > limit:
            rows.append([])
        rows[-1].append(item)
    return rows


def run_sheet(name: str) -> str:
    """The run sheet "day", "week" or "semester" in Markdown. Raises `CourseError` without the lessons."""
    plan = PLANS[name]
    text, in_class, at_home = [], 0, 0
    for place, numbers in enumerate(plan.days, 1):
        everything = [item for number in numbers for item in items(number)]
        home = [item for item in everything if item.home]
        text.append(f"## {plan.unit} {place} · {' and '.join(_title(number) for number in numbers)}\n")
        held = sessions([item for item in everything if not item.home], plan)
        for number, session in enumerate(held, 1):
            if plan.breaks and number > 1:
                end = held[number - 2].end
                what = "lunch" if session.start - end == LUNCH else "break"
                text.append(f"*{_clock(end)}–{_clock(session.start)} {what}*\n")
            meeting = "" if plan.breaks else f"Meeting {number}, "
            times = f"{_clock(session.start)}–{_clock(session.end)}"
            text.append(f"### {meeting}{times} · {session.minutes} min\n\n{_table(session.items)}\n")
        text.append(f"**Home** ({sum(item.minutes for item in home)} min; take what you like)\n")
        text.append(_table(home) + "\n")
        in_class += sum(session.minutes for session in held)
        at_home += sum(item.minutes for item in home)
    head = (
        f"# {plan.title}\n\n**Why these lessons**: {plan.why}\n\n**Minutes**: {in_class} in class, "
        f"{at_home} at home. They are those of a learner who reads alone, as on the lessons' cards; a "
        f"session has {LONGEST} at most. Times are a proposal: move them as one.\n"
    )
    return "\n".join([head, *text])


def _title(number):
    return lessons.path(number).stem.replace("_", " ")


def _table(rows):
    lines = ["| lesson | section | min | exercises |", "|---|---|---|---|"]
    for item in rows:
        lines.append(f"| {item.lesson} | {item.title} | {item.minutes} | {' '.join(item.exercises)} |")
    return "\n".join(lines)


def _clock(minutes):
    return f"{minutes // 60:02}:{minutes % 60:02}"
