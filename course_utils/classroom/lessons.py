"""Read a stored lesson: where it is, its exercises, and its sections with the minutes that they take.

A notebook is nbformat's `NotebookNode` (version 4); a cell is named by its position in it.
"""

import dataclasses
import pathlib
import re
from typing import Any

from course_utils.errors import CourseError

BADGE = re.compile(r"^(?:\[!\[Open in Colab\]|To open this lesson on Colab,).*$", re.MULTILINE)
CARD = re.compile(r"### Your turn (\d+\.\d+) · (.+?) (★+)(☆*) · (\d+) min")
LOOKED_UP = "reference"  # the tag of cells that are looked up, not read: no minutes are counted for them
CHECK = re.compile(r'check\("(\d+\.\d+)", (\w+)\)')
DETAILS = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>\s*", re.DOTALL)
PYTHON_FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Card:
    """An exercise in its notebook: the card's cell, then the stub's, the check's and the hints'."""

    number: str  # "4.2"
    title: str
    stars: int
    minutes: int
    position: int  # of the card's cell
    answer: str  # the name that the check is given, such as "huber"
    solution: str  # the code on the card

    @property
    def stub(self) -> int:
        return self.position + 1

    @property
    def check(self) -> int:
        return self.position + 2

    @property
    def hints(self) -> int:
        return self.position + 3


@dataclasses.dataclass
class Section:
    """What stands under one heading `## …`."""

    title: str
    cells: list[int]  # their positions; one cell may belong to two sections
    prose: str  # the markdown, without exercises and quizzes
    deeper: bool  # marked ◆ Deeper, or On your own
    minutes: float = 0.0


def folder() -> pathlib.Path:
    """The folder with the lessons: the checkout's that this package is in, or `notebooks` where we are.

    Raises `CourseError` where neither is there: an installed package has no lessons in it.
    """
    beside = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
    for found in (beside, pathlib.Path.cwd() / "notebooks", pathlib.Path.cwd()):
        if any(found.glob("04_*.ipynb")):
            return found
    raise CourseError(
        f"no lessons here: neither {beside} nor {pathlib.Path.cwd()} has them. Get the course's folder "
        "(git clone, or its zip unpacked), and type this again inside it"
    )


def path(number: str) -> pathlib.Path:
    """The notebook of lesson `number`, "04" or "4". Raises `CourseError` naming those there are."""
    known = {found.name[:2]: found for found in sorted(folder().glob("[0-9][0-9]_*.ipynb"))}
    wanted = str(number).zfill(2)
    if wanted not in known:
        raise CourseError(f"there is no lesson {number!r}: type numbers out of {' '.join(known)}")
    return known[wanted]


def cards(notebook: Any) -> list[Card]:
    """The exercises, in order. Raises `CourseError` for a card without its stub, check and solution."""
    found = []
    for position, cell in enumerate(notebook.cells):
        card = CARD.match(cell.source) if cell.cell_type == "markdown" else None
        if not card:
            continue
        following = notebook.cells[position + 1 : position + 4]
        kinds = [other.cell_type for other in following]
        check = CHECK.fullmatch(following[1].source) if kinds == ["code", "code", "markdown"] else None
        solution = (
            PYTHON_FENCE.search(dict(DETAILS.findall(following[2].source))["Solution"]) if check else None
        )
        if not solution or check[1] != card[1]:
            raise CourseError(
                f"exercise {card[1]} is not card, stub, check and solution: see CONTRIBUTING.md"
            )
        stars, minutes = len(card[3]), int(card[5])
        found.append(Card(card[1], card[2], stars, minutes, position, check[2], solution[1].rstrip("\n")))
    return found


def minutes(notebook: Any) -> tuple[float, float]:
    """How long a lesson takes to study: (minutes of the core, minutes of what goes deeper).

    Prose at 160 words a minute, shown code at 8 s a line, a figure 20 s, an exercise as on its card, a
    question one minute. What goes deeper are the sections marked so and On your own. What is made to be
    looked up (the glossary, the errors by message) is not counted.
    """
    found = [0.0, 0.0]
    for section in sections(notebook):
        found[section.deeper] += section.minutes
    return round(found[0], 6), round(found[1], 6)


def sections(notebook: Any) -> list[Section]:
    """The sections in order, with what stands above the first as one without a title; see `minutes`."""
    found, exercise = [Section("", [], "", False)], 0
    for position, cell in enumerate(notebook.cells):
        texts = parts(cell.source) if cell.cell_type == "markdown" else [("", cell.source)]
        for heading, text in texts:
            if heading:
                deeper = heading.startswith("◆ Deeper") or heading == "On your own"
                found.append(Section(heading, [], "", deeper))
            here = found[-1]
            here.cells.append(position)
            if exercise or LOOKED_UP in cell.metadata.get("tags", []):
                continue
            card = CARD.match(text) if cell.cell_type == "markdown" else None
            if card:
                here.minutes += int(card[5])
                exercise = 4
            elif cell.cell_type == "code":
                here.minutes += lines(cell) * 8 / 60
                here.minutes += sum("image/png" in out.get("data", {}) for out in cell.outputs) * 20 / 60
            elif here.title == "Check yourself":
                here.minutes += len(re.findall(r"^\*\*\d+\. ", text, re.MULTILINE))
            else:
                here.minutes += words(text) / 160
                here.prose += text + "\n\n"
        exercise = max(exercise - 1, 0)  # the stub, the check and the details belong to the card
    return found


def parts(source: str) -> list[tuple[str, str]]:
    """A markdown cell cut at its headings `## …`: (heading or "", text with its heading)."""
    blank = FENCE.sub(lambda fence: " " * len(fence[0]), source)  # a comment in code is no heading
    places = [(match.start(), match[1]) for match in HEADING.finditer(blank)]
    if not places or places[0][0] > 0:
        places.insert(0, (0, ""))
    ends = [start for start, _ in places[1:]] + [len(source)]
    return [(title, source[start:end]) for (start, title), end in zip(places, ends, strict=True)]


def words(text: str) -> int:
    """The words of a text, without the line of the badge."""
    return len(re.findall(r"[\w'’]+", BADGE.sub("", text)))


def lines(cell: Any) -> int:
    """The lines of code of a cell that are shown."""
    tags = cell.metadata.get("tags", [])
    hidden = "folded" in tags or "setup" in tags
    return 0 if hidden else sum(bool(line.strip()) for line in cell.source.splitlines())
