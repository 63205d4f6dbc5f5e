"""Translate the course: catalogues for translators, the lessons in their language, a table of what is done.

For authors, in a checkout:

- `make po LANG=zh_CN` writes `locale/zh_CN/NN_topic.po` for every lesson (LESSONS="00 01" for some), and
  `checks.po` with what every check can say, and `book.po` with the book's own pages. What is translated
  stays; what has changed is marked fuzzy.
- `make notebooks-lang LANG=zh_CN` writes the lessons in that language into `build/notebooks/zh_CN`.

Both refuse a translation that loses code, a formula, a link, a number or an emphasis, and compile what runs
look up (`course_utils.translation`) into `course_utils/locale`. What is missing or fuzzy stays English.

Source: the PO format and its fuzzy marks, https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html
"""

import ast
import collections
import copy
import dataclasses
import datetime
import functools
import html
import io
import os
import pathlib
import re
import string
import sys

import glossary
import nbformat
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from IPython.core.inputtransformer2 import TransformerManager
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from course_utils import exercises
from course_utils.classroom.lessons import BADGE
from course_utils.translation import message

ROOT = pathlib.Path(__file__).parent.parent
LESSONS = ROOT / "notebooks"
LOCALE = ROOT / "locale"  # what translators write
COMPILED = ROOT / "course_utils" / "locale"  # what a learner's run looks up
GENERATED = ROOT / "build" / "notebooks"
BOOK_TOOLS = ROOT / "tools" / "book"
ENGINE, BOOK = "checks", "book"  # the catalogues of what is said in every lesson, and of the book's own pages
LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
NOTE = message(
    "{share} % of this lesson's texts are translated. What is missing is in English, as are code, the titles "
    "of figures and what programs print."
)
HEADER = '# Translation of the course\'s lessons. See CONTRIBUTING.md, "Translate a lesson".'

# What kind of text a message is stands beside it in the catalogue: what has to be kept depends on it.
MARKDOWN, CLAIM, CAPTION, CHECK, TEMPLATE = "text", "claim", "caption", "check", "check, with fields"
PAGE = "page of the book, with fields"
NOT_IN_RUNS = {MARKDOWN, PAGE}
# Outside of these a line needs a letter to be worth a translation: code, formulas, tags, targets of links.
OPAQUE = re.compile(r"(`+).+?\1|\$\$.+?\$\$|\$[^$]+\$|</?[a-z][^<>]*>|\]\([^)]*\)")
TARGET = re.compile(r"\]\(([\w.-]*\.ipynb)?#([^)\s]+)\)")
KEPT = re.compile(r"\d+(?:[.,]\d+)*|[✓○✗★☆◆←→]")  # numbers, and signs that mean something
SETUP = "\n\nsetup()"
SPEAK = (
    '\n\nimport os\n\nos.environ.setdefault("COURSE_LANG", "{language}")  # claims, captions, checks\nsetup()'
)

markdown = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin)


# What there is to translate -----------------------------------------------------------------------------


def in_markdown(source, look_up):
    """A Markdown text with `look_up(line)` in the place of each line that is a message; the rest as it is.

    A message is a line without the space around it, outside code fences, with a letter outside code and
    formulas. The line of the badge is none: `tools/notebooks.py` writes it.
    """
    lines, fenced = source.split("\n"), False
    for position, line in enumerate(lines):
        text = line.strip()
        if text.startswith("```"):
            fenced = not fenced
        elif not fenced and not BADGE.match(text) and re.search(r"[^\W\d_]", OPAQUE.sub("", text)):
            lines[position] = line.replace(text, look_up(text), 1)
    return "\n".join(lines)


def code_texts(sources):
    """The constant texts of claims and captions in the code cells of a lesson: [(text, kind), ...].

    Second, how many claims and captions there are whose text is computed.
    """
    trees = [_tree(source) for source in sources]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    named = collections.defaultdict(list)  # what names are set to: a caption is often chosen above its figure
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                named[ast.unparse(target)].append(node.value)
    found, computed = [], 0
    for call in (node for node in nodes if isinstance(node, ast.Call)):
        values = [(keyword.value, CAPTION) for keyword in call.keywords if keyword.arg == "alt"]
        if ast.unparse(call.func) == "claim" and call.args:
            values = [(call.args[0], CLAIM)]
        for value, kind in values:
            texts = list(_constants(value, dict(named)))
            found += [(text, kind) for text in texts]
            computed += not texts
    return found, computed


