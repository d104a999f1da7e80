"""Pages of a run that is still at work."""

import time
from pathlib import Path

import pytest

from grid.report.pipeline import make_report
from grid.runs import so_far
from grid.runs.so_far import PagesSoFar
from tests.grid.report.test_pipeline import make_folder

RELOADS = "data-reload-s="


def test_they_say_so_and_reload_themselves_until_the_run_has_ended(tmp_path: Path) -> None:
    folder, _ = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    plans = {path.name: path.read_bytes() for path in folder.studies.path.iterdir()}
    index, _ = make_report(folder, so_far=True)
    pages = list(index.parent.glob("*.html"))
    assert len(pages) > 1 and all(RELOADS in page.read_text() and "So far" in page.read_text() for page in pages)
    assert plans == {path.name: path.read_bytes() for path in folder.studies.path.iterdir()}, "it is no look"
    make_report(folder)
    assert not any(RELOADS in page.read_text() for page in pages)


def test_they_are_made_when_a_trial_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(so_far, "yield_processor", lambda pid: None)  # else never, on a machine that is busy enough
    folder, _ = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    index = folder.root / "index.html"
    monkeypatch.setattr(so_far, "START_S", 0.0)
    with PagesSoFar(folder.root) as pages:
        time.sleep(0.1)
        assert not index.exists()
        pages.trial_ended()
        deadline = time.monotonic() + 200
        while not index.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert RELOADS in index.read_text()


def test_the_end_of_the_run_waits_neither_for_them_nor_leaves_half_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    monkeypatch.setattr(so_far, "INTERVAL_S", 3600.0)
    monkeypatch.setattr(so_far, "START_S", 0.0)
    with PagesSoFar(folder.root) as pages:
        pages.trial_ended()
        time.sleep(0.3)
        begin = time.monotonic()
    assert time.monotonic() - begin < 60, "an hour lies between two times that pages are made"
    assert not list(folder.root.glob(".*.tmp"))
