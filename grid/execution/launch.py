"""Ray and Ray Tune: the executor. It trains what it is told to; what was trained is the ledger's business."""

import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.experiment import Trial
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cifar_models.config import TRAINING_VERSION, TrainConfig
from cifar_models.data import Dataset
from cifar_models.device import WORKER_ENVIRONMENT, default_device
from grid.errors import LostClusterError, UserError
from grid.execution.progress import ProgressDisplay, RunState
from grid.execution.resources import Resources
from grid.execution.trial import Recorder, run_trial
from grid.records.ledger import Ledger, TrialRecord

ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")

AUTOSCALING_CONFIG = Path("~/ray_bootstrap_config.yaml").expanduser()
"""Where `ray up` leaves its configuration on the head; the autoscaler of the cluster reads it."""

MAX_WORKER_LOSSES = 2
"""Times a trial is started again after its process or node was lost; its own errors are never retried in a run."""


class TuneProgress(tune.Callback):
    """Tells the display what Tune does."""

    def __init__(self, state: RunState, display: ProgressDisplay) -> None:
        self.state = state
        self.display = display

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks for a restore, which is never used here

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial got its worker."""
        self.state.trial_started(_fingerprint(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial finished an epoch, or was committed."""
        if "status" in result:
            self.state.trial_ended(_fingerprint(trial), result["status"])
        else:
            self.state.epoch_done(_fingerprint(trial), result["epoch"], result["val_acc"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's process was lost for the last time."""
        self.state.trial_ended(_fingerprint(trial), "error")

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tune went once around its loop."""
        self.display.update()


def train_all(
    trials: Mapping[str, TrainConfig], dataset: Dataset, ledger: Ledger, resources: Resources, display: ProgressDisplay
) -> None:
    """Trains trials on the Ray cluster that there is, or on one started here, until each is in the ledger.

    Args:
        trials: What to train, by fingerprint, in the order to start.
        dataset: The images of all of them; they are in the object store once a node.
        ledger: Where they are committed, on this node.
        resources: What each may use.
        display: Shows the progress.

    Raises:
        UserError: A trial asks for more than any node has.
        LostClusterError: Ray was stopped while it ran.
    """
    gpus = resources.gpus if resources.gpus is not None else float(default_device().type == "cuda")
    with ray_cluster(), tempfile.TemporaryDirectory(prefix="cifar-grid-tune-") as scratch:
        check_a_trial_fits(resources.cpus, gpus)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        recorder = ray.remote(Recorder).options(num_cpus=0, scheduling_strategy=here).remote(ledger.root.resolve())
        trainable = tune.with_parameters(
            run_trial,
            dataset=dataset,
            recorder=recorder,
            num_threads=resources.num_threads,
            weights_dir=resources.weights_dir.resolve() if resources.weights_dir else None,
        )
        specs = [{"fingerprint": key, "config": config.model_dump_json()} for key, config in trials.items()]
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": gpus}),
            param_space={"spec": tune.grid_search(specs)},
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                max_concurrent_trials=resources.max_trials,
                trial_name_creator=_fingerprint,
                trial_dirname_creator=_fingerprint,
            ),
            run_config=tune.RunConfig(
                name="run",
                storage_path=scratch,
                verbose=0,
                callbacks=[TuneProgress(display.state, display)],
                failure_config=tune.FailureConfig(max_failures=MAX_WORKER_LOSSES),
            ),
        )
        try:
            results = tuner.fit()
        except RayError as error:
            raise LostClusterError(
                f"Ray was lost ({type(error).__name__}); finished trials are kept: run the same command again to go on"
            ) from error
        for index in range(len(results)):
            if results[index].error is not None:
                _record_lost(trials, results[index], dataset, ledger)


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Connects to the cluster of this node or of RAY_ADDRESS, or starts one here for the time being."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # no CSV, JSON and TensorBoard file for each trial
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new output has a banner even where it is told to be silent
    ray.init(
        runtime_env={"env_vars": WORKER_ENVIRONMENT},
        log_to_driver=False,
        logging_level=logging.ERROR,
        include_dashboard=False,
    )
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a trial's failure is a row, with its traceback
    try:
        yield
    finally:
        ray.shutdown()


def check_a_trial_fits(cpus: float, gpus: float) -> None:
    """Refuses what would otherwise wait forever, unless an autoscaler may still start a larger node.

    Raises:
        UserError: No node has what a trial asks for.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if AUTOSCALING_CONFIG.exists() or any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes):
        return
    largest = ", ".join(f"{max(node.get(name, 0) for node in nodes):g} {name}s" for name in ("CPU", "GPU"))
    raise UserError(
        f"a trial asks for {cpus:g} CPUs and {gpus:g} GPUs, and no node has both (at most {largest}); "
        "lower --cpus-per-trial or --gpus-per-trial"
    )


def explain_loss(error: str) -> str:
    """One line of what Ray says of a trial whose process is gone.

    Of an exception that is the last line, as in any traceback; of a lost process or node it is the first.
    """
    lines = [line.strip() for line in ANSI_COLOR.sub("", error).splitlines() if line.strip()]
    told = lines[-1] if any(line.startswith("File ") for line in lines) else lines[0]
    return f"{told} (tried {MAX_WORKER_LOSSES + 1} times)"


def _fingerprint(trial: Trial) -> str:
    return str(trial.config["spec"]["fingerprint"])


def _record_lost(trials: Mapping[str, TrainConfig], result: tune.Result, dataset: Dataset, ledger: Ledger) -> None:
    """Commits a trial that could not do so itself, because its process was gone."""
    assert result.config is not None
    fingerprint = result.config["spec"]["fingerprint"]
    reason = explain_loss(str(result.error))
    ledger.commit(
        TrialRecord(
            fingerprint=fingerprint,
            status="out_of_memory" if "OutOfMemoryError" in str(result.error) else "error",
            reason=reason,
            traceback=ANSI_COLOR.sub("", str(result.error)),
            config=trials[fingerprint],
            data_fingerprint=dataset.fingerprint,
            training_version=TRAINING_VERSION,
            started=datetime.now(UTC).isoformat(),
            wall_s=0.0,
            machine="unknown",
        )
    )
