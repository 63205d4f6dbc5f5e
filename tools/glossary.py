"""The glossary and the errors by message of lesson 19, made out of what the lessons store.

A term is what a lesson sets in bold where it introduces it. `tools/glossary.toml` names every term, with a
definition where the lesson's own sentence doesn't read well alone, and lists the bold words that are mere
emphasis. `problems()` says what is missing there, `entries()` and `errors()` are what the pages are made of
(the book makes its own pages out of them), and `write` puts both into lesson 19.
"""

import dataclasses
import pathlib
import re
import tomllib

import nbformat
from nbformat.v4 import new_markdown_cell

from course_utils.classroom.lessons import LOOKED_UP

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
DATA = ROOT / "tools" / "glossary.toml"
TAG = LOOKED_UP  # of the cells that are made here: no minutes are counted for them
GLOSSARY, ERRORS = "Glossary", "Errors by their message"  # the sections of lesson 19 that hold them
CARD = "### Your turn"
# Where bold is never the first use of a term: objectives stand in cells 0 and 1, choices in quizzes.
NO_TERMS_IN = ("Recap", "Check yourself", "Go further", GLOSSARY, ERRORS)
LABELS = {"what it means", "the fix", "next", "guess", "your own texts", "cost"}  # furniture
LONGEST = 4  # words: what is longer is a statement, not a term
BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*", re.DOTALL)
FENCE = re.compile(r"^```.*?^```|\$\$.*?\$\$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^(#{1,6}) +(.+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Place:
    """A heading of a lesson."""

    file: str
    heading: str

    @property
    def link(self):
        """A link that opens the lesson at this heading in JupyterLab."""
        title = self.heading.removeprefix("◆ Deeper · ")
        title = re.sub(r"^Your turn (\S+) .*", r"exercise \1", title)
        return f"[{self.file[:2]} · {title}]({self.file}#{anchor(self.heading)})"


@dataclasses.dataclass(frozen=True)
class Use:
    """Bold words that may be a term, with the sentence and the section that they stand in."""

    words: str
    sentence: str
    place: Place
    card: bool  # on an exercise's card, where bold is emphasis unless the data file names the very place


@dataclasses.dataclass(frozen=True)
class Entry:
    """A term of the glossary and the place where a lesson introduces it."""

    name: str
    definition: str
    place: Place
    also: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Case:
    """One lesson's way to an error: the message there, what it means, and the fix."""

    place: Place
    message: str
    means: str
    fix: str


@dataclasses.dataclass(frozen=True)
class Error:
    """An error that lessons make on purpose; other numbers in its message make no other error of it."""

    kind: str
    cases: tuple[Case, ...]

    @property
    def message(self):
        return self.cases[0].message


def anchor(heading):
    """What JupyterLab calls a heading in an address: its text without marks, dashes for spaces."""
    text = re.sub(r"[`*]", "", heading)
    return text.replace(" ", "-").replace("(", "%28").replace(")", "%29")


def lessons(folder=FOLDER):
    """{file name: notebook} of the stored lessons, in order."""
    return {path.name: nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))}


def uses(stored):
    """The bold words of the lessons that may be terms, in reading order; place and length rule others out."""
    found = []
    for file, notebook in stored.items():
        section = heading = ""
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "markdown" or TAG in cell.metadata.get("tags", []):
                continue
            source = FENCE.sub(lambda match: " " * len(match[0]), cell.source)
            card = source.startswith(CARD)
            marks = [*HEADING.finditer(source), *BOLD.finditer(source)]
            for match in sorted(marks, key=lambda match: match.start()):
                if match.re is HEADING:
                    heading = match[2]
                    section = heading if len(match[1]) == 2 else section
                elif index > 1 and section not in NO_TERMS_IN and _may_be_term(match[1], source):
                    # What follows an exercise goes on with the section, not with the exercise.
                    here = section if heading.startswith("Your turn") and not card else heading
                    found.append(Use(_words(match[1]), _sentence(source, match), Place(file, here), card))
    return found


def _may_be_term(bold, source):
    """Whether bold words are neither furniture nor a statement, nor in an exercise's hints."""
    words = _words(bold)
    hints = source.startswith("<details>")
    return not hints and words.lower() not in LABELS and len(words.split()) <= LONGEST


