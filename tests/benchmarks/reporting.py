"""Reports of many trials: made from nothing, made again where nothing is new, and after one new trial."""

import shutil

from tests.benchmarks.command_line import seconds_and_memory
from tests.benchmarks.commands import Ran, cifar_grid
from tests.benchmarks.made_ledger import NUM_EPOCHS, NUM_IMAGES, MadeLedger, make_ledger
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting

SIZES = (3000, 10_000)
KEPT = ("ledger", "studies")
"""What a report is made from; all else in the folder was made by one."""


def measure(setting: Setting) -> list[Row]:
    """Both sizes; there is nothing to stand beside."""
    return [row for size in SIZES for row in _measure_size(setting, size)]


def _measure_size(setting: Setting, num_trials: int) -> list[Row]:
    made = make_ledger(setting.fresh("made") / "results", num_trials)
    runs: list[tuple[Ran, Ran, Ran]] = [_report_thrice(made) for _ in setting.each_round()]
    shutil.rmtree(made.root.parent)  # some gigabytes
    goals = ("< 45", "< 2,000", "< 5") if num_trials == max(SIZES) else ("", "", "")
    what = f"{num_trials:,} trials x {NUM_EPOCHS} epochs x {NUM_IMAGES:,} test images"
    first, same, new = zip(*runs, strict=True)
    return [
        *seconds_and_memory("report", what, first, setting, *goals[:2]),
        *seconds_and_memory("report", f"{num_trials:,} trials, nothing new", same, setting),
        *seconds_and_memory("report", f"{num_trials:,} trials, one new", new, setting, goals[2]),
    ]


def _report_thrice(made: MadeLedger) -> tuple[Ran, Ran, Ran]:
    """A report from the ledger alone; one where nothing is new; one after a trial was added."""
    made.remove_missing()
    for entry in made.root.iterdir():
        if entry.name not in KEPT:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    first, same = (cifar_grid("report", "--results", made.root) for _ in range(2))
    made.add_missing()
    return first, same, cifar_grid("report", "--results", made.root)
