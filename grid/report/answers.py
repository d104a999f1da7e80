"""What a study found, in one plain sentence, for the head of its page, the index and the terminal.

It says no more than the conclusion does (`grid.analysis.conclusion`), in words that need no statistics: three arms at
most, numbers to the precision that they have.
"""

import math
from collections import Counter

from grid.analysis.study_result import StudyResult
from grid.analysis.verdicts import Comparison, Judgement
from grid.formats import cut, number, plural, quoted, unbroken
from grid.records.status import RETRIED

MAX_TIED = 2
"""Arms beside the best one that the sentence names."""
MAX_LABEL = 60
"""Characters of an arm's label in it."""


def verdict_counts(result: StudyResult) -> list[tuple[str, int]]:
    """Number of a study's claims by verdict, the most frequent first, those that can't be judged here last."""
    counts = Counter(verdict.verdict for verdict in result.conclusion.judgement.verdicts)
    return sorted(counts.items(), key=lambda of: (of[0] == "not comparable", -of[1]))


def plain_answer(result: StudyResult) -> str:
    """The answer in one sentence."""
    statuses = result.trials["status"]
    ended = int((~statuses.isin(RETRIED)).sum())
    sentence = _sentence(result)
    if result.conclusion.best is not None and (num_left_out := _num_left_out(result)):
        sentence = f"{sentence.removesuffix('.')}; {plural(num_left_out, 'other')} can't be compared."
    if result.conclusion.best is None or ended == len(statuses):
        return unbroken(sentence[:1].upper() + sentence[1:])
    return unbroken(f"So far ({ended:,} of {plural(len(statuses), 'trial')}): {sentence}")


def _num_left_out(result: StudyResult) -> int:
    """Arms that were trained, or should have been, and have nothing to compare; not those that a screening ended."""
    statuses = result.trials.groupby("arm")["status"].agg(set)
    arms = enumerate(result.conclusion.judgement.evidence.arms)
    return sum(bool(of.why_not) and not statuses.get(arm, set()) <= {"stopped", *RETRIED} for arm, of in arms)


def _sentence(result: StudyResult) -> str:
    conclusion, judgement = result.conclusion, result.conclusion.judgement
    best, winners = conclusion.best, conclusion.winners
    evidence, label = judgement.evidence, [quoted(cut(arm.label, MAX_LABEL)) for arm in result.study.arms]
    if best is None:
        return conclusion.sentence
    contest = sorted(evidence.contest(), key=lambda arm: (-evidence.val_acc(arm), arm))
    others = [arm for arm in contest if arm != best]
    if not others:
        right = number(100 * float(evidence.measure(best, "test_acc").mean), 0)
        alone = f"only {label[best]} can be judged: it" if len(label) > 1 else label[best]
        return f"{alone} gets {right} % of the test images right."
    if not winners:
        return f"{label[best]} did best, but it can't be told from luck with so few seeds."
    better = next((arm for arm in (*winners, *others) if judgement.is_better(arm, best)), None)
    if better is not None:
        return (
            f"{label[better]} is better on test images than {label[best]}, which had looked best before: "
            f"by {points(judgement, better, best)}."
        )
    if best not in winners:
        return f"{label[best]} looked best while choosing, but on test images the best is {_named(label, winners)}."
    if len(others) == 1:
        return _of_two(judgement, label, best, others[0])
    if len(conclusion.behind) == len(others):
        by = points(judgement, best, others[0])
        return f"{label[best]} is the best of {len(contest)}, {by} above {label[others[0]]}, the next."
    return _of_many(label, best, others, winners, conclusion.behind)


def _of_two(judgement: Judgement, label: list[str], best: int, other: int) -> str:
    found = judgement.compared(best, other)
    if judgement.is_better(best, other):
        return f"{label[best]} is better than {label[other]}, by {points(judgement, best, other)}."
    if found is not None and found.finding.equal:
        return f"{label[best]} and {label[other]} are equally good: less than half a point apart."
    by = points(judgement, best, other)
    why = _why_open(judgement, found) if found is not None else ""
    return f"it is open whether {label[best]} is better than {label[other]}: the difference is {by}{why}."


def _why_open(judgement: Judgement, found: Comparison) -> str:
    """Why a difference is not shown although its interval, which is of this pair alone, leaves out zero."""
    low, high = found.seen.interval or (0, 0)
    if low <= 0 <= high:
        return ""
    number_of_look = len(judgement.looks.num_seeds)
    cause = f"look number {number_of_look} at the data asks" if number_of_look > 1 else "several tests together ask"
    return f", but {cause} for more certainty"


def _of_many(label: list[str], best: int, others: list[int], winners: tuple[int, ...], behind: tuple[int, ...]) -> str:
    tied = [arm for arm in others if arm in winners]
    worse = f"; {len(behind)} {'other is' if len(behind) == 1 else 'others are'} worse" if behind else ""
    if not tied:
        return f"{label[best]} is the best of {len(others) + 1}, with 95 % confidence{worse}."
    few = len(tied) <= MAX_TIED
    names = " and ".join(label[arm] for arm in tied) if few else f"{len(tied)} others"
    first = "" if few else f", first of all {label[tied[0]]}"
    return f"{label[best]} did best, but {names} may be as good{first}{worse}."


def _named(label: list[str], arms: tuple[int, ...]) -> str:
    """`a or b`, `one of 5 others, such as a`: of arms among which the best is."""
    if len(arms) <= MAX_TIED:
        return " or ".join(label[arm] for arm in arms)
    return f"one of {len(arms)} others, such as {label[arms[0]]}"


def points(judgement: Judgement, first: int, second: int) -> str:
    """By how much an arm is above another: `1.2 points (0.5 to 1.9)`, to the digit that its interval leaves."""
    found = judgement.compared(first, second)
    if found is None or found.seen.effect is None:
        return "an unknown number of points"
    mean = 100 * float(found.seen.effect.mean)
    if found.seen.interval is None:
        return f"{number(mean, 0)} points"
    low, high = (100 * float(end) for end in found.seen.interval)
    digits = decimals((high - low) / 2)
    return f"{number(mean, digits)} points ({number(low, digits)} to {number(high, digits)})"


def decimals(half_width: float) -> int:
    """Decimals of a number that is known to within `half_width`: 0 from one on, at most 2."""
    return min(max(-math.floor(math.log10(half_width)), 0), 2) if half_width > 0 else 2
