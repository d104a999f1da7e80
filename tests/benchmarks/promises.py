"""What is promised beside findings on pairs: the error of curve claims, numbers of seeds, the picked arm's figure.

Run it as a module.
"""

import math
import time

import numpy as np
from scipy import special

from grid.analysis.advice import CHANCES, DOUBT, seeds_to_find
from grid.analysis.evidence import delay_effect, epochs_behind, roughness
from grid.analysis.family import BETTER, CLAIMS
from grid.analysis.inference import ALPHA, Array, Effect, half_width, p_above, seed_effect
from grid.analysis.selection import luck_of_highest
from tests.benchmarks.moderated_pairs import row

NUM_STUDIES = 5_000
NUM_ADVISED = 400
SEEDS = (3, 5, 8, 12, 20)
ONE_CLAIM = CLAIMS * BETTER * ALPHA
"""Error rate of a question's only claim."""
MOST_SEEDS = 400


def draw_curve(num_epochs: int, luck: float, rate: float, rng: np.random.Generator) -> Array:
    """A curve that rises to a level, both of which luck changes, with noise of two points."""
    rate, level = rate * math.exp(rng.normal(0, luck)), 0.6 * math.exp(rng.normal(0, luck / 4))
    rising = 0.1 + level * (1 - np.exp(-rate * np.arange(1, num_epochs + 1)))
    return np.asarray(rising + rng.normal(0, 0.02, num_epochs))


def stacked(effects: list[Effect]) -> Effect:
    """Many effects as one of arrays."""
    return Effect(*np.array(effects, dtype=float).T)


def curve_claims(rng: np.random.Generator) -> None:
    """Equal arms: how often a claim on their curves is decided, in percent, at the level that one claim has."""
    print(f"\n  Equal arms: one claim on curves is decided, percent of {NUM_STUDIES:,}; {100 * ONE_CLAIM:.2f} may be")
    print(f"    {'':<58}" + "".join(f"{f'{seeds} seeds':>9}" for seeds in SEEDS))
    for num_epochs, luck, rate in ((3, 0.6, 0.5), (4, 0.02, 0.01), (5, 1.0, 0.3), (10, 0.5, 0.1), (20, 0.3, 0.2)):
        curves = [[draw_curve(num_epochs, luck, rate, rng) for _ in range(2)] for _ in range(NUM_STUDIES)]
        gaps = np.array([epochs_behind(*pair) for pair in curves])
        rough = np.array([roughness(a) - roughness(b) for a, b in curves])
        late: list[float] = []
        uneven: list[float] = []
        for num_seeds in SEEDS:
            some = rng.integers(0, NUM_STUDIES, (NUM_STUDIES, num_seeds))
            for values, found in ((gaps, late), (rough, uneven)):
                effects = [delay_effect(v, num_epochs - 1) if values is gaps else seed_effect(v) for v in values[some]]
                p = np.minimum(p_above(stacked(effects)), p_above(stacked([e.turned for e in effects])))
                found.append(100 * float((2 * p <= ONE_CLAIM).mean()))
        piled = 100 * float((np.abs(gaps) >= num_epochs - 1).mean())
        row(f"{num_epochs} epochs, {piled:.0f} % of delays at the longest: slower or faster", *late)
        row(f"{num_epochs} epochs: smoother", *uneven)


