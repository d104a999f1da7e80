"""Ray Tune's own cost: trials that do nothing, two at once. `python -m … NUM_TRIALS FOLDER [reuse]` runs them.

Tune's defaults, or with `reuse_actors`, which its documentation recommends for short trials.
"""

import sys
import time
from pathlib import Path
from typing import Any

from ray import tune


class Clock(tune.Callback):
    """Notes when the first trial started and the last one ended."""

    def __init__(self) -> None:
        self.started = self.ended = 0.0

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.started = self.started or time.perf_counter()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.ended = time.perf_counter()


def nothing(config: dict[str, int]) -> dict[str, int]:
    """A trial."""
    return {"score": config["x"]}


def main(num_trials: int, folder: Path, *, reuse: bool) -> None:
    """Runs them; prints the seconds a trial, from the start of the first one to the end of the last."""
    clock = Clock()
    tuner = tune.Tuner(
        tune.with_resources(nothing, {"cpu": 1}),
        param_space={"x": tune.grid_search(list(range(num_trials)))},
        tune_config=tune.TuneConfig(reuse_actors=reuse),
        run_config=tune.RunConfig(callbacks=[clock], storage_path=str(folder)),
    )
    assert not tuner.fit().errors
    print((clock.ended - clock.started) / num_trials)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), reuse="reuse" in sys.argv[3:])
