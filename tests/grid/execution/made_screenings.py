"""Made screenings, and workers that carry one out on curves known beforehand."""

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from cifar_models.config import TrainConfig
from grid.execution.asha import AshaSchedule, Outcome, rungs
from grid.execution.schedule import Job
from grid.records.status import Status

Curves = Mapping[str, Sequence[float]]
"""Validation accuracy of every epoch, by trial, as it would come out; it diverges in the epoch after the last."""


def make_cells(budgets: Sequence[int], num_seeds: int = 1) -> list[dict[str, TrainConfig]]:
    """A cell a budget; the trial of cell 3 with seed 1 is called `3-1`."""
    return [
        {f"{arm}-{seed}": TrainConfig(epochs=epochs, seed=seed) for seed in range(num_seeds)}
        for arm, epochs in enumerate(budgets)
    ]


@dataclass
class Pool:
    """Workers that train what a schedule says, on curves known beforehand, and end in whatever order `pick` says."""

    schedule: AshaSchedule
    curves: Curves
    num_workers: int
    pick: Callable[[list[Job]], int]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    before_start: Callable[[Job, "Pool"], None] = lambda job, pool: None
    running: list[Job] = field(default_factory=list)

    def run(self, max_ends: int = 10_000) -> "Pool":
        for _ in range(max_ends):
            while len(self.running) < self.num_workers and (job := self.schedule.next_job()):
                self.before_start(job, self)
                self.jobs.append(job)
                self.running.append(job)
            if not self.running:
                break
            assert not self.schedule.is_done()
            self.end(self.running.pop(self.pick(self.running)))
        else:
            return self
        assert self.schedule.is_done() and self.schedule.next_job() is None
        return self

    def end(self, job: Job) -> None:
        val_acc = list(self.curves[job.fingerprint][: job.until_epoch])
        status: Status = "stopped" if len(val_acc) == job.until_epoch else "diverged"
        if status == "diverged":
            val_acc.append(0.1)  # of the epoch in which it diverged
        self.outcomes[job.fingerprint] = (status, val_acc)
        self.schedule.job_ended(job.fingerprint, status, val_acc)


@dataclass(frozen=True)
class Screening:
    """A made screening: cells, their curves, and what the rungs say of them, counted here without the schedule."""

    num_cells: int
    num_seeds: int
    reduction: int
    rungs: tuple[int, ...]
    curves: Curves

    def schedule(self, known: Mapping[str, Outcome] | None = None) -> AshaSchedule:
        cells = make_cells([self.rungs[-1]] * self.num_cells, self.num_seeds)
        return AshaSchedule(cells, known, self.reduction, len(self.rungs) - 1)

    def trials(self, cell: int) -> list[str]:
        return [f"{cell}-{seed}" for seed in range(self.num_seeds)]

    def result(self, cell: int, rung: int) -> float:
        """What the cell would reach at a rung, if it came there; NaN if a seed diverges before."""
        curves = [self.curves[trial] for trial in self.trials(cell)]
        epochs = self.rungs[rung]
        return math.fsum(c[epochs - 1] if len(c) >= epochs else math.nan for c in curves) / self.num_seeds

    def ranking(self, cells: Iterable[int], rung: int) -> list[int]:
        return sorted(cells, key=lambda cell: (-round(self.result(cell, rung), 9), cell))

    def alive(self, outcomes: Mapping[str, Outcome]) -> list[int]:
        """Cells none of whose trials failed."""
        failed = {t for t, (status, val_acc) in outcomes.items() if status == "diverged" or math.isnan(sum(val_acc))}
        return [cell for cell in range(self.num_cells) if failed.isdisjoint(self.trials(cell))]

    def reached(self, outcomes: Mapping[str, Outcome], rung: int) -> list[int]:
        """Cells that came to a rung, failed later or not."""
        return [c for c in range(self.num_cells) if all(self.came_to(t, outcomes, rung) for t in self.trials(c))]

    def came_to(self, trial: str, outcomes: Mapping[str, Outcome], rung: int) -> bool:
        """Whether a trial was trained to a rung, and sound until then."""
        epochs, (_, val_acc) = self.rungs[rung], outcomes.get(trial, ("ok", ()))
        return len(self.curves[trial]) >= epochs <= len(val_acc) and not math.isnan(self.curves[trial][epochs - 1])

    def best(self, outcomes: Mapping[str, Outcome], rung: int) -> list[int]:
        """Cells that may go on from a rung by what is known."""
        reached = self.reached(outcomes, rung)
        return self.ranking(set(reached) & set(self.alive(outcomes)), rung)[: self.num_best(len(reached))]

    def sent_to(self, jobs: Sequence[Job], rung: int) -> set[int]:
        return {int(job.fingerprint.split("-")[0]) for job in jobs if job.until_epoch >= self.rungs[rung]}

    def num_best(self, num: int) -> int:
        return max(1, num // self.reduction)


def make_screening(seed: int, num_cells: int, num_seeds: int, reduction: int) -> Screening:
    """Cells whose order changes from rung to rung, with ties, NaN and divergence."""
    draw = random.Random(seed)
    ladder = rungs(reduction**3, reduction, 3)
    curves = {}
    for trial in (f"{cell}-{trial_seed}" for cell in range(num_cells) for trial_seed in range(num_seeds)):
        at_rungs = [draw.randrange(12) / 16 for _ in ladder]  # few values, so that there are ties; sums are exact
        curve = [at_rungs[sum(rung < epoch for rung in ladder)] for epoch in range(1, ladder[-1] + 1)]
        if draw.random() < 0.15:
            curve = curve[: draw.randrange(ladder[-1])]
            curve += [math.nan] * (draw.choice([0, ladder[-1] - len(curve)]))
        curves[trial] = curve
    return Screening(num_cells, num_seeds, reduction, ladder, curves)


def any_order(order: random.Random) -> Callable[[list[Job]], int]:
    return lambda running: order.randrange(len(running))


def screenings() -> st.SearchStrategy[Screening]:
    shape = (st.integers(0, 10**6), st.integers(1, 14), st.integers(1, 2), st.integers(2, 3))
    return st.builds(make_screening, *shape)


orders = st.integers(0, 10**6).map(random.Random)
workers = st.integers(1, 6)
LOWER = range(2)
"""Rungs of the made screenings that cells are promoted from: they compare three times."""
