"""The set of arms that may be the best, collapsed seeds, and reports that were read before."""

import numpy as np
import pytest

from grid.analysis.cases import Subject
from grid.analysis.collapse import is_collapsed
from grid.analysis.conclusion import Conclusion, conclude
from grid.analysis.estimates import estimate
from grid.analysis.evidence import Evidence, gather
from grid.analysis.family import Looks
from grid.analysis.inference import ALPHA, half_width, p_above
from grid.analysis.verdicts import judge_study
from grid.questions.claims import Claim, claims_hash
from grid.questions.study import Study
from tests.grid.analysis.simulated import Trainings, World, draw_trainings, equal_arms
from tests.grid.constructed import epochs_frame, small_study, trials_frame


def evidence_of(trainings: Trainings, claims: tuple[Claim, ...] = ()) -> tuple[Evidence, Study]:
    num_arms, num_seeds = trainings.val_acc.shape
    study = small_study(tuple("ABCDEFGHIJKLMNOPQRST"[:num_arms]), seeds=tuple(range(num_seeds)))
    study = study.model_copy(update={"claims": claims})
    val = {arm: trainings.val_acc[arm].tolist() for arm in range(num_arms)}
    test = {arm: trainings.right[arm].mean(axis=1).tolist() for arm in range(num_arms)}
    trials = trials_frame(study, val, test).assign(fit="well fit")
    right = {f"{arm}-{seed}": trainings.right[arm, seed] for arm in range(num_arms) for seed in range(num_seeds)}
    return gather(study, trials, epochs_frame(trials), right), study


def concluded(world: World, num_seeds: int, claims: tuple[Claim, ...] = (), seed: int = 0) -> Conclusion:
    trainings = draw_trainings(world, num_seeds, np.random.default_rng(seed))
    evidence, study = evidence_of(trainings, claims)
    trials = trials_frame(study, {a: v.tolist() for a, v in enumerate(trainings.val_acc)})
    return conclude(judge_study(evidence), trials)


def best_claim(label: str, number: int) -> Claim:
    best = {"axis": "optimizer.lr", "value": 0.001 * (number + 1)}
    return Claim(name=label.lower(), says=label, source="x", best=best)


def test_far_arms_are_not_among_those_that_may_be_the_best_and_near_ones_are() -> None:
    world = World((0.90, 0.898, 0.85, 0.80, 0.60, 0.30), num_images=2000, num_val_images=2000)
    conclusion = concluded(world, 3)
    assert set(conclusion.winners) == {0, 1}
    assert "with 95 % confidence the best is among these 2: " in conclusion.sentence
    assert "not yet" in conclusion.sentence and "can't be told" not in conclusion.sentence
    assert set(conclusion.behind) >= {3, 4, 5}


def test_the_truly_best_arm_is_rarely_outside() -> None:
    world = World((0.86, *equal_arms(5, 0.855)), num_images=500, num_val_images=500)
    rng = np.random.default_rng(7)
    lost = sum(0 not in judge_study(evidence_of(draw_trainings(world, 3, rng))[0]).winners for _ in range(60))
    assert lost <= 3


def test_of_opposite_claims_at_most_one_is_reproduced_and_none_against_the_answer() -> None:
    claims = (best_claim("A", 0), best_claim("B", 1))
    world = World((0.85, 0.852), taste_sd=0.1, luck_sd=0.01)
    words = []
    for seed in range(6):
        conclusion = concluded(world, 20, claims, seed)
        a, b = (verdict.verdict for verdict in conclusion.judgement.verdicts)
        words += [a, b]
        assert (a, b).count("reproduced") <= 1
        assert not (conclusion.sentence.startswith("“B” is best") and a == "reproduced")
    assert "practically equal" in words


def test_a_lone_low_seed_collapsed_and_spread_out_ones_did_not() -> None:
    assert is_collapsed(np.array([0.514, 0.839, 0.853]))
    assert is_collapsed(np.array([0.80, *np.linspace(0.85, 0.856, 14)]))
    assert not is_collapsed(np.array([0.80, 0.83, 0.86])), "no lower than chance gives"
    assert not is_collapsed(np.array([0.849, 0.859, 0.8591])), "a point is not far"


