"""Claims are data: each is of one kind, speaks of arms that exist, and changes nothing in what is trained."""

from pathlib import Path

import pytest

from grid.errors import QuestionError
from grid.questions.claims import Claim, claims_hash
from grid.questions.expansion import make_study
from grid.questions.question import catalogue, find_question, read_profiles
from grid.questions.study import Study, arms_of, best_arms, matching_arms
from grid.records.plan import StudyPlan, make_plan
from tests.grid.questions.test_question import HEAD, study, write

CELLS = """cells:
  - product:
      optimizer.name: [sgd, adam]
      optimizer.lr: [0.001, 0.01, 0.1]
  - label: the old one
    set: {optimizer.name: adagrad, optimizer.lr: 0.5}
"""
SAID = "name: a-claim, says: It is so., source: A report"
PAPER = "only_at: {profile: paper, dataset: cifar10}"


def with_claims(tmp_path: Path, *claims: str, cells: str = CELLS) -> Study:
    lines = "".join(f"  - {{{SAID}, {claim}}}\n" for claim in claims)
    return study(write(tmp_path, HEAD + cells + (f"claims:\n{lines}" if claims else "")))


def only_claim(tmp_path: Path, claim: str) -> tuple[Study, Claim]:
    made = with_claims(tmp_path, claim)
    return made, made.claims[0]


def labels(made: Study, arms: tuple[int, ...]) -> list[str]:
    return [made.arms[arm].label for arm in arms]


def catalogue_study(name: str, profile: str) -> Study:
    question, budget = find_question(name), read_profiles()[profile]
    return make_study(
        question,
        profile,
        budget,
        dataset=budget.dataset,
        dataset_label=budget.dataset,
        precision="fp32",
        winners={part: {"model.dropout": 0.2} for part in question.question.parts},
    )


def test_arms_are_found_by_what_they_have_in_common(tmp_path: Path) -> None:
    made = with_claims(tmp_path)
    assert matching_arms(made, {"optimizer.name": "adam"}) == (3, 4, 5)
    assert matching_arms(made, {"optimizer.name": "adam", "optimizer.lr": [0.01, 0.1]}) == (4, 5)
    assert matching_arms(made, {"optimizer.lr": "1e-3"}) == (0, 3), "YAML reads 1e-3 as text"
    assert matching_arms(made, {"optimizer.lr": 7}) == matching_arms(made, {"epochs": 3}) == ()


def test_an_arm_is_found_by_its_label_and_by_each_that_it_goes_by(tmp_path: Path) -> None:
    cells = "cells:\n  - {label: first, set: {optimizer.lr: 0.1}}\n  - {label: second, set: {optimizer.lr: 0.1}}\n"
    made = with_claims(tmp_path, cells=cells + "  - {label: third, set: {optimizer.lr: 0.2}}\n")
    assert labels(made, (0, 1)) == ["first = second", "third"]
    found = [matching_arms(made, label) for label in ("first", "second", "first = second", "third", "fir")]
    assert found == [(0,), (0,), (0,), (1,), ()]


def test_a_list_can_be_the_value_of_a_field_or_several_of_them(tmp_path: Path) -> None:
    made = with_claims(tmp_path, cells="cells:\n  - product: {model.filters: [[8], [16], [8, 16]]}\n")
    assert matching_arms(made, {"model.filters": [8]}) == (0,)
    assert matching_arms(made, {"model.filters": [[8], [8, 16]]}) == (0, 2)


def test_the_best_value_stands_against_every_other_of_its_axis(tmp_path: Path) -> None:
    made, claim = only_claim(tmp_path, "best: {axis: optimizer.lr, value: 0.01, among: {optimizer.name: adam}}")
    assert claim.best is not None
    assert best_arms(made, claim.best) == ((4,), (3, 5))
    assert arms_of(made, claim.statement) == (4, 3, 5)


def test_several_arms_may_have_the_value_and_the_axis_may_leave_values_out(tmp_path: Path) -> None:
    rates = "best: {axis: optimizer.lr, value: 0.01, among: {optimizer.lr: [0.001, 0.01]}}"
    made, claim = only_claim(tmp_path, rates)
    assert claim.best is not None
    assert best_arms(made, claim.best) == ((1, 4), (0, 3))


