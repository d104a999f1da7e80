"""Imports run one way; what reads results needs neither torch nor Ray."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
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


def imported_files(path: Path) -> Iterator[Path]:
    """Files of this project that a file imports, wherever in it, also those that it only names types of."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            stem = ROOT.joinpath(*node.module.split("."))
            places = [stem, *(stem / alias.name for alias in node.names)]
            yield from (place.with_suffix(".py") for place in places if place.with_suffix(".py").is_file())


def test_no_files_import_each_other_in_a_circle() -> None:
    files = [*(ROOT / "grid").rglob("*.py"), *(ROOT / "cifar_models").rglob("*.py")]
    graph = {file: set(imported_files(file)) for file in files}
    assert sum(map(len, graph.values())) > len(files), "arrows are found"
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    "module",
    [
        "analysis.summaries",
        "tables.tables",
        "forecast.estimate",
        "report.samples",
        "report.pages",
        "records.results_folder",
        "report.answers",
        "report.pipeline",
        "runs.session",
        "cli",
        "records.export",
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


TOUCHES_FILES = {
    "chmod", "glob", "hardlink_to", "iterdir", "lchmod", "link", "link_to", "makedirs", "mkdir", "mkfifo", "move",
    "open", "read_bytes", "read_table", "read_text", "remove", "removedirs", "rename", "renames", "replace", "rglob",
    "rmdir", "rmtree", "safe_open", "save_file", "scandir", "symlink", "symlink_to", "touch", "unlink", "walk",
    "write_bytes", "write_image", "write_html", "write_table", "write_text",
}  # fmt: skip
"""Names of functions and methods that reach a file by its path."""

OTHER_FILES = {
    "records/files.py": "the one way to what is below a results folder",
    "records/predictions.py": "reads an archive that is in memory",
    "records/signed.py": "keeps the user's key in the user's cache folder",
    "report/kept.py": "hashes the source of this package",
    "records/manifest.py": "reads requirements.lock of the source tree",
    "records/holder.py": "reads /proc",
    "records/lock.py": "removes a results folder that it made and that is empty",
    "execution/interrupt.py": "opens /dev/null",
    "execution/memory_kills.py": "reads /proc and the cgroups",
    "questions/question.py": "lists the catalogue",
    "questions/sourced_yaml.py": "reads a question that the user named",
    "analysis/summaries.py": "renames columns",
    "report/pages.py": "reads its own templates",
    "execution/nodes.py": "reads the source of this package; probes a checkpoint URL that the user named",
    "execution/ray_cluster.py": "reads the configuration that ray up left in the home folder",
    "execution/hardware.py": "reads /proc/cpuinfo",
    "execution/warm.py": "leaves a file in a temporary folder of the run",
    "execution/watcher.py": "reads a file that Tune has just written to a temporary folder",
    "execution/checkpoints.py": "writes to a URL that is no local path",
    "records/export.py": "the text of a script, which is not run here",
}
"""Files of `grid/` that reach others than those of a results folder, and which."""


def reaches_files(path: Path) -> set[str]:
    """What a file calls that reaches a file by its path; `text.replace("a", "b")` and methods of `Folder` are none."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        module = owner.id if isinstance(owner, ast.Name) else ""
        is_text = name == "replace" and module not in ("os", "path") and len(node.args) + len(node.keywords) > 1
        is_folder = name in ("move", "remove") and module not in ("os", "shutil")
        into_open_file = name in ("write_table", "read_table") and module == "pq"
        if name in TOUCHES_FILES and not (is_text or is_folder or into_open_file):
            found.add(name)
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "grid").rglob("*.py")), ids=lambda path: path.stem)
def test_what_is_below_a_results_folder_is_reached_in_one_way_only(path: Path) -> None:
    if path.relative_to(ROOT / "grid").as_posix() not in OTHER_FILES:
        assert reaches_files(path) == set()


@pytest.mark.parametrize("name", STDLIB_FREE)
def test_no_file_of_grid_bears_a_name_of_the_standard_library(name: str) -> None:
    # `python grid/run.py` puts grid/ first on the path
    assert name not in sys.stdlib_module_names