def test_a_collapsed_seed_is_named() -> None:
    trainings = draw_trainings(World(equal_arms(2), num_images=500), 5, np.random.default_rng(1))
    trainings.right[1, 3] &= np.random.default_rng(2).random(500) < 0.5
    evidence, study = evidence_of(trainings)
    trials = trials_frame(study, {a: v.tolist() for a, v in enumerate(trainings.val_acc)})
    notes = conclude(judge_study(evidence), trials).notes
    assert any(note.startswith("Seed 3 of “B” collapsed: ") for note in notes)


def test_reports_that_were_read_before_cost_later_ones_and_are_named() -> None:
    trainings = draw_trainings(World((0.87, 0.85), num_images=2000), 5, np.random.default_rng(0))
    evidence, study = evidence_of(trainings)
    looks = Looks(((3, 3), (4, 4), (5, 5)), by_hand=True)
    assert [level for level, _ in looks.views(evidence)] == pytest.approx([ALPHA, ALPHA / 6, ALPHA / 12])
    fresh, third = judge_study(evidence), judge_study(evidence, looks)
    assert third.pairs[0, 1].p >= fresh.pairs[0, 1].p
    trials = trials_frame(study, {a: v.tolist() for a, v in enumerate(trainings.val_acc)})
    (note,) = [note for note in conclude(third, trials).notes if "shown before" in note]
    assert "at 3, 4 seeds" in note and "0.4 %" in note
    assert not any("shown before" in note for note in conclude(fresh, trials).notes)


def test_a_level_is_judged_over_seeds_and_images_unless_it_is_said_otherwise() -> None:
    trainings = draw_trainings(World(equal_arms(2), num_images=500), 6, np.random.default_rng(3))
    evidence, _ = evidence_of(trainings)
    seeds, images, both = (evidence.measure(0, "test_acc", over) for over in ("seeds", "images", "both"))
    assert seeds.mean == pytest.approx(images.mean) == pytest.approx(both.mean)
    assert (seeds.image_se, images.seed_se) == (0, 0)
    by_image = trainings.right[0].mean(axis=0)
    assert images.image_se == pytest.approx(by_image.std(ddof=1) / 500**0.5)
    assert both.image_se > 0 and half_width(both) > max(half_width(seeds), half_width(images)) * 0.95


def test_a_level_claim_says_what_it_is_over_and_old_hashes_stay() -> None:
    def claim(**level: object) -> Claim:
        return Claim(name="x", says="x", source="x", level={"arm": "A", "at_least": 0.8} | level)

    assert claim(measure="test_acc").level.judged_over == "both"  # type: ignore[union-attr]
    assert claim(measure="val_acc").level.judged_over == "seeds"  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="only seeds can be judged"):
        claim(measure="val_acc", over="images")
    assert (
        claims_hash([claim(measure="test_acc")]) == "ff032987af496de2e36ce8ebe86cc3618d89cb11563f98136f02898faa316eaf"
    )
    assert claims_hash([claim(measure="test_acc", over="seeds")]) != claims_hash([claim(measure="test_acc")])


def test_delays_that_pile_up_at_the_longest_possible_are_coins_not_certainty() -> None:
    evidence, _ = evidence_of(draw_trainings(World(equal_arms(2), num_images=200), 3, np.random.default_rng(3)))
    for seed in range(3):
        for arm, curve in ((0, [0.1, 0.11, 0.12]), (1, [0.5, 0.6, 0.7])):
            evidence.epochs[f"{arm}-{seed}"].loc[:, "val_acc"] = curve[: len(evidence.epochs[f"{arm}-{seed}"])]
    gap = evidence.curve_gap(0, 1, "val_acc")
    assert gap is not None and gap.seed_se == 0
    assert p_above(gap) == 1 / 8
    seen = estimate(evidence, Subject("delay", (0, 1), "val_acc"))
    assert seen.interval is None, "never 3.0 to 3.0"
