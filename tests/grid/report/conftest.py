"""The browser and the reports that tests of pages share: both take seconds to start or to make."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.grid.constructed_reports import constructed_report, kinds_report
from tests.grid.report.chromium import Browser


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return constructed_report(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kinds_report(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")  # its event loop is not to be around where another test has one of its own
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield Browser(chromium)
        chromium.close()
