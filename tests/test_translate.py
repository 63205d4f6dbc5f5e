"""Translations: an empty one changes nothing, none loses code or emphasis, a run speaks its language."""

import subprocess

import nbformat
import pytest
import translate as tool
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo

from course_utils import claim
from course_utils.checks import check, feedback
from course_utils.translation import translate

MARKDOWN = [tool.MARKDOWN]


def test_an_empty_catalogue_gives_every_lesson_back_byte_for_byte():
    paths = sorted(tool.LESSONS.glob("*.ipynb"))
    originals = {path.name: nbformat.read(path, as_version=4) for path in paths}
    empty = tool.Translation("zh_CN", {tool.ENGINE: Catalog()})
    made = {name: tool.translated(book, empty.look_up(name[:-6])) for name, book in originals.items()}
    tool.follow_headings(made, originals)
    assert len(made) == 20
    for path in paths:
        assert (nbformat.writes(made[path.name]) + "\n").encode() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    "text, translation",
    [
        ("**Note:** code", "**注意：**代码"),  # a full-width colon before ** and a letter after: no emphasis
        ("Take `x[0]` twice", "取 `x[1]` 两次"),
        ("The loss is $-\\ln p$ here", "损失是 $\\ln p$"),
        ("See [lesson 01](01_tensors.ipynb)", "见 [第 01 课](02_dynamic_graphs.ipynb)"),
        ("about 0.05 of it", "约 0.5"),
        ("about 5 of it", "约 ５"),  # a full-width digit
        ("- an item", "一项"),
        ("## A heading", "# 标题"),
        ("*one* word", "**一个**词"),
        ("**a `b` c**", "**甲** `b` **丙**"),
        ("<details><summary>Hint 1</summary>", "<details>提示 1</details>"),
        ("### Your turn 0.1 · Names ★☆☆ · 6 min", "### 动手 0.1 · 名称 ★★☆ · 6 分钟"),
    ],
)
def test_a_line_that_loses_something_is_refused(text, translation):
    assert tool.broken(text, translation, MARKDOWN)


@pytest.mark.parametrize(
    "text, translation",
    [
        ("**Note**: code", "**注意**：代码"),
        ("`a` before `b`", "在 `b` 之前的 `a`"),
        ("Take *this* and $x$, 5 times", "把*这个*与 $x$ 取 5 次"),
    ],
)
def test_a_line_that_keeps_all_is_taken(text, translation):
    assert tool.broken(text, translation, MARKDOWN) == ""


def test_the_fields_of_a_template_are_kept():
    assert tool.broken("got {got}, {n} times", "{n} 次，得到 {got}", [tool.TEMPLATE]) == ""
    assert tool.broken("got {got}", "得到 {gut}", [tool.TEMPLATE])
    assert tool.broken("got {got}", "得到 {got", [tool.TEMPLATE])


def test_a_refusal_names_file_and_line(monkeypatch):
    monkeypatch.setattr(tool, "LOCALE", tool.ROOT / "build" / "none")
    catalogue = Catalog(locale="zh_CN")
    catalogue.add("take `x`", "取 `y`", auto_comments=MARKDOWN, lineno=7)
    (line,) = tool.problems_of(tool.Translation("zh_CN", {"00_a": catalogue}))
    lost = "code_inline x in paragraph"
    assert line.startswith(f"build/none/zh_CN/00_a.po:7: the translation lacks {lost}"), line


def test_code_texts_are_found_wherever_they_are_constant():
    caption = 'alt = "a caption" if x else "another"\nshow(fig, alt=alt)'
    found, computed = tool.code_texts([caption, 'claim("one " "text", True)\nclaim(f"{n}", 1)'])
    texts = {("a caption", "caption"), ("another", "caption"), ("one text", "claim")}
    assert (set(found), computed) == (texts, 1)


def test_what_is_stale_stays_english_and_is_counted():
    catalogue = Catalog(locale="zh_CN")
    catalogue.add("old", "旧", flags=["fuzzy"])
    catalogue.add("done", "好")
    translation = tool.Translation("zh_CN", {"00_a": catalogue})
    assert translation.look_up("00_a")("old") == "old"
    assert translation.counts("00_a", [("old", "text"), ("done", "text"), ("new", "text")]) == (1, 1, 1)
    assert tool.share_of((199, 1, 0)) == 99


def test_the_stored_translations_keep_what_they_must_and_are_compiled():
    for path in tool.LOCALE.iterdir():
        translation = tool.read(path.name)
        with open(tool.COMPILED / f"{path.name}.mo", "rb") as file:
            assert tool.spoken(read_mo(file)) == tool.spoken(tool.compiled(translation)), "type  make po"


def test_the_books_own_pages_have_a_catalogue_that_no_run_carries():
    texts = tool.book_texts()
    lines = {text for text, kind in texts if kind == tool.MARKDOWN}
    said = {text for text, kind in texts if kind == tool.PAGE}
    assert "## Three ways in" in lines and {"Show code", "{minutes} min · deeper"} <= said
    assert lines < said and "{map}" not in said  # all of the front page is filled in by format
    assert tool.broken("- **On Colab**: {colab}", "- **在 Colab 上**", [tool.MARKDOWN, tool.PAGE])
    catalogue = Catalog(locale="zh_CN")
    catalogue.add("Show code", "显示代码", auto_comments=[tool.PAGE])
    assert not tool.spoken(tool.compiled(tool.Translation("zh_CN", {tool.BOOK: catalogue})))


def test_a_run_speaks_its_language_and_english_without_it(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_LANG", "zh_CN")
    claim("one text, two classes: two numbers", True)
    assert capsys.readouterr().out == "✓ 一个文本，两个类别：两个数\n"
    check("0.1", lambda logits, names: [names[0]] * len(logits), record=False)
    said = capsys.readouterr().out
    assert said.startswith("✗ 0.1 从 logits 到名称：无论 logits 是什么")
    exercise = feedback.find("0.1")
    assert feedback._explained(exercise, said.rstrip("\n")) in [m.explanation for m in exercise.mistakes]
    monkeypatch.setenv("COURSE_LANG", "../zh_CN")
    assert translate("one text") == "one text"
    monkeypatch.delenv("COURSE_LANG")
    assert translate("one text") == "one text"


def test_make_takes_the_language_from_its_own_line_alone(monkeypatch):
    def plan(*words):
        return subprocess.run(
            ["make", "-n", "po", *words], cwd=tool.ROOT, capture_output=True, text=True
        ).stdout

    monkeypatch.setenv("LANG", "de_DE")
    assert 'po "" ' in plan() and 'po "zh_CN" ' in plan("LANG=zh_CN")
