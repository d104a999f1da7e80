"""Statistics against numbers worked out by hand, with quantiles of t from a printed table."""

import math

import numpy as np
import pandas as pd
import pytest

from grid.analysis.summaries import (
    arm_summaries,
    curves,
    headline,
    paired_difference,
    ranking,
    t_interval,
)
from tests.grid.constructed import small_study, trials_frame

T_2 = 4.303
"""97.5 % quantile of t with 2 degrees of freedom. Source: any printed table, such as NIST/SEMATECH 1.3.6.7.2."""
T_1 = 12.706
"""With 1 degree of freedom, from the same table."""


def test_interval_of_three_values_is_the_textbook_one() -> None:
    # Mean 0.62, deviations -0.02, 0, 0.02: sd = sqrt(0.0008 / 2) = 0.02; half width = 4.303 * 0.02 / sqrt(3).
    interval = t_interval([0.60, 0.62, 0.64])
    assert interval is not None
    assert interval.low == pytest.approx(0.62 - T_2 * 0.02 / math.sqrt(3), abs=1e-5)
    assert interval.high == pytest.approx(0.62 + T_2 * 0.02 / math.sqrt(3), abs=1e-5)


def test_one_value_has_no_interval_and_equal_values_have_one_without_width() -> None:
    assert t_interval([0.5]) is None
    assert t_interval([]) is None
    assert t_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_summaries_hold_every_arm_whatever_became_of_its_trials() -> None:
    study = small_study(("all ok", "one ok", "none ok"))
    failed = {(1, 0): "diverged", (1, 2): "error", (2, 0): "diverged", (2, 1): "diverged", (2, 2): "not_run"}
    table = trials_frame(study, {0: [0.60, 0.62, 0.64], 1: [0, 0.7, 0], 2: [0, 0, 0]}, failed=failed)
    summaries = arm_summaries(table, study)

    assert list(summaries["arm"]) == [0, 1, 2]
    assert list(summaries["label"]) == ["all ok", "one ok", "none ok"]
    assert list(summaries["planned"]) == [3, 3, 3]
    assert list(summaries["ok"]) == [3, 1, 0]
    assert list(summaries["diverged"]) == [0, 1, 2]
    assert list(summaries["error"]) == [0, 1, 0]
    assert list(summaries["not_run"]) == [0, 0, 1]
    assert summaries["reasons"][1] == "diverged on purpose\nerror on purpose"
    assert summaries["reasons"][2] == "diverged on purpose\nnot_run on purpose"

    assert summaries["test_acc_mean"][0] == pytest.approx(0.62)
    assert summaries["test_acc_sd"][0] == pytest.approx(0.02)
    assert (summaries["test_acc_min"][0], summaries["test_acc_max"][0]) == (0.60, 0.64)
    assert summaries["test_acc_low"][0] == pytest.approx(0.62 - T_2 * 0.02 / math.sqrt(3), abs=1e-5)
    assert summaries["test_acc_mean"][1] == 0.7
    assert math.isnan(summaries["test_acc_low"][1]), "one seed has no interval"
    assert math.isnan(summaries["test_acc_mean"][2])


def test_summaries_of_a_study_in_which_nothing_ran_yet() -> None:
    study = small_study()
    failed = {(arm, seed): "not_run" for arm in range(2) for seed in range(3)}
    summaries = arm_summaries(trials_frame(study, {0: [0] * 3, 1: [0] * 3}, failed=failed), study)
    assert list(summaries["not_run"]) == [3, 3]
    assert summaries["val_acc_mean"].isna().all()
    assert ranking(summaries) == [0, 1]


def test_trials_of_another_study_do_not_count() -> None:
    study = small_study()
    mine = trials_frame(study, {0: [0.5] * 3, 1: [0.6] * 3})
    foreign = trials_frame(study, {0: [0.9] * 3, 1: [0.1] * 3}).assign(study="another")
    both = pd.concat([foreign, mine], ignore_index=True)
    pd.testing.assert_frame_equal(arm_summaries(both, study), arm_summaries(mine, study))
    assert headline(both, study) == headline(mine, study)


def test_ranking_is_by_validation_with_ties_in_the_studys_order_and_empty_arms_last() -> None:
    study = small_study(("a", "b", "c", "d"))
    failed = {(0, seed): "diverged" for seed in range(3)}
    table = trials_frame(study, {0: [0] * 3, 1: [0.5] * 3, 2: [0.7] * 3, 3: [0.5] * 3}, failed=failed)
    assert ranking(arm_summaries(table, study)) == [2, 1, 3, 0]


