"""Kills the driver of a run again and again, and compares what is left with a run that nobody disturbed.

python -m tests.kills 20        20 SIGKILLs at random moments; some minutes
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

QUESTION = """
title: Which rate?
about: A small grid whose trials take some seconds, to be killed in.
base: {optimizer.name: adam, optimizer.weight_decay: 0, data.train_size: 960, epochs: 6, model.filters: [8]}
cells:
  - product: {optimizer.lr: [0.0001, 0.001, 0.003, 0.01]}
"""
NUM_ARMS = 4
TRIALS_BEFORE_A_KILL = 5
"""So many trials finish in a run, at most, before it is killed; half of the kills come before the first."""
NOT_COMPARED = {"started", "wall_s", "train_images_per_s"}
"""Columns that tell when and how fast."""


def start(question: Path, results: Path, num_seeds: int) -> subprocess.Popen[bytes]:
    """A driver in a session of its own, so that nothing else is hit."""
    arguments = ["run", str(question), "--results", str(results), "--seeds", str(num_seeds)]
    command = [sys.executable, "-c", "from grid.cli import main; main()", *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, start_new_session=True, env=os.environ | {"RAY_ADDRESS": "local"}, **quiet)


def finished(results: Path) -> dict[str, bytes]:
    """Every trial that is in the ledger, with its bytes."""
    found = {}
    for path in results.glob("ledger/[0-9a-f][0-9a-f]/*/trial.json"):
        content = path.read_bytes()
        if b'"status": "ok"' in content or b'"status":"ok"' in content:
            found[path.parent.name] = content
    return found


def tables(results: Path) -> dict[str, pd.DataFrame]:
    """The tables of a results folder, in a fixed order and without what tells the time."""
    frames = {}
    for name in ("trials", "epochs", "predictions", "verdicts"):
        frame = pq.read_table(results / f"{name}.parquet").to_pandas()
        frame = frame.drop(columns=list(NOT_COMPARED & set(frame.columns)))
        keys = [key for key in ("arm", "seed", "fingerprint", "epoch", "image", "claim") if key in frame.columns]
        frames[name] = frame.sort_values(keys).reset_index(drop=True)
    return frames


def kill_and_compare(num_kills: int, folder: Path, rng: random.Random) -> int:
    """Runs without kills, then with, then to the end; returns how many runs were hit while they were at work.

    Raises:
        AssertionError: A finished trial was lost or trained again, or the tables differ.
    """
    question, killed, calm = folder / "kills.yaml", folder / "killed", folder / "calm"
    question.write_text(QUESTION)
    num_seeds = 2 + num_kills // 2
    first_s, each_s = _run_undisturbed(question, calm, num_seeds)
    seen: dict[str, bytes] = {}
    num_hit = 0
    for kill in range(num_kills):
        driver = start(question, killed, num_seeds)
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(rng.uniform(0.2 * first_s, first_s + TRIALS_BEFORE_A_KILL * each_s))
        if driver.poll() is None:
            num_hit += 1
            driver.send_signal(signal.SIGKILL)
            driver.wait()
        now = finished(killed)
        _compare(seen, now)
        seen |= now
        print(f"kill {kill + 1}: {len(seen)} of {NUM_ARMS * num_seeds} trials finished", flush=True)
    assert start(question, killed, num_seeds).wait() == 0
    _compare(seen, finished(killed))
    for name, frame in tables(calm).items():
        pd.testing.assert_frame_equal(frame, tables(killed)[name], check_exact=True, obj=name)
    return num_hit


def _run_undisturbed(question: Path, results: Path, num_seeds: int) -> tuple[float, float]:
    """Seconds until the first trial is finished, and for each further one."""
    begun = time.monotonic()
    driver = start(question, results, num_seeds)
    while not finished(results) and driver.poll() is None:
        time.sleep(0.1)
    first_s = time.monotonic() - begun
    assert driver.wait() == 0
    return first_s, (time.monotonic() - begun - first_s) / (NUM_ARMS * num_seeds)


def _compare(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    assert before.keys() <= after.keys(), f"lost: {before.keys() - after.keys()}"
    assert not [key for key in before if before[key] != after[key]], "trained again"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        hit = kill_and_compare(int(sys.argv[1]), Path(scratch), random.Random(0))
    print(f"{hit} runs were hit at work; no finished trial was lost or trained again, and the tables are equal")
