"""The report of one study: its page, and its rows of the tables. It needs nothing of other studies."""

import contextlib
from typing import NamedTuple

import pyarrow as pa

from grid.analysis.study_result import study_results
from grid.records.plan import StudyPlan
from grid.records.results_folder import ResultsFolder
from grid.report.card import Card
from grid.report.pages import write_study
from grid.report.verdict_tables import make_comparisons, make_verdicts
from grid.tables.tables import tables_of


class StudyReport(NamedTuple):
    """What the index says of a study, and its rows of each table of `grid.report.kept.TABLES`."""

    card: Card
    tables: dict[str, pa.Table]


def report_study(
    plan: StudyPlan, ended: pa.Table, folder: ResultsFolder, history: str = "", *, so_far: bool = False
) -> StudyReport:
    """Writes the files of a study; those who read of winners and then add seeds look again, so that is noted.

    Args:
        plan: The study.
        ended: Rows of `ENDED` of its trials that ended.
        folder: The results folder.
        history: Whether its claims were written before its first trial.
        so_far: Whether a run is still at work there.
    """
    tables = tables_of([plan], ended)
    (found,) = study_results([plan], tables)
    if found.conclusion.winners and not so_far:
        with contextlib.suppress(OSError):  # where nothing can be written, that is said by what follows
            folder.save_plans([plan])
    card = write_study(found, folder.files, history, so_far=so_far)
    rows = {"verdicts": make_verdicts([found]), "comparisons": make_comparisons([found])}
    return StudyReport(card, {"trials": tables["trials"]} | rows)