def _tree(source):
    """The syntax tree of a code cell, magics included; an empty one if it is a syntax error on purpose."""
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def _constants(node, named):
    """The constant strings that an expression can be."""
    match node:
        case ast.Constant(str(text)):
            yield text
        case ast.IfExp():
            yield from _constants(node.body, named)
            yield from _constants(node.orelse, named)
        case ast.Name(name):
            for value in named.pop(name, ()):
                yield from _constants(value, named)


def exercise_texts(source):
    """The constant texts of a module of `course_utils.exercises` that a check can show."""
    tree = ast.parse(source)
    judges, found = set(), []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        place = {"exercise": 1, "mistake": 0, "case": 0}.get(ast.unparse(call.func))
        if place is None or len(call.args) <= place:
            continue
        found += _constants(call.args[place], {})
        for keyword in call.keywords if place == 1 else ():
            if keyword.arg == "returns":
                names = getattr(keyword.value, "elts", [keyword.value])
                found += [text for name in names for text in _constants(name, {})]
            elif keyword.arg == "judge":
                judges.add(ast.unparse(keyword.value))
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        if function.name in judges:
            returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
            found += [text for value in returned for text in _constants(value, {}) if text]
    return [(text, CHECK) for text in found]


def engine_texts(source, kind=TEMPLATE):
    """The texts that a module marks by `translate(...)` or `message(...)`."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    marked = [call for call in calls if ast.unparse(call.func) in ("translate", "message")]
    return [(text, kind) for call in marked for text in _constants(call.args[0], {})]


def lesson_texts(name, notebook):
    """All texts of the lesson called `name` ("00_start_here"), as `code_texts` gives those of its code."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            in_markdown(cell.source, lambda text: found.append((text, MARKDOWN)) or text)
    spoken, computed = code_texts([cell.source for cell in notebook.cells if cell.cell_type == "code"])
    module = ROOT / "course_utils" / "exercises" / f"lesson_{name}.py"
    checked = exercise_texts(module.read_text(encoding="utf8")) if module.exists() else []
    return found + spoken + checked, computed


def book_texts():
    """All texts of the book's own pages: the front page, and what its tools write."""
    found = []
    front = (BOOK_TOOLS / "front.md").read_text(encoding="utf8")
    in_markdown(front, lambda text: found.extend([(text, MARKDOWN), (text, PAGE)]) or text)
    found = [(text, kind) for text, kind in found if not re.fullmatch(r"{\w+}", text)]
    for path in sorted(BOOK_TOOLS.glob("*.py")):
        found += engine_texts(path.read_text(encoding="utf8"), PAGE)
    return found


def course_texts():
    """{name of a catalogue: (its texts, how many are computed)}, and {file name: notebook}."""
    notebooks = glossary.lessons(LESSONS)
    sources = [path.read_text(encoding="utf8") for path in sorted((ROOT / "course_utils").rglob("*.py"))]
    sources = [source for source in sources if "course_utils.translation import" in source]
    sources.append(pathlib.Path(__file__).read_text(encoding="utf8"))
    engine = [found for source in sources for found in engine_texts(source)]
    texts = {ENGINE: (engine, 0)}
    for file, notebook in notebooks.items():
        name = file.removesuffix(".ipynb")
        texts[name] = lesson_texts(name, notebook)
    texts[BOOK] = book_texts(), 0
    return texts, notebooks


# What a translation has to keep -------------------------------------------------------------------------


def kept(text, kinds):
    """What a translation of `text` has to keep, counted: {what: how often}."""
    found = collections.Counter()
    if MARKDOWN in kinds:
        _count(markdown.parse(text), [], found)
    else:
        _count_plain(text, found)
    if {TEMPLATE, PAGE} & set(kinds):
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]
        found.update(f"the field {{{field}}}" for field in fields)
        found["lines"] = text.count("\n")
    return found


