from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from grid.execution.asha import AshaSchedule, choose_num_finalists
from grid.execution.schedule import Job
from tests.grid.execution.made_screenings import Pool, make_cells


def draw_learning_curves(rng: np.random.Generator, num_cells: int, epochs: int) -> npt.NDArray[np.float64]:
    """True validation accuracies `(cell, epoch)` that rise by power laws of different speed, and so cross.

    Several cells are near the best, some far below, and one in seven stays at chance; ranks after a quarter and after
    half of the epochs have a correlation of about 0.9 and 0.95 with those in the end.
    """
    highest = rng.uniform(0.45, 0.8) - rng.exponential(0.06, num_cells)
    slowness = np.exp(rng.normal(np.log(max(0.12 * epochs, 0.5)), 0.7, num_cells))
    power = rng.uniform(0.8, 1.6, num_cells)
    epoch = np.arange(1, epochs + 1)
    curves = highest[:, None] - (highest - 0.1)[:, None] * (1 + epoch / slowness[:, None]) ** -power[:, None]
    curves[rng.random(num_cells) < 1 / 7] = 0.1
    return curves


def add_noise(rng: np.random.Generator, curves: npt.NDArray[np.float64], num_seeds: int) -> npt.NDArray[np.float64]:
    """Trials `(cell, seed, epoch)`: a seed moves a curve by 0.7 points, an epoch by 2.6 at first and 0.6 late."""
    epoch = np.arange(1, curves.shape[1] + 1)
    of_seed = rng.normal(0, 0.007, (len(curves), num_seeds, 1))
    of_epoch = rng.normal(0, 0.006 + 0.02 / np.sqrt(epoch), (len(curves), num_seeds, len(epoch)))
    return curves[:, None, :] + (curves > 0.1)[:, None, :] * (of_seed + of_epoch)


def winning_set(final: npt.NDArray[np.float64]) -> set[int]:
    """Cells of `(cell, seed)` accuracies that can't be told from the best: paired 95 % t-intervals, uncorrected."""
    best = int(final.mean(axis=1).argmax())
    below = final[best] - final
    width = stats.t.ppf(0.975, final.shape[1] - 1) * below.std(axis=1, ddof=1) / np.sqrt(final.shape[1])
    return {best, *(int(cell) for cell in np.flatnonzero(below.mean(axis=1) <= width))}


@dataclass(frozen=True)
class Campaign:
    """What a screening with its confirmation came to, beside the full grid."""

    share: float
    screening_share: float
    in_winning_set: bool
    regret: float


def run_campaign(
    rng: np.random.Generator,
    num_cells: int,
    epochs: int,
    num_seeds: int,
    num_screening_seeds: int = 1,
    num_finalists: int | None = None,
    num_workers: int = 4,
) -> Campaign:
    """Screens made cells, confirms the finalists with `num_seeds` in full, and picks the best of them."""
    truth = draw_learning_curves(rng, num_cells, epochs)
    screened = add_noise(rng, truth, num_screening_seeds)
    final = add_noise(rng, truth, num_seeds)[:, :, -1]
    curves = {
        f"{cell}-{seed}": list(trial) for cell, trials in enumerate(screened) for seed, trial in enumerate(trials)
    }
    speed = np.exp(rng.normal(0, 0.3, num_cells))
    done: dict[str, int] = {}
    ends: dict[str, float] = {}
    clock = [0.0]

    def start(job: Job, pool: Pool) -> None:
        num_epochs = job.until_epoch - done.get(job.fingerprint, 0)
        done[job.fingerprint] = job.until_epoch
        ends[job.fingerprint] = clock[0] + num_epochs * speed[int(job.fingerprint.split("-")[0])]

    def first_to_end(running: list[Job]) -> int:
        index = min(range(len(running)), key=lambda i: ends[running[i].fingerprint])
        clock[0] = ends[running[index].fingerprint]
        return index

    schedule = AshaSchedule(make_cells([epochs] * num_cells, num_screening_seeds))
    Pool(schedule, curves, num_workers, first_to_end, before_start=start).run()
    finalists = schedule.finalists(num_finalists or choose_num_finalists(num_cells))
    picked = max(finalists, key=lambda cell: float(final[cell].mean()))
    full = num_cells * num_seeds * epochs
    return Campaign(
        share=(sum(done.values()) + len(finalists) * num_seeds * epochs) / full,
        screening_share=sum(done.values()) / full,
        in_winning_set=picked in winning_set(final),
        regret=float(truth[:, -1].max() - truth[picked, -1]),
    )


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.parametrize("epochs", [4, 5, 9, 100])
def test_screening_finds_a_winner_of_the_full_grid_with_at_most_40_percent_of_its_epochs(
    epochs: int, num_seeds: int
) -> None:
    rng = np.random.default_rng([epochs, num_seeds])
    campaigns = [run_campaign(rng, num_cells, epochs, num_seeds) for num_cells in (8, 12, 20) for _ in range(50)]
    assert np.mean([campaign.in_winning_set for campaign in campaigns]) >= 0.95
    assert np.mean([campaign.share <= 0.4 for campaign in campaigns]) >= 0.95
    assert np.mean([campaign.regret for campaign in campaigns]) < 0.005
