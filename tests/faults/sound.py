"""A sound results folder to do harm to: two arms of three seeds, trained in a moment, with all that a run can leave.

Trials are trained by the code that Ray would call, in this process and without Ray, so that thousands of runs can be
tried.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import ray
from ray import tune

import grid.execution.doctor as doctor
import grid.execution.launch as launch
import grid.execution.nodes as nodes
import grid.execution.ray_cluster as ray_cluster
from cifar_models.data import Dataset
from grid.cli import main
from grid.execution.checkpoints import CheckpointStore
from grid.execution.progress import ProgressDisplay
from grid.execution.recorder import Recorder
from grid.execution.resources import Resources
from grid.execution.schedule import Job, Schedule
from grid.execution.trial import run_trial
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.lock import Fence
from grid.records.plan import StudyPlan

QUESTION = """
title: Does turning help?
about: Two arms that are trained in a moment, to be harmed.
axes: {augmentation.rotation: {label: turned}}
profiles:
  quick:
    set:
      data.train_size: 100
      data.test_size: 40
      batch_size: 50
      epochs: 2
      precision: fp32
      model.filters: [2]
      model.layers_per_block: 1
      model.hidden_layer_count: 0
      augmentation.mode: in_place
cells:
  - product: {augmentation.rotation: [0, 0.5]}
claims:
  - name: turning-helps
    says: Turned digits are learnt better.
    source: nobody
    better: {arm: {augmentation.rotation: 0.5}, than: {augmentation.rotation: 0}}
answers:
  - {asked: "Why?", answer: Because., source: nobody, link: "https://example.org/why"}
"""
NAME = "faults"
STUDY = f"{NAME}-quick-digits"
MANIFEST = "20260101T000000Z-000000"
OPTIONS = ("--seeds", "3", "--gpus-per-trial", "0")
RUN = ("run", f"{NAME}.yaml", *OPTIONS, "--keep-weights", "all")


@dataclass(frozen=True)
class Sound:
    """A results folder that is whole; one of its trials was stopped, and has a checkpoint to go on from.

    Attributes:
        question: The question's file.
        results: The folder.
        trials: The files of each finished trial, by fingerprint and name.
        stopped: Fingerprint of the trial that is not finished.
    """

    question: Path
    results: Path
    trials: Mapping[str, Mapping[str, bytes]]
    stopped: str


def make_sound(folder: Path) -> Sound:
    """Makes one; torch trains in this process, so call it in one that ends."""
    question, results = folder / f"{NAME}.yaml", folder / "results"
    question.write_text(QUESTION)
    with contextlib.chdir(folder):
        cifar_grid(*RUN, "--results", "results")
    plan = StudyPlan.model_validate_json((results / "studies" / f"{STUDY}.json").read_bytes())
    last = plan.trials[-1]
    ledger = Ledger(Folder(results).below("ledger"))
    shutil.rmtree(trial_folder(results, last.fingerprint))
    job = Job(fingerprint=last.fingerprint, config=plan.config(last), until_epoch=1)
    dataset = launch_dataset()
    train_job(job, dataset, ledger, Resources(checkpoint_interval_s=0))
    (manifest,) = (results / "runs").iterdir()
    renamed = manifest.read_text().replace(manifest.stem, MANIFEST)
    manifest.rename(manifest.with_stem(MANIFEST)).write_text(renamed)
    return read_sound(folder)


def read_sound(folder: Path) -> Sound:
    """One that was made before."""
    results = folder / "results"
    plan = StudyPlan.model_validate_json((results / "studies" / f"{STUDY}.json").read_bytes())
    ledger = Ledger(Folder(results).below("ledger"))
    keys = [trial.fingerprint for trial in plan.trials]
    trials = {
        key: {path.name: path.read_bytes() for path in trial_folder(results, key).iterdir()}
        for key in ledger.read(keys, settled_only=True)
    }
    (stopped,) = set(keys) - set(trials)
    return Sound(folder / f"{NAME}.yaml", results, trials, stopped)


def trial_folder(results: Path, key: str) -> Path:
    """Where a trial is in a results folder."""
    return results / "ledger" / key[:2] / key


def launch_dataset() -> Dataset:
    """The digits."""
    from cifar_models.data import load

    return load("digits", None)


def cifar_grid(*arguments: str) -> None:
    """The command, in this process, with trials trained here and not by Ray; its exit code must be 0."""
    try:
        command(*arguments)()
    except SystemExit as ended:
        if ended.code:
            raise


def command(*arguments: str) -> Callable[[], None]:
    """The command as its user types it, but that trials are trained in this process."""

    def run() -> None:
        sys.argv = ["cifar-grid", *arguments]
        train_without_ray()
        main(list(arguments))

    return run


def train_without_ray() -> None:
    """From now on, what a run would ask of Ray is done in this process."""
    tune.report = lambda *_, **__: None
    ray.get_runtime_context = lambda: SimpleNamespace(get_node_id=lambda: "0" * 56)  # type: ignore[assignment,return-value]
    ray.get = lambda value: value  # type: ignore[assignment]
    ray_cluster.ray_cluster = _nothing
    doctor.ray_cluster = _nothing  # type: ignore[attr-defined]
    doctor.node_reports = lambda store: {}  # type: ignore[attr-defined]
    launch.train_all = train_all
    nodes.node_facts = lambda: []


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


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
    """What `grid.execution.launch.train_all` does, one trial after the other."""
    while not schedule.is_done() and (job := schedule.next_job()):
        train_job(job, dataset, ledger, resources, keep_weights=keep_weights, fence=fence)
        record = ledger.read([job.fingerprint])[job.fingerprint]
        schedule.job_ended(job.fingerprint, record.status, [epoch.val_acc for epoch in record.epochs])
    return True


def train_job(
    job: Job,
    dataset: Dataset,
    ledger: Ledger,
    resources: Resources,
    *,
    keep_weights: bool = False,
    fence: Fence | None = None,
) -> None:
    """Trains, and commits, as a worker and the recorder would.

    Raises:
        OSError: It could not be committed.
    """
    recorder = Recorder(Ledger(ledger.files.absolute()), fence)
    run_trial(
        {"job": job},
        dataset=dataset,
        recorder=SimpleNamespace(commit=SimpleNamespace(remote=recorder.commit)),
        store=CheckpointStore(resources.checkpoints or ledger.files.beside("checkpoints")),
        resources=resources,
        keep_weights=keep_weights,
    )


def in_results(*arguments: str) -> Sequence[str]:
    """Arguments of a command, with the results folder of a case."""
    return (*arguments, "--results", os.path.join("deep", "results"))