def _count(tokens, path, found):
    """Count markdown-it's tokens by type and by what they stand in; of text only numbers and signs."""
    for token in tokens:
        if token.nesting < 0:
            path = path[:-1]
            continue
        kind = token.type.removesuffix("_open")
        own = [kind, token.tag if kind == "heading" else "", *map(str, token.attrs.values())]
        if token.type == "inline":
            _count(token.children, path, found)
        elif token.type == "html_block":
            _count_plain(token.content, found)
        elif token.type == "text":
            found.update(KEPT.findall(token.content))
        else:
            own.append(token.content)
            found[" in ".join([" ".join(filter(None, own)), *reversed(path)])] += 1
        if token.nesting > 0:
            path = [*path, kind]


def _count_plain(text, found):
    """Count code, formulas, tags, and the numbers and signs outside them, in a text that is no Markdown."""
    found.update(match[0] for match in OPAQUE.finditer(text))
    found.update(KEPT.findall(OPAQUE.sub("", text)))


def broken(text, translation, kinds):
    """What `translation` does not keep of `text` or adds to it, a sentence; "" if it keeps all."""
    try:
        wanted, got = kept(text, kinds), kept(translation, kinds)
    except ValueError as error:  # a single brace in a text with fields
        return f"its fields cannot be read: {error}"
    lost, more = (wanted - got).elements(), (got - wanted).elements()
    parts = [("lacks", list(lost)), ("adds", list(more))]
    return " and ".join(f"{verb} {', '.join(found)}" for verb, found in parts if found)


# Catalogues ---------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Translation:
    """The catalogues of one language: {name: Babel's Catalog}, and where they are."""

    language: str
    catalogues: dict

    def look_up(self, name):
        """The function that gives the translation of a text of the lesson `name`, or the text itself."""
        own, common = self.catalogues.get(name), self.catalogues.get(ENGINE)

        def found(text):
            entries = [catalogue.get(text) for catalogue in (own, common) if catalogue is not None]
            return next((entry.string for entry in entries if done(entry)), text)

        return found

    def counts(self, name, texts):
        """(translated, fuzzy, missing) of `texts`, each text counted once."""
        catalogue = self.catalogues.get(name) or Catalog()
        entries = [catalogue.get(text) for text in dict.fromkeys(text for text, _ in texts)]
        translated = sum(map(done, entries))
        fuzzy = sum(entry is not None and entry.fuzzy for entry in entries)
        return translated, fuzzy, len(entries) - translated - fuzzy


def done(entry):
    """Whether a catalogue's entry is translated, and not fuzzy."""
    return entry is not None and bool(entry.string) and not entry.fuzzy


def path_of(language, name):
    return LOCALE / language / f"{name}.po"


def read(language):
    """The `Translation` into `language`, empty if there is none yet.

    Raises `SystemExit` if `language` is no name such as "zh_CN", or naming file and line of each translation
    that does not keep what its text has, and of those that differ between two lessons where a run knows no
    lesson.
    """
    if not LANGUAGE.fullmatch(language):
        raise SystemExit("say which language, as in  make po LANG=zh_CN")
    catalogues = {}
    for path in sorted((LOCALE / language).glob("*.po")):
        with open(path, "rb") as file:
            catalogues[path.stem] = read_po(file, locale=language)
    if problems := list(problems_of(Translation(language, catalogues))):
        raise SystemExit("\n".join(problems))
    return Translation(language, catalogues)


def problems_of(translation):
    """A line "file:line: what is wrong" for each translation that cannot be used."""
    spoken = {}
    for name, catalogue in translation.catalogues.items():
        for entry in catalogue:
            if not entry.id or not done(entry):
                continue
            place = f"{path_of(translation.language, name).relative_to(ROOT).as_posix()}:{entry.lineno}"
            if wrong := broken(entry.id, entry.string, entry.auto_comments):
                yield f"{place}: the translation {wrong}"
            if set(entry.auto_comments) - NOT_IN_RUNS:
                other, first = spoken.setdefault(entry.id, (entry.string, place))
                if other != entry.string:
                    yield f"{place}: claims and checks need one translation everywhere; see {first}"


