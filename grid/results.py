"""A results folder: what was asked, what was trained, and the tables and pages made from both.

results/ledger/…            every finished trial
       /studies/<name>.json what was asked: the plan of each study
       /runs/<time>.json    how: the manifest of each run
       /*.parquet           tables
       /*.html              pages; index.html first
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grid.analysis.conclusion import Conclusion, conclude
from grid.analysis.evidence import gather, right_answers
from grid.analysis.summaries import best_arm, trials_of
from grid.analysis.verdicts import judge_study
from grid.errors import UserError
from grid.questions.claims import claims_hash
from grid.questions.expansion import Winners
from grid.records.claims_history import claims_history
from grid.records.damage import DamagedTrial
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.manifest import read_manifests
from grid.records.plan import StudyPlan
from grid.records.stored_plan import read_plan
from grid.records.tables import VERDICTS, make_tables, make_trials, make_verdicts, write_tables
from grid.report.pages import write_report


class ResultsFolder:
    """Owns the names below a results folder.

    Attributes:
        root: The folder, as the user named it.
        files: The way to what is in it.
        ledger: The finished trials.
        studies: Folder of the plans.
        runs: Folder of the manifests.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = Folder(root)
        self.ledger = Ledger(self.files.below("ledger"))
        self.studies = self.files.below("studies")
        self.runs = self.files.below("runs")

    def prepare(self) -> None:
        """Makes the folder ready for a run.

        Raises:
            UserError: It can't be written.
        """
        self.ledger.prepare()
        try:
            self.studies.make()
            for folder in (self.files, self.studies, self.runs):
                folder.clear_unfinished()
        except OSError as error:
            raise UserError(
                f"{error.filename}: can't be made ({error.strerror}); give another folder with --results"
            ) from error

    def save_plans(self, plans: Sequence[StudyPlan]) -> None:
        """Keeps the plans, in place of earlier ones of the same studies."""
        for plan in plans:
            self.studies.write(f"{plan.study.name}.json", plan.model_dump_json(indent=1).encode())

    def read_plans(self) -> list[StudyPlan]:
        """The plans of all studies that were ever run into this folder, by name.

        Raises:
            UserError: There are none, or one can't be read.
        """
        if not (names := self._plan_names()):
            raise UserError(f"{self.root}: no results here; run a question first, or give the folder with --results")
        return [self._read_plan(name) for name in names]

    def continued(self, plan: StudyPlan) -> StudyPlan:
        """The plan as an earlier run left it with further seeds, if it is of the same arms and data; else itself."""
        if (name := f"{plan.study.name}.json") not in self._plan_names():
            return plan
        earlier = self._read_plan(name)
        same = (earlier.study, earlier.data_fingerprint) == (plan.study, plan.data_fingerprint)
        return earlier if same and earlier.looks else plan

    def winners(self, profile: str, dataset: str, data_fingerprint: str) -> Winners:
        """What the questions whose every trial is settled found: values of the best arm's axes, by question.

        Args:
            profile: Only studies at this profile count.
            dataset: Only studies on the data set of this label count,
            data_fingerprint: and of these bytes.
        """
        found = {}
        for plan in map(self._read_plan, self._plan_names()):
            study = plan.study
            if (study.profile, study.dataset, plan.data_fingerprint) != (profile, dataset, data_fingerprint):
                continue
            full = [trial.fingerprint for trial in plan.trials if trial.stage == "full"]
            records = self.ledger.read(full, settled_only=True)
            best = best_arm(make_trials([plan], records).to_pandas(), study)
            if best is not None and len(records) == len(set(full)):
                values = study.arms[best].values
                found[study.question] = {field: value for field, value in values.items() if value is not None}
        return found

    def best_trials(self, plans: Sequence[StudyPlan]) -> set[str]:
        """Of each study, the trial of the best arm that is best on validation, if any is ok."""
        best = set()
        for plan in plans:
            records = self.ledger.read(trial.fingerprint for trial in plan.trials)
            trials = make_trials([plan], records).to_pandas()
            arm = best_arm(trials, plan.study)
            ok = trials[(trials["arm"] == arm) & (trials["status"] == "ok") & (trials["stage"] == "full")]
            best |= set(ok.nlargest(1, "val_acc")["fingerprint"])
        return best

    def set_aside_damaged(self) -> list[DamagedTrial]:
        """Moves trials of any study here that can't be read out of the way, so that they are trained again."""
        plans = map(self._read_plan, self._plan_names())
        return self.ledger.set_aside_damaged(trial.fingerprint for plan in plans for trial in plan.trials)

    def _plan_names(self) -> list[str]:
        try:
            return [name for name in self.studies.names() if name.endswith(".json") and not name.startswith(".")]
        except OSError as error:
            raise UserError(f"{error.filename}: can't be read ({error.strerror})") from error

    def _read_plan(self, name: str) -> StudyPlan:
        """The plan in a file that is named like its study.

        Raises:
            UserError: It can't be read, or is another's.
        """
        path = self.studies.path / name
        try:
            plan = read_plan(self.studies.read(name))
        except OSError as error:
            raise UserError(
                f"{path}: can't be read ({error.strerror}); remove it and run its question again"
            ) from error
        except ValueError as error:
            raise UserError(
                f"{path}: not a study of this version ({error}); remove it and run its question again"
            ) from error
        if name != f"{plan.study.name}.json":
            raise UserError(f"{path}: the study in it is {plan.study.name}; give the file its name, or remove it")
        return plan

    def conclude(self, plans: Sequence[StudyPlan]) -> dict[str, Conclusion]:
        """What each study found by now, by its name."""
        return conclude_all(plans, make_tables(plans, self.ledger))

    def verdicts(self, study: str | None = None) -> list[dict[str, Any]]:
        """Rows of `verdicts.parquet`, of all studies or of those whose name starts so.

        Raises:
            UserError: There is no such table, or no such study in it.
        """
        name = "verdicts.parquet"
        path = self.root / name
        try:
            table = pq.read_table(pa.BufferReader(self.files.read(name)), columns=VERDICTS.names)
            rows: list[dict[str, Any]] = table.cast(VERDICTS).to_pylist()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(f"{path}: can't be read; make it with cifar-grid report --results {self.root}") from error
        found = [row for row in rows if str(row["study"]).startswith(study or "")]
        if study and not found:
            names = ", ".join(dict.fromkeys(str(row["study"]) for row in rows)) or "none"
            raise UserError(f"no claims of a study {study!r} in {path}; there are {names}")
        return found

    def report(self) -> Path:
        """Makes all tables and pages anew from the plans and the ledger; returns the index page."""
        plans = self.read_plans()
        tables = make_tables(plans, self.ledger)
        conclusions = conclude_all(plans, tables)
        tables["verdicts"] = make_verdicts(plans, {name: found.judgement for name, found in conclusions.items()})
        write_tables(tables, self.files)
        return write_report(plans, tables, conclusions, self.files, self._claims_histories(plans))

    def _claims_histories(self, plans: Sequence[StudyPlan]) -> dict[str, str]:
        """For each study with claims that a run noted, whether they were written before its first trial."""
        manifests, _ = read_manifests(self.runs)
        histories: dict[str, str] = {}
        for study in (plan.study for plan in plans if plan.study.claims):
            history = claims_history(manifests, study.name, claims_hash(study.claims))
            histories |= {study.name: str(history)} if history else {}
        return histories


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
