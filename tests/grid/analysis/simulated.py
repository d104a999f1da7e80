"""Arms with a known truth: right answers by seed and image, with variances of CIFAR-10's real size.

**The model.** Training `s` of arm `a` is right about image `i` if

    skill[a] + ease[i] + taste[a, i] + luck[a, s] + luck_of_all[s] + noise[a, s, i] > 0

All but the skill are normal, and the noise has variance 1. `ease` is the same for all arms. `taste` is what an arm adds
to it, so that arms of equal accuracy differ image by image beyond chance. `luck` makes one training better than
another on every image, and so on validation images too. The skill is set so that the expected accuracy, over images
and trainings, is exactly what is asked for; "no difference" means that this is equal. Every draw has new images and
new trainings.

**The sizes.** By default, at an accuracy of 85 %: two trainings of one arm differ in being right about 13 % of the
images, two of different arms about 15 %; accuracies of trainings on 10,000 images have a standard deviation of 0.35
points. Of that, 0.26 points come from each training's own errors, image by image, and 0.24 from its luck; trainings
that go on until nothing changes have less luck, short ones more.

**Two levels.** `draw_trainings` draws every answer. `draw_differences` draws what these amount to, means by seed as
normal numbers and mean squares as chi-square ones: thousands of times as fast, and the same for thousands of images.

Shapes: R experiments, A arms, P = A (A - 1) / 2 pairs of arms, S seeds, N images.

Source: Jordan 2024, On the Variance of Neural Network Training with respect to Test Sets and Distributions, ICLR (a
training's errors are nearly independent over images, and most of the variance between trainings on a test set comes
from that); Jiang et al. 2022, Assessing Generalization of SGD via Disagreement, ICLR (two trainings disagree about as
often as one errs).
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from grid.analysis.inference import ALPHA, LUCK, Array, Effect, crossed_effect, half_width, holm, look_levels, p_above

Width = Callable[[Effect, float], Array]

WILD = 5.0
"""How many times as much luck a wild arm has."""
NUM_NODES = 80
"""Nodes of an integral over one normal number."""


@dataclass(frozen=True)
class World:
    """What is true.

    Attributes:
        accuracies: Expected accuracy of each arm.
        num_images: Test images.
        num_val_images: Validation images.
        ease_sd: Standard deviation of `ease`, on the scale of the noise; the others alike.
        taste_sd: Of `taste`.
        luck_sd: Of `luck`.
        luck_of_all_sd: Of `luck_of_all`, by which arms are paired.
        num_wild: So many arms, from the first on, have `WILD` times as much luck.
    """

    accuracies: tuple[float, ...]
    num_images: int = 10_000
    num_val_images: int = 5_000
    ease_sd: float = 1.6
    taste_sd: float = 0.6
    luck_sd: float = 0.02
    luck_of_all_sd: float = 0.0
    num_wild: int = 0

    @property
    def luck_sds(self) -> Array:
        """Standard deviation of each arm's luck, `(A,)`."""
        return self.luck_sd * np.where(np.arange(len(self.accuracies)) < self.num_wild, WILD, 1.0)

    @property
    def total_sds(self) -> Array:
        """Standard deviation of everything but the skill together, `(A,)`."""
        same = self.ease_sd**2 + self.taste_sd**2 + self.luck_of_all_sd**2 + 1
        return np.asarray(np.sqrt(same + self.luck_sds**2))


class Covariances(NamedTuple):
    """Of right answers, as 0 and 1: `image` between arms for one image and two seeds, `seed` for one seed and two
    images, both `(A, A)`; `rest` `(A,)` is what is left of an arm's variance."""

    image: Array
    seed: Array
    rest: Array


class Trainings(NamedTuple):
    """One experiment: right answers on test images `(A, S, N)` and validation accuracies `(A, S)`."""

    right: npt.NDArray[np.bool_]
    val_acc: Array


