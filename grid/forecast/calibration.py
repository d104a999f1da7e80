"""How fast workloads are on this machine: a few steps of each, timed as a worker would train them.

`calibrate` starts as many processes as trials run at once, each with a worker's environment, so that they keep memory
and caches as busy as trials do. Each reads its workloads from standard input, a JSON a line, and writes each speed that
it measures in the same way at once, so that those count that came before something stopped it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
import torch
from pydantic import TypeAdapter

from cifar_models.checkpoint import TrainState
from cifar_models.config import TrainConfig
from cifar_models.device import default_device, prepare_process
from cifar_models.environment import WORKER_ENVIRONMENT
from cifar_models.images import DeviceImages
from cifar_models.models import build_model
from cifar_models.optimizers import RULES, build_optimizer, build_schedule
from cifar_models.train import measures, memory_layout, predict, train_epoch, trained_parameters
from cifar_models.weights import WeightsError
from grid.execution.hardware import gpu_here
from grid.forecast.estimate import Size
from grid.forecast.speeds import Range, Speed

NUM_CLASSES = 10
"""Outputs of the networks that are timed; a hundred would change next to nothing."""

BUDGET_S = 25.0
"""Seconds after which a process takes only a small step of each workload that is left. Like the limits below it is of
the process's own time, so that a busy machine makes a calibration longer, not worse."""

WORKLOAD_S = 2.0
"""Seconds a workload, if there are not too many of them."""

PATIENCE_S = 120.0
"""Seconds by the wall clock after which a process is stopped: the machine is too busy, or some network too slow."""

FEW, MORE = 8, 32
"""Images of the two steps that a larger one is extrapolated from, where it would take too long itself. What they give
was within 10 % of the step of 256 images, for the networks of the catalogue; a step of 8 alone is up to 3 times off."""


class Timing(NamedTuple):
    """What was found of a workload: its speed, or why it has none."""

    workload: TrainConfig
    found: Speed | str


TIMING = TypeAdapter(Timing)
"""Reads and writes a line of what a process found."""


def calibrate(
    workloads: Sequence[TrainConfig], num_threads: int = 1, num_at_once: int = 1, *, on_gpu: bool = False
) -> dict[TrainConfig, Speed | str]:
    """Times a few steps of each workload.

    Args:
        workloads: As `workload_of` gives them.
        num_threads: Threads a trial.
        num_at_once: Trials at once on this machine, or on one of its GPUs.
        on_gpu: Whether the trials train on GPUs; a machine without one can't time them.

    Returns:
        Speeds by workload; for one that could not be timed the reason in a line.
    """
    workloads = list(dict.fromkeys(workloads))
    if on_gpu and not gpu_here():
        return dict.fromkeys(workloads, "this machine has no GPU to time them on")
    parts = [workloads[first::num_at_once] or workloads for first in range(num_at_once)] if workloads else []
    found: dict[TrainConfig, Speed | str] = {}
    with ThreadPoolExecutor(num_at_once) as pool:
        for workload, new in chain(*pool.map(lambda part: _time_apart(part, num_threads), parts)):
            known = found.get(workload)
            if isinstance(known, Speed):  # two processes timed it; a problem in one of them does not count
                new = known.beside(new) if isinstance(new, Speed) else known
            found[workload] = new
    return found


def measure_sizes(workloads: Sequence[TrainConfig]) -> dict[TrainConfig, Size]:
    """Sizes of networks and optimizers, by workload; one that can't be built here has none."""
    sizes = {}
    for workload in workloads:
        try:
            with torch.device("meta"):
                model = build_model(workload.model, NUM_CLASSES, load_weights=False)
        except WeightsError:
            continue
        weights = sum(value.numel() for value in model.state_dict().values())
        trained = sum(parameter.numel() for parameter in trained_parameters(model))
        sizes[workload] = Size(weights=weights, states=RULES[workload.optimizer.name].num_states * trained)
    return sizes


def time_workloads(workloads: Sequence[TrainConfig], num_threads: int) -> Iterator[Timing]:
    """Times workloads one after the other in this process."""
    prepare_process(num_threads)
    device = default_device()
    deadline = _own_time(device) + BUDGET_S
    for index, workload in enumerate(workloads):
        left_s = max(0.0, deadline - _own_time(device))
        part_s, step_s = left_s / (len(workloads) - index), min(WORKLOAD_S, left_s)
        try:
            yield Timing(workload, time_workload(workload, device, min(WORKLOAD_S, part_s), max(step_s, part_s)))
        except Exception as error:  # a plan can do without it, and its trials will say what is wrong
            yield Timing(workload, f"{type(error).__name__}: {error}".splitlines()[0])


