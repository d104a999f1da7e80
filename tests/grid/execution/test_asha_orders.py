import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from grid.execution.schedule import Job
from tests.grid.execution.made_screenings import (
    LOWER,
    Pool,
    Screening,
    any_order,
    orders,
    screenings,
    workers,
)


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
    reached = [cell for cell in range(made.num_cells) if not math.isnan(made.result(cell, 0))]
    assert set(made.ranking(reached, 0)[: made.num_best(len(reached))]) <= made.sent_to(pool.jobs, 1)
    assert made.reached(pool.outcomes, 0) == reached


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
