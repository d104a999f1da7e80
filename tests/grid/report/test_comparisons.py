"""The table of compared pairs; both verdict tables against a second implementation that reads only Parquet files."""

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from cifar_models.records import EpochRecord
from grid.questions.claims import Claim
from grid.records.plan import StudyPlan, make_plan
from grid.records.results_folder import ResultsFolder
from grid.report.pipeline import make_report
from grid.tables.schemas import COMPARISONS
from tests.grid.analysis import known_truth
from tests.grid.constructed import DATA_FINGERPRINT, small_study
from tests.grid.report.second_claims import Claims

MORE = {"F": 0.79, "G": 0.85, "H": 0.82, "U": 0.4}
LEVEL = {"arm": "A", "measure": "test_acc"}
CLAIMS: dict[str, dict[str, Any]] = {
    "a-b": {"better": {"arm": "A", "than": "B"}},
    "b-c": {"better": {"arm": "B", "than": "C"}},
    "c-a": {"better": {"arm": "C", "than": "A"}},
    "g-f": {"better": {"arm": "G", "than": "F"}},
    "a-by-three": {"better": {"arm": "A", "than": "B", "by": 3}},
    "two-over-two": {"better": {"arm": {"optimizer.lr": [0.001, 0.002]}, "than": {"optimizer.lr": [0.003, 0.004]}}},
    "a-d": {"better": {"arm": "A", "than": "D"}},
    "a-best": {"best": {"axis": "optimizer.lr", "value": 0.001}},
    "b-best": {"best": {"axis": "optimizer.lr", "value": 0.002}},
    "fifth-best": {"best": {"axis": "optimizer.lr", "value": 0.005}},
    "level": {"level": LEVEL | {"about": 0.82, "within": 0.01}},
    "level-of-seeds": {"level": LEVEL | {"about": 0.82, "within": 0.003, "over": "seeds"}},
    "level-of-images": {"level": LEVEL | {"at_least": 0.815, "over": "images"}},
    "level-of-all": {"level": {"arm": {"optimizer.lr": [0.001, 0.002, 0.003]}, "measure": "val_acc", "at_least": 0.79}},
    "loss": {"level": {"arm": "B", "measure": "test_loss", "at_most": 1.2}},
    "fits": {"fit": {"arm": "A", "is": "well fit"}},
    "fits-not": {"fit": {"arm": "U", "is": "well fit"}},
    "slower": {"curve": {"arm": "B", "than": "A", "of": "val_acc", "is": "slower"}},
    "faster": {"curve": {"arm": "B", "than": "C", "of": "val_acc", "is": "faster"}},
    "loss-faster": {"curve": {"arm": "A", "than": "G", "of": "train_loss", "is": "faster"}},
    "smoother": {"curve": {"arm": {"optimizer.lr": [0.001, 0.002]}, "than": "C", "of": "val_acc", "is": "smoother"}},
}
HERE = {"profile": "quick", "dataset": "digits"}


def folder_of(root: Path, labels: str, num_seeds: int, *, with_claims: bool) -> tuple[StudyPlan, Path]:
    study = small_study(tuple(labels), seeds=tuple(range(num_seeds)))
    claims = []
    for name, content in CLAIMS.items():
        claim = Claim(name=name, says="x", source="x", only_at=HERE, **content)
        named = [arm for arm in claim.statement.selectors.values() if isinstance(arm, str)]
        rates = [lr for arm in claim.statement.selectors.values() if isinstance(arm, dict) for lr in arm.values()]
        rates += [[claim.best.value]] if claim.best else []
        tried = {lr for of_one in rates for lr in of_one} <= {arm.config.optimizer.lr for arm in study.arms}
        if with_claims and set(named) <= set(labels) and tried:
            claims.append(claim)
    plan = make_plan(study.model_copy(update={"claims": tuple(claims)}), DATA_FINGERPRINT)
    known_truth.fill(plan, root / "ledger")
    folder = ResultsFolder(root)
    folder.prepare()
    folder.save_plans([plan])
    make_report(folder)
    return plan, root


@pytest.fixture(autouse=True)
def more_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    for label, accuracy in MORE.items():
        monkeypatch.setitem(known_truth.ACCURACY, label, accuracy)


def rising(epoch: int, acc: float) -> EpochRecord:
    """Curves that rise, so that delays are seen."""
    acc = acc - 0.3 * 4.0**-epoch
    loss = 1 / epoch / acc
    return EpochRecord(epoch=epoch, lr=0.1, train_loss=loss, train_acc=acc, val_loss=loss, val_acc=acc, wall_s=1.0)


