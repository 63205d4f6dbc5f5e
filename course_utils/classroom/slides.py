"""A deck of slides for each lesson, out of the stored notebook: nothing is run, no other host is asked.

nbconvert's slides exporter makes the page. By itself it loads reveal.js, its theme, RequireJS, jQuery,
Mermaid and MathJax 2 from CDNs. Here reveal.js 5 (MIT) and MathJax 3 (Apache-2.0) are copied beside the decks
out of the packages `sphinx-revealjs` and `django-static-mathjax`, whose code is not imported.

A section `## …` begins a slide to the right; its cells stand below it, one a slide. Left out: setup, folded
code (its figures stay), stubs, checks, hints, solutions, and the reasons of the quiz. Of long prose the first
paragraphs are shown; the speaker's notes (key S) have all of it, formulas as typed.
"""

import copy
import pathlib
import re
import shutil
from typing import Any

from course_utils.classroom import files, lessons, release
from course_utils.package_files import package_file

WORDS = 90  # of prose on a slide
LINES = 24  # of code and printed lines together; with more, what a cell prints has a slide of its own
WIDTH, HEIGHT = 1280, 720  # of a slide; the page scales it to the screen
ASSETS = "slides_files"
REVEAL = ("sphinx-revealjs", "3.2.1", "revealjs")
MATHJAX = ("django-static-mathjax", "3.2.2.1", "mathjax/static/mathjax")
MATHJAX_TEX = (MATHJAX, "es5/tex-svg.js", "2af9375000b5a3669be94d436ae1c61159855283cd18b3ee9817fb71c8f94c84")
COPIED = [  # (package, version, folder in it), file, SHA-256
    (REVEAL, "LICENSE", "34014800f4126ac2525e224166f099f26628612e95c41f76d70841b63138c989"),
    (REVEAL, "dist/reveal.css", "68f915a11ebf7203c0446576b7e952ff61c5dd02134a8a226ffaf62ed42136d2"),
    (REVEAL, "dist/reveal.js", "46538b52db48724192f59bf46f5e851a18e302777c46f4a34c32709d010d6a29"),
    (REVEAL, "plugin/notes/notes.js", "df1201d19d03241a2897d39c3d38768177df1cbd4bde06327b321cb83461ae89"),
    (MATHJAX, "LICENSE", "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"),
    MATHJAX_TEX,
]
TEMPLATE = """\
{% extends "reveal/index.html.j2" %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}
<script>
MathJax = {
  tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]], processEscapes: true},
  options: {enableMenu: false}
};
</script>
<script src="slides_files/mathjax/es5/tex-svg.js" defer></script>
{% endblock %}
{% block footer_js %}
<script src="slides_files/reveal/dist/reveal.js"></script>
<script src="slides_files/reveal/plugin/notes/notes.js"></script>
<script>
Reveal.initialize({
  width: 1280, height: 720, margin: 0.02, center: false, hash: true, slideNumber: "h.v",
  transition: "none", plugins: [RevealNotes]
});
</script>
{% endblock %}
"""
THEME = """\
body { background: #fff; color: #222; font-family: "Segoe UI", Helvetica, Arial, sans-serif; }
:root { --jp-content-font-size1: 29px; --jp-code-font-size: 18px; --jp-cell-prompt-width: 0; }
.reveal .slides { text-align: left; }
.reveal .slides section:not(.stack) {
  height: 720px; box-sizing: border-box; padding: 12px 24px; overflow-y: auto; overscroll-behavior: contain;
}
.reveal .jp-RenderedHTMLCommon { font-size: 29px; line-height: 1.4; }
.reveal .jp-RenderedHTMLCommon h1 { font-size: 60px; margin-top: 150px; }
.reveal .jp-RenderedHTMLCommon h2 { font-size: 42px; }
.reveal .jp-RenderedHTMLCommon h3 { font-size: 32px; }
.reveal .jp-RenderedImage img {
  display: block; margin: 0 auto; min-width: 60%; max-height: 560px; object-fit: contain;
}
.reveal pre { box-shadow: none; margin: 0; width: auto; font-size: 18px; line-height: 1.3; }
.reveal aside.notes { display: none; }
"""


