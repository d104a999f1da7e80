import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cifar_models.config import TrainConfig
from grid.errors import UserError
from grid.execution.asha import AshaSchedule, Outcome, cell_rungs, choose_num_finalists, describe, rungs
from grid.execution.schedule import Job
from grid.records.ledger import Status

Curves = Mapping[str, Sequence[float]]
"""Validation accuracy of every epoch, by trial, as it would come out; shorter than the budget: it diverges there."""


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
        val_acc = self.curves[job.fingerprint][: job.until_epoch]
        status: Status = "stopped" if len(val_acc) == job.until_epoch else "diverged"
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
        came = {trial for trial, (_, val_acc) in outcomes.items() if len(val_acc) >= self.rungs[rung]}
        return [cell for cell in range(self.num_cells) if came.issuperset(self.trials(cell))]

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


@settings(deadline=None)
@given(screenings(), workers, orders)
def test_whoever_is_among_the_best_of_all_that_arrive_at_a_rung_goes_on_in_any_order(
    made: Screening, num_workers: int, order: random.Random
) -> None:
    pool = Pool(made.schedule(), made.curves, num_workers, any_order(order)).run()
    for rung in LOWER:
        assert set(made.best(pool.outcomes, rung)) <= made.sent_to(pool.jobs, rung + 1)


@settings(deadline=None)
@given(screenings(), workers, orders)
def test_whoever_goes_on_was_among_the_best_that_had_arrived(
    made: Screening, num_workers: int, order: random.Random
) -> None:
    def check(job: Job, pool: Pool) -> None:
        rung, cell = made.rungs.index(job.until_epoch), int(job.fingerprint.split("-")[0])
        if rung == 0 or cell in made.sent_to(pool.jobs, rung):
            return
        assert cell in made.best(pool.outcomes, rung - 1)
        if len(made.reached(pool.outcomes, rung - 1)) < made.reduction:  # the only one to go on, when all have come
            assert not pool.running and made.sent_to(pool.jobs, 0) == set(range(made.num_cells))

    Pool(made.schedule(), made.curves, num_workers, any_order(order), before_start=check).run()


@settings(deadline=None)
@given(screenings(), workers, orders)
def test_the_first_rung_sends_on_the_same_best_cells_in_any_order_whoever_fails(
    made: Screening, num_workers: int, order: random.Random
) -> None:
    pool = Pool(made.schedule(), made.curves, num_workers, any_order(order)).run()
    reached = made.reached({trial: ("ok", curve) for trial, curve in made.curves.items()}, 0)
    compared = [cell for cell in reached if not math.isnan(made.result(cell, 0))]
    assert set(made.ranking(compared, 0)[: made.num_best(len(reached))]) <= made.sent_to(pool.jobs, 1)


@settings(deadline=None)
@given(screenings(), workers, orders)
def test_a_cell_that_is_far_enough_ahead_of_all_at_every_rung_gets_to_the_last_in_any_order(
    made: Screening, num_workers: int, order: random.Random
) -> None:
    pool = Pool(made.schedule(), made.curves, num_workers, any_order(order)).run()
    sure = {cell for cell in range(made.num_cells) if not math.isnan(made.result(cell, 2))}
    num = len(sure)
    for rung in LOWER:
        num = made.num_best(num)
        comparable = [cell for cell in range(made.num_cells) if not math.isnan(made.result(cell, rung))]
        sure &= set(made.ranking(comparable, rung)[:num])
        assert sure <= made.sent_to(pool.jobs, rung + 1)


@settings(deadline=None)
@given(screenings(), workers, orders)
def test_no_trial_gets_more_than_the_screening_s_epochs_nor_any_epoch_twice(
    made: Screening, num_workers: int, order: random.Random
) -> None:
    pool = Pool(made.schedule(), made.curves, num_workers, any_order(order)).run()
    handed_out = [(job.fingerprint, job.until_epoch) for job in pool.jobs]
    assert len(set(handed_out)) == len(handed_out)
    assert {until for _, until in handed_out} <= set(made.rungs[:-1])
    for trial in made.curves:
        untils = [until for fingerprint, until in handed_out if fingerprint == trial]
        assert untils == sorted(untils)


