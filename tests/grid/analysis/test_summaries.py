"""Statistics against numbers worked out by hand, with quantiles of t from a printed table."""

import math

import numpy as np
import pandas as pd
import pytest

from grid.analysis.evidence import gather
from grid.analysis.summaries import (
    arm_summaries,
    curves,
    ranking,
)
from grid.questions.study import Study
from tests.grid.constructed import small_study, trials_frame

T_2 = 4.303
"""97.5 % quantile of t with 2 degrees of freedom. Source: any printed table, such as NIST/SEMATECH 1.3.6.7.2."""
T_1 = 12.706
"""With 1 degree of freedom, from the same table."""


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


def chosen(trials: pd.DataFrame, study: Study) -> int | None:
    return gather(study, trials, _epochs({"nobody": [0.5]}), {}).best(range(len(study.arms)))


def test_an_arm_that_lost_a_seed_to_divergence_is_not_the_best_for_its_lucky_ones() -> None:
    study = small_study(("steady", "lucky", "unlucky"))
    accuracies = {0: [0.6, 0.6, 0.6], 1: [0.9, 0.9, 0.9], 2: [0.7, 0.7, 0.7]}
    assert chosen(trials_frame(study, accuracies, failed={(1, 0): "diverged"}), study) == 2
    every = {(arm, 0): "diverged" for arm in range(3)}
    assert chosen(trials_frame(study, accuracies, failed=every), study) is None


def test_a_screening_stands_for_an_arm_only_where_nothing_else_does() -> None:
    study = small_study(("confirmed", "stopped"))
    trials = trials_frame(
        study, {0: [0.6, 0.6, 0.6], 1: [0.9, 0.9, 0.9]}, failed={(1, seed): "stopped" for seed in range(3)}
    )
    screened = trials.assign(stage="screening", test_acc=0.99)
    both = pd.concat([trials[trials["arm"] == 0], screened], ignore_index=True)
    summaries = arm_summaries(both, study)
    assert list(summaries["ok"]) == [3, 0]
    assert list(summaries["stopped"]) == [0, 3]
    assert summaries["test_acc_mean"][0] == 0.6
    assert chosen(both, study) == 0
