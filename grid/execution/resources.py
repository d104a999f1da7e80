"""What a trial may use. None of it decides its numbers but the threads, which are the same for all trials of a run."""

from pathlib import Path

from cifar_models.config import Frozen


class Resources(Frozen):
    """What a trial may use, and how many run at once.

    Attributes:
        cpus: CPUs a trial; its number of threads, at least one.
        gpus: GPUs a trial; a fraction shares one. If None, one where this machine has any.
        max_trials: Most trials at once; as many as fit if None.
        weights_dir: Where published weights are looked for, on every node, before they are downloaded.
    """

    cpus: float = 1
    gpus: float | None = None
    max_trials: int | None = None
    weights_dir: Path | None = None

    @property
    def num_threads(self) -> int:
        """Threads a trial computes with."""
        return max(1, int(self.cpus))