def slides(numbers: list[str], folder: pathlib.Path) -> list[pathlib.Path]:
    """Write the decks of the lessons `numbers` ("04") into `folder`; their paths, such as `04_losses.html`.

    Raises `CourseError` for a number that is no lesson, and where the packages with reveal.js and MathJax are
    missing or other than expected.
    """
    import nbformat
    from nbconvert.exporters import SlidesExporter

    paths = [lessons.path(number) for number in numbers]
    _copy_assets(folder / ASSETS)
    exporter = SlidesExporter(
        raw_template=TEMPLATE,
        reveal_url_prefix=f"{ASSETS}/reveal",
        reveal_theme="course",
        exclude_anchor_links=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    written = []
    for path in paths:
        deck = folder / f"{path.stem}.html"
        notebook = arranged(nbformat.read(path, as_version=4))
        page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem.replace("_", " ")}})
        files.write(deck, page)
        written.append(deck)
    return written


def _copy_assets(folder):
    for (package, version, inside), name, sha256 in COPIED:
        source = package_file(package, version, f"{inside}/{name}", sha256)
        target = folder / ("reveal" if inside == "revealjs" else "mathjax") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    files.write(folder / "reveal/dist/theme/course.css", THEME)


def arranged(lesson: Any) -> Any:
    """A notebook with one cell for each slide (and for its notes) of the stored notebook `lesson`."""
    cards = {card.position: card for card in lessons.cards(lesson)}
    left_out = {place for card in cards.values() for place in (card.stub, card.check, card.hints)}
    found, section = [], ""
    for place, cell in enumerate(lesson.cells):
        if place in left_out:
            continue
        if cell.cell_type == "code":
            found += _code(cell)
            continue
        for title, text in lessons.parts(cell.source):
            section = title or section
            text = release.without_links(text)
            if section == "Check yourself":
                found += _quiz(text)
            elif place in cards or place == 1:
                found.append(_slide(text))  # a card, or what the lesson is for: in full
            else:
                found += _prose(text if place else _title(text), bool(title) or place == 0)
    deck = copy.deepcopy(lesson)
    deck.cells = found
    return deck


def _slide(text, kind="subslide"):
    from nbformat.v4 import new_markdown_cell

    return new_markdown_cell(text.strip(), metadata={"slideshow": {"slide_type": kind}})


def _title(text):
    """The first cell without its badge and its links to other lessons."""
    return "\n\n".join(part for part in text.split("\n\n") if not re.search("colab|All lessons", part, re.I))


def _prose(text, new_section):
    """A slide with the first blocks and every formula; the whole text as notes, if that is more."""
    shown, count, blocks = [], 0, _blocks(text)
    for block in blocks:
        count += lessons.words(block)
        if count <= WORDS or not shown or block.startswith("$$") or (len(shown) == 1 and shown[0][0] == "#"):
            shown.append(block)
    cells = [_slide("\n\n".join(shown), "slide" if new_section else "subslide")] if shown else []
    return cells + ([_slide(text, "notes")] if len(shown) < len(blocks) else [])


def _blocks(text):
    """The paragraphs, lists, tables, formulas and fences of a Markdown text."""
    blank = lessons.FENCE.sub(lambda fence: re.sub(r"\n(?=\n)", "\n\0", fence[0]), text)
    return [block.replace("\0", "").strip() for block in re.split(r"\n\s*\n", blank) if block.strip()]


def _quiz(text):
    """A slide for each question with its choices, without what stands inside them."""
    choices = lessons.DETAILS.sub(lambda found: f"- {found[1].strip()}\n", text)
    questions = re.split(r"(?=^\*\*\d+\. )", choices, flags=re.MULTILINE)
    return [
        _slide(part, "slide" if part.lstrip().startswith("## ") else "subslide")
        for part in questions
        if part.strip()
    ]


def _code(cell):
    """The slides of a code cell: its code with what it prints, or each on its own."""
    tags = cell.metadata.get("tags", [])
    if "setup" in tags:
        return []
    picture = any("image/png" in output.get("data", {}) for output in cell.outputs)
    printed = sum(len(output.get("text", "").splitlines()) for output in cell.outputs)
    folded = "folded" in tags
    if folded and not picture:
        return []
    apart = picture or len(cell.source.splitlines()) + printed > LINES
    code, output = copy.deepcopy(cell), copy.deepcopy(cell)
    for part in (code, output):
        part.metadata = {"slideshow": {"slide_type": "subslide"}}
    if not apart:
        return [code]
    code.outputs = []
    output.id, output.metadata["transient"] = f"{cell.id}-out", {"remove_source": True}
    return ([] if folded else [code]) + ([output] if cell.outputs else [])
