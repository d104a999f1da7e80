"""Trials whose published weights can't be had are skipped, and the others answer the question."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from cifar_models.config import PublishedConfig, TrainConfig
from grid.execution.resources import Resources
from grid.records.ledger import TrialRecord
from grid.records.results_folder import ResultsFolder
from grid.runs.method import Method, PlannedMethod
from grid.runs.planning import print_plan
from grid.runs.request import Request
from grid.runs.session import Session
from grid.runs.weights import without_weights
from tests.grid.runs.made_results import make_up_results

QUESTION = """
title: Which network?
about: One that starts from weights that are not here, and three that do not.
base: {epochs: 4, optimizer.lr: 0.01}
cells:
  - set: {model.architecture: resnet50, model.weights: imagenet}
  - product: {model.filters: [[4], [8], [16]]}
"""
FILE = "resnet50-11ad3fa6.pth"
SKIPPED = f"2 trials skipped: no ImageNet weights for resnet50: put {FILE} into the folder given by --weights-dir"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, on a machine without a network; returns where the file would be."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    make_up_results(monkeypatch, lambda config: 0.5)
    return tmp_path / "torch" / "hub" / "checkpoints" / FILE


def asked(folder: Path) -> Request:
    (folder / "networks.yaml").write_text(QUESTION)
    return Request(seeds=2, precision="fp32").of((str(folder / "networks.yaml"),), Resources(gpus=0))


def run(folder: Path, method: Method = Method()) -> tuple[list[TrialRecord], str, bool]:
    results, said = ResultsFolder(folder / "results"), io.StringIO()
    _, complete = Session(asked(folder), method, results, Console(file=said, width=1000)).run()
    return [*results.ledger.read(results.ledger.fingerprints()).values()], said.getvalue(), complete


def statuses(records: list[TrialRecord]) -> dict[str, set[str]]:
    networks = {record.config.model.architecture for record in records}
    return {
        name: {record.status for record in records if record.config.model.architecture == name} for name in networks
    }


def test_they_are_skipped_for_a_reason_that_is_said_once_and_the_run_is_complete(tmp_path: Path) -> None:
    records, said, complete = run(tmp_path)
    assert statuses(records) == {"resnet50": {"skipped"}, "residual_cnn": {"ok"}}
    assert complete and said.count("no ImageNet weights") == 1 and said.startswith(SKIPPED)
    assert "Trials: 6 ok, 2 skipped" in said
    assert all("127.0.0.1" not in str(r.reason) and "go online" in str(r.reason) for r in records if r.status != "ok")


def test_whoever_requires_all_is_told_that_some_are_missing(tmp_path: Path) -> None:
    records, _, complete = run(tmp_path, Method(require_all=True))
    assert not complete and len(records) == 8


def test_once_the_weights_are_there_they_are_trained(tmp_path: Path, cache: Path) -> None:
    run(tmp_path)
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"whoever loads it will look at it")
    records, said, complete = run(tmp_path)
    assert complete and "skipped" not in said and {record.status for record in records} == {"ok"}


def test_a_screening_goes_on_without_them(tmp_path: Path) -> None:
    records, said, complete = run(tmp_path, Method(scheduler="asha", finalists=2))
    assert complete and said.count("no ImageNet weights") == 1
    assert statuses(records)["resnet50"] == {"skipped"}
    assert len(records) == 4 + 2 * 2, "a screening seed of each, and the finalists in full"


@pytest.mark.parametrize("scheduler", ["grid", "asha"])
def test_a_plan_says_it_and_writes_nothing(tmp_path: Path, scheduler: str) -> None:
    said, method = io.StringIO(), PlannedMethod.model_validate({"scheduler": scheduler, "screening_seeds": 2})
    folder = ResultsFolder(tmp_path / "results")
    print_plan(asked(tmp_path), method, folder, Console(file=said, width=1000), price=None, timed=False)
    assert said.getvalue().count(SKIPPED) == 1
    assert not (tmp_path / "results").exists() and not (tmp_path / "torch").exists()


def test_what_the_nodes_of_a_cluster_have_is_not_known_here(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = {"a": TrainConfig(model=PublishedConfig(architecture="resnet50", weights="imagenet"))}
    assert without_weights(trials, None).keys() == {"a"}
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert without_weights(trials, None) == {}


def test_a_folder_of_weights_that_is_not_there_is_left_to_the_trials_to_say(tmp_path: Path) -> None:
    trials = {"a": TrainConfig(model=PublishedConfig(architecture="resnet50", weights="imagenet"))}
    assert without_weights(trials, tmp_path / "nowhere") == {}
