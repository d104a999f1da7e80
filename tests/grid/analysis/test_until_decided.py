"""The whole procedure of `--until-decided` on tables, again and again: how often it finds what is not there."""

import numpy as np
import pandas as pd
import pytest

from grid.analysis.conclusion import conclude
from grid.analysis.evidence import gather
from grid.analysis.family import Looks
from grid.analysis.verdicts import judge_study
from grid.questions.claims import Claim
from grid.questions.study import Study
from grid.records.plan import StudyPlan, make_plan
from grid.runs.sequential import open_questions, seeds_of_next_look
from tests.grid.analysis.simulated import Trainings, World, draw_trainings, equal_arms
from tests.grid.constructed import DATA_FINGERPRINT, small_study

MOST_SEEDS = 12
NUM_EXPERIMENTS = 80
NO_EPOCHS = pd.DataFrame({"fingerprint": pd.Series(dtype=str)})


def study_of(num_arms: int) -> Study:
    """Arms of which the first is claimed to be better than the second, and the best of all."""
    claims = (
        Claim(name="better", says="x", source="x", better={"arm": "0", "than": "1"}),
        Claim(name="best", says="x", source="x", best={"axis": "optimizer.lr", "value": 0.001}),
    )
    return small_study(tuple(map(str, range(num_arms)))).model_copy(update={"claims": claims})


def trials_of(plan: StudyPlan, trainings: Trainings) -> pd.DataFrame:
    """The table of a plan's trials."""
    rows = [
        {"study": plan.study.name, "arm": t.arm, "seed": t.seed, "stage": "full", "status": "ok", "fit": "well fit"}
        | {"fingerprint": t.fingerprint, "val_acc": trainings.val_acc[t.arm, t.seed]}
        | {"test_acc": trainings.right[t.arm, t.seed].mean()}
        for t in plan.trials
    ]
    return pd.DataFrame(rows)


def run_until_decided(trainings: Trainings) -> tuple[set[str], bool]:
    """Looks, and gives seeds to what is open, until nothing is or there are no more seeds.

    Returns:
        The verdicts on the first claim at any look, and whether any difference between two arms was ever found.
    """
    plan, verdicts, found = make_plan(study_of(len(trainings.right)), DATA_FINGERPRINT), set[str](), False
    while True:
        plan = plan.looked_at()
        trials = trials_of(plan, trainings)
        right = {t.fingerprint: trainings.right[t.arm, t.seed] for t in plan.trials}
        conclusion = conclude(judge_study(gather(plan.study, trials, NO_EPOCHS, right), Looks(plan.looks)), trials)
        judgement = conclusion.judgement
        verdicts |= {judgement.verdicts[0].verdict}
        found |= any(finding.direction for finding in judgement.pairs.values())
        found |= any(v.verdict == "refuted" for v in judgement.verdicts) or verdicts >= {"reproduced"}
        seeds = seeds_of_next_look(plan, open_questions(conclusion), budget=1000)
        if seeds is None or max(seeds) > MOST_SEEDS:
            return verdicts, found
        plan = plan.with_seeds(seeds)


@pytest.mark.slow
@pytest.mark.parametrize("num_arms", [2, 4])
def test_where_no_arm_is_better_the_chance_to_find_one_at_any_look_stays_small(num_arms: int) -> None:
    rng = np.random.default_rng(num_arms)
    world = World(equal_arms(num_arms), num_images=2000, num_val_images=500)
    found = sum(run_until_decided(draw_trainings(world, MOST_SEEDS, rng))[1] for _ in range(NUM_EXPERIMENTS))
    assert found <= 0.05 * NUM_EXPERIMENTS + 2.6 * (0.05 * 0.95 * NUM_EXPERIMENTS) ** 0.5


def test_a_large_difference_is_found_with_the_seeds_that_it_needs() -> None:
    rng = np.random.default_rng(0)
    world = World((0.85, 0.80), num_images=2000, num_val_images=500)
    verdicts = [run_until_decided(draw_trainings(world, MOST_SEEDS, rng))[0] for _ in range(20)]
    assert sum("reproduced" in seen for seen in verdicts) >= 18
    assert not any("refuted" in seen for seen in verdicts)
