"""How sure a mean over a few seeds and many images is. Pure, and vectorised: every number may be an array.

**The model.** `d[s, i]` is how much an arm is right on image `i` with seed `s`, or by how much two arms differ there:
`d[s, i] = mean + seed[s] + image[i] + rest[s, i]`. Seeds and images are both samples: another seed and another test
set would give another mean. Its variance is `seed variance / S + image variance / N + rest / (S N)`. The spread of
the S means by seed holds the first and the last part, and is known from S - 1 degrees of freedom only; the middle
part is known well, since N is in the thousands.

**The interval.** For the seeds alone it is Student's; for the images alone it is the normal one. Their half-widths
`a` and `b` are put together as `sqrt(a² + b² - c a² b² / (a² + b²))` with `c = min(1, 2 / (S - 1))`. Without the last
term that is the method of variance estimates recovery, which covers up to 97.7 % at three seeds where both parts weigh
alike; with it, coverage is 94.9 to 96.3 % for 3 to 10 seeds, whatever their proportion. What was tried and left, with
its error at three seeds: Satterthwaite's degrees of freedom (a test at 0.5 % rejects 5 times too often, one at 0.03 %
46 times, since a spread that is small by luck also claims many degrees of freedom); a bootstrap over seeds and images
(covers 87 to 97 %, by how much seeds vary); seeds alone (covers less the more seeds there are, 86 % at ten). `make
bench` measures all of this.

**It assumes** that means by seed are near normal (each is a mean over thousands of images) and that seeds are drawn
independently; not that arms vary alike. A claim is judged by its own arms alone. Among all pairs of arms that costs
nearly all power at three seeds, so there the spread of each arm is moderated by that of the others
(`grid.analysis.moderation`); a pooled one finds false differences in 16 % of questions of 20 arms if one arm varies
five times as much.

Shapes: S seeds, N images.

Source: Searle, Casella and McCulloch 1992, Variance Components, ch. 4 (mean squares of the crossed model); Zou and
Donner 2008, Statistics in Medicine 27 (recovery of variance estimates).
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

ALPHA = 0.05
"""Error rate of a question: of all its comparisons together, and of the interval of one."""
LUCK = 0.025
"""Share of experiments in which means by seed lie closer together than the smallest spread that is believed."""

LEAST_P = 1e-100
"""The smallest p-value that is told from less."""

Array = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A 95 % interval, in the unit of what it is of."""

    low: float
    high: float


class Effect(NamedTuple):
    """A mean and where its uncertainty comes from; floats, or arrays of one shape.

    Attributes:
        mean: The mean.
        seed_se: Standard error from the means by seed.
        num_seeds: Their number; no interval exists below two.
        image_se: Standard error from the choice of images, beyond what shows between seeds.
        df: Degrees of freedom of the spread between seeds; NaN for one less than seeds.
        first_acc: Of a difference of two arms that is judged on the log-odds scale, the accuracy of the first, and
        first_se: the standard error of its log-odds from the seeds; NaN where means by seed are judged as they are.
        second_acc: Of the second arm.
        second_se: Of the second arm.
        num_above: Where sizes say nothing, so that each seed only counts as a coin that fell on one side: on how many
            the value is above 0, those at 0 half each. NaN for all of them, on the side of the mean.
    """

    mean: Any
    seed_se: Any
    num_seeds: Any
    image_se: Any = 0.0
    df: Any = math.nan
    first_acc: Any = math.nan
    first_se: Any = math.nan
    second_acc: Any = math.nan
    second_se: Any = math.nan
    num_above: Any = math.nan

    @property
    def identical(self) -> npt.NDArray[np.bool_]:
        """Whether nothing at all was seen to vary or to differ."""
        parts = (np.asarray(self.mean), np.asarray(self.seed_se), np.asarray(self.image_se))
        return np.asarray(np.logical_and.reduce([part == 0 for part in parts]))

    @property
    def turned(self) -> "Effect":
        """The same seen from the other side."""
        arms = (self.second_acc, self.second_se, self.first_acc, self.first_se)
        below = np.asarray(self.num_seeds) - np.asarray(self.num_above)
        return Effect(-np.asarray(self.mean), self.seed_se, self.num_seeds, self.image_se, self.df, *arms, below)

    @property
    def seeds_df(self) -> Array:
        """Degrees of freedom of the spread between seeds; NaN below two seeds."""
        seeds = np.asarray(self.num_seeds, dtype=float)
        given = np.asarray(self.df, dtype=float)
        return np.asarray(np.where(seeds > 1, np.where(np.isnan(given), seeds - 1, given), np.nan))


