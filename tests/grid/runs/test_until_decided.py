"""Further seeds, in a whole session whose trials are made up: what is open at each look is known on every machine."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from cifar_models.config import TrainConfig
from grid.execution.resources import Resources
from grid.records.results_folder import ResultsFolder
from grid.report.pipeline import read_verdicts
from grid.runs.method import Method
from grid.runs.request import Request
from grid.runs.session import Session
from tests.grid.runs.made_results import make_up_results

QUESTION = """
title: Which rate?
about: One rate is far worse than two that are about as good.
base: {epochs: 2}
cells:
  - product: {optimizer.lr: [0.001, 0.01, 0.02]}
claims:
  - name: far
    says: The smallest is far worse.
    source: A test
    better: {arm: {optimizer.lr: 0.01}, than: {optimizer.lr: 0.001}}
  - name: near
    says: The largest is better than the middle one.
    source: A test
    better: {arm: {optimizer.lr: 0.02}, than: {optimizer.lr: 0.01}}
"""
FAR, LOW, HIGH = 0.001, 0.01, 0.02
MEAN = {FAR: 0.1, LOW: 0.8, HIGH: 0.83}
SWING = {FAR: 0.01, LOW: -0.04, HIGH: 0.04}
"""By how much seeds are better and worse in turns; where one of the better arms is lucky the other one is not."""


def accuracy(config: TrainConfig) -> float:
    lr = config.optimizer.lr
    return MEAN[lr] + SWING[lr] * (-1 if config.seed % 2 else 1)


def run_session(folder: Path, budget: int, question: str = QUESTION) -> tuple[ResultsFolder, str, dict[float, int]]:
    """Runs a question; returns its folder, what it said, and the number of seeds by learning rate."""
    path = folder / "rates.yaml"
    path.write_text(question)
    results, said = ResultsFolder(folder / "results"), io.StringIO()
    request = Request(seeds=3, precision="fp32").of((str(path),), Resources(gpus=0))
    method = Method(until_decided=True, max_trials=budget)
    _, complete = Session(request, method, results, Console(file=said, width=200)).run()
    assert complete
    records = results.ledger.read(results.ledger.fingerprints()).values()
    return results, said.getvalue(), dict(Counter(record.config.optimizer.lr for record in records))


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    make_up_results(monkeypatch, accuracy)


@pytest.mark.parametrize(
    ("budget", "seeds", "num_looks"),
    [
        (3, 3, 1),  # two arms would take two each
        (4, 5, 2),
        (9, 5, 2),  # the next look would take three each
        (10, 8, 3),
    ],
)
def test_further_seeds_go_only_to_what_is_open_as_far_as_the_budget_goes(
    tmp_path: Path, budget: int, seeds: int, num_looks: int
) -> None:
    results, said, num_seeds = run_session(tmp_path, budget)
    assert num_seeds == {FAR: 3, LOW: seeds, HIGH: seeds}
    for number, at in zip(range(1, num_looks + 1), (3, 5, 8), strict=False):
        assert f"look {number} at {at} seeds: 1 question open" in said
    assert f"look {num_looks + 1} " not in said
    verdicts = {row["claim"]: row for row in read_verdicts(results)}
    assert (verdicts["far"]["verdict"], verdicts["near"]["verdict"]) == ("reproduced", "inconclusive")
    assert {row["num_looks"] for row in verdicts.values()} == {num_looks}
    page = (results.root / "rates-quick-digits.html").read_text()
    assert ("3 arms of 3 seeds" if seeds == 3 else f"3 arms of 3 to {seeds} seeds") in page
    assert f'"seeds":{json.dumps([*range(seeds)], separators=(",", ":"))}' in page, "what the page filters by"


def test_the_trials_behind_a_verdict_and_the_claims_as_they_were_are_on_record(tmp_path: Path) -> None:
    results, _, _ = run_session(tmp_path, budget=4)
    verdicts = {row["claim"]: row for row in read_verdicts(results)}
    assert set(verdicts["far"]["trials"]) < set(results.ledger.fingerprints())
    (manifest,) = (json.loads(path.read_text()) for path in (results.root / "runs").glob("*.json"))
    assert manifest["outcome"] == "complete"
    assert manifest["studies"][0]["claims_hash"] == verdicts["far"]["claims_sha256"]
    assert "before the first trial" in (results.root / "rates-quick-digits.html").read_text()


def test_where_all_is_decided_at_once_nothing_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for lr in SWING:
        monkeypatch.setitem(SWING, lr, 0.005)
    monkeypatch.setitem(MEAN, LOW, 0.5)
    _, said, num_seeds = run_session(tmp_path, budget=100)
    assert set(num_seeds.values()) == {3}
    assert "look 1 at 3 seeds: nothing more to decide" in said and "look 2 " not in said


def test_of_a_claim_on_many_arms_those_that_are_clear_get_no_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SWING, FAR, SWING[LOW])  # always as far below it
    head, _, _ = QUESTION.partition("claims:")
    claim = "{name: best, says: x, source: x, best: {axis: optimizer.lr, value: 0.01}}"
    _, said, num_seeds = run_session(tmp_path, 4, f"{head}claims:\n  - {claim}\n")
    assert "look 1 at 3 seeds: 1 question open, 4 trials added" in said
    assert num_seeds == {FAR: 3, LOW: 5, HIGH: 5}


def test_what_would_refute_a_claim_gets_seeds_and_what_only_it_would_need_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That no SGD is as good as the best Adam hangs on all SGD, and on no other Adam."""
    mean = {
        ("sgd", LOW): (0.74, -0.04),
        ("sgd", HIGH): (0.6, 0.2),
        ("adam", LOW): (0.83, 0.04),
        ("adam", FAR): (0.1, 0),
    }

    def by_optimizer(config: TrainConfig) -> float:
        level, swing = mean[config.optimizer.name, config.optimizer.lr]
        return level + swing * (-1 if config.seed % 2 else 1)

    make_up_results(monkeypatch, by_optimizer)
    cells = "".join(f"  - set: {{optimizer.name: {name}, optimizer.lr: {lr}}}\n" for name, lr in mean)
    claim = "{name: x, says: x, source: x, better: {arm: {optimizer.name: sgd}, than: {optimizer.name: adam}}}"
    question = f"title: x\nabout: x\nbase: {{epochs: 2}}\ncells:\n{cells}claims:\n  - {claim}\n"
    results, said, _ = run_session(tmp_path, 6, question)
    assert "look 1 at 3 seeds: 1 question open, 6 trials added" in said
    records = results.ledger.read(results.ledger.fingerprints()).values()
    num_seeds = Counter((record.config.optimizer.name, record.config.optimizer.lr) for record in records)
    assert num_seeds == {("sgd", LOW): 5, ("sgd", HIGH): 5, ("adam", LOW): 5, ("adam", FAR): 3}
