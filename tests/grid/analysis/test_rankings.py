"""Orders of arms, against examples worked by hand."""

import math

import pandas as pd
import pytest

from grid.analysis.rankings import agreement, budgets, pareto_front
from tests.grid.constructed import small_study, trials_frame


def test_the_front_holds_what_nothing_beats() -> None:
    assert pareto_front([3, 1, 2, 4, 2, math.nan], [0.8, 0.5, 0.7, 0.8, 0.6, 0.99]) == [1, 2, 0]
    assert pareto_front([1, 1, 1], [0.5, 0.7, 0.7]) == [1], "of equal cost the best, of equals the first"


def test_agreement_counts_pairs_and_has_an_interval_from_five_arms_on() -> None:
    # 1 of 10 pairs is exchanged: tau = (9 - 1) / 10; Fieller: atanh(0.8) -+ 1.96 sqrt(0.437 / 1)
    found = agreement([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    reach = 1.96 * math.sqrt(0.437)
    assert (found.tau, found.low, found.high) == pytest.approx(
        (0.8, math.tanh(math.atanh(0.8) - reach), math.tanh(math.atanh(0.8) + reach))
    )
    four = agreement([1, 2, 3, 4], [1, 2, 4, 3])
    assert four.tau == pytest.approx(4 / 6) and math.isnan(four.low)


def test_the_same_order_of_few_arms_is_not_taken_for_certain() -> None:
    found = agreement(range(6), range(6))
    assert (found.tau, found.high) == (1, 1) and 0 < found.low < 0.9
    assert agreement(range(6), range(6, 0, -1)).low == -1
    assert math.isnan(agreement([1] * 6, range(6)).tau)


def budget_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three arms that end as c, b, a; after the first epoch the order is a, b, c, after the second it is the last."""
    trials = trials_frame(small_study(("a", "b", "c"), seeds=(0,)), {0: [0.6], 1: [0.7], 2: [0.8]})
    by_epoch = {1: (0.5, 0.4, 0.3), 2: (0.5, 0.6, 0.7)}
    rows = [
        {"fingerprint": f"{arm}-0", "epoch": epoch, "val_acc": value}
        for epoch, values in by_epoch.items()
        for arm, value in enumerate(values)
    ]
    return trials, pd.DataFrame(rows)


def test_a_budget_is_judged_by_the_order_at_the_end_and_by_the_place_of_its_best() -> None:
    trials, epochs = budget_tables()
    found = budgets(trials, epochs)
    assert [(of.epoch, of.agreement.tau, of.rank, of.num_arms) for of in found] == [(1, -1, 3, 3), (2, 1, 1, 3)]


def test_a_screening_is_compared_with_the_full_trials_of_its_arms() -> None:
    trials, epochs = budget_tables()
    early = trials.assign(stage="screening", status="stopped", fingerprint="s" + trials["fingerprint"])
    short = epochs.assign(fingerprint="s" + epochs["fingerprint"]).iloc[:5]  # the last arm has one epoch only
    found = budgets(pd.concat([trials, early]), pd.concat([epochs, short]), "screening")
    assert [(of.epoch, of.agreement.tau) for of in found] == [(1, -1)]
    assert budgets(trials, epochs, "screening") == []
