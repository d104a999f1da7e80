from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.plan import StudyPlan, make_plan
from grid.tables.ended import right_answers
from grid.tables.schemas import EPOCHS, TRIALS
from grid.tables.tables import make_tables, write_tables
from tests.grid.questions.test_question import HEAD, study, write
from tests.grid.records.test_ledger import predictions, record


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    return make_plan(study(write(tmp_path, HEAD + "cells:\n  - product: {optimizer.lr: [0.1, 0.2, 0.3]}\n")), "data")


def test_every_planned_cell_is_a_row_whatever_became_of_it(plan: StudyPlan, tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path).below("ledger"))
    first, second, third, *_ = [trial.fingerprint for trial in plan.trials]
    ledger.commit(record(first), predictions())
    ledger.commit(record(second, "diverged", test_acc=None, test_loss=None))
    ledger.commit(record(third, "error", test_acc=None, test_loss=None, epochs=(), num_parameters=None))
    trials = make_tables([plan], ledger)["trials"].to_pandas()
    assert trials["status"].tolist() == ["ok", "diverged", "error", "not_run", "not_run", "not_run"]
    assert trials["reason"].isna().tolist() == [True, False, False, False, False, False]
    assert trials["optimizer_lr"].tolist() == [0.1, 0.2, 0.3] * 2
    assert trials["seed"].tolist() == [0, 0, 0, 1, 1, 1]
    assert trials["test_acc"].notna().tolist() == [True, False, False, False, False, False]
    assert trials.loc[0, "started"] == pd.Timestamp("2026-01-01T00:00:00Z")


def test_columns_and_types_are_the_same_when_everything_failed(plan: StudyPlan, tmp_path: Path) -> None:
    tables = make_tables([plan], Ledger(Folder(tmp_path).below("ledger")))
    for name, schema in {"trials": TRIALS, "epochs": EPOCHS}.items():
        assert tables[name].schema.equals(schema, check_metadata=True)


def test_a_shared_trial_is_a_row_in_each_study_and_its_curves_are_there_once(plan: StudyPlan, tmp_path: Path) -> None:
    ledger, test = Ledger(Folder(tmp_path).below("ledger")), predictions()
    key = plan.trials[0].fingerprint
    ledger.commit(record(key), test)
    other = plan.model_copy(update={"study": plan.study.model_copy(update={"question": "other"})})
    tables = make_tables([plan, other], ledger)
    assert tables["trials"].to_pandas().groupby("study")["status"].apply(lambda s: (s == "ok").sum()).tolist() == [1, 1]
    assert tables["epochs"].num_rows == 1
    np.testing.assert_array_equal(right_answers(tables["ended"])[key], test.label == test.predicted)


def test_files_are_read_back_with_their_version(plan: StudyPlan, tmp_path: Path) -> None:
    tables = make_tables([plan], Ledger(Folder(tmp_path).below("ledger")))
    write_tables({"trials": tables["trials"]}, Folder(tmp_path))
    table: pa.Table = pq.read_table(tmp_path / "trials.parquet")
    assert table.schema.equals(TRIALS, check_metadata=False)
    assert table.schema.metadata[b"cifar_grid_tables"] == b"3"
    assert not list(tmp_path.glob("*.tmp"))
