"""The book's own pages: the front page, the glossary, and the errors by their message."""

import base64
import html
import math
import pathlib
import re
import urllib.parse

import glossary
import translate as translation

import notebooks
from course_utils.translation import message

PARTS = {
    message("Part I · PyTorch"): range(0, 7),
    message("Part II · Hugging Face and BERT"): range(7, 14),
    message("Part III · Beyond text, and responsibility"): range(14, 20),
}
FIGURE = ("05", "Four optimizers race")  # on the front page: its lesson, the beginning of its alt text
ROW, LEFT = 30, 150  # pixels: of a line of the map, and where its text begins

FRONT = pathlib.Path(__file__).with_name("front.md")
COLAB = {
    True: message("each lesson's page has a link *Open in Colab*; its first cell installs what Colab lacks."),
    False: message(
        "download a lesson, upload it there, and beside it the course's zip; its first cell does the rest."
    ),
}
TOCTREE = "```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```"


def front_page(shown, stored, out, translate=str, on_colab=False):
    """The front page of the lessons `shown`; its figure is written into the folder `out`.

    `translate` gives a text of the book in its language; `on_colab` says whether pages have a link to Colab.
    Raises `SystemExit` if no lesson draws that figure any more.
    """
    file = next(name for name in stored if name.startswith(FIGURE[0]))
    outputs = [output for cell in shown[file].cells for output in cell.get("outputs", [])]
    kept = [output for cell in stored[file].cells for output in cell.get("outputs", [])]
    alts = [output.get("metadata", {}).get("image/png", {}).get("alt", "") for output in kept]
    found = [at for at, alt in enumerate(alts) if alt.startswith(FIGURE[1])]
    if not found:
        raise SystemExit(f"{file} has no figure whose alt text begins with {FIGURE[1]!r}: see {__file__}")
    output = outputs[found[0]]
    (out / "front.png").write_bytes(base64.b64decode(output.data["image/png"]))
    alt = output.metadata["image/png"]["alt"]
    contents = [
        (translate(part), [name for name in shown if int(name[:2]) in numbers])
        for part, numbers in PARTS.items()
    ]
    contents.append((translate("To look up"), ["glossary.md", "errors.md", "teaching.md"]))
    entries = [TOCTREE.format(caption=caption, entries="\n".join(names)) for caption, names in contents]
    return translation.in_markdown(FRONT.read_text(encoding="utf8"), translate).format(
        figure="front.png",
        alt=alt,
        caption=alt,
        drawn=translate("Lesson {number} draws it.").format(number=FIGURE[0]),
        colab=translate(COLAB[on_colab]),
        map=lesson_map(shown, stored, translate),
        table=lesson_table(shown, stored, translate),
        contents="\n\n".join(entries),
        state=_state(shown, stored, translate),
    )


def _state(shown, stored, translate):
    """How many lessons are translated, a sentence; of the original nothing."""
    count = sum(translated(shown[name], stored[name]) for name in stored)
    says = translate(
        "{translated} of the {lessons} lessons are translated so far. The others, the glossary and the "
        "errors are in English."
    )
    return says.format(translated=count, lessons=len(stored)) if count else ""


def translated(shown, stored):
    """Whether a lesson is shown in another language than it is stored in: its top says so then."""
    return shown.cells[0].source != stored.cells[0].source


def slug(heading):
    """The id of a heading, the same as in JupyterLab, where links between lessons lead to it."""
    return urllib.parse.unquote(glossary.anchor(heading))


def title(notebook):
    return notebook.cells[0].source.partition("\n")[0].removeprefix("# ").partition(" · ")[2]


def builds_on(notebook):
    """The numbers of the lessons that a lesson says it builds on, in order."""
    # Only out of the sentence that says so; what follows may name lessons that are still to come.
    return sorted(set(re.findall(r"\b\d\d\b", re.split(r"\. ", _said_to_build_on(notebook))[0])))


def _said_to_build_on(notebook):
    paragraph = re.search(r"^\*\*It builds on\*\* (.*)$", notebook.cells[1].source, re.MULTILINE)
    return re.sub(r"\(.*?\)", "", paragraph[1]) if paragraph else ""


