"""How a run goes about its questions: which trials it trains beyond, or instead of, the full grid."""

from typing import Literal, Self

from pydantic import model_validator

from cifar_models.config import Frozen


class Method(Frozen):
    """The user's choices.

    Attributes:
        scheduler: `grid` trains every arm with every seed; `asha` screens all arms and trains the best ones.
        screening_seeds: Seeds an arm is screened with.
        finalists: Arms that are trained in full after a screening; as many as suits their number if None.
        until_decided: Whether arms get further seeds as long as something is open.
        max_trials: Trials that may be added so, in all questions of the run together.
        keep_weights: Which final weights the ledger keeps: none, those of the best trial of each study, or all.
        max_gpu_hours: GPU hours beyond which a run does not start; no limit if None.
    """

    scheduler: Literal["grid", "asha"] = "grid"
    screening_seeds: int = 1
    finalists: int | None = None
    until_decided: bool = False
    max_trials: int = 0
    keep_weights: Literal["none", "best", "all"] = "none"
    max_gpu_hours: float | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.until_decided and not self.max_trials:
            raise ValueError("--until-decided needs --max-trials: how many trials may be added")
        if self.max_trials and not self.until_decided:
            raise ValueError("--max-trials is the budget of --until-decided; give both")
        if self.until_decided and self.scheduler == "asha":
            raise ValueError("--until-decided adds seeds to a full grid; leave out --scheduler asha")
        return self
