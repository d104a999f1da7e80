"""The published run on CIFAR-10: its tables come out of its ledger again, and the README says what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[1]
RUN = ROOT / "results" / "cifar10-night"
MADE = ("trials.parquet", "epochs.parquet", "verdicts.parquet", "comparisons.parquet")
WITHOUT_TRAINING = """
import sys
from importlib.abc import MetaPathFinder
class NotInstalled(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "ray"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NotInstalled())
from grid.cli import main
sys.exit(main(sys.argv[1:]))
"""


def command(*arguments: object) -> str:
    words = [sys.executable, "-c", WITHOUT_TRAINING, *map(str, arguments)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the published ledger and plans, made where nothing else of it is."""
    folder = tmp_path_factory.mktemp("published") / "results"
    for part in ("ledger", "studies", "runs"):
        shutil.copytree(RUN / part, folder / part)
    command("report", "--results", folder)
    return folder


@pytest.mark.parametrize("name", MADE)
def test_the_tables_come_out_of_the_ledger_again(made_again: Path, name: str) -> None:
    again, published = pq.read_table(made_again / name), pq.read_table(RUN / name)
    assert published.num_rows
    assert again.schema.equals(published.schema, check_metadata=True)
    # sums may differ in their last digits on another processor
    pd.testing.assert_frame_equal(again.to_pandas(), published.to_pandas(), check_exact=False, rtol=1e-9)


def test_every_page_is_made_again(made_again: Path) -> None:
    pages = {path.name for path in made_again.glob("*.html")}
    assert pages == {path.name for path in RUN.glob("*.html")}


def test_readme_and_docs_say_what_the_verdicts_are(made_again: Path) -> None:
    printed = command("verdicts", "--markdown", "--results", made_again).strip()
    assert printed in (ROOT / "docs" / "published-run.md").read_text(encoding="utf-8")
    head, rule, *rows = printed.splitlines()
    decided = [row for row in rows if re.search(r"\| (reproduced|practically equal|refuted) \|", row)]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\n".join(["", head, rule, *decided, ""]) in readme
    assert f"{len(decided)} of {len(rows)} claims" in readme


def test_it_is_small_and_holds_no_image_of_the_data() -> None:
    hidden = {path for path in RUN.rglob("*") if any(part.startswith(".") for part in path.relative_to(RUN).parts)}
    files = [path for path in {*RUN.rglob("*")} - hidden if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 40_000_000
    assert {path.suffix for path in files} <= {".html", ".js", ".css", ".json", ".parquet", ".npz", ".png"}
    arrays = [path for path in files if path.suffix == ".npz"]
    assert all(path.name == "predictions.npz" and path.stat().st_size < 100_000 for path in arrays)
    pictures = [path for path in files if path.suffix == ".png"]
    assert all("-augmented-" in path.name for path in pictures), "only digits, changed as the question changes images"
    assert "data:image" not in "".join(page.read_text(encoding="utf-8") for page in RUN.glob("*.html"))