def same(seen: object, expected: object) -> bool:
    if isinstance(expected, float):
        return bool(seen == pytest.approx(expected, rel=1e-5, abs=1e-9))
    missing = seen is None or (isinstance(seen, float) and math.isnan(seen))
    return missing if expected is None else bool(seen == expected)


@pytest.mark.parametrize(
    ("labels", "num_seeds", "with_claims", "rises"),
    [
        ("ABCDFGHU", 3, True, False),
        ("ABCFGHU", 5, True, True),
        ("ABCFGH", 5, False, False),
        ("ABC", 4, True, True),
        ("ABCDG", 12, True, False),
    ],
)
def test_a_second_implementation_finds_the_same_numbers(
    tmp_path: Path, labels: str, num_seeds: int, with_claims: bool, rises: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rises:
        monkeypatch.setattr(known_truth, "_epoch", rising)
    plan, root = folder_of(tmp_path, labels, num_seeds, with_claims=with_claims)
    verdicts, comparisons = Claims(root, plan.study.name, plan.study.claims).rows()
    table = pd.read_parquet(root / "comparisons.parquet")
    rows = {(int(row["first_arm"]), int(row["second_arm"])): row for row in table.to_dict("records")}
    assert rows.keys() == comparisons.keys()
    assert {row["method"] for row in rows.values()} == {"paired" if len(labels) < 4 else "moderated"}
    for pair, row in rows.items():
        for name, value in comparisons[pair].items():
            assert same(row[name], value), (pair, name)
    seen = pd.read_parquet(root / "verdicts.parquet").to_dict("records")
    assert [row["claim"] for row in seen] == [claim.name for claim in plan.study.claims]
    for row, expected in zip(seen, verdicts, strict=True):
        assert list(row["trials"]) == expected.pop("trials"), row["claim"]
        for name, value in expected.items():
            assert same(row[name], value), (row["claim"], name, row[name], value)


def test_what_pairs_of_arms_show_is_found_of_a_claim_too(tmp_path: Path) -> None:
    """The variances of pairs are better known than those of a claim's arms alone, whose own test finds nothing here."""
    _, root = folder_of(tmp_path, "ABCDFGHU", 3, with_claims=True)
    table = pd.read_parquet(root / "comparisons.parquet").to_dict("records")
    pairs = {(row["first_arm"], row["second_arm"]): (row["finding"], row["p_corrected"]) for row in table}
    rows = pd.read_parquet(root / "verdicts.parquet").to_dict("records")
    verdicts = {row["claim"]: (row["verdict"], row["p_value"]) for row in rows}
    assert pairs[0, 1][0] == pairs[0, 2][0] == "better"
    assert verdicts["a-b"] == ("reproduced", pairs[0, 1][1])
    assert verdicts["c-a"] == ("refuted", pairs[0, 2][1])
    assert verdicts["two-over-two"] == ("reproduced", pairs[0, 2][1]), "A over C; D diverged"


def test_every_pair_that_can_be_compared_is_a_row_of_the_same_columns(tmp_path: Path) -> None:
    _, root = folder_of(tmp_path, "ABD", 2, with_claims=False)
    table = pq.read_table(root / "comparisons.parquet")
    assert table.schema.equals(COMPARISONS, check_metadata=False)
    (row,) = table.to_pylist()
    assert (row["first_label"], row["second_label"], row["method"], row["d0"]) == ("A", "B", "paired", None)


def test_the_plan_remembers_at_which_seeds_verdicts_were_shown(tmp_path: Path) -> None:
    plan, root = folder_of(tmp_path, "ABC", 3, with_claims=False)
    folder = ResultsFolder(root)
    make_report(folder)
    (kept,) = folder.read_plans()
    assert kept.shown == ((3, 3, 3),), "the same report again is no other look"
    grown = make_plan(plan.study.model_copy(update={"seeds": (0, 1, 2, 3, 4)}), DATA_FINGERPRINT)
    known_truth.fill(grown, root / "ledger")
    folder.save_plans([grown])
    make_report(folder)
    (kept,) = folder.read_plans()
    assert kept.shown == ((3, 3, 3), (5, 5, 5))
    page = re.sub("<[^>]+>", "", (root / f"{plan.study.name}.html").read_text(encoding="utf-8"))
    assert "Verdicts were shown before, at 3 seeds." in page
    assert set(pd.read_parquet(root / "comparisons.parquet")["num_looks"]) == {2}
