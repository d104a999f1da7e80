"""What Ray Tune has for a run that is finished: trials that do nothing are run, or restored. `… NUM_TRIALS FOLDER`."""

import sys
from pathlib import Path

import ray
from ray import tune

from tests.benchmarks.peers.empty_trials import nothing


def main(num_trials: int, folder: Path) -> None:
    """Runs the trials into a folder, or restores them from it; prints how many have a result."""
    ray.init(include_dashboard=False)
    trainable = tune.with_resources(nothing, {"cpu": 1})
    if tune.Tuner.can_restore(str(folder)):
        tuner = tune.Tuner.restore(str(folder), trainable)
    else:
        tuner = tune.Tuner(
            trainable,
            param_space={"x": tune.grid_search(list(range(num_trials)))},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(name=folder.name, storage_path=str(folder.parent)),
        )
    print(len(tuner.fit()))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
