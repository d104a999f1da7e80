"""What is installed: each file of it is named by its SHA-256, the build backend too, and by nothing of one machine."""

import re
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
PINNED = re.compile(r"^([a-z0-9-]+)==\S+(?: ; [^\\\n]+)? (?:\\\n    --hash=sha256:[0-9a-f]{64} ?)+\n", re.MULTILINE)


def test_every_line_of_the_lock_is_a_version_with_its_checksums() -> None:
    assert "".join(match[0] for match in PINNED.finditer(LOCK)) == LOCK


def test_the_lock_names_no_registry_and_no_path() -> None:
    assert not re.search(r"https?:|file:|--(?:index|find|extra|trusted)|[@/]", LOCK)


def test_the_lock_holds_all_that_the_project_asks_for_and_what_builds_it() -> None:
    pinned = {match[1] for match in PINNED.finditer(LOCK)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    lines = [*project["project"]["dependencies"], *chain.from_iterable(extras)]
    asked = {Requirement(line).name.lower() for line in (*lines, *project["build-system"]["requires"])}
    assert asked - {"cifar-grid"} <= pinned


def test_make_installs_by_checksum_and_builds_nothing() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "pip install --quiet --require-hashes --only-binary :all: --requirement requirements.lock" in makefile
    assert "--generate-hashes" in makefile
