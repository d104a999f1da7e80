"""What the trials of a study give for comparing its arms: right answers by seed and image, and effects made of them.

Only trials at full budget count. An arm of which a seed diverged is not compared: the mean of its other seeds would
flatter it. Seeds that are missing for another reason (an error, an interruption) are left out of a comparison.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from grid.analysis.inference import Effect, crossed_effect, seed_effect
from grid.analysis.moderation import Moderation, moderate
from grid.formats import plural, quoted
from grid.questions.measures import MEASURES
from grid.questions.study import Study
from grid.tables.fit import DIRECTION

RightAnswers = Mapping[str, npt.NDArray[np.bool_]]
"""For each trial that is ok, by fingerprint: which test images it is right about, `(N,) bool`."""

CURVE_STEPS = 50
"""Levels of a curve at which two arms' epochs are compared."""


@dataclass(frozen=True)
class ArmEvidence:
    """What there is of an arm.

    Attributes:
        trials: Its ok trials, by seed: rows of `trials.parquet`.
        planned: Its seeds at full budget in the order in which they are given, whatever became of them.
        why_not: Why it is not compared with others, as what is said of it: `diverged on 1 of 3 seeds`; None if it is.
        diverged: Whether that is because it diverged, so that it can't be the best.
    """

    trials: pd.DataFrame
    planned: tuple[int, ...]
    why_not: str | None
    diverged: bool = False

    @cached_property
    def fingerprints(self) -> dict[int, str]:
        """The fingerprint of each ok trial, by seed; asked for every pair of arms, where pandas takes its time."""
        return {int(str(seed)): str(key) for seed, key in self.trials["fingerprint"].items()}


