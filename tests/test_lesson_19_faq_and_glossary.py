"""Lesson 19: no term without an entry, no link to nowhere, no answer without a cell; and what makes them."""

import copy
import functools
import re
import types

import glossary
import lessons
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from torch import nn
from transformers import DataCollatorForTokenClassification

import notebooks
from course_utils import checkpoints
from course_utils.exercises import lesson_19_faq_and_glossary as declared

LESSON = lessons.read(lessons.FOLDER / "19_faq_and_glossary.ipynb")
STORED = glossary.lessons()
LINK = re.compile(r"\]\(((?:\d\d_\w+\.ipynb)?)(?:#([^)\s]+))?\)")
ASKED = ("Where to begin", "Choosing", "Your own data", "It raises", "It runs, and learns nothing")
ASKED += ("Memory and time", "Numbers that differ", "Loading, saving, versions")
ASKED += ("Using it, and what it may be used for",)
NAMED = re.compile(r"\b[Ll]esson (\d\d)\b")  # how an answer names a lesson


@functools.cache
def headings(file):
    """What JupyterLab calls the headings of a lesson."""
    found = lessons.headings(lessons.Lesson(file, STORED[file]))
    return {glossary.anchor(text) for _, text in found}


def questions():
    """{question: its cells}, the exercises left out."""
    found = {}
    for section in ASKED:
        question = None
        for cell in LESSON.section(section):
            if cell.cell_type == "markdown" and cell.source.startswith("### "):
                question = cell.source.splitlines()[0].removeprefix("### ")
                question = None if question.startswith("Your turn") else question
            if question:
                found.setdefault(question, []).append(cell)
    return found


# What is stored ---------------------------------------------------------------------------------------------


def test_every_bold_term_of_every_lesson_has_an_entry():
    found = glossary.problems(STORED)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("section", [glossary.GLOSSARY, glossary.ERRORS])
def test_glossary_and_errors_are_those_of_the_lessons(section):
    made = {glossary.GLOSSARY: glossary.glossary_cells, glossary.ERRORS: glossary.error_cells}[section]
    written = [cell.source for cell in LESSON.section(section) if glossary.TAG in lessons.tags(cell)]
    assert written == made(STORED), "a lesson has changed since they were written: type  make glossary"


def test_every_first_use_and_every_other_link_leads_to_a_heading():
    for cell in LESSON.markdown:
        for file, place in LINK.findall(cell.source):
            file = file or LESSON.name
            assert file in STORED, f"no lesson {file}: {cell.source[:60]}"
            there = headings(file)
            assert not place or place in there, f"{file} has no heading {place}; it has {sorted(there)}"


def test_a_first_use_is_the_first():
    uses, terms, emphasis = glossary.uses(STORED), glossary.terms(), glossary.emphasis()
    for entry in glossary.entries(STORED):
        bold = terms[entry.name][1]
        if any(" @ " in pattern for pattern in bold):  # a place is named: it is one of the places that fit
            fitting = [use.place for use in uses if any(glossary.fits(pattern, use) for pattern in bold)]
            assert entry.place in fitting, entry
        else:
            words = {pattern.lower() for pattern in bold}
            taken = [use for use in uses if use.words.lower() in words and not use.card]
            others = [pattern for name in terms for pattern in terms[name][1] if name != entry.name]
            others += emphasis
            assert entry.place in [use.place for use in taken], entry
            before = taken[: [use.place for use in taken].index(entry.place)]
            assert all(any(glossary.fits(pattern, use) == 2 for pattern in others) for use in before), entry


