"""A trial's panel, as a reader opens it in a real browser: by a click, by the keyboard, by a link."""

import re
from pathlib import Path

import pytest

from grid.execution.resources import Resources
from grid.records.plan import config_of
from grid.runs.request import Request
from tests.grid.constructed import catalogue_plan
from tests.grid.constructed_reports import Q2
from tests.grid.report.chromium import Browser, draw_all, violations

pytestmark = pytest.mark.browser


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
    assert run == "cifar-grid run again.yaml --profile quick --dataset digits --first-seed 2 --seeds 1 --results again"
    again = Request(first_seed=2, seeds=1).of([str(tmp_path / "again.yaml")], Resources())
    (study,) = again.studies(again.sourced())
    assert config_of(study, 0, *study.seeds) == plan.config(trial)
    assert study.arms[0].label == plan.study.arms[arm].label

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