def _words(bold):
    return re.sub(r"\s+", " ", bold.replace("`", "")).rstrip(".:,")


def _sentence(source, match):
    """The sentence around a match, its bold marks off."""
    start = max(source.rfind("\n\n", 0, match.start()), source.rfind("\n- ", 0, match.start())) + 1
    start = max(start, source.rfind("\n|", 0, match.start()) + 1)
    ends = [end for end in (source.find(mark, match.end()) for mark in ("\n\n", "\n- ")) if end >= 0]
    paragraph = source[start : min(ends, default=len(source))]
    at = match.start() - start
    parts = re.split(r"(?<=[.?!:])\s+(?=[A-Z*`$])", paragraph)
    for part in parts:
        if at < len(part) + 1:
            return re.sub(r"\s+", " ", part.replace("**", "")).strip(" -")
        at -= len(part) + 1
    return re.sub(r"\s+", " ", parts[-1].replace("**", "")).strip(" -")


def terms(data=DATA):
    """{name: (definition or "", the patterns of its bold words, other names)} out of the data file."""
    found = {}
    for name, value in tomllib.loads(data.read_text(encoding="utf8"))["terms"].items():
        table = {"says": value} if isinstance(value, str) else value
        found[name] = (table["says"], table.get("bold", [name]), table.get("also", []))
    return found


def emphasis(data=DATA):
    """The patterns of the bold words that are no terms."""
    table = tomllib.loads(data.read_text(encoding="utf8"))["emphasis"]
    return [pattern for patterns in table.values() for pattern in patterns]


def fits(pattern, use):
    """0 if a pattern such as "rank @ 10" does not fit a use, 1 if it does, 2 if it names the use's place."""
    words, _, where = pattern.partition(" @ ")
    if words.lower() != use.words.lower():
        return 0
    if not where:
        return 0 if use.card else 1
    return 2 * (use.place.file.startswith(where) if where.isdigit() else where in use.place.heading)


def _named(use, names, no_terms):
    """The term that a use is of, "" for emphasis, None where the data file says neither."""
    found = [(fits(pattern, use), name) for name, (_, bold, _) in names.items() for pattern in bold]
    found += [(fits(pattern, use), "") for pattern in no_terms]
    best = max(found, key=lambda item: item[0])
    return best[1] if best[0] else None


def entries(stored, data=DATA):
    """The glossary: an Entry for each term that a lesson introduces, by name."""
    names, no_terms = terms(data), emphasis(data)
    found = {}
    for use in uses(stored):
        name = _named(use, names, no_terms)
        if name and name not in found:
            says, bold, also = names[name]
            plain = [pattern.partition(" @ ")[0] for pattern in bold if " @ " not in pattern]
            others = tuple(dict.fromkeys(word for word in [*plain, *also] if word.lower() != name.lower()))
            found[name] = Entry(name, says or use.sentence, use.place, others)
    return sorted(found.values(), key=lambda entry: entry.name.lstrip("-").lower())


def problems(stored, data=DATA):
    """What the data file lacks, or has for nothing: sentences that say what to do."""
    names, no_terms = terms(data), emphasis(data)
    every, found = uses(stored), []
    unnamed = [use for use in every if not use.card and _named(use, names, no_terms) is None]
    unnamed = {use.words.lower(): use for use in reversed(unnamed)}
    for use in reversed(unnamed.values()):
        found.append(
            f"lesson {use.place.file[:2]} sets **{use.words}** in bold, under {use.place.heading!r}. If that "
            f"is a term, write into tools/glossary.toml, under [terms], the line\n"
            f'    "{use.words}" = "A definition of one sentence."\n'
            f'  (or = "" if the lesson\'s sentence says it alone: {use.sentence!r});\n'
            "  if it is mere emphasis, add it under [emphasis].\n"
            "  Then type  make glossary"
        )
    introduced = {entry.name for entry in entries(stored, data)}
    found += [
        f"no lesson sets the term {name!r} of tools/glossary.toml in bold"
        for name in names.keys() - introduced
    ]
    patterns = [*no_terms, *(pattern for _, bold, _ in names.values() for pattern in bold)]
    found += [
        f"{pattern!r} in tools/glossary.toml fits nothing in bold"
        for pattern in patterns
        if not any(fits(pattern, use) for use in every)
    ]
    found += [
        f"{pattern!r} stands in tools/glossary.toml twice"
        for pattern in set(patterns)
        if patterns.count(pattern) > 1
    ]
    for entry in entries(stored, data):
        if not re.search(r"[.?!]$", entry.definition) or len(entry.definition.split()) < 4:
            found.append(f"the definition of {entry.name!r} is no sentence: {entry.definition!r}")
    return found


