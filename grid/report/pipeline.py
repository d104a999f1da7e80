"""From plans and ledger to what was found: tables, conclusions, pages. What a results folder holds is read here.

What computes and draws is imported only where a study is made: it takes seconds, and where nothing is new there is
nothing to make.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from grid.errors import UserError
from grid.questions.claims import claims_hash
from grid.records.claims_history import claims_history
from grid.records.manifest import read_manifests
from grid.records.plan import StudyPlan
from grid.records.results_folder import ResultsFolder
from grid.report.card import INDEX, Card
from grid.report.kept import TABLES, KeptReport, key_of
from grid.report.samples import find_samples
from grid.tables.ended import epochs_of, read_ended, refuse_damaged
from grid.tables.processes import MOST, Processes
from grid.tables.schemas import COMPARISONS, VERDICTS
from grid.tables.tables import write_tables

if TYPE_CHECKING:
    from grid.report.study_report import StudyReport

WORTH_PROCESSES = 6
"""Studies from which processes are started: they take seconds to import what they need."""


class Job(NamedTuple):
    """A study that has to be made, with the rows of its trials that ended, and its key."""

    plan: StudyPlan
    ended: pa.Table
    folder: ResultsFolder
    history: str
    so_far: bool
    key: str


def make_report(
    folder: ResultsFolder, *, so_far: bool = False, mend: Callable[[Collection[str]], None] | None = None
) -> tuple[Path, list[Card]]:
    """Makes the tables and pages of a results folder from its plans and ledger; what is as it was stays.

    Args:
        folder: The results folder.
        so_far: Whether a run is at work there: the pages that change say so and reload themselves. Nobody can add seeds
            because of what they show, so it is not noted as a look at the results.
        mend: Moves trials that are found damaged out of the way, so that they count as not run, and whatever is no
            trial. Where it does not, a trial that ended but has no readable predictions ends the report.

    Returns:
        The index page, and what each study found.

    Raises:
        UserError: There are no plans, or something can't be read.
    """
    plans = folder.read_plans()
    if mend is not None:
        mend(())
    with Processes(1 if so_far else MOST) as processes:
        planned = (trial.fingerprint for plan in plans for trial in plan.trials)
        ended, damaged = read_ended(planned, folder.ledger, folder.files, processes)
        if damaged:
            if mend is not None:
                mend(damaged)
            refuse_damaged(damaged, folder.ledger)
        kept = KeptReport(folder.files, so_far=so_far)
        known, jobs = _divide(folder, plans, ended, kept)
        names = [plan.study.name for plan in plans]
        if not jobs and kept.stands(names):
            return folder.files.path / INDEX, [known[name] for name in names]
        made = dict(
            zip((job.plan.study.name for job in jobs), processes.map(_make, jobs, WORTH_PROCESSES), strict=True)
        )
    rows = {
        table: pa.concat_tables(made[name].tables[table] if name in made else kept.rows(table, name) for name in names)
        for table in TABLES
    }
    write_tables(rows | {"epochs": epochs_of(ended)}, folder.files)
    cards = [made[name].card if name in made else known[name] for name in names]
    from grid.report.pages import write_index

    index = write_index(cards, folder.files, so_far=so_far)
    kept.keep(names, {job.plan.study.name: (job.key, made[job.plan.study.name].card) for job in jobs})
    return index, cards


def _divide(
    folder: ResultsFolder, plans: Sequence[StudyPlan], ended: pa.Table, kept: KeptReport
) -> tuple[dict[str, Card], list[Job]]:
    """What was found of the studies that are as they were, and those that have to be made."""
    digests = dict(zip(ended["fingerprint"].to_pylist(), ended["digest"].to_pylist(), strict=True))
    places = {fingerprint: place for place, fingerprint in enumerate(digests)}
    histories = _claims_histories(folder, plans)
    known, jobs = {}, []
    for plan in plans:
        name = plan.study.name
        if not plan.looks:
            plan = plan.shown_at(plan.seeds_ended(places))
        history = histories.get(name, "")
        pictures = [strip.file for strip in find_samples(plan.study, folder.files)]
        key = key_of(plan, digests, history, pictures)
        if (card := kept.find(plan, key)) is not None:
            known[name] = card
        else:
            mine = dict.fromkeys(trial.fingerprint for trial in plan.trials if trial.fingerprint in places)
            rows = ended.take(pa.array([places[fingerprint] for fingerprint in mine], pa.int64()))  # of none, no type
            jobs.append(Job(plan, rows, folder, history, kept.so_far, key))
    return known, jobs


def _make(job: Job) -> "StudyReport":
    from grid.report.study_report import report_study

    return report_study(job.plan, job.ended, job.folder, job.history, so_far=job.so_far)


def read_verdicts(folder: ResultsFolder, study: str | None = None, *, pairs: bool = False) -> list[dict[str, Any]]:
    """Rows of `verdicts.parquet` or `comparisons.parquet`, of all studies or of those whose name starts so.

    Raises:
        UserError: There is no such table, or no such study in it.
    """
    name, schema = ("comparisons.parquet", COMPARISONS) if pairs else ("verdicts.parquet", VERDICTS)
    path = folder.root / name
    try:
        # without arrow's threads: on a busy machine, the command was seen to abort at its end
        content = pa.BufferReader(folder.files.read(name))
        table = pq.read_table(content, columns=schema.names, use_threads=False, pre_buffer=False)
        rows: list[dict[str, Any]] = table.cast(schema).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: can't be read; make it with cifar-grid report --results {folder.root}") from error
    found = [row for row in rows if str(row["study"]).startswith(study or "")]
    if study and not found:
        names = ", ".join(dict.fromkeys(str(row["study"]) for row in rows)) or "none"
        what = "compared arms" if pairs else "claims"
        raise UserError(f"no {what} of a study {study!r} in {path}; there are {names}")
    return found


def _claims_histories(folder: ResultsFolder, plans: Sequence[StudyPlan]) -> dict[str, str]:
    """For each study with claims that a run noted, whether they were written before its first trial."""
    with_claims = [plan.study for plan in plans if plan.study.claims]
    manifests, _ = read_manifests(folder.runs) if with_claims else ([], [])
    histories: dict[str, str] = {}
    for study in with_claims:
        history = claims_history(manifests, study.name, claims_hash(study.claims))
        histories |= {study.name: history} if history else {}
    return histories
