"""Constructed studies, trials and ledgers, for tests of what reads results: nothing here was trained."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cifar_models.config import OptimizerConfig, TrainConfig
from cifar_models.records import EpochRecord, TestRecord
from grid.questions.expansion import make_study
from grid.questions.question import find_question, read_profiles
from grid.questions.study import Arm, Axis, Study
from grid.records.ledger import Ledger, TrialRecord
from grid.records.plan import PlannedTrial, StudyPlan, make_plan
from grid.records.status import Status
from grid.report.charts.style import Figure

HOSTILE = "<img src=x onerror=alert(1)>"
"""A label that would run a script if it reached a page as it is."""
DATA_FINGERPRINT = "c0ffee" * 4
MISSING_WEIGHTS = (
    "UserError: no ImageNet weights of {}: put /home/someone/.cache/torch/hub/checkpoints/"
    "a-very-long-name-without-any-space-that-a-line-could-be-broken-at-0123456789abcdef.pth there, or download it"
)
NUM_TEST = 360
NUM_CLASSES = 10


def catalogue_plan(name: str = "q2", *, profile: str = "quick", num_seeds: int | None = None) -> StudyPlan:
    """The plan of a built-in question; three seeds are enough for the quick ones. The last arm of each part wins."""
    chosen, question = read_profiles()[profile], find_question(name)
    winners = {part: catalogue_plan(part, profile=profile).study.arms[-1].values for part in question.question.parts}
    study = make_study(
        question,
        profile,
        chosen,
        dataset=chosen.dataset,
        dataset_label=chosen.dataset,
        precision="fp32",
        num_seeds=num_seeds or (3 if profile == "quick" else None),
        winners={part: {k: v for k, v in values.items() if v is not None} for part, values in winners.items()},
    )
    return make_plan(study, DATA_FINGERPRINT)


def small_study(labels: tuple[str, ...] = ("plain", "residual"), seeds: tuple[int, ...] = (0, 1, 2)) -> Study:
    """A study of one axis of numbers, with an arm a label."""
    values = tuple(0.001 * (index + 1) for index in range(len(labels)))
    axis = Axis(field="optimizer.lr", label="learning rate", values=values, names=labels)
    arms = tuple(
        Arm(label=label, values={axis.field: lr}, config=TrainConfig(optimizer=OptimizerConfig(lr=lr), epochs=3))
        for label, lr in zip(labels, values, strict=True)
    )
    return Study(
        question="small",
        title="Does it help?",
        about="Two arms.",
        profile="quick",
        dataset="digits",
        axes=(axis,),
        arms=arms,
        seeds=seeds,
    )


def trials_frame(
    study: Study,
    val_acc: Mapping[int, list[float]],
    test_acc: Mapping[int, list[float]] | None = None,
    failed: Mapping[tuple[int, int], str] | None = None,
) -> pd.DataFrame:
    """The `trials` table of a study: accuracies by arm, one a seed; `failed` gives the status by (arm, seed)."""
    rows = []
    for arm in range(len(study.arms)):
        for position, seed in enumerate(study.seeds):
            status = (failed or {}).get((arm, seed), "ok")
            ok = status == "ok"
            rows.append(
                {
                    "study": study.name,
                    "arm": arm,
                    "arm_label": study.arms[arm].label,
                    "seed": seed,
                    "stage": "full",
                    "fingerprint": f"{arm}-{seed}",
                    "status": status,
                    "reason": None if ok else f"{status} on purpose",
                    "val_acc": val_acc[arm][position] if ok else None,
                    "test_acc": (test_acc or val_acc)[arm][position] if ok else None,
                    "train_acc": 0.9 if ok else None,
                    "test_loss": 1.5 if ok else None,
                    "num_parameters": 1000 if ok else None,
                    "wall_s": 2.0 if ok else None,
                }
            )
    return pd.DataFrame(rows)


def epochs_frame(trials: pd.DataFrame, num_epochs: int = 2) -> pd.DataFrame:
    """Epochs of every trial; the ones of trials that diverged end in a loss that is not a number."""
    rows = []
    for trial in trials.itertuples():
        for epoch in range(1, num_epochs + 1):
            broken = trial.status == "diverged" and epoch == num_epochs
            loss = math.nan if broken else 2.0 / epoch
            rows.append(
                {"fingerprint": trial.fingerprint, "epoch": epoch, "train_loss": loss, "train_acc": 0.1 * epoch}
                | {"val_loss": loss, "val_acc": 0.1 * epoch}
            )
    return pd.DataFrame(rows)


def fill_ledger(plan: StudyPlan, ledger: Ledger) -> None:
    """Commits plausible trials, of which some diverged, one failed, and the last is not run."""
    ledger.prepare()
    for trial in plan.trials[:-1]:
        record, test = constructed_trial(plan, trial)
        ledger.commit(record, test)


def constructed_trial(plan: StudyPlan, trial: PlannedTrial) -> tuple[TrialRecord, TestRecord | None]:
    """What training might have given: SGD diverges at the highest rate, Adam there on two seeds; one AdaGrad failed."""
    config = plan.config(trial)
    rng = np.random.default_rng([trial.arm, trial.seed])
    status, reason, num_epochs = _outcome(config)
    ceiling, speed = _ceiling(config), 0.35 + 0.25 * math.log10(config.optimizer.lr / 0.0005)
    epochs = tuple(
        _epoch(epoch, config, ceiling, speed, rng, diverged=status == "diverged" and epoch == num_epochs)
        for epoch in range(1, num_epochs + 1)
    )
    test = _test_record(epochs[-1].val_acc - 0.01 + rng.normal(0, 0.004), rng) if status == "ok" else None
    record = TrialRecord(
        fingerprint=trial.fingerprint,
        status=status,
        reason=reason,
        config=config,
        data_fingerprint=plan.data_fingerprint,
        training_version=1,
        epochs=epochs,
        test_loss=test.loss if test else None,
        test_acc=test.acc if test else None,
        num_parameters=78_042 if epochs else None,
        num_train=1149,
        started="2025-01-02T03:04:05+00:00",
        wall_s=4.2 + 0.1 * trial.seed,
        machine="Constructed CPU @ 2.0 GHz, 2 threads",
    )
    return record, test


def _outcome(config: TrainConfig) -> tuple[Status, str | None, int]:
    if getattr(config.model, "weights", "none") == "imagenet" and config.model.architecture != "efficientnet_lite0":
        return "error", MISSING_WEIGHTS.format(config.model.architecture), 0
    name, lr, seed = config.optimizer.name, config.optimizer.lr, config.seed
    if lr == 0.1 and (name == "sgd_momentum" or (name == "adam" and seed > 0)):
        ended = 1 if name == "sgd_momentum" else min(1 + seed, config.epochs)
        return "diverged", f"train_loss became nan in epoch {ended}", ended
    if name == "adagrad" and lr == 0.01 and seed == 1:
        return "error", "RuntimeError: the worker was lost (node 10.0.0.7 went away)", min(2, config.epochs)
    return "ok", None, config.epochs


def _ceiling(config: TrainConfig) -> float:
    """Where validation accuracy ends: each rule has its best rate and falls off by decades from it."""
    rule = {"sgd": (0.05, 0.78), "sgd_momentum": (0.01, 0.86), "adagrad": (0.005, 0.93), "adam": (0.002, 0.925)}
    best_lr, best = rule.get(config.optimizer.name, (0.005, 0.9))
    fall = 0.16 * math.pow(abs(math.log10(config.optimizer.lr / best_lr)), 1.5)
    return max(best - fall - (0 if getattr(config.model, "batch_norm", True) else 0.08), 0.12)


def _epoch(
    epoch: int, config: TrainConfig, ceiling: float, speed: float, rng: np.random.Generator, *, diverged: bool
) -> EpochRecord:
    chance = 1 / NUM_CLASSES
    grown = 1 - math.exp(-speed * epoch * 6 / max(config.epochs, 6))
    val = chance + (ceiling - chance) * grown + rng.normal(0, 0.008)
    train = chance + (min(ceiling + 0.05, 0.999) - chance) * grown + rng.normal(0, 0.004)
    loss = math.nan if diverged else 2.3 * (1 - train) + abs(rng.normal(0, 0.02))
    return EpochRecord(
        epoch=epoch,
        lr=config.optimizer.lr,
        train_loss=loss,
        train_acc=chance if diverged else train,
        val_loss=math.nan if diverged else 2.3 * (1 - val) + 0.1,
        val_acc=chance if diverged else val,
        wall_s=0.7,
    )


def _test_record(acc: float, rng: np.random.Generator) -> TestRecord:
    label = np.arange(NUM_TEST, dtype=np.uint8) % NUM_CLASSES
    right = np.arange(NUM_TEST) < round(acc * NUM_TEST)
    predicted = np.where(right, label, (label + 1) % NUM_CLASSES).astype(np.uint8)
    true_prob = np.where(right, rng.uniform(0.5, 0.99, NUM_TEST), rng.uniform(0.05, 0.4, NUM_TEST)).astype(np.float16)
    return TestRecord(
        loss=float(-np.log(true_prob.astype(float)).mean()),
        acc=float(right.mean()),
        label=label,
        predicted=predicted,
        true_prob=true_prob,
        predicted_prob=np.where(right, true_prob, 1 - true_prob).astype(np.float16),
    )


def drawn(figure: Figure | None) -> go.Figure:
    """A chart that is there, after plotly has checked it."""
    assert figure is not None
    go.Layout(figure["layout"]["meta"]["narrow"])
    return go.Figure(figure)


def texts_of(figure: go.Figure) -> list[str]:
    """Every text that plotly would render, of both layouts."""
    found: list[str] = []

    def walk(node: Any, key: str) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                walk(value, name)
        elif isinstance(node, list | tuple):
            for value in node:
                walk(value, key)
        elif isinstance(node, str) and key in {"text", "hovertext", "name", "ticktext", "meta", "hovertemplate"}:
            found.append(node)

    walk(figure.to_plotly_json(), "")
    return found
