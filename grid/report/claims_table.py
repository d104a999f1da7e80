"""A study's claims and what came of each, as rows for the page and the terminal; and its arms against the best one."""

from dataclasses import dataclass

from grid.analysis.conclusion import Conclusion
from grid.analysis.family import finding_word
from grid.analysis.wording import advice_in_words, verdict_in_words
from grid.formats import unbroken
from grid.report.charts.forest import ForestRow


@dataclass(frozen=True)
class ClaimRow:
    """A claim with its verdict.

    Attributes:
        says: What is claimed.
        source: By whom.
        verdict: What the trials say of it.
        finding: Why.
        advice: How many seeds would decide it; empty if it is decided or that can't be said.
        num_trials: Number of trials it rests on.
        arms: Indices of their arms.
    """

    says: str
    source: str
    verdict: str
    finding: str
    advice: str
    num_trials: int
    arms: tuple[int, ...]


def claim_rows(conclusion: Conclusion) -> list[ClaimRow]:
    """The claims of a study in its question's order."""
    judgement = conclusion.judgement
    return [
        ClaimRow(
            says=verdict.claim.says,
            source=verdict.claim.source,
            verdict=verdict.verdict,
            finding=unbroken(verdict_in_words(verdict, judgement.evidence.study)),
            advice=advice_in_words(verdict),
            num_trials=len(verdict.fingerprints),
            arms=tuple(sorted(verdict.arms)),
        )
        for verdict in judgement.verdicts
    ]


def forest_rows(conclusion: Conclusion) -> list[ForestRow]:
    """Every other arm against the reference, the best one if it can be compared; empty if there is none."""
    reference, study = conclusion.reference, conclusion.judgement.evidence.study
    if reference is None:
        return []
    return [_against(conclusion, arm, reference) for arm in range(len(study.arms)) if arm != reference]


def _against(conclusion: Conclusion, arm: int, reference: int) -> ForestRow:
    judgement = conclusion.judgement
    label = judgement.evidence.study.arms[arm].label
    found = judgement.compared(arm, reference)
    if found is None or found.seen.effect is None or found.seen.interval is None:
        why = judgement.evidence.arms[arm].why_not or (found and found.seen.why_not) or "was not compared"
        effect = found and found.seen.effect
        seen = (float(effect.mean), int(effect.num_seeds)) if effect else (None, 0)
        return ForestRow(arm, label, seen[0], None, None, seen[1], "untested", why)
    finding = found.finding
    direction = finding_word(finding)
    note = "by less than half a point" if finding.equal and finding.direction else ""
    mean, (low, high), seeds = float(found.seen.effect.mean), found.seen.interval, int(found.seen.effect.num_seeds)
    return ForestRow(arm, label, mean, low, high, seeds, direction, note)
