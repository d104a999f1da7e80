"""How much each axis of a question matters: the share of the variance between trials that it explains.

**What is shared out.** Take an arm at random, each as likely as another, and train it with a random seed. The variance
of what comes out is a sum: of each axis alone, of what two axes do together beyond that, of three or more, and of the
seed within an arm. For a question whose arms are every combination of its axes that sum is exact, with nothing to fit
and no order of axes to choose (functional analysis of variance).

**How it is estimated.** From the sums of squares of a fixed-effects analysis of variance, less what chance alone puts
into each: `(squares - df * noise) / (all squares + noise)`, omega squared. The plain ratio of squares, eta squared,
would give 20 arms with three seeds a third of the variance where no arm differs from another. An estimate below zero
says "no more than chance" and counts as zero; the seeds have the rest, so that shares sum to one.

**Nothing is shown as important that is not.** Where nothing differs, one of the shares is above 10 % in 19 to 51 % of
studies all the same. So a term whose F test (its mean square over the noise) does not reject "nothing", at 5 % for all
terms together by Holm's method, is shown as no more than chance (`shown`), whatever its estimate.

**Missing seeds.** An arm counts by the mean of its ok seeds, each arm alike, whatever their number (analysis of
unweighted means): chance in a mean of n is `noise / n`, so the harmonic mean of the numbers takes the place of
n. A value of an axis at which some arm has no result at all is left out, and the note says so.

**What it does not say.** Shares belong to the values that were tried: a rate so high that nothing learns makes the rate
matter. A seed that is lucky for all arms counts as seed variance. There is no interval: those of a bootstrap over
seeds, meant to cover 95 %, covered 41 to 69 % of the true shares with three seeds and 65 to 89 % with ten (20 arms,
simulated), since drawing seeds again adds chance of its own to every axis.

Source: Fisher 1925, Statistical Methods for Research Workers (analysis of variance); Hutter, Hoos and Leyton-Brown
2014, An Efficient Approach for Assessing Hyperparameter Importance, ICML (shares by axis and pair of axes); Hays 1963,
Statistics for Psychologists (omega squared); Yates 1934, JASA 29 (unweighted means).
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from grid.analysis.inference import ALPHA, holm
from grid.analysis.summaries import trials_of
from grid.formats import plural
from grid.questions.fields import flat
from grid.questions.study import Axis, Study

Kind = Literal["axis", "together", "seeds"]
"""An axis alone; what axes do together; what differs between seeds of an arm."""
Cells = Mapping[int, npt.NDArray[np.float64]]
"""The measure of each arm's ok trials, `(n,)`, for the arms that have any."""

TIMES = "\N{MULTIPLICATION SIGN}"
TOGETHER = "three or more axes together"
ALL = "all axes together"
SEEDS = "seeds"


@dataclass(frozen=True)
class Term:
    """A part of the variance between trials.

    Attributes:
        kind: What it is a part of.
        name: In words: an axis' label, two of them joined by `TIMES`, or a name of this module.
        share: Its share of the variance, 0 to 1.
        squares: Its sum of squares, in the measure's unit squared.
        df: Its degrees of freedom.
        p: p-value of the hypothesis that it is nothing but chance, corrected for all terms; 0 for the seeds.
    """

    kind: Kind
    name: str
    share: float
    squares: float
    df: int
    p: float = 0.0


@dataclass(frozen=True)
class Sensitivity:
    """What a question's result is sensitive to.

    Attributes:
        terms: The parts by falling share, seeds last; their shares sum to one. Empty if nothing can be said.
        note: What a reader has to know of it, or why nothing can be said: sentences, or empty.
    """

    terms: tuple[Term, ...]
    note: str