def crossed_effect(d: npt.ArrayLike) -> Effect:
    """The mean of `(S, N)` values with both of its errors.

    A spread between seeds below what the rest alone gives in 1 - `LUCK` of experiments is luck, and raised to that, or
    to what rounding to whole images hides; so seeds that agree by chance to the last image do not count as certain.
    """
    array = np.asarray(d, dtype=np.float32)
    num_seeds, num_images = array.shape
    if num_seeds < 2 or num_images < 2:
        return Effect(float(array.mean(dtype=float)), np.nan, num_seeds, np.nan)
    seen = mean_squares(array)
    luck = stats.chi2.ppf(LUCK, num_seeds - 1) / (num_seeds - 1)
    least = max(luck * seen.rest, 1 / (12 * num_images)) if seen.rest else 0.0
    total = num_seeds * num_images
    return Effect(
        float(seen.by_image.mean()),
        float(np.sqrt(max(seen.seeds, least) / total)),
        num_seeds,
        float(np.sqrt(max(seen.images - seen.rest, 0.0) / total)),
    )


class MeanSquares(NamedTuple):
    """Mean squares of seeds, of images and of the rest in the crossed model, and the mean at each image, `(N,)`."""

    seeds: float
    images: float
    rest: float
    by_image: Array


def mean_squares(d: npt.ArrayLike) -> MeanSquares:
    """The mean squares of `(S, N)` values, of two seeds and two images or more."""
    array = np.asarray(d, dtype=np.float32)
    num_seeds, num_images = array.shape
    by_seed, by_image = array.mean(axis=1, dtype=float), array.mean(axis=0, dtype=float)
    seeds = num_images * float(by_seed.var(ddof=1))
    left = float(np.square(array).sum(dtype=float)) - num_seeds * float(np.square(by_image).sum())
    rest = (left - seeds * (num_seeds - 1)) / ((num_seeds - 1) * (num_images - 1))
    rest = rest if rest > 1e-9 else 0.0  # what float arithmetic leaves of nothing
    return MeanSquares(seeds, num_seeds * float(by_image.var(ddof=1)), rest, by_image)


def seed_effect(values: npt.ArrayLike) -> Effect:
    """The mean of `(S,)` values, one a seed, on the very images they were measured on."""
    array = np.asarray(values, dtype=float)
    se = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else np.nan
    return Effect(float(array.mean()) if len(array) else np.nan, se, len(array))


def half_width(effect: Effect, alpha: npt.ArrayLike = ALPHA, upward: npt.ArrayLike = False) -> Array:
    """How far the two-sided interval with error rate `alpha` goes down, or up; NaN below two seeds.

    Both are the same but on the log-odds scale, where an arm near 0 or 1 has more room to one side.
    """
    df = effect.seeds_df
    rate = np.asarray(alpha, dtype=float) / 2
    t = -special.stdtrit(df, rate)
    with np.errstate(invalid="ignore", over="ignore"):
        a2 = np.square(effect.seed_se * t)
        if not np.isnan(np.asarray(effect.first_se)).all():
            a2 = np.where(np.isnan(effect.first_se), a2, _odds_reach(effect, t, upward))
        b2 = np.square(effect.image_se * special.ndtri(rate))
        shared = np.where(a2 + b2 > 0, a2 * b2 / (a2 + b2), 0.0)
    return np.asarray(np.sqrt(a2 + b2 - np.minimum(1, 2 / df) * shared))


def interval(effect: Effect, alpha: float = ALPHA) -> Interval | None:
    """The two-sided interval of one effect; None below two seeds."""
    down, up = (float(half_width(effect, alpha, upward)) for upward in (False, True))
    return None if np.isnan(down) else Interval(effect.mean - down, effect.mean + up)


