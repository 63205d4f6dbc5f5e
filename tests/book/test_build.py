"""The book as Sphinx makes it: whole, linked, without another host; and what makes the build fail.

`make book` has made it before these tests run.
"""

import html.parser
import pathlib
import re
import subprocess
import sys
import urllib.parse

import nbformat
import pytest
from conftest import BOOK, served

import notebooks

ROOT = notebooks.ROOT
STORED = sorted(notebooks.FOLDER.glob("*.ipynb"))
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(html.parser.HTMLParser):
    """What a page loads, where it leads, what can be led to, and its pictures."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.ids, self.pictures, self.captions = [], [], set(), [], []
        self.in_caption = False
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.add(found.get("id"))
        self.loads.append(found.get(LOADED.get(tag), ""))
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag == "img" and found["src"].startswith("_images/"):
            self.pictures.append(found["alt"])
        if tag == "figcaption":
            self.in_caption = True
            self.captions.append("")

    def handle_endtag(self, tag):
        self.in_caption = self.in_caption and tag != "figcaption"

    def handle_data(self, data):
        if self.in_caption:
            self.captions[-1] += data


@pytest.fixture(scope="module")
def pages():
    """{file name: Page} of the whole book."""
    assert BOOK.is_dir(), "the book is not there: type  make book"
    return {path.name: Page(path) for path in BOOK.glob("*.html")}


def test_every_lesson_has_a_page_and_the_book_its_own(pages):
    wanted = {f"{path.stem}.html" for path in STORED}
    assert len(wanted) == 20
    assert pages.keys() >= wanted | {
        f"{n}.html" for n in ("index", "glossary", "errors", "teaching", "search")
    }


def test_no_page_loads_anything_from_another_host(pages):
    loaded = {address for page in pages.values() for address in page.loads if address}
    loaded = {address for address in loaded if address != "#" and not address.startswith("data:")}
    assert not [address for address in loaded if ":" in address or address.startswith("//")]
    files = {urllib.parse.unquote(address.partition("?")[0]) for address in loaded}
    assert not [file for file in files if not (BOOK / file).exists()]
    styles = "".join(path.read_text(encoding="utf8") for path in BOOK.glob("_static/**/*.css"))
    assert not re.search(r"""(?:url\(|@import )\s*["']?(?:https?:)?//""", styles)


def test_every_link_within_the_book_leads_somewhere(pages):
    broken = []
    for name, page in pages.items():
        for link in page.links:
            address = urllib.parse.urlparse(link)
            if address.scheme or link in ("", "#"):
                continue
            target = urllib.parse.unquote(address.path) or name
            ids = pages[target].ids if target in pages else set()
            anchor = urllib.parse.unquote(address.fragment)
            if not (BOOK / target).exists() or (anchor and anchor not in ids):
                broken.append(f"{name}: {link}")
    assert not broken


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_lesson_offers_the_stored_notebook_and_every_figure_says_what_it_shows(pages, path):
    page = pages[f"{path.stem}.html"]
    assert f"notebooks/{path.name}" in page.links
    assert (BOOK / "notebooks" / path.name).read_bytes() == path.read_bytes()
    outputs = [out for cell in nbformat.read(path, as_version=4).cells for out in cell.get("outputs", [])]
    alts = [out.metadata["image/png"]["alt"] for out in outputs if "image/png" in out.get("data", {})]
    assert page.pictures == alts
    typed = [re.sub("[‘’“”]", lambda quote: "'" if quote[0] in "‘’" else '"', text) for text in page.captions]
    assert [text.strip().removesuffix("#") for text in typed] == alts


def test_without_an_address_nothing_leads_to_colab_or_an_editor(pages):
    if notebooks.repository():
        pytest.skip("this checkout is published")
    links = [link for page in pages.values() for link in page.links]
    assert not [
        link for link in links if notebooks.UNSET in link or "/edit/" in link or "colab.research" in link
    ]


def test_the_search_knows_the_words_of_the_lessons():
    index = (BOOK / "searchindex.js").read_text(encoding="utf8")
    assert all(f'"{word}"' in index for word in ("gradcheck", "micro", "backpropag"))


# What fails, on books of two pages.


def notebook(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(source) for source in sources])


def build(source, text, language="en"):
    """Sphinx's run over a book of a first page with `text`, and of a lesson, in the folder `source`."""
    for folder in ("static", "extra"):
        (source / folder).mkdir(parents=True)
    (source / "static" / "mathjax").mkdir()
    (source / "static" / "mathjax" / "tex-svg.js").touch()
    (source / "index.md").write_text(
        f"# First\n\n{text}\n\n```{{toctree}}\n01_b.ipynb\n```\n", encoding="utf8"
    )
    lesson = notebook("# 01 · Second", "## What it is\n\n张量就是数字表格。")
    lesson.metadata["language_info"] = {"name": "python"}
    nbformat.write(lesson, source / "01_b.ipynb")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--quiet", "-D", f"language={language}"]
    command += ["-c", str(ROOT / "tools" / "book"), str(source), str(source.parent / "html")]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf8", timeout=300)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[good](01_b.ipynb#What-it-is)", ""),
        ("[no such lesson](02_c.ipynb)", "02_c.ipynb"),
        ("[no such heading](01_b.ipynb#What-it-was)", "What-it-was"),
        ("[no such heading here](#Nowhere)", "Nowhere"),
    ],
)
def test_a_broken_link_fails_the_build(tmp_path, text, fault):
    run = build(tmp_path / "source", text)
    assert (run.returncode != 0) == bool(fault), run.stderr
    assert fault in run.stderr


def test_chinese_is_found_in_the_browser(tmp_path, browser):
    text = "分词器先把文本切成小块，再查词表。The tokenizer was training."
    run = build(tmp_path / "source", text, "zh_CN")
    assert run.returncode == 0, run.stderr
    page, faults, found = browser.new_page(), [], {}
    page.on("pageerror", lambda error: faults.append(str(error)))
    with served(tmp_path / "html") as address:
        for query in ("词表", "分词器的词表", "张量", "Trained", "没有的词"):
            page.goto(f"{address}/search.html?q={query}")
            page.wait_for_function(  # it has found all, and no longer adds dots to "Searching"
                "document.querySelector('.search-summary')?.textContent && Search._pulse_status < 0"
            )
            links = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
            found[query] = {pathlib.PurePosixPath(urllib.parse.urlparse(link).path).stem for link in links}
    page.close()
    assert not faults
    assert found == {
        "词表": {"index"},
        "分词器的词表": {"index"},
        "张量": {"01_b"},
        "Trained": {"index"},
        "没有的词": set(),
    }
