"""The rules that every stored lesson keeps, and for every rule a broken lesson that it catches.

A rule is a function of a `lessons.Lesson`; it returns a list of problems, each a sentence. Rules read what is
stored; that the outputs are still what the code gives is nbval's business.
"""

import base64
import copy
import pathlib
import re
import struct
import tomllib
import zlib

import lessons
import nbformat
import pytest
from lessons import Lesson, calls, tags
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns

import notebooks
from course_utils import environment, exercises
from course_utils.checks import exercise as engine

ROOT = pathlib.Path(__file__).parent.parent
BYTES, PIXELS, LINES, COLUMNS = 500_000, 1000, 25, 110
# Until the course is published, the placeholder's.
ADDRESS = notebooks.repository() or f"https://github.com/{notebooks.UNSET}/pytorch-hf-course"
OWNER = ADDRESS.split("/")[-2]
LAST_SECTIONS = ["When it goes wrong", "On your own", "Recap", "Check yourself", "Go further"]
# What a learner can be seen to do. "Understand", "know" and "learn" cannot be seen.
VERBS = set(
    """
    add apply ask assemble batch broadcast build calculate call change check choose clean code combine
    compare compute configure connect convert correct count cut debug decide define deploy derive
    describe design detect diagnose distinguish download draw edit estimate evaluate explain export
    extract filter find fine-tune fix follow freeze generate handle identify implement index initialise
    inspect install interpret judge justify label list load locate make mask measure mend merge move name
    normalise open order pack pad pick place plan plot pool predict prepare print profile prove publish
    quantise quantize rank read recognise reduce render repair replace report reproduce reset reshape run
    save score search select serve set shard show sketch solve sort split spot start state step stop
    store summarise tell test time tokenise tokenize trace track train translate tune turn type use
    verify visualise watch weigh write
    """.split()
)
HELD_OUT_ROWS = {"09", "11", "12"}  # the lessons that may see the test rows: they make the final measurement
# Exercises in all, in sections, under On your own: a lesson's, and those of the lesson to look things up in.
EXERCISES, FEWER_EXERCISES = (6, 3, 2), {"19": (4, 3, 1)}
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|root|tmp|srv|work|usr|Users|content)\b|\b[A-Z]:\\|site-packages"
)
MEMORY_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b", re.IGNORECASE)


# The rules --------------------------------------------------------------------------------------------------


def bones(lesson):
    """The parts of a lesson, in the order in which a learner expects them."""
    kinds = [cell.cell_type for cell in lesson.cells[:3]]
    if kinds != ["markdown", "markdown", "code"]:
        return [f"the first three cells are title, In this lesson and setup, and these are {kinds}"]
    problems = []
    title, _, rest = lesson.cells[0].source.partition("\n")
    if not re.fullmatch(rf"# {lesson.number} · \S.*", title):
        problems.append(f"the first line is `# {lesson.number} · Title`, and this is {title!r}")
    parts = [part for part in notebooks.BADGE.sub("", rest).strip().split("\n\n") if part.strip()]
    if len(parts) != 2 or len(re.findall(r"[.!?](?=\s|$)", parts[0])) != 1:
        problems.append("below the title stand the badge, one sentence and a line of links, and nothing else")
    else:
        problems += neighbours(lesson, parts[1])
    if not re.match(r"\*\*In this lesson\*\*|## In this lesson$", lesson.cells[1].source, re.MULTILINE):
        problems.append("the second cell begins with **In this lesson**")
    if tags(lesson.cells[2]) != ["setup"] or sum("setup" in tags(cell) for cell in lesson.cells) != 1:
        problems.append("the third cell, and no other, is tagged setup")
    if not (len(lesson.cells) > 3 and lesson.cells[3].source.startswith("## ")):
        problems.append("after the setup cell comes the first section, `## …`")
    sections = [text for level, text in lessons.headings(lesson) if level == 2 and text != "In this lesson"]
    own = sections[:-5]
    if sections[-5:] != LAST_SECTIONS or not own or set(own) & set(LAST_SECTIONS):
        problems.append(f"a lesson has sections of its own, then {LAST_SECTIONS}; this one has {sections}")
    for section in LAST_SECTIONS:
        if section in sections and not lesson.section(section):
            problems.append(f"the heading `## {section}` begins a cell")
    return problems


def neighbours(lesson, line):
    """Links to the lesson before, the README's list and the lesson after, as far as they exist."""
    names = [path.name for path in lessons.paths()]
    problems = [] if "(../README.md#lessons)" in line else ["the line of links leads to ../README.md#lessons"]
    place = names.index(lesson.name) if lesson.name in names else None
    for step in (-1, 1) if place is not None else ():
        if 0 <= place + step < len(names):
            other = names[place + step]
            consecutive = int(other[:2]) == int(lesson.number) + step
            if consecutive and f"({other})" not in line:
                problems.append(f"the line of links lacks {other}")
    return problems


