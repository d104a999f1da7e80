"""Every number of `comparisons.parquet` once more, from the other Parquet files, without the project's statistics.

Written from the README and the docstrings: plain loops, Student's and the normal quantiles of scipy, roots by Brent's
method. `second_claims` goes on to `verdicts.parquet`.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

ALPHA, BETTER, EQUAL, WINNERS, MARGIN = 0.05, 0.044, 0.003, 0.003, 0.005
CLAIMS, LAST_STEP = 0.4, 0.6
Reach = Callable[[float, bool], float]
"""How far an interval goes down or, if True, up, by its two-sided error rate."""


class Seen:
    """A difference: its mean, how far its interval goes, its degrees of freedom."""

    def __init__(self, mean: float, reach: Reach, df: float, num_seeds: int) -> None:
        self.mean, self.reach, self.df, self.num_seeds = mean, reach, df, num_seeds
        self.seed_se = self.image_se = math.nan

    def interval(self) -> tuple[float, float]:
        return self.mean - self.reach(ALPHA, False), self.mean + self.reach(ALPHA, True)

    def p_above(self, threshold: float) -> float:
        distance = self.mean - threshold
        upward = distance < 0

        def gap(log_alpha: float) -> float:
            return self.reach(10.0**log_alpha, upward) - abs(distance)

        low, high = -60.0, -1e-12
        if gap(low) < 0:
            two_sided = 10.0**low
        else:
            two_sided = 1.0 if gap(high) > 0 else 10.0 ** optimize.brentq(gap, low, high, xtol=1e-13)
        return float(1 - two_sided / 2 if upward else two_sided / 2)

    def p_below(self, threshold: float) -> float:
        return 1 - self.p_above(threshold)

    def p_between(self, low: float, high: float) -> float:
        above = self.p_above(low) if math.isfinite(low) else 0.0
        return max(above, self.p_below(high) if math.isfinite(high) else 0.0)


def combine(seeds: float, images: float, df: float) -> float:
    both = seeds**2 + images**2
    return math.sqrt(both - min(1, 2 / df) * (seeds**2 * images**2 / both if both else 0))


def read(folder: Path, study: str) -> dict[int, dict[int, np.ndarray]]:
    """Right answers by arm and seed, of the arms that are compared."""
    trials = pd.read_parquet(folder / "trials.parquet").query("study == @study and stage == 'full'")
    predictions = pd.read_parquet(folder / "predictions").sort_values("image")
    right = {k: (g["label"] == g["predicted"]).to_numpy() for k, g in predictions.groupby("fingerprint")}
    arms = {}
    for arm, rows in trials.groupby("arm"):
        if (rows["status"] != "diverged").all() and (rows["status"] == "ok").any():
            ok = rows[rows["status"] == "ok"]
            arms[int(str(arm))] = {int(s): right[f] for s, f in zip(ok["seed"], ok["fingerprint"], strict=True)}
    return arms


def squares(table: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of seeds, of images, and of the rest, of `(S, N)` values."""
    s, n = table.shape
    seeds, images, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    rest = sum(float(((table[k] - images - seeds[k] + mean) ** 2).sum()) for k in range(s))
    return n * seeds.var(ddof=1), s * images.var(ddof=1), rest / ((s - 1) * (n - 1))


def crossed(table: np.ndarray) -> Seen:
    """The paired difference, or one arm's accuracy, over seeds and images."""
    s, n = table.shape
    by_seeds, by_images, rest = squares(table)
    rest = rest if rest > 1e-9 else 0.0
    least = max(stats.chi2.ppf(0.025, s - 1) / (s - 1) * rest, 1 / (12 * n)) if rest else 0.0
    seed_se, image_se = math.sqrt(max(by_seeds, least) / (s * n)), math.sqrt(max(by_images - rest, 0) / (s * n))

    return student(float(table.mean()), seed_se, image_se, s)


