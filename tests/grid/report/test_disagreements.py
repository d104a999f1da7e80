"""The images on which two arms differ: which are shown, and that none of them gets into a results folder."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cifar_models.config import DataConfig
from cifar_models.data import data_fingerprint, load, split
from grid.cli import main
from grid.errors import UserError
from grid.records.plan import StudyPlan, make_plan
from grid.records.results_folder import ResultsFolder
from grid.report.disagreements import MOST, write_disagreements
from tests.grid.constructed import constructed_trial, small_study
from tests.grid.report.chromium import SCHEMES, WIDTHS, Browser, violations

DATA = DataConfig(name="digits")
LABELS = split(load("digits", None), DATA).test_labels
FIRST_ONLY, SECOND_ONLY, ONCE = 2, 5, 11
"""Images that only the first arm gets right, only the second, and the second on one of its three seeds."""


def filled(root: Path, fingerprint: str = "") -> ResultsFolder:
    """Two arms of three seeds that are right on all images but those above."""
    study = small_study()
    arms = tuple(arm.model_copy(update={"config": arm.config.model_copy(update={"data": DATA})}) for arm in study.arms)
    study = study.model_copy(update={"arms": arms})
    plan: StudyPlan = make_plan(study, fingerprint or data_fingerprint("digits", None))
    folder = ResultsFolder(root)
    folder.prepare()
    folder.save_plans([plan])
    for trial in plan.trials:
        record, test = constructed_trial(plan, trial)
        assert test is not None
        predicted = LABELS.astype(np.uint8)
        wrong = [SECOND_ONLY, ONCE] if trial.arm == 0 else [FIRST_ONLY, *([ONCE] if trial.seed else [])]
        predicted[wrong] = (predicted[wrong] + 1 + trial.seed // 2) % 10
        sure = np.ones(len(LABELS), np.float16)
        test = replace(test, label=LABELS.astype(np.uint8), predicted=predicted, true_prob=sure, predicted_prob=sure)
        folder.ledger.commit(record, test)
    return folder


def test_each_image_stands_on_the_side_of_the_arm_that_is_right_with_what_the_other_said(tmp_path: Path) -> None:
    page = write_disagreements(filled(tmp_path / "results"), "small", ("plain", "residual"), None, tmp_path / "a.html")
    first, second = page.read_text().split("<section>")[1:]
    assert [int(i) for i in re.findall("test image (\\d+)", first)] == [FIRST_ONLY]
    assert [int(i) for i in re.findall("test image (\\d+)", second)] == [SECOND_ONLY, ONCE]
    shown = re.sub("<[^>]*>|\\s+", " ", second)
    right = int(LABELS[SECOND_ONLY])
    assert re.search(f" {right} +first +{(right + 1) % 10} 2, {(right + 2) % 10} 1 ", shown)
    assert f"{len(LABELS):,} test images" in page.read_text()


def test_no_more_images_are_shown_than_one_looks_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grid.report.disagreements.MOST", 1)
    page = write_disagreements(filled(tmp_path / "results"), "small", ("plain", "residual"), None, tmp_path / "a.html")
    assert MOST > 1
    assert page.read_text().count("<img") == 2
    assert "2 images" in page.read_text()


def test_images_never_get_into_a_results_folder(tmp_path: Path) -> None:
    folder = filled(tmp_path / "results")
    (tmp_path / "link").symlink_to(folder.root)
    for to in (folder.root / "a.html", folder.root / "runs/a.html", tmp_path / "link/a.html"):
        with pytest.raises(UserError, match="results are passed on"):
            write_disagreements(folder, "small", ("plain", "residual"), None, to)
    assert not list(folder.root.rglob("a.html"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("small", "plain", "dropout"), "no arm has 'dropout' in its label; there are “plain”; “residual”"),
        (("small", "plain", "a"), "2 arms have 'a' in its label"),
        (("small", "plain", "plain"), "are the same arm"),
        (("large", "plain", "residual"), "no study starts with 'large'; there are small-quick-digits"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    folder = filled(tmp_path / "results")
    with pytest.raises(SystemExit, match="2"):
        main(["disagreements", *arguments, "--results", str(folder.root), "--to", str(tmp_path / "a.html")])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()


def test_images_of_other_data_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the data that small-quick-digits was trained on"):
        write_disagreements(
            filled(tmp_path, "0" * 64), "small", ("plain", "residual"), None, tmp_path.parent / "a.html"
        )


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_opens_in_a_browser_without_error_overflow_or_barrier(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    folder = filled(tmp_path / "results")
    page = browser.open(
        write_disagreements(folder, "small", ("plain", "residual"), None, tmp_path / "a.html"), width, SCHEMES[width]
    )
    assert [image.evaluate("image => image.naturalWidth") for image in page.locator("img").all()] == [32, 32, 32]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    browser.close(page)