def objectives(lesson):
    """Three to five objectives, each with a verb that can be observed; what it builds on; what it costs."""
    text = lesson.cells[1].source
    lines = text.splitlines()
    bullets = [line[2:] for line in lines if re.match(r"[-*] ", line)]
    problems = []
    if not 3 <= len(bullets) <= 5:
        problems.append(f"a lesson has 3 to 5 objectives, and this one has {len(bullets)}")
    for bullet in bullets:
        verb = re.match(r"[\W_]*([\w-]*)", bullet)[1].lower()
        if verb not in VERBS:
            problems.append(
                f"an objective begins with a verb that can be observed, and this one with {verb!r}"
            )
    if "builds on" not in text.lower():
        problems.append("it does not say what the lesson builds on")
    cost = notebooks.COST.search(text)
    if not cost:
        return [*problems, "it has no line of costs: **Cost**: 90 min for the core, …"]
    written = copy.deepcopy(lesson.notebook)
    notebooks.write_minutes(written)
    if written.cells[1].source != text:
        problems.append("the minutes are not those that the notebook comes to: type  make notebooks")
    if int(cost[1]) > 120:
        problems.append(f"the core takes about 90 minutes, and this one {cost[1]}")
    return problems


def errors_on_purpose(lesson):
    """Two to four errors in their section, at most two elsewhere, each with the stored error."""
    section = [id(cell) for cell in lesson.section("When it goes wrong")]
    raising = [cell for cell in lesson.code if "raises-exception" in tags(cell)]
    inside = sum(id(cell) in section for cell in raising)
    problems = []
    if not 2 <= inside <= 4:
        problems.append(f"When it goes wrong has 2 to 4 cells tagged raises-exception, and this one {inside}")
    if len(raising) - inside > 2:
        problems.append(f"raises-exception is used {len(raising) - inside} times elsewhere; 2 is the most")
    for cell in lesson.code:
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if bool(errors) != ("raises-exception" in tags(cell)):
            problems.append(f"an error is stored where the tag is, and only there: {_start(cell)}")
        if any("\n".join(error.traceback).count("\n") > 25 for error in errors):
            problems.append(f"the stored traceback is short, without libraries' lines: {_start(cell)}")
    return problems


def recap(lesson):
    """Five lines."""
    text = "\n".join(cell.source for cell in lesson.section("Recap"))
    lines = re.findall(r"^[-*\d]\S* ", text, re.MULTILINE)
    return [] if len(lines) == 5 else [f"the recap has five lines (a list), and this one {len(lines)}"]


def questions(lesson):
    """Four to six questions; each choice opens on its own and says why it is right or wrong; one is right."""
    text = "\n\n".join(cell.source for cell in lesson.section("Check yourself"))
    parts = re.split(r"^\*\*(\d+)\. ", text, flags=re.MULTILINE)[1:]
    numbers, bodies = list(map(int, parts[::2])), parts[1::2]
    if not 4 <= len(numbers) <= 6 or numbers != list(range(1, len(numbers) + 1)):
        return [f"Check yourself has 4 to 6 questions `**1. …**`, numbered from 1; these are {numbers}"]
    problems = []
    for number, body in zip(numbers, bodies, strict=True):
        choices = lessons.DETAILS.findall(body)
        letters = [choice[:3] for choice, _ in choices]
        if len(choices) < 2 or letters != [f"{letter}. " for letter in "ABCDEF"[: len(choices)]]:
            problems.append(f"question {number} has choices, each a <details> A. …, B. …; these: {letters}")
        verdicts = [
            re.match(r"\s*(Wrong|\*\*Right\*\*)[:,.]? (\S.*)", opened, re.DOTALL) for _, opened in choices
        ]
        if not all(found and len(found[2].split()) >= 3 for found in verdicts):
            problems.append(f"question {number}: each choice opens to `Wrong: why` or `**Right**: why`")
        elif sum(found[1] != "Wrong" for found in verdicts) != 1:
            problems.append(f"question {number} has one right choice")
        if lessons.DETAILS.sub("", body).strip().count("\n") > 12:
            problems.append(f"question {number} has its choices in <details> and nothing long beside them")
    return problems


def links(lesson):
    """Go further: at least two links by title, and the next lesson."""
    text = "\n".join(cell.source for cell in lesson.section("Go further"))
    titled = re.findall(r"\[([^\]]+)\]\(https://[^)\s]+\)", text)
    problems = [] if len(titled) >= 2 else ["Go further has at least two links `[title](https://…)`"]
    if re.search(r"(?<!\]\()https?://", text) or any("://" in title for title in titled):
        problems.append("a link stands behind its title, not bare, and is https")
    if not re.search(r"next\b.*\b\d\d\b", text, re.IGNORECASE):
        problems.append("Go further names the next lesson with its number")
    return problems


def execution(lesson):
    """Run once, from a fresh kernel, in order; whatever prints has its output stored."""
    counts = [cell.execution_count for cell in lesson.code]
    problems = []
    if counts != list(range(1, len(counts) + 1)):
        problems.append(f"the execution counts are 1, 2, 3 …, and these are {counts}")
    for cell in lesson.code:
        if calls(cell.source, "print", "show", "claim", "check", "display") and not cell.outputs:
            problems.append(f"this cell prints, and has no output stored: {_start(cell)}")
    return problems


