"""How long a page takes until it can be used: opened from disk, in a Chromium that was started for it."""

import shutil
from pathlib import Path

from grid.records.results_folder import ResultsFolder
from grid.report.pipeline import make_report
from tests.benchmarks.made_ledger import NUM_SEEDS, make_ledger
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting

GOALS_S = {30: 1, 300: 2}
"""By the number of arms of a page: the seconds after which its text and its first chart can be used."""
SCREEN = {"width": 1440, "height": 900}

WATCH = """
window.seen = {};
new PerformanceObserver((list) => list.getEntries().forEach(({ name, startTime }) => { seen[name] = startTime; }))
  .observe({ type: "paint", buffered: true });
(function look() {
  if (!document.querySelector("main .chart .main-svg")) return setTimeout(look, 5);
  requestAnimationFrame(() => setTimeout(() => { seen.chart = performance.now(); }));  // when it has been painted
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
        opened = [open_page(root / f"{made.plan.study.name}.html") for _ in setting.each_round()]
        for part, name in enumerate(("text", "first chart")):
            what = f"{name} of a page of {num_arms * NUM_SEEDS:,} trials is painted"
            times = tuple(seconds[part] for seconds in opened)
            rows.append(Row(name="page", what=what, unit="s", ours=times, goal=f"< {goal}", others=setting.others))
    return rows


def open_page(path: Path) -> tuple[float, float]:
    """Seconds until the text of a page and its first chart were painted."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_context(viewport=SCREEN).new_page()
        page.add_init_script(WATCH)
        page.goto(path.as_uri(), wait_until="commit")
        while not page.evaluate("window.seen?.chart"):
            page.wait_for_timeout(100)
        seen = page.evaluate("seen")
        chromium.close()
    return seen["first-contentful-paint"] / 1000, seen["chart"] / 1000