def time_workload(workload: TrainConfig, device: torch.device, budget_s: float, step_s: float) -> Speed:
    """Times steps and evaluations on noise, which take as long as on images.

    Args:
        workload: What to time; its network starts from random weights, so that nothing is downloaded.
        device: Where.
        budget_s: Seconds of own time after which nothing is timed again. Everything is twice, and counts from then on.
        step_s: The longest step to take, likewise; one of a few images always is taken.
    """
    deadline = _own_time(device) + budget_s
    layout = memory_layout(workload)
    model = build_model(workload.model, NUM_CLASSES, load_weights=False).to(device).to(memory_format=layout)
    optimizer = build_optimizer(trained_parameters(model), workload.optimizer)
    schedule = build_schedule(optimizer, workload.optimizer, num_steps=1)
    state = TrainState(model, optimizer, schedule, (torch.full((3,), 128.0, device=device),) * 2)

    def noise(num_images: int) -> DeviceImages:
        images = np.random.RandomState(0).randint(0, 256, (num_images, 3, 32, 32), dtype=np.uint8)
        return DeviceImages(images, np.arange(num_images) % NUM_CLASSES, device, layout)

    def step(num_images: int) -> Range:
        config, images = workload.model_copy(update={"batch_size": num_images}), noise(num_images)
        return _timed(lambda: train_epoch(config, state, images, stream=0), device)

    def evaluation(num_images: int) -> Range:
        images = noise(num_images)
        return _timed(lambda: measures(predict(state, images, workload), images.labels), device)

    few = min(FEW, workload.batch_size)
    step(2)  # the first of all is slower than all others
    first = step(few)
    affordable = min(few * step_s / first.low, workload.batch_size)
    many = max(size for size in (few, MORE, workload.batch_size) if size <= max(few, affordable))
    rounds: list[tuple[Range, Range]] = []
    while len(rounds) < 2 or _own_time(device) < deadline:  # the first step of a size is slower
        few_s = step(few) if rounds else first
        many_s = step(many) if many > few else few_s
        low, high = (
            seconds_an_image(workload.batch_size, (few, a), (many, b)) for a, b in zip(few_s, many_s, strict=True)
        )
        rounds.append((Range(low, max(low, high)), evaluation(many).scaled(1 / many)))
    return Speed(train_s=mean_of([train for train, _ in rounds[1:]]), eval_s=mean_of([val for _, val in rounds[1:]]))


def mean_of(timings: Sequence[Range]) -> Range:
    """Where the means of the lower and of the higher ends lie, with two standard errors around them.

    It is not where single timings lie: a trial has many steps, of which none matters by itself.
    """
    lows, highs = [timing.low for timing in timings], [timing.high for timing in timings]
    if len(timings) == 1:
        return timings[0]
    low = fmean(lows) - 2 * stdev(lows) / len(lows) ** 0.5
    high = fmean(highs) + 2 * stdev(highs) / len(highs) ** 0.5
    return Range(max(low, min(lows)), min(high, max(highs)))


def seconds_an_image(batch_size: int, few: tuple[int, float], many: tuple[int, float]) -> float:
    """Seconds an image of a step, from two smaller steps: a time for each step and a time for each image.

    Args:
        batch_size: Images of the step.
        few: Images and seconds of a small step; not read where the other has the whole batch, or its size.
        many: Those of a larger one.
    """
    (few_images, few_s), (many_images, many_s) = few, many
    if many_images in (few_images, batch_size):
        return many_s / many_images
    image_s = (many_s - few_s) / (many_images - few_images)
    seconds = many_s + image_s * (batch_size - many_images)
    return min(max(seconds / batch_size, many_s / batch_size), many_s / many_images)  # timings are noisy


def _own_time(device: torch.device) -> float:
    """A clock, in seconds, that stands still while this process waits for a processor; on a GPU one that does not."""
    return time.thread_time() if device.type == "cpu" else time.perf_counter()


def _timed(work: Callable[[], object], device: torch.device) -> Range:
    """Seconds of some work, of own time and by the wall clock."""
    wall_s, own_s = time.perf_counter(), _own_time(device)
    work()
    wall_s, own_s = time.perf_counter() - wall_s, _own_time(device) - own_s
    return Range(min(own_s, wall_s), wall_s)


def _time_apart(workloads: Sequence[TrainConfig], num_threads: int) -> list[Timing]:
    """Times workloads in a process of their own, which a worker's environment needs from its start."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "grid.forecast.calibration", str(num_threads)],
            input="".join(f"{workload.model_dump_json()}\n" for workload in workloads).encode(),
            capture_output=True,
            env=os.environ | WORKER_ENVIRONMENT | {"OMP_NUM_THREADS": str(num_threads)},
            timeout=PATIENCE_S,
        )
    except subprocess.TimeoutExpired as error:
        output, problem = error.stdout or b"", f"not timed within {PATIENCE_S:.0f} s"
    else:
        told = done.stderr.decode(errors="replace").splitlines()[-1:]
        output, problem = done.stdout, told[0] if told else "its process was killed, perhaps as memory ran out"
    timings = [TIMING.validate_json(line) for line in output.splitlines()]
    timed = {timing.workload for timing in timings}
    return timings + [Timing(workload, problem) for workload in workloads if workload not in timed]


if __name__ == "__main__":
    for timing in time_workloads([TrainConfig.model_validate_json(line) for line in sys.stdin], int(sys.argv[1])):
        print(TIMING.dump_json(timing).decode(), flush=True)
