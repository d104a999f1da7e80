"""A ledger of which the truth is known: A better than B by 2 points, C equal to B, D diverged, E stopped early."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cifar_models.records import EpochRecord, TestRecord
from grid.questions.claims import Claim
from grid.records.files import Folder
from grid.records.ledger import Ledger, TrialRecord
from grid.records.plan import PlannedTrial, StudyPlan, make_plan, planned_trial
from grid.records.status import Status
from tests.grid.constructed import DATA_FINGERPRINT, small_study

NUM_IMAGES = 10_000
ACCURACY = {"A": 0.82, "B": 0.80, "C": 0.80, "D": 0.5, "E": 0.7}
"""Of a training on average, over seeds and images."""
SOFTNESS = 0.02
"""Share of the images of which it is open whether a training is right: two trainings disagree on about 3 %."""


def known_plan(num_seeds: int = 8, claims: Sequence[Claim] = ()) -> StudyPlan:
    """Five arms; E has a screening only."""
    study = small_study(tuple(ACCURACY), seeds=tuple(range(num_seeds)))
    study = study.model_copy(update={"claims": tuple(claims)})
    plan = make_plan(study, DATA_FINGERPRINT)
    screening = planned_trial(study, DATA_FINGERPRINT, 4, 1_000_000, "screening")
    return plan.model_copy(update={"trials": (*(t for t in plan.trials if t.arm != 4), screening)})


def fill(plan: StudyPlan, folder: Path) -> Ledger:
    """The ledger of a plan's trials."""
    ledger = Ledger(Folder(folder))
    ledger.prepare()
    rng = np.random.default_rng(20)
    difficulty = rng.permutation(NUM_IMAGES) / NUM_IMAGES
    for trial in plan.trials:
        ledger.commit(*known_trial(plan, trial, difficulty, rng))
    return ledger


def known_trial(
    plan: StudyPlan, trial: PlannedTrial, difficulty: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[TrialRecord, TestRecord | None]:
    """A training of an arm: right about an image with a chance that falls with its difficulty."""
    label = plan.study.arms[trial.arm].label
    status: Status = {"D": "diverged" if trial.seed % 2 else "ok", "E": "stopped"}.get(label, "ok")
    skill = ACCURACY[label] + rng.normal(0, 0.001)
    right = rng.random(NUM_IMAGES) < 1 / (1 + np.exp((difficulty - skill) / (SOFTNESS / 4)))
    test = _test_record(right) if status == "ok" else None
    epochs = tuple(_epoch(epoch, skill + rng.normal(0, 0.002)) for epoch in (1, 2, 3))
    record = TrialRecord(
        fingerprint=trial.fingerprint,
        status=status,
        reason=None if status == "ok" else "on purpose",
        config=plan.config(trial),
        data_fingerprint=plan.data_fingerprint,
        training_version=1,
        epochs=epochs[:1] if label == "E" else epochs,
        test_loss=test.loss if test else None,
        test_acc=test.acc if test else None,
        num_parameters=1,
        num_train=1,
        started="2025-01-02T03:04:05+00:00",
        wall_s=1.0,
        machine="constructed",
    )
    return record, test


def _test_record(right: npt.NDArray[np.bool_]) -> TestRecord:
    label = np.zeros(len(right), np.uint8)
    return TestRecord(
        loss=2 - float(right.mean()),
        acc=float(right.mean()),
        label=label,
        predicted=(~right).astype(np.uint8),
        true_prob=right.astype(np.float16),
        predicted_prob=np.ones(len(right), np.float16),
    )


def _epoch(epoch: int, acc: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch, lr=0.1, train_loss=1 / epoch, train_acc=acc, val_loss=1 / epoch, val_acc=acc, wall_s=1.0
    )