@settings(deadline=None)
@given(screenings(), workers, orders)
def test_a_failed_cell_gets_no_further_trial_and_is_never_a_finalist(
    made: Screening, num_workers: int, order: random.Random
) -> None:
    def check(job: Job, pool: Pool) -> None:
        assert int(job.fingerprint.split("-")[0]) in made.alive(pool.outcomes)

    pool = Pool(made.schedule(), made.curves, num_workers, any_order(order), before_start=check).run()
    assert set(pool.schedule.finalists(made.num_cells)) == set(made.alive(pool.outcomes))
    for standing in pool.schedule.standing():
        failed = standing.arm not in made.alive(pool.outcomes)
        assert (standing.val_acc is None, standing.rank is None, standing.of is None) == (failed,) * 3
        assert standing.reason.startswith("seed ") == failed


@settings(deadline=None)
@given(screenings(), workers, orders)
def test_the_finalists_came_furthest_and_are_best_there(
    made: Screening, num_workers: int, order: random.Random
) -> None:
    pool = Pool(made.schedule(), made.curves, num_workers, any_order(order)).run()
    finalists = pool.schedule.finalists(3)
    expected: list[int] = []
    for rung in (2, 1, 0):
        there = set(made.reached(pool.outcomes, rung)) & set(made.alive(pool.outcomes)) - set(expected)
        expected += made.ranking(there, rung)
    assert list(finalists) == expected[:3]


@settings(deadline=None)
@given(screenings(), workers, orders, st.integers(0, 25))
def test_an_interrupted_screening_goes_on_without_training_anything_twice(
    made: Screening, num_workers: int, order: random.Random, max_ends: int
) -> None:
    first = Pool(made.schedule(), made.curves, num_workers, any_order(order)).run(max_ends)
    ended = {(trial, len(val_acc)) for trial, (_, val_acc) in first.outcomes.items()}
    second = Pool(
        made.schedule(first.outcomes), made.curves, num_workers, any_order(order), outcomes=dict(first.outcomes)
    ).run()
    assert not ended & {(job.fingerprint, job.until_epoch) for job in second.jobs}
    for rung in LOWER:
        went_on = made.sent_to(second.jobs, rung + 1) | set(made.reached(second.outcomes, rung + 1))
        assert set(made.best(second.outcomes, rung)) <= went_on


@settings(deadline=None)
@given(screenings(), workers, orders)
def test_where_a_screening_stands_follows_from_the_ledger_alone(
    made: Screening, num_workers: int, order: random.Random
) -> None:
    pool = Pool(made.schedule(), made.curves, num_workers, any_order(order)).run()
    again = made.schedule(pool.outcomes)
    assert again.is_done()
    assert again.standing() == pool.schedule.standing()
    assert again.finalists(3) == pool.schedule.finalists(3)


def test_at_a_higher_rung_the_order_can_change_the_winner_only_for_one_that_did_better_there() -> None:
    curves = {"0-0": [0.9, 0.5], "1-0": [0.8, 0.4], "2-0": [0.7, 0.6], "3-0": [0.6, 0.3]}

    def winner(last_first: bool) -> int:
        # either the first or the last cells end first
        def pick(running: list[Job]) -> int:
            rank = [(job.until_epoch, (-1) ** last_first * int(job.fingerprint[0])) for job in running]
            return rank.index(min(rank))

        pool = Pool(AshaSchedule(make_cells([4] * 4)), curves, 4, pick).run()
        return pool.schedule.finalists(1)[0]

    assert winner(last_first=False) == 0
    assert winner(last_first=True) == 2


def test_one_worker_does_what_algorithm_2_does_by_hand() -> None:
    # 9 cells and a third goes on, so the third, sixth and ninth arrival make a place
    after_1 = [0.3, 0.1, 0.2, 0.4, 0.5, 0.05, 0.15, 0.6, 0.45]
    after_3 = [0.5, 0.0, 0.0, 0.2, 0.3, 0.0, 0.0, 0.4, 0.1]
    curves = {f"{cell}-0": [a, *[b] * 26] for cell, (a, b) in enumerate(zip(after_1, after_3, strict=True))}
    pool = Pool(AshaSchedule(make_cells([27] * 9), reduction=3, comparisons=3), curves, 1, lambda running: 0).run()
    assert [(int(job.fingerprint[0]), job.until_epoch) for job in pool.jobs] == [
        *[(0, 1), (1, 1), (2, 1), (0, 3)],  # the best of three
        *[(3, 1), (3, 3), (4, 1), (4, 3), (0, 9)],  # 3 and 4 lead when they arrive; of three at the next rung, 0 does
        *[(5, 1), (6, 1), (7, 1), (7, 3)],
        *[(8, 1), (8, 3)],  # third of nine, after 7 and 4
    ]