def _epochs(val_acc: dict[str, list[float]], diverged: tuple[str, ...] = ()) -> pd.DataFrame:
    """Epochs by fingerprint; the last one of those that diverged has no finite loss."""
    rows = []
    for fingerprint, accuracies in val_acc.items():
        for epoch, acc in enumerate(accuracies, start=1):
            broken = fingerprint in diverged and epoch == len(accuracies)
            loss = math.nan if broken else 1 - acc
            rows.append(
                {"fingerprint": fingerprint, "epoch": epoch, "train_loss": loss, "train_acc": acc}
                | {"val_loss": math.inf if broken else loss, "val_acc": acc}
            )
    return pd.DataFrame(rows)


def test_curves_count_a_seed_up_to_where_it_diverged() -> None:
    study = small_study(("one",))
    table = trials_frame(study, {0: [0.5, 0.6, 0.7]}, failed={(0, 2): "diverged"})
    epochs = _epochs({"0-0": [0.1, 0.2, 0.3], "0-1": [0.3, 0.4, 0.5], "0-2": [0.2, 0.9]}, diverged=("0-2",))
    points = curves(table, epochs, study)

    assert list(points["epoch"]) == [1, 2, 3]
    assert list(points["n"]) == [3, 2, 2]
    assert list(points["val_acc_mean"]) == pytest.approx([0.2, 0.3, 0.4])
    assert (points["val_acc_min"][0], points["val_acc_max"][0]) == (0.1, 0.3)
    # First epoch: sd = 0.1 over three seeds. Second: values 0.2 and 0.4, sd = 0.1 * sqrt(2) over two.
    assert points["val_acc_high"][0] == pytest.approx(0.2 + T_2 * 0.1 / math.sqrt(3), abs=1e-4)
    assert points["val_acc_high"][1] == pytest.approx(0.3 + T_1 * 0.1, abs=1e-4)
    assert np.isfinite(points[["train_loss_mean", "val_loss_mean"]].to_numpy()).all()


def test_curves_of_no_epochs_are_empty() -> None:
    study = small_study(("one",))
    table = trials_frame(study, {0: [0.5] * 3})
    assert curves(table, _epochs({"someone else's": [0.5]}), study).empty


def test_difference_is_paired_by_seed_not_by_position() -> None:
    # Seeds 0 and 2 are shared. Differences: 0.60 - 0.50 = 0.10 and 0.66 - 0.52 = 0.14; mean 0.12, sd 0.02 * sqrt(2).
    a = pd.Series({2: 0.66, 0: 0.60, 5: 0.99})
    b = pd.Series({0: 0.50, 1: 0.01, 2: 0.52})
    difference = paired_difference(a, b)
    assert difference.num_pairs == 2
    assert difference.mean == pytest.approx(0.12)
    assert difference.interval is not None
    assert difference.interval.low == pytest.approx(0.12 - T_1 * 0.02, abs=1e-4)
    assert difference.interval.high == pytest.approx(0.12 + T_1 * 0.02, abs=1e-4)
    assert not difference.told_apart


def test_difference_of_one_pair_has_no_interval_and_of_none_has_no_mean() -> None:
    one = paired_difference(pd.Series({0: 0.75}), pd.Series({0: 0.5}))
    assert (one.mean, one.interval, one.num_pairs, one.told_apart) == (0.25, None, 1, False)
    none = paired_difference(pd.Series({0: 0.7}), pd.Series({1: 0.6}))
    assert (none.mean, none.interval, none.num_pairs) == (None, None, 0)


def test_equal_differences_have_an_interval_without_width() -> None:
    seeds = pd.Series({0: 0.25, 1: 0.5})
    assert paired_difference(seeds, seeds).interval == (0, 0)
    assert not paired_difference(seeds, seeds).told_apart
    assert paired_difference(seeds + 0.25, seeds).told_apart


