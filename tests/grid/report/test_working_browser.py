"""Filters, marks and tables, as a reader works with them in a real browser."""

import csv
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.grid.constructed_reports import Q2
from tests.grid.report.chromium import Browser, draw_all, rows, shown, unfold, wait_until

pytestmark = pytest.mark.browser


def test_filters_reach_charts_and_tables_and_stand_in_the_address(browser: Browser, report: Path) -> None:
    page = browser.open(report / f"{Q2}.html")
    unfold(page, "^Filter")
    unfold(page, "^20 arms")
    draw_all(page)
    page.get_by_label("SGD", exact=True).uncheck()
    page.get_by_label("0.1", exact=True).uncheck()
    page.get_by_label("in charts, the best").fill("3")
    assert page.locator("#filters summary").inner_text() == "Filter: 12 of 20 arms, the best 3 in charts"
    assert len(rows(page)) == 12
    best = ["AdaGrad, learning rate 0.005", "AdaGrad, learning rate 0.01", "Adam, learning rate 0.005"]
    wait_until(page, "document.getElementById('final')._fullLayout.yaxis.ticktext.length === 3")
    assert shown(page, "final") == best
    assert shown(page, "forest") == best[1:], "the best itself is the line"
    lines = "document.getElementById('accuracy').data.filter(t => /-val$/.test(t.uid)).length"
    wait_until(page, f"{lines} === 3")
    link = page.url
    browser.close(page)

    page = browser.open(report / f"{Q2}.html", fragment=f"#{link.partition('#')[2]}")
    unfold(page, "^20 arms")
    draw_all(page)
    assert (len(rows(page)), shown(page, "final")) == (12, best), "the link leads to the same state"
    unfold(page, "^Filter")
    page.get_by_role("button", name="Show all, unmark").click()
    assert len(rows(page)) == 20
    wait_until(page, "document.getElementById('final')._fullLayout.yaxis.ticktext.length === 20")
    assert "#top=0" in page.url
    browser.close(page)


def test_seeds_and_failures_can_be_left_out(browser: Browser, report: Path) -> None:
    page = browser.open(report / f"{Q2}.html", fragment="#seeds=1&hide=1")
    unfold(page, "^60 trials")
    labels = rows(page, "#trials")
    assert len(labels) == 17, "20 arms, of whose seed 1 three failed"
    assert "SGD with momentum, learning rate 0.1" not in labels
    draw_all(page)
    points = "document.getElementById('final').data.find(t => t.name === 'a seed on test').ids"
    assert all(point.endswith(":1") for point in page.evaluate(points))
    browser.close(page)


def test_an_arm_that_is_pointed_at_is_marked_in_all_charts_and_tables(browser: Browser, report: Path) -> None:
    page = browser.open(report / f"{Q2}.html")
    draw_all(page)
    unfold(page, "^20 arms")
    page.locator("#arms tbody tr", has_text="Adam, learning rate 0.005").hover()
    clear = "[...document.querySelectorAll('#accuracy .trace:not(.dim)')].map(t => t.__data__[0].trace.uid)"
    assert page.evaluate(f"{clear}.filter(uid => /^arm/.test(uid))") == ["arm17-band", "arm17-train", "arm17-val"]
    page.locator("#arms thead").hover()
    wait_until(page, "!document.querySelector('.dim')")
    point = page.locator("#response .point").nth(16)
    point.scroll_into_view_if_needed()
    point.hover(force=True)
    wait_until(page, "document.querySelector('tr.marked')?.dataset.arm === '17'")
    assert page.evaluate("document.querySelectorAll('#forest .point:not(.dim)').length") == 1
    browser.close(page)


def test_a_claim_leads_to_its_trials(browser: Browser, report: Path) -> None:
    page = browser.open(report / f"{Q2}.html")
    unfold(page, "^Plain SGD at 0.01 learns slowly")
    page.get_by_role("link", name="Show its 6 trials").click()
    assert len(rows(page, "#trials")) == 6
    browser.close(page)


def test_tables_sort_search_and_copy(browser: Browser, report: Path) -> None:
    page = browser.open(report / f"{Q2}.html")
    unfold(page, "^20 arms")
    button = page.locator("#arms thead").get_by_role("button", name="Test", exact=True)
    button.click()
    assert rows(page)[0] == "AdaGrad, learning rate 0.005"
    button.click()
    assert rows(page)[0] == "SGD, learning rate 0.0005"
    assert rows(page)[-1] == "SGD with momentum, learning rate 0.1", "what has no number is last, either way"
    assert page.locator("#arms thead th").nth(3).get_attribute("aria-sort") == "ascending"
    assert "sort=3:ascending" in unquote(page.url)
    page.locator(".tables details[open]").get_by_label("Search this table").fill("adam")
    assert len(rows(page)) == 5
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".tables details[open]").get_by_role("button", name="Copy as CSV").click()
    page.get_by_role("button", name="Copied").wait_for()
    head, *lines = csv.reader(page.evaluate("navigator.clipboard.readText()").splitlines())
    assert head[:4] == ["Arm", "Seeds ok", "Validation", "Test"]
    assert len(lines) == 5
    assert lines[0][0] == "Adam, learning rate 0.1"
    assert 0.5 < float(lines[0][3]) < 0.6, "numbers as they are"
    browser.close(page)
