"""A results folder: what was asked and what was trained, with the tables and pages that are made from both.

results/ledger/…            every finished trial
       /studies/<name>.json what was asked: the plan of each study
       /runs/<time>.json    how: the manifest of each run
       /*.parquet           tables
       /*.html              pages; index.html first
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from grid.errors import UserError
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.plan import StudyPlan
from grid.records.stored_plan import read_plan


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
                folder.clear()
        except OSError as error:
            raise UserError(
                f"{error.filename}: can't be made ({error.strerror}); give another folder with --results"
            ) from error

    def save_plans(self, plans: Sequence[StudyPlan]) -> None:
        """Keeps the plans, in place of earlier ones of the same studies."""
        known = set(self._plan_names())
        for plan in plans:
            if (name := f"{plan.study.name}.json") in known:
                with contextlib.suppress(UserError):
                    plan = plan.remembering(self._read_plan(name))
            self.studies.write(f"{plan.study.name}.json", plan.model_dump_json(indent=1).encode())

    def read_plans(self) -> list[StudyPlan]:
        """The plans of all studies that were ever run into this folder, by name.

        Raises:
            UserError: There are none, or one can't be read.
        """
        if not (plans := self.plans()):
            raise UserError(f"{self.root}: no results here; run a question first, or give the folder with --results")
        return plans

    def plans(self) -> list[StudyPlan]:
        """Like `read_plans`, but an empty list where nothing was ever run.

        Raises:
            UserError: One can't be read.
        """
        return [self._read_plan(name) for name in self._plan_names()]

    def continued(self, plan: StudyPlan) -> StudyPlan:
        """Returns the stored plan of the same study and data if seeds were added to it; else the given plan."""
        if (name := f"{plan.study.name}.json") not in self._plan_names():
            return plan
        earlier = self._read_plan(name)
        same = (earlier.study, earlier.data_fingerprint) == (plan.study, plan.data_fingerprint)
        return earlier if same and earlier.looks else plan

    def _plan_names(self) -> list[str]:
        try:
            return [name for name in self.studies.names() if name.endswith(".json") and not name.startswith(".")]
        except OSError as error:
            raise UserError(f"{error.filename}: can't be read ({error.strerror})") from error

    def _read_plan(self, name: str) -> StudyPlan:
        """Reads the plan in a file, which must have the name of its study.

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
