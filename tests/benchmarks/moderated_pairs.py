"""All pairs of arms with moderated variances: error rates, coverage, power and winner sets where the truth is known.

`tests/grid/analysis/moderated.py` says what is simulated. With 2,500 studies a share of 5 % is known to 0.9 points.
Run it as a module.
"""

import time

import numpy as np

from grid.analysis.cases import MARGIN
from grid.analysis.family import BETTER, CLAIMS, EQUAL, WINNERS
from grid.analysis.inference import ALPHA, Effect, half_width, holm, p_between, report_levels
from tests.grid.analysis.moderated import (
    compare,
    covered,
    draw,
    draw_answers,
    find_pairs,
    outside,
    ratios,
    upright,
)

NUM_STUDIES = 2_500
NUM_IN_FULL = 400
NUM_BESIDE = 1_000
ARMS = (4, 6, 10, 20)
SEEDS = (3, 5)
IMAGES = (10_000, 1_000, 360)
LOOKS = (3, 5, 8, 12)


def percent_any(effect: Effect, level: float = BETTER * ALPHA) -> float:
    """Studies in which any of equal arms is found better: Holm's first step decides."""
    size = upright(effect)
    return 100 * float((size.mean > half_width(size, level / size.mean.shape[1])).any(axis=1).mean())


def row(name: str, *values: float) -> None:
    print(f"    {name:<58}" + "".join(f"{value:9.2f}" for value in values), flush=True)


def no_difference(rng: np.random.Generator) -> None:
    """Any false "better", the worst world of each kind; and coverage, the mean and the least."""
    print(f"\n  No difference: any false 'better' among all pairs; {NUM_STUDIES:,} studies a world")
    print(f"    {'':<58}{'worst':>9}{'mean':>9}{'cover':>9}{'least':>9}")
    for num_images in IMAGES:
        for num_arms in ARMS:
            for num_seeds in SEEDS:
                seen: dict[str, tuple[float, float]] = {}
                for name, phi in ratios(NUM_STUDIES, num_arms, rng):
                    if phi.max() > num_images / 16:  # seeds would vary by more than there is room for
                        continue
                    effect = compare(draw(phi, num_seeds, rng, num_images=num_images))
                    seen[name] = (percent_any(effect), 100 * covered(effect))
                worst = max(seen, key=lambda name: seen[name][0])
                rates, coverage = np.array(list(seen.values())).T
                title = f"{num_images:,} images, {num_arms} arms, {num_seeds} seeds (worst: {worst})"
                row(title, rates.max(), rates.mean(), coverage.mean(), coverage.min())


def other_worlds(rng: np.random.Generator) -> None:
    """Correlated seeds, heavy tails, every answer drawn; skew and collapses apart."""
    print("\n  The same where other things are true; then skew and collapses")
    print(f"    {'':<58}" + "".join(f"{f'{n} @{s}':>9}" for n in ARMS for s in SEEDS))
    worlds: dict[str, dict[str, object]] = {f"seeds correlate {c}": {"correlation": c} for c in (0.2, 0.5, -0.2, -0.5)}
    worlds |= {name: {"tails": name} for name in ("t3", "skewed", "collapses")}
    for name, options in worlds.items():
        values = []
        for num_arms in ARMS:
            for num_seeds in SEEDS:
                phi = np.full((NUM_STUDIES, num_arms), 10.0)
                values.append(percent_any(compare(draw(phi, num_seeds, rng, **options))))  # type: ignore[arg-type]
        row(name, *values)
    values = [percent_any(compare(draw_answers(NUM_IN_FULL, n, s, 360, rng))) for n in ARMS for s in SEEDS]
    row(f"beta difficulty, luck by class, 360 images, {NUM_IN_FULL} studies", *values)


