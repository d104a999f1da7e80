"""How long a page takes until it can be used: opened from disk, in a Chromium that was started for it."""

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

from grid.records.results_folder import ResultsFolder
from grid.report.card import SCRIPT
from grid.report.pipeline import make_report
from tests.benchmarks.made_ledger import NUM_SEEDS, make_ledger
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting

GOALS_S = {30: 1, 300: 2}
"""By the number of arms of a page: the seconds after which its text and its first chart can be used."""
CHROMIUM = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1440,900", "--remote-debugging-port=0")
PATIENCE_S = 6
"""Before anyone looks into the browser: who watches a script makes it slow."""

WATCH = """
window.seen = {};
new PerformanceObserver((list) => list.getEntries().forEach(({ name, startTime }) => { seen[name] = startTime; }))
  .observe({ type: "paint", buffered: true });
(function look() {
  if (!document.querySelector("main .chart .main-svg")) return setTimeout(look, 5);
  requestAnimationFrame(() => setTimeout(() => { seen.chart = performance.now(); })); // when it has been painted
})();
"""
"""Notes, in milliseconds since the page was asked for, when the text and when the first chart was painted."""


def measure(setting: Setting) -> list[Row]:
    """A study of 300 trials and one of 3,000; there is nothing to stand beside."""
    rows = []
    for num_arms, goal in GOALS_S.items():
        root = setting.fresh("made") / "results"
        made = make_ledger(root, 1, num_arms)
        make_report(ResultsFolder(root))
        with (root / SCRIPT).open("a") as script:
            script.write(WATCH)
        opened = [open_page(root / f"{made.plan.study.name}.html") for _ in setting.each_round()]
        for part, name in enumerate(("text", "first chart")):
            what = f"{name} of a page of {num_arms * NUM_SEEDS:,} trials is painted"
            times = tuple(seconds[part] for seconds in opened)
            rows.append(Row(name="page", what=what, unit="s", ours=times, goal=f"< {goal}", others=setting.others))
    return rows


def open_page(path: Path) -> tuple[float, float]:
    """Seconds until the text of a page and its first chart were painted, by the page's own clock."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, sync_playwright() as playwright:
        command = (shutil.which("chromium") or "chromium", *CHROMIUM, f"--user-data-dir={profile}", "about:blank")
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as chromium:
            assert chromium.stderr is not None
            found = next(filter(None, (re.search(r"ws://([^/]+)", line) for line in chromium.stderr)))
            urlopen(Request(f"http://{found[1]}/json/new?{path.as_uri()}", method="PUT")).close()
            time.sleep(PATIENCE_S)
            browser = playwright.chromium.connect_over_cdp(f"http://{found[1]}")
            (page,) = (page for context in browser.contexts for page in context.pages if page.url == path.as_uri())
            while not (seen := page.evaluate("seen")).get("chart"):
                time.sleep(1)
            chromium.terminate()
    return seen["first-contentful-paint"] / 1000, seen["chart"] / 1000
