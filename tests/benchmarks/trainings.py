"""Real trainings on CIFAR-10, kept as right answers: power, wrong signs and false findings of both tests of pairs.

`python -m tests.benchmarks.trainings RESULTS` makes the kept table from a results folder of one study; without a
folder, the tables are printed. No image is in it: of each training, which of the test images it is right about.
"""

import sys
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from grid.analysis.family import BETTER
from grid.analysis.inference import ALPHA, Effect, crossed_effect
from grid.analysis.moderation import moderate
from tests.benchmarks.moderated_pairs import row
from tests.grid.analysis.moderated import find_pairs
from tests.grid.analysis.simulated import find_better

KEPT = Path(__file__).parent.parent / "grid" / "analysis" / "trainings.parquet"
"""Columns: `arm`, `seed`, `val_acc`, `right` (one bit an image, in the order of the test set), `num_images`."""
NUM_SUBSETS = 60
MIN_GAP = 0.03
"""Pairs that differ by more, by all seeds, are to be found."""

Answers = dict[str, npt.NDArray[np.bool_]]
"""Right answers `(S, N)` of each arm."""
Find = Callable[[Sequence[npt.NDArray[np.bool_]]], npt.NDArray[np.int8]]
"""Which arm of each pair is better, `(P,)`, from the right answers `(S, N)` of every arm."""


def keep(results: Path, target: Path = KEPT) -> None:
    """Makes the kept table from a results folder."""
    trials = pd.read_parquet(results / "trials.parquet").query("status == 'ok'")
    predictions = pd.read_parquet(results / "predictions").sort_values("image")
    right = predictions["label"] == predictions["predicted"]
    packed = right.groupby(predictions["fingerprint"]).agg(lambda answers: np.packbits(answers).tobytes())
    table = trials[["arm_label", "seed", "val_acc", "fingerprint"]].rename(columns={"arm_label": "arm"})
    table["right"] = table.pop("fingerprint").map(packed)
    table["num_images"] = predictions["image"].nunique()
    table.sort_values(["arm", "seed"]).to_parquet(target, index=False, compression="zstd")


def kept() -> Answers:
    """Right answers of every arm, from the kept table."""
    table = pd.read_parquet(KEPT)
    number = int(table["num_images"].iloc[0])
    bits = [np.unpackbits(np.frombuffer(right, np.uint8), count=number).astype(bool) for right in table["right"]]
    return {str(arm): np.stack([bits[i] for i in places]) for arm, places in table.groupby("arm").indices.items()}


def moderated(arms: Sequence[npt.NDArray[np.bool_]]) -> npt.NDArray[np.int8]:
    """By moderated variances, as the project compares pairs."""
    moderation = moderate(dict(enumerate(arms)))
    assert moderation is not None
    effects = [moderation.difference(*pair) for pair in combinations(range(len(arms)), 2)]
    return np.asarray(find_pairs(_stacked(effects))[0])


def paired(arms: Sequence[npt.NDArray[np.bool_]]) -> npt.NDArray[np.int8]:
    """By each pair's own seeds, as claims are judged."""
    answers = [arm.astype(np.int8) for arm in arms]
    effects = [crossed_effect(a - b) for a, b in combinations(answers, 2)]
    return np.asarray(find_better(_stacked(effects), BETTER * ALPHA)[0])


def power(answers: Answers, num_seeds: int, find: Find, rng: np.random.Generator, num_subsets: int) -> Sequence[float]:
    """Of random seeds: the share of far pairs that is found, and wrong signs a study; by all seeds."""
    means = np.array([arm.mean() for arm in answers.values()])
    truth = np.array([means[a] - means[b] for a, b in combinations(range(len(means)), 2)])
    far, shares, wrong = np.abs(truth) > MIN_GAP, [], []
    for _ in range(num_subsets):
        found = find([arm[rng.choice(len(arm), num_seeds, replace=False)] for arm in answers.values()])
        shares.append(float((found == np.sign(truth))[far].mean()))
        wrong.append(int((found == -np.sign(truth)).sum()))
    return 100 * float(np.mean(shares)), float(np.mean(wrong))


def false_findings(answers: Answers, num_arms: int, find: Find, rng: np.random.Generator, num_studies: int) -> float:
    """Percent of studies of some arms, each divided into pseudo-arms of three seeds, in which one beats its like."""
    false, names = 0, rng.permutation(sorted(answers))
    for study in range(num_studies):
        chosen = [names[(study + step) % len(names)] for step in range(num_arms)]
        parts: list[npt.NDArray[np.bool_]] = []
        of: list[str] = []
        for name in chosen:
            seeds = rng.permutation(len(answers[name]))
            split = [answers[name][seeds[start : start + 3]] for start in range(0, len(seeds) - 2, 3)]
            parts, of = [*parts, *split], [*of, *[name] * len(split)]
        alike = np.array([a == b for a, b in combinations(of, 2)])
        false += bool((find(parts) != 0)[alike].any())
    return 100 * false / num_studies


def _stacked(effects: list[Effect]) -> Effect:
    return Effect(*np.array(effects, dtype=float).T[:, None])


def main() -> None:
    """Prints both tables."""
    answers, rng = kept(), np.random.default_rng(13)
    num_seeds = min(map(len, answers.values()))
    print(f"Real trainings on CIFAR-10: {len(answers)} arms of {num_seeds} seeds or more; {NUM_SUBSETS} random subsets")
    print("  Far pairs found, in percent, and wrong signs a study: moderated, then paired")
    for seeds in (3, 5):
        values = [value for find in (moderated, paired) for value in power(answers, seeds, find, rng, NUM_SUBSETS)]
        row(f"{seeds} seeds", *values)
    print("  Arms divided into pseudo-arms of 3 seeds: studies in which one is found better than its like, in percent")
    for num_arms, num_studies in ((2, 500), (5, 100)):
        values = [false_findings(answers, num_arms, find, rng, num_studies) for find in (moderated, paired)]
        row(f"{num_arms} real at a time, {num_studies:,} studies: moderated, paired", *values)


if __name__ == "__main__":
    keep(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
