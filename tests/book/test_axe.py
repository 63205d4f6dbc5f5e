"""Every page of the book in Chromium, loaded once: what axe finds, its width, and whom it asks for what."""

import importlib.metadata
import itertools

AXE = next(f for f in importlib.metadata.files("axe-playwright-python") if f.name == "axe.min.js").locate()
# axe's best practices (landmarks, order of headings) count too.
RUN = """async options => (await axe.run(document, {resultTypes: ["violations"], ...options})).violations.map(
  found => `${found.id}: ${found.nodes.length} times, ${found.nodes[0].html.slice(0, 200)}`)"""
ALL_BUT_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}
CONTRAST = {"runOnly": "color-contrast"}
FOLD = "open => document.querySelectorAll('details').forEach(details => details.open = open)"
SETTLED = """theme => document.documentElement.dataset.theme === theme &&
  new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"""

# Most of a lesson's elements are words of code and strokes of formulas, and the rule of contrast takes half a
# minute for them. So `kept` holds one element with text of each kind, that is of the same names, classes and
# styles up to the page's root, and in a table of the same parity of the row: these have the same colours.
WITHOUT_STROKES = """() => {
  const paths = new Map(), kinds = new Map();
  const path = element => {
    if (element === document.body) return "";
    if (!paths.has(element)) {
      const row = element.nodeName === "TR" ? [...element.parentElement.children].indexOf(element) % 2 : "";
      const looks = ["class", "style"].map(name => element.getAttribute(name));
      const own = [element.nodeName, ...looks, row].join();
      paths.set(element, `${path(element.parentElement)}/${own}`);
    }
    return paths.get(element);
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const element = words.currentNode.parentElement;
    if (words.currentNode.data.trim() && !kinds.has(path(element))) kinds.set(path(element), element);
  }
  window.kept = new Set();
  for (let element of kinds.values()) for (; element; element = element.parentElement) kept.add(element);
  document.querySelectorAll("mjx-container svg > *").forEach(strokes => strokes.remove());
  document.querySelectorAll("pre span").forEach(
    word => kept.has(word) || word.replaceWith(...word.childNodes));
}"""
ONE_OF_EACH_KIND = """() => document.querySelectorAll("article :not(tr), nav li").forEach(
  element => kept.has(element) || element.remove())"""


LOOKS = list(itertools.product(("light", "dark"), (1280, 390), (True, False)))  # theme, width, unfolded


def look(page, theme, width, unfolded):
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(FOLD, unfolded)
    page.wait_for_function(SETTLED, arg=theme)


def look_through(browser, address, names):
    """Demand of the pages that none has barriers, scrolls sideways, raises an error or asks another host."""
    page = browser.new_page(reduced_motion="reduce")
    asked, faults, barriers, wide = [], [], {}, []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    for name in names:
        page.goto(f"{address}/{name}", wait_until="load")
        page.add_script_tag(path=AXE)
        look(page, "light", 390, True)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(name)
        page.evaluate(WITHOUT_STROKES)
        found = {"whole": page.evaluate(RUN, ALL_BUT_CONTRAST)}
        page.evaluate(ONE_OF_EACH_KIND)
        for theme, width, unfolded in LOOKS:
            look(page, theme, width, unfolded)
            found[theme, width, unfolded] = page.evaluate(RUN, {})
        if any(found.values()):
            barriers[name] = {where: what for where, what in found.items() if what}
    page.close()
    assert not barriers
    assert not wide
    assert not faults
    assert {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()


def test_no_page_has_barriers_scrolls_sideways_or_asks_another_host(browser, address, names):
    look_through(browser, address, names)


def test_no_translated_page_has_them_either(browser, chinese):
    names = ["index.html", "00_start_here.html", "errors.html", "glossary.html", "search.html"]
    look_through(browser, chinese, names)


def test_pale_text_anywhere_is_found(browser, address):
    """The page made short for the rule of contrast still has every colour: in code, in a quiz, in a table."""
    page = browser.new_page(color_scheme="light", reduced_motion="reduce")
    for pale in (".highlight .k", ".quiz-choice label", "article tbody tr:nth-child(even) td"):
        page.goto(f"{address}/04_losses.html", wait_until="load")
        page.add_style_tag(content=f"{pale} {{ color: #ccc !important }}")
        page.add_script_tag(path=AXE)
        page.evaluate(WITHOUT_STROKES)
        page.evaluate(ONE_OF_EACH_KIND)
        page.evaluate(FOLD, True)
        assert page.evaluate(RUN, CONTRAST), pale
    page.close()
