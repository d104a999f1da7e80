"""How fast trials of each kind are on this machine: a few steps of each, timed as a worker would train them.

`calibrate` starts as many processes as trials run at once, each with a worker's environment, so that they keep memory
and caches as busy as trials do. Each reads its kinds from standard input, a JSON a line, and writes what it measured
in the same way, so that what it had measured before something stopped it counts.
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
from cifar_models.device import WORKER_ENVIRONMENT, default_device, prepare_process
from cifar_models.images import DeviceImages
from cifar_models.models import build_model
from cifar_models.optimizers import RULES, build_optimizer, build_schedule
from cifar_models.train import measures, memory_layout, predict, train_epoch, trained_parameters
from cifar_models.weights import WeightsError
from grid.forecast.estimate import Size
from grid.forecast.speeds import Range, Speed, hull

NUM_CLASSES = 10
"""Outputs of the networks that are timed; a hundred would change next to nothing."""

BUDGET_S = 25.0
"""Seconds after which a process only takes a small step of each kind that is left; like those of a kind, they are of
its own time, so that a busy machine makes a calibration longer, not worse."""

KIND_S = 2.0
"""Seconds a kind, if there are not too many of them."""

PATIENCE_S = 120.0
"""Seconds after which a process is stopped: the machine is far too busy, or some network far too slow for it."""

FEW, MORE = 8, 32
"""Images of the two steps that a larger one is extrapolated from, where it would take too long itself. What they give
was within 10 % of the step of 256 images, for the networks of the catalogue; a step of 8 alone is up to 3 times off."""


class Timing(NamedTuple):
    """What was found of a kind: its speed, or why it has none."""

    kind: TrainConfig
    found: Speed | str


TIMING = TypeAdapter(Timing)
"""Reads and writes a line of what a process found."""


def calibrate(
    kinds: Sequence[TrainConfig], num_threads: int = 1, num_at_once: int = 1, *, on_gpu: bool = False
) -> dict[TrainConfig, Speed | str]:
    """Times a few steps of each kind.

    Args:
        kinds: As `kind_of` gives them.
        num_threads: Threads a trial.
        num_at_once: Trials at once on this machine, or on one of its GPUs.
        on_gpu: Whether the trials train on GPUs; a machine without one can't time them.

    Returns:
        Speeds by kind; for a kind that could not be timed the reason in a line.
    """
    kinds = list(dict.fromkeys(kinds))
    if on_gpu and not torch.cuda.is_available():
        return dict.fromkeys(kinds, "this machine has no GPU to time them on")
    parts = [kinds[first::num_at_once] or kinds for first in range(num_at_once)] if kinds else []
    found: dict[TrainConfig, Speed | str] = {}
    with ThreadPoolExecutor(num_at_once) as pool:
        for kind, timing in chain(*pool.map(lambda part: _time_apart(part, num_threads), parts)):
            found[kind] = _both(found.get(kind, timing), timing)
    return found


def _both(one: Speed | str, other: Speed | str) -> Speed | str:
    """The speed of a kind that two processes timed; a problem in one of them does not count."""
    if isinstance(one, str):
        return other
    if isinstance(other, str):
        return one
    return Speed(train_s=hull(one.train_s, other.train_s), eval_s=hull(one.eval_s, other.eval_s))


def measure_sizes(kinds: Sequence[TrainConfig]) -> dict[TrainConfig, Size]:
    """Sizes of the kinds' networks and optimizers; a kind that can't be built here has none."""
    sizes = {}
    for kind in kinds:
        try:
            with torch.device("meta"):
                model = build_model(kind.model, NUM_CLASSES, load_weights=False)
        except WeightsError:
            continue
        weights = sum(value.numel() for value in model.state_dict().values())
        trained = sum(parameter.numel() for parameter in trained_parameters(model))
        sizes[kind] = Size(weights=weights, states=RULES[kind.optimizer.name].num_states * trained)
    return sizes


def time_kinds(kinds: Sequence[TrainConfig], num_threads: int) -> Iterator[Timing]:
    """Times kinds one after the other in this process."""
    prepare_process(num_threads)
    device = default_device()
    deadline = _own_time(device) + BUDGET_S
    for index, kind in enumerate(kinds):
        left_s = max(0.0, deadline - _own_time(device))
        share_s, step_s = left_s / (len(kinds) - index), min(KIND_S, left_s)
        try:
            yield Timing(kind, time_kind(kind, device, min(KIND_S, share_s), max(step_s, share_s)))
        except Exception as error:  # a plan can do without it, and its trials will say what is wrong
            yield Timing(kind, f"{type(error).__name__}: {error}".splitlines()[0])


def time_kind(kind: TrainConfig, device: torch.device, budget_s: float, step_s: float) -> Speed:
    """Times steps and evaluations on noise, which take as long as on images.

    Args:
        kind: What to time; its network starts from random weights, whatever it asks for.
        device: Where.
        budget_s: Seconds of own time after which nothing is timed again.
        step_s: The longest step to take, likewise; one of a few images always is taken.
    """
    deadline = _own_time(device) + budget_s
    state = _state_of(kind, device)

    def step(num_images: int) -> Range:
        config, images = kind.model_copy(update={"batch_size": num_images}), _noise(kind, num_images, device)
        return _timed(lambda: train_epoch(config, state, images, stream=0), device)

    def evaluation(num_images: int) -> Range:
        images = _noise(kind, num_images, device)
        return _timed(lambda: measures(predict(state, images, kind), images.labels), device)

    few = min(FEW, kind.batch_size)
    step(2)  # the first of all is slower than all others
    first = step(few)
    affordable = min(few * step_s / first.low, kind.batch_size)
    many = max(size for size in (few, MORE, kind.batch_size) if size <= max(few, affordable))
    rounds: list[tuple[Range, Range]] = []
    while not rounds or _own_time(device) < deadline:
        few_s = step(few) if rounds else first
        many_s = step(many) if many > few else few_s
        low, high = (seconds_an_image(kind.batch_size, (few, a), (many, b)) for a, b in zip(few_s, many_s, strict=True))
        rounds.append((Range(low, max(low, high)), evaluation(many).scaled(1 / many)))
    later = rounds[1:] or rounds  # the first of its size is slower, too
    return Speed(train_s=mean_of([train for train, _ in later]), eval_s=mean_of([val for _, val in later]))


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


def _state_of(kind: TrainConfig, device: torch.device) -> TrainState:
    """A state as `start` makes it, but never with published weights: a plan should not download them."""
    model = build_model(kind.model, NUM_CLASSES, load_weights=False).to(device).to(memory_format=memory_layout(kind))
    optimizer = build_optimizer(trained_parameters(model), kind.optimizer)
    schedule = build_schedule(optimizer, kind.optimizer, num_steps=1)
    return TrainState(model, optimizer, schedule, (torch.full((3,), 128.0, device=device),) * 2)


def _noise(kind: TrainConfig, num_images: int, device: torch.device) -> DeviceImages:
    images = np.random.RandomState(0).randint(0, 256, (num_images, 3, 32, 32), dtype=np.uint8)
    return DeviceImages(images, np.arange(num_images) % NUM_CLASSES, device, memory_layout(kind))


def _own_time(device: torch.device) -> float:
    """A clock, in seconds, that stands still while this process waits for a processor; on a GPU one that does not."""
    return time.thread_time() if device.type == "cpu" else time.perf_counter()


def _timed(work: Callable[[], object], device: torch.device) -> Range:
    """Seconds of some work, of own time and by the wall clock."""
    wall_s, own_s = time.perf_counter(), _own_time(device)
    work()
    wall_s, own_s = time.perf_counter() - wall_s, _own_time(device) - own_s
    return Range(min(own_s, wall_s), wall_s)


def _time_apart(kinds: Sequence[TrainConfig], num_threads: int) -> list[Timing]:
    """Times kinds in a process of their own, which a worker's environment needs from its start."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "grid.forecast.calibration", str(num_threads)],
            input="".join(f"{kind.model_dump_json()}\n" for kind in kinds).encode(),
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
    timed = {timing.kind for timing in timings}
    return timings + [Timing(kind, problem) for kind in kinds if kind not in timed]


if __name__ == "__main__":
    for timing in time_kinds([TrainConfig.model_validate_json(line) for line in sys.stdin], int(sys.argv[1])):
        print(TIMING.dump_json(timing).decode(), flush=True)
