"""The table of compared pairs; both verdict tables against a second implementation that reads only Parquet files."""

import math
import re
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from grid.questions.claims import Claim
from grid.records.plan import StudyPlan, make_plan
from grid.records.results_folder import ResultsFolder
from grid.report.pipeline import make_report
from grid.report.verdict_tables import COMPARISONS
from tests.grid.analysis import known_truth
from tests.grid.constructed import DATA_FINGERPRINT, small_study
from tests.grid.report import second_implementation as second

CLAIMS = [("A", "B"), ("B", "C"), ("C", "A"), ("G", "F")]
MORE = {"F": 0.79, "G": 0.85, "H": 0.82}


def folder_of(root: Path, labels: str, num_seeds: int, *, with_claims: bool) -> tuple[StudyPlan, Path]:
    study = small_study(tuple(labels), seeds=tuple(range(num_seeds)))
    claims = tuple(
        Claim(name=f"{a}{b}".lower(), says="x", source="x", better={"arm": a, "than": b})
        for a, b in CLAIMS
        if with_claims and a in labels and b in labels
    )
    plan = make_plan(study.model_copy(update={"claims": claims}), DATA_FINGERPRINT)
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


@pytest.mark.parametrize(
    ("labels", "num_seeds", "with_claims"), [("ABCDFGH", 3, True), ("ABCFGH", 5, False), ("ABC", 4, True)]
)
def test_a_second_implementation_finds_the_same_numbers(
    tmp_path: Path, labels: str, num_seeds: int, with_claims: bool
) -> None:
    plan, root = folder_of(tmp_path, labels, num_seeds, with_claims=with_claims)
    table = pd.read_parquet(root / "comparisons.parquet")
    expected = second.comparisons(root, plan.study.name, with_claims=with_claims)
    rows = {(int(row["first_arm"]), int(row["second_arm"])): row for row in table.to_dict("records")}
    assert rows.keys() == expected.keys()
    assert {row["method"] for row in rows.values()} == {"paired" if len(labels) < 4 else "moderated"}
    for pair, row in rows.items():
        for name, value in expected[pair].items():
            seen = None if isinstance(row[name], float) and math.isnan(row[name]) else row[name]
            close = value if not isinstance(value, float) else pytest.approx(value, rel=1e-5, abs=1e-9)
            assert seen == close, (pair, name)


def test_claims_of_a_difference_are_judged_by_their_own_arms_alone(tmp_path: Path) -> None:
    plan, root = folder_of(tmp_path, "ABCFGH", 3, with_claims=True)
    table = pd.read_parquet(root / "verdicts.parquet").set_index("claim")
    labels = [arm.label for arm in plan.study.arms]
    seen = {
        f"{a}{b}".lower(): second.claim_of_difference(root, plan.study.name, labels.index(a), labels.index(b))
        for a, b in CLAIMS
    }
    corrected = second.holm([p for _, p in seen.values()])
    for (name, (of, _)), p in zip(seen.items(), corrected, strict=True):
        row = table.loc[name]
        if row["verdict"] == "practically equal":
            continue  # its p-value is that of equality
        p = min(1.0, p * 2 * second.ALPHA / second.BETTER)
        found = {True: "reproduced", False: "refuted"}[of.mean > 0] if p <= second.ALPHA else "inconclusive"
        assert row["verdict"] == found
        assert row["p_value"] == pytest.approx(p, rel=1e-5)
        assert (row["estimate"], row["num_seeds"]) == (pytest.approx(of.mean), 3)
        assert (row["low"], row["high"]) == pytest.approx(of.interval())


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
