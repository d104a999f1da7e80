"""One run of Ray Tune: it trains what a schedule hands out; what was trained is the ledger's business."""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

from ray import tune
from ray.exceptions import RayError
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from cifar_models.data import Dataset
from grid.errors import LostClusterError
from grid.execution.checkpoints import CheckpointStore, StorageError
from grid.execution.interrupt import Interruption, interruptible
from grid.execution.lost_trials import MAX_WORKER_LOSSES, record_lost
from grid.execution.nodes import node_reports
from grid.execution.own_ray import tune_survives_memory_kills, tune_takes_ready_workers, wait_for_workers
from grid.execution.progress import ProgressDisplay
from grid.execution.ray_cluster import (
    alive_nodes,
    check_a_trial_fits,
    num_pending_trials,
    offered_by,
    ray_cluster,
)
from grid.execution.recorder import start_recorder
from grid.execution.resources import Resources
from grid.execution.schedule import Job, Schedule
from grid.execution.watcher import NotSaved, RunWatcher, job_of
from grid.records.ledger import Ledger
from grid.records.lock import Fence


def train_all(
    schedule: Schedule,
    dataset: Dataset,
    ledger: Ledger,
    resources: Resources,
    display: ProgressDisplay,
    *,
    keep_weights: bool = False,
    fence: Fence | None = None,
) -> bool:
    """Trains all jobs of a schedule, on an existing Ray cluster or on one that is started for this run.

    Args:
        schedule: What to train, and in which order.
        dataset: The images of all trials; they are in the object store once a node.
        ledger: Where trials are committed, on this node.
        resources: What each may use, and where checkpoints are kept.
        display: Shows the progress.
        keep_weights: Whether the ledger gets the final weights of the trials, too.
        fence: Tells whether the ledger is still this run's; None if nobody else can write there.

    Returns:
        Whether the schedule came to its end; not if the user interrupted it and running trials were let finish.

    Raises:
        UserError: A trial asks for more than any node has, or a node can't use the checkpoint storage.
        LostClusterError: Ray was stopped while it ran.
        LostLockError: The folder is another run's by now.
        OSError: A trial could not be committed, as when the disk is full.
        KeyboardInterrupt: The user wants the end at once. Finished trials are kept, and checkpoints of the others.
    """
    store = CheckpointStore(resources.checkpoints or ledger.files.beside("checkpoints"))
    with ray_cluster(), interruptible() as interruption:
        interruption.check()
        resources = prepare(resources, store)
        watcher = RunWatcher(schedule, display, interruption, partial(record_lost, ledger, dataset.fingerprint))
        trainable = tune.with_parameters(
            train_trial,
            dataset=dataset,
            recorder=start_recorder(ledger, fence),
            store=store,
            resources=resources,
            keep_weights=keep_weights,
        )
        try:
            run_tune(trainable, resources, ScheduleSearcher(schedule, interruption), watcher)
        except RayError as error:
            interruption.check()  # a terminal that closes ends Ray's processes, too
            raise LostClusterError(
                f"Ray was lost ({type(error).__name__}); finished trials are kept: run the same command again to go on"
            ) from error
        except OSError:
            if fence is not None:
                fence.check()  # a trial was refused because the folder is another run's: that is what ends this one
            raise
        except KeyboardInterrupt:
            display.say("Stopped. Finished trials are kept: run the same command again to go on")
            raise
    watcher.say_problems()
    return not interruption.requested


def train_trial(tune_config: dict[str, Job], **given: Any) -> None:
    """What Tune starts on a worker; `run_trial` has the arguments. Only workers import torch, which takes seconds."""
    from grid.execution.trial import run_trial

    run_trial(tune_config, **given)


def prepare(resources: Resources, store: CheckpointStore) -> Resources:
    """Checks the cluster before the first trial starts, and sets how many trials wait in Tune.

    Returns:
        The resources with the GPUs that a trial has on this cluster, unless the user chose.

    Raises:
        UserError: A trial asks for more than any node has, or a node can't use the checkpoint storage.
    """
    nodes = alive_nodes()
    resources = resources.settled(offered_by(nodes))
    shares = resources.shares()
    for share in shares:
        check_a_trial_fits(nodes, share)
    if resources.checkpoints is not None:
        check_storage(store)
    wait_for_workers()
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(num_pending_trials(nodes, shares))
    return resources


