"""The book's sources: what prepare.py changes in a lesson's copy, and what it refuses."""

import copy
import re

import glossary
import pages
import prepare
import pytest

import notebooks
from course_utils.classroom import lessons

STORED = glossary.lessons()
NAMES = list(STORED)


@pytest.fixture
def stored():
    return copy.deepcopy(STORED)


@pytest.fixture(scope="module")
def made():
    """{file name: notebook} of the book."""
    return {
        name: prepare.made_for_the_browser(name, lesson, lesson, NAMES) for name, lesson in STORED.items()
    }


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def pictures(cell):
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_its_alt_text_and_one_caption(made, name):
    for before, cell in zip(code(STORED[name]), code(made[name]), strict=True):
        for picture in pictures(before):
            alt = picture.metadata["image/png"]["alt"]
            assert cell.metadata["mystnb"]["image"]["alt"] == alt
            assert re.sub(r"\\([!-/:-@[-`{-~])", r"\1", cell.metadata["mystnb"]["figure"]["caption"]) == alt
            assert len(cell.outputs) == len(before.outputs) - 1
            assert not any("max-width: 50em" in str(output.get("data", {})) for output in cell.outputs)
        if not pictures(before):
            assert cell.outputs == before.outputs and "mystnb" not in cell.metadata


@pytest.mark.parametrize("name", NAMES)
def test_the_code_stays_and_what_is_folded_in_jupyterlab_is_hidden(made, name):
    for before, cell in zip(code(STORED[name]), code(made[name]), strict=True):
        assert cell.source == before.source and cell.execution_count == before.execution_count
        folded = bool({"folded", "setup"} & set(before.metadata.get("tags", [])))
        assert cell.metadata.get("tags", []) == (["hide-input"] if folded else [])


@pytest.mark.parametrize("name", NAMES)
def test_no_badge_no_link_out_of_the_book_and_minutes_at_every_section(made, name):
    text = markdown(made[name])
    assert not lessons.BADGE.search(text)
    assert not re.search(r"\]\(\.\./|README\.md#", text)
    marks = re.findall(
        r'^## .+\n\n<p class="minutes">(\d+) min · (?:deeper|(\d+) min of the core left)</p>', text, re.M
    )
    sections = [section for section in lessons.sections(STORED[name]) if section.title]
    assert len(marks) == len(sections)
    left = [int(minutes) for _, minutes in marks if minutes]
    assert left == sorted(left, reverse=True)
    assert left[0] <= round(lessons.minutes(STORED[name])[0])


def test_the_stored_lessons_stay_as_they_are(made):
    assert glossary.lessons() == STORED


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("as lesson 03 shows", "as [lesson 03](03_autograd.ipynb) shows"),
        ("Lesson 03.", "[Lesson 03](03_autograd.ipynb)."),
        (
            "lessons 01, 03 and 05",
            "lessons [01](01_tensors.ipynb), [03](03_autograd.ipynb) and [05](05_optimizers.ipynb)",
        ),
        ("在第 03 课解释", "在[第 03 课](03_autograd.ipynb)解释"),
        ("lesson 04 itself", "lesson 04 itself"),
        ("lesson 99", "lesson 99"),
        ("`lesson 03`", "`lesson 03`"),
        ("```\nlesson 03\n```", "```\nlesson 03\n```"),
        ("## Since lesson 03", "## Since lesson 03"),
        ("[back in lesson 03](03_autograd.ipynb#x)", "[back in lesson 03](03_autograd.ipynb#x)"),
        ("$\\text{lesson 03}$", "$\\text{lesson 03}$"),
    ],
)
def test_lessons_that_prose_names_are_linked(text, page):
    assert prepare.linked(text, "04_losses.ipynb", NAMES) == page


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ("[a](../README.md#start)", "[a](index.md)"),
        ("[a](README.md)", "[a](index.md)"),
        ("[a](../TEACHING.md)", "[a](teaching.md)"),
        ("[a](notebooks/04_losses.ipynb)", "[a](04_losses.ipynb)"),
    ],
)
def test_links_to_the_courses_documents_lead_to_their_pages(link, page):
    assert prepare.local_links(link) == page


def links(*of):
    return re.findall('href="(.*?)"', prepare.what_can_be_done(*of))


def test_links_to_colab_and_github_only_with_an_address():
    name = "04_losses.ipynb"
    assert links(name, None) == [f"notebooks/{name}"]
    assert links(name, "https://github.com/someone/course") == [
        f"notebooks/{name}",
        f"https://colab.research.google.com/github/someone/course/blob/main/notebooks/{name}",
        f"https://github.com/someone/course/edit/main/notebooks/{name}",
    ]