def advised_seeds(rng: np.random.Generator) -> None:
    """Numbers of seeds that are named for what a claim left open, and what came of it at these numbers."""
    print(f"\n  Seeds that are named for an open claim, {NUM_ADVISED} studies each: named in percent of the open ones;")
    print("  decided at the lower and at the upper number; their medians")
    spread, image_se = 0.005, 0.0008
    for num_seeds in (3, 5, 8):
        for ratio in (0.0, 0.5, 1.0, 2.0):
            named, num_open, numbers = 0, 0, []
            found: list[list[bool]] = []
            for _ in range(NUM_ADVISED):
                d = ratio * spread + rng.normal(0, image_se) + rng.normal(0, spread, MOST_SEEDS)
                d *= np.sign(d[:num_seeds].mean())
                effect = seed_effect(d[:num_seeds])._replace(image_se=image_se)
                p = float(p_above(effect))
                num_open += p > ONE_CLAIM / 2
                if not ONE_CLAIM / 2 < p <= DOUBT:
                    continue
                ends = [seeds_to_find(effect, ONE_CLAIM / 2, 0, math.inf, chance) for chance in CHANCES]
                if None not in ends:
                    named += 1
                    numbers.append(ends)
                    found.append([_is_found(d, number, image_se) for number in ends])
            percent = 100 * np.mean(found, axis=0) if found else (np.nan, np.nan)
            medians = np.median(np.array(numbers, dtype=float), axis=0) if numbers else (np.nan, np.nan)
            title = f"{num_seeds} seeds, difference {ratio:g} deviations"
            row(title, 100 * named / max(num_open, 1), *percent, *medians)


def _is_found(d: Array, number: int | None, image_se: float) -> bool:
    effect = seed_effect(d[: min(number or MOST_SEEDS, MOST_SEEDS)])._replace(image_se=image_se)
    return bool(effect.mean > half_width(effect, ONE_CLAIM))


def picked_figures(rng: np.random.Generator) -> None:
    """The picked arm's test accuracy less the truth, in points: mean and root mean square, as it is and corrected."""
    print("\n  Points by which the picked arm's figure is too high, 1,000 studies: mean, corrected; root mean squares;")
    print("  coverage of its interval over seeds, as it is and corrected")
    for num_arms in (5, 20):
        even = special.ndtri((np.arange(num_arms) + 0.5) / num_arms)
        worlds: dict[str, tuple[Array, Array | float]] = {
            "equal arms": (np.full(num_arms, 0.85), 0.004),
            "half a point apart": (0.85 + 0.005 * even, 0.004),
            "one ahead by 2 points": (np.where(np.arange(num_arms) == 0, 0.87, 0.85), 0.004),
            "half of the arms vary five times as much": (
                np.full(num_arms, 0.85),
                np.where(np.arange(num_arms) % 2, 0.004, 0.02),
            ),
            "one far below, at 55 % give or take 20": (
                np.where(np.arange(num_arms) == 0, 0.55, 0.85),
                np.where(np.arange(num_arms) == 0, 0.2, 0.004),
            ),
        }
        for name, (truth, spread) in worlds.items():
            for num_seeds in (3, 5):
                row(f"{num_arms} arms, {num_seeds} seeds, {name}", *_picked(truth, spread, num_seeds, rng))


def _picked(truth: Array, spread: Array | float, num_seeds: int, rng: np.random.Generator) -> list[float]:
    off, covered = [], []
    for _ in range(1000):
        lucky = truth[:, None] + rng.normal(size=(len(truth), num_seeds)) * np.reshape(spread, (-1, 1))
        val, test = (np.clip(lucky + rng.normal(0, math.sqrt(0.06 / n), lucky.shape), 0, 1) for n in (5_000, 10_000))
        means, ses = val.mean(axis=1), val.std(axis=1, ddof=1) / math.sqrt(num_seeds)
        best = int(means.argmax())
        others = np.arange(len(truth)) != best
        luck = luck_of_highest(means[best], ses[best], means[others].tolist(), ses[others].tolist())
        centred = [part - part.mean(axis=1, keepdims=True) for part in (val, test)]
        luck *= float(np.clip((centred[0] * centred[1]).sum() / np.square(centred[0]).sum(), 0, 1))
        effect = seed_effect(test[best])
        too_high = np.array([effect.mean - truth[best], effect.mean - luck - truth[best]])
        off.append(100 * too_high)
        covered.append(np.abs(too_high) <= half_width(effect))
    return [*np.mean(off, axis=0), *np.sqrt(np.square(off).mean(axis=0)), *(100 * np.mean(covered, axis=0))]


def main() -> None:
    """Prints all tables."""
    start, rng = time.perf_counter(), np.random.default_rng(12)
    print("Promises")
    for table in (curve_claims, advised_seeds, picked_figures):
        table(rng)
    print(f"  took {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
