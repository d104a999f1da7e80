"""Studies whose arms vary between seeds as they like, and all pairs of arms compared as the project does. Vectorised.

**The model.** The accuracy of seed `s` of arm `a` is `acc + luck[a, s] + rest[a, s] + image[a]`. The rest has variance
`r / N` with `r = acc (1 - acc) / 2`, as if half of what a training is right about were settled; the luck has `(phi -
1) r / N`; `image` is what the choice of test images adds, a sixth of `r / N`, and the same for all seeds of an arm.
Mean squares of the rest and of the images are drawn as chi-square ones.

**In full.** `draw_answers` draws every answer instead, of images whose difficulty is beta-distributed, by classes of
which each training is better at some than at others.

Shapes: R studies, A arms, P pairs, S seeds, N images.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from grid.analysis.family import BETTER, LAST_STEP, WINNERS
from grid.analysis.inference import ALPHA, Array, Effect, half_width, holm, p_above
from grid.analysis.moderation import log_odds, seed_variances
from tests.grid.analysis.simulated import pairs

Tails = Literal["normal", "t3", "skewed", "collapses"]
WILD_PHI = (4, 10, 25, 80, 300)


class Seen(NamedTuple):
    """What is seen of many studies: means by seed `(R, A, S)`, rest `(R, A)`, images' variance `(R, P)`, N."""

    by_seed: Array
    rest: Array
    image_variance: Array
    num_images: int


def draw(
    phi: Array,
    num_seeds: int,
    rng: np.random.Generator,
    *,
    acc: Array | float = 0.85,
    num_images: int = 10_000,
    tails: Tails = "normal",
    correlation: float = 0.0,
) -> Seen:
    """Draws studies of arms with ratios `phi` `(R, A)`; arms take turns in sign where seeds correlate negatively."""
    shape = (*phi.shape, num_seeds)
    r = np.broadcast_to(np.asarray(acc) * (1 - np.asarray(acc)) / 2, phi.shape)
    luck = _luck(shape, tails, rng)
    if correlation:
        sign = np.where(np.arange(shape[1]) % 2, np.sign(correlation), 1.0)[:, None]
        shared = rng.normal(size=(shape[0], 1, num_seeds)) * sign
        luck = np.sqrt(1 - abs(correlation)) * luck + np.sqrt(abs(correlation)) * shared
    unit = np.sqrt(r / num_images)[..., None]
    by_seed = luck * np.sqrt(phi - 1)[..., None] + rng.normal(size=shape) + rng.normal(size=(*phi.shape, 1)) / 6**0.5
    first, second = pairs(shape[1])
    df = num_images - 1
    image = (r[:, first] + r[:, second]) / 6 / num_images
    return Seen(
        np.clip(np.asarray(acc)[..., None] + by_seed * unit, 0, 1),
        r * rng.chisquare(df * (num_seeds - 1), phi.shape) / (df * (num_seeds - 1)),
        image * rng.chisquare(df, image.shape) / df,
        num_images,
    )


def draw_answers(
    num_studies: int, num_arms: int, num_seeds: int, num_images: int, rng: np.random.Generator, class_sd: float = 0.3
) -> Seen:
    """Draws every answer of equal arms: beta-distributed difficulty, and luck by class."""
    first, second = pairs(num_arms)
    parts = []
    for _ in range(num_studies):
        easy = np.clip(rng.beta(1.7, 0.3, num_images), 1e-4, 1 - 1e-4)
        luck = rng.normal(0, class_sd, (num_arms, num_seeds, 10))[..., np.arange(num_images) % 10]
        taste = rng.normal(0, 0.3, (num_arms, 1, num_images))
        right = rng.normal(size=(num_arms, num_seeds, num_images)) < stats.norm.ppf(easy) + luck + taste
        by_seed, by_image = right.mean(axis=2), right.mean(axis=1)
        error = right - by_image[:, None] - by_seed[..., None] + by_seed.mean(axis=1)[:, None, None]
        rest = np.square(error).sum(axis=(1, 2)) / ((num_seeds - 1) * (num_images - 1))
        image = (by_image[first] - by_image[second]).var(axis=1, ddof=1) - (rest[first] + rest[second]) / num_seeds
        parts.append((by_seed, np.maximum(rest, 0.5 / num_images), np.maximum(image, 0) / num_images))
    by_seeds, rests, images = (np.array(part) for part in zip(*parts, strict=True))
    return Seen(by_seeds, rests, images, num_images)


