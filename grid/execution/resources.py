"""What trials may use. None of it decides their numbers but the threads, which all trials of an architecture share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from cifar_models.config import Frozen


class Share(Frozen):
    """What one trial may use.

    Attributes:
        cpus: CPUs, which Ray counts; a fraction shares one.
        gpus: GPUs; a fraction shares one, and on CUDA is also the share of its memory that the trial may take.
    """

    cpus: float
    gpus: float

    @property
    def num_threads(self) -> int:
        """Threads a trial computes with, at least one."""
        return max(1, int(self.cpus))


class Resources(Frozen):
    """What trials may use, how many run at once, and where they keep what outlives their process.

    Attributes:
        cpus: CPUs a trial.
        gpus: GPUs a trial. If None, one where there are any, which `settled` decides.
        by_architecture: CPUs and GPUs a trial of some architectures, by name, where those of the others don't suit. A
            worker is reused only for trials of the same share, so each change of it costs the start of one.
        max_trials: Most trials at once; as many as fit if None.
        weights_dir: Where published weights are looked for, on every node, before they are downloaded; workers run in
            folders of their own, so it is made absolute.
        checkpoints: Path or URL, of any kind that fsspec knows, of the checkpoints of trials under way; a folder
            beside the ledger if None.
        checkpoint_interval_s: Seconds between two checkpoints of a trial.
    """

    cpus: float = 1
    gpus: float | None = None
    by_architecture: Mapping[str, tuple[float, float]] = {}
    max_trials: int | None = None
    weights_dir: Annotated[Path, AfterValidator(Path.resolve)] | None = None
    checkpoints: str | None = None
    checkpoint_interval_s: float = 60.0

    def settled(self, has_gpus: bool) -> "Resources":
        """The same with a number of GPUs: one a trial where there are any, unless the user chose.

        Args:
            has_gpus: Whether there are any where the trials run.
        """
        return self if self.gpus is not None else self.model_copy(update={"gpus": float(has_gpus)})

    def share(self, architecture: str) -> Share:
        """What a trial of an architecture may use; no GPU before that is settled."""
        if architecture in self.by_architecture:
            cpus, gpus = self.by_architecture[architecture]
            return Share(cpus=cpus, gpus=gpus)
        return Share(cpus=self.cpus, gpus=self.gpus or 0.0)

    def shares(self) -> list[Share]:
        """Every share that a trial could have, each once."""
        return list(dict.fromkeys(self.share(name) for name in ("", *self.by_architecture)))
