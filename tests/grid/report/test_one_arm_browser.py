"""The charts of one arm at a time, as a reader uses them in a real browser."""

from pathlib import Path

import pytest

from tests.grid.constructed_reports import Q3
from tests.grid.report.chromium import Browser, draw_all, wait_until

pytestmark = pytest.mark.browser


def test_the_arm_is_chosen_by_the_keyboard_and_a_filter_reaches_what_is_folded(
    browser: Browser,
    report: Path,
) -> None:
    page = browser.open(report / f"{Q3}.html")
    page.get_by_text("More charts").click()
    draw_all(page)
    of_arm = "document.querySelector('#confusion').data.map(trace => trace.uid).join()"
    before = page.evaluate(of_arm)
    assert before.count("arm") == 2, "one arm: its cells and its classes"
    select = page.locator("figure:has(#confusion) select")
    select.focus()
    page.keyboard.press("ArrowDown")
    wait_until(page, f"{of_arm} !== '{before}'")
    beside = "document.querySelector('#disagreement').data.map(trace => trace.uid + trace.x.join('/')).join()"
    before = page.evaluate(beside)
    assert before.count("arm") == 2, "one arm beside all"
    page.locator("figure:has(#disagreement) select").select_option(index=1)
    wait_until(page, f"{beside} !== '{before}'")
    width = page.evaluate("document.querySelector('#disagreement .main-svg').clientWidth")
    page.get_by_text("More charts").click()
    page.evaluate("location.hash = 'top=1'")
    page.get_by_text("More charts").click()
    draw_all(page)
    assert page.evaluate("document.querySelector('#disagreement .main-svg').clientWidth") == width
    browser.close(page)
