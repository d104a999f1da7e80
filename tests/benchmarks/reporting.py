"""Reports of many trials: made from nothing, made again where nothing is new, and after one new trial."""

import shutil

from grid.records.ledger import WHOLE
from grid.records.results_folder import ResultsFolder
from tests.benchmarks.command_line import seconds_and_memory
from tests.benchmarks.commands import Ran, cifar_grid
from tests.benchmarks.made_ledger import NUM_SEEDS, MadeLedger, make_ledger
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting

NUM_ARMS = 20
"""Of a study, as in the catalogue's largest."""
NUM_STUDIES = (15, 50)
MANY_ARMS = 100
"""Of one study, whose pairs are compared."""
KEPT = ("ledger", "studies")
"""What a report is made from; all else in the folder was made by one."""


def measure(setting: Setting) -> list[Row]:
    """Both sizes, and one study with many arms; there is nothing to stand beside."""
    folder = setting.fresh("made") / "results"
    rows = [row for number in NUM_STUDIES for row in _measure(setting, make_ledger(folder, number, NUM_ARMS))]
    shutil.rmtree(folder.parent)  # some gigabytes
    rows += _measure(setting, make_ledger(folder, 1, MANY_ARMS))
    return rows


def _measure(setting: Setting, made: MadeLedger) -> list[Row]:
    num_studies, num_arms = len(ResultsFolder(made.root).plans()), len(made.plan.study.arms)
    num_trials = num_studies * num_arms * NUM_SEEDS
    runs: list[tuple[Ran, Ran, Ran]] = [_report_thrice(made) for _ in setting.each_round()]
    first, same, new = zip(*runs, strict=True)
    goals = ("< 45", "< 2,000", "< 5") if num_studies == max(NUM_STUDIES) else ("", "", "")
    what = f"{num_trials:,} trials, {num_studies} x {num_arms} arms"
    return [
        *seconds_and_memory("report", what, first, setting, *goals[:2]),
        *seconds_and_memory("report", f"{what}, nothing new", same, setting),
        *seconds_and_memory("report", f"{what}, one trial new", new, setting, goals[2]),
    ]


def _report_thrice(made: MadeLedger) -> tuple[Ran, Ran, Ran]:
    """A report from the ledger alone; one where nothing is new; one after a trial was added."""
    made.remove_missing()
    for entry in made.root.iterdir():
        if entry.name not in KEPT:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    (made.root / "ledger" / WHOLE).unlink(missing_ok=True)
    first, same = (cifar_grid("report", "--results", made.root, family=True) for _ in range(2))
    made.add_missing()
    return first, same, cifar_grid("report", "--results", made.root, family=True)
