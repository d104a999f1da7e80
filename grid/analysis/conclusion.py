"""The answer to a question in a sentence: the best arm, those among which the best is, and what limits that.

That an arm is better than another is said only where it was found among all pairs. Who may be the best is a set with
its own guarantee (`grid.analysis.winners`): what is outside it is not called worse for that, and what was not found
worse is "not yet shown to be worse".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from grid.analysis.collapse import collapses
from grid.analysis.evidence import Evidence
from grid.analysis.inference import ALPHA
from grid.analysis.selection import luck_of_best
from grid.analysis.verdicts import Judgement
from grid.analysis.wording import difference_in_words
from grid.formats import number, percent, plural, status_words
from grid.records.status import RETRIED, STATUSES

MAX_NAMED = 3
"""Arms that a sentence names; of more it gives the number."""
LEAST_LUCK = 0.0005
"""Less than half a tenth of a point is not mentioned."""
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
        winners: Arms of which one is the best with 95 % confidence, by validation accuracy; empty below two seeds.
        behind: Arms that were found worse than the best one.
    """

    judgement: Judgement
    sentence: str
    notes: tuple[str, ...] = ()
    best: int | None = None
    winners: tuple[int, ...] = ()
    behind: tuple[int, ...] = ()

    @property
    def reference(self) -> int | None:
        """The arm to show others against: the best one, or the next that was tested where it has too few seeds yet."""
        evidence = self.judgement.evidence
        tested = {
            arm
            for pair in self.judgement.pairs
            if (found := self.judgement.compared(*pair)) and found.seen.interval
            for arm in pair
        }
        return evidence.best(tested) if tested and self.best not in tested else self.best


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
    notes = (*_edges(evidence, best), *_left_out(evidence), *_collapsed(evidence), *_shown_before(judgement))
    if not others:
        return Conclusion(judgement, f"{start}{_alone(evidence, best)}", notes, best)
    runner_up = judgement.compared(best, others[0])
    if runner_up is None or runner_up.seen.why_not is not None:
        reason = runner_up.seen.why_not if runner_up is not None else "it was not compared"
        sentence = f"{_highest(evidence, best)}, but there is no verdict: {reason}."
        return Conclusion(judgement, start + sentence, notes, best)
    winners = tuple(arm for arm in contest if arm in judgement.winners)
    behind = tuple(arm for arm in others if judgement.is_better(best, arm))
    sentence = start + _sentence(judgement, best, others, winners, behind)
    return Conclusion(judgement, sentence, (*notes, *_picked(evidence, best, winners)), best, winners, behind)


def _sentence(
    judgement: Judgement, best: int, others: Sequence[int], winners: Sequence[int], behind: Sequence[int]
) -> str:
    label = judgement.evidence.label
    ahead = _highest(judgement.evidence, best)
    better = next((arm for arm in (*winners, *others) if judgement.is_better(arm, best)), None)
    if better is not None:
        return f"{ahead}, but on test {label(better)} is better: {_numbers(judgement, better, best)}."
    if best not in winners:
        return f"{ahead}, but with 95 % confidence the best on test is {_among(judgement.evidence, winners)}."
    if len(behind) == len(others):
        other = f"{label(others[0])}, the runner-up" if len(others) > 1 else label(others[0])
        little = _by_little(judgement, best, others[0])
        return f"{label(best)} is best. Above {other}: {_numbers(judgement, best, others[0])}{little}."
    open_arms = [arm for arm in others if arm not in behind]
    near = next((arm for arm in open_arms if arm in winners), open_arms[0])
    if len(others) == 1:
        return f"{_two_arms(judgement, best, near)}: {_numbers(judgement, best, near)}."
    worse = (
        f" {plural(len(behind), 'arm')} shown to be worse than it, {len(open_arms)} not yet."
        if behind
        else (" None is yet shown to be worse than it.")
    )
    next_one = f"{label(near)} comes next: {_numbers(judgement, best, near)}"
    if len(winners) == 1:
        return f"With 95 % confidence {label(best)} is the best. {next_one}.{worse}"
    return f"{ahead}; with 95 % confidence the best is {_among(judgement.evidence, winners)}. {next_one}.{worse}"


