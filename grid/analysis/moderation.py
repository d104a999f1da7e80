"""How much an arm varies between seeds, moderated by how much the other arms of its study do. Pure.

**Why.** Three seeds give a variance with two degrees of freedom, and among 190 pairs of arms a test with two degrees of
freedom asks for t beyond 40. All arms' variances together say what is usual: that is a prior with `d0` degrees of
freedom, and an arm's own variance is drawn towards it.

**What is moderated.** Of an arm with `S` seeds and `N` images the mean squares of the crossed model: of seeds, with
`d = S - 1` degrees of freedom, and of the rest, `r = max(MS_rest, 1 / (2 N))`. Their ratio `phi = MS_seed / r` is 1
where accuracy varies as independent errors image by image would make it vary; 1 to 190 was seen on real CIFAR-10.

**The prior**, by moments. Of each arm `e = ln phi - psi(d / 2) + ln(d / 2)`, which estimates the logarithm of its true
ratio. What is usual depends on the accuracy `p`: an arm at 50 % that has not learned to the end varies more than one
at 97 % or at chance. So `f`, the usual `e` of an arm, is a line over `x = ln(p (1 - p))`, its slope shrunk by `RIDGE`
as `sum(x e) / (sum(x²) + RIDGE)`, `x` about its mean; where arms are alike in accuracy that is next to no slope, so
that a wild arm can't draw the line to itself. Then `v = sum((e - f)²) / (A - trace) - mean psi'(d / 2)`. If `v > 0`,
`d0 = 2 psi'^-1(v)` and `s0² = exp(f + psi(d0 / 2) - ln(d0 / 2))`; if not, `s0²` is `exp(f)` times the mean of `phi /
exp(f)` weighted by `d`, and `d0 = A`. In either case `d0` is at most A, the number of arms: without that cap, one wild
arm among stable ones makes up to 13 % false findings.

**The variance** of an arm is `phi~ = max((d0 s0² + d phi) / (d0 + d), phi, 1)`. It is never below the arm's own, since
an arm that looks calm at three seeds may be wild (0.3 at three, 81 at twelve was seen), nor below the binomial one.

**A difference** of two arms has `seed_se² = phi~_a r_a / (S_a N) + phi~_b r_b / (S_b N)` with `d0 + min(d_a, d_b)`
degrees of freedom. Seeds stay shared, but their variance is not paired: correlation between arms was 0 to 0.2, and
pairing halves the degrees of freedom. The images' part is paired: the variance over images of the difference of both
arms' means, less `r_a / S_a + r_b / S_b`, over N.

**Its interval** has the seeds' part of each arm on the log-odds scale, `logit(p) ± t se / (p (1 - p))`, recovered as
distances in accuracy (Zou and Donner's method for any two intervals): an arm that is at 30 % give or take 12 points
may be anywhere from 10 to 55 %, not at 95.

**What was tried** on 19 arms of digits (q2, 360 images, drawn seeds of ten; mean number of arms 10 points or more
behind that three and five seeds do not find worse, at 4 %): ratios without a trend 4.0 and 2.5; the same with
intervals on the log-odds scale 3.3 and 0.7; variances of log-odds in place of ratios 1.8 and 0.2; those with a trend
1.5 and 0.1; ratios with a trend, which this is, 1.2 and 0.06. False findings among equal arms are the same for all of
them (`make bench`). So the quick profile takes five seeds. That was without claims: where a question has some, as q2
has, they take a part of the error rate, and of the nine arms one stays open at five seeds too (AdaGrad at 0.1, whose
seeds differ by 30 points). In a world like that (200 studies of 20 arms, 9 of them far behind, one of these wild), the
mean number of far arms that is left open at three and five seeds is 1.13 and 0.46; a share of a half for claims in
place of two fifths gives 1.28 and 0.48, and the logical constraints between pairs (Shaffer 1986) in place of Holm's
steps 1.13 and 0.46, or 1.01 and 0.38 if its steps went on to the end, which costs error where some arms differ. So
Holm's method stayed: what is missing is knowledge of the one wild arm, not a sharper correction.

Shapes: A arms on the last axis; any axes before it are studies.

Source: Smyth 2004, Linear Models and Empirical Bayes Methods for Assessing Differential Expression in Microarray
Experiments, Statistical Applications in Genetics and Molecular Biology 3 (moments, section 6.2; moderated t); a trend
in the prior as in limma (Law et al. 2014, Genome Biology 15); Zou and Donner 2008, Statistics in Medicine 27. The
maximum, the cap, the shrunk slope and the binomial floor are ours.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from grid.analysis.inference import LUCK, Array, Effect, mean_squares

MIN_ARMS = 4
"""With fewer arms there is nothing to learn from the others."""
MIN_SEEDS = 3
"""An arm with fewer has no part in it."""
RIDGE = 4.0
"""How much the slope of the prior is shrunk: as if by the arms' own `sum(x²)`, of which one digit of p (1 - p) is 5."""


class Arm(NamedTuple):
    """What is seen of an arm.

    Attributes:
        acc: Mean accuracy over seeds and images.
        seeds_square: Mean square of seeds.
        rest_square: Mean square of the rest, at least `1 / (2 N)`.
        num_seeds: S.
        by_image: Share of the seeds that are right about each image, `(N,)`.
    """

    acc: float
    seeds_square: float
    rest_square: float
    num_seeds: int
    by_image: Array


class Prior(NamedTuple):
    """What the arms of a study say of how much one of them varies.

    Attributes:
        df: Degrees of freedom `d0`, at most the number of arms, `(...)`.
        phi: The usual ratio `s0²` of each arm, `(..., A)`.
    """

    df: Array
    phi: Array


@dataclass(frozen=True)
class Moderation:
    """All arms of a study that have seeds enough, for comparing any two of them.

    Attributes:
        arms: The arms by their index in the study.
        df: Degrees of freedom `d0` of the prior.
        variances: Of each arm's mean accuracy over its seeds.
    """

    arms: dict[int, Arm]
    df: float
    variances: dict[int, float]

    def difference(self, first: int, second: int) -> Effect:
        """How much test accuracy `first` is above `second`; both have to be among the arms."""
        a, b = self.arms[first], self.arms[second]
        num_images = len(a.by_image)
        both = float(np.var(a.by_image - b.by_image, ddof=1))
        image = both - a.rest_square / a.num_seeds - b.rest_square / b.num_seeds
        variances = self.variances[first], self.variances[second]
        (first_acc, first_se), (second_acc, second_se) = (
            log_odds(arm.acc, variance, num_images) for arm, variance in zip((a, b), variances, strict=True)
        )
        return Effect(
            mean=a.acc - b.acc,
            seed_se=float(np.sqrt(sum(variances))),
            num_seeds=min(a.num_seeds, b.num_seeds),
            image_se=float(np.sqrt(max(image, 0.0) / num_images)),
            df=self.df + min(a.num_seeds, b.num_seeds) - 1,
            first_acc=float(first_acc),
            first_se=float(first_se),
            second_acc=float(second_acc),
            second_se=float(second_se),
        )


def moderate(right: dict[int, npt.NDArray[np.bool_]]) -> Moderation | None:
    """Moderates the arms of a study.

    Args:
        right: Right answers `(S, N)` of each arm, by its index. Arms with fewer than `MIN_SEEDS` are left out.

    Returns:
        What compares them; None if there are fewer than `MIN_ARMS`.
    """
    arms = {index: see_arm(answers) for index, answers in right.items() if len(answers) >= MIN_SEEDS}
    if len(arms) < MIN_ARMS:
        return None
    acc, seeds_square, rest_square, num_seeds = np.array([arm[:4] for arm in arms.values()], dtype=float).T
    num_images = len(next(iter(arms.values())).by_image)
    variances, d0 = seed_variances(acc, seeds_square, rest_square, num_seeds, num_images)
    return Moderation(arms, float(d0), dict(zip(arms, variances.tolist(), strict=True)))


def see_arm(right: npt.NDArray[np.bool_]) -> Arm:
    """The mean squares of an arm's right answers `(S, N)`, of two seeds or more."""
    num_seeds, num_images = right.shape
    seen = mean_squares(right)
    acc = float(seen.by_image.mean())
    return Arm(acc, seen.seeds, max(seen.rest, 0.5 / num_images), num_seeds, seen.by_image)


