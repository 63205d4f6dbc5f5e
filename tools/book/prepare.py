"""Write the book's sources: a copy of every lesson made for the browser, and the pages around them.

`make book` runs  prepare.py FOLDER LANGUAGE  before Sphinx; the folder is `notebooks`, or has a translation.
Nothing is executed, and the stored lessons stay as they are: what is changed here lives in
`build/book/LANGUAGE/source`, and the notebook behind a page's download link is the stored one.
"""

import base64
import html
import pathlib
import re
import shutil
import sys

import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

import glossary  # noqa: E402  (the path comes first)
from pages import PARTS, errors_page, front_page, glossary_page, translated  # noqa: E402
from pictures import keeps_its_colours  # noqa: E402
from translate import BOOK, read  # noqa: E402

import notebooks  # noqa: E402
from course_utils.classroom import lessons, slides  # noqa: E402
from course_utils.package_files import package_file  # noqa: E402

BUILD = ROOT / "build" / "book"
# What a lesson's text is cut into, to leave code, formulas, links, tags and headings as they are.
OPAQUE = re.compile(
    r"^```.*?^```|(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)|\$\$.+?\$\$|\$[^$\n]+\$|"
    r"!?\[[^\]]*\]\([^)]*\)|<[^>]+>|^#+ .*?$",
    re.DOTALL | re.MULTILINE,
)
NAMED = re.compile(r"\b([Ll]essons? )(\d\d)((?:(?:, and |, | and | or | to )\d\d\b)*)|第 ?(\d\d) ?课")
LINKS = re.compile(r"^.*\]\(\.\./README\.md#lessons\).*$", re.MULTILINE)  # the page has its own
PAGES = {"README.md": "index.md", "TEACHING.md": "teaching.md"}


def prepare(folder, out, language="en"):
    """Write the sources of the book of the lessons in `folder` into the folder `out`, which is made anew.

    `folder` holds the stored lessons, or their translations into `language` under the same names. Raises
    `SystemExit` where a lesson is missing, or a term lacks its definition.
    """
    stored = glossary.lessons(notebooks.FOLDER)
    shown = glossary.lessons(folder)
    if missing := missing_lessons(shown) + sorted(stored.keys() - shown.keys()):
        raise SystemExit(f"{folder} lacks {', '.join(missing)}")
    if problems := glossary.problems(stored):
        raise SystemExit("\n".join(problems))
    translate = read(language).look_up(BOOK)
    address = notebooks.repository()
    shutil.rmtree(out, ignore_errors=True)
    (out / "extra" / "notebooks").mkdir(parents=True)
    for name, notebook in shown.items():
        shutil.copy(folder / name, out / "extra" / "notebooks" / name)
        page = made_for_the_browser(name, notebook, stored[name], list(shown), translate)
        acts = what_can_be_done(name, address, language, translate)
        title, _, rest = page.cells[0].source.partition("\n")
        page.cells[0].source = f"{title}\n\n{acts}\n{rest}"
        if language != "en" and not translated(notebook, stored[name]):
            page.metadata["written_in"] = "en"
        (out / name).write_text(nbformat.writes(page), encoding="utf8")
    write = {
        "index.md": front_page(shown, stored, out, translate, on_colab=bool(address) and language == "en"),
        "glossary.md": translated_places(glossary_page(stored, translate), stored, shown),
        "errors.md": translated_places(errors_page(stored, translate), stored, shown),
        "teaching.md": local_links((ROOT / "TEACHING.md").read_text(encoding="utf8")),
    }
    for name, text in write.items():
        text = text if name == "index.md" else linked(text, name, list(shown))
        if language != "en" and name in ("glossary.md", "teaching.md"):
            text = f"---\nwritten_in: en\n---\n\n{text}"
        (out / name).write_text(text, encoding="utf8")
    script = out / "static" / "mathjax" / "tex-svg.js"
    script.parent.mkdir(parents=True)
    (package, version, inside), name, sha256 = slides.MATHJAX_TEX
    shutil.copy(package_file(package, version, f"{inside}/{name}", sha256), script)


def translated_places(text, stored, shown):
    """The text with its links to headings of the `stored` lessons led to the same places of those `shown`.

    Raises `SystemExit` where a translation has other headings than its lesson.
    """
    places = {}
    for name, notebook in stored.items():
        before, after = headings(notebook), headings(shown[name])
        if len(before) != len(after):
            raise SystemExit(f"{name} has {len(before)} headings, its translation {len(after)}")
        for old, new in zip(before, after, strict=True):
            places.setdefault(f"({name}#{glossary.anchor(old)})", f"({name}#{glossary.anchor(new)})")
    links = re.compile("|".join(map(re.escape, sorted(places, key=len, reverse=True))))
    return links.sub(lambda link: places[link[0]], text)


