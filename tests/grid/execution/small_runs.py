"""Small trials on the digits, trained through Ray or without it, for tests of the execution."""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from cifar_models.config import DataConfig, OptimizerConfig, ResidualCNNConfig, TrainConfig
from cifar_models.data import load, split
from cifar_models.device import prepare_process
from cifar_models.records import EpochRecord
from cifar_models.train import train
from grid.execution.launch import train_all
from grid.execution.progress import ProgressDisplay, RunState
from grid.execution.resources import Resources
from grid.execution.schedule import Queue, Schedule
from grid.records.files import Folder
from grid.records.fingerprint import fingerprint
from grid.records.ledger import Ledger, TrialRecord
from tests.grid.test_cli import ROOT

os.environ.setdefault("RAY_ADDRESS", "local")  # never a cluster that happens to run on this machine

DATASET = load("digits", None)
POLL_S = 0.1
"""How often a run is looked at: to read /proc takes some 10 ms of a processor that the run could use."""


def small_config(seed: int = 0, epochs: int = 3, filters: int = 4) -> TrainConfig:
    """A network that trains an epoch in some 20 ms."""
    return TrainConfig(
        data=DataConfig(name="digits", train_size=160, test_size=60),
        model=ResidualCNNConfig(filters=(filters,)),
        optimizer=OptimizerConfig(lr=0.01),
        batch_size=32,
        epochs=epochs,
        precision="fp32",
        seed=seed,
    )


def small_trials(num: int, epochs: int = 3) -> dict[str, TrainConfig]:
    """Trials by fingerprint, one a seed."""
    configs = [small_config(seed, epochs) for seed in range(num)]
    return {fingerprint(config, DATASET.fingerprint): config for config in configs}


def run(
    schedule: Schedule,
    results: Path,
    resources: Resources,
    console: Console | None = None,
    *,
    keep_weights: bool = False,
) -> tuple[Ledger, str]:
    """Trains on Ray; returns the ledger, and what was printed, unless on a console of one's own."""
    ledger = Ledger(Folder(results).below("ledger"))
    ledger.prepare()
    stream = io.StringIO()
    with ProgressDisplay(RunState({}, {}), console or Console(file=stream)) as display:
        train_all(schedule, DATASET, ledger, resources, display, keep_weights=keep_weights)
    return ledger, stream.getvalue()


def curves(epochs: tuple[EpochRecord, ...]) -> list[tuple[float, ...]]:
    """Everything in the records but the time that it took."""
    return [(e.epoch, e.lr, e.train_loss, e.train_acc, e.val_loss, e.val_acc) for e in epochs]


def uninterrupted(config: TrainConfig) -> list[tuple[float, ...]]:
    """The curves of a trial that is trained here, without Ray, from its start to its end."""
    prepare_process(num_threads=1)
    records = train(config, split(DATASET, config.data))
    return curves(tuple(record for record in records if isinstance(record, EpochRecord)))


class Driver:
    """A run in a process group of its own, which a test can interrupt and kill.

    Attributes:
        trials: What it trains.
        results: Its results folder.
        log: What it printed.
    """

    def __init__(self, folder: Path, num_trials: int, epochs: int, **resources: object) -> None:
        self.trials, self.results, self.log = small_trials(num_trials, epochs), folder / "results", folder / "log"
        self.ledger = Ledger(Folder(self.results).below("ledger"))
        arguments = [str(self.results), str(num_trials), str(epochs), Resources(**resources).model_dump_json()]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.grid.execution.small_runs", *arguments],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until(self, happened: Callable[[], object], patience_s: float = 300) -> None:
        """Waits for what the run will do."""
        deadline = time.monotonic() + patience_s
        while not happened():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(POLL_S)

    def records(self) -> dict[str, TrialRecord]:
        """The trials that are in the ledger."""
        return self.ledger.read(self.trials)

    def checkpoints(self) -> dict[str, Path]:
        """The files of the checkpoints that are there, by fingerprint."""
        return {path.parent.name: path for path in self.results.glob("checkpoints/*/state.safetensors")}

    def workers(self) -> list[int]:
        """Processes that train for it."""
        return [worker for raylet in children(self.process.pid, b"raylet") for worker in children(raylet)]


def children(parent: int, name: bytes = b"ray::ImplicitFunc") -> list[int]:
    """The children of a process whose command has a name in it; by default the workers of a raylet that train."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            is_child = int(stat.read_text().rsplit(")", 1)[1].split()[1]) == parent
            if is_child and name in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
    return found


if __name__ == "__main__":
    folder, num_trials, epochs, resources = sys.argv[1:]
    try:
        run(
            Queue(small_trials(int(num_trials), int(epochs))),
            Path(folder),
            Resources.model_validate_json(resources),
            Console(width=200),
        )
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
