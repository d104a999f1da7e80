"""What a real browser makes of the report: from disk, offline, at a laptop's and a phone's width."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.grid.constructed import HOSTILE
from tests.grid.constructed_reports import (
    HOSTILE_PAGE,
    NOTHING_RAN,
    Q1,
    Q2,
    Q3,
    Q5,
    Q7,
    Q8,
    constructed_report,
    hostile_report,
    kinds_report,
)

pytestmark = pytest.mark.browser

PICTURES = {Q2: "cells-test", Q7: "cells-test", Q1: "forest", Q3: "accuracy", Q5: "forest", Q8: "forest"}
"""The chart that shows each study's answer, which has to stand on the first screen."""
WIDTHS = {1440: 900, 390: 844}
MAX_WORDS = 700


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return constructed_report(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kinds_report(tmp_path_factory.mktemp("kinds"))


class Browser:
    """Opens pages in Chromium and remembers what went wrong and what was asked for."""

    def __init__(self, chromium: Any) -> None:
        self.chromium = chromium
        self.problems: list[str] = []
        self.requests: list[str] = []

    def open(self, path: Path, width: int = 1440, scheme: str = "light", fragment: str = "") -> Any:
        self.problems, self.requests = [], []
        viewport = {"width": width, "height": WIDTHS.get(width, 900)}
        page = self.chromium.new_context(viewport=viewport, color_scheme=scheme).new_page()
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri() + fragment)
        return page

    def close(self, page: Any) -> None:
        """Ends with a page on which nothing may have gone wrong."""
        page.context.close()
        assert self.problems == []
        assert all(url.startswith(("file://", "data:", "blob:")) for url in self.requests)

    def _dismiss(self, dialog: Any) -> None:
        self.problems.append(f"dialog {dialog.message}")
        dialog.dismiss()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield Browser(chromium)
        chromium.close()


def wait_until(page: Any, expression: str) -> None:
    """Waits for a condition, asked from outside: polled inside, the page's own security policy may refuse it."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"not so after ten seconds: {expression}")


def draw_all(page: Any) -> None:
    """Looks at every chart, so that it is drawn."""
    for chart in page.locator("main .chart").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg.main-svg").first.wait_for()


def violations(page: Any) -> list[Any]:
    """What axe-core finds on a page as it stands, of any impact."""
    base = pytest.importorskip("axe_playwright_python.base")
    page.evaluate(base.AXE_FILE_PATH.read_text(encoding="utf-8"))
    # it would read the style sheet once more, which the page's security policy refuses
    found = page.evaluate("axe.run({preload: false})")["violations"]
    return [(rule["id"], rule["impact"], [node["target"] for node in rule["nodes"]]) for rule in found]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["index", "how-to-read", NOTHING_RAN, *PICTURES])
def test_a_page_opens_from_disk_without_error_request_overflow_or_barrier(
    browser: Browser, report: Path, kinds: Path, name: str, width: int
) -> None:
    folder = report if name == "index" or (report / f"{name}.html").exists() else kinds
    page = browser.open(folder / f"{name}.html", width)
    words = page.evaluate("document.body.innerText").split()
    assert name not in PICTURES or len(words) <= MAX_WORDS
    if name in PICTURES:
        picture = page.locator("main .chart").first
        picture.locator("svg.main-svg").first.wait_for()
        box = picture.bounding_box()
        assert picture.get_attribute("id") == PICTURES[name]
        assert box["y"] + box["height"] <= WIDTHS[width], "the answer's picture is on the first screen"
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    browser.close(page)


def test_pictures_are_shown_from_disk_and_links_are_not_followed(browser: Browser, kinds: Path) -> None:
    page = browser.open(kinds / f"{Q5}.html")
    assert [picture.evaluate("image => image.naturalWidth") for picture in page.locator("img").all()] == [688, 688]
    assert page.locator(".literature a").first.get_attribute("href") == "https://arxiv.org/abs/1"
    browser.close(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_text_is_shown_as_written_and_nothing_of_it_runs(browser: Browser, tmp_path: Path, width: int) -> None:
    page = browser.open(hostile_report(tmp_path) / f"{HOSTILE_PAGE}.html", width)
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("img").count() == 1, "the picture"
    assert page.locator("img").evaluate("image => image.naturalWidth") == 688
    assert f"{HOSTILE} one" in page.locator("#accuracy .legendtext").first.text_content()
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    page.locator("#arms tbody button").first.click()
    page.locator("dialog[open] .main-svg").first.wait_for()
    assert HOSTILE in page.locator("#trial-title").text_content()
    assert HOSTILE in page.locator("dialog .pairs").first.text_content(), "the machine"
    browser.close(page)
