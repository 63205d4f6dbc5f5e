"""The decks: what is on them, and that a browser without a network shows them, formulas and all."""

import copy
import json
import pathlib
import shutil

import nbformat
import pytest
from playwright import sync_api as playwright

from course_utils import __main__ as commands
from course_utils.classroom import lessons, slides
from course_utils.errors import CourseError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
NUMBERS = ["04", "09"]
ALL = sorted(lessons.folder().glob("[0-9][0-9]_*.ipynb"))
MEASURE = """() => Reveal.getSlides().map(slide => {
    Reveal.slide(Reveal.getIndices(slide).h, Reveal.getIndices(slide).v || 0);
    return {
        text: slide.innerText.slice(0, 60), needs: slide.scrollHeight, has: slide.clientHeight,
        wide: slide.scrollWidth - slide.clientWidth, scrolls: getComputedStyle(slide).overflowY,
    };
})"""


def read(path):
    return nbformat.read(path, as_version=4)


def kinds(deck, kind):
    return [cell for cell in deck.cells if cell.metadata.slideshow.slide_type == kind]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_deck_has_each_section_and_each_card_and_no_solution(path):
    lesson = read(path)
    before, deck = copy.deepcopy(lesson), slides.arranged(lesson)
    assert lesson == before
    titles = [section.title for section in lessons.sections(lesson) if section.title]
    begun = [cell.source.splitlines()[0].lstrip("# ") for cell in kinds(deck, "slide")]
    assert begun[1:] == titles
    shown = [cell for cell in deck.cells if cell.metadata.slideshow.slide_type != "notes"]
    sources = "\n".join(cell.source for cell in deck.cells if not removed(cell))  # notes, too
    everything = json.dumps(deck)
    assert "<summary>" not in everything and "colab-badge" not in everything and ".ipynb)" not in everything
    for card in lessons.cards(lesson):
        assert sources.count(lesson.cells[card.position].source.splitlines()[0]) == 1
        assert not [cell for cell in deck.cells if cell.source == lesson.cells[card.check].source]
        assert card.solution not in sources, card.number
    assert not [cell for cell in deck.cells if "@title" in cell.source and not removed(cell)]
    pictures = [
        o for cell in lesson.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    kept = [o for cell in deck.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert pictures == kept
    words = [lessons.words(cell.source) for cell in shown if cell.cell_type == "markdown"]
    assert sorted(words)[len(words) // 2] < slides.WORDS


def removed(cell):
    return cell.metadata.get("transient", {}).get("remove_source", False)


def test_all_prose_is_on_a_slide_or_in_the_notes():
    long = "## Why\n\nFirst one.\n\n" + "word " * 100 + "\n\n$$x$$\n\n```python\na = 1\n\nb = 2\n```"
    shown, notes = slides._prose(long, True)
    assert shown.source == "## Why\n\nFirst one.\n\n$$x$$" and notes.source == long
    assert slides._prose("Short.", False)[0].metadata.slideshow.slide_type == "subslide"
    assert len(slides._prose("Short.", False)) == 1


def test_a_question_keeps_its_choices_and_loses_the_reasons():
    text = (
        "## Check yourself\n\n**1. Is it?**\n\n<details><summary>Yes</summary>\n\nWrong: no.\n\n</details>\n"
    )
    head, question = slides._quiz(text)
    assert head.source == "## Check yourself" and question.source == "**1. Is it?**\n\n- Yes"


def test_an_unknown_lesson_and_a_missing_package_are_said(tmp_path, monkeypatch, capsys):
    assert commands.main(["class", "slides", "--lessons", "77", "--out", str(tmp_path)]) == 1
    assert "there is no lesson '77'" in capsys.readouterr().err
    monkeypatch.setattr(slides, "COPIED", [(("no-such-reveal", "1", "x"), "LICENSE", "0" * 64)])
    with pytest.raises(CourseError, match="pip install no-such-reveal==1"):
        slides.slides(["04"], tmp_path)
    assert not list(tmp_path.glob("*.html"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decks")
    assert commands.main(["class", "slides", "--lessons", *NUMBERS, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def browser():
    assert BROWSER, f"none of {', '.join(BROWSERS)} is installed: the decks are looked at in one"
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"]
        browser = driver.chromium.launch(executable_path=BROWSER, args=options)
        yield browser
        browser.close()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_browser_shows_the_deck_from_its_folder_alone(number, folder, browser):
    (deck,) = folder.glob(f"{number}_*.html")
    asked, wrong = [], []
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(120_000)
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(deck.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady() && window.MathJax && MathJax.startup")
    page.evaluate("() => MathJax.startup.promise")

    assert page.evaluate("() => Reveal.getIndices().h") == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    at = page.evaluate("() => Reveal.getIndices()")
    assert (at["h"], at["v"]) == (1, 1)
    assert "Same accuracy" in page.evaluate("() => Reveal.getSlide(1, 0).innerText") or number != "04"

    assert page.locator("mjx-container svg").count() > {"04": 30, "09": 4}[number]
    assert page.locator("mjx-merror, [data-mml-node=merror]").count() == 0
    prose = page.evaluate(
        "() => [...document.querySelectorAll('section .jp-MarkdownOutput')].map(e => e.innerText).join(' ')"
    )
    assert "$$" not in prose and "\\frac" not in prose

    measured = page.evaluate(MEASURE)
    assert len(measured) > 80
    assert not [m for m in measured if m["scrolls"] != "auto" or m["has"] > slides.HEIGHT]
    assert not [m for m in measured if m["needs"] > 1.6 * m["has"]]
    over = [m for m in measured if m["needs"] > m["has"] + 2]
    assert len(over) < len(measured) / 10, over
    assert not [m for m in measured if m["wide"] > 2]

    assert not wrong
    assert {url.split(":")[0] for url in asked} <= {"file", "data", "blob"}
    inside = [pathlib.Path(url.removeprefix("file://").split("#")[0]) for url in asked if url[:5] == "file:"]
    assert all(path.is_relative_to(folder) for path in inside)
    page.close()
