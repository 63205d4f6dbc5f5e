"""The teacher's edition of a lesson: solved and run, with mistakes, minutes, questions to the room."""

import ast
import collections
import copy
import functools
import inspect
import math
import os
import re
import tempfile
import textwrap
from typing import Any

from course_utils.classroom import lessons
from course_utils.errors import CourseError

NOT_TAUGHT = ("", "Recap", "Check yourself", "Go further")  # sections that get no questions
QUIZ = re.compile(r"^\*\*\d+\. (.+?)\*\*\s*$", re.MULTILINE)


def edition(lesson: Any) -> Any:
    """The teacher's edition of the stored notebook `lesson`, which stays as it is.

    Each exercise's cell holds the card's solution, and all cells are run from a fresh kernel, in an empty
    folder. Below an exercise stand the typical mistakes out of `course_utils.exercises`, each with its code
    where it can be shown; below a section's heading its minutes, and two or three questions made of what the
    lesson has: its guesses, the questions of its quiz and its prose, its claims, its errors.

    Raises `CourseError` naming the cell that raises or the exercise whose check is not ✓.
    """
    notebook, cards = copy.deepcopy(lesson), lessons.cards(lesson)
    for card in cards:
        notebook.cells[card.stub].source = card.solution
        hints = lessons.DETAILS.finditer(notebook.cells[card.hints].source)
        notebook.cells[card.hints].source = "".join(
            h[0] for h in hints if h[1].strip() != "Solution"
        ).rstrip()
    _run(notebook)
    for card in cards:
        verdict = "".join(output.get("text", "") for output in notebook.cells[card.check].outputs)
        if not verdict.startswith(f"✓ {card.number} "):
            raise CourseError(f"the card's solution of {card.number} is refused here: {verdict.strip()}")
    _insert(notebook, _mistakes(cards) | _notes(lesson))
    return notebook