def headings(notebook):
    """The text of every heading of a lesson, in order."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    found = [glossary.HEADING.findall(lessons.FENCE.sub("", source)) for source in sources]
    return [heading for headings in found for _, heading in headings]


def missing_lessons(names):
    """The numbers of the lessons that are not among the names of files."""
    numbers = {name[:2] for name in names}
    wanted = [f"{number:02}" for part in PARTS.values() for number in part]
    return [f"lesson {number}" for number in wanted if number not in numbers]


def made_for_the_browser(name, notebook, stored, names, translate=str):
    """The notebook of a page: folded, captioned, linked, with the minutes that are left at each section."""
    cells = []
    minutes = iter(minutes_left(stored, translate))
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            cells.append(_code(cell, name, sources))
        elif lessons.LOOKED_UP in tags:  # it has a page of its own in the book
            page = "glossary" if cell.source.startswith("### ") else "errors"
            text = translate("In this book it is [a page of its own]({page}.md).").format(page=page)
            if not cells or cells[-1].source != text:
                cells.append(nbformat.v4.new_markdown_cell(text))
        else:
            source = LINKS.sub("", lessons.BADGE.sub("", cell.source)) if index == 0 else cell.source
            source = linked(local_links(source), name, names)
            source = lessons.HEADING.sub(lambda match: f"{match[0]}\n\n{next(minutes)}", _guarded(source))
            cells.append(nbformat.v4.new_markdown_cell(_unguarded(source)))
    language = {"name": "python", "pygments_lexer": "ipython3"}
    return nbformat.v4.new_notebook(cells=cells, metadata=dict(notebook.metadata, language_info=language))


def what_can_be_done(name, address, language="en", translate=str):
    """The line below a lesson's title: download, and with an `address` Colab and what to edit.

    A translated notebook is made from a catalogue: it is the catalogue that can be edited, and Colab would
    open the original.
    """
    acts = [f'<a href="notebooks/{name}" download>{translate("Download this notebook")}</a>']
    if address and language == "en":
        acts.append(f'<a href="{notebooks.colab_link(address, name)}">{translate("Open in Colab")}</a>')
    if address:
        catalogue = f"locale/{language}/{name.removesuffix('.ipynb')}.po"
        edited = catalogue if (ROOT / catalogue).exists() else f"notebooks/{name}"
        acts.append(f'<a href="{address}/edit/main/{edited}">{translate("Edit on GitHub")}</a>')
    return f'<p class="acts">{" ".join(acts)}</p>'


def minutes_left(stored, translate=str):
    """A line for each section of a lesson: its minutes, and what is left of the core with it."""
    sections = lessons.sections(stored)
    left = sum(section.minutes for section in sections if not section.deeper)
    for section in sections:
        if section.title:
            if section.deeper:
                says = translate("{minutes} min · deeper")
            else:
                says = translate("{minutes} min · {left} min of the core left")
            says = says.format(minutes=max(round(section.minutes), 1), left=max(round(left), 1))
            yield f'<p class="minutes">{says}</p>'
        left -= 0 if section.deeper else section.minutes


def _guarded(source):
    """The text with `## ` in code fences made no heading."""
    return lessons.FENCE.sub(lambda fence: fence[0].replace("\n## ", "\n\0## "), source)


def _unguarded(source):
    return source.replace("\n\0## ", "\n## ")


def _code(cell, name, sources):
    """A code cell for the page: folded if it is folded in JupyterLab; a figure with its caption."""
    made = nbformat.v4.new_code_cell(cell.source, execution_count=cell.execution_count, outputs=cell.outputs)
    tags = cell.metadata.get("tags", [])
    if {"folded", "setup"} & set(tags):
        made.metadata["tags"] = ["hide-input"]
    drawn = [output for output in cell.outputs if "image/png" in output.get("data", {})]
    if len(drawn) > 1:
        raise SystemExit(f"{name}: a cell shows {len(drawn)} figures; show each in a cell of its own")
    if drawn:
        alt = drawn[0].metadata["image/png"]["alt"]
        made.outputs = [output for output in cell.outputs if not _is_caption(output, alt)]
        made.metadata["mystnb"] = {
            "image": {"alt": alt},
            "figure": {"caption": re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", alt)},
        }
        if keeps_its_colours(cell.source, base64.b64decode(drawn[0].data["image/png"]), sources):
            made.metadata["mystnb"]["image"]["classes"] = "keep-colours"
    return made


def _is_caption(output, alt):
    return html.escape(alt) in output.get("data", {}).get("text/html", "")


def local_links(text):
    """The text with links to the course's own documents led to their pages."""
    text = re.sub(r"\]\((?:\.\./)?README\.md#\w+\)", "](index.md)", text)
    for document, page in PAGES.items():
        text = re.sub(rf"\]\((?:\.\./)?{re.escape(document)}", f"]({page}", text)
    text = re.sub(r"\]\(notebooks/(\d\d_\w+\.ipynb)", r"](\1", text)
    return text


def linked(text, name, names):
    """The text with "lesson 07" in its prose led to that lesson's page."""
    files = {other[:2]: other for other in names if other != name}

    def link(number, words):
        return f"[{words}]({files[number]})" if number in files else words

    def named(match):
        if match[4]:  # in Chinese
            return link(match[4], match[0])
        more = re.sub(r"\d\d", lambda number: link(number[0], number[0]), match[3])
        if match[3]:
            return match[1] + link(match[2], match[2]) + more
        return link(match[2], match[1] + match[2])

    made, end = [], 0
    for opaque in OPAQUE.finditer(text):
        made += [NAMED.sub(named, text[end : opaque.start()]), opaque[0]]
        end = opaque.end()
    return "".join([*made, NAMED.sub(named, text[end:])])


def main(folder, language):
    """Prepare the book of the lessons in `folder`; raises `SystemExit`, as `prepare` does, if it has none."""
    if not any(pathlib.Path(folder).glob("*.ipynb")):
        raise SystemExit(f"{folder} has no lessons: type  make notebooks-lang LANG={language}")
    prepare(pathlib.Path(folder), BUILD / language / "source", language)


if __name__ == "__main__":
    main(*sys.argv[1:])
