"""Orders of arms: the Pareto front of cost and accuracy, and whether a smaller budget ranks arms as the full one does.

Everything here is pure. A is the number of arms.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

MIN_ARMS = 3
"""Of fewer arms, there is no order to speak of."""


def pareto_front(cost: npt.ArrayLike, gain: npt.ArrayLike) -> list[int]:
    """The entries that none beats in one of cost `(A,)` and gain `(A,)` without being worse in the other, by cost.

    Entries with a NaN are not on it; of equal ones, the first is.
    """
    costs, gains = (np.asarray(values, dtype=np.float64) for values in (cost, gain))
    front: list[int] = []
    for index in np.lexsort((-gains, costs)):
        if np.isfinite([costs[index], gains[index]]).all() and (not front or gains[index] > gains[front[-1]]):
            front.append(int(index))
    return front


@dataclass(frozen=True)
class Agreement:
    """Kendall's rank correlation (tau-b) of two orders, with the ends of its 95 % interval; NaN for those of 4 or less.

    The interval is over arms, as if they were drawn from many: Fisher's z with Fieller's variance. An order without
    a single exchanged pair counts as half a pair short of it, or the interval would have no width.

    Source: Fieller, Hartley and Pearson 1957, Biometrika 44, 470.
    """

    tau: float
    low: float
    high: float


def agreement(first: npt.ArrayLike, second: npt.ArrayLike) -> Agreement:
    """How much two measures `(A,)` of the same arms agree on their order."""
    x, y = (np.asarray(values, dtype=np.float64) for values in (first, second))
    tau, n = round(float(stats.kendalltau(x, y).statistic), 12), len(x)  # 1 is 1, also after rounding errors
    if n < 5 or math.isnan(tau):
        return Agreement(tau, math.nan, math.nan)
    most = 1 - 2 / (n * (n - 1))
    z, reach = math.atanh(min(max(tau, -most), most)), 1.96 * math.sqrt(0.437 / (n - 4))
    return Agreement(tau, math.tanh(z - reach) if tau > -1 else -1, math.tanh(z + reach) if tau < 1 else 1)


@dataclass(frozen=True)
class Budget:
    """What an order after so many epochs is worth.

    Attributes:
        epoch: Number of epochs.
        agreement: With the order by test accuracy at full budget.
        rank: Place, from 1, that the arm that ends best has by then.
        num_arms: Arms that are in both orders.
    """

    epoch: int
    agreement: Agreement
    rank: int
    num_arms: int


def budgets(trials: pd.DataFrame, epochs: pd.DataFrame, stage: str = "full") -> list[Budget]:
    """Compares arms' mean validation accuracy after each epoch with their mean test accuracy at full budget.

    Args:
        trials: Rows of `trials.parquet`, of one study.
        epochs: Rows of `epochs.parquet`.
        stage: `full`, the very trials that end there (up to the last epoch that all arms have), or `screening`,
            which has seeds of its own and fewer arms from epoch to epoch.
    """
    ok = trials[(trials["status"] == "ok") & (trials["stage"] == "full")]
    final = ok.groupby("arm")["test_acc"].mean()
    early = ok if stage == "full" else trials[trials["stage"] == stage]
    joined = early[["fingerprint", "arm"]].merge(epochs[["fingerprint", "epoch", "val_acc"]], on="fingerprint")
    val_acc = joined.groupby(["epoch", "arm"])["val_acc"].mean().unstack().reindex(columns=final.index)
    found = []
    for epoch, row in zip(val_acc.index.tolist(), val_acc.to_numpy(), strict=True):
        known = ~np.isnan(row)
        if known.sum() < MIN_ARMS or (stage == "full" and not known.all()):
            continue
        x, y = row[known], final.to_numpy()[known]
        rank = int((x > x[y.argmax()]).sum()) + 1
        found.append(Budget(int(epoch), agreement(x, y), rank, len(x)))
    return found
