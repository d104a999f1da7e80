"""The tables of trials and epochs (`grid.tables.schemas`), made from the plans and the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grid.questions.fields import field_value
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.plan import PlannedTrial, StudyPlan
from grid.tables.ended import epochs_of, read_ended, refuse_damaged, rows_of
from grid.tables.schemas import CONFIG_COLUMNS, TRIALS


def make_tables(plans: Sequence[StudyPlan], ledger: Ledger) -> dict[str, pa.Table]:
    """What `study_results` takes, straight from a ledger.

    Raises:
        UserError: A trial that ended is damaged.
    """
    ended = read_ended((trial.fingerprint for plan in plans for trial in plan.trials), ledger)
    refuse_damaged(ended.damaged, ledger)
    return tables_of(plans, ended.rows)


def tables_of(plans: Sequence[StudyPlan], ended: pa.Table) -> dict[str, pa.Table]:
    """`trials`, `epochs` and `ended`. Trials that are shared by studies are a row of `trials` in each of them.

    Args:
        plans: The studies.
        ended: Rows of `ENDED` of all trials of theirs that ended.
    """
    return {"trials": make_trials(plans, rows_of(ended)), "epochs": epochs_of(ended), "ended": ended}


def make_trials(plans: Sequence[StudyPlan], ended: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """The table of trials, from those that ended, by fingerprint, as `rows_of` or `ended_row` has them."""
    rows = [_trial_row(plan, trial, ended.get(trial.fingerprint)) for plan in plans for trial in plan.trials]
    return pa.Table.from_pylist(rows, schema=TRIALS)


def write_tables(tables: Mapping[str, pa.Table], folder: Folder) -> None:
    """Writes each table to `<name>.parquet` in a folder, whole or not at all."""
    for name, table in tables.items():
        with folder.writing(f"{name}.parquet") as file:
            pq.write_table(table, file, compression="zstd")


def _trial_row(plan: StudyPlan, trial: PlannedTrial, ended: Mapping[str, Any] | None) -> dict[str, Any]:
    study = plan.study
    config = plan.config(trial)
    not_run = "the run ended before this trial did; run the same command again"
    return {
        "study": study.name,
        "question": study.question,
        "profile": study.profile,
        "dataset": study.dataset,
        "arm": trial.arm,
        "arm_label": study.arms[trial.arm].label,
        "seed": trial.seed,
        "stage": trial.stage,
        "fingerprint": trial.fingerprint,
        "data_fingerprint": plan.data_fingerprint,
        "config": config.model_dump_json(),
        **{field.replace(".", "_"): field_value(config, field) for field in CONFIG_COLUMNS},
        **(ended or {"status": "not_run", "reason": not_run}),
    }