def lesson_table(shown, stored, translate=str):
    """The lessons in a table: minutes, and what each builds on."""
    rows = [translate("| no. | lesson | core | deeper | builds on |"), "|---|---|---|---|---|"]
    minutes = translate("{minutes} min")
    files = {name[:2]: name for name in shown}
    for name, notebook in shown.items():
        core, deeper, *_ = notebooks.COST.search(stored[name].cells[1].source).groups()
        on = ", ".join(f"[{number}]({files[number]})" for number in builds_on(stored[name]))
        if not on:
            all_lessons = _said_to_build_on(stored[name]).startswith("all lessons")
            on = translate("all") if all_lessons else translate("none")
        core, deeper = (minutes.format(minutes=number) for number in (core, deeper))
        rows.append(f"| {name[:2]} | [{title(notebook)}]({name}) | {core} | {deeper} | {on} |")
    return "\n".join(rows)


def lesson_map(shown, stored, translate=str):
    """An SVG on one line: a lesson a row, an arc from each lesson to those it builds on.

    A lesson that is reached by way of another has no arc of its own; the table has all.
    """
    places = {name[:2]: ROW * (row + 0.5) for row, name in enumerate(shown)}
    needs = {name[:2]: set(builds_on(notebook)) for name, notebook in stored.items()}
    all_needs = {}  # what it builds on, and what that builds on: lessons build on earlier ones alone
    for number, own in needs.items():
        all_needs[number] = own.union(*(all_needs[before] for before in own))
    drawn, x = [], LEFT - 18
    for name in shown:
        own = needs[name[:2]]
        for before in sorted(own - set().union(*(all_needs[other] for other in own))):
            top, bottom = places[before], places[name[:2]]
            bend = x - min(18 + 18 * math.sqrt((bottom - top) / ROW - 1), LEFT - 26)
            drawn.append(f'<path d="M{x} {top:g}C{bend:.0f} {top:g} {bend:.0f} {bottom:g} {x} {bottom:g}"/>')
    for name, notebook in shown.items():
        y = places[name[:2]]
        drawn.append(f'<circle cx="{LEFT - 14}" cy="{y:g}" r="5"/>')
        core, deeper, *_ = notebooks.COST.search(stored[name].cells[1].source).groups()
        minutes = translate("{core} + {deeper} min").format(core=core, deeper=deeper)
        text = html.escape(f"{name[:2]} {title(notebook)} · {minutes}")
        drawn.append(f'<text x="{LEFT}" y="{y + 5:g}">{text}</text>')
    size = f'viewBox="0 0 500 {ROW * len(shown)}"'
    return f'<svg class="map" {size} aria-hidden="true">{"".join(drawn)}</svg>'


def glossary_page(stored, translate=str):
    """The glossary; a term leads to where a lesson introduces it."""
    terms = [re.sub("^### ", "## ", cell) for cell in glossary.glossary_cells(stored)]
    says = translate("Each term leads to where a lesson introduces it.")
    return "\n\n".join([f"# {translate('Glossary')}", says, *terms]) + "\n"


def errors_page(stored, translate=str):
    """Every error that the lessons make on purpose, by kind and message, with what it means and the fix."""
    parts = [
        "---\ntocdepth: 2\n---",  # the page's contents name the kinds: messages are long
        f"(messages)=\n# {translate('Errors by their message')}",
        translate(
            "Every error that the lessons make on purpose: its message, what it means, the fix, and the "
            "lesson that shows it. Search for the words of yours; numbers and names may differ."
        ),
    ]
    found = glossary.errors(stored)
    for kind in sorted({error.kind for error in found}):
        parts.append(f"## {kind}")
        for error in (error for error in found if error.kind == kind):
            parts.append(f"### {glossary.as_code(error.message)}")
            for case in error.cases:
                says = f"{case.means} **The fix**: {case.fix}" if case.means else case.fix
                parts.append(f"{says} {case.place.link}")
    return "\n\n".join(parts) + "\n"
