from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.plan import StudyPlan, make_plan
from grid.tables.tables import EPOCHS, PREDICTIONS, TRIALS, make_tables, write_tables
from tests.grid.questions.test_question import HEAD, study, write
from tests.grid.records.test_ledger import commit_in_format_1, predictions, record


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
    for name, schema in {"trials": TRIALS, "epochs": EPOCHS, "predictions": PREDICTIONS}.items():
        assert tables[name].schema.equals(schema, check_metadata=True)


def test_a_shared_trial_is_a_row_in_each_study_and_its_curves_are_there_once(plan: StudyPlan, tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path).below("ledger"))
    ledger.commit(record(plan.trials[0].fingerprint), predictions())
    other = plan.model_copy(update={"study": plan.study.model_copy(update={"question": "other"})})
    tables = make_tables([plan, other], ledger)
    assert tables["trials"].to_pandas().groupby("study")["status"].apply(lambda s: (s == "ok").sum()).tolist() == [1, 1]
    assert tables["epochs"].num_rows == 1
    assert tables["predictions"].num_rows == 5


def test_predictions_keep_each_image(plan: StudyPlan, tmp_path: Path) -> None:
    ledger, test = Ledger(Folder(tmp_path).below("ledger")), predictions()
    ledger.commit(record(plan.trials[0].fingerprint), test)
    frame = make_tables([plan], ledger)["predictions"].to_pandas()
    assert frame["image"].tolist() == [0, 1, 2, 3, 4]
    assert frame["predicted"].tolist() == test.predicted.tolist()
    for name in ("true_prob", "predicted_prob"):
        np.testing.assert_array_equal(frame[name].to_numpy(), getattr(test, name).astype(np.float32))


def test_a_trial_of_format_1_has_null_for_what_it_lacks_beside_one_that_has_it(plan: StudyPlan, tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path).below("ledger"))
    commit_in_format_1(ledger, plan.trials[0].fingerprint)
    ledger.commit(record(plan.trials[1].fingerprint), predictions())
    table = make_tables([plan], ledger)["predictions"]
    assert table.schema.equals(PREDICTIONS, check_metadata=True)
    assert table["predicted_prob"].is_null().to_pylist() == [True] * 5 + [False] * 5
    assert table["true_prob"].null_count == 0


def test_files_are_read_back_with_their_version(plan: StudyPlan, tmp_path: Path) -> None:
    write_tables(make_tables([plan], Ledger(Folder(tmp_path).below("ledger"))), Folder(tmp_path))
    table: pa.Table = pq.read_table(tmp_path / "trials.parquet")
    assert table.schema.equals(TRIALS, check_metadata=False)
    assert table.schema.metadata[b"cifar_grid_tables"] == b"3"
    assert not list(tmp_path.glob("*.tmp"))
