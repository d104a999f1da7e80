"""All that is known of a study, made once from the tables and handed to pages, charts, tables and the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import pyarrow as pa

from grid.analysis.conclusion import Conclusion, conclude
from grid.analysis.evidence import gather
from grid.analysis.family import Looks
from grid.analysis.rankings import Budget, budgets
from grid.analysis.sensitivity import Sensitivity, axis_shares
from grid.analysis.summaries import arm_summaries, trials_of
from grid.analysis.tallies import arm_tallies
from grid.analysis.verdicts import judge_study
from grid.formats import plural
from grid.questions.study import Study
from grid.records.plan import StudyPlan
from grid.tables.ended import right_answers, tallies
from grid.tables.tallies import Tally


@dataclass(frozen=True)
class StudyResult:
    """A study with what its trials showed.

    Attributes:
        plan: The study and its trials as they were planned.
        trials: Its rows of `trials.parquet`, one a planned cell.
        epochs: Rows of `epochs.parquet` of its trials.
        summaries: A row an arm, as from `arm_summaries`.
        conclusion: The answer, and all that was tested for it.
        answers: How each trial answers, by fingerprint; also trials of other studies.
    """

    plan: StudyPlan
    trials: pd.DataFrame
    epochs: pd.DataFrame
    summaries: pd.DataFrame
    conclusion: Conclusion
    answers: Mapping[str, Tally]

    @property
    def study(self) -> Study:
        """What was asked."""
        return self.plan.study

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that any arm has at full budget; `study.seeds` are those that every arm begins with."""
        return tuple(sorted({trial.seed for trial in self.plan.trials if trial.stage == "full"}))

    @property
    def seeds_in_words(self) -> str:
        """How many an arm has at full budget, as far as it is trained there: `3 to 8 seeds`."""
        numbers = [number for number in self.plan.num_seeds() if number] or [len(self.study.seeds)]
        least, most = min(numbers), max(numbers)
        return f"{least} to {most} seeds" if least < most else plural(most, "seed")

    @cached_property
    def sensitivity(self) -> Sensitivity:
        """How much each axis matters."""
        return axis_shares(self.trials, self.study)

    @cached_property
    def budgets(self) -> dict[str, list[Budget]]:
        """What an order after fewer epochs is worth, by the stage of the trials that are looked at."""
        return {stage: budgets(self.trials, self.epochs, stage) for stage in ("full", "screening")}

    @cached_property
    def tallies(self) -> dict[int, list[Tally]]:
        """How each arm answers, an entry a seed."""
        return arm_tallies(self.trials, self.answers)


def looks_of(plan: StudyPlan) -> Looks:
    """When a plan's data was looked at: as planned, or when reports were read."""
    if plan.looks:
        return Looks(plan.looks)
    return Looks(plan.shown, by_hand=True) if len(plan.shown) > 1 else Looks()


def study_results(plans: Sequence[StudyPlan], tables: Mapping[str, pa.Table]) -> list[StudyResult]:
    """What each study found.

    Args:
        plans: The studies.
        tables: `trials`, `epochs` and `ended`, as `grid.tables.tables` makes them; rows of others do no harm.
    """
    trials, epochs = (tables[name].to_pandas() for name in ("trials", "epochs"))
    right, answers = right_answers(tables["ended"]), tallies(tables["ended"])
    results = []
    for plan in plans:
        study, mine = plan.study, trials_of(trials, plan.study)
        conclusion = conclude(judge_study(gather(study, mine, epochs, right), looks_of(plan)), mine)
        its_epochs = epochs[epochs["fingerprint"].isin(mine["fingerprint"])]
        results.append(StudyResult(plan, mine, its_epochs, arm_summaries(mine, study), conclusion, answers))
    return results
