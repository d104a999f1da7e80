"""Error rates, coverage and power of the project's inference where the truth is known, beside other methods.

`tests/grid/analysis/simulated.py` says what is simulated. With 20,000 experiments a share of 5 % is known to 0.3
points, with 1,000 to 1.4. Run it as a module.
"""

import math
import time
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from grid.analysis.cases import MARGIN
from grid.analysis.inference import ALPHA, Array, Effect, half_width
from tests.grid.analysis.simulated import (
    WORLDS,
    Differences,
    Width,
    World,
    draw_differences,
    draw_in_full,
    equal_arms,
    find_better,
    find_better_by_looks,
    pairs,
    rejection_rate,
)

NUM_EXPERIMENTS = 20_000
NUM_AT_ONCE = 2_500
NUM_BESIDE = 5_000
"""Experiments of other methods, and of power; the bootstrap has `NUM_AT_ONCE`."""
NUM_IN_FULL = 1_000
"""Experiments in which every answer is drawn."""
NUM_RESAMPLES = 500
SEEDS = (3, 5, 10)
ARMS = (2, 5, 10, 20)
LOOKS = (3, 5, 8, 12)
POINTS = (0.25, 0.5, 1.0, 2.0, 5.0)
IMAGE_SHARES = (0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.9, 0.98, 1.0)


def recovered(effect: Effect, alpha: float) -> Array:
    """Ours without its last term."""
    seeds, images = (effect._replace(image_se=0.0), effect._replace(seed_se=0.0))
    return np.hypot(half_width(seeds, alpha), half_width(images, alpha))


def satterthwaite(effect: Effect, alpha: float) -> Array:
    """Student's, with the degrees of freedom that match the variance of the variance."""
    seeds, images = np.square(effect.seed_se), np.square(effect.image_se)
    df = np.square(seeds + images) * (effect.num_seeds - 1) / np.maximum(np.square(seeds), 1e-300)
    return np.asarray(-special.stdtrit(np.minimum(df, 1e6), alpha / 2) * np.sqrt(seeds + images))


def seeds_alone(effect: Effect, alpha: float) -> Array:
    """Student's of the means by seed, as if no other test images existed."""
    return half_width(effect._replace(image_se=0.0), alpha)


def normal(effect: Effect, alpha: float) -> Array:
    """As if the spread between so few seeds were known."""
    return half_width(effect._replace(seed_se=0.0, image_se=np.hypot(effect.seed_se, effect.image_se)), alpha)


def pooled(effect: Effect, alpha: float) -> Array:
    """Ours, with one spread between seeds for all pairs of arms."""
    num_arms = (1 + math.isqrt(1 + 8 * effect.mean.shape[1])) // 2
    spread = np.sqrt(np.square(effect.seed_se).mean(axis=1, keepdims=True))
    return half_width(effect._replace(seed_se=spread, num_seeds=(num_arms - 1) * (effect.num_seeds - 1) + 1), alpha)


METHODS: dict[str, Width] = {
    "ours": half_width,
    "without its last term": recovered,
    "Satterthwaite's degrees of freedom": satterthwaite,
    "seeds alone, images ignored": seeds_alone,
    "normal, spread taken as known": normal,
}


def bootstrap_p(drawn: Differences) -> Array:
    """Two-sided p-values `(R, P)` of no difference by the percentile bootstrap over seeds and images.

    It resamples seeds in all ways there are, or in `NUM_RESAMPLES` of them; the mean over thousands of resampled images
    is normal.

    Source: Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1 (it counts three times what seeds and
    images vary together).
    """
    num_seeds = drawn.by_seed.shape[-1]
    ways = list(combinations_with_replacement(range(num_seeds), num_seeds))
    counts = np.array([np.bincount(way, minlength=num_seeds) for way in ways])
    chances = stats.multinomial.pmf(counts, num_seeds, np.full(num_seeds, 1 / num_seeds))
    if len(counts) > NUM_RESAMPLES:
        counts = np.random.default_rng(0).choice(counts, NUM_RESAMPLES, p=chances / chances.sum())
        chances = np.full(NUM_RESAMPLES, 1 / NUM_RESAMPLES)
    image = np.maximum(drawn.images_square - drawn.rest_square, 0) / num_seeds
    below = np.zeros(image.shape)
    for weights, chance in zip(counts / num_seeds, chances, strict=True):
        variance = (image + drawn.rest_square * np.square(weights).sum()) / drawn.num_images
        below += chance * special.ndtr(-(drawn.by_seed @ weights) / np.sqrt(variance))
    return np.asarray(2 * np.minimum(below, 1 - below))


