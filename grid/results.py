"""A results folder: what was asked, what was trained, and the tables and pages made from both.

results/ledger/…            every finished trial
       /studies/<name>.json what was asked: the plan of each study
       /runs/<time>.json    how: the manifest of each run
       /*.parquet           tables
       /*.html              pages; index.html first
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from grid.analysis.conclusion import Conclusion, conclude
from grid.analysis.evidence import gather, right_answers
from grid.analysis.family import Looks
from grid.analysis.summaries import best_arm, trials_of
from grid.analysis.verdicts import judge_study
from grid.errors import UserError
from grid.questions.claims import claims_hash
from grid.questions.expansion import Winners
from grid.records.claims_history import claims_history
from grid.records.damage import DamagedTrial
from grid.records.ledger import Ledger
from grid.records.manifest import read_manifests
from grid.records.plan import StudyPlan
from grid.records.tables import make_comparisons, make_tables, make_trials, make_verdicts, write_tables
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

    @property
    def runs(self) -> Path:
        """Folder of the manifests."""
        return self.root / "runs"

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
            if path.is_file():
                with contextlib.suppress(UserError):
                    plan = plan.remembering(self._read_plan(path))
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

    def continued(self, plan: StudyPlan) -> StudyPlan:
        """The plan as an earlier run left it with further seeds, if it is of the same arms and data; else itself."""
        path = self.studies / f"{plan.study.name}.json"
        if not path.is_file():
            return plan
        earlier = self._read_plan(path)
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
        for plan in self.read_plans() if self.studies.is_dir() else []:
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
        plans = self.read_plans() if any(self.studies.glob("*.json")) else []
        return self.ledger.set_aside_damaged(trial.fingerprint for plan in plans for trial in plan.trials)

    def _read_plan(self, path: Path) -> StudyPlan:
        try:
            return StudyPlan.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise UserError(f"{path}: not a study of this version; remove it and run its question again") from error

    def conclude(self, plans: Sequence[StudyPlan]) -> dict[str, Conclusion]:
        """What each study found by now, by its name."""
        return conclude_all(plans, make_tables(plans, self.ledger))

    def verdicts(self, study: str | None = None, table: str = "verdicts") -> list[dict[str, Any]]:
        """Rows of `verdicts.parquet` or `comparisons.parquet`, of all studies or of those whose name starts so.

        Raises:
            UserError: There is no such table, or no such study in it.
        """
        path = self.root / f"{table}.parquet"
        try:
            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(f"{path}: can't be read; make it with cifar-grid report --results {self.root}") from error
        found = [row for row in rows if str(row["study"]).startswith(study or "")]
        if study and not found:
            names = ", ".join(dict.fromkeys(str(row["study"]) for row in rows)) or "none"
            what = "claims" if table == "verdicts" else "compared arms"
            raise UserError(f"no {what} of a study {study!r} in {path}; there are {names}")
        return found

    def report(self) -> Path:
        """Makes all tables and pages anew from the plans and the ledger; returns the index page."""
        plans = self.read_plans()
        tables = make_tables(plans, self.ledger)
        plans = [plan if plan.looks else plan.shown_at(seeds_ended(plan, tables["trials"])) for plan in plans]
        conclusions = conclude_all(plans, tables)
        told = [plan for plan in plans if conclusions[plan.study.name].winners]
        with contextlib.suppress(OSError):  # a folder that can only be read has its report elsewhere
            self.save_plans(told)
        judgements = {name: found.judgement for name, found in conclusions.items()}
        tables["verdicts"] = make_verdicts(plans, judgements)
        tables["comparisons"] = make_comparisons(plans, judgements)
        write_tables(tables, self.root)
        return write_report(plans, tables, conclusions, self.root, self._claims_histories(plans))

    def _claims_histories(self, plans: Sequence[StudyPlan]) -> dict[str, str]:
        """For each study with claims that a run noted, whether they were written before its first trial."""
        manifests, _ = read_manifests(self.runs)
        histories: dict[str, str] = {}
        for study in (plan.study for plan in plans if plan.study.claims):
            history = claims_history(manifests, study.name, claims_hash(study.claims))
            histories |= {study.name: str(history)} if history else {}
        return histories


def seeds_ended(plan: StudyPlan, trials: pa.Table) -> tuple[int, ...]:
    """How many of each arm's seeds at full budget have ended, up to the first that has not."""
    frame = trials_of(trials.to_pandas(), plan.study)
    full = frame[frame["stage"] == "full"]
    ended = {arm: (rows["status"] != "not_run").cumprod().sum() for arm, rows in full.groupby("arm")}
    return tuple(int(ended.get(arm, 0)) for arm in range(len(plan.study.arms)))


def looks_of(plan: StudyPlan) -> Looks:
    """When a plan's data was looked at: as planned, or when reports were read."""
    if plan.looks:
        return Looks(plan.looks)
    return Looks(plan.shown, by_hand=True) if len(plan.shown) > 1 else Looks()


def conclude_all(plans: Sequence[StudyPlan], tables: Mapping[str, pa.Table]) -> dict[str, Conclusion]:
    """What each study found, by its name."""
    trials, epochs = (tables[name].to_pandas() for name in ("trials", "epochs"))
    right = right_answers(tables["predictions"])
    return {
        plan.study.name: conclude(
            judge_study(gather(plan.study, trials, epochs, right), looks_of(plan)), trials_of(trials, plan.study)
        )
        for plan in plans
    }