def student(mean: float, seed_se: float, image_se: float, num_seeds: int) -> Seen:
    """Over seeds by Student's distribution, over images by the normal one."""

    def reach(alpha: float, upward: bool) -> float:
        of_seeds = stats.t.isf(alpha / 2, num_seeds - 1) * seed_se
        return combine(float(of_seeds), stats.norm.isf(alpha / 2) * image_se, num_seeds - 1)

    seen = Seen(mean, reach, num_seeds - 1, num_seeds)
    seen.seed_se, seen.image_se = seed_se, image_se
    return seen


class Prior:
    """All arms with three seeds or more."""

    def __init__(self, arms: dict[int, np.ndarray]) -> None:
        self.arms = arms
        self.n = next(iter(arms.values())).shape[1]
        self.acc = {a: min(max(float(t.mean()), 0.5 / self.n), 1 - 0.5 / self.n) for a, t in arms.items()}
        self.rest = {a: max(squares(t)[2], 0.5 / self.n) for a, t in arms.items()}
        phi = {a: squares(t)[0] / self.rest[a] for a, t in arms.items()}
        d = {a: len(t) - 1 for a, t in arms.items()}
        e = {}
        for a in arms:
            least = stats.chi2.ppf(0.025, d[a]) / d[a]
            e[a] = math.log(max(phi[a], least)) - float(special.digamma(d[a] / 2)) + math.log(d[a] / 2)
        x = {a: math.log(p * (1 - p)) for a, p in self.acc.items()}
        middle, count = sum(x.values()) / len(x), len(x)
        size = sum((v - middle) ** 2 for v in x.values())
        slope = sum((x[a] - middle) * e[a] for a in arms) / (size + 4)
        line = {a: sum(e.values()) / count + slope * (x[a] - middle) for a in arms}
        v = sum((e[a] - line[a]) ** 2 for a in arms) / (count - 1 - size / (size + 4))
        v -= sum(float(special.polygamma(1, d[a] / 2)) for a in arms) / count
        if v > 0:
            root = optimize.brentq(lambda z: math.log(float(special.polygamma(1, math.exp(z))) / v), -30, 40)
            d0 = 2 * math.exp(root)
            level = math.exp(float(special.digamma(d0 / 2)) - math.log(d0 / 2))
        else:
            d0 = math.inf
            level = sum(d[a] * phi[a] / math.exp(line[a]) for a in arms) / sum(d.values())
        self.d0 = min(d0, count)
        self.variance = {}
        for a in arms:
            drawn = (self.d0 * math.exp(line[a]) * level + d[a] * phi[a]) / (self.d0 + d[a])
            self.variance[a] = max(drawn, phi[a], 1) * self.rest[a] / (len(arms[a]) * self.n)

    def compare(self, a: int, b: int) -> Seen:
        ta, tb = self.arms[a], self.arms[b]
        image = (ta.mean(axis=0) - tb.mean(axis=0)).var(ddof=1) - self.rest[a] / len(ta) - self.rest[b] / len(tb)
        image_se, df = math.sqrt(max(image, 0) / self.n), self.d0 + min(len(ta), len(tb)) - 1

        def moved(arm: int, by: float) -> float:
            p = self.acc[arm]
            odds = math.log(p / (1 - p)) + by * math.sqrt(self.variance[arm]) / (p * (1 - p))
            return float(special.expit(odds) - p)

        def reach(alpha: float, upward: bool) -> float:
            t = float(stats.t.isf(alpha / 2, df)) * (1 if upward else -1)
            return combine(math.hypot(moved(a, t), moved(b, -t)), stats.norm.isf(alpha / 2) * image_se, df)

        return Seen(float(ta.mean() - tb.mean()), reach, df, min(len(ta), len(tb)))


def holm(p: list[float]) -> list[float]:
    order, adjusted, worst = sorted(range(len(p)), key=lambda k: p[k]), [0.0] * len(p), 0.0
    for step, k in enumerate(order):
        worst = max(worst, min(1.0, p[k] * (len(p) - step)))
        adjusted[k] = worst
    return adjusted


