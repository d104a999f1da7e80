"""What the grid adds to a trial beyond training it, beside what Ray Tune adds to one that does nothing.

Both by the wall clock, from the start of the first trial to the end of the last, over the number of trials; two run at
once. Of ours what training alone takes on as many processors is subtracted; Tune's trials train nothing.
"""

import statistics
import sys
import time
from pathlib import Path

import pandas as pd
import torch

from cifar_models.config import TrainConfig
from cifar_models.data import load, split
from cifar_models.device import prepare_process
from cifar_models.environment import WORKER_ENVIRONMENT
from cifar_models.train import train
from tests.benchmarks.commands import cifar_grid, last_line, module
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting
from tests.benchmarks.small_grid import spans_of
from tests.benchmarks.throughput import ONE_THREAD

NUM_SEEDS = 10
SIZES = (300, 3000)
NUM_DEFAULT = 24
"""Trials of Tune's default, which starts a process for each."""
NUM_REUSED = 300
NUM_AT_ONCE = 2
SMALLEST = {
    "epochs": 1,
    "batch_size": 20,
    "data.train_size": 20,
    "data.test_size": 10,
    "model.filters": "[1]",
    "model.layers_per_block": 1,
    "model.hidden_layer_count": 0,
}


def measure(setting: Setting) -> list[Row]:
    """Seconds that a trial takes beyond its training, at both sizes."""
    default, reused, rows = [], [], []
    ours: dict[int, list[float]] = {size: [] for size in SIZES}
    for number in setting.each_round():
        default.append(_empty_trial_s(setting, NUM_DEFAULT))
        reused.append(_empty_trial_s(setting, NUM_REUSED, "reuse"))
        ours[SIZES[0]].append(added_s(run_trivial(setting, SIZES[0]), SIZES[0]))
        if number == 0:  # it takes long, and is the mean of many
            ours[SIZES[1]].append(added_s(run_trivial(setting, SIZES[1]), SIZES[1]))
    for size in SIZES:
        for peer, theirs in (("Ray Tune, empty trials", default), ("with reuse_actors", reused)):
            rows.append(
                Row(
                    name="trials",
                    what=f"beyond training, a trial of {size:,}",
                    unit="s",
                    ours=tuple(ours[size]),
                    peer=peer,
                    theirs=tuple(theirs[: len(ours[size])]),
                    goal="≤ 0.025",
                    others=setting.others,
                )
            )
    return rows


def run_trivial(setting: Setting, num_trials: int) -> Path:
    """Runs so many of the smallest trials there are, on the embedded digits; returns the results folder."""
    rates = [round(1e-4 * (1 + step), 6) for step in range(num_trials // NUM_SEEDS)]
    question = setting.scratch / f"trivial-{num_trials}.yaml"
    question.write_text(
        f"title: Nothing\nabout: The smallest trials there are.\ncells: [{{product: {{optimizer.lr: {rates}}}}}]\n",
        encoding="utf-8",
    )
    results = setting.fresh(question.stem)
    cifar_grid("run", *trivial_arguments(question, results))
    return results


def trivial_arguments(question: Path, results: Path) -> list[object]:
    """The arguments of that run, to start it again."""
    options = [word for field, value in SMALLEST.items() for word in ("--set", f"{field}={value}")]
    at_once = ("--max-trials-at-once", NUM_AT_ONCE)
    return [question, "--profile", "quick", "--seeds", NUM_SEEDS, *at_once, "--results", results, *options]


def added_s(results: Path, num_trials: int) -> float:
    """Seconds that each trial of a results folder took beyond its training."""
    spans = spans_of(results)
    span_s = max(end for _, end in spans) - min(start for start, _ in spans)
    config = pd.read_parquet(results / "trials.parquet", columns=["config"])["config"].iloc[0]
    alone_s = float(last_line(module("trial_overhead", config, changes=WORKER_ENVIRONMENT | ONE_THREAD)))
    return span_s / num_trials - alone_s / NUM_AT_ONCE


def _empty_trial_s(setting: Setting, num_trials: int, *options: str) -> float:
    return float(last_line(module("peers.empty_trials", num_trials, setting.fresh("tune"), *options)))


def training_alone_s(config: TrainConfig, num_times: int = 20) -> float:
    """Seconds that training takes with nothing around it, the median of some times after a first one."""
    prepare_process(num_threads=1)
    data = split(load("digits", None), config.data)
    walls = []
    for _ in range(num_times + 1):
        start = time.perf_counter()
        list(train(config, data, torch.device("cpu")))
        walls.append(time.perf_counter() - start)
    return statistics.median(walls[1:])


if __name__ == "__main__":
    print(training_alone_s(TrainConfig.model_validate_json(sys.argv[1])))