def ignored_outputs(lesson):
    """At most a quarter of the code cells is not compared, and a claim follows each of them."""
    code = lesson.code
    ignored = [index for index, cell in enumerate(code) if "nbval-ignore-output" in tags(cell)]
    problems = []
    if len(ignored) > len(code) / 4:
        problems.append(
            f"{len(ignored)} of {len(code)} code cells are tagged nbval-ignore-output: a quarter is the most"
        )
    for index in ignored:
        if not any(calls(cell.source, "claim") for cell in code[index + 1 : index + 3]):
            problems.append(f"no claim in the two code cells after the ignored {_start(code[index])}")
    return problems


def enough_proof(lesson):
    """At least eight claims, none twice; six exercises, three of them in sections and two on new ground."""
    claims, exercises = lessons.claims(lesson), lessons.exercises(lesson)
    problems = [] if len(claims) >= 8 else [f"a lesson has at least 8 claims, and this one {len(claims)}"]
    problems += [f"claimed twice: {text}" for text in sorted(set(claims)) if claims.count(text) > 1]
    own = sum(cell.source.startswith("### Your turn") for cell in lesson.section("On your own"))
    fewest, in_sections, on_your_own = FEWER_EXERCISES.get(lesson.number, EXERCISES)
    if own < on_your_own or len(exercises) - own < in_sections or len(exercises) < fewest:
        problems.append(
            f"a lesson has at least {fewest} exercises, {in_sections} in sections and {on_your_own} under On "
            f"your own, and this one has {len(exercises) - own} and {own}"
        )
    return problems


def folded_cells(lesson):
    """A folded cell says in its first line what it does."""
    return [
        f"a folded cell begins with `# @title What it does`: {_start(cell)}"
        for cell in lesson.code
        if "folded" in tags(cell) and not re.match(r"# @title \S", cell.source)
    ]


def known_tags(lesson):
    """No tag but the course's, and none of nbval's markers in comments, which would go round the tags."""
    unknown = sorted({tag for cell in lesson.cells for tag in tags(cell)} - notebooks.TAGS)
    problems = [f"the tag {tag!r} is unknown" for tag in unknown]
    return problems + [
        f"use a tag, not a marker of nbval's: {_start(cell)}"
        for cell in lesson.code
        if re.search(r"NBVAL_|PYTEST_VALIDATE", cell.source)
    ]


def small_file(lesson):
    """Under 500 kB."""
    size = len(nbformat.writes(lesson.notebook).encode())
    return (
        [] if size < BYTES else [f"a notebook is under {BYTES // 1000} kB, and this one has {size // 1000}"]
    )


def pictures(lesson):
    """PNG, not too wide, each with an alt text that is printed too, as its caption; nothing linked."""
    problems = []
    for cell in lesson.code:
        for output in cell.outputs:
            for kind in output.get("data", {}):
                if kind.startswith("image/") and kind != "image/png":
                    problems.append(f"pictures are PNG, and this is {kind}: {_start(cell)}")
            if "image/png" in output.get("data", {}):
                width = struct.unpack(">I", base64.b64decode(output.data["image/png"])[16:20])[0]
                if width > PIXELS:
                    problems.append(
                        f"a picture is at most {PIXELS} pixels wide, and this one {width}: {_start(cell)}"
                    )
                alt = output.metadata.get("image/png", {}).get("alt", "")
                if not alt.strip():
                    problems.append(f"a picture has no alt text (use show): {_start(cell)}")
                elif not any(output.get("data", {}).get("text/plain") == alt for output in cell.outputs[1:]):
                    problems.append(f"the alt text does not stand below the picture: {_start(cell)}")
    for cell in lesson.markdown:
        source = notebooks.BADGE.sub("", cell.source) if cell is lesson.cells[0] else cell.source
        if re.search(r"!\[\s*\]\(", source) or re.search(r"<img(?![^>]*\balt=\"[^\"])", source):
            problems.append(f"a picture has no alt text: {_start(cell)}")
        if re.search(r"!\[[^\]]*\]\(\s*\w+:|<img[^>]*\bsrc=.\w+:", source):
            problems.append(f"a picture is loaded from elsewhere, or an attachment: {_start(cell)}")
    return problems


def heading_levels(lesson):
    """One title; no level skipped on the way down."""
    levels = [level for level, _ in lessons.headings(lesson)]
    problems = [] if levels.count(1) == 1 else [f"there is one `# ` heading, and here are {levels.count(1)}"]
    pairs = zip(lessons.headings(lesson), lessons.headings(lesson)[1:], strict=False)
    return problems + [
        f"the heading {text!r} jumps from level {before} to {after}"
        for (before, _), (after, text) in pairs
        if after > before + 1
    ]


def table_headers(lesson):
    """A table's columns have names: a screen reader reads them out with every cell."""
    return [
        f"a table has a column without a name: {_start(cell)}"
        for cell in lesson.markdown
        if re.search(r"^\|(?:[^\n]*\|)? *\|[^\n]*\n\| *:?-", cell.source, re.MULTILINE)
    ]