def some_differ(rng: np.random.Generator) -> None:
    """Some arms far below the others: false findings within each part, by Holm's steps to their end."""
    print("\n  Some arms at 40 %, the others at 95 %, some wild at 80 over 1 or 3: any false 'better' within a part")
    for num_arms in ARMS:
        num_studies = NUM_STUDIES if num_arms <= 6 else 600
        first, second = np.triu_indices(num_arms, 1)
        for num_high in sorted({num_arms // 2, num_arms - 2}):
            acc = np.where(np.arange(num_arms) < num_high, 0.95, 0.4)
            same = acc[first] == acc[second]
            values = []
            for wild, others in ((1, 1), (1, 3), (2, 1), (2, 3)):
                phi = np.where(np.arange(num_arms) < wild, 80.0, float(others))
                found = find_pairs(compare(draw(np.tile(phi, (num_studies, 1)), 3, rng, acc=acc))) != 0
                values.append(100 * float((found & same).any(axis=1).mean()))
            row(f"{num_high} of {num_arms} arms high, 1 or 2 wild, {num_studies:,} studies", *values)


def false_equality(rng: np.random.Generator) -> None:
    """Two halves that differ by exactly the margin: any pair of arms of both found equal."""
    print(f"\n  Two halves that differ by half a point: any of their pairs found equal, {NUM_BESIDE:,} studies")
    print(f"    {'ratios of 1, 3 and 10':<58}" + "".join(f"{f'{s} seeds':>9}" for s in (3, 5, 12, 20)))
    for num_arms in ARMS[:3]:
        acc = 0.85 + np.where(np.arange(num_arms) % 2, MARGIN / 2, -MARGIN / 2)
        first, second = np.triu_indices(num_arms, 1)
        differ = acc[first] != acc[second]
        for phi in (1.0, 3.0, 10.0):
            values = []
            for num_seeds in (3, 5, 12, 20):
                effect = compare(draw(np.full((NUM_BESIDE, num_arms), phi), num_seeds, rng, acc=acc))
                found = np.array([holm(p) for p in p_between(effect, -MARGIN, MARGIN)]) <= EQUAL * ALPHA
                values.append(100 * float((found & differ).any(axis=1).mean()))
            row(f"{num_arms} arms, ratio {phi:g}", *values)


def power(rng: np.random.Generator) -> None:
    """One arm better by 2 points: found better than a certain other one; seeds deviate by 0.24 points."""
    print("\n  Power: one arm better by 2 points, 3 seeds; without claims, and where claims have their share")
    for num_arms in (5, 10, 20):
        acc = np.where(np.arange(num_arms) == 0, 0.87, 0.85)
        phi = np.tile(1 + 0.0024**2 * 10_000 / (acc * (1 - acc) / 2), (NUM_STUDIES, 1))
        effect = compare(draw(phi, 3, rng, acc=acc))
        others = slice(0, num_arms - 1)
        found = [find_pairs(effect, share * BETTER * ALPHA)[:, others] > 0 for share in (1.0, 1 - CLAIMS)]
        row(f"{num_arms} arms", *(100 * float(part.mean()) for part in found))


def winner_sets(rng: np.random.Generator) -> None:
    """How large the set of the possible best is, and how often the truly best arm is outside."""
    print("\n  Winner sets, 3 seeds: mean size, arms not found worse than any, truly best arm outside (percent)")
    for num_arms in ARMS:
        for name, gaps in (
            ("none differs", np.zeros(num_arms)),
            ("from 85 % down by a point each", 0.01 * np.arange(num_arms)),
            ("one arm half a point above the others", np.where(np.arange(num_arms) == 0, 0.0, 0.005)),
        ):
            acc = np.asarray(0.85 - gaps, dtype=np.float64)
            phi = np.tile(np.where(np.arange(num_arms) == 0, 25.0, 3.0), (600, 1))
            effect = compare(draw(phi, 3, rng, acc=acc))
            found = find_pairs(effect)
            first, second = np.triu_indices(num_arms, 1)
            worse = np.zeros((600, num_arms), bool)
            for pair, (a, b) in enumerate(zip(first, second, strict=True)):
                worse[:, a] |= found[:, pair] < 0
                worse[:, b] |= found[:, pair] > 0
            out = worse | outside(effect, num_arms, WINNERS * ALPHA)
            row(f"{num_arms} arms, {name}", (~out).sum(1).mean(), (~worse).sum(1).mean(), 100 * out[:, 0].mean())


def with_looks(rng: np.random.Generator) -> None:
    """Reports read at 3, 5, 8 and 12 seeds, and at 3, 4, … 10: any false "better" on any of them."""
    print("\n  No difference, reports read again and again: any false 'better' on any")
    for looks in (LOOKS, tuple(range(3, 11))):
        for num_arms in ARMS:
            values = []
            for phi in (3.0, 30.0):
                ratio = np.full((NUM_STUDIES, num_arms), 3.0)
                ratio[:, 0] = phi
                seen = draw(ratio, max(looks), rng)
                ever = np.zeros(NUM_STUDIES, bool)
                for num_seeds, level in zip(looks, report_levels(len(looks)), strict=True):
                    size = upright(compare(seen, num_seeds))
                    level = BETTER * level / size.mean.shape[1]
                    ever |= (size.mean > half_width(size, level)).any(axis=1)
                values.append(100 * float(ever.mean()))
            row(f"{num_arms} arms, looks at {', '.join(map(str, looks))}; alike, one wild", *values)


def with_a_claim(rng: np.random.Generator) -> None:
    """A page with a claim on the wild arm: any false finding of the claim or of a pair."""
    print("\n  No difference, and a claim that the wild arm is better than another: any false finding")
    for num_arms in ARMS:
        values = []
        for phi in (25.0, 80.0, 300.0):
            ratio = np.ones((NUM_STUDIES, num_arms))
            ratio[:, 0] = phi
            seen = draw(ratio, 3, rng)
            effect = compare(seen)
            gap = seen.by_seed[:, 0] - seen.by_seed[:, 1]
            paired = Effect(gap.mean(axis=1), gap.std(axis=1, ddof=1) / 3**0.5, 3, np.sqrt(seen.image_variance[:, 0]))
            claim = np.abs(paired.mean) > half_width(paired, CLAIMS * BETTER * ALPHA)
            size = upright(effect)
            level = (1 - CLAIMS) * BETTER * ALPHA / size.mean.shape[1]
            pairs_too = (size.mean > half_width(size, level)).any(axis=1)
            values.append(100 * float((claim | pairs_too).mean()))
        row(f"{num_arms} arms, wild at 25, 80, 300 over 1", *values)


def main() -> None:
    """Prints all tables."""
    start, rng = time.perf_counter(), np.random.default_rng(11)
    print("Moderated pairs: shares in percent")
    tables = (power, winner_sets, with_a_claim, with_looks, some_differ, false_equality, other_worlds, no_difference)
    for table in tables:
        table(rng)
    print(f"  took {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