def test_of_a_translated_lesson_the_catalogue_is_edited_and_colab_is_left_out():
    edit = "https://github.com/someone/course/edit/main"
    for name, edited in (
        ("00_start_here.ipynb", "locale/zh_CN/00_start_here.po"),
        ("04_losses.ipynb", "notebooks/04_losses.ipynb"),  # nobody has begun to translate it
    ):
        found = links(name, "https://github.com/someone/course", "zh_CN")
        assert found == [f"notebooks/{name}", f"{edit}/{edited}"]


def test_a_cell_with_two_figures_is_refused(stored):
    name = "04_losses.ipynb"
    cell = next(cell for cell in code(stored[name]) if pictures(cell))
    cell.outputs += pictures(cell)
    with pytest.raises(SystemExit, match="04_losses.ipynb: a cell shows 2 figures"):
        prepare.made_for_the_browser(name, stored[name], stored[name], NAMES)


def test_a_missing_lesson_stops_the_book(tmp_path, monkeypatch, stored):
    short = {name: lesson for name, lesson in stored.items() if name != "07_tokenizers_and_datasets.ipynb"}
    monkeypatch.setattr(glossary, "lessons", lambda folder=None: short)
    with pytest.raises(SystemExit, match="lacks lesson 07"):
        prepare.prepare(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_term_stops_the_book(tmp_path, monkeypatch, stored):
    cells = stored["04_losses.ipynb"].cells
    next(
        cell for cell in cells if cell.source.startswith("## ")
    ).source += "\n\nThis is a **quxotic tensor**."
    monkeypatch.setattr(glossary, "lessons", lambda folder=None: stored)
    with pytest.raises(SystemExit, match="quxotic tensor"):
        prepare.prepare(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_lessons_says_what_to_type(tmp_path):
    with pytest.raises(SystemExit, match="make notebooks-lang LANG=xx"):
        prepare.main(tmp_path, "xx")


def test_links_of_the_glossary_follow_translated_headings(stored):
    shown = copy.deepcopy(stored)
    name = "00_start_here.ipynb"
    cell = next(cell for cell in shown[name].cells if cell.source.startswith("## Where you are"))
    cell.source = cell.source.replace("## Where you are", "## 你在哪里")
    text = f"[00]({name}#Where-you-are) [01](01_tensors.ipynb#Shape)"
    assert prepare.translated_places(text, stored, shown) == text.replace("Where-you-are", "你在哪里")
    cell.source = cell.source.replace("## ", "")
    with pytest.raises(SystemExit, match=f"{name} has .* headings"):
        prepare.translated_places(text, stored, shown)


def test_the_map_and_the_table_know_every_lesson_and_what_it_builds_on(stored):
    table, drawn = pages.lesson_table(stored, stored), pages.lesson_map(stored, stored)
    for name, lesson in stored.items():
        core, deeper, *_ = notebooks.COST.search(lesson.cells[1].source).groups()
        assert f"| {name[:2]} | [{pages.title(lesson)}]({name}) | {core} min | {deeper} min | " in table
        before = pages.builds_on(lesson)
        assert all(number < name[:2] for number in before)
        assert before or name[:2] in ("00", "19")
    assert table.endswith("| all |")
    assert drawn.count("<text") == len(stored)


def test_the_map_leads_to_each_lesson_from_all_that_it_builds_on_and_from_no_other(stored):
    rows = [name[:2] for name in stored]
    arcs = re.findall(r'<path d="M\d+ ([\d.]+)C\S+ \S+ \S+ ([\d.]+) ', pages.lesson_map(stored, stored))
    reached, wanted = {}, {}
    for number, lesson in zip(rows, stored.values(), strict=True):
        drawn = {
            rows[int(float(top) / pages.ROW)]
            for top, to in arcs
            if rows[int(float(to) / pages.ROW)] == number
        }
        own = set(pages.builds_on(lesson))
        assert drawn <= own
        reached[number] = drawn.union(*(reached[before] for before in drawn))
        wanted[number] = own.union(*(wanted[before] for before in own))
    assert reached == wanted and 19 < len(arcs) < 40


def test_the_glossary_has_every_term_and_the_errors_every_message(stored):
    text = pages.glossary_page(stored)
    assert all(f"**{entry.name}**" in text and entry.place.link in text for entry in glossary.entries(stored))
    text = pages.errors_page(stored)
    found = glossary.errors(stored)
    assert len(re.findall("^### ", text, re.MULTILINE)) == len(found) > 40
    for error in found:
        assert error.message in text
        assert all(case.fix in text and case.place.link in text for case in error.cases)