@dataclass(frozen=True)
class Evidence:
    """All arms of a study, and how many of their seeds may be looked at.

    Attributes:
        study: The study.
        arms: One entry an arm, in the study's order.
        epochs: Rows of `epochs.parquet` of their trials, by fingerprint.
        right: Right answers by fingerprint.
        num_seeds: For each arm, how many of its planned seeds a look may use; all of them if None.
    """

    study: Study
    arms: tuple[ArmEvidence, ...]
    epochs: Mapping[str, pd.DataFrame]
    right: RightAnswers
    num_seeds: tuple[int, ...] | None = None
    _cache: dict[tuple[int, ...], Effect] = field(default_factory=dict, compare=False)
    _moderations: dict[tuple[tuple[int, ...], ...], Moderation | None] = field(default_factory=dict, compare=False)

    def label(self, arm: int) -> str:
        """An arm's label, in quotes."""
        return quoted(self.study.arms[arm].label)

    def contest(self) -> list[int]:
        """The arms that can be compared."""
        return [arm for arm, evidence in enumerate(self.arms) if evidence.why_not is None]

    def best(self, arms: Collection[int]) -> int | None:
        """The arm of the highest mean validation accuracy among those that can be compared; the earlier of equals."""
        contest = [arm for arm in sorted(arms) if self.arms[arm].why_not is None]
        return max(contest, key=self.val_acc, default=None)

    def val_acc(self, arm: int) -> float:
        """Mean validation accuracy after the last epoch, over the seeds that are ok."""
        return float(self.arms[arm].trials["val_acc"].mean())

    def train_s(self, arm: int) -> float:
        """Mean seconds that a trial of an arm takes; NaN if none says."""
        trials = self.arms[arm].trials
        return float(trials["wall_s"].mean()) if "wall_s" in trials else math.nan

    def seeds(self, *arms: int) -> list[int]:
        """The seeds that all of some arms have, as far as this look goes."""
        limit = [self._visible[arm] for arm in arms]
        return [seed for seed in limit[0] if all(seed in other for other in limit[1:])]

    def fingerprints(self, *arms: int) -> list[str]:
        """The trials of these arms with the seeds that all of them have."""
        shared = self.seeds(*arms)
        return [self.arms[arm].fingerprints[seed] for arm in arms for seed in shared]

    def difference(self, first: int, second: int) -> Effect | None:
        """How much test accuracy `first` is above `second`, paired by seed and by image; None without a shared seed."""
        seeds = self.seeds(first, second)
        key = (first, second, *seeds)
        if seeds and key not in self._cache:
            a, b = (self.answers(arm, seeds).astype(np.int8) for arm in (first, second))
            self._cache[key] = crossed_effect(a - b)
        return self._cache.get(key)

    def moderated(self, first: int, second: int) -> Effect | None:
        """How much test accuracy `first` is above `second` over the seeds of each, with moderated variances.

        None where an arm has too few seeds for that, or the study too few arms. Arms that predict the same for every
        image, on every seed, are no two arms: they have no variance to speak of.
        """
        if (first, second) not in self._moderated:
            self._moderated[first, second] = self._moderate(first, second)
        return self._moderated[first, second]

    def _moderate(self, first: int, second: int) -> Effect | None:
        moderation = self.moderation
        if moderation is None or not {first, second} <= moderation.arms.keys():
            return None
        seeds = self.seeds(first), self.seeds(second)
        alike = np.array_equal(moderation.arms[first].by_image, moderation.arms[second].by_image)
        if (
            alike
            and seeds[0] == seeds[1]
            and np.array_equal(self.answers(first, seeds[0]), self.answers(second, seeds[1]))
        ):
            return None
        return moderation.difference(first, second)

    @cached_property
    def _moderated(self) -> dict[tuple[int, int], Effect | None]:
        return {}

    @cached_property
    def moderation(self) -> Moderation | None:
        """The seed variances of all arms that can be compared; None if they are too few."""
        contest = self.contest()
        seeds = [self.seeds(arm) for arm in contest]
        key = tuple((arm, *of) for arm, of in zip(contest, seeds, strict=True))
        if key not in self._moderations:
            self._moderations[key] = moderate(
                {arm: self.answers(arm, of) for arm, of in zip(contest, seeds, strict=True) if of}
            )
        return self._moderations[key]

    def answers(self, arm: int, seeds: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Right answers of an arm, `(S, N)`."""
        return np.stack([self.right[self.arms[arm].fingerprints[seed]] for seed in seeds])

    def measure(self, arm: int, name: str, over: str = "seeds") -> Effect:
        """A final measure of an arm: over `seeds` on these very images, or test accuracy over `images` or `both`."""
        if over == "both":
            return crossed_effect(self.answers(arm, self.seeds(arm)))
        if over == "images":
            by_image = self.answers(arm, self.seeds(arm)).mean(axis=0)
            image_se = float(by_image.std(ddof=1) / np.sqrt(len(by_image)))
            return Effect(float(by_image.mean()), 0.0, len(self.seeds(arm)), image_se)
        return seed_effect(self.arms[arm].trials.loc[self.seeds(arm), name].astype(float))

    def fits(self, arm: int) -> list[str]:
        """How well each of an arm's trainings fits, of those that are long enough to say."""
        return [fit for fit in self.arms[arm].trials.loc[self.seeds(arm), "fit"] if fit in DIRECTION]

    def curve_gap(self, first: int, second: int, curve: str) -> Effect | None:
        """By how many epochs `first` is later than `second` to the same level of a curve, seed by seed."""
        pairs = [self._curves(first, second, seed, curve) for seed in self.seeds(first, second)]
        gaps = [epochs_behind(*pair) for pair in pairs]
        return delay_effect(gaps, min(max(map(len, pair)) for pair in pairs) - 1) if gaps else None

    def roughness_gap(self, first: int, second: int, curve: str) -> Effect | None:
        """How much more of its way `first` goes backwards than `second` (see `roughness`), seed by seed."""
        pairs = [self._curves(first, second, seed, curve) for seed in self.seeds(first, second)]
        return seed_effect([roughness(a) - roughness(b) for a, b in pairs]) if pairs else None

    @cached_property
    def _visible(self) -> list[list[int]]:
        """For each arm, the seeds that are ok, as far as this look goes."""
        limits = self.num_seeds or [None] * len(self.arms)
        return [
            [seed for seed in of.planned[:limit] if seed in of.fingerprints]
            for of, limit in zip(self.arms, limits, strict=True)
        ]

    def _curves(self, first: int, second: int, seed: int, curve: str) -> tuple[npt.NDArray[np.float64], ...]:
        keys = (self.arms[arm].fingerprints[seed] for arm in (first, second))
        return tuple(
            self.epochs[key].sort_values("epoch")[curve].to_numpy(dtype=float) * (-1 if MEASURES[curve].is_loss else 1)
            for key in keys
        )


def gather(study: Study, trials: pd.DataFrame, epochs: pd.DataFrame, right: RightAnswers) -> Evidence:
    """Collects what is known of a study's arms; `trials` are its own rows of `trials.parquet`."""
    full = trials[trials["stage"] == "full"]
    arms = tuple(
        _arm_evidence(full[full["arm"] == arm], trials[trials["arm"] == arm]) for arm in range(len(study.arms))
    )
    kept = epochs[epochs["fingerprint"].isin(full["fingerprint"])]
    return Evidence(study, arms, {str(key): rows for key, rows in kept.groupby("fingerprint")}, right)


def epochs_behind(a: Sequence[float] | npt.NDArray[np.float64], b: Sequence[float] | npt.NDArray[np.float64]) -> float:
    """Mean number of epochs by which `a` reaches a level later than `b`; negative if it is earlier.

    Both are curves `(E,)` that rise, by epoch from the first on. Levels go evenly from the higher of the two first
    values to the highest that both reach; a level is reached where the curve is first at it, between epochs by a
    straight line.
    """
    first, second = np.maximum.accumulate(a), np.maximum.accumulate(b)
    low, high = max(first[0], second[0]), min(first[-1], second[-1])
    if high <= low:  # one is, after an epoch, where the other never comes: the distance is at least the whole training
        longest = float(max(len(first), len(second)) - 1)
        return 0.0 if first[0] == second[0] else (longest if first[-1] < second[-1] else -longest)
    levels = np.linspace(low, high, CURVE_STEPS)
    return float(np.mean(_first_epoch(first, levels) - _first_epoch(second, levels)))


def delay_effect(gaps: npt.ArrayLike, longest: float) -> Effect:
    """The mean of delays `(S,)`, of which none can be seen that is longer than `longest`.

    Where one is that long, values pile up there and their spread says nothing. Then seeds are counted: on how many the
    delay is above 0. With Student's test, a claim on equal arms errs up to 1.5 times its level there.
    """
    values = np.asarray(gaps, dtype=float)
    if len(values) > 1 and ((np.abs(values) >= longest).any() or np.ptp(values) == 0):
        above = float((values > 0).sum() + (values == 0).sum() / 2)
        return Effect(float(values.mean()), 0.0, len(values), num_above=above)
    return seed_effect(values)


def roughness(curve: Sequence[float] | npt.NDArray[np.float64]) -> float:
    """Share of a curve's way, up and down, that goes down: 0 if it only rises, 1/2 if it comes back to where it was."""
    steps = np.diff(np.asarray(curve, dtype=float))
    way = float(np.abs(steps).sum())
    return float(-steps[steps < 0].sum()) / way if way > 0 else 0.0


def _first_epoch(rising: npt.NDArray[np.float64], levels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """When a curve that never falls first reaches each level, in epochs after the first."""
    after = np.searchsorted(rising, levels, side="left")
    before = np.maximum(after - 1, 0)
    step = rising[after] - rising[before]
    part = np.divide(levels - rising[before], step, out=np.zeros_like(levels), where=step > 0)
    return np.asarray(before + part)


def _arm_evidence(full: pd.DataFrame, all_stages: pd.DataFrame) -> ArmEvidence:
    ok = full[full["status"] == "ok"].set_index("seed")
    num_diverged = int((full["status"] == "diverged").sum())
    why_not = None
    if num_diverged:
        why_not = f"diverged on {num_diverged} of {plural(len(full), 'seed')}"
    elif full.empty and len(all_stages):
        why_not = "was stopped early by the scheduler"
    elif ok.empty:
        why_not = "has no trial that is ok"
    return ArmEvidence(ok, tuple(int(seed) for seed in full["seed"]), why_not, num_diverged > 0)
