import shutil
from pathlib import Path

import pandas as pd
import pytest

from cifar_models.records import EpochRecord
from grid.analysis.study_result import StudyResult, study_results
from grid.errors import UserError
from grid.records.plan import StudyPlan, make_plan
from grid.records.results_folder import ResultsFolder
from grid.report import pipeline, study_report
from grid.report.findings import find_winners
from grid.report.pipeline import make_report
from grid.tables import ended, processes
from tests.grid.questions.test_question import HEAD, study, write
from tests.grid.records.test_ledger import predictions, record


def make_folder(tmp_path: Path, val_accs: dict[float, float], *, finished: int = 2) -> tuple[ResultsFolder, StudyPlan]:
    """A results folder with a study of some rates; `finished` seeds of each have the given validation accuracy."""
    rates = ", ".join(str(rate) for rate in val_accs)
    plan = make_plan(study(write(tmp_path, f"{HEAD}cells:\n  - product: {{optimizer.lr: [{rates}]}}\n")), "data")
    folder = ResultsFolder(tmp_path / "results")
    folder.prepare()
    folder.save_plans([plan])
    for trial in plan.trials:
        if trial.seed < finished:
            epoch = EpochRecord(
                epoch=1, lr=0.1, train_loss=1.0, train_acc=0.5, val_loss=1.0,
                val_acc=val_accs[plan.config(trial).optimizer.lr], wall_s=1.0,
            )  # fmt: skip
            folder.ledger.commit(record(trial.fingerprint, config=plan.config(trial), epochs=(epoch,)), predictions())
    return folder, plan


def test_the_winner_is_the_arm_with_the_best_validation(tmp_path: Path) -> None:
    folder, _ = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7, 0.3: 0.6})
    assert find_winners(folder, "quick", "digits", "data") == {"mine": {"optimizer.lr": 0.2}}


def test_a_question_that_has_not_run_to_its_end_has_no_winner(tmp_path: Path) -> None:
    folder, _ = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7}, finished=1)
    assert find_winners(folder, "quick", "digits", "data") == {}


def test_another_profile_or_data_set_does_not_count(tmp_path: Path) -> None:
    folder, _ = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    assert find_winners(folder, "paper", "digits", "data") == find_winners(folder, "quick", "cifar10", "data") == {}
    assert find_winners(folder, "quick", "digits", "other bytes") == {}


def test_plans_are_read_back_as_they_were_saved(tmp_path: Path) -> None:
    folder, plan = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    assert folder.read_plans() == [plan]


def test_a_report_is_made_from_the_folder_alone(tmp_path: Path) -> None:
    folder, plan = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    index, (found,) = make_report(folder)
    assert (index, found.study) == (folder.root / "index.html", plan.study)
    assert (folder.root / f"{plan.study.name}.html").exists()
    assert (folder.root / "trials.parquet").exists()


@pytest.mark.parametrize("so_far", [False, True])
def test_a_study_of_which_nothing_has_ended_has_its_page_beside_the_others(tmp_path: Path, so_far: bool) -> None:
    folder, plan = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    other = plan.model_copy(update={"study": plan.study.model_copy(update={"question": "other"})})
    waiting = make_plan(other.study, "other data")
    folder.save_plans([plan, waiting])
    _, cards = make_report(folder, so_far=so_far)
    assert {card.study.question: dict(card.counts) for card in cards}["other"] == {"not run": len(waiting.trials)}
    assert (folder.root / f"{waiting.study.name}.html").exists()


def test_a_study_is_made_again_only_if_something_of_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_GRID_CACHE", str(tmp_path / "cache"))
    folder, plan = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    made: list[str] = []

    def counting(plans: list[StudyPlan], tables: object) -> list[StudyResult]:
        made.extend(plan.study.name for plan in plans)
        return study_results(plans, tables)  # type: ignore[arg-type]

    monkeypatch.setattr(study_report, "study_results", counting)
    index, first = make_report(folder)
    before = {path.name: path.read_bytes() for path in folder.root.iterdir() if path.is_file()}
    for harm in (None, "page", "table", "epochs", "index", "kept", "other"):
        page = folder.root / f"{plan.study.name}.html"
        if harm == "page":
            page.write_bytes(b"a stranger's")
        elif harm == "table":
            (folder.root / "verdicts.parquet").unlink()
        elif harm == "epochs":
            (folder.root / "epochs.parquet").write_bytes(b"a stranger's")
        elif harm == "index":
            (folder.root / "index.html").unlink()
        elif harm == "kept":
            kept = folder.root / ".report/studies"
            kept.write_bytes(kept.read_bytes().replace(b"0.7", b"0.9") + b" ")
        elif harm == "other":
            monkeypatch.setenv("CIFAR_GRID_CACHE", str(tmp_path / "another user's"))
        made.clear()
        assert make_report(folder) == (index, first)
        assert made == ([] if harm in (None, "epochs", "index") else [plan.study.name]), harm
        assert before == {path.name: path.read_bytes() for path in folder.root.iterdir() if path.is_file()}