@dataclass(frozen=True)
class Differences:
    """Many experiments: every pair of arms, the first minus the second.

    Attributes:
        by_seed: Means by seed, `(R, P, S)`.
        images_square: Mean squares of images, `(R, P)`.
        rest_square: Mean squares of the rest, `(R, P)`.
        num_images: N.
        val_acc: Validation accuracies of the arms, `(R, A, S)`.
    """

    by_seed: Array
    images_square: Array
    rest_square: Array
    num_images: int
    val_acc: Array

    @property
    def effect(self) -> Effect:
        """What `crossed_effect` would make of each, `(R, P)`."""
        num_seeds = self.by_seed.shape[-1]
        total = num_seeds * self.num_images
        seeds_square = self.num_images * self.by_seed.var(axis=-1, ddof=1)
        smallest = stats.chi2.ppf(LUCK, num_seeds - 1) / (num_seeds - 1) * self.rest_square
        seed_se = np.sqrt(np.maximum(seeds_square, smallest) / total)
        image_se = np.sqrt(np.maximum(self.images_square - self.rest_square, 0) / total)
        return Effect(self.by_seed.mean(axis=-1), seed_se, num_seeds, image_se)

    def after(self, num_seeds: int) -> "Differences":
        """The same with the first seeds only; the images' part, being well known, is what it is with all."""
        image = (self.images_square - self.rest_square) * num_seeds / self.by_seed.shape[-1]
        return dataclasses.replace(
            self,
            by_seed=self.by_seed[..., :num_seeds],
            images_square=image + self.rest_square,
            val_acc=self.val_acc[..., :num_seeds],
        )


def equal_arms(num_arms: int, accuracy: float = 0.85) -> tuple[float, ...]:
    """Accuracies of arms that do not differ."""
    return (accuracy,) * num_arms


WORLDS = {
    "the usual": World(equal_arms(5)),
    "one arm varies five times as much": World(equal_arms(5), num_wild=1),
    "seeds are shared": World(equal_arms(5), luck_of_all_sd=0.04),
    "trained to the end": World(equal_arms(5), luck_sd=0.0),
    "trained briefly": World(equal_arms(5), luck_sd=0.06),
    "very different arms": World(equal_arms(5), taste_sd=2.0),
    "accuracy 60 %": World(equal_arms(5, 0.6)),
    "accuracy 97 %": World(equal_arms(5, 0.97)),
}
"""Five arms without a difference, and what else may be true of them."""