def test_of_several_promotions_the_highest_rung_comes_first() -> None:
    known: dict[str, Outcome] = {
        "0-0": ("stopped", [0.9, 0.9]),
        "1-0": ("stopped", [0.8, 0.8]),
        "2-0": ("stopped", [0.95]),
        "3-0": ("stopped", [0.1]),
    }
    schedule = AshaSchedule(make_cells([8] * 5), known, comparisons=3)
    jobs = [schedule.next_job() for _ in range(3)]
    assert [(job.fingerprint, job.until_epoch) for job in jobs if job] == [("0-0", 4), ("2-0", 2), ("4-0", 1)]


def test_the_only_one_at_a_rung_waits_for_whoever_may_still_come() -> None:
    known: dict[str, Outcome] = {"0-0": ("stopped", [0.5] * 3), "1-0": ("stopped", [0.9])}
    job = AshaSchedule(make_cells([27] * 2), known, reduction=3, comparisons=3).next_job()
    assert job is not None and (job.fingerprint, job.until_epoch) == ("1-0", 3)


@pytest.mark.parametrize(("num_cells", "expected"), [(2, 2), (8, 2), (11, 2), (12, 3), (20, 3), (100, 3)])
def test_two_or_three_cells_are_confirmed(num_cells: int, expected: int) -> None:
    assert choose_num_finalists(num_cells) == expected


@pytest.mark.parametrize("which", [0, -1])
def test_ties_go_to_the_earlier_arm_whoever_comes_first(which: int) -> None:
    pool = Pool(AshaSchedule(make_cells([4] * 4)), {f"{cell}-0": [0.5] * 4 for cell in range(4)}, 4, lambda _: which)
    assert pool.run().schedule.finalists(2) == (0, 1)
    assert [standing.rank for standing in pool.schedule.standing()][:2] == [1, 2]


def test_a_cell_is_compared_by_the_mean_of_its_seeds_once_all_are_there() -> None:
    schedule = AshaSchedule(make_cells([4, 4], num_seeds=2))
    jobs = [schedule.next_job() for _ in range(5)]
    assert [(job.fingerprint, job.until_epoch) for job in jobs if job] == [
        *[("0-0", 1), ("0-1", 1), ("1-0", 1), ("1-1", 1)],
    ]
    for fingerprint, acc in [("0-0", 0.9), ("1-0", 0.6), ("1-1", 0.7)]:
        assert schedule.next_job() is None and not schedule.is_done()
        schedule.job_ended(fingerprint, "stopped", [acc])
    assert [standing.val_acc for standing in schedule.standing()] == [None, pytest.approx(0.65)]
    schedule.job_ended("0-1", "stopped", [0.3])
    assert [standing.val_acc for standing in schedule.standing()] == [pytest.approx(0.6), pytest.approx(0.65)]
    job = schedule.next_job()
    assert job is not None and (job.fingerprint, job.until_epoch) == ("1-0", 2)
    assert job.config == TrainConfig(epochs=4, seed=0)


def test_a_seed_that_diverges_takes_its_cell_out_before_the_others_start() -> None:
    schedule = AshaSchedule(make_cells([4, 4], num_seeds=3))
    first = schedule.next_job()
    assert first is not None
    schedule.job_ended(first.fingerprint, "diverged", [])
    second = schedule.next_job()
    assert second is not None and second.fingerprint == "1-0"
    assert schedule.standing()[0].reason == "seed 0: diverged"


def test_a_promoted_cell_that_fails_leaves_its_place_to_the_next() -> None:
    curves = {"0-0": [0.9], "1-0": [0.8, 0.8], "2-0": [0.7, 0.7]}
    pool = Pool(AshaSchedule(make_cells([4] * 3)), curves, 1, lambda running: 0).run()
    assert [(job.fingerprint, job.until_epoch) for job in pool.jobs][2:] == [("0-0", 2), ("1-0", 2), ("2-0", 1)]
    assert pool.schedule.finalists(3) == (1, 2)