def make_three(tmp_path: Path) -> ResultsFolder:
    """A results folder with three studies, of which one shares trials with another."""
    folder = ResultsFolder(tmp_path / "results")
    for name, accs in (("mine", {0.1: 0.5, 0.2: 0.7}), ("yours", {0.1: 0.5, 0.3: 0.6}), ("theirs", {0.4: 0.8})):
        (tmp_path / name).mkdir()
        other, plan = make_folder(tmp_path / name, accs)
        renamed = plan.study.model_copy(update={"question": name})
        shutil.copytree(other.root, folder.root, dirs_exist_ok=True)
        folder.studies.remove(f"{plan.study.name}.json")
        folder.save_plans([plan.model_copy(update={"study": renamed})])
    return folder


def contents(folder: ResultsFolder) -> dict[str, bytes]:
    """All files that a report makes but what it keeps for the next one, and the plans, which it changes."""
    files = (path for path in folder.root.rglob("*") if path.is_file())
    names = {path.relative_to(folder.root): path.read_bytes() for path in files}
    return {str(path): content for path, content in names.items() if path.parts[0] not in ("ledger", ".report")}


def test_several_processes_make_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_three(tmp_path)
    shutil.copytree(folder.root, tmp_path / "copy")
    _, cards = make_report(folder)
    monkeypatch.setattr(ended, "BATCH", 3)
    monkeypatch.setattr(ended, "WORTH_PROCESSES", 2)
    monkeypatch.setattr(pipeline, "WORTH_PROCESSES", 2)
    monkeypatch.setattr(processes, "num_processors", lambda: 2)
    monkeypatch.setattr(study_report, "study_results", lambda *_: pytest.fail("is made here"))
    copy = ResultsFolder(tmp_path / "copy")
    assert make_report(copy) == (copy.root / "index.html", cards)
    here, there = contents(folder), contents(copy)
    parts = {name for name in here.keys() | there.keys() if name.startswith("predictions/")}  # a file a batch
    assert {name: here[name] for name in here.keys() - parts} == {name: there[name] for name in there.keys() - parts}
    keys = ["fingerprint", "image"]
    one, other = (
        pd.read_parquet(of.root / "predictions").sort_values(keys, ignore_index=True) for of in (folder, copy)
    )
    pd.testing.assert_frame_equal(one, other)


def test_a_report_after_one_new_trial_is_that_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_GRID_CACHE", str(tmp_path / "cache"))
    folder = make_three(tmp_path)
    plan = folder.read_plans()[0]
    last = plan.trials[-1].fingerprint
    shutil.move(folder.ledger.folder(last), tmp_path / "last")
    make_report(folder)
    shutil.move(tmp_path / "last", folder.ledger.folder(last))
    shutil.copytree(folder.root, tmp_path / "copy")
    for name in (".report", "predictions"):
        shutil.rmtree(tmp_path / "copy" / name)
    copy = ResultsFolder(tmp_path / "copy")
    assert make_report(folder)[1] == make_report(copy)[1]
    here, there = contents(folder), contents(copy)
    assert {n: c for n, c in here.items() if "predictions/" not in n} == {
        n: c for n, c in there.items() if "predictions/" not in n
    }


def test_damage_is_mended_or_ends_the_report(tmp_path: Path) -> None:
    folder, plan = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    victim = plan.trials[0].fingerprint
    (folder.ledger.folder(victim) / "predictions.npz").write_bytes(b"damaged")
    with pytest.raises(UserError, match=f"trial {victim}: predictions.npz is not the file that was written"):
        make_report(folder)
    told: list[str] = []
    make_report(folder, mend=lambda damaged: told.extend(map(str, folder.ledger.set_aside_damaged(damaged))))
    assert [line.startswith(f"damaged trial {victim}: ") for line in told] == [True]
    assert pd.read_parquet(folder.root / "trials.parquet")["status"].value_counts()["not_run"] == 1


def test_a_study_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder, plan = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    (folder.studies.path / f"{plan.study.name}.json").write_text("{}")
    with pytest.raises(
        UserError,
        match=rf"{plan.study.name}\.json: not a study of this version \(study: .* required\); remove it",
    ):
        make_report(folder)