def compare(seen: Seen, num_seeds: int | None = None) -> Effect:
    """Every pair of arms with moderated variances, `(R, P)`; with the first seeds only if a number is given."""
    by_seed = seen.by_seed[..., :num_seeds]
    seeds = by_seed.shape[-1]
    acc = by_seed.mean(axis=-1)
    squares = seen.num_images * by_seed.var(axis=-1, ddof=1)
    variances, d0 = seed_variances(acc, squares, seen.rest, seeds, seen.num_images)
    p, se = log_odds(acc, variances, seen.num_images)
    first, second = pairs(acc.shape[-1])
    mean = acc[:, first] - acc[:, second]
    return Effect(
        mean,
        np.sqrt(variances[:, first] + variances[:, second]),
        np.full_like(mean, seeds),
        np.sqrt(seen.image_variance),
        np.broadcast_to(d0[:, None] + seeds - 1, mean.shape),
        p[:, first],
        se[:, first],
        p[:, second],
        se[:, second],
    )


def upright(effect: Effect) -> Effect:
    """Each difference from the side on which it is positive."""
    turned = effect.turned
    return Effect(*(np.where(effect.mean < 0, b, a) for a, b in zip(effect, turned, strict=True)))


def covered(effect: Effect, truth: Array | float = 0.0) -> float:
    """Share of 95 % intervals that hold the truth."""
    low, high = effect.mean - half_width(effect), effect.mean + half_width(effect, upward=True)
    return float(((low <= truth) & (truth <= high)).mean())


def find_pairs(effect: Effect, level: float = BETTER * ALPHA) -> np.ndarray:
    """Which arm of each pair is found better among all pairs, `(R, P)`: 1, -1, or 0 for neither."""
    size = upright(effect)
    num_pairs = effect.mean.shape[1]
    found = np.zeros(effect.mean.shape, np.int8)
    first_step = (size.mean > half_width(size, level / num_pairs)).any(axis=1)
    for study in np.flatnonzero(first_step):
        p = 2 * p_above(Effect(*(part[study] for part in size)))
        found[study] = np.maximum(holm(p), np.minimum(p * LAST_STEP * num_pairs, 1)) <= level
    return np.asarray(found * np.sign(effect.mean).astype(np.int8))


def outside(effect: Effect, num_arms: int, level: float = WINNERS * ALPHA) -> np.ndarray:
    """Which arms can't be the best, by comparisons with the best alone, `(R, A)`."""
    size = upright(effect)
    far = size.mean > half_width(size, min(1.0, 2 * level / (num_arms - 1)))
    first, second = pairs(num_arms)
    out = np.zeros((len(far), num_arms), bool)
    for pair, (a, b) in enumerate(zip(first, second, strict=True)):
        out[:, a] |= far[:, pair] & (effect.mean[:, pair] < 0)
        out[:, b] |= far[:, pair] & (effect.mean[:, pair] > 0)
    return out


def ratios(num_studies: int, num_arms: int, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Ratios `(R, A)` of arms in worlds without a difference: alike, some of them wild, and log-normal."""
    for phi in (1, 10, 100):
        yield f"all {phi}", np.full((num_studies, num_arms), float(phi))
    for wild in sorted({1, 2, 3, num_arms // 4, num_arms // 2, num_arms - 2, num_arms - 1} - {0, num_arms}):
        for phi in WILD_PHI:
            for others in (1, 3):
                arms = np.where(np.arange(num_arms) < wild, float(phi), float(others))
                yield f"{wild} at {phi} over {others}", np.tile(arms, (num_studies, 1))
    for sd in (0.5, 1.0, 1.5):
        yield f"log-normal {sd}", 1 + np.exp(rng.normal(1, sd, (num_studies, num_arms)))


def _luck(shape: tuple[int, ...], tails: Tails, rng: np.random.Generator) -> Array:
    """Luck of mean 0 and variance 1."""
    if tails == "t3":
        return np.asarray(rng.standard_t(3, shape) / np.sqrt(3))
    if tails == "skewed":
        return 1 - rng.exponential(size=shape)
    if tails == "collapses":  # one seed in fifteen loses as much as four usual deviations
        fell = rng.random(shape) < 1 / 15
        luck = rng.normal(size=shape) - 4 * fell + 4 / 15
        return np.asarray(luck / np.sqrt(1 + 16 * 14 / 225))
    return rng.normal(size=shape)