def test_what_was_found_of_each_cell_says_where_it_was_compared_and_why_it_went_no_further() -> None:
    curves = {"0-0": [0.9, 0.95], "1-0": [0.5, 0.6], "2-0": [0.7, 0.75], "3-0": [], "4-0": [0.6, math.nan]}
    pool = Pool(AshaSchedule(make_cells([4] * 5)), curves, 5, lambda running: 0)
    assert {standing.reason for standing in pool.schedule.standing()} == {"not compared yet"}
    found = pool.run().schedule.standing()
    assert [(s.arm, s.epochs, s.val_acc, s.rank, s.of, s.reason) for s in found] == [
        (0, 2, 0.95, 1, 2, "screened to the end"),
        (1, 1, 0.5, 4, 4, "not among the best 2 of 4"),
        (2, 2, 0.75, 2, 2, "screened to the end"),
        (3, 0, None, None, None, "seed 0: diverged"),
        (4, 1, 0.6, 3, 4, "not among the best 2 of 4"),
    ]


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 3)), (4, (1, 2, 4)), (5, (1, 2, 5)), (9, (2, 4, 9)), (100, (25, 50, 100))],
)
def test_rungs_are_a_quarter_and_half_of_the_epochs_and_all_of_them(epochs: int, expected: tuple[int, ...]) -> None:
    assert rungs(epochs) == expected


def test_arms_of_other_budgets_are_compared_after_the_same_shares() -> None:
    assert cell_rungs([100, 8]) == ((25, 50, 100), (2, 4, 8))
    assert cell_rungs([4, 2]) == ((2, 4), (1, 2))
    jobs = Pool(AshaSchedule(make_cells([8, 4])), {"0-0": [0.5] * 8, "1-0": [0.4] * 4}, 1, lambda running: 0).run().jobs
    assert [(job.fingerprint, job.until_epoch) for job in jobs] == [("0-0", 2), ("1-0", 1), ("0-0", 4)]


@settings(deadline=None)
@given(st.lists(st.integers(2, 200), min_size=1, max_size=5), st.integers(2, 4), st.integers(1, 4))
def test_every_arm_has_as_many_rungs_each_with_more_epochs(
    budgets: list[int], reduction: int, comparisons: int
) -> None:
    if min(budgets) < reduction:
        with pytest.raises(UserError):
            cell_rungs(budgets, reduction, comparisons)
        return
    ladders = cell_rungs(budgets, reduction, comparisons)
    assert len({len(ladder) for ladder in ladders}) == 1
    for ladder, epochs in zip(ladders, budgets, strict=True):
        assert all(low < high for low, high in pairwise(ladder))
        assert ladder[0] >= 1 and ladder[-1] == epochs


def test_a_budget_of_one_epoch_can_t_be_screened() -> None:
    with pytest.raises(UserError, match=r"only 1 epoch, .* --set epochs=4"):
        AshaSchedule(make_cells([4, 1]))


def test_the_rule_is_told_with_its_rungs_and_what_the_order_can_change() -> None:
    words = describe([4, 4, 8], num_seeds=1, num_finalists=3)
    assert "with 1 seed and compares them after 1 and 2 of 4, or 2 and 4 of 8 epochs" in words
    assert "best 1 in 2" in words and "best 3" in words and "never holds back" in words


def test_screening_needs_neither_torch_nor_ray() -> None:
    code = "import sys, grid.execution.asha; print(*{'torch', 'ray'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def draw_learning_curves(rng: np.random.Generator, num_cells: int, epochs: int) -> npt.NDArray[np.float64]:
    """True validation accuracies `(cell, epoch)` that rise by power laws of different speed, and so cross.

    Several cells are near the best, some far below, and one in seven stays at chance; ranks after a quarter and after
    half of the epochs have a correlation of about 0.9 and 0.95 with those in the end.
    """
    highest = rng.uniform(0.45, 0.8) - rng.exponential(0.06, num_cells)
    slowness = np.exp(rng.normal(np.log(max(0.12 * epochs, 0.5)), 0.7, num_cells))
    power = rng.uniform(0.8, 1.6, num_cells)
    epoch = np.arange(1, epochs + 1)
    curves = highest[:, None] - (highest - 0.1)[:, None] * (1 + epoch / slowness[:, None]) ** -power[:, None]
    curves[rng.random(num_cells) < 1 / 7] = 0.1
    return curves


