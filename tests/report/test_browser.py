"""The report and a notebook as people meet them: in Chromium, from disk, by keyboard."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from scslib.report.page import write_report
from tests.support.runs import ANSWERS, HOSTILE, example_run

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="chromium is not installed (apt-get install chromium)"
)

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "00_start_here.ipynb"
PATIENCE_S = 120  # a slow machine that does other things


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(movie, tmp_path_factory) -> str:
    return write_report(example_run(tmp_path_factory.mktemp("browser") / "run", movie.path)).as_uri()


@pytest.fixture
def open_report(browser, report):
    """Opens the report in a page of its own, and holds it to making no error and no request."""
    contexts, errors, requests = [], [], []

    def open_it(after="", **settings):
        contexts.append(browser.new_context(**settings))
        contexts[-1].set_default_timeout(30_000)
        page = contexts[-1].new_page()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report + after)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not errors
    assert not [url[:80] for url in requests if not url.startswith(("file:", "data:"))]


def answers(page) -> list[str]:
    """The answers of the videos that can be seen."""
    return page.locator(".entry:visible").evaluate_all("all => all.map(one => one.dataset.answer)")


def test_the_report_opens_and_no_name_of_a_class_is_taken_for_code(open_report):
    page = open_report()
    assert page.title() == "run · salient clip sampling"
    assert page.get_by_role("heading", level=1).inner_text() == "Salient clip sampling: run"
    assert page.get_by_role("row", name="audio-visual").is_visible()
    assert page.locator(".figures img").count() == 1  # the gallery has the video's own
    assert page.locator(".entry h3").all_inner_texts() == [label for label, _ in ANSWERS]
    loaded = page.locator("img").evaluate_all("all => all.map(one => one.complete && one.naturalWidth)")
    assert all(loaded)


def test_a_clip_is_reached_and_played_by_keyboard(open_report):
    page = open_report()
    page.get_by_label("Class").focus()
    for _ in range(2):  # past the answers, to the first mark on a curve
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "mark"
    page.keyboard.press("Enter")
    clip = page.locator("video:focus")
    assert clip.get_attribute("aria-label") == "Clip of rank 1, from 1.0 s"
    assert clip.evaluate("clip => clip.currentTime") == 0
    page.keyboard.press("Space")
    poll(lambda: clip.evaluate("clip => clip.currentTime") > 0.2)
    assert clip.evaluate("clip => [clip.videoWidth, clip.loop, clip.muted]") == [170, True, True]


def test_the_filter_shows_exactly_what_it_says(open_report):
    page = open_report()
    assert answers(page) == ["right", "wrong", "right", "right", "wrong"]
    count = page.get_by_role("status")
    assert count.inner_text() == "5 of 5 videos"
    page.get_by_role("radio", name="right").focus()
    page.keyboard.press("Space")
    assert answers(page) == ["right"] * 3 and count.inner_text() == "3 of 5 videos"
    page.keyboard.press("ArrowRight")
    assert answers(page) == ["wrong"] * 2
    page.get_by_label("Class").select_option(HOSTILE)
    assert answers(page) == ["wrong"] and count.inner_text() == "1 of 5 videos"
    assert page.locator(".entry:visible h3").all_inner_texts() == [HOSTILE]
    page.reload()  # the address carries it
    assert page.locator(".entry:visible h3").all_inner_texts() == [HOSTILE]


def test_a_filter_in_the_address_that_does_not_exist_is_no_filter(open_report):
    assert len(answers(open_report("#label=nothing&answer=maybe"))) == 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(open_report, scheme):
    page = open_report(color_scheme=scheme)
    look = "one => [getComputedStyle(one).color, getComputedStyle(document.body).backgroundColor]"
    for name in ("h1", ".soft", "nav a", ".answer.right", ".answer.wrong", ".about .id"):
        ink, paper = (luminance(c) for c in page.locator(name).first.evaluate(look))
        assert (ink > paper) == (scheme == "dark")
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    """Of "rgb(r, g, b)", relative, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_phone_scrolls_down_and_not_sideways(open_report):
    page = open_report(viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    boxes = [mark.bounding_box() for mark in page.locator(".entry").first.locator(".mark").all()]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)


@pytest.fixture
def lab(tmp_path):
    """JupyterLab without a browser on a copy of a notebook that has not run: (its address, the file)."""
    notebook = nbformat.read(NOTEBOOK, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    copy = tmp_path / "notebooks" / "copy.ipynb"
    copy.parent.mkdir()
    nbformat.write(notebook, copy)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=secret"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += [f"--ServerApp.root_dir={copy.parent}"]
    own = {"SCS_WORK": tmp_path / "work", "HOME": tmp_path, "JUPYTER_CONFIG_DIR": tmp_path / "config"}
    own |= {"JUPYTER_RUNTIME_DIR": tmp_path / "runtime", "JUPYTER_DATA_DIR": tmp_path / "data"}
    environment = os.environ | {name: str(path) for name, path in own.items()}
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        poll(lambda: answered(f"{address}/api/status?token=secret"), tmp_path / "lab.log")
        yield f"{address}/lab/tree/copy.ipynb?token=secret", copy
    finally:
        server.terminate()
        server.wait(60)


def answered(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10) as reply:
            return reply.status == 200
    except OSError:
        return False


def poll(done, log: Path | None = None) -> None:
    """Wait until `done()`; fails with the end of the log where that takes too long."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, log and log.read_text()[-3000:]
        time.sleep(0.1)


def test_jupyterlab_runs_a_notebook_to_its_end_without_an_error(browser, lab, tmp_path):
    address, path = lab
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(address)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # asked for sooner, it wants to choose
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def finished() -> bool:
        page.keyboard.press("Control+s")
        try:
            cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code" and c.source]
        except nbformat.reader.NotJSONError:  # it is being written
            return False
        errors = [o for cell in cells for o in cell.outputs if o.output_type == "error"]
        assert not errors, errors
        return all(cell.execution_count for cell in cells)

    poll(finished, tmp_path / "lab.log")
    page.close()
