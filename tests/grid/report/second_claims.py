"""Every number of `verdicts.parquet` once more, from the other Parquet files and what is claimed.

Written from docs/answers.md and the docstrings, as `second_implementation`, and on top of it.
"""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grid.questions.claims import Claim
from tests.grid.report.second_cases import Case, Counted, Demand, Fits, fewest
from tests.grid.report.second_implementation import (
    ALPHA,
    BETTER,
    CLAIMS,
    EQUAL,
    MARGIN,
    Pairs,
    Seen,
    correct,
    crossed,
    student,
)

CHANCES = 0.5, 0.9
Ends = tuple[float, float]


class Claims:
    """The claims of a study of one look."""

    def __init__(self, folder: Path, study: str, claims: Sequence[Claim]) -> None:
        self.pairs, self.claims = Pairs(folder, study), claims
        table = pd.read_parquet(folder / "trials.parquet")
        self.trials = table.query("study == @study and stage == 'full'")
        self.num_arms = int(table.loc[table["study"] == study, "arm"].max()) + 1
        self.epochs = pd.read_parquet(folder / "epochs.parquet").sort_values("epoch").groupby("fingerprint")
        self.diverged = set(self.trials.query("status == 'diverged'")["arm"])
        named = table[table["study"] == study].drop_duplicates("arm").set_index("arm")
        self.label = {arm: str(named.loc[arm, "arm_label"]) for arm in range(self.num_arms)}
        self.lr = {arm: float(str(named.loc[arm, "optimizer_lr"])) for arm in range(self.num_arms)}
        self.cases = [self._cases(claim) for claim in claims]

    def rows(self) -> tuple[list[dict[str, Any]], dict[tuple[int, int], dict[str, Any]]]:
        """The rows of `verdicts.parquet`, then those of `comparisons.parquet`."""
        alone = [2 * float(np.fmin(s.p, c.p)) for s, c, _ in self.cases]
        alone = [p if math.isnan(p) else min(1.0, p) for p in alone]
        equals = [e.p for *_, e in self.cases]
        last = 0.6 if self.pairs.prior else 0.0
        p, pairs_p = correct(alone, self.pairs.alone, BETTER, last)
        p_equal, pairs_equal = correct(equals, self.pairs.equal, EQUAL)
        compared = self.pairs.rows(alone, equals)
        open_pairs = sum(a > ALPHA and b > ALPHA for a, b in zip(pairs_p, pairs_equal, strict=True))
        is_open = [a > ALPHA and not b <= ALPHA for a, b in zip(p, p_equal, strict=True)]
        share = CLAIMS if open_pairs and any(is_open) else 1.0
        left = share * BETTER / 2 / max(sum(is_open), 1)
        rows = [
            self._row(claim, cases, p[k], p_equal[k], left, compared)
            for k, (claim, cases) in enumerate(zip(self.claims, self.cases, strict=True))
        ]
        return rows, compared

    def _row(
        self, claim: Claim, cases: tuple[Case, Case, Case], p: float, p_equal: float, left: float, compared: Any
    ) -> dict[str, Any]:
        supports, contradicts, equal = cases
        row: dict[str, Any] = dict.fromkeys(
            ("estimate", "low", "high", "kind", "num_seeds", "p_value", "seeds_needed_low", "seeds_needed")
        )
        if not supports.groups:
            return row | {"verdict": "inconclusive", "trials": []}
        towards = (2 if math.isnan(supports.p) else supports.p) <= (2 if math.isnan(contradicts.p) else contradicts.p)
        direction = (1 if towards else -1) if p <= ALPHA else 0
        if direction and self._is_contradicted(claim, supports if direction > 0 else contradicts, direction, compared):
            direction = 0
        elif not direction:
            for sign, case in ((1, supports), (-1, contradicts)):
                for group in case.groups:
                    implied = [self._implied(demand, compared) for demand in group]
                    if not direction and None not in implied:
                        direction, p = sign, max(q for q in implied if q is not None)
        same = p_equal <= ALPHA and (direction == 0 or (claim.kind == "best" and direction < 0))
        verdict = "practically equal" if same else {1: "reproduced", 0: "inconclusive", -1: "refuted"}[direction]
        demands = (equal if same else supports).demands
        if verdict == "refuted":
            deciding = min(contradicts.demands, key=lambda d: math.inf if math.isnan(d.p) else d.p)
        else:
            deciding = max(demands, key=lambda d: (math.isnan(d.p), d.p))
        row |= {"verdict": verdict, "kind": deciding.kind}
        row["trials"] = list(dict.fromkeys(f for d in demands for f in self._fingerprints(d.arms)))
        row["p_value"] = p_equal if same else (None if math.isnan(p) else p)
        if deciding.seen is not None:
            row |= {"estimate": deciding.seen.mean, "num_seeds": deciding.seen.num_seeds}
            row["low"], row["high"] = deciding.seen.interval() or (None, None)
        if verdict == "inconclusive" and not math.isnan(p):
            low, high = (fewest(cases, left, chance) for chance in CHANCES)
            if low and high:
                row |= {"seeds_needed_low": low, "seeds_needed": high}
        return row

    def _is_contradicted(self, claim: Claim, case: Case, direction: int, compared: Any) -> bool:
        if claim.kind not in ("best", "better") or (claim.better and claim.better.by and direction < 0):
            return False
        opposed = []
        for demand in case.demands:
            first, second = demand.arms
            row = compared.get((min(demand.arms), max(demand.arms)))
            if row is not None:
                word = row["finding"] if first < second else {"better": "worse", "worse": "better"}.get(row["finding"])
                opposed.append(word == ("worse" if math.isinf(demand.high) else "better"))
        return any(opposed) if direction > 0 else bool(opposed) and all(opposed)

    def _implied(self, demand: Demand, compared: Any) -> float | None:
        """Corrected p of the two arms' own comparison, where its finding is enough for a demand."""
        row = compared.get(tuple(sorted(demand.arms))) if demand.kind == "difference" else None
        if row is None or row["finding"] not in ("better", "worse"):
            return None
        better = (
            demand.arms[row["finding"] == "worse"]
            if demand.arms[0] < demand.arms[1]
            else demand.arms[row["finding"] == "better"]
        )
        enough = (
            demand.low <= 0 and demand.high == math.inf
            if better == demand.arms[0]
            else demand.high >= 0 and demand.low == -math.inf
        )
        return float(row["p_corrected"]) if enough else None

    def _cases(self, claim: Claim) -> tuple[Case, Case, Case]:
        return getattr(self, f"_{claim.kind}")(claim.statement)  # type: ignore[no-any-return]

    def _best(self, claim: Any) -> tuple[Case, Case, Case]:
        mine = [a for a in range(self.num_arms) if self.lr[a] == claim.value and a not in self.diverged]
        others = [a for a in range(self.num_arms) if self.lr[a] != claim.value and a not in self.diverged]
        first = self._ahead(mine)
        if first is None or not others:
            return Case([]), Case([]), Case([])
        supports, near = (
            Case([[self._difference(first, o, low, math.inf) for o in others]], len(mine)) for low in (0.0, -MARGIN)
        )
        return supports, Case([[self._difference(m, o, -math.inf, 0) for m in mine] for o in others]), near

    def _better(self, claim: Any) -> tuple[Case, Case, Case]:
        mine, others = ([a for a in self._named(side) if a not in self.diverged] for side in (claim.arm, claim.than))
        first, second, by = self._ahead(mine), self._ahead(others), claim.by / 100
        if first is None or second is None or first == second:
            return Case([]), Case([]), Case([])
        supports = Case([[self._difference(first, o, by, math.inf) for o in others]], len(mine))
        contradicts = Case([[self._difference(m, second, -math.inf, by) for m in mine]], len(others))
        alone = len(mine) == len(others) == 1 and not by
        return supports, contradicts, Case([[self._difference(first, second, -MARGIN, MARGIN)]] if alone else [])

    def _level(self, claim: Any) -> tuple[Case, Case, Case]:
        over = claim.over or ("both" if claim.measure == "test_acc" else "seeds")
        demands, against = [], []
        for arm in self._named(claim.arm):
            seen = self._measured(arm, claim.measure, over)
            if claim.about is not None:
                low, high = claim.about - claim.within, claim.about + claim.within
                ends: list[Ends] = [(high, math.inf), (-math.inf, low)]
            elif claim.at_least is not None:
                low, high, ends = claim.at_least, math.inf, [(-math.inf, claim.at_least)]
            else:
                low, high, ends = -math.inf, claim.at_most, [(claim.at_most, math.inf)]
            demands.append(Demand("level", (arm,), seen, low, high))
            against += [[Demand("level", (arm,), seen, *end)] for end in ends]
        return Case([demands]), Case(against), Case([])

    def _fit(self, claim: Any) -> tuple[Case, Case, Case]:
        demands, against = [], []
        for arm in self._named(claim.arm):
            fits = [f for f in self._ok(arm)["fit"] if f != "too short to say"] if arm in self.pairs.arms else []
            hits = sum(fit == claim.label for fit in fits)
            seen = Fits(hits / len(fits), hits, len(fits) - hits, len(fits)) if fits else None
            demands.append(Demand("fit", (arm,), seen, 0.5, math.inf))
            against.append([Demand("fit", (arm,), seen, -math.inf, 0.5)])
        return Case([demands]), Case(against), Case([])

    def _curve(self, claim: Any) -> tuple[Case, Case, Case]:
        mine, others = ([a for a in self._named(side) if a not in self.diverged] for side in (claim.arm, claim.than))
        first, second = self._ahead(mine), self._ahead(others)
        if first is None or second is None or first == second:
            return Case([]), Case([]), Case([])
        kind = "roughness" if claim.change == "smoother" else "delay"
        seen = self._curves_apart(first, second, claim.of, kind)
        above, below = (
            Case([[Demand(kind, (first, second), seen, *ends)]], len(mine) * len(others))
            for ends in ((0.0, math.inf), (-math.inf, 0.0))
        )
        return (above, below, Case([])) if claim.change == "slower" else (below, above, Case([]))

    def _named(self, selector: Any) -> list[int]:
        if isinstance(selector, str):
            return [arm for arm, label in self.label.items() if label == selector]
        wanted = selector["optimizer.lr"]
        return [a for a, lr in self.lr.items() if lr in (wanted if isinstance(wanted, list) else [wanted])]

    def _ahead(self, arms: Sequence[int]) -> int | None:
        known = [arm for arm in arms if arm in self.pairs.arms]
        return max(known, key=lambda arm: (self._ok(arm)["val_acc"].mean(), -arm), default=None)

    def _ok(self, arm: int) -> pd.DataFrame:
        return self.trials[(self.trials["arm"] == arm) & (self.trials["status"] == "ok")].set_index("seed")

    def _shared(self, arms: Sequence[int]) -> list[int]:
        return sorted(set.intersection(*(set(self.pairs.arms.get(arm, {})) for arm in arms)))

    def _fingerprints(self, arms: Sequence[int]) -> list[str]:
        return [str(self._ok(arm).loc[seed, "fingerprint"]) for arm in arms for seed in self._shared(arms)]

    def _difference(self, first: int, second: int, low: float, high: float) -> Demand:
        seeds = self._shared((first, second))
        tables = [np.stack([self.pairs.arms[a][s].astype(float) for s in seeds]) for a in (first, second) if seeds]
        return Demand("difference", (first, second), crossed(tables[0] - tables[1]) if seeds else None, low, high)

    def _measured(self, arm: int, measure: str, over: str) -> Seen | Counted | None:
        if arm not in self.pairs.arms:
            return None
        answers = np.stack([right for _, right in sorted(self.pairs.arms[arm].items())]).astype(float)
        if over == "both":
            return crossed(answers)
        by_image = answers.mean(axis=0)
        if over == "images":
            return student(float(by_image.mean()), 0.0, by_image.std(ddof=1) / math.sqrt(len(by_image)), len(answers))
        return _over_seeds(self._ok(arm)[measure].to_numpy(dtype=float))

    def _curves_apart(self, first: int, second: int, curve: str, kind: str) -> Seen | Counted:
        gaps, longest = [], 0
        for seed in self._shared((first, second)):
            keys = [self._ok(arm).loc[seed, "fingerprint"] for arm in (first, second)]
            pair = [self.epochs.get_group(key)[curve].to_numpy() * (-1 if "loss" in curve else 1) for key in keys]
            longest = max(map(len, pair)) - 1
            gaps.append(_rough(pair[0]) - _rough(pair[1]) if kind == "roughness" else _behind(*pair))
        values = np.array(gaps)
        if kind == "delay" and ((abs(values) >= longest).any() or np.ptp(values) == 0):
            ties = (values == 0).sum() / 2
            return Counted(float(values.mean()), (values > 0).sum() + ties, (values < 0).sum() + ties, len(values))
        return _over_seeds(values)


