"""From plans and ledger to what was found: tables, conclusions, pages. What a results folder holds is read here."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from grid.analysis.evidence import Evidence, gather
from grid.analysis.study_result import StudyResult, seeds_ended, study_results
from grid.errors import UserError
from grid.questions.claims import claims_hash
from grid.questions.expansion import Winners
from grid.records.claims_history import claims_history
from grid.records.ledger import TrialRecord
from grid.records.manifest import read_manifests
from grid.records.plan import StudyPlan
from grid.records.results_folder import ResultsFolder
from grid.report.answers import Card
from grid.report.kept import TABLES, KeptStudies, key_of
from grid.report.pages import write_index, write_study
from grid.report.samples import find_samples
from grid.report.verdict_tables import COMPARISONS, VERDICTS, make_comparisons, make_verdicts
from grid.tables.ended import ended_row, epochs_of, read_ended
from grid.tables.schemas import EPOCHS
from grid.tables.tables import make_tables, make_trials, tables_of, write_tables


def make_report(folder: ResultsFolder, *, so_far: bool = False) -> tuple[Path, list[Card]]:
    """Makes the tables and pages of a results folder from its plans and ledger; what is as it was stays.

    Args:
        folder: The results folder.
        so_far: Whether a run is at work there: the pages that change say so and reload themselves. Nobody can add seeds
            because of what they show, so it is not noted as a look at the results.

    Returns:
        The index page, and what each study found.

    Raises:
        UserError: There are no plans, or something can't be read.
    """
    plans = folder.read_plans()
    ended = read_ended((trial.fingerprint for plan in plans for trial in plan.trials), folder.ledger, folder.files)
    digests = dict(zip(ended["fingerprint"].to_pylist(), ended["digest"].to_pylist(), strict=True))
    places = {fingerprint: place for place, fingerprint in enumerate(digests)}
    plans = [plan if plan.looks else plan.shown_at(seeds_ended(plan, places)) for plan in plans]
    histories = _claims_histories(folder, plans)
    kept = KeptStudies(folder.files)
    cards: list[Card] = []
    made: dict[str, tuple[str, Card]] = {}
    tables: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
    for plan in plans:
        name, history = plan.study.name, histories.get(plan.study.name, "")
        key = key_of(plan, digests, history, [strip.file for strip in find_samples(plan.study, folder.files)])
        card = kept.find(plan, key, so_far=so_far)
        if card is not None:
            rows = {table: kept.rows(table, name) for table in TABLES}
        else:
            mine = dict.fromkeys(trial.fingerprint for trial in plan.trials if trial.fingerprint in places)
            of_study = tables_of([plan], ended.take([places[fingerprint] for fingerprint in mine]))
            (found,) = study_results([plan], of_study)
            if found.conclusion.winners and not so_far:
                with contextlib.suppress(OSError):  # where nothing can be written, that is said below
                    folder.save_plans([plan])
            card = write_study(found, folder.files, history, so_far=so_far)
            made[name] = key, card
            verdicts, comparisons = make_verdicts([found]), make_comparisons([found])
            rows = {"trials": of_study["trials"], "verdicts": verdicts, "comparisons": comparisons}
        cards.append(card)
        for table in TABLES:
            tables[table].append(rows[table])
    write_tables(
        {name: pa.concat_tables(of) for name, of in tables.items()} | {"epochs": epochs_of(ended)}, folder.files
    )
    index = write_index(cards, folder.files, so_far=so_far)
    kept.keep(made, so_far=so_far)
    return index, cards


def results_of(folder: ResultsFolder, plans: Sequence[StudyPlan]) -> list[StudyResult]:
    """What each study found by now."""
    return study_results(plans, make_tables(plans, folder.ledger))


def read_verdicts(folder: ResultsFolder, study: str | None = None, *, pairs: bool = False) -> list[dict[str, Any]]:
    """Rows of `verdicts.parquet` or `comparisons.parquet`, of all studies or of those whose name starts so.

    Raises:
        UserError: There is no such table, or no such study in it.
    """
    name, schema = ("comparisons.parquet", COMPARISONS) if pairs else ("verdicts.parquet", VERDICTS)
    path = folder.root / name
    try:
        table = pq.read_table(pa.BufferReader(folder.files.read(name)), columns=schema.names)
        rows: list[dict[str, Any]] = table.cast(schema).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: can't be read; make it with cifar-grid report --results {folder.root}") from error
    found = [row for row in rows if str(row["study"]).startswith(study or "")]
    if study and not found:
        names = ", ".join(dict.fromkeys(str(row["study"]) for row in rows)) or "none"
        what = "compared arms" if pairs else "claims"
        raise UserError(f"no {what} of a study {study!r} in {path}; there are {names}")
    return found


def find_winners(folder: ResultsFolder, profile: str, dataset: str, data_fingerprint: str) -> Winners:
    """What the questions whose every trial is settled found: values of the best arm's axes, by question.

    Args:
        folder: Where they were run.
        profile: Only studies at this profile count.
        dataset: Only studies on the data set of this label count,
        data_fingerprint: and of these bytes.
    """
    found = {}
    for plan in folder.plans():
        study = plan.study
        if (study.profile, study.dataset, plan.data_fingerprint) != (profile, dataset, data_fingerprint):
            continue
        full = [trial.fingerprint for trial in plan.trials if trial.stage == "full"]
        records = folder.ledger.read(full, settled_only=True)
        best = _best_arm(plan, records)
        if best is not None and len(records) == len(set(full)):
            values = study.arms[best].values
            found[study.question] = {field: value for field, value in values.items() if value is not None}
    return found


def best_trials(folder: ResultsFolder, plans: Sequence[StudyPlan]) -> set[str]:
    """Of each study, the trial of the best arm that is best on validation, if any is ok."""
    best = set()
    for plan in plans:
        evidence = _evidence(plan, folder.ledger.read(trial.fingerprint for trial in plan.trials))
        arm = evidence.best(range(len(plan.study.arms)))
        if arm is not None:
            best |= set(evidence.arms[arm].trials.nlargest(1, "val_acc")["fingerprint"])
    return best


def _best_arm(plan: StudyPlan, records: Mapping[str, TrialRecord]) -> int | None:
    return _evidence(plan, records).best(range(len(plan.study.arms)))


def _evidence(plan: StudyPlan, records: Mapping[str, TrialRecord]) -> Evidence:
    """What is needed to choose an arm on validation: no curves, no answers to test images."""
    ended = {fingerprint: ended_row(record) for fingerprint, record in records.items()}
    trials: pd.DataFrame = make_trials([plan], ended).to_pandas()
    return gather(plan.study, trials, EPOCHS.empty_table().to_pandas(), {})


def _claims_histories(folder: ResultsFolder, plans: Sequence[StudyPlan]) -> dict[str, str]:
    """For each study with claims that a run noted, whether they were written before its first trial."""
    manifests, _ = read_manifests(folder.runs)
    histories: dict[str, str] = {}
    for study in (plan.study for plan in plans if plan.study.claims):
        history = claims_history(manifests, study.name, claims_hash(study.claims))
        histories |= {study.name: history} if history else {}
    return histories
