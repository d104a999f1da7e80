"""Memory that a further worker adds: what it has for itself while two of them train, so without shared libraries.

Linux alone says that, in `/proc/PID/smaps_rollup`: private pages (the unique set size, USS). Libraries of torch, and
images in the object store, are shared by the workers, and so are not in it.
"""

import contextlib
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from tests.benchmarks.commands import CIFAR_GRID, start
from tests.benchmarks.grid_settings import RATES
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting
from tests.benchmarks.small_grid import QUESTION

EVERY_S = 0.2
WORKER = b"ray::"
TRAINS = b"ImplicitFunc"
TINY: dict[str, object] = {"model.filters": "[1]", "model.layers_per_block": 1, "model.hidden_layer_count": 0}
CASES: dict[str, dict[str, object]] = {
    "a worker, a tiny network, all 45,000 training images": {"epochs": 3, **TINY},
    "a worker, the final network, batch 256": {"epochs": 1, "data.train_size": 1024, "data.test_size": 256},
}


class Size(NamedTuple):
    """Memory of a process, in bytes: what is its own, and its share of all that it uses."""

    own: int
    share: int


def measure(setting: Setting) -> list[Row]:
    """Both cases; nothing where the system does not say it."""
    if not Path("/proc/self/smaps_rollup").exists():
        return []
    rows = []
    for what, changes in CASES.items():
        peaks = [_peak_of_two(setting, changes) for _ in setting.each_round()]
        for kind, values in (
            ("own pages (USS)", [peak.own for peak in peaks]),
            ("share (PSS)", [p.share for p in peaks]),
        ):
            rows.append(
                Row(
                    name="memory",
                    what=f"{what}, {kind}",
                    unit="MB",
                    ours=tuple(value / 1e6 for value in values),
                    goal="< 400, data shared" if "USS" in kind and "tiny" in what else "",
                    others=setting.others,
                )
            )
    return rows


def _peak_of_two(setting: Setting, changes: dict[str, object]) -> Size:
    """The most that the smaller of two workers had, while both were at work."""
    question = setting.scratch / "rates.yaml"
    question.write_text(QUESTION, encoding="utf-8")
    options = [word for field, value in changes.items() for word in ("--set", f"{field}={value}")]
    where = ("--data-dir", setting.data_dir, "--results", setting.fresh("memory"))
    command = ["run", question, "--profile", "cpu", "--seeds", 1, "--max-trials-at-once", 2, *where, *options]
    peak = Size(0, 0)
    with TemporaryFile() as out:
        process = start(
            *CIFAR_GRID, *command, changes={"CIFAR_GRID_CACHE": str(setting.scratch / "cache")}, out=out.fileno()
        )
        while process.poll() is None:
            sizes = [size for size in map(size_of, workers_of(process.pid)) if size]
            if len(sizes) >= min(2, len(RATES)):
                peak = Size(*(max(most, min(now)) for most, now in zip(peak, zip(*sizes, strict=True), strict=True)))
            time.sleep(EVERY_S)
        if process.returncode or not peak.own:
            out.seek(0)
            raise RuntimeError(f"no two workers were seen: {out.read()[-2000:].decode('utf-8', 'replace')}")
    return peak


def workers_of(driver: int) -> list[int]:
    """The processes that train for a driver."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    found = []
    for process in parents:
        if _descends(process, driver, parents):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{process}/cmdline").read_bytes()
                if command.startswith(WORKER) and TRAINS in command:
                    found.append(process)
    return found


def _descends(process: int, ancestor: int, parents: dict[int, int]) -> bool:
    while process in parents:
        process = parents[process]
        if process == ancestor:
            return True
    return False


def size_of(process: int) -> Size | None:
    """The memory of a process; None if it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    kib = {name.rstrip(":"): int(value) for name, value, *_ in map(str.split, lines)}
    return Size(1024 * (kib["Private_Clean"] + kib["Private_Dirty"]), 1024 * kib["Pss"])
