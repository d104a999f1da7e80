import math
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_models.config import TrainConfig
from grid.errors import UserError
from grid.execution.asha import AshaSchedule, Outcome, cell_rungs, choose_num_finalists, describe, rungs
from grid.execution.schedule import Job
from tests.grid.execution.made_screenings import (
    Pool,
    make_cells,
)


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
