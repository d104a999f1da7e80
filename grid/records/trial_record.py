"""The record of a trial that has ended, as it stands in the ledger."""

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from cifar_models.config import TRAINING_VERSION, TrainConfig
from cifar_models.records import EpochRecord
from grid.records.fingerprint import Fingerprint
from grid.records.status import Status


class TrialRecord(BaseModel):
    """All that is kept of a trial that has ended, except its predictions.

    Attributes:
        format: Of its files; in 1 predictions have no `predicted_prob`.
        fingerprint: Its key.
        status: How it ended.
        reason: Why, in a sentence, unless it is `ok`.
        traceback: Where in the code, if it is an `error`.
        config: What was trained.
        data_fingerprint: Hash of the data set's bytes.
        training_version: Version of the code that trained it.
        epochs: Its curves; as far as it came.
        test_loss: Mean cross-entropy on the test set after the last epoch, in nats; None unless `ok`.
        test_acc: Share of right answers on the test set after the last epoch; None unless `ok`.
        num_parameters: Trainable parameters of the model; None if it was never built.
        num_train: Number of training images; None if they were never read.
        started: When it started, ISO 8601 in UTC.
        wall_s: Seconds it took.
        machine: Processor or GPU it ran on.
        versions: Versions of the packages that computed it.
        predictions_sha256: Hash of `predictions.npz`; None unless `ok`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    format: Literal[1, 2] = 2
    fingerprint: Fingerprint
    status: Status
    reason: str | None = None
    traceback: str | None = None
    config: TrainConfig
    data_fingerprint: str
    training_version: int
    epochs: tuple[EpochRecord, ...] = ()
    test_loss: float | None = None
    test_acc: float | None = None
    num_parameters: int | None = None
    num_train: int | None = None
    started: str
    wall_s: float
    machine: str
    versions: dict[str, str] = {}
    predictions_sha256: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.status == "ok" and (not self.epochs or self.test_acc is None):
            raise ValueError("an ok trial has curves and test measures")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"a trial that is {self.status} has a reason")
        return self

    @classmethod
    def untrained(
        cls, fingerprint: str, config: TrainConfig, data_fingerprint: str, status: Status, reason: str
    ) -> Self:
        """The record of a trial that can't say itself how it ended: it was never started, or its process was lost."""
        return cls(
            fingerprint=fingerprint,
            status=status,
            reason=reason,
            config=config,
            data_fingerprint=data_fingerprint,
            training_version=TRAINING_VERSION,
            started=datetime.now(UTC).isoformat(),
            wall_s=0.0,
            machine="unknown",
        )
