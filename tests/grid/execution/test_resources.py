"""What a trial may use: the defaults, what is refused, and trials of different sizes in one run."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from rich.console import Console

from cifar_models.config import PublishedConfig
from grid.errors import UserError
from grid.execution import ray_cluster
from grid.execution.interrupt import Interruption
from grid.execution.launch import ScheduleSearcher, run_tune
from grid.execution.progress import ProgressDisplay, RunState
from grid.execution.ray_cluster import (
    check_a_trial_fits,
    num_pending_trials,
    num_trials_at_once,
    offered_by,
    storage_note,
)
from grid.execution.resources import ArchitectureShare, Resources, Share
from grid.execution.schedule import Job, Queue
from grid.execution.trial import limit_memory
from grid.execution.watcher import RunWatcher
from tests.grid.execution.small_runs import small_trials
from tests.grid.test_cli import ROOT


def node(cpus: float, gpus: float = 0) -> dict[str, Any]:
    """A node as Ray describes it; what it has none of is not named."""
    return {"Resources": {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}}


LAPTOP, WORKSTATION, CLUSTER = [node(8)], [node(16, 1)], [node(4), node(32, 4), node(32, 4)]


@pytest.mark.parametrize(
    ("nodes", "share", "at_once"),
    [(LAPTOP, Share(cpus=1, gpus=0), 8), (WORKSTATION, Share(cpus=1, gpus=1), 1), (CLUSTER, Share(cpus=1, gpus=1), 8)],
)
def test_by_default_a_trial_has_a_core_and_a_gpu_where_there_is_one(
    nodes: list[dict[str, Any]], share: Share, at_once: int
) -> None:
    assert Resources().settled(offered_by(nodes)).shares() == [share]
    assert num_trials_at_once(nodes, share) == at_once


def test_a_cluster_that_has_no_gpu_yet_but_can_start_one_has_gpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ray_cluster, "AUTOSCALING_CONFIG", tmp_path / "config.yaml")
    assert Resources().settled(offered_by([node(0)])).gpus == 0
    shutil.copy(ROOT / "cluster.yaml", tmp_path / "config.yaml")
    assert Resources().settled(offered_by([node(0)])).gpus == 1


def test_fractions_share_a_device_without_rounding_one_trial_away() -> None:
    assert num_trials_at_once(WORKSTATION, Share(cpus=1, gpus=0.1)) == 10
    assert num_trials_at_once(WORKSTATION, Share(cpus=0.3, gpus=1 / 3)) == 3
    assert num_trials_at_once(LAPTOP, Share(cpus=0.25, gpus=0)) == 32


def test_an_architecture_can_have_a_share_of_its_own() -> None:
    own = ArchitectureShare(architecture="resnet50", cpus=4, gpus=1)
    resources = Resources(cpus=1, gpus=0.25, by_architecture=(own,))
    assert resources.settled([{"GPU": 1}]) == resources, "the user chose"
    assert resources.share("residual_cnn") == Share(cpus=1, gpus=0.25)
    assert resources.share("resnet50") == Share(cpus=4, gpus=1)
    assert [share.num_threads for share in resources.shares()] == [1, 4]
    assert resources.num_threads() == {"other": 1, "resnet50": 4}
    assert Resources.model_validate_json(resources.model_dump_json()) == resources


def test_a_trial_that_no_node_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"asks for 1 CPUs and 8 GPUs, and no node has both \(at most 32 CPUs, 4 GPUs\)"
    ):
        check_a_trial_fits(CLUSTER, Share(cpus=1, gpus=8))
    with pytest.raises(UserError, match=r"asks for 1\.5 GPUs; more than one GPU must be a whole number"):
        check_a_trial_fits(CLUSTER, Share(cpus=1, gpus=1.5))
    check_a_trial_fits(CLUSTER, Share(cpus=32, gpus=4))
    (tmp_path / "config.yaml").touch()
    monkeypatch.setattr(ray_cluster, "AUTOSCALING_CONFIG", tmp_path / "config.yaml")
    check_a_trial_fits(LAPTOP, Share(cpus=1, gpus=8))  # which the autoscaler may yet start


def test_as_many_trials_wait_as_start_together_so_that_a_schedule_decides_late() -> None:
    assert num_pending_trials(CLUSTER, [Share(cpus=1, gpus=1), Share(cpus=1, gpus=0.5)]) == 16
    assert num_pending_trials(LAPTOP, [Share(cpus=16, gpus=0)]) == 1


def test_checkpoints_that_stay_on_their_node_are_said_to() -> None:
    assert storage_note(None, 1) is None
    assert storage_note("s3://bucket/checkpoints", 8) is None
    note = storage_note(None, 8)
    assert note is not None and "8 nodes" in note and "\n" not in note


def test_a_share_of_a_gpu_limits_memory_only_where_there_is_one() -> None:
    assert not torch.cuda.is_available() or pytest.skip("it would limit this very process")
    limit_memory(0.5)


def say_process(folder: Path) -> Callable[[dict[str, Job]], None]:
    """A trial that trains nothing, but says in which process it ran."""

    def run(tune_config: dict[str, Job]) -> None:
        from ray import tune

        seed = tune_config["job"].config.seed
        (folder / str(seed)).write_text(str(os.getpid()))
        tune.report({"status": "ok", "val_acc": [], "storage_problem": None})

    return run


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_is_reused_for_trials_of_its_share_and_gives_way_to_those_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", "1")
    trials = small_trials(9)
    for name, config in trials.items():
        if 4 <= config.seed < 8:
            trials[name] = config.model_copy(update={"model": PublishedConfig(architecture="resnet50")})
    queue, display, interruption = Queue(trials), ProgressDisplay(RunState({}, {}), Console(quiet=True)), Interruption()
    with ray_cluster.ray_cluster():
        all_cpus = ray.cluster_resources()["CPU"]
        own = ArchitectureShare(architecture="resnet50", cpus=all_cpus, gpus=0)
        resources = Resources(by_architecture=(own,), max_trials=1)
        watcher = RunWatcher(queue, display, interruption, lambda job, error, kills: pytest.fail(error))
        run_tune(say_process(tmp_path), resources, ScheduleSearcher(queue, interruption), watcher)
    process = {seed: (tmp_path / str(seed)).read_text() for seed in range(9)}
    assert len({process[seed] for seed in range(4)}) == 1
    assert len({process[seed] for seed in range(4, 8)}) == 1
    assert len(set(process.values())) == 3, "a worker can't change its share"


@pytest.mark.parametrize("own", [(), ("resnet50=4,1",)])
def test_networks_are_compiled_for_gpus_only(own: tuple[str, ...]) -> None:
    wanted = Resources.model_validate({"compile": True, "by_architecture": own})
    with pytest.raises(UserError, match=r"^--compile: on a CPU"):
        wanted.settled([{"CPU": 8}])
    assert wanted.settled([{"CPU": 8}, {"GPU": 1}]).compile
