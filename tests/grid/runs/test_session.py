"""Whole runs through the command, on Ray: seeds until decided, screening, the manifest, and what the verdicts say."""

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from grid.records.results_folder import ResultsFolder
from grid.report.findings import results_of
from grid.runs.sequential import open_questions, seeds_of_next_look
from tests.grid.test_cli import command

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TINY = """
title: Does it learn at a tiny rate?
about: A rate at which nothing changes, and two of which nobody knows beforehand how far they come.
base: {optimizer.name: adam, optimizer.weight_decay: 0, data.train_size: 320, epochs: 2, model.filters: [4]}
cells:
  - product: {optimizer.lr: [1.0e-30, 0.003, 0.01]}
claims:
  - name: tiny
    says: The largest rate is better than one at which nothing changes.
    source: A test
    better: {arm: {optimizer.lr: 0.01}, than: {optimizer.lr: 1.0e-30}}
  - name: large
    says: The largest rate is better than the middle one.
    source: A test
    better: {arm: {optimizer.lr: 0.01}, than: {optimizer.lr: 0.003}}
"""
GRID = """
title: Which rate?
about: Two rates that learn in an epoch, and six at which nothing changes.
base: {optimizer.name: adam, optimizer.weight_decay: 0, data.train_size: 320, epochs: 4, model.filters: [4]}
cells:
  - product: {optimizer.lr: [0.01, 0.003, 1.0e-30, 2.0e-30, 3.0e-30, 4.0e-30, 5.0e-30, 6.0e-30]}
"""


def question(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def trials_of(results: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(results / "trials.parquet").to_pylist()
    return rows


def seeds_by_the_rule(results: Path, budget: int) -> tuple[int, ...]:
    """Seeds of each arm after the second look, worked out from the trials that the first one saw."""
    (plan,) = ResultsFolder(results).plans()
    first = plan.model_copy(update={"trials": tuple(t for t in plan.trials if t.seed < 3), "looks": plan.looks[:1]})
    (found,) = results_of(ResultsFolder(results), [first])
    wanted = open_questions(found.conclusion)
    return seeds_of_next_look(first, wanted, budget) or first.num_seeds()


def test_further_seeds_are_trained_for_what_the_first_look_left_open(tmp_path: Path) -> None:
    """Which that is hangs on what is learnt here; `test_until_decided.py` has the same where it is known."""
    results = tmp_path / "results"
    budget = ("--seeds", "3", "--until-decided", "--max-trials", "4")
    arguments = (question(tmp_path, "tiny", TINY), *budget, "--results", results)
    done = command("run", *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    rows = trials_of(results)
    assert {row["status"] for row in rows} == {"ok"}
    num_seeds = Counter(row["arm"] for row in rows)
    expected = seeds_by_the_rule(results, budget=4)
    assert tuple(num_seeds[arm] for arm in range(3)) == expected
    num_looks = 2 if max(expected) > 3 else 1
    assert "look 1 at 3 seeds" in done.stdout and ("look 2 at 5 seeds" in done.stdout) == (num_looks == 2)
    verdicts = json.loads(command("verdicts", "--json", "--results", results).stdout)
    assert {row["num_looks"] for row in verdicts} == {num_looks}


def test_a_screening_finds_the_winners_of_the_full_grid_with_at_most_half_of_its_epochs(tmp_path: Path) -> None:
    path = question(tmp_path, "rates", GRID)
    full, screened = tmp_path / "full", tmp_path / "screened"
    assert command("run", path, "--seeds", "4", "--results", full).returncode == 0
    done = command("run", path, "--seeds", "4", "--scheduler", "asha", "--results", screened)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "ASHA screens every setting" in done.stdout

    rows = trials_of(screened)
    confirmed = {str(row["arm_label"]) for row in rows if row["stage"] == "full"}
    assert len(confirmed) == 2
    assert all(row["status"] == "ok" for row in rows if row["stage"] == "full")
    assert {row["seed"] for row in rows if row["stage"] == "full"} == {0, 1, 2, 3}
    assert not {row["seed"] for row in rows if row["stage"] == "screening"} & {0, 1, 2, 3}, "confirmed on fresh seeds"
    spent = sum(int(str(row["epochs_run"])) for row in rows)
    # two arms of four seeds in full, and the screening even if it held back nobody, which the order of results decides
    assert spent <= 0.5 * sum(int(str(row["epochs_run"])) for row in trials_of(full))

    by_arm: dict[str, list[float]] = {}
    for row in trials_of(full):
        by_arm.setdefault(str(row["arm_label"]), []).append(float(str(row["val_acc"])))
    best = sorted(by_arm, key=lambda label: sum(by_arm[label]))[-2:]
    assert set(best) == confirmed
    page = (screened / "rates-quick-digits.html").read_text()
    assert "trained in full" in page and "not among the best" in page
    again = command("run", path, "--seeds", "4", "--scheduler", "asha", "--results", screened)
    assert "trials done" not in again.stdout, "nothing is trained again"