def test_every_error_on_purpose_is_listed_with_its_fix():
    listed = glossary.errors(STORED)
    assert all(len(case.fix) > 4 for error in listed for case in error.cases)
    raised = sum(
        output.output_type == "error"
        for notebook in STORED.values()
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    assert sum(len(error.cases) for error in listed) == raised
    places = {(case.place.file, error.kind) for error in listed for case in error.cases}
    for file, notebook in STORED.items():
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                assert output.output_type != "error" or (file, output.ename) in places


@pytest.mark.parametrize("question", questions())
def test_every_answer_runs_code_or_links_to_the_section_that_shows_it(question):
    cells = questions()[question]
    claimed = any(lessons.calls(cell.source, "claim", "check") for cell in cells if cell.cell_type == "code")
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    linked = [file for file, place in LINK.findall(text) if file and place]
    assert claimed or linked
    unlinked = set(NAMED.findall(text)) - {file[:2] for file in linked}
    assert not unlinked, f"link the section of lesson {unlinked} that answers {question!r}"


def test_the_questions_are_many_and_the_answers_short():
    assert 35 <= len(questions()) <= 60
    for question, cells in questions().items():
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        prose = [line for line in text.splitlines()[1:] if line.strip() and not line.startswith("|")]
        assert len(prose) <= 3, question
        assert all(notebooks.lines(cell) <= 13 for cell in cells if cell.cell_type == "code"), question


# The tool, on small lessons ---------------------------------------------------------------------------------

DATA = """
[terms]
tokenizer = "Cuts a text into tokens."
"rank (of a matrix)" = { says = "How many of its directions are independent.", bold = ["rank @ Detours"] }
"rank (of a process)" = { says = "The number of a process.", bold = ["rank"], also = ["worker"] }
hook = ""
"dual number" = { says = "It carries its derivative.", bold = ["dual number @ 41"] }

[emphasis]
"stress" = ["one"]
"""
FIRST = [
    "# 41 · Words\n\nIt is **never** seen.",
    "**In this lesson** you will\n\n- **count** words.",
    "## Texts\n\nA **tokenizer** cuts. Only **one** does. A **hook** is called.\n\n"
    "**What it means.** Nothing.",
    "### Your turn 41.1 · Cut ★☆☆ · 5 min\n\nGive a **list**, and a **dual number**.",
    "<details><summary>Hint 1</summary>\n\nA **hint**.\n\n</details>",
    "After it comes **rank**: a process has one.\n\n$$**x**$$\n\n```python\n**kwargs\n```",
    "## Detours\n\nThin matrices of small **rank**, **whatever anybody else may say of them**.",
    "## Recap\n\n- **Nothing**.",
]


@pytest.fixture
def small(tmp_path):
    """(two small lessons, their data file)."""
    data = tmp_path / "glossary.toml"
    data.write_text(DATA, encoding="utf8")
    first = new_notebook(cells=[new_markdown_cell(source) for source in FIRST])

    def raising(message):
        error = new_output("error", ename="ValueError", evalue=message, traceback=[])
        return new_code_cell("fail()", outputs=[error], metadata={"tags": ["raises-exception"]})

    cells = [
        new_markdown_cell("# 42 · Fail"),
        new_markdown_cell("**In this lesson**"),
        new_markdown_cell("## Wrong\n\nA **Tokenizer** again."),
        raising("no | row\n3 of \x1b[1m4\x1b[0m `x`"),
        new_markdown_cell("**What it means.** It fails. **The fix**: do not.\n\nSecond: again."),
        raising("no | row 7 of 9 `x`"),
        new_markdown_cell("**What it means.** As before. **The fix**: stop."),
        new_markdown_cell(f"## {glossary.ERRORS}\n\nBy message."),
        new_markdown_cell(f"## {glossary.GLOSSARY}\n\nBy name."),
        new_markdown_cell("## Recap"),
    ]
    return {"41_words.ipynb": first, "42_fail.ipynb": new_notebook(cells=cells)}, data


def test_terms_are_told_from_emphasis_by_place_and_length(small):
    stored, _ = small
    assert [use.words for use in glossary.uses(stored) if not use.card] == [
        *("tokenizer", "one", "hook", "rank", "rank", "Tokenizer")
    ]
    assert [use.words for use in glossary.uses(stored) if use.card] == ["list", "dual number"]


def test_an_entry_has_its_sentence_and_its_first_place(small):
    found = {entry.name: entry for entry in glossary.entries(*small)}
    assert found["hook"].definition == "A hook is called."
    assert found["tokenizer"].place == glossary.Place("41_words.ipynb", "Texts")
    assert found["rank (of a matrix)"].place.heading == "Detours"
    assert found["rank (of a process)"].place.heading == "Texts"  # and not the exercise before it
    assert found["rank (of a process)"].also == ("rank", "worker")
    assert found["dual number"].place.heading.startswith("Your turn")
    assert not glossary.problems(*small)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("tokenizer = ", "cutter = ", "lesson 41 sets **tokenizer** in bold, under 'Texts'"),
        ("tokenizer = ", "cutter = ", "no lesson sets the term 'cutter'"),
        ('["one"]', "[]", '"one" = "A definition of one sentence."'),
        ('["one"]', "[]", "type  make glossary"),
        ('["one"]', '["one", "two"]', "'two' in tools/glossary.toml fits nothing"),
        ('["one"]', '["one", "tokenizer"]', "'tokenizer' stands in tools/glossary.toml twice"),
        ("Cuts a text into tokens.", "Cuts", "the definition of 'tokenizer' is no sentence"),
    ],
)
def test_what_is_missing_is_said_with_what_to_type(small, old, new, said):
    stored, data = small
    data.write_text(DATA.replace(old, new), encoding="utf8")
    assert any(said in problem for problem in glossary.problems(stored, data))


def test_one_message_in_two_places_is_one_error_with_two_fixes(small):
    (error,) = glossary.errors(small[0])
    assert (error.kind, error.message) == ("ValueError", "no | row 3 of 4 `x`")
    assert [(case.means, case.fix) for case in error.cases] == [
        ("It fails.", "Do not."),
        ("As before.", "Stop."),
    ]
    assert error.cases[1].message == "no | row 7 of 9 `x`"
    (table,) = glossary.error_cells(small[0])
    said = "As before. **The fix**: Stop."
    row = rf"| `` no \| row 7 of 9 `x` `` | ValueError | {said} | [42 · Wrong](42_fail.ipynb#Wrong) |"
    assert table.splitlines()[3] == row


