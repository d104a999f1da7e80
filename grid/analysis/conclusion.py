"""The answer to a question in a sentence: the best arm, all that can't be told from it, and what limits that."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from grid.analysis.evidence import Evidence
from grid.analysis.verdicts import Judgement
from grid.analysis.wording import difference_in_words
from grid.formats import percent, plural, quoted, status_words
from grid.records.status import RETRIED, STATUSES

MAX_NAMED = 3
"""Arms that a sentence names; of more it gives the number."""
MIN_EDGE_VALUES = 3
"""An axis of two values has nothing but edges."""


@dataclass(frozen=True)
class Conclusion:
    """What a study found.

    Attributes:
        judgement: All that was tested, which this is drawn from.
        sentence: The answer in words.
        notes: Sentences that limit it: an optimum on the edge of its axis, arms that were not compared.
        best: Index of the arm with the highest mean validation accuracy among those compared; None if there is none.
        winners: Arms that no other was found better than, by validation accuracy; empty with fewer than two seeds.
    """

    judgement: Judgement
    sentence: str
    notes: tuple[str, ...] = ()
    best: int | None = None
    winners: tuple[int, ...] = ()


def conclude(judgement: Judgement, trials: pd.DataFrame) -> Conclusion:
    """Answers a study's question as far as its trials do.

    Args:
        judgement: All that was tested.
        trials: The study's rows of `trials.parquet`.
    """
    evidence = judgement.evidence
    contest = sorted(evidence.contest(), key=lambda arm: (-evidence.val_acc(arm), arm))
    if not contest:
        return Conclusion(judgement, f"There is no answer: no arm can be judged ({_how_trials_stand(trials)}).")
    best, *others = contest
    start = _so_far(trials)
    notes = (*_edges(evidence, best), *_left_out(evidence))
    if not others:
        return Conclusion(judgement, f"{start}{_alone(evidence, best)}", notes, best)
    runner_up = judgement.compared(best, others[0])
    if runner_up is None or runner_up.seen.why_not is not None:
        reason = runner_up.seen.why_not if runner_up is not None else "it was not compared"
        sentence = f"{_highest(evidence, best)}, but there is no verdict: {reason}."
        return Conclusion(judgement, start + sentence, notes, best)
    winners = tuple(arm for arm in contest if not any(judgement.is_better(other, arm) for other in contest))
    return Conclusion(judgement, start + _sentence(judgement, best, others, winners), notes, best, winners)


def _sentence(judgement: Judgement, best: int, others: Sequence[int], winners: Sequence[int]) -> str:
    label = _labels(judgement.evidence)
    rest = len(others) + 1 - len(winners)
    if best not in winners:
        better = next(arm for arm in (*winners, *others) if judgement.is_better(arm, best))
        return (
            f"{_highest(judgement.evidence, best)}, but on test {label[better]} is better: "
            f"{_numbers(judgement, better, best)}."
        )
    if len(winners) == 1:
        other = f"{label[others[0]]}, the runner-up" if len(others) > 1 else label[others[0]]
        return f"{label[best]} is best. Above {other}: {_numbers(judgement, best, others[0])}."
    near = next(arm for arm in winners if arm != best)
    numbers = _numbers(judgement, best, near)
    ahead = f" {'Both' if len(winners) == 2 else 'All'} are better than each of the other {rest}." if rest > 1 else ""
    ahead = f" Both are better than {label[_only(others, winners)]}." if rest == 1 and len(winners) == 2 else ahead
    if len(winners) == 2:
        found = judgement.compared(best, near)
        told = "are equal within half a point" if found and found.finding.equal else "can't be told apart"
        return f"{label[best]} and {label[near]} {told}: {numbers}.{_if_all(judgement, winners, ahead)}"
    names = [label[arm] for arm in winners if arm != best]
    named = ", ".join(names[:MAX_NAMED]) + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")
    return (
        f"{_highest(judgement.evidence, best)}, but {plural(len(names), 'other arm')} can't be told from it "
        f"({named}); {label[near]} comes next: {numbers}.{_if_all(judgement, winners, ahead)}"
    )


def _if_all(judgement: Judgement, winners: Sequence[int], ahead: str) -> str:
    """The sentence on those that are behind, if each of the winners was found better than each of them."""
    contest = judgement.evidence.contest()
    behind = [arm for arm in contest if arm not in winners]
    return ahead if all(judgement.is_better(arm, other) for arm in winners for other in behind) else ""


def _only(others: Sequence[int], winners: Sequence[int]) -> int:
    return next(arm for arm in others if arm not in winners)


def _numbers(judgement: Judgement, first: int, second: int) -> str:
    found = judgement.compared(first, second)
    return difference_in_words(found.seen) if found else "not compared"


def _highest(evidence: Evidence, arm: int) -> str:
    return f"{_labels(evidence)[arm]} has the highest validation accuracy ({percent(evidence.val_acc(arm))})"


def _alone(evidence: Evidence, arm: int) -> str:
    effect = evidence.measure(arm, "test_acc")
    return (
        f"{_labels(evidence)[arm]} is the only arm that can be judged; on test it is at {percent(effect.mean)} "
        f"({plural(effect.num_seeds, 'seed')}), and there is nothing to compare it with."
    )


def _edges(evidence: Evidence, best: int) -> list[str]:
    """Where the best arm's value is the last one tried among arms that differ in this axis only."""
    study = evidence.study
    mine = study.arms[best].values
    notes = []
    for axis in study.axes:
        alike = [
            arm
            for arm in study.arms
            if all(arm.values.get(other.field) == mine.get(other.field) for other in study.axes if other != axis)
        ]
        values = (arm.values.get(axis.field) for arm in alike)
        tried = sorted({value for value in values if isinstance(value, int | float) and not isinstance(value, bool)})
        if len(tried) >= MIN_EDGE_VALUES and mine.get(axis.field) in (tried[0], tried[-1]):
            which = "largest" if mine[axis.field] == tried[-1] else "smallest"
            value = axis.names[axis.values.index(mine[axis.field])]
            notes.append(f"{value} is the {which} {axis.label} tried; the best may lie beyond.")
    return notes


def _left_out(evidence: Evidence) -> list[str]:
    """Which arms were not compared, by reason."""
    reasons: dict[str, list[str]] = {}
    for arm, label in enumerate(_labels(evidence)):
        if reason := evidence.arms[arm].why_not:
            reasons.setdefault(reason, []).append(label)
    return [
        f"Not compared: {', '.join(labels) if len(labels) <= MAX_NAMED else plural(len(labels), 'arm')} "
        f"{reason if len(labels) == 1 else _of_many(reason)}."
        for reason, labels in reasons.items()
    ]


def _of_many(reason: str) -> str:
    return reason.replace("was stopped", "were stopped").replace("has no trial", "have no trial")


def _labels(evidence: Evidence) -> list[str]:
    return [quoted(arm.label) for arm in evidence.study.arms]


def _how_trials_stand(trials: pd.DataFrame) -> str:
    counts = trials["status"].value_counts()
    return ", ".join(f"{counts[s]:,} {status_words(s)}" for s in STATUSES if s in counts) or "no trial"


def _so_far(trials: pd.DataFrame) -> str:
    ended = int((~trials["status"].isin(RETRIED)).sum())
    return "" if ended == len(trials) else f"So far, with {ended:,} of {plural(len(trials), 'trial')} trained: "
