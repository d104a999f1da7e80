from pathlib import Path

from cifar_models.config import TrainConfig
from grid.records.fingerprint import fingerprint
from grid.records.plan import count, make_plan, new_trials
from tests.grid.constructed import small_study
from tests.grid.questions.test_question import HEAD, study, write


def test_a_fingerprint_is_pinned() -> None:
    """Changes when a default or a field does, and then no result of an existing ledger counts. Meant? Pin it anew."""
    assert fingerprint(TrainConfig(), "0" * 64, training_version=1) == PINNED


PINNED = "b2b682361cdeb0b006c4cc3e"


def test_everything_that_decides_the_numbers_is_in_the_fingerprint() -> None:
    base = fingerprint(TrainConfig(), "a", 1)
    others = [
        fingerprint(TrainConfig(seed=1), "a", 1),
        fingerprint(TrainConfig(epochs=99), "a", 1),
        fingerprint(TrainConfig(precision="fp32"), "a", 1),
        fingerprint(TrainConfig(channels_last=False), "a", 1),
        fingerprint(TrainConfig(), "b", 1),
        fingerprint(TrainConfig(), "a", 2),
    ]
    assert len({base, *others}) == 7


def test_a_default_written_out_is_the_same_trial() -> None:
    written = TrainConfig.model_validate({"optimizer": {"lr": "5e-3"}, "epochs": 100, "batch_size": 256.0})
    assert fingerprint(written, "a") == fingerprint(TrainConfig(), "a")


def test_all_arms_of_a_seed_come_before_the_next_seed(tmp_path: Path) -> None:
    made = make_plan(study(write(tmp_path, HEAD + "cells:\n  - product: {optimizer.lr: [0.1, 0.2]}\n")), "data")
    assert [(trial.seed, trial.arm) for trial in made.trials] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_what_two_studies_share_is_trained_once(tmp_path: Path) -> None:
    one = make_plan(
        study(write(tmp_path, HEAD + "cells:\n  - product: {optimizer.lr: [0.1, 0.2]}\n", "a.yaml")), "data"
    )
    two = make_plan(
        study(write(tmp_path, HEAD + "cells:\n  - product: {optimizer.lr: [0.2, 0.3]}\n", "b.yaml")), "data"
    )
    settled = {one.trials[0].fingerprint}
    first, second = count([one, two], settled)
    assert first.model_dump() == {"planned": 4, "cached": 1, "shared": 0, "new": 3}
    assert second.model_dump() == {"planned": 4, "cached": 0, "shared": 2, "new": 2}
    assert len(new_trials([one, two], settled)) == 5


def test_a_grown_axis_keeps_the_old_trials(tmp_path: Path) -> None:
    small = make_plan(study(write(tmp_path, HEAD + "cells:\n  - product: {optimizer.lr: [0.1]}\n")), "data")
    grown = make_plan(study(write(tmp_path, HEAD + "cells:\n  - product: {optimizer.lr: [0.05, 0.1]}\n")), "data")
    settled = {trial.fingerprint for trial in small.trials}
    assert [config.optimizer.lr for config in new_trials([grown], settled).values()] == [0.05, 0.05]


def test_the_seed_draws_the_split_too_where_that_is_asked_for() -> None:
    study = small_study()
    plain, varied = (make_plan(s, "data") for s in (study, study.model_copy(update={"vary": ("split",)})))
    assert {plain.config(trial).data.split_seed for trial in plain.trials} == {0}
    assert [varied.config(trial).data.split_seed for trial in varied.trials] == [t.seed for t in varied.trials]
    same = [a.fingerprint == b.fingerprint for a, b in zip(plain.trials, varied.trials, strict=True)]
    assert same == [trial.seed == 0 for trial in plain.trials], "the first seed has the split that all share"