def _run(notebook):
    """Run all cells from a fresh kernel in an empty folder; nothing is noted as a learner's progress."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    from course_utils.classroom.kernels import Client

    with tempfile.TemporaryDirectory() as folder:
        client = Client(notebook, timeout=1800, resources={"metadata": {"path": folder}})
        try:
            client.execute(env=os.environ | {"COURSE_PROGRESS": "off"})
        except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
            raise CourseError(
                f"the lesson does not run here; type  python -m course_utils doctor  ({str(error)[-1500:]})"
            ) from error
        except AssertionError:  # so nbclient answers Ctrl-C: it ends its kernel, and misses it at the end
            if client.km is not None:
                raise
            raise KeyboardInterrupt from None
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # nbclient's timings


def _insert(notebook, below):
    """Put the texts `below` {position: [text, ...]} into `notebook` as cells below the cells they name."""
    from nbformat.v4 import new_markdown_cell

    cells = []
    for position, cell in enumerate(notebook.cells):
        cells += [cell, *map(new_markdown_cell, below.get(position, []))]
    notebook.cells = cells


# Mistakes -----------------------------------------------------------------------------------------------


def _mistakes(cards):
    return {card.hints: [mistakes(card.number)] for card in cards}


def mistakes(number: str) -> str:
    """The typical mistakes of the exercise `number`, "4.2", as markdown: what `check` says, and code."""
    from course_utils.exercises import find

    parts = [f"**For the teacher · typical mistakes of {number}**, as `check` explains them to their authors"]
    for mistake in find(number).mistakes:
        shown = next(filter(None, map(code_of, mistake.answers)), "")
        fence = f"\n\n```python\n{shown}\n```" if shown else ""
        parts.append(textwrap.indent(f"{mistake.explanation}{fence}", "  ").replace("  ", "- ", 1))
    return "\n\n".join(parts)


def code_of(answer: Any) -> str:
    """The source of a function, class or lambda, or of a short value; "" for what is made by other code."""
    if isinstance(answer, (int, float, str, bool)):
        return repr(answer) if len(repr(answer)) < 100 else ""
    if isinstance(answer, functools.partial) or getattr(answer, "__closure__", None):
        return ""
    if not (inspect.isfunction(answer) or inspect.isclass(answer)):
        return ""
    try:
        if answer.__name__ != "<lambda>":
            return textwrap.dedent(inspect.getsource(answer)).strip()
        tree = _tree(inspect.getsourcefile(answer))
    except (OSError, TypeError, IndentationError):
        return ""
    line = answer.__code__.co_firstlineno
    here = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda) and node.lineno == line]
    return ast.unparse(here[0]) if len(here) == 1 else ""


@functools.cache
def _tree(path):
    with open(path, encoding="utf8") as file:
        return ast.parse(file.read())


# Minutes and questions ----------------------------------------------------------------------------------


def _notes(lesson):
    """{position of a heading's cell: [what the teacher needs to know about the section]}."""
    found, before = collections.defaultdict(list), 0.0
    for section, asked in zip(lessons.sections(lesson), questions(lesson), strict=True):
        if section.title:
            head = f"**For the teacher · {section.title}**: {max(1, math.ceil(section.minutes))} min"
            text = f"{head}, from minute {before:.0f} of the lesson on"
            if asked:
                text += "\n\nAsk the room:\n\n" + "\n".join(f"{n}. {q}" for n, q in enumerate(asked, 1))
            found[section.cells[0]].append(text)
        before += section.minutes
    return found


def questions(lesson: Any) -> list[list[str]]:
    """Two or three questions for each of the lesson's sections (none for the last pages), in their order.

    What a lesson has is taken in this order: the guesses that it asks for, the quiz question that fits the
    section best of all, questions of its prose, its claims, its errors; then the next best quiz question.
    """
    sections, quiz = lessons.sections(lesson), _quiz(lesson)
    vectors = [_rare(section, sections) for section in sections]
    fit = [
        [sum(v[word] for word in set(_stems(text))) / (1 + sum(v.values())) ** 0.5 for v in vectors]
        for text in quiz
    ]
    best = [max(range(len(sections)), key=row.__getitem__) for row in fit]
    found = []
    for place, section in enumerate(sections):
        if section.title in NOT_TAUGHT:
            found.append([])
            continue
        cells = [lesson.cells[position] for position in section.cells]
        own = [quiz[number] for number in range(len(quiz)) if best[number] == place]
        others = sorted(range(len(quiz)), key=lambda number: -fit[number][place])
        guesses = _guesses(cells)
        prose = [text for text in _asked(section.prose) if not any(text in guess for guess in guesses)]
        asked = [*guesses, *own, *prose[:2], *_claims(cells)[:1], *_errors(cells)]
        for number in others[:2]:
            asked += [quiz[number]] if len(set(asked)) < 2 else []
        found.append(list(dict.fromkeys(asked))[:3])
    return found


def _quiz(lesson):
    """The quiz's questions, each with its right answer."""
    section = next((s for s in lessons.sections(lesson) if s.title == "Check yourself"), None)
    text = "\n\n".join(lesson.cells[position].source for position in section.cells) if section else ""
    parts = QUIZ.split(text)
    found = []
    for question, choices in zip(parts[1::2], parts[2::2], strict=True):
        right = [
            choice for choice in lessons.DETAILS.findall(choices) if choice[1].strip().startswith("**Right**")
        ]
        for choice, why in right:
            question += f" *({choice.strip()[3:].removesuffix('.')}{why.strip().removeprefix('**Right**')})*"
        found.append(question)
    return found


def _guesses(cells):
    """What a learner is asked to guess: the question above each cell `guess = None`."""
    found = []
    for above, cell in zip(cells, cells[1:], strict=False):
        guess = re.search(r"^\w*guess\w* = None *(?:# *(.*))?$", cell.source, re.MULTILINE)
        if cell.cell_type == "code" and above.cell_type == "markdown" and guess:
            asked = _asked(above.source)[-1:] or [_sentences(above.source)[-1]]
            found.append(f"Guess: {asked[0]}" + (f" *({guess[1]})*" if guess[1] else ""))
    return found


def _sentences(text):
    """The sentences of the prose in markdown: no headings, lists, tables, code or formulas on their own."""
    paragraphs = lessons.FENCE.sub("", text).split("\n\n")
    prose = [part.strip() for part in paragraphs if part.strip() and part.strip()[0] not in "#|$-<!>"]
    sentences = [s.strip() for part in prose for s in re.split(r"(?<=[.?!:])\s+", part) if s.strip()]
    return [sentence[0].upper() + sentence[1:] for sentence in sentences] or [""]


def _asked(text):
    """The questions of the prose, of four words or more."""
    return [s for s in _sentences(text) if s.endswith("?") and lessons.words(s) >= 4]


def _claims(cells):
    """A question of each claim that can be understood alone."""
    found = []
    for cell in cells:
        for text in re.findall(r"claim\(\s*\"([^\"]+)\"", cell.source if cell.cell_type == "code" else ""):
            if not re.match(r"(and|but|so|or|both|all|neither|its|it|then) ", text):
                found.append(f"Would you bet on this before the cell runs, and why: {text}?")
    return found


def _errors(cells):
    """A question of each error that is made on purpose."""
    found = []
    for cell in cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                message = f"{output.ename}: {output.evalue}".splitlines()[0][:120].replace("`", "'")
                found.append(f"What is the cause of `{message}`, and what is the fix?")
    return found


def _stems(text):
    """The words of a text, cut to six letters: enough to see that two texts speak of the same things."""
    return [word.lower()[:6] for word in re.findall(r"[^\W\d_]{4,}", text)]


def _rare(section, sections):
    """{stem: how telling it is} of a section's title and prose: rare elsewhere in the lesson counts more."""
    texts = [set(_stems(f"{other.title} {other.prose}")) for other in sections]
    common = collections.Counter(stem for words in texts for stem in words)
    own = {} if section.title in NOT_TAUGHT else set(_stems(f"{section.title} {section.prose}"))
    return collections.Counter({stem: math.log(len(sections) / common[stem]) for stem in own})
