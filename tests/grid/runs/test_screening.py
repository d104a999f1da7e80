"""What a schedule would hand out, if all arms did alike."""

from grid.execution.asha import AshaSchedule, Outcome
from grid.execution.schedule import Queue
from grid.runs.screening import rehearse
from tests.grid.execution.small_runs import small_config

CELLS = [{f"cell {seed}": small_config(seed, epochs=4)} for seed in range(8)]


def test_a_queue_hands_out_every_trial_in_full() -> None:
    trials = {name: config for cell in CELLS for name, config in cell.items()}
    assert [*rehearse(Queue(trials), {})] == [*trials.values()]


def test_a_screening_trains_all_one_epoch_and_half_of_them_another() -> None:
    schedule = AshaSchedule(CELLS)
    jobs = [*rehearse(schedule, {})]
    assert [config.epochs for config in jobs] == [1] * 12
    assert {config.seed for config in jobs if [c.seed for c in jobs].count(config.seed) == 2} == {0, 1, 2, 3}
    assert schedule.finalists(2) == (0, 1)


def test_what_was_trained_before_is_not_trained_again() -> None:
    known: dict[str, Outcome] = {f"cell {seed}": ("stopped", [seed / 10]) for seed in range(8)}
    jobs = rehearse(AshaSchedule(CELLS, known), dict.fromkeys(known, 1))
    assert [(config.seed, config.epochs) for config in jobs] == [(7, 1), (6, 1), (5, 1), (4, 1)]
