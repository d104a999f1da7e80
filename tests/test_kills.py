"""Nothing that was finished is lost to a driver that is killed, and what was under way comes to the same numbers."""

import random
from pathlib import Path

import pytest

from tests.kills import kill_and_compare


@pytest.mark.ray
@pytest.mark.slow
def test_killed_runs_end_with_the_tables_of_an_undisturbed_one(tmp_path: Path) -> None:
    assert kill_and_compare(2, tmp_path, random.Random(1)) > 0
