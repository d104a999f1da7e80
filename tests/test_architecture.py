"""Imports run one way; what reads results needs neither torch nor Ray."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STDLIB_FREE = sorted(path.stem for path in (ROOT / "grid").iterdir() if not path.stem.startswith("__"))


def imports(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "cifar_models").rglob("*.py")), ids=lambda path: path.stem)
def test_models_know_nothing_of_the_grid(path: Path) -> None:
    assert not imports(path) & {"grid", "ray", "pandas", "plotly"}


@pytest.mark.parametrize(
    "module",
    [
        "analysis.summaries",
        "records.tables",
        "records.estimate",
        "report.samples",
        "report.pages",
        "results",
        "session",
        "cli",
        "export",
    ],
)
def test_reading_results_imports_neither_torch_nor_ray(module: str) -> None:
    code = f"import sys, grid.{module}; print(*{{'torch', 'ray'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_only_what_trains_and_looks_at_nodes_imports_ray() -> None:
    importers = {
        path.relative_to(ROOT / "grid").parts[0] for path in (ROOT / "grid").rglob("*.py") if "ray" in imports(path)
    }
    assert importers == {"execution"}


@pytest.mark.parametrize("name", STDLIB_FREE)
def test_no_file_of_grid_bears_a_name_of_the_standard_library(name: str) -> None:
    # `python grid/run.py` puts grid/ first on the path
    assert name not in sys.stdlib_module_names
