"""How the benchmarks are run: how often, where, on which images, and on what machine."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.made_images import write_parquet

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Setting:
    """What every benchmark is given.

    Attributes:
        rounds: How often everything is measured, in turn with what it stands beside.
        scratch: A folder for what is made on the way.
        given: Where CIFAR-10 is; None to make images instead.
        others: Largest share of the processors that other programs had before a round of the benchmark at work.
    """

    rounds: int
    scratch: Path
    given: Path | None = None
    others: float = field(init=False, default=0.0)

    @cached_property
    def data_dir(self) -> Path:
        """Where the images are; those that are made are as many and as large as CIFAR-10's."""
        return self.given.resolve() if self.given else write_parquet(self.scratch / "images")

    def fresh(self, name: str) -> Path:
        """The path of a folder in the scratch folder that is not there, any more or yet."""
        folder = self.scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def each_round(self, at_most: int | None = None) -> Iterator[int]:
        """The rounds by number, after a look at what else the machine does.

        Args:
            at_most: Rounds that are enough for what takes long.
        """
        for number in range(min(self.rounds, at_most or self.rounds)):
            self.others = max(self.others, busy_share())
            yield number


def busy_share(seconds: float = 1.0) -> float:
    """Share of the processors that is in use while this process waits, 0 to 1; 0 where that can't be known."""
    before = _jiffies()
    time.sleep(seconds)
    total, idle = (after - earlier for after, earlier in zip(_jiffies(), before, strict=True))
    return 1 - idle / total if total else 0.0


def _jiffies() -> tuple[int, int]:
    """Time of all processors, and the idle part of it, since the machine started."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0, 0
    spent = [int(number) for number in stat.read_text().splitlines()[0].split()[1:9]]
    return sum(spent), spent[3] + spent[4]


def describe_machine() -> dict[str, Any]:
    """What a figure depends on: hardware, system, versions, when."""
    from cifar_models.device import default_device, native_precision, package_versions
    from grid.execution.nodes import describe_node

    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return describe_node("here", {}).model_dump(mode="json", exclude={"name"}) | {
        "precision": native_precision(default_device()),
        "versions": package_versions() | {"ray": version("ray")},
        "commit": commit.stdout.strip() or None,
        "load": os.getloadavg()[0],
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }
