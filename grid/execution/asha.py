"""ASHA: screens all arms of a study on few seeds, and gives more epochs only to those that do well. No Ray here.

This is the algorithm that promotes (Source: Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning,
MLSys, algorithm 2), not the one that only stops. Three things differ, as all cells are known from the start: when
nothing else is left to do, the best cell of a rung goes on even if fewer than `reduction` arrived; the whole budget is
not a rung of the screening but the confirmation, on fresh seeds; a cell that fails leaves its place to the next best.

What the order of finishing can change. Let R(k) be the cells that reach rung k, whether or not they fail later, and
T(k) the best max(1, |R(k)| // reduction) of them at that rung; ties go to the earlier cell.

1. At every rung, given who arrives: all of T(k) goes on, in any order. Another order can only add cells, and only such
   as were among the best of those that had arrived until then.
2. Who reaches the first rung is the same in any order, hence so is T(0), and nothing can keep it from going on.
3. At a higher rung this does not hold of the run as a whole: an added cell arrives there too, and may beat one that
   would have been in T(k) without it, but only by a better result after the same share of epochs. What is sure in any
   order: let m(0) be the number of cells that would never fail, and m(k + 1) = max(1, m(k) // reduction). One of them
   that would be among the best m(k + 1) of all cells at each rung k goes on from each; so does the best at every rung.
   Proof: of the cells that do not fail, at least m(k) reach rung k, by induction: the best of them go on. The one in
   question is among these, as its rank among those at the rung is at most its rank among all.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from statistics import fmean

from cifar_models.config import TrainConfig
from grid.errors import UserError
from grid.execution.schedule import Job
from grid.formats import plural, status_words
from grid.records.plan import Standing
from grid.records.status import Status

REDUCTION = 2
"""One cell in so many goes on from a rung. One in three, after a ninth and a third of the epochs, saves 2 to 7 % of a
full grid of 8 cells, and misses its winners in 3 % of the screenings instead of 1 % (simulated curves that cross)."""

COMPARISONS = 2
"""Rungs before the whole budget, at most: with `REDUCTION`, a quarter and half of it."""

Outcome = tuple[Status, Sequence[float]]
"""How a trial ended, and its validation accuracy after every epoch that it trained, from the first."""


def rungs(epochs: int, reduction: int = REDUCTION, comparisons: int = COMPARISONS) -> tuple[int, ...]:
    """The epochs after which cells of a budget are compared; the last is the whole budget, which confirms.

    Args:
        epochs: The whole budget.
        reduction: Each rung has so many times the epochs of the one before, but for rounding down.
        comparisons: Rungs before the last, at most; those of less than one epoch are left out.

    Returns:
        Rising numbers of epochs: `(1, 2, 4)` for 4, `(25, 50, 100)` for 100.
    """
    return tuple(sorted({epochs // reduction**k for k in range(comparisons + 1)} - {0}))


def cell_rungs(
    budgets: Sequence[int], reduction: int = REDUCTION, comparisons: int = COMPARISONS
) -> tuple[tuple[int, ...], ...]:
    """Returns the rungs of every cell: the same fractions of each budget, as many as the smallest budget allows.

    Args:
        budgets: Whole budget of each cell, in epochs.
        reduction: As in `rungs`, like `comparisons`.
        comparisons: Rungs before the last, at most.

    Raises:
        UserError: A budget is too small for any comparison before its end.
    """
    ladders = [rungs(epochs, reduction, comparisons) for epochs in budgets]
    num_rungs = min(len(ladder) for ladder in ladders)
    if num_rungs == 1:
        raise UserError(
            f"--scheduler asha: an arm trains for only {plural(min(budgets), 'epoch')}, with nothing to compare before "
            f"its end; give more, such as --set epochs={reduction**2}"
        )
    return tuple(ladder[-num_rungs:] for ladder in ladders)


def choose_num_finalists(num_cells: int) -> int:
    """How many cells to confirm: 2 or 3, and at most a quarter of them where there are 8 or more."""
    return max(2, min(3, num_cells // 4))


def describe(budgets: Sequence[int], num_seeds: int, num_finalists: int, reduction: int = REDUCTION) -> str:
    """The rule of a screening in words, for the plan and the page."""
    ladders = dict.fromkeys(cell_rungs(budgets, reduction))
    epochs = ", or ".join(f"{' and '.join(map(str, ladder[:-1]))} of {ladder[-1]}" for ladder in ladders)
    return (
        f"ASHA screens every setting with {plural(num_seeds, 'seed')} and compares them after {epochs} epochs: the "
        f"best 1 in {reduction} of one comparison go on to the next, and the best {num_finalists} in the end train in "
        "full on fresh seeds. The order in which trials finish can let more settings go on; it never holds back one of "
        "the best of those compared."
    )


class AshaSchedule:
    """A schedule that screens cells, each an arm with all of its screening seeds."""

    def __init__(
        self,
        cells: Sequence[Mapping[str, TrainConfig]],
        known: Mapping[str, Outcome] | None = None,
        reduction: int = REDUCTION,
        comparisons: int = COMPARISONS,
    ) -> None:
        """Starts a screening, or goes on with one.

        Args:
            cells: For each arm of the study, its screening trials by fingerprint, one a seed.
            known: How trials ended that ran before, by fingerprint, but for those to be tried again. A cell has arrived
                wherever all of its seeds have been: where a screening stands follows from the ledger alone.
            reduction: As in `rungs`, like `comparisons`.
            comparisons: Rungs of the screening, at most.

        Raises:
            UserError: As from `cell_rungs`.
        """
        self._cells = tuple(dict(cell) for cell in cells)
        self.trials: Mapping[str, TrainConfig] = {
            fingerprint: config for cell in self._cells for fingerprint, config in cell.items()
        }
        budgets = [next(iter(cell.values())).epochs for cell in self._cells]
        self._rungs = tuple(ladder[:-1] for ladder in cell_rungs(budgets, reduction, comparisons))
        self._num_rungs = len(self._rungs[0])
        self._reduction = reduction
        self._sent_to = [-1] * len(self._cells)
        self._val_acc: dict[str, tuple[float, ...]] = {}
        self._failures: dict[str, str] = {}
        self._running: set[str] = set()
        for fingerprint, (status, val_acc) in (known or {}).items():
            self.job_ended(fingerprint, status, val_acc)

    def next_job(self) -> Job | None:
        """Another seed of a cell under way, else a promotion, else the next cell at the first rung."""
        if (chosen := self._choose()) is None:
            return None
        cell, rung = chosen
        self._sent_to[cell] = rung
        fingerprint = self._waiting(cell, rung)[0]
        self._running.add(fingerprint)
        return Job(fingerprint=fingerprint, config=self._cells[cell][fingerprint], until_epoch=self._rungs[cell][rung])

    def is_done(self) -> bool:
        """Whether no cell can go further."""
        return not self._running and self._choose() is None

    def job_ended(self, fingerprint: str, status: Status, val_acc: Sequence[float]) -> None:
        """Takes in a result; one that is not `ok` or `stopped`, or not a number, takes its cell out."""
        self._running.discard(fingerprint)
        sound = tuple(takewhile(math.isfinite, val_acc))
        # the epoch in which it failed is none that it reached: else two seeds could reach a rung in one order only
        self._val_acc[fingerprint] = sound[: len(val_acc) - 1] if status == "diverged" else sound
        if status not in ("ok", "stopped"):
            self._failures[fingerprint] = status_words(status)
        elif len(sound) < len(val_acc):
            self._failures[fingerprint] = "its accuracy is not a number"

    def finalists(self, num: int) -> tuple[int, ...]:
        """The cells to confirm once the screening is done: those that came furthest, best there; at most `num`."""
        places = [cell for rung in reversed(range(self._num_rungs)) for cell in self._ranking(rung)]
        return tuple(dict.fromkeys(places))[:num]

    def standing(self) -> tuple[Standing, ...]:
        """What was found of every cell, in the order of the arms; of a screening that is not done, what is so far."""
        rankings = [self._ranking(rung) for rung in range(self._num_rungs)]
        return tuple(self._standing_of(cell, rankings) for cell in range(len(self._cells)))

    def _standing_of(self, cell: int, rankings: Sequence[Sequence[int]]) -> Standing:
        rung = self._reached(cell)
        if rung < 0 or self._failure(cell):
            return Standing(arm=cell, epochs=self._epochs(cell), reason=self._failure(cell) or "not compared yet")
        num = self._num_reached(rung)
        if rung == self._num_rungs - 1:
            reason = "screened to the end"
        elif self._goal(cell) > rung:
            reason = "promoted, not there yet"
        else:
            reason = f"not among the best {max(1, num // self._reduction)} of {num}"
        epochs, val_acc, rank = self._rungs[cell][rung], self._result(cell, rung), rankings[rung].index(cell) + 1
        return Standing(arm=cell, epochs=epochs, val_acc=val_acc, rank=rank, of=num, reason=reason)

    def _choose(self) -> tuple[int, int] | None:
        """The cell to work on and the rung it goes to; None if there is none at the moment."""
        cells = [cell for cell in range(len(self._cells)) if not self._failure(cell)]
        for cell in cells:
            if self._goal(cell) >= 0 and self._waiting(cell, self._goal(cell)):
                return cell, self._goal(cell)
        lower = range(self._num_rungs - 1)
        if promotion := self._promotion(reversed(lower), least=0):
            return promotion
        for cell in cells:
            if self._goal(cell) < 0 and self._waiting(cell, 0):
                return cell, 0
        # with nothing under way either, whoever can arrive at the lowest rung has arrived: now a single one will do
        return None if self._running else self._promotion(lower, least=1)

    def _promotion(self, lower: Iterable[int], least: int) -> tuple[int, int] | None:
        for rung in lower:
            num_best = max(least, self._num_reached(rung) // self._reduction)
            for cell in self._ranking(rung)[:num_best]:
                if self._goal(cell) == rung and self._waiting(cell, rung + 1):
                    return cell, rung + 1
        return None

    def _ranking(self, rung: int) -> list[int]:
        """The cells that reached a rung and did not fail, best first."""
        arrived = [c for c in range(len(self._cells)) if self._reached(c) >= rung and not self._failure(c)]
        return sorted(arrived, key=lambda cell: -self._result(cell, rung))  # stable: ties go to the earlier cell

    def _num_reached(self, rung: int) -> int:
        """Cells that reached a rung, also those that failed later: so the places there never become fewer."""
        return sum(self._reached(cell) >= rung for cell in range(len(self._cells)))

    def _result(self, cell: int, rung: int) -> float:
        """Mean validation accuracy over the cell's seeds."""
        return fmean(self._val_acc[fingerprint][self._rungs[cell][rung] - 1] for fingerprint in self._cells[cell])

    def _reached(self, cell: int) -> int:
        """The highest rung that all of the cell's seeds reached; -1 for none."""
        return sum(rung <= self._epochs(cell) for rung in self._rungs[cell]) - 1

    def _epochs(self, cell: int) -> int:
        return min(len(self._val_acc.get(fingerprint, ())) for fingerprint in self._cells[cell])

    def _goal(self, cell: int) -> int:
        """The highest rung that the cell reached or was sent to; -1 for none."""
        return max(self._sent_to[cell], self._reached(cell))

    def _waiting(self, cell: int, rung: int) -> list[str]:
        """The cell's trials that did not reach a rung and are not on their way."""
        epochs = self._rungs[cell][rung]
        return [f for f in self._cells[cell] if len(self._val_acc.get(f, ())) < epochs and f not in self._running]

    def _failure(self, cell: int) -> str | None:
        for fingerprint, config in self._cells[cell].items():
            if fingerprint in self._failures:
                return f"seed {config.seed}: {self._failures[fingerprint]}"
        return None