def test_headline_chooses_by_validation_even_where_test_says_otherwise() -> None:
    study = small_study()
    table = trials_frame(
        study, val_acc={0: [0.80, 0.81, 0.82], 1: [0.70, 0.71, 0.72]}, test_acc={0: [0.60, 0.62, 0.64], 1: [0.70] * 3}
    )
    answer = headline(table, study)
    # Differences -0.10, -0.08, -0.06: mean -8.0 points, half width 4.303 * 2 / sqrt(3) = 4.97.
    assert (answer.best, answer.runner_up) == (0, 1)
    assert answer.sentence == (
        "“plain” has the highest validation accuracy; on test it is at 62.0 %, 8.0 points behind “residual”, the "
        "runner-up (95 % interval of the difference \N{MINUS SIGN}13.0 to \N{MINUS SIGN}3.0 points, 3 seeds): that is "
        "more than chance between seeds."
    )


def test_headline_says_so_when_arms_cannot_be_told_apart() -> None:
    study = small_study()
    table = trials_frame(study, {0: [0.60, 0.62, 0.64], 1: [0.61, 0.61, 0.61]})
    answer = headline(table, study)
    # Differences -0.01, 0.01, 0.03: mean 1.0 point, half width 4.97.
    assert answer.sentence.endswith(
        "62.0 %, 1.0 points ahead of “residual”, the runner-up (95 % interval of the difference "
        "\N{MINUS SIGN}4.0 to 6.0 points, 3 seeds): they can't be told apart."
    )


def test_headline_says_that_an_interval_is_not_corrected_for_choosing_among_many() -> None:
    study = small_study(("a", "b", "c"))
    table = trials_frame(study, {0: [0.9, 0.9, 0.9], 1: [0.8, 0.8, 0.8], 2: [0.1, 0.1, 0.1]})
    assert headline(table, study).sentence.endswith(
        "that is more than chance between seeds, not corrected for choosing among 3 arms."
    )


def test_headline_of_one_seed_gives_no_verdict() -> None:
    study = small_study(seeds=(0,))
    sentence = headline(trials_frame(study, {0: [0.7], 1: [0.6]}), study).sentence
    assert sentence.endswith(
        "70.0 %, 10.0 points ahead of “residual”, the runner-up, from the one seed they share: "
        "no telling whether that is more than chance."
    )


def test_headline_without_an_ok_trial_says_what_there_is_instead() -> None:
    study = small_study()
    failed = {(arm, seed): "diverged" if arm else "not_run" for arm in range(2) for seed in range(3)}
    answer = headline(trials_frame(study, {0: [0] * 3, 1: [0] * 3}, failed=failed), study)
    assert answer.sentence == "No trial is ok, so there is no answer: 3 diverged, 3 not run."
    assert answer.best is None


def test_headline_with_results_of_one_arm_compares_nothing() -> None:
    study = small_study()
    failed = {(1, seed): "diverged" for seed in range(3)}
    answer = headline(trials_frame(study, {0: [0.60, 0.62, 0.64], 1: [0] * 3}, failed=failed), study)
    assert answer.sentence == (
        "“plain” is the only arm with results; on test it is at 62.0 % (95 % interval 57.0 to 67.0, 3 seeds), "
        "and there is nothing to compare it with."
    )
    assert (answer.best, answer.runner_up, answer.difference) == (0, None, None)


def test_an_arm_that_lost_a_seed_to_divergence_is_not_chosen_for_its_lucky_ones() -> None:
    study = small_study(("steady", "also steady", "lucky"))
    table = trials_frame(study, {0: [0.6] * 3, 1: [0.5] * 3, 2: [0.9] * 3}, failed={(2, 1): "diverged"})
    answer = headline(table, study)
    assert answer.best == 0
    assert answer.sentence.endswith("Left out, because some of its seeds diverged: “lucky”.")


def test_where_all_arms_lost_seeds_the_best_of_them_is_chosen() -> None:
    study = small_study()
    failed = {(0, 0): "diverged", (1, 1): "diverged"}
    answer = headline(trials_frame(study, {0: [0.6] * 3, 1: [0.7] * 3}, failed=failed), study)
    assert (answer.best, answer.runner_up) == (1, 0)


def test_arms_without_a_common_seed_are_not_compared() -> None:
    study = small_study(seeds=(0, 1))
    failed = {(0, 0): "error", (1, 1): "error"}
    sentence = headline(trials_frame(study, {0: [0.6] * 2, 1: [0.7] * 2}, failed=failed), study).sentence
    assert sentence.startswith("So far, with 2 of 4 trials trained: “residual” has")
    assert "shares no seed with “plain”" in sentence
