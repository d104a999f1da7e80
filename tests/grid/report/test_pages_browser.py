"""What a real browser makes of the report: from disk, offline, at a laptop's and a phone's width."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.grid.constructed import HOSTILE
from tests.grid.constructed_reports import (
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

LINES = ("forest", "final", "accuracy", "loss", "sensitivity")
CELLS = ("forest", "final", "cells-val", "cells-test", "accuracy", "loss", "sensitivity")
CHARTS = {Q2: CELLS, Q7: CELLS, Q1: LINES, Q3: LINES, Q5: LINES, Q8: LINES}


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

    def open(self, path: Path, width: int, scheme: str = "light") -> Any:
        context = self.chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        for chart in page.locator(".chart").all():
            chart.locator("svg.main-svg").first.wait_for()
        return page

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


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["index", Q2, Q3, NOTHING_RAN, Q1, Q5, Q7, Q8])
def test_a_page_opens_from_disk_without_error_request_or_overflow(
    browser: Browser, report: Path, kinds: Path, name: str, width: int
) -> None:
    browser.problems, browser.requests = [], []
    folder = report if (report / f"{name}.html").exists() else kinds
    page = browser.open(folder / f"{name}.html", width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expected = CHARTS.get(name, ())
    assert [chart.get_attribute("id") for chart in page.locator(".chart").all()] == list(expected)
    for key in expected:
        assert page.locator(f"#{key} svg.main-svg").first.bounding_box()["height"] > 90
        assert page.locator(f"#{key} .trace").count() + page.locator(f"#{key} .hm").count() > 0
    page.context.close()
    assert browser.problems == []
    assert all(url.startswith(("file://", "data:")) for url in browser.requests)


@pytest.mark.browser
def test_pictures_are_shown_from_disk_and_links_are_not_followed(browser: Browser, kinds: Path) -> None:
    browser.problems, browser.requests = [], []
    page = browser.open(kinds / f"{Q5}.html", 1280)
    assert [picture.evaluate("image => image.naturalWidth") for picture in page.locator("img").all()] == [688, 688]
    assert page.locator(".literature a").first.get_attribute("href") == "https://arxiv.org/abs/1"
    page.context.close()
    assert browser.problems == []
    assert all(url.startswith(("file://", "data:")) for url in browser.requests)


@pytest.mark.browser
def test_hostile_text_is_shown_as_written_and_nothing_of_it_runs(browser: Browser, tmp_path: Path) -> None:
    hostile = hostile_report(tmp_path)
    browser.problems = []
    (path,) = (p for p in hostile.glob("*.html") if p.name != "index.html")
    for width in (1280, 390):
        page = browser.open(path, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("img").count() == 1, "the picture"
        assert page.locator("img").evaluate("image => image.naturalWidth") == 688
        assert page.locator("figcaption", has_text=HOSTILE).count() == 3, (
            "of the picture, the forest plot and the sensitivity"
        )
        assert f"{HOSTILE} one" in page.locator("#accuracy .legendtext").first.text_content()
        page.context.close()
    assert browser.problems == []


@pytest.mark.browser
def test_charts_follow_the_width_and_the_colour_scheme(browser: Browser, report: Path) -> None:
    page = browser.open(report / f"{Q2}.html", 1280, "dark")
    ink = "getComputedStyle(document.querySelector('#accuracy .legendtext')).fill"
    height = "document.querySelector('#accuracy').clientHeight"
    dark, wide = page.evaluate(ink), page.evaluate(height)
    page.emulate_media(color_scheme="light")
    wait_until(page, f"{ink} !== '{dark}'")
    page.set_viewport_size({"width": 390, "height": 900})
    wait_until(page, f"{height} > {wide} * 2")
    wait_until(page, "document.querySelector('#accuracy .main-svg').clientWidth < 390")
    page.context.close()


@pytest.mark.browser
def test_the_table_of_arms_sorts_by_a_click_with_empty_cells_last(browser: Browser, report: Path) -> None:
    page = browser.open(report / f"{Q2}.html", 1280)
    first = page.locator("table.sortable tbody tr:first-child th")
    last = page.locator("table.sortable tbody tr:last-child th")
    button = page.locator("th button", has_text=re.compile("^Test$"))
    button.click()
    assert first.text_content() == "AdaGrad, learning rate 0.005"
    button.click()
    assert first.text_content() == "SGD, learning rate 0.0005"
    assert last.text_content() == "SGD with momentum, learning rate 0.1"
    fits = page.locator("table.sortable tbody td:nth-child(6)")
    page.locator("th button", has_text="Fit").click()
    assert fits.first.text_content() == "underfit 2 of 31 well fit", "the arm with the fewest underfit seeds"
    page.locator("th button", has_text="Fit").click()
    assert fits.first.text_content() == "underfit 3 of 3"
    assert fits.last.text_content() == "\N{EN DASH}"
    page.context.close()
