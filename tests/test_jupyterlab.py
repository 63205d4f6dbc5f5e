"""Lesson 01 in a real JupyterLab in a real browser: it runs from the menu, and answers a learner's answer."""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time

import lessons
import nbformat
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the playwright package is not installed")
expect = playwright.expect

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is installed")

LESSON = lessons.read(lessons.FOLDER / "01_tensors.ipynb")
SECONDS = 120  # for whatever the page is waited for, on a busy machine
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is in the page, also out of sight
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
}
OPTIONS = [
    "--no-browser",
    "--ip=127.0.0.1",
    "--allow-root",
    # Nothing that asks the internet.
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
]
PROMPT = ".jp-CodeCell .jp-InputPrompt:not(.jp-Placeholder-prompt)"  # a folded cell shows none
UNFOLDED = [n for n, cell in enumerate(LESSON.code, 1) if not {"folded", "setup"} & set(lessons.tags(cell))]
ERROR = '[data-mime-type="application/vnd.jupyter.stderr"]'  # JupyterLab's mark of both errors and stderr
PRINTED = '[data-mime-type="application/vnd.jupyter.stdout"]'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def address(folder):
    """The address of the lesson in a JupyterLab of its own: a copy without outputs, settings as if new."""
    copy = nbformat.from_dict(LESSON.notebook)
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    (folder / "notebooks").mkdir()
    nbformat.write(copy, folder / "notebooks" / LESSON.name)
    for name, value in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value), encoding="utf8")
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    with open(folder / "server.log", "w", encoding="utf8") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", *OPTIONS, f"--port={port}"),
                *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder / 'notebooks'}"),
            ],
            env=os.environ | {name: str(folder / place) for name, place in places.items()},
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not listens(port):
            assert server.poll() is None and time.monotonic() < deadline, (
                f"JupyterLab did not start: {(folder / 'server.log').read_text(encoding='utf8')}"
            )
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/lab/tree/{LESSON.name}?token={token}"
    finally:
        server.terminate()
        server.wait(timeout=SECONDS)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def requests():
    """What the page asked for, as addresses."""
    return []


@pytest.fixture(scope="module")
def page(address, folder, requests):
    """The page after Run All Cells has come to its end; the browser's profile is new and empty."""
    with playwright.sync_playwright() as driver:
        nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        options = ["--no-sandbox", "--disable-gpu", "--disable-sync", nowhere]
        browser = driver.chromium.launch(executable_path=BROWSER, args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        page.on("request", lambda request: requests.append(request.url))
        with photographed(page, folder):
            page.goto(address)
            wait_for_the_kernel(page)
            expect(page.locator(".jp-CodeCell")).to_have_count(len(LESSON.code))
            expect(page.locator(".jp-OutputArea-output")).to_have_count(0)
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            prompts = page.locator(PROMPT)
            expect(prompts.first).to_have_text(f"[{UNFOLDED[0]}]:")
            expect(prompts.filter(has_text="[*]")).to_have_count(0)  # none waits: all ran, or one stopped it
            wait_for_the_kernel(page)
        expect.set_options(timeout=30_000)  # the long wait is over
        yield page
        browser.close()


def wait_for_the_kernel(page):
    expect(page.get_by_text(re.compile(r"^Python 3.* \| Idle$"))).to_be_visible()


@contextlib.contextmanager
def photographed(page, folder):
    """If the block fails, save what the page shows, and say where."""
    try:
        yield
    except (AssertionError, playwright.Error) as error:
        path = folder / f"failed_{time.time_ns()}.png"
        page.screenshot(path=path)
        raise AssertionError(f"{error}\nWhat the page showed: {path}") from error


def cells(page):
    """Each stored code cell with its own in the page."""
    return zip(LESSON.code, page.locator(".jp-CodeCell").all(), strict=True)


def test_every_cell_ran(page, folder):
    with photographed(page, folder):
        expect(page.locator(PROMPT)).to_have_text([f"[{n}]:" for n in UNFOLDED])


def test_the_errors_are_those_made_on_purpose_and_nothing_is_on_stderr(page, folder):
    with photographed(page, folder):
        for cell, shown in cells(page):
            errors = [
                re.compile(re.escape(f"{output.ename}: {output.evalue}") + r"\s*$")
                for output in cell.outputs
                if output.output_type == "error" and "raises-exception" in lessons.tags(cell)
            ]
            expect(shown.locator(ERROR)).to_have_text(errors)


def test_every_claim_is_there(page, folder):
    count = 0
    with photographed(page, folder):
        for cell, shown in cells(page):
            claims = [line for line in lessons.printed(cell).splitlines() if line.startswith("✓")]
            for claim in claims:
                expect(shown.locator(PRINTED)).to_contain_text(claim)
            count += len(claims)
    assert count > 40


def test_every_figure_is_there_with_its_caption(page, folder):
    figures = 0
    with photographed(page, folder):
        for cell, shown in cells(page):
            captions = [
                output.metadata["image/png"]["alt"]
                for output in cell.outputs
                if "image/png" in output.get("data", {})
            ]
            pictures = shown.locator("img")
            expect(pictures).to_have_count(len(captions))
            for picture, caption in zip(pictures.all(), captions, strict=True):
                picture.evaluate("picture => picture.decode()")  # waits for it; fails if it is no picture
                assert picture.evaluate("picture => picture.clientHeight") > 100
                expect(shown.get_by_text(caption, exact=True)).to_be_visible()
            figures += len(captions)
    assert figures > 3


def test_the_page_needs_nothing_from_the_internet_but_the_badge(requests, page):
    elsewhere = {url for url in requests if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))}
    assert elsewhere <= {"https://colab.research.google.com/assets/colab-badge.svg"}


# The last one, since it changes the page.


def test_a_wrong_answer_gets_its_own_explanation_and_the_solution_a_check_mark(page, folder):
    (exercise,) = (exercise for exercise in lessons.exercises(LESSON) if exercise.number == "1.5")
    wrong = f"{exercise.stub.splitlines()[0]}\n    return vectors.mean(dim=1)"
    explanation = f"✗ 1.5 {exercise.title}: The weights are not used"
    with photographed(page, folder):
        expect(page.get_by_text(f"○ 1.5 {exercise.title}: not attempted yet")).to_be_visible()
        expect(answer(page, exercise, wrong)).to_contain_text(explanation)
        expect(answer(page, exercise, exercise.solution.rstrip())).to_contain_text(
            f"✓ 1.5 {exercise.title}: right on all"
        )


def answer(page, exercise, source):
    """Type `source` into the stub of `exercise`, run it and the check below; where the check prints."""
    (index,) = (i for i, cell in enumerate(LESSON.code) if cell.source == exercise.stub)
    stub, check = page.locator(".jp-CodeCell").nth(index), page.locator(".jp-CodeCell").nth(index + 1)
    stub.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(source)
    expect(stub.locator(".cm-line")).to_have_text(source.split("\n"))
    page.keyboard.press("Shift+Enter")
    expect(check).to_have_class(re.compile("jp-mod-active"))
    page.keyboard.press("Shift+Enter")
    return check.locator(PRINTED)
