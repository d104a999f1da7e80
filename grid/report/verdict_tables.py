"""Rows of the Parquet tables of what was found (`grid.tables.schemas`)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from grid.analysis.cases import pair
from grid.analysis.estimates import estimate
from grid.analysis.family import finding_word
from grid.analysis.study_result import StudyResult
from grid.analysis.verdicts import ClaimVerdict, Judgement
from grid.analysis.wording import verdict_in_words
from grid.questions.claims import claims_hash
from grid.records.plan import StudyPlan
from grid.tables.schemas import COMPARISONS, VERDICTS


def make_verdicts(results: Sequence[StudyResult]) -> pa.Table:
    """The table of claims, from what each study found."""
    rows = [_verdict_row(found.plan, verdict) for found in results for verdict in found.conclusion.judgement.verdicts]
    return pa.Table.from_pylist(rows, schema=VERDICTS)


def make_comparisons(results: Sequence[StudyResult]) -> pa.Table:
    """The table of compared pairs of arms, from what each study found."""
    rows = [
        _comparison_row(found.plan, found.conclusion.judgement, *arms)
        for found in results
        for arms in found.conclusion.judgement.pairs
    ]
    return pa.Table.from_pylist(rows, schema=COMPARISONS)


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
        "seeds_needed_low": verdict.advice and verdict.advice.seeds[0],
        "seeds_needed": verdict.advice and verdict.advice.seeds[1],
        "num_looks": max(len(plan.looks or plan.shown), 1),
        "claims_sha256": claims_hash(study.claims),
        "trials": list(verdict.fingerprints),
    }
    if seen is None or seen.effect is None:
        return row
    low, high = seen.interval or (None, None)
    estimate = {"estimate": float(seen.effect.mean), "low": low, "high": high}
    return row | estimate | {"kind": seen.subject.kind, "num_seeds": int(seen.effect.num_seeds)}


def _comparison_row(plan: StudyPlan, judgement: Judgement, first: int, second: int) -> dict[str, Any]:
    study, found = plan.study, judgement.pairs[first, second]
    moderation = judgement.evidence.moderation
    moderated = judgement.evidence.moderated(first, second) is not None
    row: dict[str, Any] = {
        "study": study.name,
        "question": study.question,
        "profile": study.profile,
        "dataset": study.dataset,
        "first_arm": first,
        "first_label": study.arms[first].label,
        "second_arm": second,
        "second_label": study.arms[second].label,
        **{
            name: None if np.isnan(p) else p
            for name, p in (("p_value", found.p_alone), ("p_corrected", found.p), ("p_equal", found.p_equal))
        },
        "finding": finding_word(found),
        "method": "moderated" if moderated else "paired",
        "d0": moderation.df if moderation and moderated else None,
        "num_looks": max(len(plan.looks or plan.shown), 1),
        "first_may_be_best": first in judgement.winners,
        "second_may_be_best": second in judgement.winners,
    }
    seen = estimate(judgement.evidence, pair(first, second))
    if seen.effect is None:
        return row
    low, high = seen.interval or (None, None)
    df = float(seen.effect.seeds_df)
    return row | {
        "difference": float(seen.effect.mean),
        "low": low,
        "high": high,
        "df": None if np.isnan(df) else df,
        "num_seeds": int(seen.effect.num_seeds),
    }