def axis_shares(trials: pd.DataFrame, study: Study, measure: str = "val_acc") -> Sensitivity:
    """Shares out the variance of a final measure between a study's trials.

    Where the arms are not every combination of the axes, what one axis explains can't be told from what goes with
    it: then all axes are one term, against the seeds.

    Args:
        trials: The `trials` table. Trials that are not ok, and those of a screening, do not count.
        study: The study.
        measure: Column of `trials`.
    """
    cells, table = _cells(trials, study, measure), _table(study)
    kept = None if table is None else _complete_part(np.isin(table, list(cells)))
    part = np.array(list(cells), dtype=int) if table is None or kept is None else table[np.ix_(*kept)]
    counted = {arm: values for arm, values in cells.items() if arm in part}
    if why_not := _why_nothing(counted):
        return Sensitivity((), why_not)
    if kept is not None:
        notes = [*_left_out(study.axes, kept), *_missing(part.size, counted), *_followers(study)]
        return Sensitivity(_terms(part, [axis.label for axis in study.axes], counted), " ".join(notes))
    why = "Too many arms lack a result" if table is not None else "The arms are not every combination of the values"
    notes = [f"{why}, so the axes can't be told apart and are taken together.", *_missing(len(study.arms), counted)]
    return Sensitivity(_terms(part, [ALL], counted), " ".join(notes))


