"""Which arms get further seeds."""

from pathlib import Path

from grid.analysis.study_result import study_results
from grid.questions.claims import Claim
from grid.records.plan import make_plan
from grid.runs.sequential import next_num_seeds, open_questions, seeds_of_next_look
from grid.tables.tables import make_tables
from tests.grid.analysis.known_truth import fill, known_plan
from tests.grid.constructed import DATA_FINGERPRINT, small_study


def test_numbers_of_seeds_are_fixed_beforehand() -> None:
    numbers = [3]
    while len(numbers) < 6:
        numbers.append(next_num_seeds(numbers[-1]))
    assert numbers == [3, 5, 8, 12, 18, 27]
    assert next_num_seeds(1) == 2, "a single seed grows too"


def test_only_arms_of_what_is_open_get_seeds_as_far_as_the_budget_goes() -> None:
    plan = known_plan(num_seeds=3)
    wanted = [frozenset({0, 1}), frozenset({1, 2})]
    assert seeds_of_next_look(plan, wanted, budget=100) == (5, 5, 5, 3, 0)
    assert seeds_of_next_look(plan, wanted, budget=5) == (5, 5, 3, 3, 0), "the cheaper one first"
    assert seeds_of_next_look(plan, wanted, budget=3) is None
    assert seeds_of_next_look(plan, [], budget=100) is None


def test_what_is_decided_is_not_open_and_what_is_equal_neither(tmp_path: Path) -> None:
    claims = [
        Claim(name=f"{first}-over-{second}".lower(), says="x", source="x", better={"arm": first, "than": second})
        for first, second in (("A", "B"), ("C", "B"), ("A", "D"))
    ]
    plan = known_plan(num_seeds=8, claims=claims)
    conclusion = study_results([plan], make_tables([plan], fill(plan, tmp_path)))[0].conclusion
    assert open_questions(conclusion) == []


def test_without_claims_the_best_arm_and_its_equals_are_what_is_open(tmp_path: Path) -> None:
    plan = known_plan(num_seeds=2)
    conclusion = study_results([plan], make_tables([plan], fill(plan, tmp_path)))[0].conclusion
    assert all(0 in arms for arms in open_questions(conclusion))
    assert set(conclusion.winners) >= {0}


def test_a_plan_grows_by_the_next_seeds_and_remembers_its_looks() -> None:
    plan = known_plan(num_seeds=3).looked_at()
    grown = plan.with_seeds((5, 5, 3, 3, 0))
    assert grown.looks == ((3, 3, 3, 3, 0),)
    assert grown.num_seeds() == (5, 5, 3, 3, 0)
    assert len(grown.trials) == len(plan.trials) + 4
    assert grown.looked_at().looks[-1] == (5, 5, 3, 3, 0)
    assert grown.looked_at().looked_at() == grown.looked_at(), "to look twice at the same trials is one look"


def test_further_seeds_follow_the_first_one_of_the_study() -> None:
    plan = make_plan(small_study(seeds=(7, 8)), DATA_FINGERPRINT).with_seeds((2, 4))
    seeds = [{trial.seed for trial in plan.trials if trial.arm == arm} for arm in (0, 1)]
    assert seeds == [{7, 8}, {7, 8, 9, 10}]
