"""Pages in a real Chromium: how tests open them, and what they ask of them."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

WIDTHS = {1440: 900, 390: 844}
SCHEMES = {1440: "light", 390: "dark"}
"""The scheme that pages of a width are looked at in: what is wrong with colours does not hang on the width."""
PATIENCE_S = 120
"""How long anything may take: tests run beside others on a machine that has too much to do."""


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
        page.set_default_timeout(PATIENCE_S * 1000)
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


def wait_until(page: Any, expression: str) -> None:
    """Waits for a condition, asked from outside: polled inside, the page's own security policy may refuse it."""
    for _ in range(PATIENCE_S * 20):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"not so after {PATIENCE_S} s: {expression}")


def draw_all(page: Any) -> None:
    """Looks at every chart that is not folded away, so that it is drawn."""
    for chart in page.locator("figure .chart:visible").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg.main-svg").first.wait_for()


def gaps_of_names(page: Any) -> list[float]:
    """Pixels between each name at the end of a line and the one below it, in all curves of a page."""
    names = "[...chart.querySelectorAll('.textpoint text')].filter(name => name.textContent)"
    edges = f"{names}.map(name => name.getBoundingClientRect()).map(box => [box.top, box.bottom])"
    charts = page.evaluate(f"[...document.querySelectorAll('#accuracy, #loss')].map(chart => {edges})")
    return [below[0] - above[1] for found in charts for above, below in pairwise(sorted(found))]


def violations(page: Any) -> list[Any]:
    """What axe-core finds on a page as it stands, of any impact."""
    base = pytest.importorskip("axe_playwright_python.base")
    page.evaluate(base.AXE_FILE_PATH.read_text(encoding="utf-8"))
    # preload would read the style sheet once more, which the page's security policy refuses; to describe what passed
    # takes three times as long as to find what did not
    found = page.evaluate("axe.run({preload: false, resultTypes: ['violations']})")["violations"]
    return [(rule["id"], rule["impact"], [node["target"] for node in rule["nodes"]]) for rule in found]


def rows(page: Any, table: str = "#arms") -> list[str]:
    """Labels of the rows of a table that are shown."""
    return list(page.locator(f"{table} tbody tr:visible th").all_inner_texts())


def shown(page: Any, chart: str) -> list[str]:
    """Labels of the rows of a chart."""
    wait_until(page, f"document.querySelector('#{chart} .main-svg') !== null")
    return list(page.evaluate(f"document.getElementById('{chart}')._fullLayout.yaxis.ticktext"))


def unfold(page: Any, text: str) -> None:
    page.locator("summary", has_text=re.compile(text)).click()