def errors(stored):
    """The errors that lessons make on purpose, each message once, with what the lessons say about it."""
    found = {}
    for file, notebook in stored.items():
        heading = ""
        for cell, after in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
            if cell.cell_type == "markdown":
                headings = HEADING.findall(FENCE.sub("", cell.source))
                heading = headings[-1][1] if headings else heading
            if "raises-exception" not in cell.metadata.get("tags", []):
                continue
            for output in cell.outputs:
                if output.output_type == "error":
                    case = Case(Place(file, heading), _message(output.evalue), *_explanation(after))
                    key = (output.ename, re.sub(r"\d+", "0", case.message))  # the same with other sizes
                    found[key] = (*found.get(key, ()), case)
    made = [Error(kind, cases) for (kind, _), cases in found.items()]
    return sorted(made, key=lambda error: error.message.lower())


def _message(text):
    """The beginning of an error's text, on one line, without colours."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= 160 else text[:160].rsplit(" ", 1)[0] + " …"


def _explanation(cell):
    """(What it means, the fix), as the cell after an error says it; without these words all is the fix."""
    if cell is None or cell.cell_type != "markdown":
        return "", ""
    paragraph = cell.source.split("\n\n")[0].replace("\n", " ")
    means, _, fix = re.sub(r"\*\*The fix\.?\*\*:? ?", "\0", paragraph).rpartition("\0")
    fix = fix[:1].upper() + fix[1:]
    return means.replace("**What it means.**", "").strip(), fix.replace("Is to find", "Find")


def error_cells(stored):
    """The Markdown cell of the errors: a table by message, with a row for each lesson that makes it."""
    rows = ["| the message | its kind | what it means, and the fix | the lesson |", "|---|---|---|---|"]
    for error in errors(stored):
        for case in error.cases:
            means = re.split(r"(?<=[.?!]) (?=[A-Z`])", case.means)[0]
            says = f"{means} **The fix**: {case.fix}" if means else case.fix
            cells = (as_code(case.message), error.kind, says, case.place.link)
            rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return ["\n".join(rows)]


def as_code(text):
    """Text as Markdown code, whatever backticks it has."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def glossary_cells(stored):
    """The Markdown cells of the glossary: a heading and a list for each letter."""
    letters = {}
    for entry in entries(stored):
        first = entry.name.lstrip("-")[0].upper()
        own = entry.name.lower()  # a plural, or a part of the name, says nothing new
        others = [name for name in entry.also if name.lower().rstrip("s") not in own]
        names = f"**{entry.name}**" + (f" ({', '.join(others)})" if others else "")
        line = f"- {names}: {entry.definition} {entry.place.link}"
        letters.setdefault(first if first.isalpha() else "0 to 9", []).append(line)
    return [f"### {letter}\n\n" + "\n".join(lines) for letter, lines in letters.items()]


def write(notebook, stored):
    """Put the errors and the glossary into a notebook that has their sections, in place of the old ones."""
    for section, made in ((ERRORS, error_cells(stored)), (GLOSSARY, glossary_cells(stored))):
        starts = [i for i, cell in enumerate(notebook.cells) if cell.source.startswith(f"## {section}\n")]
        if not starts:
            continue
        end = starts[0] + 1
        while end < len(notebook.cells) and TAG in notebook.cells[end].metadata.get("tags", []):
            end += 1
        notebook.cells[starts[0] + 1 : end] = [
            new_markdown_cell(source, metadata={"tags": [TAG]}) for source in made
        ]
