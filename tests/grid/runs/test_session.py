"""Whole runs through the command, on Ray: seeds until decided, screening, the manifest, and what the verdicts say."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.grid.test_cli import command

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TINY = """
title: Does it learn at a tiny rate?
about: Two rates, one of which is far too small.
base: {optimizer.name: adam, optimizer.weight_decay: 0, data.train_size: 320, epochs: 4, model.filters: [4]}
cells:
  - product: {optimizer.lr: [0.00001, 0.01]}
claims:
  - name: rate
    says: The larger rate is better.
    source: A test
    better: {arm: {optimizer.lr: 0.01}, than: {optimizer.lr: 0.00001}}
  - name: level
    says: It comes to 89 %, which is about where it comes to, so that three seeds can't tell.
    source: A test
    level: {arm: {optimizer.lr: 0.01}, measure: val_acc, at_least: 0.89}
"""
GRID = """
title: Which rate?
about: Eight rates of Adam, of which the small ones hardly learn in so few epochs.
base: {optimizer.name: adam, optimizer.weight_decay: 0, data.train_size: 480, model.filters: [8]}
cells:
  - product: {optimizer.lr: [0.000001, 0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01]}
"""


def question(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def trials_of(results: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(results / "trials.parquet").to_pylist()
    return rows


def test_further_seeds_go_only_to_what_is_open(tmp_path: Path) -> None:
    results = tmp_path / "results"
    budget = ("--seeds", "3", "--until-decided", "--max-trials", "4")
    arguments = (question(tmp_path, "tiny", TINY), *budget, "--results", results)
    done = command("run", *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "look 1 at 3 seeds" in done.stdout and "look 2 at 5 seeds" in done.stdout

    seeds = {(row["arm_label"], row["seed"]) for row in trials_of(results) if row["status"] == "ok"}
    assert sum("1e-05" in str(label) for label, _ in seeds) == 3, "what is decided gets no more"
    assert len(seeds) == 3 + 5, "8 seeds would be more than may be added"
    verdicts = {row["claim"]: row for row in json.loads(command("verdicts", "--json", "--results", results).stdout)}
    assert verdicts["rate"]["verdict"] == "reproduced"
    assert {row["num_looks"] for row in verdicts.values()} == {2}
    assert set(verdicts["rate"]["trials"]) <= {row["fingerprint"] for row in trials_of(results)}

    (manifest,) = (json.loads(path.read_text()) for path in (results / "runs").glob("*.json"))
    assert manifest["outcome"] == "complete"
    assert manifest["studies"][0]["claims_hash"] == verdicts["rate"]["claims_sha256"]
    page = (results / "tiny-quick-digits.html").read_text()
    assert "before the first trial" in page


def test_a_screening_finds_a_winner_of_the_full_grid_with_two_fifths_of_its_epochs(tmp_path: Path) -> None:
    path = question(tmp_path, "rates", GRID)
    full, screened = tmp_path / "full", tmp_path / "screened"
    assert command("run", path, "--seeds", "4", "--results", full).returncode == 0
    done = command("run", path, "--seeds", "4", "--scheduler", "asha", "--results", screened)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "ASHA screens every setting" in done.stdout

    rows = trials_of(screened)
    confirmed = {str(row["arm_label"]) for row in rows if row["stage"] == "full"}
    assert all(row["status"] == "ok" for row in rows if row["stage"] == "full")
    assert {row["seed"] for row in rows if row["stage"] == "full"} == {0, 1, 2, 3}
    assert not {row["seed"] for row in rows if row["stage"] == "screening"} & {0, 1, 2, 3}, "confirmed on fresh seeds"
    spent = sum(int(str(row["epochs_run"])) for row in rows)
    assert spent <= 0.4 * sum(int(str(row["epochs_run"])) for row in trials_of(full))

    by_arm: dict[str, list[float]] = {}
    for row in trials_of(full):
        by_arm.setdefault(str(row["arm_label"]), []).append(float(str(row["val_acc"])))
    best = max(by_arm, key=lambda label: sum(by_arm[label]))
    assert best in confirmed
    page = (screened / "rates-quick-digits.html").read_text()
    assert "trained in full" in page and "not among the best" in page
    again = command("run", path, "--seeds", "4", "--scheduler", "asha", "--results", screened)
    assert "trials done" not in again.stdout, "nothing is trained again"