def correct(claims: list[float], pairs: list[float], level: float, last_step: float = 0.0) -> list[list[float]]:
    """Corrected p-values of claims and of pairs; NaN for what can't be tested.

    Each group has its share of the level by Holm's method; all of it once nothing of the other is above the level.
    """
    tested = [[k for k, p in enumerate(group) if not math.isnan(p)] for group in (claims, pairs)]
    alone = [holm([group[k] for k in kept]) for group, kept in zip((claims, pairs), tested, strict=True)]
    least = [[0.0] * len(alone[0]), [pairs[k] * last_step * len(pairs) for k in tested[1]]]
    results = []
    for mine, other in ((0, 1), (1, 0)):
        share = (CLAIMS, 1 - CLAIMS)
        hardest = max((max(p / share[other], f) for p, f in zip(alone[other], least[other], strict=True)), default=0.0)
        corrected = [math.nan] * len((claims, pairs)[mine])
        for k, p, floor in zip(tested[mine], alone[mine], least[mine], strict=True):
            passed_on = max(p, floor, hardest)
            corrected[k] = min(1.0, min(max(p / share[mine], floor), passed_on) * ALPHA / level)
        results.append(corrected)
    return results


class Pairs:
    """All pairs of arms of a study of one look."""

    def __init__(self, folder: Path, study: str) -> None:
        self.arms = read(folder, study)
        tables = {a: np.stack([s[k] for k in sorted(s)]).astype(float) for a, s in self.arms.items()}
        enough = {a: t for a, t in tables.items() if len(t) >= 3}
        self.prior = Prior(enough) if len(enough) >= 4 else None
        self.pairs = [(a, b) for a in self.arms for b in self.arms if a < b]
        self.seen = {pair: _seen(pair, self.arms, self.prior) for pair in self.pairs}
        self.above = {pair: self.seen[pair].p_above(0) for pair in self.pairs}
        self.alone = [2 * min(self.above[pair], 1 - self.above[pair]) for pair in self.pairs]
        self.equal = [self.seen[pair].p_between(-MARGIN, MARGIN) for pair in self.pairs]

    def rows(self, claims: list[float], claims_equal: list[float]) -> dict[tuple[int, int], dict[str, Any]]:
        """The rows of `comparisons.parquet` by their two arms, beside claims with these p-values."""
        corrected = correct(claims, self.alone, BETTER, LAST_STEP if self.prior else 0.0)[1]
        equal = correct(claims_equal, self.equal, EQUAL)[1]
        rows: dict[tuple[int, int], dict[str, Any]] = {}
        for k, pair in enumerate(self.pairs):
            finding = "open" if equal[k] > ALPHA else "equal"
            finding = finding if corrected[k] > ALPHA else "better" if self.above[pair] < 0.5 else "worse"
            seen, (low, high) = self.seen[pair], self.seen[pair].interval()
            rows[pair] = {"difference": seen.mean, "low": low, "high": high, "df": seen.df}
            rows[pair] |= {"p_value": self.alone[k], "p_corrected": corrected[k], "p_equal": equal[k]}
            rows[pair] |= {"finding": finding, "num_seeds": seen.num_seeds, "d0": self.prior and self.prior.d0}
            rows[pair] |= {"method": "moderated" if self.prior else "paired"}
        found = {pair: row["finding"] for pair, row in rows.items()}
        out = {pair[0] if word == "worse" else pair[1] for pair, word in found.items() if word in ("better", "worse")}
        for arm in self.arms:
            p_below = [1 - self.above[q] if q[0] == arm else self.above[q] for q in self.pairs if arm in q]
            if min(p_below) * len(p_below) <= WINNERS:
                out.add(arm)
        for pair, row in rows.items():
            row["first_may_be_best"], row["second_may_be_best"] = pair[0] not in out, pair[1] not in out
        return rows


def _seen(pair: tuple[int, int], arms: dict[int, dict[int, np.ndarray]], prior: Prior | None) -> Seen:
    if prior:
        return prior.compare(*pair)
    a, b = (arms[arm] for arm in pair)
    return crossed(np.stack([a[s].astype(float) - b[s] for s in sorted(a.keys() & b.keys())]))
