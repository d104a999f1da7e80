"""All comparisons of a question as one family: hypotheses, their corrected p-values, and what was found.

A hypothesis is for or against something. Each side is a case: groups of demands on what the trials estimate, of which
one group has to hold as a whole. Its p-value is that of the group's weakest demand, times the number of groups and of
arms that might have made the case instead (Bonferroni).

**Error rates.** The chance of any false finding on a page is at most `ALPHA`, whatever is true. Three kinds of finding
have a share of it each, so that their errors sum to it: which of two is better (`BETTER`), that they are equal
(`EQUAL`), and which arms may be the best (`WINNERS`; `grid.analysis.winners`). Within the first two, what was claimed
before the runs has the share `CLAIMS` and all pairs of arms the rest, with Holm's correction in each: a claim does not
pay for pairs that nobody claimed anything of. Where all of one group is decided, or nothing of it can be tested, the
other has the whole rate.

**Two tests of a difference.** Pairs of arms are compared with moderated variances where there are arms enough
(`grid.analysis.moderation`); a claim stays on the paired test of its own arms, since a single comparison of one
wild arm errs 7 to 9 % at 2.5 % when moderated. For the same reason Holm's steps over the pairs end at `LAST_STEP`.

**Looks.** Where data is looked at repeatedly, each look has its own share of the error rate (`look_levels`), and what
was found at a look stays found, unless a later one finds the opposite: then nothing is.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grid.analysis.cases import Hypothesis
from grid.analysis.estimates import p_of_case, p_values
from grid.analysis.evidence import Evidence
from grid.analysis.inference import ALPHA, Array, holm, look_levels, report_levels

BETTER, EQUAL, WINNERS = 0.88, 0.06, 0.06
"""Shares of the error rate: for findings that one is better, that two are equal, and for who may be the best."""

CLAIMS = 0.4
"""Share of claims where there are claims and pairs of arms: what it costs the pairs is in docs/answers.md."""

LAST_STEP = 0.6
"""Holm's steps over pairs with moderated variances end where this share of them is left: at a higher level the tails
of a wild arm, which the others say nothing of, count (`make bench`: half of the arms differ)."""


@dataclass(frozen=True)
class Looks:
    """When the data was looked at.

    Attributes:
        num_seeds: Seeds of each arm at each look, oldest first; empty for one look at everything.
        by_hand: Whether these are reports that someone read, not looks that were planned.
    """

    num_seeds: tuple[tuple[int, ...], ...] = ()
    by_hand: bool = False

    def views(self, evidence: Evidence) -> list[tuple[float, Evidence]]:
        """The error rate of each look and what it saw."""
        if not self.num_seeds:
            return [(ALPHA, evidence)]
        levels = (report_levels if self.by_hand else look_levels)(len(self.num_seeds))
        seen = (dataclasses.replace(evidence, num_seeds=num_seeds) for num_seeds in self.num_seeds)
        return list(zip(levels.tolist(), seen, strict=True))

    @property
    def next_level(self) -> float:
        """The error rate of the next look; that of the only one if none was planned."""
        return float(look_levels(len(self.num_seeds) + 1)[-1]) if self.num_seeds else ALPHA


@dataclass(frozen=True)
class Finding:
    """What was found of a hypothesis.

    Attributes:
        direction: 1 if the case for it was shown, -1 if that against it, 0 if neither.
        equal: Whether equality was shown.
        p: Corrected p-value of the nearer of the two cases; NaN if nothing could be tested.
        alpha: One-sided error rate that it has left, for what further seeds could bring.
        p_alone: That of the nearer case without any correction, at the last look.
        p_equal: Corrected p-value of equality; NaN if it was not tested.
    """

    direction: int
    equal: bool
    p: float
    alpha: float
    p_alone: float = math.nan
    p_equal: float = math.nan

    @property
    def is_open(self) -> bool:
        """Whether it was tested, and nothing was found."""
        return self.direction == 0 and not self.equal and not math.isnan(self.p)


def finding_word(finding: Finding) -> str:
    """What was found of a pair in a word or two: `better`, `worse`, `equal`, `open` or `untested`."""
    if finding.direction:
        return "better" if finding.direction > 0 else "worse"
    if finding.equal:
        return "equal"
    return "untested" if math.isnan(finding.p) else "open"


def judge(
    evidence: Evidence,
    claimed: Sequence[Hypothesis],
    others: Sequence[Hypothesis],
    looks: Looks | None = None,
) -> list[Finding]:
    """Tests everything at once; findings of `claimed`, then of `others`.

    Args:
        evidence: The trials.
        claimed: What was claimed beforehand.
        others: All else.
        looks: When the data was looked at; once, at everything, if None.
    """
    looks = looks or Looks()
    hypotheses = [*claimed, *others]
    sides = [(one.supports, one.contradicts, one.equal) for one in hypotheses]
    found = np.zeros((3, len(hypotheses)), dtype=bool)  # for, against, equal
    p, p_alone, p_equal = np.full((3, len(hypotheses)), np.nan)
    for level, view in looks.views(evidence):
        met = p_values(view, [demand for cases in sides for case in cases for demand in case.demands])
        p_sides = np.array([[p_of_case(case, met) for case in cases] for cases in sides])
        supports, contradicts, equal = p_sides.reshape(-1, 3).T
        p_alone = np.minimum(1, 2 * np.fmin(supports, contradicts))
        last_step = LAST_STEP if view.moderation is not None else 0.0
        corrected = _corrected(p_alone, len(claimed), BETTER * level, last_step)
        equality = _corrected(equal, len(claimed), EQUAL * level)
        towards = np.fmin(supports, 2) <= np.fmin(contradicts, 2)
        decided = corrected <= ALPHA
        found |= np.stack([decided & towards, decided & ~towards, equality <= ALPHA])
        p, p_equal = np.fmin(p, corrected), np.fmin(p_equal, equality)
    direction = found[0].astype(int) - found[1]
    alpha = _left(len(claimed), (direction == 0) & ~found[2] & ~np.isnan(p), looks.next_level)
    return [
        Finding(int(direction[i]), bool(found[2, i]), *map(float, (p[i], alpha[i], p_alone[i], p_equal[i])))
        for i in range(len(hypotheses))
    ]


def _corrected(p: Array, num_claims: int, level: float, last_step: float = 0.0) -> Array:
    """p-values of claims, then of pairs, by Holm's method in each group, so that they compare with `ALPHA`.

    A group gets its share of `level`; all of it where nothing of the other is open.

    Source: Bretz et al. 2009, A graphical approach to sequentially rejective multiple test procedures, Statistics in
    Medicine 28 (passing on the rate of a group that is decided).
    """
    claims, pairs = (holm(part) for part in np.split(p, [num_claims]))
    least = p[num_claims:] * last_step * len(pairs)
    own_claims, own_pairs = claims / CLAIMS, np.maximum(pairs / (1 - CLAIMS), least)
    weakest_claim, weakest_pair = (np.max(part, initial=0, where=~np.isnan(part)) for part in (own_claims, own_pairs))
    claims = np.minimum(own_claims, np.maximum(claims, weakest_pair))
    pairs = np.minimum(own_pairs, np.maximum(np.maximum(pairs, least), weakest_claim))
    return np.minimum(np.concatenate([claims, pairs]) * (ALPHA / level), 1)


def _left(num_claims: int, still_open: Array, next_level: float) -> Array:
    """One-sided error rate that each hypothesis has left at the next look."""
    parts = np.split(still_open, [num_claims])
    shares = (CLAIMS, 1 - CLAIMS) if all(part.any() for part in parts) else (1.0, 1.0)
    return np.concatenate(
        [
            np.full(len(part), share * BETTER * next_level / 2 / max(part.sum(), 1))
            for part, share in zip(parts, shares, strict=True)
        ]
    )
