"""Runs of a small grid on a real Ray, each in a session of its own, to be hit while they are at work."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

QUESTION = """
title: Which rate?
about: A grid of small trials, to be hit in.
profiles:
  quick:
    set: {data.train_size: 200, epochs: 3, batch_size: 50, model.filters: [4], precision: fp32}
cells:
  - product: {optimizer.lr: [0.0001, 0.001, 0.003, 0.01]}
"""
NUM_ARMS = 4
NOT_COMPARED = {"started", "wall_s", "train_images_per_s"}
"""Columns that tell when and how fast."""
MARK = "CIFAR_GRID_FAULTS_RUN"
"""Environment variable by which everything that a run started is found."""
PATIENCE_S = 300.0
"""Longest wait in which no trial is finished: a busy machine is slow, and a shorter wait proves no more than that."""


class Run:
    """A driver at work, and all that it started.

    Attributes:
        results: Its results folder.
        process: The driver.
    """

    def __init__(self, question: Path, results: Path, num_seeds: int, **environment: str) -> None:
        self.results, self.mark = results, uuid.uuid4().hex
        self.log = results.with_name(f"{results.name}-{self.mark[:8]}.log")
        arguments = [
            "run",
            str(question),
            "--results",
            str(results),
            "--seeds",
            str(num_seeds),
            "--gpus-per-trial",
            "0",
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from grid.cli import main; main()", *arguments],
                start_new_session=True,
                env=os.environ | {"RAY_ADDRESS": "local", MARK: self.mark} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_for(self, num_finished: int) -> bool:
        """Waits until so many trials are finished; whether it came to that while the driver was at work."""
        return self.wait_until(lambda: len(finished(self.results)) >= num_finished)

    def wait_until(self, happened: Callable[[], object]) -> bool:
        """Waits for what the run will do; whether it did so while the driver was at work."""
        known, since = -1, time.monotonic()
        while not happened():
            if self.process.poll() is not None or time.monotonic() - since > PATIENCE_S:
                return False
            time.sleep(0.05)
            if (now := len(finished(self.results))) != known:
                known, since = now, time.monotonic()
        return self.process.poll() is None

    def wait_until_printed(self, text: str) -> bool:
        """Waits for what the run will say; whether it said so while the driver was at work."""
        return self.wait_until(lambda: text in self.printed())

    def end(self) -> int | None:
        """Waits for the driver's end; its exit code, or None if it had to be killed."""
        self.wait_until(lambda: self.process.poll() is not None)
        code = self.process.poll()
        if code is None:
            self.process.kill()
            self.process.wait()
        return code

    def left(self, patience_s: float) -> list[str]:
        """Commands of what it started that still run some time after its end; they are ended here."""
        deadline = time.monotonic() + patience_s
        while (pids := marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.2)
        names = [f"{command_of(pid)[:60]!r}" for pid in pids]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return names

    def printed(self) -> str:
        """What it printed, errors too."""
        return self.log.read_text(errors="backslashreplace")


def marked(mark: str, name: str = "") -> list[int]:
    """Processes that a run started, but for its driver, whose command has a name in it."""
    found = []
    wanted = f"{MARK}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (path / "environ").read_bytes().split(b"\0") and name in command_of(int(path.name)):
                found.append(int(path.name))
    return found


def command_of(pid: int) -> str:
    """The command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def finished(results: Path) -> dict[str, bytes]:
    """Every trial that is in the ledger and is ok, with its bytes."""
    found = {}
    for path in results.glob("ledger/[0-9a-f][0-9a-f]/*/trial.json"):
        with contextlib.suppress(FileNotFoundError):
            content = path.read_bytes()
            if b'"status": "ok"' in content or b'"status":"ok"' in content:
                found[path.parent.name] = content
    return found


def tables(results: Path) -> dict[str, pd.DataFrame]:
    """The tables of a results folder, in a fixed order and without what tells the time."""
    frames = {}
    for name in ("trials", "epochs", "predictions", "verdicts"):
        frame = pq.read_table(results / (name if name == "predictions" else f"{name}.parquet")).to_pandas()
        frame = frame.drop(columns=list(NOT_COMPARED & set(frame.columns)))
        keys = [key for key in ("arm", "seed", "fingerprint", "epoch", "image", "claim") if key in frame.columns]
        frames[name] = frame.sort_values(keys).reset_index(drop=True)
    return frames


def different_tables(calm: Path, harmed: Path) -> list[str]:
    """Names of the tables in which two results folders differ."""
    ours: Mapping[str, pd.DataFrame] = tables(harmed)
    return [name for name, frame in tables(calm).items() if not frame.equals(ours[name])]
