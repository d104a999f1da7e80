import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grid.records import manifest
from grid.records.files import Folder
from grid.records.manifest import Code, Gpu, Manifest, Node, code_of, read_manifests, recorded_run
from grid.records.plan import PlanCounts, StudyPlan, make_plan
from tests.grid.questions.test_question import HEAD, study, write

NODE = Node(
    name="head 1a2b3c", cpu="Some CPU", num_cpus=2, memory_bytes=8_000_000_000, system="Linux", python="3.11.7",
    gpus=(Gpu(name="NVIDIA L4", driver="580.1", memory_bytes=24_000_000_000),),
)  # fmt: skip
COUNTS = PlanCounts(planned=4, cached=0, shared=0, new=4)


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    return make_plan(study(write(tmp_path, HEAD + "cells:\n  - product: {optimizer.lr: [0.1, 0.2]}\n")), "data")


def only_manifest(folder: Path) -> Manifest:
    (found,), problems = read_manifests(Folder(folder))
    assert problems == []
    return found


def test_a_manifest_is_there_from_the_start_and_complete_at_the_end(tmp_path: Path, plan: StudyPlan) -> None:
    runs = tmp_path / "results" / "runs"
    with recorded_run(Folder(runs), ["cifar-grid", "run", "q2"], {"other": 1, "resnet50": 2}) as log:
        begun = only_manifest(runs)
        assert (begun.command, begun.num_threads) == (("cifar-grid", "run", "q2"), {"other": 1, "resnet50": 2})
        assert (begun.ended, begun.outcome, begun.studies, begun.nodes) == (None, None, (), ())
        assert begun.versions.keys() >= {"python", "cifar-grid", "torch", "ray", "numpy", "scipy"}
        log.add_study(plan, COUNTS, "hash")
        noted = only_manifest(runs).studies
        log.add_nodes([NODE])
        log.add_nodes([NODE])
    ended = only_manifest(runs)
    assert [(run.study, run.claims_hash, run.seeds, run.counts) for run in noted] == [
        ("mine-quick-digits", "hash", (0, 1), COUNTS)
    ]
    assert begun.started <= noted[0].planned <= datetime.now(UTC)
    assert (ended.outcome, ended.nodes, ended.studies) == ("complete", (NODE,), noted)
    assert ended.ended is not None and ended.ended >= noted[0].planned
    assert [path.name for path in runs.iterdir()] == [f"{ended.name}.json"]


@pytest.mark.parametrize(
    ("error", "outcome"), [(KeyboardInterrupt, "interrupted"), (RuntimeError, "failed"), (SystemExit, "failed")]
)
def test_an_exception_ends_the_run_in_its_manifest_too(
    tmp_path: Path, error: type[BaseException], outcome: str
) -> None:
    with pytest.raises(error), recorded_run(Folder(tmp_path), [], {}):
        raise error
    assert only_manifest(tmp_path).outcome == outcome


def test_a_run_that_was_stopped_early_says_so(tmp_path: Path) -> None:
    with recorded_run(Folder(tmp_path), [], {}) as log:
        log.outcome = "interrupted"
    assert only_manifest(tmp_path).outcome == "interrupted"


def test_what_was_claimed_first_in_a_run_stands(tmp_path: Path, plan: StudyPlan) -> None:
    with recorded_run(Folder(tmp_path), [], {}) as log:
        log.add_study(plan, COUNTS, "first")
        log.add_study(plan, COUNTS, "second")
    assert [run.claims_hash for run in only_manifest(tmp_path).studies] == ["first"]


def test_a_killed_run_leaves_a_manifest_without_an_end(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from grid.records.files import Folder\n"
    code += "from grid.records.manifest import recorded_run\n"
    code += "with recorded_run(Folder(Path(sys.argv[1])), sys.argv, {}): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path), "\udcff"]).returncode == -9
    killed = only_manifest(tmp_path)
    assert (killed.ended, killed.outcome, killed.command[-1]) == (None, None, "\N{REPLACEMENT CHARACTER}")


def test_damaged_manifests_are_named_and_the_others_read_oldest_first(tmp_path: Path) -> None:
    for _ in range(3):
        with recorded_run(Folder(tmp_path), [], {}):
            pass
    written = read_manifests(Folder(tmp_path))[0]
    assert written == sorted(written, key=lambda manifest: manifest.started)
    names = [manifest.name for manifest in written]
    os.truncate(tmp_path / f"{names[0]}.json", 100)
    (tmp_path / "foreign.json").write_text('{"format": 2}')
    (tmp_path / "link.json").symlink_to("nowhere")
    found, problems = read_manifests(Folder(tmp_path))
    assert [manifest.name for manifest in found] == names[1:]
    assert len(problems) == 3 and not any("\n" in problem for problem in problems)
    for name in (names[0], "foreign", "link"):
        assert any(f"{tmp_path / name}.json: " in problem for problem in problems)
    assert read_manifests(Folder(tmp_path / "none")) == ([], [])


def test_this_checkouts_lock_file_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.lock").write_text("numpy==2.0\n")
    monkeypatch.setattr(manifest, "SOURCE_ROOT", tmp_path)
    with recorded_run(Folder(tmp_path / "with"), [], {}):
        pass
    (tmp_path / "requirements.lock").unlink()
    with recorded_run(Folder(tmp_path / "without"), [], {}):
        pass
    sha256 = subprocess.run(["sha256sum"], input="numpy==2.0\n", capture_output=True, text=True).stdout.split()[0]
    assert only_manifest(tmp_path / "with").lock_sha256 == sha256
    assert only_manifest(tmp_path / "without").lock_sha256 is None


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with one commit."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    folder = tmp_path / "checkout"
    (folder / "grid").mkdir(parents=True)
    (folder / "grid" / "code.py").write_text("")
    for command in ("init", "add .", "-c user.name=n -c user.email=e commit --no-verify -m first"):
        subprocess.run(["git", "-C", folder, *command.split()], check=True, env=environment, capture_output=True)
    return folder


def test_the_commit_is_noted_and_whether_code_differs_from_it(checkout: Path) -> None:
    clean = code_of(checkout)
    assert clean is not None and len(clean.commit) == 40 and not clean.dirty
    (checkout / "results").mkdir()
    (checkout / "results" / "index.html").touch()
    assert code_of(checkout) == clean
    (checkout / "grid" / "new.py").touch()
    assert code_of(checkout) == Code(commit=clean.commit, dirty=True)


def test_code_that_is_no_checkout_has_no_commit(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_of(tmp_path) is None
    assert code_of(checkout / "grid") is None, "installed into an environment inside some other checkout"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_of(checkout) is None, "no git"


def test_a_manifest_can_be_read_without_this_project(tmp_path: Path, plan: StudyPlan) -> None:
    with recorded_run(Folder(tmp_path), ["cifar-grid"], {"other": 1}) as log:
        log.add_study(plan, COUNTS, None)
        log.add_nodes([NODE])
    (path,) = tmp_path.glob("*.json")
    content = json.loads(path.read_text())
    assert content["nodes"][0]["gpus"][0]["driver"] == "580.1"
    assert content["studies"][0]["counts"] == {"planned": 4, "cached": 0, "shared": 0, "new": 4}
    assert datetime.fromisoformat(content["started"]) <= datetime.fromisoformat(content["ended"])
