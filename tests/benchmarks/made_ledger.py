"""A results folder with as many trials as are asked for, none of which was trained: for the timing of reports."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cifar_models.config import TRAINING_VERSION, TrainConfig
from cifar_models.records import EpochRecord, TestRecord
from grid.questions.expansion import make_study
from grid.questions.question import find_question, read_profiles
from grid.records.ledger import TrialRecord
from grid.records.plan import PlannedTrial, StudyPlan, make_plan
from grid.records.results_folder import ResultsFolder

NUM_EPOCHS = 50
NUM_IMAGES = 10_000
NUM_SEEDS = 10
DATA_FINGERPRINT = "0" * 64


@dataclass(frozen=True)
class MadeLedger:
    """Where it is, and the one trial that is planned and not there yet.

    Attributes:
        root: The results folder.
        missing: The trial that is left out.
        plan: The plan that it belongs to.
    """

    root: Path
    missing: PlannedTrial
    plan: StudyPlan

    def add_missing(self) -> None:
        """Commits the trial that was left out."""
        ResultsFolder(self.root).ledger.commit(*made_trial(self.plan, self.missing))

    def remove_missing(self) -> None:
        """Leaves the trial out again."""
        ResultsFolder(self.root).ledger.files.remove(f"{self.missing.fingerprint[:2]}/{self.missing.fingerprint}")


def make_ledger(root: Path, num_studies: int, num_arms: int) -> MadeLedger:
    """Studies of so many arms with 10 seeds, beside or in place of those that are there."""
    folder = ResultsFolder(root)
    folder.prepare()
    plans = [_plan(root, number, num_arms) for number in range(num_studies)]
    folder.save_plans(plans)
    there, missing = set(folder.ledger.fingerprints()), plans[-1].trials[-1]
    for plan in plans:
        for trial in plan.trials:
            if trial != missing and trial.fingerprint not in there:
                folder.ledger.commit(*made_trial(plan, trial))
    return MadeLedger(root, missing, plans[-1])


def _plan(root: Path, number: int, num_arms: int) -> StudyPlan:
    """A study of ten rates and some decays, which differs from the others in what all of its arms share."""
    question = root.parent / f"made-{number}.yaml"
    question.write_text(
        f"title: Made {number}\nabout: Nothing was trained.\nbase: {{model.dropout: {0.01 * number:.2f}}}\ncells:\n"
        f"  - product:\n      optimizer.lr: {[round(0.001 * step, 4) for step in range(1, 11)]}\n"
        f"      optimizer.weight_decay: {[round(0.001 * step, 4) for step in range(num_arms // 10)]}\n",
        encoding="utf-8",
    )
    study = make_study(
        find_question(str(question)),
        "cpu",
        read_profiles()["cpu"],
        dataset="cifar10",
        dataset_label="cifar10",
        precision="fp32",
        num_seeds=NUM_SEEDS,
        overrides={"epochs": NUM_EPOCHS},
    )
    return make_plan(study, DATA_FINGERPRINT)


def made_trial(plan: StudyPlan, trial: PlannedTrial) -> tuple[TrialRecord, TestRecord]:
    """A trial whose accuracy hangs a little on its arm and its seed, and whose curves rise to it."""
    config = plan.config(trial)
    random = np.random.default_rng([trial.arm, trial.seed])
    test = _test_record(0.6 + 0.2 * trial.arm / len(plan.study.arms) + random.normal(0, 0.01), random)
    record = TrialRecord(
        fingerprint=trial.fingerprint,
        status="ok",
        config=config,
        data_fingerprint=plan.data_fingerprint,
        training_version=TRAINING_VERSION,
        epochs=_curves(config, test.acc, random),
        test_loss=test.loss,
        test_acc=test.acc,
        num_parameters=1_000_000,
        num_train=45_000,
        started="2025-01-02T03:04:05+00:00",
        wall_s=100.0,
        machine="none",
    )
    return record, test


def _curves(config: TrainConfig, acc: float, random: np.random.Generator) -> tuple[EpochRecord, ...]:
    epochs = np.arange(1, config.epochs + 1)
    reached = acc * (1 - np.exp(-epochs / 8)) + random.normal(0, 0.004, len(epochs))
    return tuple(
        EpochRecord(
            epoch=int(epoch),
            lr=config.optimizer.lr,
            train_loss=1.5 - val_acc,
            train_acc=val_acc + 0.01,
            val_loss=1.6 - val_acc,
            val_acc=val_acc,
            wall_s=2.0,
        )
        for epoch, val_acc in zip(epochs, reached.tolist(), strict=True)
    )


def _test_record(acc: float, random: np.random.Generator) -> TestRecord:
    """Answers that are wrong where nobody could know, the same images being hard for every trial in part."""
    label = (np.arange(NUM_IMAGES) % 10).astype(np.uint8)
    ease = np.linspace(-0.5, 0.5, NUM_IMAGES)[np.random.default_rng(0).permutation(NUM_IMAGES)]
    right = ease + random.normal(0, 0.5, NUM_IMAGES) < np.quantile(ease, min(max(acc, 0.01), 0.99))
    true_prob = np.where(right, 0.9, 0.1) + random.uniform(-0.1, 0.1, NUM_IMAGES)
    predicted = np.where(right, label, (label + 1) % 10).astype(np.uint8)
    return TestRecord(
        loss=float(-np.log(np.maximum(true_prob, 1e-3)).mean()),
        acc=float(right.mean()),
        label=label,
        predicted=predicted,
        true_prob=true_prob.astype(np.float16),
        predicted_prob=np.where(right, true_prob, 1 - true_prob).astype(np.float16),
    )
