"""Runs on a real Ray: end to end, again, grown, killed, and with a trial that diverges."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from cifar_models.data import load, split
from cifar_models.device import prepare_process
from cifar_models.records import EpochRecord, TestRecord
from cifar_models.train import train
from grid.records.files import Folder
from grid.records.ledger import Ledger
from tests.grid.test_cli import ROOT, command

pytestmark = [pytest.mark.ray, pytest.mark.slow]

QUESTION = """title: Which rate?
about: A grid small enough for a test.
base: {optimizer.name: sgd}
cells:
  - product: {optimizer.lr: [RATES]}
profiles:
  quick: {seeds: 2, set: {epochs: 2, data.train_size: 160, data.test_size: 60, model.filters: [4]}}
"""


def question(tmp_path: Path, rates: str) -> Path:
    path = tmp_path / "rates.yaml"
    path.write_text(QUESTION.replace("RATES", rates))
    return path


def counts(output: str) -> dict[str, int]:
    """The plan's numbers, from the line that the command printed."""
    match = re.search(r"rates-quick-digits +(\d+) +(\d+) +(\d+) +(\d+)", output)
    assert match, output
    return dict(zip(("planned", "cached", "shared", "new"), map(int, match.groups()), strict=True))


def snapshot(results: Path) -> dict[str, float]:
    """When each finished trial was written."""
    return {path.parent.name: path.stat().st_mtime for path in results.glob("ledger/[0-9a-f][0-9a-f]/*/trial.json")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of a run of three rates, one of which diverges, with two seeds each."""
    folder = tmp_path_factory.mktemp("finished")
    done = command("run", question(folder, "0.01, 0.1, 1.0e30"), "--results", folder / "results")
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout) == {"planned": 6, "cached": 0, "shared": 0, "new": 6}
    assert "Trials: 2 diverged, 4 ok" in done.stdout
    return folder


def test_a_run_ends_with_tables_and_pages(finished: Path) -> None:
    results = finished / "results"
    assert (results / "index.html").exists()
    assert (results / "rates-quick-digits.html").exists()
    trials = pd.read_parquet(results / "trials.parquet")
    assert trials["status"].value_counts().to_dict() == {"ok": 4, "diverged": 2}
    assert len(pd.read_parquet(results / "predictions")) == 4 * 60


def test_a_trial_that_diverges_is_a_row_with_its_reason_and_the_run_goes_on(finished: Path) -> None:
    trials = pd.read_parquet(finished / "results" / "trials.parquet")
    diverged = trials[trials["optimizer_lr"] == 1e30]
    assert diverged["status"].tolist() == ["diverged"] * 2
    assert diverged["reason"].str.contains("no longer a finite number in epoch 1").all()


def test_a_finished_run_trains_nothing_again(finished: Path) -> None:
    before = snapshot(finished / "results")
    done = command("run", finished / "rates.yaml", "--results", finished / "results")
    assert counts(done.stdout)["new"] == 0
    planned = command("plan", finished / "rates.yaml", "--results", finished / "results")
    assert planned.stdout.endswith("Nothing of this is left to train.\n") and "Timing" not in planned.stdout
    assert snapshot(finished / "results") == before


def test_a_reused_worker_computes_the_bits_of_a_fresh_process(finished: Path) -> None:
    """The trials of the run shared two workers; here one is trained without Ray."""
    ledger = Ledger(Folder(finished / "results").below("ledger"))
    records = [record for record in ledger.read(ledger.fingerprints()).values() if record.status == "ok"]
    latest = max(records, key=lambda record: record.started)
    prepare_process(num_threads=1)
    again = list(train(latest.config, split(load("digits", None), latest.config.data)))
    curves = [record for record in again if isinstance(record, EpochRecord)]
    same = [(e.train_loss, e.train_acc, e.val_loss, e.val_acc) for e in curves]
    assert same == [(e.train_loss, e.train_acc, e.val_loss, e.val_acc) for e in latest.epochs]
    assert isinstance(again[-1], TestRecord)
    assert again[-1].true_prob.tobytes() == ledger.predictions(latest.fingerprint)["true_prob"].tobytes()


def test_a_question_that_builds_on_another_is_planned_when_that_one_has_run(finished: Path, tmp_path: Path) -> None:
    composed = tmp_path / "best.yaml"
    composed.write_text(
        "title: How good is the best?\nabout: What rates found, beside another.\ncells:\n"
        "  - {label: winner, winners_of: [rates]}\n  - {label: other, set: {optimizer.lr: 0.02}}\n"
        "base: {optimizer.name: sgd}\nprofiles:\n"
        "  quick: {seeds: 2, set: {epochs: 2, data.train_size: 160, data.test_size: 60, model.filters: [4]}}\n"
    )
    alone = command("plan", composed, "--results", tmp_path / "none")
    assert alone.returncode == 2 and "'rates' is not a question that is run" in alone.stderr
    done = command("run", finished / "rates.yaml", composed, "--results", finished / "results")
    assert done.returncode == 0, done.stdout + done.stderr
    trials = pd.read_parquet(finished / "results" / "trials.parquet")
    best = trials[trials["study"] == "best-quick-digits"].set_index(["arm_label", "seed"])
    rates = trials[trials["study"] == "rates-quick-digits"]
    winner = rates.groupby("optimizer_lr")["val_acc"].mean().idxmax()
    assert best.loc[("winner", 0), "optimizer_lr"] == winner
    assert best.loc[("winner", 0), "fingerprint"] in set(rates["fingerprint"]), "it was not trained again"
    assert best["status"].tolist() == ["ok"] * 4


def test_what_no_node_has_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    path = question(tmp_path, "0.01")
    done = command("run", path, "--results", tmp_path / "results", "--gpus-per-trial", 1000, "--precision", "fp32")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "a trial asks for 1 CPUs and 1000 GPUs, and no node has both" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_grown_axis_trains_only_its_new_cells(finished: Path, tmp_path: Path) -> None:
    grown = question(tmp_path, "0.01, 0.03, 0.1")
    before = snapshot(finished / "results")
    done = command("run", grown, "--results", finished / "results")
    assert counts(done.stdout) == {"planned": 6, "cached": 4, "shared": 0, "new": 2}
    after = snapshot(finished / "results")
    assert len(after) == len(before) + 2
    assert all(after[trial] == written for trial, written in before.items())


def test_ctrl_c_pressed_once_ends_with_the_report_and_the_same_command_goes_on(tmp_path: Path) -> None:
    rates = ", ".join(f"0.0{number}" for number in range(10, 20))
    path, results, log = question(tmp_path, rates), tmp_path / "results", tmp_path / "log"
    arguments = [sys.executable, str(ROOT / "grid" / "run.py"), str(path), "--results", str(results)]
    arguments += ["--max-trials-at-once", "1"]  # or a machine of many CPUs would have started all of them
    with log.open("w") as stream:
        driver = subprocess.Popen(arguments, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + 120
    while not snapshot(results) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGINT)
    assert driver.wait(timeout=120) == 1, log.read_text()
    assert "not_run" in log.read_text() and "Interrupted: run the same command again to go on." in log.read_text()
    assert "Traceback" not in log.read_text()
    assert (results / "rates-quick-digits.html").exists()
    assert set(pd.read_parquet(results / "trials.parquet")["status"]) == {"ok", "not_run"}
    before = snapshot(results)
    done = command("run", path, "--results", results)
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout)["cached"] == len(before)
