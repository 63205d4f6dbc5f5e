"""The book in Chromium: quizzes, search, keyboard, theme, print, small and quick pages."""

import pytest
from conftest import BOOK

LARGEST = 1_000_000  # bytes of a page without its figures
EMPTY = 150  # ms until the first paint of an empty page, with two idle cores slowed four times


def test_every_page_is_small_and_its_figures_are_lazy(names):
    for name in names:
        assert (BOOK / name).stat().st_size < LARGEST, name
        text = (BOOK / name).read_text(encoding="utf8")
        figures = [tag for tag in text.split("<img")[1:] if "_images/" in tag.partition(">")[0]]
        assert all('loading="lazy"' in tag.partition(">")[0] for tag in figures), name


@pytest.fixture
def lesson(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/04_losses.html")
    yield page
    page.close()


def test_a_quiz_says_what_is_right_and_why(lesson):
    quiz = lesson.locator("fieldset.quiz").first
    assert lesson.locator("fieldset.quiz").count() == 5
    assert "double all logits" in quiz.locator("legend").inner_text()
    status = quiz.get_by_role("status")
    assert status.inner_text() == ""
    quiz.get_by_label("B. Both stay.").check()
    assert status.inner_text().startswith("Wrong: cross-entropy reads probabilities")
    quiz.get_by_label("A. Accuracy stays").check()
    assert "no logit changes its sign" in status.inner_text() and "Right" in status.inner_text()


def test_the_keyboard_alone_answers_a_quiz_and_opens_code(lesson):
    quiz = lesson.locator("fieldset.quiz").nth(1)
    quiz.get_by_role("radio").first.focus()
    lesson.keyboard.press("ArrowDown")
    assert quiz.get_by_role("status").inner_text() == ""  # arrows move, Space chooses
    lesson.keyboard.press("Space")
    assert "Right" in quiz.get_by_role("status").inner_text()
    folded = lesson.locator("details.hide summary").first
    folded.focus()
    lesson.keyboard.press("Enter")
    assert lesson.locator("details.hide").first.get_attribute("open") is not None


def test_tab_reaches_every_kind_of_control(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/index.html")
    reached = set()
    for _ in range(150):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.className + document.activeElement.textContent.trim()")
        )
    page.close()
    said = " | ".join(reached)
    for control in ("search-button", "theme-switch-button", "Begin with lesson 00", "sidebar-toggle"):
        assert control in said, said


def focus(page, kind):
    """Focus the one button of its kind that is to be seen."""
    (button,) = (found for found in page.locator(f"button.{kind}").all() if found.is_visible())
    button.focus()


def test_the_keyboard_alone_changes_the_theme_which_lasts_and_never_flashes(browser, address):
    page = browser.new_page(color_scheme="light", reduced_motion="reduce")
    page.goto(f"{address}/04_losses.html")
    focus(page, "theme-switch-button")
    page.keyboard.press("Enter")
    for _ in ("the system's", "light", "dark"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.add_init_script("""window.seen = new Set();
      const look = () => {
        if (document.body) seen.add(document.documentElement.dataset.theme);
        requestAnimationFrame(look);
      };
      look();""")
    page.goto(f"{address}/05_optimizers.html", wait_until="load")
    page.evaluate("() => new Promise(done => requestAnimationFrame(done))")
    assert page.evaluate("[...seen]") == ["dark"]
    page.close()


def test_the_keyboard_alone_opens_the_lessons_and_the_contents_on_a_phone(browser, address):
    page = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page.goto(f"{address}/04_losses.html")
    for kind, link in (
        ("secondary-toggle", "#a-loss-is-a-surprise"),
        ("primary-toggle", "05_optimizers.html"),
    ):
        focus(page, kind)
        page.keyboard.press("Enter")
        page.locator(f"dialog[open] a[href='{link}']").wait_for()
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog[open]", state="detached")
        assert kind in page.evaluate("document.activeElement.className")  # where it was
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "05_optimizers.html":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/05_optimizers.html")
    page.close()


def test_the_button_beside_a_wide_page_hides_the_lessons_and_shows_them(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.goto(f"{address}/04_losses.html")
    lessons = page.locator("#pst-primary-sidebar")
    for shown in (False, True):
        focus(page, "primary-toggle")
        page.keyboard.press("Enter")
        lessons.wait_for(state="visible" if shown else "hidden")
    page.close()


def test_the_keyboard_alone_searches(browser, address):
    page = browser.new_page(reduced_motion="reduce")
    page.goto(f"{address}/index.html")
    page.keyboard.press("Control+k")
    page.locator("dialog[open] input[type=search]").wait_for()
    page.keyboard.type("gradcheck")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a[href*='03_autograd']")
    page.close()


def test_a_dark_page_prints_in_light_colours_with_all_unfolded(browser, address):
    page = browser.new_page(color_scheme="dark", reduced_motion="reduce")
    page.goto(f"{address}/04_losses.html")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("details:not([open])").count() == 0
    assert page.locator(".quiz-reason").first.is_visible()
    assert not page.locator("#pst-primary-sidebar").is_visible()
    inverted = "[...document.images].filter(image => getComputedStyle(image).filter !== 'none').length"
    assert page.evaluate(inverted) == 0
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator("details[open]").count() == 0
    assert page.evaluate(inverted) > 0
    page.close()


def test_without_javascript_the_choices_stay(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/04_losses.html")
    choice = page.locator("details", has_text="B. Both stay.").last
    choice.locator("summary").click()
    assert "Wrong: cross-entropy reads probabilities" in choice.inner_text()
    context.close()


def test_the_chinese_book_speaks_chinese_and_says_what_is_missing(browser, chinese):
    page = browser.new_page()
    page.goto(f"{chinese}/index.html")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.title() == "学习 PyTorch 与 Hugging Face"
    assert "20 课中目前已有 1 课译成中文" in page.locator("article").inner_text()
    parts = page.locator("#pst-primary-sidebar .caption-text").all_inner_texts()
    assert [part[:4] for part in parts] == ["第一部分", "第二部分", "第三部分", "查阅"]
    assert "00 从这里开始 · 95 + 35 分钟" in page.locator("svg.map").text_content()
    page.get_by_role("link", name="从第 00 课开始").click()
    page.wait_for_url("**/00_start_here.html")
    assert page.locator("details.hide summary").first.inner_text().strip() == "显示代码"
    assert "核心内容还剩" in page.locator("p.minutes").first.inner_text()
    quiz = page.locator("fieldset.quiz").first
    quiz.get_by_role("radio").first.check()
    assert quiz.get_by_role("status").inner_text()
    assert not page.locator("article [lang=en]").count()
    for name in ("01_tensors", "glossary", "teaching"):  # a screen reader has to know
        page.goto(f"{chinese}/{name}.html")
        assert page.locator("article > section[lang=en]").count() == 1
    page.goto(f"{chinese}/search.html?q=词元")
    page.wait_for_selector("#search-results li a[href*='00_start_here']")
    page.close()


def test_search_finds_a_lesson_and_an_error(browser, address):
    page = browser.new_page()
    wanted = {"gradcheck": "03_autograd", "retain_grad": "errors", "perplexity": "glossary"}
    for words, name in wanted.items():
        page.goto(f"{address}/search.html?q={words}")
        page.wait_for_selector(f"#search-results li a[href*='{name}']")
    page.close()


def test_the_first_paint_comes_within_a_second_on_a_slow_processor(browser, address):
    """With the processor slowed four times. Only what an empty page takes longer than usual is taken off."""
    page = browser.new_page()
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.route("**/empty.html", lambda route: route.fulfill(content_type="text/html", body="<p>Empty"))

    def paint(name):
        page.goto(f"{address}/{name}", wait_until="load")
        first = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        return page.wait_for_function(first).json_value()

    for name in ("index.html", "06_training.html", "errors.html"):
        # The best of several loads: what else runs here slows a load, and nothing makes it faster.
        for _ in range(10):
            took = paint(name) - max(paint("empty.html") - EMPTY, 0)
            if took < 1000:
                break
        assert took < 1000, name
    page.close()
