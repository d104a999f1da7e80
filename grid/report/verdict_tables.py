"""The Parquet table of verdicts, a row for each claim of each study: a public interface, like all of the tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from grid.analysis.study_result import StudyResult
from grid.analysis.verdicts import ClaimVerdict
from grid.analysis.wording import verdict_in_words
from grid.questions.claims import claims_hash
from grid.records.plan import StudyPlan
from grid.tables.tables import TABLES_VERSION

VERDICTS = pa.schema(
    [
        ("study", pa.string()),
        ("question", pa.string()),
        ("profile", pa.string()),
        ("dataset", pa.string()),
        ("claim", pa.string()),
        ("says", pa.string()),
        ("source", pa.string()),
        ("verdict", pa.string()),
        ("finding", pa.string()),
        ("kind", pa.string()),
        ("estimate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("num_seeds", pa.int64()),
        ("p_value", pa.float64()),
        ("seeds_needed", pa.int64()),
        ("num_looks", pa.int64()),
        ("claims_sha256", pa.string()),
        ("trials", pa.list_(pa.string())),
    ],
    metadata={"cifar_grid_tables": TABLES_VERSION},
)


def make_verdicts(results: Sequence[StudyResult]) -> pa.Table:
    """The table of claims, from what each study found."""
    rows = [_verdict_row(found.plan, verdict) for found in results for verdict in found.conclusion.judgement.verdicts]
    return pa.Table.from_pylist(rows, schema=VERDICTS)


def _verdict_row(plan: StudyPlan, verdict: ClaimVerdict) -> dict[str, Any]:
    study, seen = plan.study, verdict.deciding
    row: dict[str, Any] = {
        "study": study.name,
        "question": study.question,
        "profile": study.profile,
        "dataset": study.dataset,
        "claim": verdict.claim.name,
        "says": verdict.claim.says,
        "source": verdict.claim.source,
        "verdict": verdict.verdict,
        "finding": verdict_in_words(verdict, study),
        "p_value": None if np.isnan(verdict.p) else verdict.p,
        "seeds_needed": verdict.seeds_needed,
        "num_looks": max(len(plan.looks), 1),
        "claims_sha256": claims_hash(study.claims),
        "trials": list(verdict.fingerprints),
    }
    if seen is None or seen.effect is None:
        return row
    low, high = seen.interval or (None, None)
    estimate = {"estimate": float(seen.effect.mean), "low": low, "high": high}
    return row | estimate | {"kind": seen.subject.kind, "num_seeds": int(seen.effect.num_seeds)}