def update(translation, texts, names):
    """Bring the catalogues `names` up to date with the course's `texts`; write those that changed."""
    memory = {
        entry.id: entry.string
        for catalogue in translation.catalogues.values()
        for entry in catalogue
        if entry.id and done(entry)
    }
    for name in names:
        template = Catalog()
        for text, kind in texts[name][0]:
            template.add(text, auto_comments=[kind])
        catalogue = translation.catalogues.setdefault(name, new_catalogue(translation.language))
        for entry in list(catalogue.obsolete.values()):  # it may have come back
            catalogue[entry.id] = entry
        catalogue.obsolete.clear()
        catalogue.update(template, update_creation_date=False)
        for entry in catalogue:
            if entry.id:
                entry.flags -= {"python-format", "python-brace-format"}  # "60 % right" is no format
                if not entry.string and entry.id in memory:  # the same words in another lesson
                    entry.string = memory[entry.id]
        text = io.BytesIO()
        write_po(text, catalogue, width=0, include_previous=True)
        write(path_of(translation.language, name), text.getvalue())


def new_catalogue(language):
    now = datetime.datetime.now(datetime.UTC).replace(second=0, microsecond=0)
    return Catalog(
        locale=language,
        project="pytorch-hf-course",
        version="1",
        header_comment=HEADER,
        creation_date=now,
        revision_date=now,
        fuzzy=False,
    )


def compile_catalogue(translation):
    """Write what claims, captions and checks look up into one file of the package, if it changed."""
    made = compiled(translation)
    path = COMPILED / f"{translation.language}.mo"
    if path.exists():
        with open(path, "rb") as file:
            if spoken(read_mo(file)) == spoken(made):
                return
    elif not spoken(made):
        return
    file = io.BytesIO()
    write_mo(file, made)
    write(path, file.getvalue())


def compiled(translation):
    """The catalogue of all that a run can say, out of all catalogues."""
    never = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)  # the file changes with its texts alone
    made = Catalog(locale=translation.language, creation_date=never, revision_date=never, fuzzy=False)
    for catalogue in translation.catalogues.values():
        for entry in catalogue:
            if entry.id and done(entry) and set(entry.auto_comments) - NOT_IN_RUNS:
                made.add(entry.id, entry.string)
    return made


def spoken(catalogue):
    return {entry.id: entry.string for entry in catalogue if entry.id}


def write(path, content):
    """Write bytes beside `path` and rename, unless they stand there already."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(content)
    os.replace(beside, path)


# Notebooks ----------------------------------------------------------------------------------------------


def translated(notebook, look_up):
    """A copy of `notebook` with its Markdown and what its claims, captions and checks printed looked up."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        if cell.cell_type == "markdown":
            cell.source = in_markdown(cell.source, look_up)
        for output in cell.get("outputs", ()):
            _translate_output(output, look_up)
    return made


def _translate_output(output, look_up):
    """Look up what a claim, a caption or a check printed; what a program printed stays."""
    if output.output_type == "stream":
        output.text = "\n".join(_translated_line(line, look_up) for line in output.text.split("\n"))
    elif output.output_type == "error":
        message = output.evalue
        output.evalue = look_up(message)
        last = output.traceback[-1] if output.traceback else ""
        if message and last.endswith(message):
            output.traceback[-1] = last.removesuffix(message) + output.evalue
    elif "text/plain" in output.get("data", {}):
        alt = output.data["text/plain"]
        output.data["text/plain"] = look_up(alt)
        if "alt" in output.metadata.get("image/png", {}):
            output.metadata["image/png"]["alt"] = look_up(output.metadata["image/png"]["alt"])
        if "text/html" in output.data:
            page, shown = output.data["text/html"], html.escape(alt)
            output.data["text/html"] = page.replace(f">{shown}<", f">{html.escape(look_up(alt))}<")


def _translated_line(line, look_up):
    if line.startswith("✓ ") and look_up(line[2:]) != line[2:]:
        return f"✓ {look_up(line[2:])}"
    verdict = re.match(r"([✓○✗]) (\d+\.\d+) ", line)
    title = exercise_titles().get(verdict[2]) if verdict else None
    if title is None or not line[verdict.end() :].startswith(title):
        return line
    said = line[verdict.end() + len(title) :]
    name = f"{verdict[1]} {verdict[2]} {look_up(title)}"
    if not said.startswith(": "):
        return name + said
    return look_up("{name}: {text}").format(name=name, text=look_up(said[2:]))