def test_an_arm_without_the_field_is_not_compared_on_its_axis(tmp_path: Path) -> None:
    cells = "cells:\n  - product: {model.dropout: [0.1, 0.2]}\n  - set: {model.architecture: resnet50}\n"
    made = with_claims(tmp_path, "best: {axis: model.dropout, value: 0.1}", cells=cells)
    claim = made.claims[0]
    assert claim.best is not None and len(made.arms) == 3
    assert best_arms(made, claim.best) == ((0,), (1,))


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("best: {axis: optimizer.lr, value: 0.1}, fit: {arm: the old one, is: overfit}", "here are best, fit"),
        ("only_at: {profile: paper, dataset: cifar10}", "; here are none"),
        ("fit: {arm: the old one, is: overfitted}", "'overfitted' is not one of 'underfit', 'well fit' or 'overfit'"),
        ("fit: {arm: the old one, is: too short to say}", "'too short to say' is not one of"),
        ("fit: {arm: 5, is: overfit}", "claims.0.fit.arm: 5 names no arm; give its fields or its label"),
        ("fit: {arm: '', is: overfit}", "claims.0.fit.arm: '' names no arm"),
        ("fit: {arm: the old, is: overfit}", "no arm is called 'the old'; arms are 'sgd, lr 0.001', 'sgd, lr 0.01'"),
        (
            "fit: {arm: {optimiser.lr: 1}, is: overfit}",
            "'optimiser.lr' is varied by no cell; varied are opt",
        ),
        ("fit: {arm: {epochs: 3}, is: overfit}", "claims.0.fit.arm: 'epochs' is varied by no cell"),
        ("fit: {arm: {seed: 1}, is: overfit}", "seed is chosen for a whole run, with --seeds; leave it out"),
        ("fit: {arm: {optimizer.lr: 7}, is: overfit}", "7 is not tried; tried are 0.001, 0.01, 0.1, 0.5"),
        ("fit: {arm: {optimizer.lr: [0.1, 7]}, is: overfit}", "optimizer.lr 7 is not tried"),
        ("fit: {arm: {optimizer.lr: .nan}, is: overfit}", "optimizer.lr nan is not tried"),
        ("fit: {arm: {optimizer: {name: adam, lr: 0.5}}, is: overfit}", "tried, but no arm has all of them"),
        ("better: {arm: {optimizer.name: adam}, than: {optimizer.lr: 0.1}}", "'adam, lr 0.1' is on both sides"),
        ("better: {arm: {optimizer.name: adam}, than: {optimizer.name: sgd}, by: -1}", "claims.0.better.by: -1 is not"),
        ("better: {arm: {optimizer.name: adam}, than: {optimizer.name: sgd}, by: .inf}", "claims.0.better.by: inf is"),
        ("better: {arm: {optimizer.name: adam}}", "claims.0.better.than: this field is required"),
        ("best: {axis: model.skip, value: true}", "claims.0.best.axis: 'model.skip' is varied by no cell"),
        ("best: {axis: optimizer.lr, value: 0.2}", "claims.0.best.value: optimizer.lr 0.2 is not tried among them"),
        ("best: {axis: optimizer.lr, value: 0.5, among: {optimizer.name: adam}}", "tried are 0.001, 0.01, 0.1"),
        ("best: {axis: optimizer.lr, value: 0.5, among: {optimizer.name: adagrad}}", "no other value of optimizer.lr"),
        ("best: {axis: optimizer.lr, value: 0.1, among: the old one}", "claims.0.best.among: 'the old one' is not"),
        ("level: {arm: the old one, measure: test_acc, at_least: 80}", "test_acc is a fraction: 0.8 is 80 %"),
        ("level: {arm: the old one, measure: test_acc}", "give about and within, or at_least, or at_most"),
        ("level: {arm: the old one, measure: val_acc, about: 0.8}", "give about and within"),
        ("level: {arm: the old one, measure: val_acc, at_most: 0.8, within: 0.1}", "give about and within"),
        ("level: {arm: the old one, measure: val_acc, about: 0.8, within: 0.1}", "a published number needs only_at"),
        ("level: {arm: the old one, measure: acc, at_most: 0.8}", "'acc' is not one of 'val_acc', 'test_acc'"),
        (
            "level: {arm: the old one, measure: test_loss, at_most: 2}, only_at: {profile: papers, dataset: cifar10}",
            "claims.0.only_at.profile: there is no profile 'papers'; there are quick, cpu, night, paper",
        ),
        ("curve: {arm: the old one, than: {optimizer.name: sgd}, of: val_acc, is: better}", "'better' is not one of"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused_in_one_line(tmp_path: Path, claim: str, expected: str) -> None:
    with pytest.raises(QuestionError) as error:
        with_claims(tmp_path, claim)
    message = str(error.value)
    assert expected in message and "mine.yaml:10: claims.0" in message, message
    assert "\n" not in message


def test_two_claims_of_one_name_are_refused(tmp_path: Path) -> None:
    claim = "fit: {arm: the old one, is: overfit}"
    with pytest.raises(QuestionError, match=r"mine\.yaml:11: claims\.1\.name: another claim is called 'a-claim' too"):
        with_claims(tmp_path, claim, claim)


def test_what_other_questions_find_may_be_an_arm_that_is_compared_with_it(tmp_path: Path) -> None:
    text = f"""cells:
  - {{label: theirs, set: {{optimizer.lr: 0.1}}}}
  - {{label: ours, winners_of: [one]}}
claims:
  - {{{SAID}, better: {{arm: ours, than: theirs}}}}
"""
    made = study(write(tmp_path, HEAD + text), winners={"one": {"optimizer.lr": 0.1}})
    assert matching_arms(made, "ours") == matching_arms(made, "theirs") == (0,)


def test_a_level_may_be_a_bound_anywhere_and_a_loss_above_one(tmp_path: Path) -> None:
    _, claim = only_claim(tmp_path, "level: {arm: {optimizer.name: sgd}, measure: test_loss, at_most: 2.3}")
    assert claim.level is not None and claim.level.at_most == 2.3
    _, claim = only_claim(
        tmp_path, f"level: {{arm: the old one, measure: test_acc, about: 0.8003, within: 0.01}}, {PAPER}"
    )
    assert claim.only_at is not None and claim.only_at.dataset == "cifar10"


def test_the_hash_changes_with_what_is_claimed_and_with_nothing_else(tmp_path: Path) -> None:
    claims = [
        Claim.model_validate({"name": name, "says": "So.", "source": "S", "fit": {"arm": {"a": 1}, "is": "overfit"}})
        for name in ("one", "two")
    ]
    assert claims_hash(claims) == claims_hash(claims[::-1]) != claims_hash(claims[:1])
    changed = claims[1].model_copy(update={"says": "Not so."})
    assert claims_hash([claims[0], changed]) != claims_hash(claims)
    assert claims_hash([Claim.model_validate_json(claim.model_dump_json()) for claim in claims]) == claims_hash(claims)
    # worked out apart, with the sha256 of coreutils, so that it stays what it is in manifests that exist
    assert claims_hash([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


@pytest.mark.parametrize("name", catalogue())
def test_claims_change_nothing_in_what_is_trained(name: str) -> None:
    made = catalogue_study(name, "quick")
    without = make_plan(made.model_copy(update={"claims": ()}), "data")
    assert make_plan(made, "data").trials == without.trials


@pytest.mark.parametrize("name", catalogue())
def test_the_catalogues_claims_speak_of_the_same_arms_in_each_profile(name: str) -> None:
    spoken_of = []
    for profile in read_profiles():
        made = catalogue_study(name, profile)
        assert made.claims, "each question of the report made a claim"
        spoken_of.append([labels(made, arms_of(made, claim.statement)) for claim in made.claims])
        plan = make_plan(made, "data")
        assert StudyPlan.model_validate_json(plan.model_dump_json()) == plan
    assert spoken_of[0] == spoken_of[1] == spoken_of[2]


@pytest.mark.parametrize(
    ("question", "measure", "about"),
    [
        ("q2", "val_acc", [0.65, 0.65]),
        ("q6", "test_acc", [0.7028, 0.7928]),
        ("q6", "test_loss", [1.178, 0.675]),
        ("q7", "test_acc", [0.8064]),
        ("q7", "test_loss", [0.6086]),
        ("summary", "test_acc", [0.8003]),
        ("summary", "test_loss", [0.609]),
    ],
)
def test_every_number_that_the_report_published_is_a_claim_at_its_budget(
    question: str, measure: str, about: list[float]
) -> None:
    claims = [
        claim
        for claim in find_question(question).question.claims
        if claim.level and claim.level.measure == measure and claim.level.about is not None
    ]
    assert [claim.level.about for claim in claims if claim.level] == about
    assert all(claim.only_at and claim.only_at.profile == "paper" for claim in claims)


def test_the_reports_choices_of_architecture_each_stand_against_what_else_was_tried() -> None:
    made = catalogue_study("q1", "paper")
    chosen = [
        (claim.best.axis.split(".")[1], claim.best.value, len(best_arms(made, claim.best)[1]))
        for claim in made.claims
        if claim.best
    ]
    assert chosen == [
        ("layers_per_block", 8, 3), ("hidden_layer_count", 5, 2), ("hidden_layer_size", 100, 2),
        ("layers_per_block", 4, 2), ("hidden_layer_count", 4, 2), ("hidden_layer_size", 120, 2), ("pool_every", 2, 1),
    ]  # fmt: skip