def pairs(num_arms: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """First and second arm of every pair, each `(P,)`."""
    return np.triu_indices(num_arms, 1)


def draw_trainings(world: World, num_seeds: int, rng: np.random.Generator) -> Trainings:
    """Draws every answer of an experiment."""
    luck = rng.normal(size=(len(world.accuracies), num_seeds)) * world.luck_sds[:, None]
    luck += rng.normal(size=num_seeds) * world.luck_of_all_sd
    level = luck + (stats.norm.ppf(world.accuracies) * world.total_sds)[:, None]
    test, val = (_answers(world, level, number, rng) for number in (world.num_images, world.num_val_images))
    return Trainings(test, val.mean(axis=2))


def crossed_effects(right: npt.NDArray[np.bool_]) -> Effect:
    """The effect of every pair of arms, `(P,)`, from right answers `(A, S, N)`."""
    answers = right.astype(np.int8)
    effects = [crossed_effect(answers[a] - answers[b]) for a, b in zip(*pairs(len(right)), strict=True)]
    return Effect(*(np.array(part) for part in zip(*effects, strict=True)))


def draw_in_full(world: World, num_seeds: int, num_experiments: int, rng: np.random.Generator) -> tuple[Effect, Array]:
    """Effects `(R, P)` and validation accuracies `(R, A, S)` of experiments in which every answer is drawn."""
    drawn = (draw_trainings(world, num_seeds, rng) for _ in range(num_experiments))
    effects, val_acc = zip(*((crossed_effects(trainings.right), trainings.val_acc) for trainings in drawn), strict=True)
    stacked = Effect(*(np.array(part) for part in zip(*effects, strict=True)))
    return stacked._replace(num_seeds=num_seeds), np.array(val_acc)


def draw_differences(world: World, num_seeds: int, num_experiments: int, rng: np.random.Generator) -> Differences:
    """Draws means by seed and mean squares of many experiments."""
    covariances = covariances_of(world)
    first, second = pairs(len(world.accuracies))
    lucky = world.accuracies + _normal(covariances.seed, (num_experiments, num_seeds), rng)
    test, val = (
        lucky
        + _normal(covariances.image / number, (num_experiments, 1), rng)
        + rng.normal(size=lucky.shape) * np.sqrt(covariances.rest / number)
        for number in (world.num_images, world.num_val_images)
    )
    rest = covariances.rest[first] + covariances.rest[second]
    image = covariances.image
    images = num_seeds * (image[first, first] + image[second, second] - 2 * image[first, second]) + rest
    df, shape = world.num_images - 1, (num_experiments, len(first))
    return Differences(
        by_seed=np.moveaxis(test[..., first] - test[..., second], 1, 2),
        images_square=images * rng.chisquare(df, shape) / df,
        rest_square=rest * rng.chisquare(df * (num_seeds - 1), shape) / (df * (num_seeds - 1)),
        num_images=world.num_images,
        val_acc=np.moveaxis(val, 1, 2),
    )


@lru_cache
def covariances_of(world: World) -> Covariances:
    """What the model amounts to for right answers, by integrals over what two answers share."""
    accuracies, num_arms = np.array(world.accuracies), len(world.accuracies)
    own, independent = np.eye(num_arms), np.outer(accuracies, accuracies)
    image = _both_right(world, world.ease_sd**2 + own * world.taste_sd**2) - independent
    seed = _both_right(world, world.luck_of_all_sd**2 + own * world.luck_sds**2) - independent
    return Covariances(image, seed, accuracies * (1 - accuracies) - image.diagonal() - seed.diagonal())


def rejection_rate(width: Width, num_seeds: int, image_share: float, alpha: float) -> float:
    """Share of true hypotheses that a method rejects; exact, by an integral over the spread of the seeds.

    Args:
        width: Half-widths of intervals, from an effect and an error rate.
        num_seeds: S.
        image_share: The images' part of the variance of the mean.
        alpha: Error rate that is asked for.
    """
    density, spread = _spreads(num_seeds)
    effect = Effect(0.0, np.sqrt((1 - image_share) * spread), num_seeds, np.sqrt(image_share))
    return float((density * 2 * stats.norm.sf(width(effect, alpha))).sum())


def find_better(effect: Effect, level: float = ALPHA) -> npt.NDArray[np.int8]:
    """Which arm of each pair is found better, all pairs of an experiment being one family: 1, -1, or 0 for neither.

    Args:
        effect: Of every pair, `(R, P)`.
        level: Error rate of an experiment.
    """
    shape = np.shape(effect.mean)
    size = np.abs(effect.mean)
    first_step = (size > half_width(effect, level / shape[1])).any(axis=1, keepdims=True)  # else Holm stops at once
    unclear = first_step & (size > half_width(effect, level))  # else the p-value is above the level as it is
    p = np.ones(shape)
    chosen = effect._replace(mean=size)
    p[unclear] = 2 * p_above(Effect(*(np.broadcast_to(part, shape)[unclear] for part in chosen)))
    found = np.zeros(shape, np.int8)
    for experiment in np.flatnonzero(first_step):
        found[experiment] = holm(p[experiment]) <= level
    return np.asarray(found * np.sign(effect.mean).astype(np.int8))


def find_better_by_looks(differences: Differences, looks: Sequence[int]) -> npt.NDArray[np.int8]:
    """The same where one looks after so many seeds each time, and what was found stays found, `(R, P)`."""
    found = np.zeros(differences.images_square.shape, np.int8)
    for num_seeds, level in zip(looks, look_levels(len(looks)), strict=True):
        found = np.where(found == 0, find_better(differences.after(num_seeds).effect, level), found)
    return found


@lru_cache
def _spreads(num_seeds: int) -> tuple[Array, Array]:
    """Nodes for an integral over what a variance of seeds comes out as, and their weights; small ones count most."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    root = (nodes + 1) / 2
    return weights / 2 * 6 * root**5, stats.chi2.ppf(root**6, num_seeds - 1) / (num_seeds - 1)


def _answers(world: World, level: Array, num_images: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    num_arms, num_seeds = level.shape
    image = rng.standard_normal(num_images, np.float32) * np.float32(world.ease_sd)
    image = image + rng.standard_normal((num_arms, num_images), np.float32) * np.float32(world.taste_sd)
    latent = rng.standard_normal((num_arms, num_seeds, num_images), np.float32)
    latent += image[:, None]
    return latent > -level[..., None].astype(np.float32)


def _both_right(world: World, shared_variance: Array) -> Array:
    """Chance `(A, A)` that two answers are both right which share a normal number of this variance."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NUM_NODES)
    z = np.sqrt(shared_variance) * nodes[:, None, None]
    skill = stats.norm.ppf(world.accuracies) * world.total_sds
    own_sd = np.sqrt(np.square(world.total_sds)[:, None] - shared_variance)
    right = stats.norm.cdf((skill[:, None] + z) / own_sd)
    return np.asarray(np.tensordot(weights / weights.sum(), right * right.transpose(0, 2, 1), axes=1))


def _normal(covariance: Array, size: tuple[int, ...], rng: np.random.Generator) -> Array:
    return rng.multivariate_normal(np.zeros(len(covariance)), covariance, size, check_valid="ignore")