def clean_outputs(lesson):
    """Nothing that differs from machine to machine, no warnings, no widgets."""
    problems = ["the notebook stores widget state"] if "widgets" in lesson.notebook.metadata else []
    for cell in lesson.code:
        for output in cell.outputs:
            if output.get("name") == "stderr":
                problems.append(f"printed to stderr: {_start(cell)}")
            if any("widget" in kind for kind in output.get("data", {})):
                problems.append(f"a widget is stored: {_start(cell)}")
            for text in lessons.texts(output):
                for form, what in (
                    (ABSOLUTE_PATH, "a path of this machine"),
                    (MEMORY_ADDRESS, "a memory address"),
                    (re.compile("<Figure"), "a figure's repr"),
                ):
                    if found := form.search(text):
                        problems.append(f"{what} ({found[0]}) is printed: {_start(cell)}")
    return problems


def clean_sources(lesson):
    """Short cells, short lines, and nothing that needs the network or an account on the main path."""
    problems = []
    for cell in lesson.code:
        lines = cell.source.splitlines()
        if "setup" not in tags(cell) and len(lines) > LINES:
            problems.append(
                f"a code cell has at most {LINES} lines, and this one {len(lines)}: {_start(cell)}"
            )
        problems += [
            f"a line of code is longer than {COLUMNS}: {line}" for line in lines if len(line) > COLUMNS
        ]
        for form in (
            r"^\s*!",
            r"notebook_login",
            r"style\.use\(\s*[\"']https?:",
            r"^\s*%+(pip|conda|sx|system)",
        ):
            if re.search(form, cell.source, re.MULTILINE):
                problems.append(f"{form} has no place in a lesson: {_start(cell)}")
    return problems


def badge_and_setup(lesson):
    """The badge's and the setup cell's text, and every address of the course, are those of pyproject.toml."""
    problems = []
    if notebooks.BADGE.findall(lesson.cells[0].source) != [notebooks.badge(lesson.name)]:
        problems.append("the badge differs from tools/notebooks.badge: type  make notebooks")
    setups = [cell.source for cell in lesson.cells if "setup" in tags(cell)]
    if setups != [notebooks.setup_source()]:
        problems.append("the setup cell differs from tools/notebooks.setup_source: type  make notebooks")
    return problems + addresses("\n".join(cell.source for cell in lesson.cells))


def addresses(text):
    """Addresses of the course's repository in `text` that are not the one of pyproject.toml."""
    name = ADDRESS.split("/")[-1]
    found = re.findall(rf"github(?:\.com|usercontent\.com)?/([\w.-]+)/{re.escape(name)}\b", text)
    return [
        f"the course's address has the owner {other!r}, not {OWNER!r}" for other in found if other != OWNER
    ]


def exercise_cards(lesson):
    """Card, stub, check and <details> of every exercise, numbered in order, titled as declared."""
    declared = exercises.of_lesson(int(lesson.number))
    problems = []
    for position, exercise in enumerate(lessons.exercises(lesson), 1):
        number, title = exercise.number, exercise.title
        if number != f"{int(lesson.number)}.{position}" or len(exercise.stars) != 3:
            problems.append(
                f"the card of exercise {position} is `### Your turn {int(lesson.number)}.{position} · Title "
                f"★★☆ · 10 min`, and this one {number} {title} {exercise.stars}"
            )
            continue
        if number not in declared:
            problems.append(f"exercise {number} is not declared in course_utils/exercises")
        elif title != declared[number].title:
            problems.append(
                f"exercise {number} is called {title!r}, and declared as {declared[number].title!r}"
            )
        if exercise.checked != number or not exercise.answer:
            problems.append(
                f'after its card exercise {number} has a stub, then the cell check("{number}", …)'
            )
        elif exercise.output != f"○ {number} {title}: not attempted yet\n":
            problems.append(f"the check of exercise {number} printed {exercise.output!r}")
        if list(exercise.details) != ["Hint 1", "Hint 2", "Solution"] or not exercise.solution.strip():
            problems.append(
                f"after its check exercise {number} has <details> Hint 1, Hint 2 and Solution (a python "
                f"fence) and nothing else; found {list(exercise.details)}"
            )
    missing = set(declared) - {exercise.number for exercise in lessons.exercises(lesson)}
    return problems + [f"exercise {number} is declared and has no card" for number in sorted(missing)]


def held_out_rows(lesson):
    """The test rows are seen by no lesson but those that make the final measurement."""
    seen = any("with_test=True" in cell.source for cell in lesson.cells)
    return (
        [f"lesson {lesson.number} uses with_test=True"] if seen and lesson.number not in HELD_OUT_ROWS else []
    )


def stored_normalised(lesson):
    """As `make notebooks` stores it."""
    normalised = copy.deepcopy(lesson.notebook)
    notebooks.normalise(normalised)
    return [] if normalised == lesson.notebook else ["it is not stored normalised: type  make notebooks"]