def test_writing_twice_is_writing_once(small, monkeypatch):
    stored, data = small
    monkeypatch.setattr(glossary, "DATA", data)
    notebook = stored["42_fail.ipynb"]
    monkeypatch.setattr(glossary.entries, "__defaults__", (data,))
    glossary.write(notebook, stored)
    once = copy.deepcopy([cell.source for cell in notebook.cells])
    glossary.write(notebook, stored)
    assert [cell.source for cell in notebook.cells] == once
    assert "### H\n\n- **hook**: A hook is called. [41 · Texts](41_words.ipynb#Texts)" in once
    assert once[-1] == "## Recap"
    assert [use.words for use in glossary.uses(stored) if use.place.file == "42_fail.ipynb"] == ["Tokenizer"]


def test_what_is_looked_up_costs_no_minutes():
    cells = [new_markdown_cell("## Glossary"), new_markdown_cell("word " * 1600)]
    notebook = new_notebook(cells=cells)
    assert notebooks.minutes(notebook)[0] > 9
    cells[1].metadata["tags"] = [glossary.TAG]
    assert notebooks.minutes(notebook)[0] < 1


def test_make_glossary_changes_nothing_that_is_up_to_date(tmp_path, monkeypatch):
    for path in lessons.paths():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path)
    notebooks.write_glossary()
    assert (tmp_path / LESSON.name).read_bytes() == (lessons.FOLDER / LESSON.name).read_bytes()


@pytest.mark.parametrize(
    "heading, expected",
    [
        ("What `.grad` holds", "What-.grad-holds"),
        ("◆ Deeper · Seeds", "◆-Deeper-·-Seeds"),
        ("One (or two) words", "One-%28or-two%29-words"),
    ],
)
def test_headings_are_called_as_jupyterlab_calls_them(heading, expected):
    assert glossary.anchor(heading) == expected


# What the lesson computes -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own():
    return types.SimpleNamespace(**lessons.definitions(LESSON, "padded_share", "gigabytes", "message"))


def test_the_padded_share_is_counted(own):
    lengths = torch.randint(1, 60, (37,), generator=torch.Generator().manual_seed(3))
    batches = lengths.split(8)
    tokens = [torch.arange(int(part.max())).expand(len(part), -1) < part[:, None] for part in batches]
    real, all_ = sum(int(t.sum()) for t in tokens), sum(t.numel() for t in tokens)
    assert own.padded_share(lengths, 8) == pytest.approx(1 - real / all_)


def test_the_arithmetic_of_memory_is_that_of_the_exercise(own):
    parameters, a_token = 109_483_778, 20 * 12 * 768
    needed = round(1e9 * sum(own.gigabytes(8, 128)))
    fits = declared.micro_batches(needed + 1000, parameters, parameters, a_token, 128, 32)
    assert fits == (8, 4)
    assert declared.micro_batches(needed - 1000, parameters, parameters, a_token, 128, 32) == (4, 8)


def test_the_message_is_one_line(own):
    def fail():
        raise KeyError("first\nsecond")

    assert own.message(lambda: None) == "no error"
    assert own.message(lambda: int("x")) == "ValueError: invalid literal for int() with base 10: 'x'"
    assert "\n" not in own.message(fail)


@pytest.mark.parametrize("seed", range(3))
def test_padded_rows_are_those_of_the_library(seed):
    from transformers import BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(checkpoints.choose("embedded"))
    random = torch.Generator().manual_seed(seed)
    rows = []
    for length in torch.randint(1, 20, (5,), generator=random).tolist():
        ids = torch.randint(1000, 2000, (length,), generator=random).tolist()
        rows.append({"input_ids": ids, "labels": torch.randint(0, 5, (length,), generator=random).tolist()})
    library = DataCollatorForTokenClassification(tokenizer)(
        [row | {"attention_mask": [1] * len(row["input_ids"])} for row in rows]
    )
    made = declared.pad_rows(rows, tokenizer.pad_token_id, 64)
    for name, values in made.items():
        assert torch.equal(values, library[name]), name


def test_the_mended_loop_learns_and_the_broken_one_hardly():
    def broken(model, batches, optimizer):
        model.eval()
        total = 0
        for x, y in batches:
            loss = nn.functional.cross_entropy(model(x).softmax(dim=-1), y)
            loss.backward()
            optimizer.step()
            total += loss
        return total / len(batches)

    def final(train):
        torch.manual_seed(0)
        x = torch.randn(60, 4)
        y = (x[:, 0] > 0).long() + (x[:, 1] > 1).long()
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(30):
            train(model, list(zip(x.split(7), y.split(7), strict=True)), optimizer)
        return nn.functional.cross_entropy(model(x), y).item()

    assert final(declared.train_epoch) < 0.4
    report = declared.run_epoch(broken, torch.randn(9, 3), torch.arange(9) % 3, [4, 4, 1])
    assert report["the type of what it returns"] == "Tensor with a graph"
    assert report["the mode afterwards"] == "eval"
