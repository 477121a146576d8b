"""The site as `make docs` builds it: no warning, no dead link, no error in a browser."""

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium")
LOOKED_AT = (
    "index",
    "notebooks/05_training_the_samplers",
    "notebooks/07_top_and_bottom_clips",
    "api/video",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built pages, with the committed notebooks."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "docs/site/build.py", "--runs", str(out / "none"), "--out", str(out)]
    offline = dict(os.environ, http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
    done = subprocess.run(command, cwd=ROOT, env=offline, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    return out / "html"


class Page(HTMLParser):
    """The links, loaded files and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors |= {attributes[a] for a in ("id", "name") if attributes.get(a)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        loaded = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        if loaded:
            self.loads.append(loaded)


def test_every_link_of_the_site_leads_somewhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 40
    dead = []
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            known = pages.get(target)
            if not target.exists() or (
                url.fragment and known and unquote(url.fragment) not in known.anchors
            ):
                dead.append((str(path.relative_to(site)), link))
    assert not dead


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = {url for path in site.rglob("*.html") for url in Page(path).loads}
    assert not [u for u in loaded if urlsplit(u).scheme not in ("", "data") or u.startswith("//")]


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed (apt-get install chromium)")
def test_it_opens_without_an_error_on_a_phone_and_a_desk(site):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    errors = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in ((390, "dark"), (1280, "light")):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page = context.new_page()
            page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            for name in LOOKED_AT:
                page.goto((site / f"{name}.html").as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            page.goto((site / "notebooks" / "05_training_the_samplers.html").as_uri())
            page.wait_for_selector("mjx-container", state="attached", timeout=60_000)  # a formula is set
        browser.close()
    assert not errors