def add_noise(rng: np.random.Generator, curves: npt.NDArray[np.float64], num_seeds: int) -> npt.NDArray[np.float64]:
    """Trials `(cell, seed, epoch)`: a seed moves a curve by 0.7 points, an epoch by 2.6 at first and 0.6 late."""
    epoch = np.arange(1, curves.shape[1] + 1)
    of_seed = rng.normal(0, 0.007, (len(curves), num_seeds, 1))
    of_epoch = rng.normal(0, 0.006 + 0.02 / np.sqrt(epoch), (len(curves), num_seeds, len(epoch)))
    return curves[:, None, :] + (curves > 0.1)[:, None, :] * (of_seed + of_epoch)


def winning_set(final: npt.NDArray[np.float64]) -> set[int]:
    """Cells of `(cell, seed)` accuracies that can't be told from the best: paired 95 % t-intervals, uncorrected."""
    best = int(final.mean(axis=1).argmax())
    below = final[best] - final
    width = stats.t.ppf(0.975, final.shape[1] - 1) * below.std(axis=1, ddof=1) / np.sqrt(final.shape[1])
    return {best, *(int(cell) for cell in np.flatnonzero(below.mean(axis=1) <= width))}


@dataclass(frozen=True)
class Campaign:
    """What a screening with its confirmation came to, beside the full grid."""

    share: float
    screening_share: float
    in_winning_set: bool
    regret: float


def run_campaign(
    rng: np.random.Generator,
    num_cells: int,
    epochs: int,
    num_seeds: int,
    num_screening_seeds: int = 1,
    num_finalists: int | None = None,
    num_workers: int = 4,
    **rule: int,
) -> Campaign:
    """Screens made cells, confirms the finalists with `num_seeds` in full, and picks the best of them."""
    truth = draw_learning_curves(rng, num_cells, epochs)
    screened = add_noise(rng, truth, num_screening_seeds)
    final = add_noise(rng, truth, num_seeds)[:, :, -1]
    curves = {
        f"{cell}-{seed}": list(trial) for cell, trials in enumerate(screened) for seed, trial in enumerate(trials)
    }
    speed = np.exp(rng.normal(0, 0.3, num_cells))
    done: dict[str, int] = {}
    ends: dict[str, float] = {}
    clock = [0.0]

    def start(job: Job, pool: Pool) -> None:
        num_epochs = job.until_epoch - done.get(job.fingerprint, 0)
        done[job.fingerprint] = job.until_epoch
        ends[job.fingerprint] = clock[0] + num_epochs * speed[int(job.fingerprint.split("-")[0])]

    def first_to_end(running: list[Job]) -> int:
        index = min(range(len(running)), key=lambda i: ends[running[i].fingerprint])
        clock[0] = ends[running[index].fingerprint]
        return index

    schedule = AshaSchedule(make_cells([epochs] * num_cells, num_screening_seeds), **rule)
    Pool(schedule, curves, num_workers, first_to_end, before_start=start).run()
    finalists = schedule.finalists(num_finalists or choose_num_finalists(num_cells))
    picked = max(finalists, key=lambda cell: float(final[cell].mean()))
    full = num_cells * num_seeds * epochs
    return Campaign(
        share=(sum(done.values()) + len(finalists) * num_seeds * epochs) / full,
        screening_share=sum(done.values()) / full,
        in_winning_set=picked in winning_set(final),
        regret=float(truth[:, -1].max() - truth[picked, -1]),
    )


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.parametrize("epochs", [4, 5, 9, 100])
def test_screening_finds_a_winner_of_the_full_grid_with_at_most_40_percent_of_its_epochs(
    epochs: int, num_seeds: int
) -> None:
    rng = np.random.default_rng([epochs, num_seeds])
    campaigns = [run_campaign(rng, num_cells, epochs, num_seeds) for num_cells in (8, 12, 20) for _ in range(50)]
    assert np.mean([campaign.in_winning_set for campaign in campaigns]) >= 0.95
    assert np.mean([campaign.share <= 0.4 for campaign in campaigns]) >= 0.95
    assert np.mean([campaign.regret for campaign in campaigns]) < 0.005