def _over_seeds(values: np.ndarray) -> Seen | Counted:
    if np.ptp(values) == 0:
        return Counted(float(values[0]), (values > 0).sum(), (values < 0).sum(), len(values))
    return student(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), 0.0, len(values))


def _rough(curve: np.ndarray) -> float:
    steps = [b - a for a, b in itertools.pairwise(curve)]
    way = sum(map(abs, steps))
    return sum(-step for step in steps if step < 0) / way if way else 0.0


def _behind(a: np.ndarray, b: np.ndarray) -> float:
    rising = [[max(curve[: k + 1]) for k in range(len(curve))] for curve in (a, b)]
    low, high = max(rising[0][0], rising[1][0]), min(rising[0][-1], rising[1][-1])
    if high <= low:
        return 0.0 if rising[0][0] == rising[1][0] else (len(a) - 1.0) * (1 if rising[0][-1] < rising[1][-1] else -1)
    gaps = []
    for level in np.linspace(low, high, 50):
        when = []
        for curve in rising:
            k = next(k for k, value in enumerate(curve) if value >= level)
            when.append(0.0 if k == 0 else k - 1 + (level - curve[k - 1]) / (curve[k] - curve[k - 1]))
        gaps.append(when[0] - when[1])
    return float(np.mean(gaps))
