"""The Parquet tables: a public interface, made from the plans and the ledger, readable without this project.

    trials.parquet       a row for each planned cell of each study, whatever became of it
    epochs.parquet       a row for each epoch of each trial
    predictions.parquet  a row for each test image of each trial that is ok

`fingerprint` joins them. Columns and types are the same whether trials fail or not; what does not exist is null.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from grid.questions.fields import field_value
from grid.questions.measures import CURVES
from grid.records.files import Folder
from grid.records.ledger import Ledger, TrialRecord
from grid.records.plan import PlannedTrial, StudyPlan
from grid.tables.fit import diagnose

TABLES_VERSION = "3"
"""Raised when a column changes its name, type or meaning; stands in each file's metadata as `cifar_grid_tables`."""

CONFIG_COLUMNS: dict[str, pa.DataType] = {
    "data.train_size": pa.int64(),
    "model.architecture": pa.string(),
    "model.layers_per_block": pa.int64(),
    "model.pool_every": pa.int64(),
    "model.hidden_layer_count": pa.int64(),
    "model.hidden_layer_size": pa.int64(),
    "model.skip": pa.bool_(),
    "model.batch_norm": pa.bool_(),
    "model.dropout": pa.float64(),
    "optimizer.name": pa.string(),
    "optimizer.lr": pa.float64(),
    "optimizer.weight_decay": pa.float64(),
    "optimizer.l1": pa.float64(),
    "optimizer.schedule": pa.string(),
    "batch_size": pa.int64(),
    "epochs": pa.int64(),
    "precision": pa.string(),
}
"""Fields of the configuration that have a column of their own (with `_` for `.`); `config` holds all of them."""

TRIALS = pa.schema(
    [
        ("study", pa.string()),
        ("question", pa.string()),
        ("profile", pa.string()),
        ("dataset", pa.string()),
        ("arm", pa.int64()),
        ("arm_label", pa.string()),
        ("seed", pa.int64()),
        ("stage", pa.string()),
        ("fingerprint", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("epochs_run", pa.int64()),
        ("train_loss", pa.float64()),
        ("train_acc", pa.float64()),
        ("val_loss", pa.float64()),
        ("val_acc", pa.float64()),
        ("test_loss", pa.float64()),
        ("test_acc", pa.float64()),
        ("fit", pa.string()),
        ("num_parameters", pa.int64()),
        ("num_train", pa.int64()),
        ("started", pa.timestamp("us", tz="UTC")),
        ("wall_s", pa.float64()),
        ("train_images_per_s", pa.float64()),
        ("machine", pa.string()),
        ("data_fingerprint", pa.string()),
        ("training_version", pa.int64()),
        ("config", pa.string()),
        *((field.replace(".", "_"), kind) for field, kind in CONFIG_COLUMNS.items()),
    ],
    metadata={"cifar_grid_tables": TABLES_VERSION},
)
EPOCHS = pa.schema(
    [
        ("fingerprint", pa.string()),
        ("epoch", pa.int64()),
        ("lr", pa.float64()),
        ("train_loss", pa.float64()),
        ("train_acc", pa.float64()),
        ("val_loss", pa.float64()),
        ("val_acc", pa.float64()),
        ("wall_s", pa.float64()),
    ],
    metadata={"cifar_grid_tables": TABLES_VERSION},
)
PREDICTIONS = pa.schema(
    [
        ("fingerprint", pa.string()),
        ("image", pa.int64()),
        ("label", pa.uint8()),
        ("predicted", pa.uint8()),
        ("true_prob", pa.float32()),
        ("predicted_prob", pa.float32()),
    ],
    metadata={"cifar_grid_tables": TABLES_VERSION},
)


def make_tables(plans: Sequence[StudyPlan], ledger: Ledger) -> dict[str, pa.Table]:
    """All tables, by name. Trials that are shared by studies are a row of `trials` in each of them."""
    records = ledger.read(trial.fingerprint for plan in plans for trial in plan.trials)
    epochs = [
        {"fingerprint": fingerprint, **epoch.model_dump()}
        for fingerprint, record in records.items()
        for epoch in record.epochs
    ]
    predictions = [
        _prediction_table(ledger, fingerprint) for fingerprint, record in records.items() if record.status == "ok"
    ]
    return {
        "trials": make_trials(plans, records),
        "epochs": pa.Table.from_pylist(epochs, schema=EPOCHS),
        "predictions": pa.concat_tables([PREDICTIONS.empty_table(), *predictions]),
    }


def make_trials(plans: Sequence[StudyPlan], records: Mapping[str, TrialRecord]) -> pa.Table:
    """The table of trials, from those that ended, by fingerprint."""
    rows = [_trial_row(plan, trial, records.get(trial.fingerprint)) for plan in plans for trial in plan.trials]
    return pa.Table.from_pylist(rows, schema=TRIALS)


def write_tables(tables: dict[str, pa.Table], folder: Folder) -> None:
    """Writes each table to `<name>.parquet` in a folder, whole or not at all."""
    for name, table in tables.items():
        with folder.writing(f"{name}.parquet") as file:
            pq.write_table(table, file, compression="zstd")


def _trial_row(plan: StudyPlan, trial: PlannedTrial, record: TrialRecord | None) -> dict[str, Any]:
    study = plan.study
    config = plan.config(trial)
    row: dict[str, Any] = {
        "study": study.name,
        "question": study.question,
        "profile": study.profile,
        "dataset": study.dataset,
        "arm": trial.arm,
        "arm_label": study.arms[trial.arm].label,
        "seed": trial.seed,
        "stage": trial.stage,
        "fingerprint": trial.fingerprint,
        "status": record.status if record else "not_run",
        "reason": record.reason if record else "the run ended before this trial did; run the same command again",
        "data_fingerprint": plan.data_fingerprint,
        "config": config.model_dump_json(),
        **{field.replace(".", "_"): field_value(config, field) for field in CONFIG_COLUMNS},
    }
    if record is None:
        return row
    last = record.epochs[-1] if record.epochs else None
    train_s = sum(epoch.wall_s for epoch in record.epochs)
    copies = 2 if config.augmentation.mode == "added" else 1
    num_images = copies * (record.num_train or 0) * len(record.epochs)
    return row | {
        "epochs_run": len(record.epochs),
        **({name: getattr(last, name) for name in CURVES} if last else {}),
        "test_loss": record.test_loss,
        "test_acc": record.test_acc,
        "fit": diagnose(pd.DataFrame([e.model_dump() for e in record.epochs])) if record.status == "ok" else None,
        "num_parameters": record.num_parameters,
        "num_train": record.num_train,
        "started": np.datetime64(record.started.removesuffix("+00:00"), "us").astype(object),
        "wall_s": record.wall_s,
        "train_images_per_s": num_images / train_s if train_s else None,
        "machine": record.machine,
        "training_version": record.training_version,
    }


def _prediction_table(ledger: Ledger, fingerprint: str) -> pa.Table:
    arrays = ledger.predictions(fingerprint)
    num_images, predicted_prob = len(arrays["label"]), arrays.get("predicted_prob")
    return pa.table(
        {
            "fingerprint": pa.array([fingerprint] * num_images),
            "image": np.arange(num_images),
            "label": arrays["label"],
            "predicted": arrays["predicted"],
            "true_prob": arrays["true_prob"].astype(np.float32),
            "predicted_prob": pa.nulls(num_images) if predicted_prob is None else predicted_prob.astype(np.float32),
        },
        schema=PREDICTIONS,
    )
