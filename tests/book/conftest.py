"""The book that `make book` made, served on loopback, and one Chromium for all tests."""

import contextlib
import functools
import http.server
import shutil
import threading

import pytest
from playwright import sync_api as playwright

import notebooks

BOOK = notebooks.ROOT / "build" / "book" / "en" / "html"
CHINESE = notebooks.ROOT / "build" / "book" / "zh_CN" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(folder):
    """Where the folder is served meanwhile, such as "http://127.0.0.1:41234"."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def address():
    assert BOOK.is_dir(), "the book is not there: type  make book"
    with served(BOOK) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path:
        pytest.skip("no Chromium here")
    with playwright.sync_playwright() as it:
        browser = it.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def names():
    """The names of all pages."""
    assert BOOK.is_dir(), "the book is not there: type  make book"
    return sorted(path.name for path in BOOK.glob("*.html"))


@pytest.fixture(scope="session")
def chinese():
    """Where the Chinese book is served."""
    assert CHINESE.is_dir(), "the Chinese book is not there: type  make book LANG=zh_CN"
    with served(CHINESE) as address:
        yield address
