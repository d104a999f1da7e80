from datetime import UTC, datetime

import pytest

from grid.records.claims_history import claims_history
from grid.records.manifest import Manifest, StudyRun
from grid.records.plan import PlanCounts


def run_of(day: int, claims_hash: str | None, cached: int = 0) -> Manifest:
    """The manifest of a run of one study."""
    date = datetime(2026, 5, day, tzinfo=UTC)
    counts = PlanCounts(planned=4, cached=cached, shared=0, new=4 - cached)
    noted = StudyRun(study="q2", planned=date, claims_hash=claims_hash, seeds=(0, 1), counts=counts)
    return Manifest(
        name=str(day), command=(), code=None, lock_sha256=None, versions={}, num_threads={}, studies=(noted,),
        started=date,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run_of(4, "now"), run_of(6, "now", 4)], "The claims were fixed on 2026-05-04, before the first trial."),
        ([run_of(6, "then", 4), run_of(4, "now")], "The claims were fixed on 2026-05-04, before the first trial."),
        ([run_of(4, "now", 1)], "The claims were fixed on 2026-05-04, when 1 trial had already run."),
        ([run_of(4, None), run_of(6, "now", 4)], "The claims were written after the first run, which was on 2026-05-0"),
        ([run_of(4, "then"), run_of(6, "now", 4)], "The claims were changed since the first run, which was on 2026-05"),
    ],
)
def test_whether_claims_were_there_before_the_first_trial(runs: list[Manifest], expected: str) -> None:
    assert str(claims_history(runs, "q2", "now")).startswith(expected)


def test_a_study_that_was_never_run_has_no_history() -> None:
    assert claims_history([run_of(4, "now")], "q3", "now") is None
