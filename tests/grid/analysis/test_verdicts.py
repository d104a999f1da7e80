"""What is said of arms whose truth is known, and of evidence that allows no verdict."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from grid.analysis.conclusion import Conclusion, conclude
from grid.analysis.evidence import gather
from grid.analysis.study_result import study_results
from grid.analysis.verdicts import judge_study
from grid.analysis.wording import verdict_in_words
from grid.formats import unbroken
from grid.questions.claims import Claim
from grid.records.files import Folder
from grid.records.plan import StudyPlan
from grid.report.pages import write_report
from grid.tables.tables import make_tables
from tests.grid.analysis.known_truth import fill, known_plan
from tests.grid.constructed import epochs_frame, small_study, trials_frame

CLAIMS = [
    {"name": "a-over-b", "better": {"arm": "A", "than": "B"}},
    {"name": "b-over-a", "better": {"arm": "B", "than": "A"}},
    {"name": "a-by-three", "better": {"arm": "A", "than": "B", "by": 3}},
    {"name": "c-over-b", "better": {"arm": "C", "than": "B"}},
    {"name": "a-over-d", "better": {"arm": "A", "than": "D"}},
    {"name": "a-over-e", "better": {"arm": "A", "than": "E"}},
    {"name": "a-best", "best": {"axis": "optimizer.lr", "value": 0.001}},
    {"name": "b-best", "best": {"axis": "optimizer.lr", "value": 0.002}},
    {"name": "a-at-82", "level": {"arm": "A", "measure": "test_acc", "about": 0.82, "within": 0.01, "over": "seeds"}},
    {"name": "a-at-82-on-other-images", "level": {"arm": "A", "measure": "test_acc", "about": 0.82, "within": 0.01}},
    {"name": "a-at-85", "level": {"arm": "A", "measure": "test_acc", "about": 0.85, "within": 0.01}},
    {"name": "a-at-least-80", "level": {"arm": "A", "measure": "test_acc", "at_least": 0.8}},
    {"name": "a-at-most-80", "level": {"arm": "A", "measure": "test_acc", "at_most": 0.8}},
]
ELSEWHERE = {"profile": "paper", "dataset": "cifar10"}
HERE = {"profile": "quick", "dataset": "digits"}


def claims(only_at: dict[str, str] = HERE) -> list[Claim]:
    return [Claim(says=c["name"], source="A test", only_at=only_at, **c) for c in CLAIMS]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyPlan, Conclusion, Path]:
    plan, folder = known_plan(claims=claims()), tmp_path_factory.mktemp("known")
    tables = make_tables([plan], fill(plan, folder))
    results = study_results([plan], tables)
    write_report(results, Folder(folder))
    return plan, results[0].conclusion, folder


def test_each_claim_about_a_known_truth_gets_the_verdict_that_is_true(
    known: tuple[StudyPlan, Conclusion, Path],
) -> None:
    verdicts = {verdict.claim.name: verdict for verdict in known[1].judgement.verdicts}
    assert {name: verdict.verdict for name, verdict in verdicts.items()} == {
        "a-over-b": "reproduced",
        "b-over-a": "refuted",
        "a-by-three": "refuted",
        "c-over-b": "practically equal",
        "a-over-d": "inconclusive",
        "a-over-e": "inconclusive",
        "a-best": "inconclusive",
        "b-best": "refuted",
        "a-at-82": "reproduced",
        "a-at-82-on-other-images": "inconclusive",
        "a-at-85": "refuted",
        "a-at-least-80": "reproduced",
        "a-at-most-80": "refuted",
    }
    assert verdicts["c-over-b"].equal
    assert verdicts["c-over-b"].way is None, "it is settled that they are equal"
    assert "“E” was stopped early" in str(verdicts["a-best"].why_not), "what was stopped might have been better"
    assert verdicts["a-over-d"].why_not == "“D” diverged on 4 of 8 seeds"
    assert verdicts["a-over-e"].why_not == "“E” was stopped early by the scheduler"


def test_the_page_says_exactly_what_is_true(known: tuple[StudyPlan, Conclusion, Path]) -> None:
    plan, conclusion, folder = known
    assert (conclusion.best, conclusion.winners) == (0, (0,))
    assert conclusion.sentence.startswith("“A” is best. Above “C”, the runner-up: +2.")
    html = (folder / f"{plan.study.name}.html").read_text(encoding="utf-8")
    page = unescape(re.sub("<[^>]+>", "", html))
    assert unbroken(conclusion.sentence) in page
    assert "Not compared: “D” diverged on 4 of 8 seeds." in page
    assert "Not compared: “E” was stopped early by the scheduler." in page
    verdict = conclusion.judgement.verdicts[0]
    assert f'href="#arms={",".join(map(str, sorted(verdict.arms)))}&amp;only=1"' in html
    assert all(trial in page for trial in verdict.fingerprints)


def test_a_verdict_rests_on_the_trials_of_both_arms(known: tuple[StudyPlan, Conclusion, Path]) -> None:
    plan, conclusion, _ = known
    mine = {trial.fingerprint for trial in plan.trials if trial.arm in (0, 1)}
    assert set(conclusion.judgement.verdicts[0].fingerprints) == mine


def test_a_claim_about_another_budget_is_not_comparable(tmp_path: Path) -> None:
    plan = known_plan(num_seeds=2, claims=claims(ELSEWHERE))
    conclusion = study_results([plan], make_tables([plan], fill(plan, tmp_path)))[0].conclusion
    assert {verdict.verdict for verdict in conclusion.judgement.verdicts} == {"not comparable"}
    assert "profile paper, here quick" in str(conclusion.judgement.verdicts[0].why_not)


def concluded(
    right: dict[tuple[int, int], np.ndarray], labels: tuple[str, ...], failed: dict[tuple[int, int], str] | None = None
) -> Conclusion:
    """What is concluded of arms whose right answers are given by (arm, seed)."""
    seeds = tuple(sorted({seed for _, seed in right}))
    study = small_study(labels, seeds=seeds)
    study = study.model_copy(
        update={"claims": (Claim(name="x", says="x", source="x", better={"arm": labels[0], "than": labels[1]}),)}
    )
    acc = {arm: [float(right[arm, seed].mean()) for seed in seeds] for arm in range(len(labels))}
    trials = trials_frame(study, acc, failed=failed).assign(fit="well fit")
    answers = {f"{arm}-{seed}": answer for (arm, seed), answer in right.items()}
    return conclude(judge_study(gather(study, trials, epochs_frame(trials), answers)), trials)


def answers(accuracy: float, seeds: int, generator: int, num_images: int = 2000) -> list[np.ndarray]:
    rng = np.random.default_rng(generator)
    return [rng.random(num_images) < accuracy for _ in range(seeds)]


def test_one_seed_gives_no_verdict_and_the_reason() -> None:
    conclusion = concluded({(0, 0): answers(0.9, 1, 0)[0], (1, 0): answers(0.5, 1, 1)[0]}, ("a", "b"))
    assert "no verdict: there is one seed only" in conclusion.sentence
    assert conclusion.winners == ()
    (verdict,) = conclusion.judgement.verdicts
    assert (verdict.verdict, verdict.way) == ("inconclusive", None)
    assert "one seed only" in str(verdict.why_not)


def test_arms_that_predict_the_same_are_equal_not_open() -> None:
    same = answers(0.8, 3, 0)
    conclusion = concluded({(arm, seed): same[seed] for arm in (0, 1) for seed in range(3)}, ("a", "b"))
    assert "are equal within half a point" in conclusion.sentence
    (verdict,) = conclusion.judgement.verdicts
    assert "predict the same for every image" in verdict_in_words(verdict, conclusion.judgement.evidence.study)


def test_seeds_that_do_not_vary_are_not_certainty() -> None:
    # every seed the same network: what another seed would give was not seen
    a, b = answers(0.82, 1, 0)[0], answers(0.80, 1, 1)[0]
    conclusion = concluded({(0, s): a for s in range(3)} | {(1, s): b for s in range(3)}, ("a", "b"))
    found = conclusion.judgement.compared(0, 1)
    assert found is not None and found.seen.interval is not None and found.seen.effect is not None
    assert found.seen.interval.low < found.seen.effect.mean < found.seen.interval.high


def test_an_arm_without_a_result_is_named_and_not_compared() -> None:
    right = {(arm, seed): value for arm in (0, 1, 2) for seed, value in enumerate(answers(0.5 + 0.2 * arm, 3, arm))}
    failed = {(2, seed): "error" for seed in range(3)}
    conclusion = concluded(right, ("a", "b", "c"), failed)
    assert conclusion.best == 1
    assert "Not compared: “c” has no trial that is ok." in conclusion.notes


def test_without_any_arm_to_judge_there_is_no_answer() -> None:
    right = {(arm, seed): value for arm in (0, 1) for seed, value in enumerate(answers(0.5, 3, arm))}
    conclusion = concluded(right, ("a", "b"), {(arm, seed): "diverged" for arm in (0, 1) for seed in range(3)})
    assert conclusion.best is None
    assert conclusion.sentence == "There is no answer: no arm can be judged (6 diverged)."


def test_an_optimum_on_the_edge_of_its_axis_is_flagged() -> None:
    right = {(arm, seed): value for arm in range(3) for seed, value in enumerate(answers(0.5 + 0.1 * arm, 3, arm))}
    assert (
        "high is the largest value tried for learning rate; the best may lie beyond."
        in concluded(right, ("low", "middle", "high")).notes
    )
    inner = {(arm, seed): right[{0: 0, 1: 2, 2: 1}[arm], seed] for arm, seed in right}
    assert concluded(inner, ("low", "middle", "high")).notes == ()


def test_a_difference_of_noise_is_not_a_finding_and_says_how_many_seeds_would_decide() -> None:
    right = {(arm, seed): value for arm in (0, 1) for seed, value in enumerate(answers(0.80 + 0.01 * arm, 3, arm))}
    conclusion = concluded(right, ("a", "b"))
    assert "“a” is not yet shown to be worse" in conclusion.sentence
    (verdict,) = conclusion.judgement.verdicts
    assert verdict.verdict == "inconclusive"
    assert verdict.way is not None and verdict.way.seeds > 3
