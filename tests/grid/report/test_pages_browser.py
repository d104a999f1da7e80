"""What a real browser makes of the pages: from disk, offline, at a laptop's and a phone's width, and on paper."""

from pathlib import Path

import pytest

from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.plan import make_plan
from tests.grid.constructed import DATA_FINGERPRINT, HOSTILE, fill_ledger, small_study
from tests.grid.constructed_reports import (
    HOSTILE_PAGE,
    NOTHING_RAN,
    Q1,
    Q2,
    Q3,
    Q3B,
    Q4,
    Q5,
    Q6,
    Q7,
    Q7B,
    Q8,
    SUMMARY,
    hostile_report,
    written,
)
from tests.grid.report.chromium import (
    SCHEMES,
    WIDTHS,
    Browser,
    draw_all,
    gaps_of_names,
    rows,
    shown,
    unfold,
    violations,
    wait_until,
)

pytestmark = pytest.mark.browser

PICTURES = (
    dict.fromkeys((Q2, Q3B, Q6, Q7), "cells-test")
    | dict.fromkeys((Q1, Q4, Q5, Q7B, Q8), "forest")
    | dict.fromkeys((Q3, SUMMARY), "accuracy")
)
"""The chart that shows each study's answer, which has to stand on the first screen."""
MAX_WORDS = 700


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["index", "how-to-read", NOTHING_RAN, *PICTURES])
def test_a_page_opens_from_disk_without_error_request_overflow_or_barrier(
    browser: Browser, report: Path, kinds: Path, name: str, width: int
) -> None:
    folder = report if name == "index" or (report / f"{name}.html").exists() else kinds
    page = browser.open(folder / f"{name}.html", width, SCHEMES[width])
    texts = "[document.body, ...document.querySelectorAll('.chart')].map(element => element.innerText)"
    words, *in_charts = (len(text.split()) for text in page.evaluate(texts))
    assert name not in PICTURES or words - sum(in_charts) <= MAX_WORDS, "as many charts may be drawn as there was time"
    if name in PICTURES:
        picture = page.locator("main .chart").first
        picture.locator("svg.main-svg").first.wait_for()
        box = picture.bounding_box()
        assert picture.get_attribute("id") == PICTURES[name]
        assert box["y"] + box["height"] <= WIDTHS[width], "the answer's picture is on the first screen"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    gaps = gaps_of_names(page)
    assert len(gaps) == 2 * 5 or (name, width) != (Q7B, 1440), "two charts of six arms, with a name each"
    assert min(gaps, default=1) > 0, "names at the ends of lines stand clear of each other"
    if page.locator("#accuracy").count():
        low, high = page.evaluate("document.getElementById('accuracy')._fullLayout.yaxis.range")
        assert -0.1 < low < high < 1.1, "an axis of accuracies, not the one that plotly takes where it finds no data"
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
    names = page.locator(f"#accuracy {'.legendtext' if width == 390 else '.textpoint text'}").all_text_contents()
    assert f"{HOSTILE} one".replace(" ", "") in "".join(names).replace(" ", ""), "lines may be broken"
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    page.locator("#arms tbody button").first.click()
    page.locator("dialog[open] .main-svg").first.wait_for()
    assert HOSTILE in page.locator("#trial-title").text_content()
    assert HOSTILE in page.locator("dialog .pairs").first.text_content(), "the machine"
    browser.close(page)


def test_charts_are_drawn_when_they_come_into_view_and_of_many_arms_the_best(browser: Browser, tmp_path: Path) -> None:
    study = small_study(tuple(f"arm {index}" for index in range(45)), seeds=(0,))
    plan, ledger = make_plan(study, DATA_FINGERPRINT), Ledger(Folder(tmp_path).below("ledger"))
    fill_ledger(plan, ledger)
    page = browser.open(written([plan], ledger, tmp_path / "pages") / f"{NOTHING_RAN}.html")
    page.locator("main .chart svg.main-svg").first.wait_for()
    assert page.locator("#loss svg").count() == 0, "it is below the first screen"
    assert page.locator("#filters summary").inner_text() == "Filter: all 45 arms, the best 20 in charts"
    draw_all(page)
    assert len(shown(page, "final")) == 20
    unfold(page, "^45 arms")
    assert len(rows(page)) == 45
    browser.close(page)


def test_on_paper_every_chart_is_drawn_as_wide_as_the_page_and_on_the_screen_as_before(
    browser: Browser, report: Path
) -> None:
    page = browser.open(report / f"{Q2}.html", 1440, "dark")
    page.locator("main .chart svg.main-svg").first.wait_for()
    assert page.locator("#loss svg").count() == 0, "nobody has come to it yet"
    widths = "[...document.querySelectorAll('figure .chart')].filter(chart => chart.checkVisibility())"
    widths += ".map(chart => chart.querySelector('.main-svg')?.clientWidth)"
    screen = page.evaluate(widths)[0]
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    paper = page.evaluate(widths)
    assert len(paper) > 4 and set(paper) == {680}, "180 mm"
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert set(page.evaluate(widths)) == {screen}
    browser.close(page)


def test_charts_follow_the_width_the_scheme_and_the_theme(browser: Browser, report: Path) -> None:
    page = browser.open(report / f"{Q2}.html", 1280, "dark")
    draw_all(page)
    ink = "getComputedStyle(document.querySelector('#accuracy .legendtext')).fill"
    height = "document.querySelector('#accuracy').clientHeight"
    dark, wide = page.evaluate(ink), page.evaluate(height)
    page.emulate_media(color_scheme="light")
    wait_until(page, f"{ink} !== '{dark}'")
    light = page.evaluate(ink)
    page.locator("#theme").click()
    page.locator("#theme", has_text="Theme: light").click()
    wait_until(page, f"{ink} === '{dark}'")
    page.goto((report / "index.html").as_uri())
    assert page.locator("#theme").inner_text() == "Theme: dark", "it holds for all pages"
    page.goto((report / f"{Q2}.html").as_uri())
    draw_all(page)
    assert page.evaluate(ink) == dark != light
    page.set_viewport_size({"width": 390, "height": 900})
    wait_until(page, f"{height} > {wide} * 2")
    wait_until(page, "document.querySelector('#accuracy .main-svg').clientWidth < 390")
    browser.close(page)
