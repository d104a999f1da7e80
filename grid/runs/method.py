"""How a run goes about its questions: which trials it trains beyond, or instead of, the full grid."""

from typing import Literal, Self

from cyclopts import Parameter
from pydantic import Field, model_validator

from cifar_models.config import Frozen


@Parameter(name="*")
class PlannedMethod(Frozen):
    """What can be planned before a trial has run.

    Attributes:
        scheduler: grid trains all; asha screens all arms and trains the best in full.
        screening_seeds: Seeds an arm is screened with.
        finalists: Arms trained in full after screening; 2 or 3 if not given.
        keep_weights: Final weights to keep: of each study's best trial, or of all.
    """

    scheduler: Literal["grid", "asha"] = "grid"
    screening_seeds: int = Field(default=1, ge=1, le=100)
    finalists: int | None = Field(default=None, ge=2)
    keep_weights: Literal["none", "best", "all"] = "none"


class Method(PlannedMethod):
    """What a run decides by what its trials found, or would take.

    Attributes:
        until_decided: Gives further seeds to what is open; needs --max-trials.
        max_trials: Trials that --until-decided may add, in all questions of the run together.
        max_gpu_hours: Refuses to start a run that would take more.
        require_all: Whether trials that were skipped, as their weights can't be had here, make the run fail.
        on_end: Command to run when the run has ended, without a shell; CIFAR_GRID_OUTCOME tells it how.
    """

    until_decided: bool = False
    max_trials: int = Field(default=0, ge=0)
    max_gpu_hours: float | None = Field(default=None, ge=0)
    require_all: bool = False
    on_end: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.until_decided and not self.max_trials:
            raise ValueError("--until-decided needs --max-trials: how many trials may be added")
        if self.max_trials and not self.until_decided:
            raise ValueError("--max-trials is the budget of --until-decided; give both")
        if self.until_decided and self.scheduler == "asha":
            raise ValueError("--until-decided adds seeds to a full grid; leave out --scheduler asha")
        return self