def check_storage(store: CheckpointStore) -> None:
    """Writes and reads back from every node, so that a long run does not find out at its first lost trial.

    Raises:
        StorageError: A node can't use the storage, or sees another under its name; the message names the node.
    """
    for node, report in node_reports(store).items():
        problem = report if isinstance(report, str) else report.storage_problem
        if problem:
            raise StorageError(f"node {node}: {problem}")


class ScheduleSearcher(NotSaved, Searcher):
    """Gives Tune a trial for each job of a schedule, and none any more once a run was interrupted.

    Attributes:
        schedule: What to train next.
        interruption: Whether the user asked for the end.
    """

    def __init__(self, schedule: Schedule, interruption: Interruption) -> None:
        super().__init__()
        self.schedule = schedule
        self.interruption = interruption
        self.live: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        """What Tune hands to `run_trial`, None for nothing yet, or that there is no more. Tune asks again and again."""
        if self.interruption.requested or self.schedule.is_done():
            return Searcher.FINISHED
        job = self.schedule.next_job()
        if job is None:
            # Tune would ask for ten minutes, and then wait forever
            assert self.live, "the schedule waits for a trial, and none is running"
            return None
        self.live.add(trial_id)
        return {"job": job}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial ended in some way; `RunWatcher` tells the schedule how."""
        self.live.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Saves nothing: a run goes on from the ledger, never from Tune's state."""


class InterruptibleFIFO(NotSaved, FIFOScheduler):
    """Starts trials in order; drops those that still wait once a run was interrupted."""

    def __init__(self, interruption: Interruption) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.interruption = interruption

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """The next trial; Tune asks every time around its loop."""
        if not self.interruption.requested:
            return super().choose_trial_to_run(tune_controller)
        for trial in tune_controller.get_trials():  # type: ignore[no-untyped-call]
            if trial.status == Trial.PENDING:
                # in the end Tune asks every trial for its folder, and fails on one that has none yet
                trial.init_local_path()
                tune_controller.stop_trial(trial)  # type: ignore[no-untyped-call]
        return None


class Silence(NotSaved, TrialProgressCallback):
    """Takes the place of the callback that Tune would add, which prints of some trials even when told to be silent."""

    def _print(self, msg: str) -> None:
        pass


def run_tune(
    trainable: Callable[..., None], resources: Resources, searcher: ScheduleSearcher, watcher: RunWatcher
) -> None:
    """Runs Tune until the searcher is finished."""

    def place_of(tune_config: dict[str, Job]) -> tune.PlacementGroupFactory:
        share = resources.share(tune_config["job"].config.model.architecture)
        return tune.PlacementGroupFactory([{"CPU": share.cpus, "GPU": share.gpus}])

    with (
        tempfile.TemporaryDirectory(prefix="cifar-grid-tune-") as scratch,
        tune_takes_ready_workers(),
        tune_survives_memory_kills(),
    ):
        tune.Tuner(
            tune.with_resources(trainable, place_of),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=InterruptibleFIFO(searcher.interruption),
                num_samples=-1,
                reuse_actors=True,
                max_concurrent_trials=resources.max_trials,
                trial_name_creator=name_trial,
                trial_dirname_creator=name_trial,
            ),
            run_config=tune.RunConfig(
                name="run",
                storage_path=scratch,
                verbose=0,
                callbacks=[watcher, Silence()],
                failure_config=tune.FailureConfig(max_failures=MAX_WORKER_LOSSES),
            ),
        ).fit()


def name_trial(trial: Trial) -> str:
    """Name and folder of one of Tune's trials; a paused one is another trial of Tune when it goes on."""
    job = job_of(trial)
    return f"{job.fingerprint}-{job.until_epoch}"
