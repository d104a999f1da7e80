"""What a run takes, from how fast each workload is: wall time, GPU hours, bytes. Pure, without torch or Ray."""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.filesize import decimal

from cifar_models.config import DataConfig, Frozen, TrainConfig
from grid.execution.resources import Share
from grid.forecast.speeds import ImageCounts, Range, Speed, total, trial_s, workload_of
from grid.formats import duration, number, plural
from grid.records.fingerprint import can_go_on

HOUR_S = 3600.0

FLOAT_BYTES = 4

RUN_START_S = Range(5.0, 30.0)
"""From the start of a run to its first epoch. Ray takes 2.3 s to start and its workers 3 s to import torch, at the
least; 12 to 40 s were measured on two cores with five to ten other processes."""

MARGIN = 0.1
"""By how much a range is at least wider to either side than what was measured: a few steps are no whole run."""


class Size(Frozen):
    """Number of a network's weights, and of the numbers that the optimizer keeps of those that it changes."""

    weights: int
    states: int


class Work(NamedTuple):
    """A trial to train, and the share of the machine or cluster that it occupies."""

    config: TrainConfig
    share: Share


class Capacity(Frozen):
    """What the machine or cluster has, and the most trials at once; as many as fit if None."""

    cpus: float
    gpus: float = 0.0
    max_trials: int | None = None


class Estimate(Frozen):
    """What a run takes.

    Attributes:
        num_trials: Trials that the times are of.
        unknown: Number of further trials whose times are not known, by the reason.
        at_once: The most trials at the same time.
        wall_s: From the start of the run to the end of its last trial; the report is not in it.
        trial_s: Of all trials together.
        gpu_s: Seconds of each trial, times the GPUs that it occupies.
        checkpoint_bytes: Of the largest trials at once, a checkpoint each.
        weights_bytes: Final weights of all trials.
        states_bytes: Final states of all trials that a longer training can go on from.
    """

    num_trials: int
    unknown: dict[str, int]
    at_once: int
    wall_s: Range
    trial_s: Range
    gpu_s: Range
    checkpoint_bytes: int
    weights_bytes: int
    states_bytes: int

    @property
    def gpu_hours(self) -> Range:
        """The seconds of all GPUs, in hours."""
        return self.gpu_s.scaled(1 / HOUR_S)


def estimate(
    works: Sequence[Work],
    images: Mapping[DataConfig, ImageCounts],
    speeds: Mapping[TrainConfig, Speed | str],
    sizes: Mapping[TrainConfig, Size],
    capacity: Capacity,
) -> Estimate:
    """What it takes to train some trials in this order.

    Args:
        works: The trials.
        images: Sizes of the data of each.
        speeds: By workload; for one that could not be timed, why.
        sizes: By workload; one that is missing counts for nothing.
        capacity: What there is to train on.
    """
    timed, unknown = [], Counter[str]()
    for work in works:
        speed = speeds.get(workload_of(work.config), "not timed")
        if isinstance(speed, str):
            unknown[speed] += 1
            continue
        seconds = trial_s(work.config, images[work.config.data], speed)
        timed.append((work, Range(seconds.low * (1 - MARGIN), seconds.high * (1 + MARGIN))))
    low, _ = occupy([(work, seconds.low) for work, seconds in timed], capacity)
    high, _ = occupy([(work, seconds.high) for work, seconds in timed], capacity)
    _, at_once = occupy([(work, 1.0) for work in works], capacity)
    checkpoints = [checkpoint_bytes(work.config, sizes) for work in works]
    return Estimate(
        num_trials=len(timed),
        unknown=dict(unknown),
        at_once=at_once,
        wall_s=total([Range(low, high), RUN_START_S] if timed else []),
        trial_s=total(seconds for _, seconds in timed),
        gpu_s=total(seconds.scaled(work.share.gpus) for work, seconds in timed),
        checkpoint_bytes=sum(sorted(checkpoints)[-at_once:]) if works else 0,
        weights_bytes=sum(
            sizes[workload].weights * FLOAT_BYTES for work in works if (workload := workload_of(work.config)) in sizes
        ),
        states_bytes=sum(size for work, size in zip(works, checkpoints, strict=True) if can_go_on(work.config)),
    )


def checkpoint_bytes(config: TrainConfig, sizes: Mapping[TrainConfig, Size]) -> int:
    """Bytes of a trial's checkpoint: its weights, and what the optimizer keeps of them."""
    size = sizes.get(workload_of(config), Size(weights=0, states=0))
    return FLOAT_BYTES * (size.weights + size.states)


def occupy(works: Sequence[tuple[Work, float]], capacity: Capacity) -> tuple[float, int]:
    """Starts each trial, in order, as soon as what it occupies is free.

    Args:
        works: Trials, with the seconds of each.
        capacity: What there is; a trial that needs more than that runs alone.

    Returns:
        When the last trial ends, in seconds, and the most that ran at once.
    """
    running: list[tuple[float, float, float]] = []  # when it ends, and what it frees then
    now, at_once = 0.0, 0
    cpus, gpus = capacity.cpus, capacity.gpus
    for (_, share), seconds in works:
        while running and (share.cpus > cpus + 1e-6 or share.gpus > gpus + 1e-6 or len(running) == capacity.max_trials):
            now, freed_cpus, freed_gpus = heapq.heappop(running)
            cpus, gpus = cpus + freed_cpus, gpus + freed_gpus
        heapq.heappush(running, (now + seconds, share.cpus, share.gpus))
        cpus, gpus = cpus - share.cpus, gpus - share.gpus
        at_once = max(at_once, len(running))
    return max((end for end, _, _ in running), default=0.0), at_once


def estimate_in_words(
    estimated: Estimate, price: float | None = None, *, keeps_weights: bool = False, keeps_states: bool = False
) -> list[str]:
    """What a run takes, a line each; nothing if it trains nothing.

    Args:
        estimated: The estimate.
        price: What a GPU costs an hour, in whatever currency.
        keeps_weights: Whether the final weights of the trials are kept.
        keeps_states: Whether their final states are.
    """
    known, unknown, gpu_hours = estimated.num_trials, estimated.unknown, estimated.gpu_hours
    if not known and not unknown:
        return []
    of = f" of {plural(known, 'trial')}" if unknown else ""
    place = "with GPUs like this machine's" if gpu_hours.high else "on this machine, by how busy it is"
    lines = [f"Trials at once: {estimated.at_once}"]
    if known:
        wall_s = estimated.wall_s
        lines.append(f"Wall time{of}: {duration(wall_s.low)} to {duration(wall_s.high)} {place}")
        lines.append(f"Trial hours{of}: {_amounts(estimated.trial_s.scaled(1 / HOUR_S))}")
    if gpu_hours.high:
        lines.append(f"GPU hours{of}: {_amounts(gpu_hours)}")
    if gpu_hours.high and price is not None:
        lines.append(f"Cost{of}: {_amounts(gpu_hours.scaled(price))} at {price:g} a GPU hour; idle GPUs cost as much")
    lines += [f"Time of {plural(amount, 'trial')}: not known, {reason}" for reason, amount in unknown.items()]
    lines.append(f"Checkpoints: {decimal(estimated.checkpoint_bytes)}, one of each trial under way")
    if keeps_weights:
        lines.append(f"Final weights: {decimal(estimated.weights_bytes)}")
    if keeps_states:
        lines.append(f"Kept states: {decimal(estimated.states_bytes)}, beside the checkpoints")
    return lines


def _amounts(amounts: Range) -> str:
    decimals = 2 if amounts.high < 10 else 0
    return f"{number(amounts.low, decimals)} to {number(amounts.high, decimals)}"
