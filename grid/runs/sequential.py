"""Seeds where they decide: which arms get further seeds as long as something is open. Pure.

The numbers of seeds are fixed beforehand (3, 5, 8, 12, …), not chosen by what was seen: then a look at the data costs
no more of the error rate than `grid.analysis.inference.look_levels` gives it.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from grid.records.plan import StudyPlan

if TYPE_CHECKING:  # SciPy takes seconds to import
    from grid.analysis.conclusion import Conclusion

GROWTH = 1.5
"""By how much the seeds of an arm grow from look to look: less would spend the error rate on many looks."""


def next_num_seeds(num_seeds: int) -> int:
    """Seeds of an arm at the next look; from 3 on: 5, 8, 12, 18, 27."""
    return max(num_seeds + 1, math.ceil(GROWTH * num_seeds))


def open_questions(conclusion: "Conclusion") -> list[frozenset[int]]:
    """The arms whose seeds could still decide something, an entry for each that is open, the cheapest first.

    That is what is claimed; or, if nothing is, the best arm and the others that may be the best. Of a claim on many
    arms, those that are clear already need no seeds, and what would refute it may hang on other arms than what would
    show it. That which arms get seeds depends on what was seen costs nothing: at each look, what is compared has the
    number of seeds of this look or of an earlier one, which had a higher level.
    """
    judgement, best = conclusion.judgement, conclusion.best
    ways = [verdict.way for verdict in judgement.verdicts if verdict.is_open]
    if not judgement.evidence.study.claims and best is not None:
        ways = [judgement.way(best, arm) for arm in conclusion.winners if arm != best]
    return [way.arms for way in sorted(filter(None, ways), key=lambda way: (way.seeds, sorted(way.arms)))]


def seeds_of_next_look(plan: StudyPlan, wanted: Sequence[frozenset[int]], budget: int) -> tuple[int, ...] | None:
    """Seeds of each arm at the next look, for as many of the open questions as the budget allows.

    Args:
        plan: The study so far.
        wanted: The arms of each open question, the cheapest first.
        budget: Trials that may be added.

    Returns:
        A number an arm; None if nothing is open or the budget is too small for any of it.
    """
    now = list(plan.num_seeds())
    level = next_num_seeds(max(now))
    following = now
    for arms in wanted:
        raised = [max(number, level) if arm in arms else number for arm, number in enumerate(following)]
        if sum(raised) - sum(now) <= budget:
            following = raised
    return tuple(following) if following != now else None
