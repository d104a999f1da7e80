"""What the trials say of each claim: reproduced, practically equal, refuted, inconclusive, or not comparable.

A claim is a hypothesis with a case for it and a case against it. Reproduced and refuted need evidence; everything else
is inconclusive, and says how many seeds would probably decide it.

**No contradictions.** That one arm is better is reproduced or refuted by which of the two was shown to be better; if
neither was, and they were shown to differ by less than the margin, they are practically equal. That a value is the
best is reproduced only where it was shown to be better than every other; if all that is shown is that no other is
better by more than the margin, it is practically equal to the best, even where another one is better by less. Of two
opposite claims no more than one is reproduced, and none that a finding on the same page contradicts; what findings
on pairs of arms imply of a claim is found of it, too.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from grid.analysis.advice import Advice, Way, advise, cheapest_way
from grid.analysis.cases import Demand, Hypothesis, pair, pair_hypothesis
from grid.analysis.estimates import Estimate, estimate, p_values
from grid.analysis.evidence import Evidence
from grid.analysis.family import Finding, Looks, judge
from grid.analysis.hypotheses import hypothesis_of
from grid.analysis.inference import ALPHA
from grid.analysis.winners import may_be_best
from grid.questions.claims import Claim
from grid.questions.study import Study, arms_of

Verdict = Literal["reproduced", "practically equal", "refuted", "inconclusive", "not comparable"]

WORDS: dict[int, Verdict] = {1: "reproduced", 0: "inconclusive", -1: "refuted"}
"""Verdicts by the direction that was found."""
MAX_ARMS = 100
"""Of more arms than that not all pairs are compared; each with the best one still is."""


@dataclass(frozen=True)
class ClaimVerdict:
    """What came of a claim.

    Attributes:
        claim: The claim.
        verdict: What the evidence says of it.
        deciding: The estimate that it hangs on; None if there is none.
        p: Corrected p-value; NaN if it was not tested.
        why_not: Why it could not be judged, as a clause; None if it could.
        way: Seeds, and of which arms, that decide an inconclusive one as likely as not, by which seeds are given to
            what is cheapest; None if it is decided or none would.
        advice: What would decide it for those who ask; None if it is decided or that can't be known yet.
        fingerprints: The trials that it rests on.
        arms: Their arms.
        equal: Whether equality within the margin was shown, beside what the verdict says.
    """

    claim: Claim
    verdict: Verdict
    deciding: Estimate | None = None
    p: float = math.nan
    why_not: str | None = None
    way: Way | None = None
    advice: Advice | None = None
    fingerprints: tuple[str, ...] = ()
    arms: frozenset[int] = frozenset()
    equal: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it was tested, and nothing was found."""
        return self.verdict == "inconclusive" and not math.isnan(self.p)


@dataclass(frozen=True)
class Comparison:
    """Two arms, the first above the second.

    Attributes:
        seen: By how much, and how sure that is.
        finding: What was found: its direction is 1 if the first is better, -1 if it is worse.
    """

    seen: Estimate
    finding: Finding


@dataclass(frozen=True)
class Judgement:
    """All that was found of a study.

    Attributes:
        evidence: What it was found in.
        pairs: Every comparison of two arms that was made, by the lower and the higher index.
        verdicts: One entry a claim, in the question's order.
        winners: The arms of which one is the best with 95 % confidence (`grid.analysis.winners`).
        looks: When the data was looked at.
    """

    evidence: Evidence
    pairs: dict[tuple[int, int], Finding]
    verdicts: tuple[ClaimVerdict, ...]
    winners: frozenset[int] = frozenset()
    looks: Looks = field(default_factory=Looks)

    def compared(self, first: int, second: int) -> Comparison | None:
        """The comparison of two arms; None if it was not made."""
        found = self.pairs.get((min(first, second), max(first, second)))
        if found is None:
            return None
        oriented = found if first < second else dataclasses.replace(found, direction=-found.direction)
        return Comparison(estimate(self.evidence, pair(first, second)), oriented)

    def way(self, first: int, second: int) -> Way | None:
        """What tells two arms apart as likely as not; None if they are told apart, or nothing would."""
        found = self.pairs.get((min(first, second), max(first, second)))
        hypothesis = pair_hypothesis(pair(first, second))
        return None if found is None else cheapest_way(self.evidence, hypothesis, found)

    def is_better(self, first: int, second: int) -> bool:
        """Whether `first` was found better than `second` on test."""
        found = self.pairs.get((min(first, second), max(first, second)))
        return found is not None and found.direction == (1 if first < second else -1)


def judge_study(evidence: Evidence, looks: Looks | None = None) -> Judgement:
    """Tests all claims and all pairs of arms of a study as one family."""
    study = evidence.study
    claims = [claim for claim in study.claims if not_comparable(claim, study) is None]
    hypotheses = [hypothesis_of(claim, evidence) for claim in claims]
    pairs = _pairs(evidence)
    findings = judge(evidence, hypotheses, [pair_hypothesis(pair(*arms)) for arms in pairs], looks)
    found = dict(zip(pairs, findings[len(claims) :], strict=True))
    judged = {
        claim.name: _verdict(claim, hypothesis, _beside_pairs(claim, hypothesis, finding, found), evidence)
        for claim, hypothesis, finding in zip(claims, hypotheses, findings[: len(claims)], strict=True)
    }
    verdicts = tuple(
        judged.get(claim.name) or ClaimVerdict(claim, "not comparable", why_not=not_comparable(claim, study))
        for claim in study.claims
    )
    return Judgement(evidence, found, verdicts, may_be_best(evidence, pairs, found, looks), looks or Looks())