def sanitised(lesson):
    """nbval_sanitize.cfg hides nothing but what the setup cell prints."""
    problems = []
    for cell in lesson.code:
        for text in [text for output in cell.outputs for text in lessons.texts(output)]:
            if "setup" not in tags(cell) and any(re.search(form, text) for form, _ in patterns()):
                problems.append(f"nbval would not compare all that this cell prints: {_start(cell)}")
    return problems


def _start(cell):
    return repr(cell.source.strip().partition("\n")[0][:60])


def patterns():
    """The (regex, replacement) pairs of nbval_sanitize.cfg, read as nbval reads them, but as ASCII."""
    return get_sanitize_patterns((ROOT / "tests" / "nbval_sanitize.cfg").read_text(encoding="ascii"))


RULES = [
    bones,
    objectives,
    errors_on_purpose,
    recap,
    questions,
    links,
    execution,
    ignored_outputs,
    enough_proof,
    folded_cells,
    known_tags,
    small_file,
    pictures,
    heading_levels,
    table_headers,
    clean_outputs,
    clean_sources,
    badge_and_setup,
    exercise_cards,
    held_out_rows,
    stored_normalised,
    sanitised,
]


# The lessons ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored():
    return {path.name: lessons.read(path) for path in lessons.paths()}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", [path.name for path in lessons.paths()])
def test_lesson(stored, name, rule):
    problems = rule(stored[name])
    assert not problems, f"{name}: {rule.__doc__}\n" + "\n".join(problems)


def test_every_lesson_with_exercises_has_a_notebook():
    assert set(exercises.lessons()) == {int(path.name[:2]) for path in lessons.paths()}


def test_the_course_has_one_address():
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*.yml"), *ROOT.glob("*.txt"), ROOT / "Makefile"]:
        assert addresses(path.read_text(encoding="utf8")) == [], path.name


def test_the_line_of_versions_is_sanitised():
    line = environment._versions_line()
    (pattern,) = patterns()
    assert re.sub(*pattern, f"{line}\nCheckpoint: embedded\n") == f"{pattern[1]}\nCheckpoint: embedded\n"


# A good lesson, and broken ones -----------------------------------------------------------------------------


def png(width):
    """A white PNG, one pixel high, in base64."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" + b"\xff" * width))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")).decode()


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def code(source, *outputs, tag=None):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": [tag]} if tag else {})


def claimed(*texts):
    return code(
        "\n".join(f'claim("{text}", 1 < 2)' for text in texts),
        stream("".join(f"✓ {text}\n" for text in texts)),
    )


def error(source, kind, message):
    return code(
        source,
        new_output("error", ename=kind, evalue=message, traceback=[f"{kind}: {message}"]),
        tag="raises-exception",
    )


def exercise_cells(position):
    details = {
        "Hint 1": "Two numbers become one.",
        "Hint 2": "There is an operator for it.",
        "Solution": "```python\ndef total(a, b):\n    return a + b\n```",
    }
    return [
        new_markdown_cell(
            f"### Your turn 97.{position} · Sum {position} ★☆☆ · 2 min\n\nWrite `total(a, b)`."
        ),
        code("def total(a, b):\n    raise NotImplementedError"),
        code(
            f'check("97.{position}", total)', stream(f"○ 97.{position} Sum {position}: not attempted yet\n")
        ),
        new_markdown_cell(
            "\n".join(
                f"<details><summary>{name}</summary>\n\n{text}\n\n</details>"
                for name, text in details.items()
            )
        ),
    ]


def question(number):
    return f"""**{number}. What is 2 + {number}?**

<details><summary>A. {2 + number}</summary>

**Right**: count on your fingers.

</details>
<details><summary>B. 2</summary>

Wrong: nothing was added.

