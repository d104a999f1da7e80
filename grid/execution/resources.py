"""What trials may use. None of it decides their numbers but the threads, which all trials of an architecture share."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, get_args

from cyclopts import Parameter
from pydantic import AfterValidator, Field, model_validator

from cifar_models.config import Architecture, Frozen
from grid.errors import UserError
from grid.execution.hardware import gpu_here


def expand_home(path: Path) -> Path:
    """Replaces `~` by the home folder, which a shell does not do inside quotes and after `=`."""
    return Path(os.path.expanduser(path))


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


class ArchitectureShare(Share):
    """What one trial of an architecture may use; also read from text such as `resnet50=4,1`.

    Attributes:
        architecture: Its name.
    """

    architecture: Architecture

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: object) -> object:
        """The fields of `ARCHITECTURE=CPUS,GPUS`; what is no text is left as it is."""
        if not isinstance(given, str):
            return given
        name, _, numbers = given.partition("=")
        try:
            cpus, gpus = (float(number) for number in numbers.split(","))
            if name not in get_args(Architecture) or not (0 < cpus < 10_000 and 0 <= gpus < 10_000):
                raise ValueError
        except ValueError:
            known = ", ".join(get_args(Architecture))
            raise ValueError(
                f"{given!r} is not ARCHITECTURE=CPUS,GPUS, such as resnet50=4,1; architectures are {known}"
            ) from None
        return {"architecture": name, "cpus": cpus, "gpus": gpus}


@Parameter(name="*")
class Storage(Frozen):
    """Where trials keep what outlives their process.

    Attributes:
        checkpoints: Path or URL that all nodes see, for trials that shall survive their node; any that fsspec knows. A
            folder in the results folder if not given.
    """

    checkpoints: str | None = None


class Resources(Storage):
    """What trials may use, and how many run at once.

    A worker is reused only for trials of the same share, so each change of it costs the start of one. Workers run in
    folders of their own, so the folder of weights is made absolute.

    Attributes:
        gpus: GPUs a trial; a fraction shares one. One if this machine has any.
        cpus: CPUs a trial; also its number of threads.
        by_architecture: ARCHITECTURE=CPUS,GPUS a trial, such as resnet50=4,1; may be repeated.
        max_trials: Most trials at once; as many as fit if not given.
        weights_dir: Where files of published weights are, on every node, before they are downloaded.
        keep_states: Keeps final states beside the checkpoints, for the same trials with more epochs to go on from.
        compile: Trains with torch.compile, on GPUs only. It rounds otherwise, and the name of the machine says so.
        checkpoint_interval_s: Seconds between two checkpoints of a trial.
    """

    gpus: Annotated[float | None, Parameter(name="--gpus-per-trial")] = Field(default=None, ge=0)
    cpus: Annotated[float, Parameter(name="--cpus-per-trial")] = Field(default=1, ge=0.01)
    by_architecture: Annotated[
        tuple[ArchitectureShare, ...],
        Parameter(name="--resources", n_tokens=1, metavar="ARCHITECTURE=CPUS,GPUS", show_default=False),
    ] = ()
    max_trials: Annotated[int | None, Parameter(name="--max-trials-at-once")] = Field(default=None, ge=1)
    weights_dir: Annotated[Path, AfterValidator(lambda path: expand_home(path).resolve())] | None = None
    keep_states: bool = False
    compile: bool = False
    checkpoint_interval_s: Annotated[float, Parameter(parse=False)] = 60.0

    def settled(self, offered: Iterable[Mapping[str, float]] | None = None) -> "Resources":
        """Returns the same with a number of GPUs: the user's choice, else one a trial where there are any.

        Args:
            offered: What the nodes offer that trials run on, as Ray counts it; None for a run on a machine like this.

        Raises:
            UserError: Networks shall be compiled for a CPU.
        """
        settled = self
        if self.gpus is None:
            has_gpus = gpu_here() if offered is None else any(of.get("GPU", 0) > 0 for of in offered)
            settled = self.model_copy(update={"gpus": float(has_gpus)})
        # measured with torch 2.14.1: its code for convolution, LeakyReLU and batch normalisation in training is off by
        # as much as the result itself
        if self.compile and not all(share.gpus for share in settled.shares()):
            raise UserError("--compile: on a CPU, torch's compiled networks compute wrong results; leave it out there")
        return settled

    def share(self, architecture: str) -> Share:
        """What a trial of an architecture may use; no GPU before that is settled."""
        for own in reversed(self.by_architecture):  # what is said last holds
            if own.architecture == architecture:
                return Share(cpus=own.cpus, gpus=own.gpus)
        return Share(cpus=self.cpus, gpus=self.gpus or 0.0)

    def shares(self) -> list[Share]:
        """Every share that a trial could have, each once."""
        return list(dict.fromkeys(self.share(name) for name in self._names()))

    def num_threads(self) -> dict[str, int]:
        """Threads a trial, by architecture; `other` for those that are not named."""
        return {name: self.share(name).num_threads for name in self._names()}

    def _names(self) -> tuple[str, ...]:
        return ("other", *(own.architecture for own in self.by_architecture))