@functools.cache
def exercise_titles():
    """{"4.2": the title of the exercise, ...}."""
    return {number: title for _, own in exercises.catalogue().values() for number, title in own.items()}


def follow_headings(notebooks, originals):
    """Let links that lead to a heading lead to what it is called now."""
    moved = {name: dict(_anchors(originals[name], notebooks[name])) for name in notebooks}
    for name, notebook in notebooks.items():

        def target(link, name=name):
            file, anchor = link[1] or "", link[2]
            return f"]({file}#{moved.get(file or name, {}).get(anchor, anchor)})"

        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = TARGET.sub(target, cell.source)


def _anchors(original, made):
    """Pairs of what a heading's address was and is."""
    for old, new in zip(original.cells, made.cells, strict=True):
        if old.cell_type == "markdown":
            pairs = zip(old.source.split("\n"), new.source.split("\n"), strict=False)  # a note may follow
            for before, after in pairs:
                if before != after and (heading := glossary.HEADING.match(before)):
                    title = glossary.HEADING.match(after)[2]
                    yield glossary.anchor(heading[2]), glossary.anchor(title)


def finish(notebook, share, language, look_up):
    """Say at the top how much is translated, and let a learner's own run speak the language."""
    notebook.cells[0].source += "\n\n" + look_up(NOTE).format(share=share)
    for cell in notebook.cells:
        if "setup" in cell.metadata.get("tags", []):
            cell.source = cell.source.removesuffix(SETUP) + SPEAK.format(language=language)


def write_notebooks(translation, texts, originals):
    """Write every lesson in the language. Of one without any translated text nothing is looked up."""
    folder = GENERATED / translation.language
    made = {}
    for file, notebook in originals.items():
        name = file.removesuffix(".ipynb")
        counts = translation.counts(name, texts[name][0])
        look_up = translation.look_up(name) if counts[0] else str
        made[file] = translated(notebook, look_up)
        if counts[0]:
            finish(made[file], share_of(counts), translation.language, look_up)
    follow_headings(made, originals)
    for file, notebook in made.items():
        write(folder / file, (nbformat.writes(notebook) + "\n").encode())
    for old in set(folder.glob("*.ipynb")) - {folder / file for file in made}:
        old.unlink()


def share_of(counts):
    """Percent translated, rounded down: 100 means all."""
    return 100 * counts[0] // max(sum(counts), 1)


def table(translation, texts):
    """How much of every catalogue is translated, as text."""
    lines = [f"{translation.language:31} translated  fuzzy  missing  share"]
    for name, (found, _) in texts.items():
        counts = translation.counts(name, found)
        lines.append(f"{name:31} {counts[0]:10} {counts[1]:6} {counts[2]:8} {share_of(counts):4} %")
    computed = sum(number for _, number in texts.values())
    lines.append(f"In English whatever is translated: {computed} claims and captions with computed texts.")
    return "\n".join(lines)


def main(command, language="", numbers=()):
    """`po` or `notebooks` for one language; `po` for the lessons `numbers` ("00"), or all."""
    translation = read(language)
    if command == "notebooks" and not translation.catalogues:
        raise SystemExit(f"there is no translation into {language} yet: type  make po LANG={language}")
    texts, originals = course_texts()
    if command == "po":
        if unknown := set(numbers) - {name[:2] for name in texts}:
            raise SystemExit(f"there is no lesson {' '.join(sorted(unknown))}")
        chosen = [name for name in texts if name in (ENGINE, BOOK) or not numbers or name[:2] in numbers]
        update(translation, texts, chosen)
        translation = read(language)
    compile_catalogue(translation)
    if command == "notebooks":
        write_notebooks(translation, texts, originals)
    print(table(translation, texts))


if __name__ == "__main__":
    if sys.argv[1:2] not in (["po"], ["notebooks"]):
        raise SystemExit("type  make po LANG=zh_CN  or  make notebooks-lang LANG=zh_CN")
    main(sys.argv[1], "".join(sys.argv[2:3]), sys.argv[3:])