</details>
"""


def good_lesson():
    """A lesson that keeps every rule."""
    alt = "The loss falls steeply, then levels off."
    picture = new_output(
        "display_data", {"image/png": png(700), "text/plain": alt}, metadata={"image/png": {"alt": alt}}
    )
    caption = new_output("display_data", {"text/html": f"<p>{alt}</p>", "text/plain": alt})
    cells = [
        new_markdown_cell(
            f"# 97 · Sums\n\n{notebooks.badge('97_sums.ipynb')}\n\nYou will add numbers, and tell why.\n\n"
            "96 Zero (not written yet) · [All lessons](../README.md#lessons)"
        ),
        new_markdown_cell(
            "**In this lesson** you will\n\n"
            "- **compute** sums;\n- **draw** a curve;\n- **explain** what 2 + 2 is.\n\n"
            "**It builds on** lesson 96.\n\n"
            "**Cost**: 0 min for the core, 0 min for what goes deeper; 2 s to run on two cores, "
            "0.3 GB of memory."
        ),
        code(
            notebooks.setup_source(),
            stream(
                "Python 3.11.7 · torch 2.13.0+cpu · transformers 5.23.0 · datasets 5.2.0 · cpu, 2 threads\n"
            ),
            tag="setup",
        ),
        new_markdown_cell(
            "## Adding\n\nThe *sum*. See the code:\n\n```python\n# a comment, not a heading\n```"
        ),
        claimed("a", "b", "c", "d"),
        new_markdown_cell("### A curve\n\nWatch where it levels off."),
        code("print(timing())", stream("0.123 s\n"), tag="nbval-ignore-output"),
        claimed("e", "f", "g", "h"),
        code(f'show(fig, alt="{alt}")', picture, caption),
        *[cell for position in (1, 2, 3, 4) for cell in exercise_cells(position)],
        new_markdown_cell("## When it goes wrong\n\nTwo errors that everybody meets."),
        error("1 + '1'", "TypeError", "unsupported operand type(s) for +: 'int' and 'str'"),
        error("x", "NameError", "name 'x' is not defined"),
        new_markdown_cell("## On your own\n\nNew ground."),
        *[cell for position in (5, 6) for cell in exercise_cells(position)],
        code("# @title What is folded\nx = 1", tag="folded"),
        new_markdown_cell("## Recap\n\n" + "\n".join(f"- Line {i}." for i in range(5))),
        new_markdown_cell("## Check yourself\n\n" + "\n".join(question(number) for number in range(1, 5))),
        new_markdown_cell(
            "## Go further\n\n- [Sums](https://example.org/sums), a paper.\n- [More](https://example.org/more).\n\n"
            "**Next**: lesson 98, *Products*."
        ),
    ]
    notebook = new_notebook(cells=cells)
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
    notebooks.write_minutes(notebook)
    notebooks.normalise(notebook)
    return Lesson("97_sums.ipynb", notebook)


@pytest.fixture
def declared(monkeypatch):
    """The exercises of the good lesson, as if a module of course_utils.checks declared them."""
    monkeypatch.setattr(engine, "declared", {})
    monkeypatch.setattr(exercises, "lessons", dict)
    for position in range(1, 7):
        engine.exercise(
            f"97.{position}", f"Sum {position}", reference=sum, cases=[engine.case("one", [1])], mistakes=[]
        )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_lesson_keeps(declared, rule):
    assert rule(good_lesson()) == []


def find(lesson, text):
    """The first cell whose source contains `text`."""
    return next(cell for cell in lesson.cells if text in cell.source)


def replaced(inside, old, new):
    """A break: in the first cell that contains `inside`, `old` becomes `new`."""

    def broken(lesson):
        cell = find(lesson, inside)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return broken


def without(text):
    """A break: the first cell that contains `text` is gone."""
    return lambda lesson: lesson.cells.remove(find(lesson, text))


def tagged(inside, *names):
    """A break: other tags on the first cell that contains `inside`."""
    return lambda lesson: find(lesson, inside).metadata.update(tags=list(names))


def printing(text, name="stdout"):
    """A break: one cell prints something else."""
    return lambda lesson: find(lesson, 'claim("a"').outputs.append(stream(text, name))


def output_of(inside, **changes):
    """A break: the first output of the first cell that contains `inside` is changed."""
    return lambda lesson: find(lesson, inside).outputs[0].update(changes)


def moved(text):
    """A break: the first cell that contains `text` comes last."""
    return lambda lesson: lesson.cells.append(lesson.cells.pop(lesson.cells.index(find(lesson, text))))


def added(*cells):
    """A break: cells more, before the errors on purpose."""

    def broken(lesson):
        place = lesson.cells.index(find(lesson, "## When it goes wrong"))
        lesson.cells[place:place] = copy.deepcopy(list(cells))

    return broken


def named(name):
    return lambda lesson: setattr(lesson, "name", name)


def picture(**data):
    return code("show_it()", new_output("display_data", data))


LONG = "a" * 120
BROKEN = [
    (bones, named("96_sums.ipynb"), "# 96 · Title"),
    (bones, replaced("# 97", "# 97 · Sums", "# Sums"), "first line"),
    (bones, replaced("# 97", "You will add", "You will see. You will add"), "one sentence"),
    (bones, replaced("# 97", "../README.md#lessons", "../README.md"), "#lessons"),
    (bones, lambda lesson: setattr(lesson, "name", lessons.paths()[0].name), "the line of links lacks"),
    (bones, without("# 97"), "first three cells"),
    (bones, without("In this lesson"), "first three cells"),
    (bones, replaced("In this lesson", "In this lesson", "Objectives"), "second cell"),
    (bones, tagged("# @title Setup"), "tagged setup"),
    (bones, tagged('claim("a"', "setup"), "tagged setup"),
    (bones, replaced("## Adding", "## Adding", "Adding"), "first section"),
    (bones, without("## Recap"), "'Recap'"),
    (bones, moved("## Recap"), "'Recap'"),
    (bones, replaced("## Adding", "## Adding", "## Recap"), "sections of its own"),
    (bones, replaced("## Recap", "## Recap", "That was it.\n\n## Recap"), "begins a cell"),
    (objectives, replaced("In this lesson", "- **draw** a curve;\n", ""), "3 to 5"),
    (objectives, replaced("In this lesson", "**draw**", "**understand**"), "'understand'"),
    (objectives, replaced("In this lesson", "**draw** a", "know what a"), "'know'"),
    (objectives, replaced("In this lesson", "builds on", "needs"), "builds on"),
    (objectives, replaced("In this lesson", "; 2 s to run", "; fast to run"), "line of costs"),
    (objectives, replaced("In this lesson", "0.3 GB", "little"), "line of costs"),
    (objectives, added(new_markdown_cell("word " * 2000)), "minutes"),
    (objectives, replaced("In this lesson", " min for the core", "5 min for the core"), "core takes about"),
    (errors_on_purpose, without("1 + '1'"), "2 to 4"),
    (errors_on_purpose, added(*[error("y", "NameError", "name 'y' is not defined")] * 3), "elsewhere"),
    (errors_on_purpose, tagged('claim("a"', "raises-exception"), "and only there"),
    (errors_on_purpose, output_of("1 + '1'", traceback=["line\n"] * 40), "short"),
    (recap, replaced("## Recap", "- Line 4.", ""), "five lines"),
    (questions, replaced("## Check", "**4. ", "**Four. "), "4 to 6"),
    (questions, replaced("## Check", "**4. ", "**5. "), "numbered from 1"),
    (questions, replaced("## Check", "<summary>B. 2<", "<summary>C. 2<"), "choices"),
    (questions, replaced("## Check", "Wrong: nothing was added.", ""), "question 1"),
    (questions, replaced("## Check", "nothing was added", "no"), "question 1"),
    (questions, replaced("## Check", "Wrong: nothing", "**Right**: nothing"), "one right choice"),
    (questions, replaced("## Check", "**1. What", "**1. A\n" + "long\n" * 15 + "What"), "nothing long"),
    (links, replaced("## Go further", "[Sums](https://example.org/sums)", "Sums"), "two links"),
    (links, replaced("## Go further", "[Sums](", "https://example.org [Sums]("), "bare"),
    (links, replaced("## Go further", "[Sums]", "[https://example.org]"), "bare"),
    (links, replaced("## Go further", "**Next**: lesson 98", "That was all"), "next lesson"),
    (execution, lambda lesson: find(lesson, 'claim("a"').update(execution_count=None), "execution counts"),
    (execution, lambda lesson: find(lesson, 'claim("a"').update(execution_count=9), "execution counts"),
    (execution, lambda lesson: find(lesson, 'claim("a"').update(outputs=[]), "no output stored"),
    (execution, lambda lesson: find(lesson, "check(").update(outputs=[]), "no output stored"),
    (ignored_outputs, without('claim("e"'), "after the ignored"),
    (ignored_outputs, added(*[code("1", tag="nbval-ignore-output")] * 6, claimed("i")), "a quarter"),
    (enough_proof, replaced('claim("a"', 'claim("a", 1 < 2)', ""), "8 claims"),
    (enough_proof, replaced('claim("a"', 'claim("a", 1 < 2)', 'def f():\n    claim("a", 1 < 2)'), "8 claims"),
    (enough_proof, replaced('claim("a"', 'claim("a"', 'claim("b"'), "claimed twice"),
    (enough_proof, replaced("### Your turn 97.4", "### Your turn", "### Task"), "6 exercises"),
    (enough_proof, moved("## On your own"), "2 under On your own"),
    (folded_cells, replaced("# @title What is folded", "# @title What is folded", "x = 2"), "@title"),
    (known_tags, tagged('claim("a"', "nbval-skip"), "'nbval-skip' is unknown"),
    (known_tags, replaced('claim("a"', 'claim("a"', '# NBVAL_SKIP\nclaim("a"'), "marker"),
    (small_file, printing("x" * BYTES), "500 kB"),
    (pictures, added(picture(**{"image/svg+xml": "<svg/>"})), "PNG"),
    (pictures, added(picture(**{"image/png": png(1200)})), "1200"),
    (pictures, added(picture(**{"image/png": png(100)})), "no alt text"),
    (pictures, lambda lesson: find(lesson, "show(").outputs.pop(), "does not stand"),
    (
        pictures,
        output_of("show(", metadata={"image/png": {"alt": "Another text than the caption."}}),
        "does not stand",
    ),
    (pictures, replaced("## Adding", "The", "![A sum](https://example.org/sum.png) The"), "elsewhere"),
    (
        pictures,
        replaced("## Adding", "The", '<img alt="A sum" src="http://example.org/sum.png"> The'),
        "elsewhere",
    ),
    (pictures, replaced("## Adding", "The", "![A sum](attachment:sum.png) The"), "attachment"),
    (pictures, replaced("## Adding", "The", "![](sum.png) The"), "no alt text"),
    (pictures, replaced("## Adding", "The", '<img src="sum.png"> The'), "no alt text"),
    (heading_levels, replaced("### A curve", "###", "####"), "jumps from level 2 to 4"),
    (heading_levels, replaced("### A curve", "###", "#"), "here are 2"),
    (table_headers, added(new_markdown_cell("| | two |\n|---|---|\n| a | b |")), "without a name"),
    (clean_outputs, lambda lesson: lesson.notebook.metadata.update(widgets={}), "widget state"),
    (
        clean_outputs,
        added(picture(**{"application/vnd.jupyter.widget-view+json": {"model_id": "1"}})),
        "a widget",
    ),
    (clean_outputs, printing("FutureWarning", name="stderr"), "stderr"),
    (clean_outputs, printing("saved in /home/me/model"), "(/home)"),
    (clean_outputs, printing("saved in '/tmp/x'"), "(/tmp)"),
    (clean_outputs, printing("saved in C:\\Users"), "(C:\\)"),
    (clean_outputs, printing("lib/python3.11/site-packages/torch"), "site-packages"),
    (clean_outputs, output_of("1 + '1'", evalue="no file /srv/x"), "(/srv)"),
    (clean_outputs, printing("<function f at 0x7f12ab34cd56>"), "0x7f12ab34cd56"),
    (clean_outputs, added(picture(**{"text/plain": "<Figure size 640x480>"})), "<Figure"),
    (clean_sources, added(code("\n".join(["x = 1"] * 26))), "26"),
    (clean_sources, added(code(f"x = '{LONG}'")), "longer than 110"),
    (clean_sources, added(code("!wget https://example.org/data.csv")), "no place"),
    (clean_sources, added(code("%pip install torch")), "no place"),
    (clean_sources, added(code("from huggingface_hub import notebook_login")), "no place"),
    (clean_sources, added(code('plt.style.use("https://example.org/style")')), "no place"),
    (badge_and_setup, replaced("# 97", "Colab", "Binder"), "badge"),
    (badge_and_setup, replaced("# @title Setup", "setup()", "setup(seed=1)"), "setup cell"),
    (
        badge_and_setup,
        replaced("## Adding", "The", f"{ADDRESS.replace(OWNER, 'not-' + OWNER)}/ The"),
        f"not-{OWNER}",
    ),
    (exercise_cards, replaced("### Your turn 97.2", "97.2", "97.8"), "the card of exercise 2"),
    (exercise_cards, replaced("### Your turn 97.2", "★☆☆", "★"), "the card of exercise 2"),
    (exercise_cards, replaced("### Your turn 97.2", "· 2 min", "2 minutes"), "the card of exercise 2"),
    (exercise_cards, replaced("### Your turn 97.2", "Sum 2", "Total"), "declared as 'Sum 2'"),
    (exercise_cards, without("def total"), 'check("97.1", …)'),
    (exercise_cards, replaced('check("97.2"', "97.2", "97.3"), 'check("97.2", …)'),
    (exercise_cards, replaced('check("97.2"', "total", "lambda a, b: a"), 'check("97.2", …)'),
    (exercise_cards, output_of('check("97.2"', text="✓ 97.2 Sum 2\n"), "✓ 97.2"),
    (exercise_cards, output_of('check("97.2"', text="○ 97.2 Sum 2: not attempted yet\nmore\n"), "more"),
    (exercise_cards, replaced("<summary>Hint 2", "Hint 2", "Another hint"), "Hint 1, Hint 2 and Solution"),
    (
        exercise_cards,
        replaced("<summary>Hint 2", "<details><summary>Hint 1", "Look: <details><summary>Hint 1"),
        "else",
    ),
    (exercise_cards, replaced("<summary>Hint 2", "```python", "```"), "a python fence"),
    (exercise_cards, without("### Your turn 97.4"), "97.4 is declared and has no card"),
    (exercise_cards, lambda lesson: lesson.cells.extend(exercise_cells(7)), "97.7 is not declared"),
    (held_out_rows, added(code("data.rotten_tomatoes(with_test=True)")), "with_test"),
    (stored_normalised, lambda lesson: find(lesson, "# 97").update(id="another"), "normalised"),
    (stored_normalised, lambda lesson: lesson.notebook.metadata.update(authors=[]), "normalised"),
    (stored_normalised, printing("more\n"), "normalised"),
    (sanitised, printing("Python 3.11.7 · numpy 2.1 · cpu, 2 threads\n"), "would not compare"),
]


@pytest.mark.parametrize(
    ("rule", "broken", "expected"),
    BROKEN,
    ids=[f"{rule.__name__}-{expected}" for rule, _, expected in BROKEN],
)
def test_a_broken_lesson_is_caught(declared, rule, broken, expected):
    lesson = good_lesson()
    broken(lesson)
    assert any(expected in problem for problem in rule(lesson)), rule(lesson)


def test_every_rule_catches_something():
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


def test_lesson_09_may_measure_on_the_held_out_rows(declared):
    lesson = good_lesson()
    added(code("data.rotten_tomatoes(with_test=True)"))(lesson)
    lesson.name = "09_finetune_bert.ipynb"
    assert held_out_rows(lesson) == []


def test_badge_and_setup_cell_have_the_address_of_pyproject_or_none():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    assert project["urls"]["Repository"] == ADDRESS
    published = OWNER != notebooks.UNSET
    assert (f'"git+{ADDRESS}"' in notebooks.setup_source()) == published
    assert (ADDRESS.removeprefix("https://github.com/") in notebooks.badge("01_tensors.ipynb")) == published
    assert (notebooks.badge("01_tensors.ipynb") == notebooks.NO_BADGE) != published