def p_above(effect: Effect, threshold: npt.ArrayLike = 0.0) -> Array:
    """One-sided p-value: how well no effect above `threshold` explains what was seen; NaN below two seeds.

    It is the error rate at which the interval just reaches the threshold. Seeds that do not vary at all have no
    interval to speak of; then each is a coin that fell on one side (sign test).
    """
    distance = np.asarray(effect.mean - np.asarray(threshold), dtype=float)
    p = _two_sided(effect, np.abs(distance), upward=distance < 0) / 2
    p = np.where(distance >= 0, p, 1 - p)
    still = (np.asarray(effect.seed_se) == 0) & (np.asarray(effect.image_se) == 0)
    num_seeds, counted = np.asarray(effect.num_seeds, dtype=float), np.asarray(effect.num_above, dtype=float)
    all_or_none = np.isnan(counted) | np.isinf(distance)
    num_above = np.where(all_or_none, np.where(distance > 0, num_seeds, 0), counted)
    return np.where(still, stats.binom.sf(np.floor(num_above) - 1, num_seeds, 0.5), p)


def p_below(effect: Effect, threshold: npt.ArrayLike = 0.0) -> Array:
    """One-sided p-value: how well no effect below `threshold` explains what was seen."""
    return p_above(effect.turned, -np.asarray(threshold))


def p_between(effect: Effect, low: npt.ArrayLike, high: npt.ArrayLike) -> Array:
    """p-value of the finding that the effect lies between `low` and `high`, by two one-sided tests.

    Ends may be infinite; with one it is the one-sided test of the other.

    Source: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15.
    """
    inside = np.maximum(p_above(effect, low), p_below(effect, high))
    return np.where(effect.identical & (np.less(low, 0) & np.greater(high, 0)), 0.0, inside)


def holm(p_values: npt.ArrayLike) -> Array:
    """p-values `(m,)` corrected for their number, so that any false finding among them has rate `ALPHA` at most.

    A missing p-value is no test and stays missing.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, section 3.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return adjusted


def look_levels(num_looks: int, alpha: float = ALPHA) -> Array:
    """Error rates `(num_looks,)` of looks at data that grows: a half, a sixth, a twelfth … of `alpha`.

    They sum to `alpha` however often one looks, so that nothing has to be assumed of how looks depend on each other
    (Boole's inequality). The numbers of seeds have to be fixed beforehand; which arms get them may follow from what was
    seen.

    Source: the idea of spending an error rate: Lan and DeMets 1983, Biometrika 70; by Boole's inequality: Slud and
    Wei 1982, JASA 77.
    """
    look = np.arange(1, num_looks + 1)
    return alpha / (look * (look + 1.0))


def report_levels(num_looks: int, alpha: float = ALPHA) -> Array:
    """Error rates `(num_looks,)` of reports that are read before seeds are added: all, a sixth, a twelfth … of `alpha`.

    Nobody knows at the first report that another one follows, so it has the whole rate, and every later one pays as
    under `look_levels`. The sum is up to 1.5 `alpha`; but looks at data that grows mostly err together, so that the
    chance of any error at 3, 5, 8 and 12 seeds, or at 3, 4, … 10, stays below `alpha` (`make bench`).
    """
    levels = look_levels(num_looks, alpha)
    levels[:1] = alpha
    return levels


def _odds_reach(effect: Effect, t: Array, upward: npt.ArrayLike) -> Array:
    """The square of how far `t` standard errors of both arms' log-odds move their difference down, or up.

    Each arm has its interval on the log-odds scale; its ends are recovered as distances in accuracy.
    """
    sign = np.where(upward, 1.0, -1.0)
    first = special.expit(special.logit(effect.first_acc) + sign * t * effect.first_se) - effect.first_acc
    second = special.expit(special.logit(effect.second_acc) - sign * t * effect.second_se) - effect.second_acc
    return np.asarray(np.square(first) + np.square(second))


def _two_sided(effect: Effect, distance: npt.ArrayLike, upward: npt.ArrayLike) -> Array:
    """The error rate at which the half-width is `distance`, by bisection of its logarithm; 1e-100 stands for less."""
    *parts, distance, upward = np.broadcast_arrays(*effect, distance, upward)
    p = np.array(np.where(distance > 0, LEAST_P, 1.0))
    near = (distance > 0) & np.isfinite(distance)  # no interval reaches infinity
    asked, far, up = Effect(*(part[near] for part in parts)), distance[near], upward[near]
    low, high = np.full(far.shape, math.log10(LEAST_P)), np.zeros(far.shape)
    for _ in range(50 if far.size else 0):
        middle = (low + high) / 2
        wide = half_width(asked, 10.0**middle, up) > far
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    p[near] = 10.0**high
    return np.where(np.isnan(half_width(effect)), np.nan, p)
