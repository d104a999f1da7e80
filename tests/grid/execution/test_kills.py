"""Nothing that was finished is lost to a driver that is killed, and what was under way comes to the same numbers."""

from argparse import Namespace
from pathlib import Path

import pytest

from tests.faults.kills import results


@pytest.mark.ray
@pytest.mark.slow
def test_killed_runs_end_with_the_tables_of_an_undisturbed_one(tmp_path: Path) -> None:
    options = Namespace(seed=1, scale=0.05, count=1, name="driver: SIGKILL")
    found = list(results(options, tmp_path))
    assert len(found) == 2, "a kill, and a run to the end"
    assert [problem for result in found for problem in result.problems()] == []