def seed_variances(
    acc: npt.ArrayLike,
    seeds_square: npt.ArrayLike,
    rest_square: npt.ArrayLike,
    num_seeds: npt.ArrayLike,
    num_images: int,
) -> tuple[Array, Array]:
    """The moderated variances of arms' means over their seeds, `(..., A)`, and `d0`, `(...)`.

    Args:
        acc: Mean accuracies, `(..., A)`.
        seeds_square: Mean squares of seeds, `(..., A)`.
        rest_square: Mean squares of the rest, `(..., A)`.
        num_seeds: Seeds of each arm, a number or `(..., A)`.
        num_images: N.
    """
    seeds = np.broadcast_to(np.asarray(num_seeds, dtype=float), np.shape(acc))
    rest = np.asarray(rest_square, dtype=float)
    phi = np.asarray(seeds_square, dtype=float) / rest
    p = _inside(acc, num_images)
    prior = fit_prior(phi, seeds - 1, np.log(p * (1 - p)))
    return drawn_towards(prior, phi, seeds - 1) * rest / (seeds * num_images), prior.df


def fit_prior(phi: npt.ArrayLike, df: npt.ArrayLike, x: npt.ArrayLike = 0.0) -> Prior:
    """The prior by the method of moments, over a line in `x`.

    A ratio below what independent errors give in `LUCK` of experiments counts as that: its logarithm says nothing, and
    that of seeds which are all equal does not exist.

    Args:
        phi: Ratios of mean squares, `(..., A)`.
        df: Their degrees of freedom, 1 or more, `(..., A)` or a number.
        x: What the usual ratio may depend on, `(..., A)` or a number.
    """
    given = np.asarray(phi, dtype=float)
    half = np.broadcast_to(np.asarray(df, dtype=float) / 2, given.shape)
    at = np.broadcast_to(np.asarray(x, dtype=float), given.shape)
    num_arms = given.shape[-1]
    e = np.log(np.maximum(given, stats.chi2.ppf(LUCK, 2 * half) / (2 * half))) - special.digamma(half) + np.log(half)
    about = at - at.mean(axis=-1, keepdims=True)
    squares = np.square(about).sum(axis=-1, keepdims=True)
    line = e.mean(axis=-1, keepdims=True) + about * (about * e).sum(axis=-1, keepdims=True) / (squares + RIDGE)
    trace = 1 + (squares / (squares + RIDGE))[..., 0]
    beyond = np.square(e - line).sum(axis=-1) / (num_arms - trace) - special.polygamma(1, half).mean(axis=-1)
    differ = beyond > 0
    d0 = 2 * trigamma_inverse(np.where(differ, beyond, 1.0))
    alike = (half * given / np.exp(line)).sum(axis=-1) / half.sum(axis=-1)
    level = np.where(differ, np.exp(special.digamma(d0 / 2) - np.log(d0 / 2)), alike)
    return Prior(np.where(differ, np.minimum(d0, num_arms), num_arms), np.exp(line) * level[..., None])


def drawn_towards(prior: Prior, phi: npt.ArrayLike, df: npt.ArrayLike) -> Array:
    """Each arm's ratio drawn towards the prior, `(..., A)`: never below its own, nor below 1."""
    own, d0 = np.asarray(phi, dtype=float), prior.df[..., None]
    own_df = np.asarray(df, dtype=float)
    drawn = (d0 * prior.phi + own_df * own) / (d0 + own_df)
    return np.asarray(np.maximum(np.maximum(drawn, own), 1.0))


def log_odds(acc: npt.ArrayLike, variance: npt.ArrayLike, num_images: int) -> tuple[Array, Array]:
    """Accuracies as near to 0 or 1 as half an image, and the standard errors of their log-odds, by the delta method."""
    p = _inside(acc, num_images)
    return p, np.asarray(np.sqrt(variance) / (p * (1 - p)))


def trigamma_inverse(y: npt.ArrayLike) -> Array:
    """The x > 0 of which the trigamma function is y > 0.

    Source: Smyth 2004, appendix: Newton's method on 1 / trigamma, which is convex, so that it never overshoots.
    """
    given = np.asarray(y, dtype=float)
    x = 0.5 + 1 / given
    for _ in range(60):
        value = special.polygamma(1, x)
        step = value * (1 - value / given) / special.polygamma(2, x)
        x = x + step
        if (np.abs(step) <= 1e-10 * x).all():
            break
    return np.asarray(x)


def _inside(acc: npt.ArrayLike, num_images: int) -> Array:
    return np.asarray(np.clip(np.asarray(acc, dtype=float), 0.5 / num_images, 1 - 0.5 / num_images))