def draw_all(world: World, num_seeds: int, num_experiments: int = NUM_EXPERIMENTS) -> Iterator[Differences]:
    """Draws many experiments, some at a time."""
    rng = np.random.default_rng(4)
    for _ in range(num_experiments // NUM_AT_ONCE):
        yield draw_differences(world, num_seeds, NUM_AT_ONCE, rng)


def percent_any(found: Sequence[npt.NDArray[Any]]) -> float:
    """Share of experiments with anything found among their pairs; each part is `(R, P)`."""
    return 100 * float(np.mean([(part != 0).any(axis=1).mean() for part in found]))


def percent_covered(effects: Sequence[Effect], truth: float = 0.0) -> float:
    """Share of intervals of 95 % that hold the truth."""
    return 100 * float(np.mean([(np.abs(effect.mean - truth) <= half_width(effect)).mean() for effect in effects]))


def print_table(title: str, columns: Sequence[object], rows: Iterator[tuple[str, Sequence[float]]]) -> None:
    """Prints rows as they come."""
    print(f"\n  {title}\n    {'':<46}" + "".join(f"{column!s:>10}" for column in columns))
    for label, values in rows:
        print(f"    {label:<46}" + "".join(f"{value:10.2f}" for value in values), flush=True)


def family_wise() -> Iterator[tuple[str, Sequence[float]]]:
    """Any false "better" among all pairs, by seeds and arms."""
    for num_seeds in SEEDS:
        worlds = [World(equal_arms(num_arms)) for num_arms in ARMS]
        yield (
            f"{num_seeds} seeds",
            [percent_any([find_better(d.effect) for d in draw_all(w, num_seeds)]) for w in worlds],
        )


def whatever_is_true() -> Iterator[tuple[str, Sequence[float]]]:
    """The same among five arms, and coverage, where other things are true."""
    for name, world in WORLDS.items():
        effects = [[drawn.effect for drawn in draw_all(world, num_seeds)] for num_seeds in SEEDS]
        yield name, [percent_any([find_better(e) for e in some]) for some in effects] + [*map(percent_covered, effects)]
    for accuracy in (0.87, 0.97, 0.99):
        world = World(equal_arms(5, accuracy), num_images=360, num_val_images=1)
        rng = np.random.default_rng(4)
        full = [draw_in_full(world, num_seeds, NUM_IN_FULL, rng)[0] for num_seeds in SEEDS]
        name = f"360 images, {accuracy:.0%}, every answer drawn"
        yield name, [percent_any([find_better(e)]) for e in full] + [percent_covered([e]) for e in full]


def by_image_share() -> Iterator[tuple[str, Sequence[float]]]:
    """Coverage by the images' part of the variance."""
    for num_seeds in SEEDS:
        for name, width in METHODS.items():
            yield (
                f"{num_seeds} seeds, {name}",
                [100 - 100 * rejection_rate(width, num_seeds, share, ALPHA) for share in IMAGE_SHARES],
            )


def far_out() -> Iterator[tuple[str, Sequence[float]]]:
    """How many times too often a single test rejects, at the proportion where that is worst."""
    shares = np.linspace(0, 1, 41)
    for num_seeds in SEEDS:
        for name, width in METHODS.items():
            if width is seeds_alone:
                continue
            rates = [2 * ALPHA, ALPHA, *(ALPHA / math.comb(num_arms, 2) for num_arms in (5, 10, 20))]
            worst = [max(rejection_rate(width, num_seeds, share, rate) / rate for share in shares) for rate in rates]
            yield f"{num_seeds} seeds, {name}", worst


def other_methods(world: World) -> Iterator[tuple[str, Sequence[float]]]:
    """Any false "better" among 2, 5 and 20 arms, then coverage with five."""
    for num_seeds in SEEDS:
        rows: dict[str, list[float]] = {name: [] for name in (*METHODS, "pooled spread", "bootstrap, seeds and images")}
        covered: dict[str, float] = {}
        for num_arms in (2, 5, 20):
            arms = World(equal_arms(num_arms), luck_sd=world.luck_sd, num_wild=world.num_wild)
            drawn = list(draw_all(arms, num_seeds, NUM_BESIDE))
            rate = ALPHA / math.comb(num_arms, 2)  # with no difference at all, Holm's first step decides
            for name, width in (METHODS | {"pooled spread": pooled}).items():
                rows[name].append(percent_any([np.abs(d.effect.mean) > width(d.effect, rate) for d in drawn]))
                covered[name] = 100 * float(np.mean([np.abs(d.effect.mean) <= width(d.effect, ALPHA) for d in drawn]))
            p = bootstrap_p(drawn[0])
            rows["bootstrap, seeds and images"].append(percent_any([p <= rate]))
            covered["bootstrap, seeds and images"] = 100 * float((p > ALPHA).mean())
        for name, values in rows.items():
            yield f"{num_seeds} seeds, {name}", [*values, covered[name]]


def with_looks() -> Iterator[tuple[str, Sequence[float]]]:
    """Any false "better" by a look, summed up; then the share of true ones found by then."""
    for num_arms in ARMS:
        drawn = list(draw_all(World(equal_arms(num_arms)), max(LOOKS)))
        until = [percent_any([find_better_by_looks(d, LOOKS[: n + 1]) for d in drawn]) for n in range(len(LOOKS))]
        yield f"{num_arms} arms, none better", until
    for points in (0.5, 1.0, 2.0):
        for num_arms in (2, 5):
            world = World((0.85 + points / 100, *equal_arms(num_arms - 1)))
            drawn = list(draw_all(world, max(LOOKS), NUM_BESIDE))
            found = [[find_better_by_looks(d, LOOKS[: n + 1])[:, 0] > 0 for d in drawn] for n in range(len(LOOKS))]
            yield f"{num_arms} arms, one better by {points} points", [100 * float(np.mean(part)) for part in found]


def equality() -> Iterator[tuple[str, Sequence[float]]]:
    """Two arms found equal within the margin, by their true difference in points."""
    for num_seeds in (*SEEDS, 20):
        row = []
        for points in (0.0, 0.25, 0.5, 1.0):
            effects = [d.effect for d in draw_all(World((0.85 + points / 100, 0.85)), num_seeds)]
            inside = [np.abs(e.mean) + half_width(e, 2 * ALPHA) <= MARGIN for e in effects]
            row.append(100 * float(np.mean(inside)))
        yield f"{num_seeds} seeds", row


def power() -> Iterator[tuple[str, Sequence[float]]]:
    """One arm better than all others, by points: the chance that it is found better than a certain other one."""
    for num_arms in (2, 5, 20):
        for num_seeds in SEEDS:
            row = []
            for points in POINTS:
                world = World((0.85 + points / 100, *equal_arms(num_arms - 1)))
                effect = draw_differences(world, num_seeds, NUM_BESIDE, np.random.default_rng(4)).effect
                row.append(100 * float((find_better(effect)[:, : num_arms - 1] > 0).mean()))
            yield f"{num_arms} arms, {num_seeds} seeds", row


def chosen_on_validation() -> Iterator[tuple[str, Sequence[float]]]:
    """No arm is better: how often one seems so beside the best on validation, by what is corrected for."""
    for name in ("the usual", "trained briefly"):
        for num_seeds in SEEDS:
            few, all_pairs = [], []
            for num_arms in (5, 10, 20):
                first, second = pairs(num_arms)
                world = World(equal_arms(num_arms), luck_sd=WORLDS[name].luck_sd)
                wrong: dict[int, list[npt.NDArray[np.bool_]]] = {num_arms - 1: [], len(first): []}
                for drawn in draw_all(world, num_seeds):
                    best = drawn.val_acc.mean(axis=-1).argmax(axis=1)[:, None]
                    of_best = (first == best) | (second == best)
                    for number, found in wrong.items():
                        size = np.abs(drawn.effect.mean)
                        found.append(of_best & (size > half_width(drawn.effect, ALPHA / number)))
                few.append(percent_any(wrong[num_arms - 1]))
                all_pairs.append(percent_any(wrong[len(first)]))
            yield f"{name}, {num_seeds} seeds, its own pairs", few
            yield f"{name}, {num_seeds} seeds, all pairs", all_pairs


def main() -> None:
    """Prints all tables."""
    start = time.perf_counter()
    print(
        f"Calibration: shares in percent, of {NUM_EXPERIMENTS:,} experiments, {NUM_BESIDE:,} for other "
        f"methods and power, {NUM_AT_ONCE:,} for the bootstrap, {NUM_IN_FULL:,} where every answer is drawn"
    )
    arms = [f"{num_arms} arms" for num_arms in ARMS]
    both = [f"{what} @{num_seeds}" for what in ("false", "cover") for num_seeds in SEEDS]
    print_table("No difference: any false 'better' among all pairs", arms, family_wise())
    print_table("The same among 5 arms, and coverage of 95 % intervals, at 3, 5 and 10 seeds", both, whatever_is_true())
    print_table("Coverage by the images' part of the variance", IMAGE_SHARES, by_image_share())
    rates = ["10 %", "5 %", "0.5 %", "0.11 %", "0.026 %"]
    print_table("A single test: at most so many times its error rate", rates, far_out())
    columns = ["2 arms", "5 arms", "20 arms", "cover"]
    for name in ("the usual", "trained briefly", "one arm varies five times as much"):
        print_table(f"Other methods, {name}: any false 'better', and coverage", columns, other_methods(WORLDS[name]))
    print_table("Looks at growing data: found by then", [f"{n} seeds" for n in LOOKS], with_looks())
    print_table("Found equal within 0.5 points, by true difference", ["0", "0.25", "0.5", "1"], equality())
    print_table("Power, by true difference in points", POINTS, power())
    print_table(
        "No difference, the best on validation picked", ["5 arms", "10 arms", "20 arms"], chosen_on_validation()
    )
    print(f"  took {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