def not_comparable(claim: Claim, study: Study) -> str | None:
    """Why a claim about a published number says nothing of this study; None if it does."""
    if claim.only_at is None:
        return None
    asked = {"profile": (claim.only_at.profile, study.profile), "data set": (claim.only_at.dataset, study.dataset)}
    differ = [f"{name} {there}, here {here}" for name, (there, here) in asked.items() if there != here]
    if differ:
        return f"the number is of {' and of '.join(differ)}"
    changed = [field for field in study.overrides if field != "precision"]
    return f"{' and '.join(changed)} was set by hand for this run" if changed else None


def _pairs(evidence: Evidence) -> list[tuple[int, int]]:
    arms = evidence.contest()
    best = evidence.best(arms)
    if len(arms) <= MAX_ARMS or best is None:
        return list(combinations(arms, 2))
    return [(min(best, arm), max(best, arm)) for arm in arms if arm != best]


def _beside_pairs(
    claim: Claim, hypothesis: Hypothesis, finding: Finding, pairs: Mapping[tuple[int, int], Finding]
) -> Finding:
    """The finding on a claim beside those on pairs of arms: what they contradict is not found, what they imply is.

    To imply costs no error rate: all findings on pairs are true together but for the rate they have, and then so is
    whatever follows from them.
    """
    if finding.direction:
        return _uncontradicted(claim, hypothesis, finding, pairs)
    for direction, case in ((1, hypothesis.supports), (-1, hypothesis.contradicts)):
        for group in case.groups:
            p_pairs = [_p_implied(demand, pairs) for demand in group]
            if all(p <= ALPHA for p in p_pairs):
                return dataclasses.replace(finding, direction=direction, p=max(p_pairs))
    return finding


def _p_implied(demand: Demand, pairs: Mapping[tuple[int, int], Finding]) -> float:
    """Corrected p-value of a finding on a pair from which a demand follows; NaN if there is none."""
    arms = demand.subject.arms
    found = pairs.get((min(arms), max(arms))) if demand.subject.kind == "difference" else None
    if found is None or not found.direction:
        return math.nan
    is_above = (found.direction > 0) == (arms[0] < arms[1])
    follows = demand.low <= 0 and math.isinf(demand.high) if is_above else demand.high >= 0 and math.isinf(demand.low)
    return found.p if follows else math.nan


def _uncontradicted(
    claim: Claim, hypothesis: Hypothesis, finding: Finding, pairs: Mapping[tuple[int, int], Finding]
) -> Finding:
    """The finding on a claim without its direction if a finding on two of its arms says the opposite."""
    if claim.best is None and (claim.better is None or (claim.better.by and finding.direction < 0)):
        return finding
    case = hypothesis.supports if finding.direction > 0 else hypothesis.contradicts
    sides = [(demand.subject.arms, 1 if math.isinf(demand.high) else -1) for demand in case.demands]
    opposed = (
        pairs[min(arms), max(arms)].direction == -sign * (1 if arms[0] < arms[1] else -1)
        for arms, sign in sides
        if (min(arms), max(arms)) in pairs
    )
    bars = any(opposed) if finding.direction > 0 else bool(sides) and all(opposed)
    return dataclasses.replace(finding, direction=0) if bars else finding


def _verdict(claim: Claim, hypothesis: Hypothesis, finding: Finding, evidence: Evidence) -> ClaimVerdict:
    if not hypothesis.supports.groups:
        return ClaimVerdict(claim, "inconclusive", why_not=_nothing_to_test(claim, evidence))
    verdict, demands = WORDS[finding.direction], hypothesis.supports.demands
    if finding.equal and (finding.direction == 0 or (claim.best is not None and finding.direction < 0)):
        verdict, demands = "practically equal", hypothesis.equal.demands
    against = hypothesis.contradicts.demands
    met = p_values(evidence, [*demands, *against])
    if finding.direction < 0 and verdict != "practically equal":
        deciding = min(against, key=lambda demand: math.inf if math.isnan(met[demand]) else met[demand])
    else:  # what can't be tested is weaker than any that can
        deciding = max(demands, key=lambda demand: (math.isnan(met[demand]), met[demand]))
    seen = estimate(evidence, deciding.subject)
    trials = [f for demand in demands for f in evidence.fingerprints(*demand.subject.arms)]
    return ClaimVerdict(
        claim=claim,
        verdict=verdict,
        deciding=seen,
        p=finding.p_equal if verdict == "practically equal" else finding.p,
        why_not=seen.why_not,
        way=cheapest_way(evidence, hypothesis, finding),
        advice=advise(evidence, hypothesis, finding),
        fingerprints=tuple(dict.fromkeys(trials)),
        arms=frozenset(arm for demand in demands for arm in demand.subject.arms),
        equal=finding.equal,
    )


def _nothing_to_test(claim: Claim, evidence: Evidence) -> str:
    """Why none of a claim's arms can be compared."""
    reasons = (
        f"{evidence.label(arm)} {why}"
        for arm in arms_of(evidence.study, claim.statement)
        if (why := evidence.arms[arm].why_not)
    )
    return "; ".join(list(dict.fromkeys(reasons))[:3]) or "there is nothing to compare it with"
