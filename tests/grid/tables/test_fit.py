"""How well a trial fits, on curves made for it."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grid.tables import fit
from grid.tables.fit import arm_fit, diagnose, rules, slope, window_in_words, window_size


def curves(
    train_acc: npt.ArrayLike, val_acc: npt.ArrayLike, train_loss: npt.ArrayLike, val_loss: npt.ArrayLike
) -> pd.DataFrame:
    columns = {"train_acc": train_acc, "val_acc": val_acc, "train_loss": train_loss, "val_loss": val_loss}
    frame = pd.DataFrame({name: np.asarray(values, dtype=float) for name, values in columns.items()})
    return frame.assign(epoch=np.arange(1, len(frame) + 1))


def grown(end: float, num_epochs: int, speed: float = 8) -> npt.NDArray[np.float64]:
    """From 0.1 to almost `end`, quickly at first."""
    return 0.1 + (end - 0.1) * (1 - np.exp(-speed * np.arange(1, num_epochs + 1) / num_epochs))


def well_fit(num_epochs: int = 20) -> pd.DataFrame:
    train, val = grown(0.88, num_epochs), grown(0.85, num_epochs)
    return curves(train, val, 2.3 * (1 - train), 2.3 * (1 - val))


def test_train_and_validation_that_level_off_together_are_well_fit() -> None:
    for num_epochs in (8, 20, 100):
        assert diagnose(well_fit(num_epochs)) == "well fit"


def test_validation_loss_that_turns_up_while_train_loss_falls_is_overfit() -> None:
    for num_epochs in (10, 30, 100):
        frame = well_fit(num_epochs)
        after = np.clip(frame["epoch"] / num_epochs - 0.4, 0, None)
        overfit = frame.assign(val_loss=frame["val_loss"] * (1 + 2 * after))
        assert (overfit["train_acc"] - overfit["val_acc"]).iloc[-1] < 0.1, "the gap alone would not show it"
        assert diagnose(overfit) == "overfit"


def test_the_same_turn_in_a_short_training_is_overfit() -> None:
    frame = curves(
        [0.5, 0.7, 0.8, 0.9, 0.95, 0.98],
        [0.5, 0.6, 0.65, 0.66, 0.65, 0.65],
        [1.4, 0.8, 0.5, 0.3, 0.2, 0.1],
        [1.3, 1.1, 1.0, 1.2, 1.5, 1.8],
    )
    assert diagnose(frame) == "overfit"


def test_validation_loss_that_rises_together_with_train_loss_is_not_overfit() -> None:
    frame = well_fit(20)
    after = 1 + np.clip(frame["epoch"] / 20 - 0.4, 0, None)
    unstable = frame.assign(val_loss=frame["val_loss"] * after, train_loss=frame["train_loss"] * after)
    assert diagnose(unstable) == "well fit"


@pytest.mark.parametrize(("points", "expected"), [(9.9, "well fit"), (10.1, "overfit")])
def test_a_lead_of_train_over_validation_is_overfit_from_ten_points(points: float, expected: str) -> None:
    train = np.full(12, 0.9)
    assert diagnose(curves(train, train - points / 100, train, train)) == expected


def test_a_training_that_would_go_on_learning_is_underfit() -> None:
    steps = np.arange(1, 7)
    frame = curves(0.4 + 0.05 * steps, 0.4 + 0.05 * steps, 2 - 0.2 * steps, 2 - 0.2 * steps)
    assert frame["train_acc"].iloc[-1] > fit.LEARNED_ACC
    assert diagnose(frame) == "underfit"


def test_a_lead_while_validation_still_catches_up_is_underfit_not_overfit() -> None:
    frame = curves([0.3, 0.5, 0.6, 0.7], [0.1, 0.2, 0.35, 0.5], [2, 1.5, 1.2, 0.9], [2.3, 2, 1.7, 1.3])
    assert max(frame["train_acc"].iloc[-2:].median(), frame["val_acc"].iloc[-2:].median()) > fit.LEARNED_ACC
    assert diagnose(frame) == "underfit"


def test_train_that_rises_without_validation_is_not_still_learning() -> None:
    frame = curves([0.5, 0.6, 0.65, 0.7, 0.75, 0.8], [0.55] * 6, [1.4, 1.2, 1, 0.9, 0.8, 0.7], [1.3] * 6)
    assert diagnose(frame) == "overfit"


@pytest.mark.parametrize("chance", [0.01, 0.1, 0.5])
def test_a_training_that_stays_at_chance_is_underfit(chance: float) -> None:
    flat, loss = np.full(20, chance), np.full(20, -np.log(chance))
    assert diagnose(curves(flat, flat, loss, loss)) == "underfit"


def test_a_training_that_levels_off_low_is_underfit_unless_only_dropout_holds_train_down() -> None:
    flat, loss = np.full(20, 0.55), np.full(20, 1.2)
    assert diagnose(curves(flat, flat, loss, loss)) == "underfit"
    assert diagnose(curves(flat, np.full(20, 0.7), loss, loss)) == "well fit"


def test_a_training_that_never_learned_is_underfit_even_if_its_validation_loss_explodes() -> None:
    # a quick run of Adam at 0.1 on the digits
    frame = curves(
        [0.113, 0.161, 0.220, 0.243, 0.257, 0.304],
        [0.101, 0.164, 0.115, 0.209, 0.105, 0.153],
        [1868.7, 28.8, 4.3, 3.3, 2.6, 2.2],
        [1659.1, 6.7, 1562.4, 60.1, 1661.0, 2102.7],
    )
    assert diagnose(frame) == "underfit"


@pytest.mark.parametrize("num_epochs", [1, 2])
def test_one_or_two_epochs_say_nothing(num_epochs: int) -> None:
    assert diagnose(well_fit(num_epochs)) == "too short to say"


def test_three_epochs_are_enough() -> None:
    assert diagnose(well_fit(3)) in ("underfit", "well fit", "overfit")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_trial_that_diverged_or_has_no_epoch_has_no_fit(bad: float) -> None:
    frame = well_fit(10)
    frame.loc[9, "train_loss"] = bad
    assert diagnose(frame) is None
    assert diagnose(well_fit(10).iloc[:0]) is None


def test_scatter_from_epoch_to_epoch_changes_nothing() -> None:
    labels = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        frame = well_fit(30)
        scatter = np.exp(rng.normal(0, 0.1, 30))
        labels.append(diagnose(frame.assign(val_loss=frame["val_loss"] * scatter)))
    assert labels.count("well fit") >= 97


@pytest.mark.parametrize("num_epochs", [6, 20, 100])
def test_one_epoch_that_sticks_out_changes_nothing(num_epochs: int) -> None:
    expected = diagnose(well_fit(num_epochs))
    for epoch in range(num_epochs // 2, num_epochs):
        frame = well_fit(num_epochs)
        frame["val_loss"] *= np.where(frame.index == epoch, 5, 1)
        frame["val_acc"] /= np.where(frame.index == epoch, 2, 1)
        assert diagnose(frame) == expected


def test_the_order_of_rows_changes_nothing() -> None:
    frame = well_fit(20)
    frame["val_loss"] *= 1 + 0.1 * frame["epoch"]
    assert diagnose(frame.sample(frac=1, random_state=0)) == diagnose(frame) == "overfit"


@settings(deadline=None)  # a busy machine
@given(
    arrays(float, st.tuples(st.integers(3, 40), st.just(2)), elements=st.floats(0, 1)).flatmap(
        lambda acc: st.tuples(st.just(acc), arrays(float, acc.shape, elements=st.floats(0, 1e6)))
    )
)
def test_any_finite_curves_have_a_fit(measures: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]) -> None:
    acc, loss = measures
    assert diagnose(curves(acc[:, 0], acc[:, 1], loss[:, 0], loss[:, 1])) in ("underfit", "well fit", "overfit")


def test_windows_are_five_epochs_or_half_or_a_tenth() -> None:
    assert [window_size(n) for n in (3, 4, 5, 6, 9, 10, 50, 51, 100)] == [2, 2, 3, 3, 5, 5, 5, 5, 10]


def test_a_slope_is_the_change_an_epoch_whatever_one_epoch_does() -> None:
    assert slope(np.array([1.0, 3.0])) == 2
    assert slope(np.array([0, 1, 2, 30, 4, 5, 6.0])) == 1


def test_an_arm_has_the_most_frequent_fit_of_its_seeds_with_counts() -> None:
    most = arm_fit(["overfit", "well fit", "overfit"])
    assert (most.label, most.text, most.others) == ("overfit", "overfit 2 of 3", (("well fit", 1),))
    assert most.position == pytest.approx(2 / 3)
    assert arm_fit(["underfit"]).text == "underfit 1 of 1"
    assert arm_fit(["underfit"]).position == -1


def test_an_arm_whose_seeds_disagree_evenly_is_mixed() -> None:
    tie = arm_fit(["well fit", "overfit"])
    assert (tie.label, tie.text, tie.others) == ("mixed", "mixed", (("overfit", 1), ("well fit", 1)))


def test_an_arm_without_a_fit_says_nothing() -> None:
    nothing, short = arm_fit([]), arm_fit(["too short to say"] * 2)
    assert (nothing.label, nothing.text, nothing.position) == (None, "", None)
    assert (short.text, short.position) == ("too short to say 2 of 2", None)


def test_the_rules_in_words_follow_the_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    said = dict(rules())
    assert list(said) == ["underfit", "overfit", "well fit", "too short to say"]
    assert "more than 20 % above its lowest" in said["overfit"]
    assert "more than 10 points above validation" in said["overfit"]
    monkeypatch.setattr(fit, "GAP_POINTS", 7.5)
    monkeypatch.setattr(fit, "LEARNED_ACC", 0.7)
    assert "more than 7.5 points above validation" in dict(rules())["overfit"]
    assert "reaches 70 %" in dict(rules())["underfit"]
    monkeypatch.setattr(fit, "WINDOW_EPOCHS", 4)
    assert "the last 4 epochs (half of a training shorter than 8" in window_in_words()
