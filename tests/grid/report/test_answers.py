"""The last lines of a run: what was asked, what was found, how the claims stand."""

import re
from pathlib import Path

from grid.analysis.study_result import study_results
from grid.questions.claims import Claim
from grid.records.files import Folder
from grid.records.plan import StudyPlan, make_plan
from grid.report.answers import plain_answer
from grid.report.card import Card, answer_lines
from grid.report.claims_table import forest_rows
from grid.report.page_charts import CHARTS
from grid.report.pages import write_study
from grid.tables.tables import make_tables
from tests.grid.analysis.known_truth import fill, known_plan
from tests.grid.constructed import DATA_FINGERPRINT, small_study


def cards(plan: StudyPlan, folder: Path) -> list[Card]:
    results = study_results([plan], make_tables([plan], fill(plan, folder)))
    return [write_study(result, Folder(folder)) for result in results]


def test_each_study_ends_with_its_question_its_answer_and_its_verdicts(tmp_path: Path) -> None:
    pairs = {"a-over-b": ("A", "B"), "b-over-a": ("B", "A")}
    claims = [
        Claim.model_validate({"name": name, "says": name, "source": "a test", "better": {"arm": arm, "than": than}})
        for name, (arm, than) in pairs.items()
    ]
    plan = known_plan(claims=claims)
    blank, asked, answer, verdicts = answer_lines(cards(plan, tmp_path), 120)
    assert blank == ""
    assert asked == f"{plan.study.title} ({plan.study.name})"
    assert answer == "  “A” is the best of 3, 2.0 points (1.8 to 2.2) above “C”, the next; 1 other can't be compared."
    assert verdicts == "  Claims: 1 reproduced, 1 refuted"
    assert max(map(len, answer_lines(cards(plan, tmp_path), 40)[2:])) <= 40
    elsewhere = [
        card.model_copy(update={"claims": (("refuted", 1), ("not comparable", 2))}) for card in cards(plan, tmp_path)
    ]
    assert answer_lines(elsewhere)[-1] == "  Claims: 1 refuted; 2 more are about another budget"
    nowhere = [card.model_copy(update={"claims": (("not comparable", 2),)}) for card in elsewhere]
    assert answer_lines(nowhere)[-1] == "  Claims: 2 about another budget"


def test_an_arm_that_is_all_there_is_is_not_called_the_only_one_that_can_be_judged(tmp_path: Path) -> None:
    plan = make_plan(small_study(("A",)), DATA_FINGERPRINT)
    (result,) = study_results([plan], make_tables([plan], fill(plan, tmp_path)))
    assert re.fullmatch(
        r"“A” gets \d\d % of the test images right\.", plain_answer(result).replace("\N{NO-BREAK SPACE}", " ")
    )


def test_where_a_difference_leaves_out_zero_and_is_not_shown_it_is_said_why(tmp_path: Path) -> None:
    plan = make_plan(small_study(("A", "B")), DATA_FINGERPRINT)
    ledger = fill(plan, tmp_path)
    late = plan.model_copy(update={"looks": ((1, 1),) * 59 + ((3, 3),)})
    for at, ends in ((plan, "“A” is better than “B”, by "), (late, "but look number 60 at the data asks")):
        (result,) = study_results([at], make_tables([at], ledger))
        assert ends in plain_answer(result)


def test_a_study_without_claims_has_no_line_of_verdicts(tmp_path: Path) -> None:
    plan = known_plan()
    assert len(answer_lines(cards(plan, tmp_path), 120)) == 3


def test_while_the_best_arm_has_too_few_seeds_others_are_shown_against_the_best_that_can_be_compared(
    tmp_path: Path,
) -> None:
    plan = make_plan(small_study(("A", "B", "C")), DATA_FINGERPRINT)
    ledger = fill(plan, tmp_path)
    (whole,) = study_results([plan], make_tables([plan], ledger))
    assert whole.conclusion.reference == whole.conclusion.best == 0
    assert "above “A”, with" in CHARTS["forest"].caption(whole)
    for trial in plan.trials:
        if trial.arm == 0 and trial.seed > 0:
            ledger.files.remove(f"{trial.fingerprint[:2]}/{trial.fingerprint}")
    (result,) = study_results([plan], make_tables([plan], ledger))
    second = max((1, 2), key=result.conclusion.judgement.evidence.val_acc)
    assert (result.conclusion.best, result.conclusion.reference) == (0, second)
    assert [row.arm for row in forest_rows(result.conclusion) if row.low is None] == [0]
    assert f"above “{'ABC'[second]}”, the best with seeds enough to compare, with" in CHARTS["forest"].caption(result)
