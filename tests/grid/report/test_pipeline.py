from pathlib import Path

import pytest

from cifar_models.records import EpochRecord
from grid.analysis.study_result import StudyResult, study_results
from grid.errors import UserError
from grid.records.plan import StudyPlan, make_plan
from grid.records.results_folder import ResultsFolder
from grid.report import pipeline
from grid.report.pipeline import find_winners, make_report
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


def test_a_study_is_made_again_only_if_something_of_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_GRID_CACHE", str(tmp_path / "cache"))
    folder, plan = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    made: list[str] = []

    def counting(plans: list[StudyPlan], tables: object) -> list[StudyResult]:
        made.extend(plan.study.name for plan in plans)
        return study_results(plans, tables)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "study_results", counting)
    index, first = make_report(folder)
    before = {path.name: path.read_bytes() for path in folder.root.iterdir() if path.is_file()}
    for harm in (None, "page", "table", "kept", "other"):
        page = folder.root / f"{plan.study.name}.html"
        if harm == "page":
            page.write_bytes(b"a stranger's")
        elif harm == "table":
            (folder.root / "verdicts.parquet").unlink()
        elif harm == "kept":
            kept = folder.root / ".report/studies"
            kept.write_bytes(kept.read_bytes().replace(b"0.7", b"0.9") + b" ")
        elif harm == "other":
            monkeypatch.setenv("CIFAR_GRID_CACHE", str(tmp_path / "another user's"))
        made.clear()
        assert make_report(folder) == (index, first)
        assert made == ([] if harm is None else [plan.study.name]), harm
        assert before == {path.name: path.read_bytes() for path in folder.root.iterdir() if path.is_file()}


def test_a_study_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder, plan = make_folder(tmp_path, {0.1: 0.5, 0.2: 0.7})
    (folder.studies.path / f"{plan.study.name}.json").write_text("{}")
    with pytest.raises(
        UserError,
        match=rf"{plan.study.name}\.json: not a study of this version \(study: .* required\); remove it",
    ):
        make_report(folder)