def shown(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """The terms as they may be shown: those that may be chance have no share, and the seeds have the rest."""
    kept = [replace(term, share=term.share if term.p <= ALPHA else 0.0) for term in terms if term.kind != "seeds"]
    kept.sort(key=lambda term: -term.share)
    chance = sum(term.share for term in terms if term.kind != "seeds" and term.p > ALPHA)
    return (*kept, *(replace(term, share=term.share + chance) for term in terms if term.kind == "seeds"))


def _cells(trials: pd.DataFrame, study: Study, measure: str) -> Cells:
    mine = trials_of(trials, study)
    counted = mine[(mine["status"] == "ok") & np.isfinite(mine[measure].astype(float))]
    if "stage" in counted:
        counted = counted[counted["stage"] != "screening"]
    return {int(str(arm)): rows.to_numpy(dtype=float) for arm, rows in counted.groupby("arm")[measure]}


def _why_nothing(cells: Cells) -> str:
    if len(cells) < 2:
        return "Fewer than two arms have a result."
    if all(len(values) < 2 for values in cells.values()):
        return "No arm has results of two seeds, so there is no telling what is chance."
    if np.ptp(np.concatenate(list(cells.values()))) == 0:
        return "All trials came out the same."
    return ""


def _table(study: Study) -> npt.NDArray[np.int64] | None:
    """Which arm has which values, a dimension an axis; None unless every combination is exactly one arm."""
    shape = tuple(len(axis.values) for axis in study.axes)
    if math.prod(shape) != len(study.arms):
        return None
    table = np.full(shape, -1)
    for index, arm in enumerate(study.arms):
        values = [arm.values.get(axis.field) for axis in study.axes]
        if any(value is None for value in values):
            return None
        table[tuple(axis.values.index(value) for axis, value in zip(study.axes, values, strict=True))] = index
    return table if (table >= 0).all() else None


def _complete_part(has_result: npt.NDArray[np.bool_]) -> list[list[int]] | None:
    """Values of each axis at which every combination has a result; None if an axis would keep fewer than two.

    As long as a combination is empty, the value goes that costs the fewest arms with results.
    """
    kept = [list(range(size)) for size in has_result.shape]
    while not (part := has_result[np.ix_(*kept)]).all():
        costs = [
            (int(cells.sum()), axis, position)
            for axis, size in enumerate(part.shape)
            for position in range(size)
            if size > 2 and not (cells := part.take(position, axis)).all()
        ]
        if not costs:
            return None
        _, axis, position = min(costs)
        del kept[axis][position]
    return kept


def _terms(table: npt.NDArray[np.int64], names: list[str], cells: Cells) -> tuple[Term, ...]:
    """The parts of the variance over a full table of arms, `names` its dimensions."""
    values = [cells[int(arm)] for arm in table.flat]
    means = np.array([part.mean() for part in values]).reshape(table.shape)
    within = float(sum(np.square(part - part.mean()).sum() for part in values))
    num_trials = sum(len(part) for part in values)
    noise = within / (num_trials - table.size)
    num_seeds = table.size / sum(1 / len(part) for part in values)
    parts = [(kind, name, num_seeds * square, df) for kind, name, square, df in _squares(means, names)]
    # Of a random arm and seed: what arms differ by, less the chance in their means, and the noise.
    total = sum(square for *_, square, _ in parts) - (table.size - 1) * noise + num_seeds * table.size * noise
    residual_df = num_trials - table.size
    p = holm([stats.f.sf(square / df / noise, df, residual_df) if noise else 0.0 for *_, square, df in parts])
    terms = [
        Term(kind, name, max(square - df * noise, 0.0) / total, square, df, float(chance))
        for (kind, name, square, df), chance in zip(parts, p, strict=True)
    ]
    terms.sort(key=lambda term: -term.share)
    rest = max(1 - sum(term.share for term in terms), 0.0)
    return (*terms, Term("seeds", SEEDS, rest, within, num_trials - table.size))


def _squares(means: npt.NDArray[np.float64], names: list[str]) -> list[tuple[Kind, str, float, int]]:
    """Kind, name, sum of squares over all cells and degrees of freedom of each axis, each pair, and all the rest."""
    effects: dict[tuple[int, ...], npt.NDArray[np.float64]] = {(): means.mean(keepdims=True)}
    parts: list[tuple[Kind, str, float, int]] = []
    dimensions = range(means.ndim)
    for axes in [*itertools.combinations(dimensions, 1), *itertools.combinations(dimensions, 2)]:
        others = tuple(axis for axis in dimensions if axis not in axes)
        smaller = [effect for part, effect in effects.items() if set(part) < set(axes)]
        effects[axes] = means.mean(axis=others, keepdims=True) - sum(smaller)
        square = float(np.square(effects[axes]).mean()) * means.size
        df = math.prod(means.shape[axis] - 1 for axis in axes)
        name = f" {TIMES} ".join(names[axis] for axis in axes)
        parts.append(("axis" if len(axes) == 1 else "together", name, square, df))
    if means.ndim > 2:
        square = float(np.square(means - sum(effects.values())).sum())
        parts.append(("together", TOGETHER, square, means.size - 1 - sum(df for *_, df in parts)))
    return parts


def _left_out(axes: tuple[Axis, ...], kept: list[list[int]]) -> list[str]:
    gone = [
        f"{axis.label} {axis.names[position]}"
        for axis, positions in zip(axes, kept, strict=True)
        for position in range(len(axis.values))
        if position not in positions
    ]
    return [f"Left out, since not every arm there has a result: {', '.join(gone)}."] if gone else []


def _missing(num_arms: int, cells: Cells) -> list[str]:
    """What is missing of the arms that are shared out."""
    empty = num_arms - len(cells)
    most = max(len(values) for values in cells.values())
    fewer = sum(len(values) < most for values in cells.values())
    notes = [f"{plural(empty, 'arm')} without any result can't count."] if empty else []
    return [*notes, *([f"{plural(fewer, 'arm')} with fewer seeds: the mean is of those."] if fewer else [])]


def _followers(study: Study) -> list[str]:
    """The settings that change with an axis, to which what it explains may be due as well."""
    configs = pd.DataFrame([dict(flat(arm.config.model_dump())) for arm in study.arms]).map(repr)
    varied = configs.loc[:, configs.nunique() > 1]
    notes: dict[str, str] = {}
    for axis in study.axes:
        values = varied.groupby(axis.field).nunique().max()
        for setting in values[values == 1].index.difference([other.field for other in study.axes]):
            words = str(setting).split(".")[-1].replace("_", " ")
            notes.setdefault(words, f"What {axis.label} explains may be due to {words}, which changes with it.")
    return list(notes.values())
