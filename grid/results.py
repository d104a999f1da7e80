"""A results folder: what was asked, what was trained, and the tables and pages made from both.

results/ledger/…            every finished trial
       /studies/<name>.json what was asked: the plan of each study
       /*.parquet           tables
       /*.html              pages; index.html first
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from grid.analysis.conclusion import Conclusion, conclude
from grid.analysis.evidence import gather, right_answers
from grid.analysis.summaries import best_arm, trials_of
from grid.analysis.verdicts import judge_study
from grid.errors import UserError
from grid.questions.expansion import Winners
from grid.records.ledger import DamagedTrial, Ledger
from grid.records.plan import StudyPlan
from grid.records.tables import make_tables, make_trials, make_verdicts, write_tables
from grid.report.pages import write_report


class ResultsFolder:
    """Owns the paths below a results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = Ledger(root / "ledger")

    @property
    def studies(self) -> Path:
        """Folder of the plans."""
        return self.root / "studies"

    def prepare(self) -> None:
        """Makes the folder ready for a run.

        Raises:
            UserError: It can't be written.
        """
        self.ledger.prepare()
        try:
            self.studies.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.studies}: can't be made ({error.strerror}); give another folder with --results"
            ) from error

    def save_plans(self, plans: Sequence[StudyPlan]) -> None:
        """Keeps the plans, in place of earlier ones of the same studies."""
        for plan in plans:
            path = self.studies / f"{plan.study.name}.json"
            unfinished = path.with_suffix(".tmp")
            unfinished.write_text(plan.model_dump_json(indent=1), encoding="utf-8")
            os.replace(unfinished, path)

    def read_plans(self) -> list[StudyPlan]:
        """The plans of all studies that were ever run into this folder, by name.

        Raises:
            UserError: There are none, or one can't be read.
        """
        paths = sorted(path for path in self.studies.glob("*.json") if not path.name.startswith("."))
        if not paths:
            raise UserError(f"{self.root}: no results here; run a question first, or give the folder with --results")
        return [self._read_plan(path) for path in paths]

    def winners(self, profile: str, dataset: str, data_fingerprint: str) -> Winners:
        """What the questions whose every trial is settled found: values of the best arm's axes, by question.

        Args:
            profile: Only studies at this profile count.
            dataset: Only studies on the data set of this label count,
            data_fingerprint: and of these bytes.
        """
        found = {}
        for plan in self.read_plans() if self.studies.is_dir() else []:
            study = plan.study
            if (study.profile, study.dataset, plan.data_fingerprint) != (profile, dataset, data_fingerprint):
                continue
            records = self.ledger.read((trial.fingerprint for trial in plan.trials), settled_only=True)
            best = best_arm(make_trials([plan], records).to_pandas(), study)
            if best is not None and all(trial.fingerprint in records for trial in plan.trials):
                values = study.arms[best].values
                found[study.question] = {field: value for field, value in values.items() if value is not None}
        return found

    def set_aside_damaged(self) -> list[DamagedTrial]:
        """Moves trials of any study here that can't be read out of the way, so that they are trained again."""
        plans = self.read_plans() if any(self.studies.glob("*.json")) else []
        return self.ledger.set_aside_damaged(trial.fingerprint for plan in plans for trial in plan.trials)

    def _read_plan(self, path: Path) -> StudyPlan:
        try:
            return StudyPlan.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise UserError(f"{path}: not a study of this version; remove it and run its question again") from error

    def report(self) -> Path:
        """Makes all tables and pages anew from the plans and the ledger; returns the index page."""
        plans = self.read_plans()
        tables = make_tables(plans, self.ledger)
        conclusions = conclude_all(plans, tables)
        tables["verdicts"] = make_verdicts(plans, {name: found.judgement for name, found in conclusions.items()})
        write_tables(tables, self.root)
        return write_report(plans, tables, conclusions, self.root)


def conclude_all(plans: Sequence[StudyPlan], tables: Mapping[str, pa.Table]) -> dict[str, Conclusion]:
    """What each study found, by its name."""
    trials, epochs = (tables[name].to_pandas() for name in ("trials", "epochs"))
    right = right_answers(tables["predictions"])
    return {
        plan.study.name: conclude(
            judge_study(gather(plan.study, trials, epochs, right), plan.looks), trials_of(trials, plan.study)
        )
        for plan in plans
    }