def _two_arms(judgement: Judgement, best: int, other: int) -> str:
    label = judgement.evidence.label
    found = judgement.compared(best, other)
    if found is not None and found.finding.equal:
        return f"{label(best)} and {label(other)} are equal within half a point"
    return f"{_highest(judgement.evidence, best)}, but {label(other)} is not yet shown to be worse"


def _among(evidence: Evidence, winners: Sequence[int]) -> str:
    """`among these 5: a, b, c and 2 more`."""
    names = [evidence.label(arm) for arm in winners]
    if len(names) == 1:
        return names[0]
    shown = ", ".join(names[:MAX_NAMED]) + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")
    return f"among these {len(names)}: {shown}"


def _by_little(judgement: Judgement, best: int, other: int) -> str:
    found = judgement.compared(best, other)
    return "; that is less than half a point" if found is not None and found.finding.equal else ""


def _numbers(judgement: Judgement, first: int, second: int) -> str:
    found = judgement.compared(first, second)
    return difference_in_words(found.seen) if found else "not compared"


def _highest(evidence: Evidence, arm: int) -> str:
    return f"{evidence.label(arm)} has the highest validation accuracy ({percent(evidence.val_acc(arm))})"


def _alone(evidence: Evidence, arm: int) -> str:
    effect = evidence.measure(arm, "test_acc")
    return (
        f"{evidence.label(arm)} is the only arm that can be judged; on test it is at {percent(effect.mean)} "
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
            notes.append(f"{value} is the {which} value tried for {axis.label}; the best may lie beyond.")
    return notes


def _left_out(evidence: Evidence) -> list[str]:
    """Which arms were not compared, by reason."""
    reasons: dict[str, list[str]] = {}
    for index, arm in enumerate(evidence.arms):
        if arm.why_not:
            reasons.setdefault(arm.why_not, []).append(evidence.label(index))
    return [
        f"Not compared: {', '.join(labels) if len(labels) <= MAX_NAMED else plural(len(labels), 'arm')} "
        f"{reason if len(labels) == 1 else _of_many(reason)}."
        for reason, labels in reasons.items()
    ]


def _picked(evidence: Evidence, best: int, winners: Sequence[int]) -> list[str]:
    """That the figure of an arm that was picked among others like it is too high, and by how much."""
    luck = luck_of_best(evidence, best)
    if best not in winners or not luck >= LEAST_LUCK:
        return []
    at = evidence.measure(best, "test_acc", "both").mean
    return [
        f"{evidence.label(best)} was picked for coming out highest, partly by luck that validation and test "
        f"share: its own {percent(at)} on test is probably too high by about {number(100 * luck, 1)} points "
        f"({percent(at - luck)} without it)."
    ]


def _collapsed(evidence: Evidence) -> list[str]:
    return [
        f"Seed {found.seed} of {evidence.label(found.arm)} collapsed: {percent(found.acc)} on test, where its others "
        f"are at {percent(found.next_acc)} or more. How often that happens, few seeds can't say."
        for found in collapses(evidence)
    ]


def _shown_before(judgement: Judgement) -> list[str]:
    """That earlier reports were read, which costs this one."""
    looks = judgement.looks
    if not looks.by_hand or len(looks.num_seeds) < 2:
        return []
    seeds = ", ".join(str(max(look)) for look in looks.num_seeds[:-1])
    number_of_this = len(looks.num_seeds)
    left = percent(ALPHA / number_of_this / (number_of_this + 1))
    return [
        f"Verdicts were shown before, at {seeds} seeds. Whoever reads them and adds seeds has several chances to err, "
        f"so what this report, number {number_of_this}, finds may err in {left}, not 5 %."
    ]


def _of_many(reason: str) -> str:
    return reason.replace("was stopped", "were stopped").replace("has no trial", "have no trial")


def _how_trials_stand(trials: pd.DataFrame) -> str:
    counts = trials["status"].value_counts()
    return ", ".join(f"{counts[s]:,} {status_words(s)}" for s in STATUSES if s in counts) or "no trial"


def _so_far(trials: pd.DataFrame) -> str:
    ended = int((~trials["status"].isin(RETRIED)).sum())
    return "" if ended == len(trials) else f"So far, with {ended:,} of {plural(len(trials), 'trial')} trained: "
