"""Sphinx's configuration of the book; `make book` prepares the sources and builds it."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from translate import BOOK, read  # noqa: E402  (the path comes first)

project = "PyTorch and Hugging Face"
author = "the course's authors"
html_show_copyright = False
language = "en"  # `make book LANG=zh_CN` names another
html_search_options = {"dict": ""}  # Chinese: jieba reads its own dictionary, and once is enough
extensions = ["myst_nb"]
exclude_patterns = ["extra", "static"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_heading_slug_func = "pages.slug"
suppress_warnings = ["misc.highlighting_failure"]  # of tracebacks: a backtick in a message is no mistake
templates_path = [str(HERE / "templates")]
html_theme = "sphinx_book_theme"
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,  # it would give the page's copy: the stored notebook is linked instead
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "article_footer_items": ["prev-next"],
}
html_copy_source = False
html_show_sourcelink = False
html_extra_path = []
html_static_path = [str(HERE / "book.css"), str(HERE / "book.js"), str(HERE / "quiz.js")]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"priority": 100}), ("quiz.js", {"defer": "defer"})]
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}


def setup(app):
    source = pathlib.Path(app.srcdir)
    app.config.html_static_path.append(str(source / "static"))
    app.config.html_extra_path.append(str(source / "extra"))
    app.connect("config-inited", _speak)
    app.connect("html-page-context", _figures)


def _speak(app, config):
    """Set what is said on every page in the book's language, and let the search cut Chinese into words."""
    translate = read(config.language).look_up(BOOK)
    config.html_title = translate("Learn PyTorch and Hugging Face")
    config.nb_code_prompt_show = translate("Show code")
    config.nb_code_prompt_hide = translate("Hide code")
    if config.language.startswith("zh"):
        from chinese import Chinese

        app.add_search_language(Chinese)


def _figures(app, pagename, templatename, context, doctree):
    """Load figures when they come near, and let a screen reader read a figure's text once: alt or caption.

    And let it know the language of a page that is not translated.
    """
    if "body" in context:
        body = context["body"].replace("<figcaption>", '<figcaption aria-hidden="true">')
        body = body.replace("<img ", '<img loading="lazy" ')
        if written_in := app.env.metadata.get(pagename, {}).get("written_in"):
            body = body.replace("<section ", f'<section lang="{written_in}" ', 1)
        context["body"] = body
