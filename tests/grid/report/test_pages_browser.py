"""What a real browser makes of the report: from disk, offline, at a laptop's and a phone's width."""

import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from grid.execution.resources import Resources
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.plan import config_of, make_plan
from grid.runs.request import Request
from tests.grid.constructed import DATA_FINGERPRINT, HOSTILE, catalogue_plan, fill_ledger, small_study
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
    Q8,
    constructed_report,
    hostile_report,
    kinds_report,
    written,
)

pytestmark = pytest.mark.browser

PICTURES = dict.fromkeys((Q2, Q3B, Q6, Q7), "cells-test") | dict.fromkeys((Q1, Q4, Q5, Q8), "forest") | {Q3: "accuracy"}
"""The chart that shows each study's answer, which has to stand on the first screen."""
WIDTHS = {1440: 900, 390: 844}
SCHEMES = {1440: "light", 390: "dark"}
"""The scheme that pages of a width are looked at in: what is wrong with colours does not hang on the width."""
MAX_WORDS = 700
PATIENCE_S = 120
"""How long anything may take: tests run beside others on a machine that has too much to do."""


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
    page = browser.open(folder / f"{name}.html", width, SCHEMES[width])
    words = page.evaluate("document.body.innerText").split()
    assert name not in PICTURES or len(words) <= MAX_WORDS
    if name in PICTURES:
        picture = page.locator("main .chart").first
        picture.locator("svg.main-svg").first.wait_for()
        box = picture.bounding_box()
        assert picture.get_attribute("id") == PICTURES[name]
        assert box["y"] + box["height"] <= WIDTHS[width], "the answer's picture is on the first screen"
    draw_all(page)
    if page.locator("#accuracy").count():
        low, high = page.evaluate("document.getElementById('accuracy')._fullLayout.yaxis.range")
        assert -0.1 < low < high < 1.1, "an axis of accuracies, not the one that plotly takes where it finds no data"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
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
    names = page.locator(f"#accuracy {'.legendtext' if width == 390 else '.textpoint text'}").all_text_contents()
    assert f"{HOSTILE} one".replace(" ", "") in "".join(names).replace(" ", ""), "lines may be broken"
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    page.locator("#arms tbody button").first.click()
    page.locator("dialog[open] .main-svg").first.wait_for()
    assert HOSTILE in page.locator("#trial-title").text_content()
    assert HOSTILE in page.locator("dialog .pairs").first.text_content(), "the machine"
    browser.close(page)


def rows(page: Any, table: str = "#arms") -> list[str]:
    """Labels of the rows of a table that are shown."""
    return list(page.locator(f"{table} tbody tr:visible th").all_inner_texts())


def shown(page: Any, chart: str) -> list[str]:
    """Labels of the rows of a chart."""
    wait_until(page, f"document.querySelector('#{chart} .main-svg') !== null")
    return list(page.evaluate(f"document.getElementById('{chart}')._fullLayout.yaxis.ticktext"))


def unfold(page: Any, text: str) -> None:
    page.locator("summary", has_text=re.compile(text)).click()


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


def test_a_click_on_a_point_opens_its_trial_which_says_how_to_train_it_again(
    browser: Browser, report: Path, tmp_path: Path
) -> None:
    page = browser.open(report / f"{Q2}.html")
    point = page.locator("#final .point").first
    page.locator("#final").scroll_into_view_if_needed()
    point.wait_for()
    seed = page.evaluate("document.getElementById('final').data[0].ids[0]")
    point.click(force=True)
    dialog = page.locator("dialog[open]")
    dialog.locator(".main-svg").first.wait_for()
    arm = int(seed.split(":")[0])
    plan = catalogue_plan("q2")
    assert dialog.locator("h2").inner_text() == plan.study.arms[arm].label
    assert "Constructed CPU @ 2.0 GHz, 2 threads" in dialog.inner_text()
    assert violations(page) == []
    dialog.get_by_role("button", name="seed 2").click()
    (trial,) = (trial for trial in plan.trials if (trial.arm, trial.seed) == (arm, 2))
    assert trial.fingerprint in dialog.inner_text()
    assert page.url.endswith(f"#trial={trial.fingerprint}")

    command = dialog.locator("pre").inner_text()
    question, run = command.removeprefix("cat > again.yaml <<'END'\n").split("\nEND\n")
    (tmp_path / "again.yaml").write_text(question)
    assert run == "cifar-grid run again.yaml --profile quick --dataset digits --seeds 3 --results again"
    again = Request(seeds=3).of([str(tmp_path / "again.yaml")], Resources())
    (study,) = again.studies(again.sourced())
    assert config_of(study, 0, 2) == plan.config(trial)

    page.keyboard.press("Escape")
    page.wait_for_function("!location.hash.includes('trial=')")
    assert not dialog.is_visible()
    browser.close(page)


def test_marks_and_a_trial_are_reached_by_keyboard_and_by_a_link(browser: Browser, report: Path) -> None:
    page = browser.open(report / f"{Q2}.html")
    draw_all(page)
    page.locator("summary", has_text=re.compile("^20 arms")).press("Enter")
    page.locator("#arms tbody button").nth(1).press("Enter")
    mark = page.get_by_role("button", name="Mark this arm everywhere")
    mark.press("Enter")
    assert mark.get_attribute("aria-pressed") == "true"
    link = page.url
    page.keyboard.press("Escape")
    assert page.evaluate("document.querySelectorAll('#forest .point:not(.dim)').length") == 1
    browser.close(page)
    page = browser.open(report / f"{Q2}.html", fragment=f"#{link.partition('#')[2]}")
    page.locator("dialog[open] h2", has_text="AdaGrad, learning rate 0.01").wait_for()
    assert page.locator("tr.marked").count() > 0
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
