"""The identity of a trial: a hash of everything that decides its numbers."""

import hashlib
import json
from typing import Annotated

from pydantic import StringConstraints

from cifar_models.config import TRAINING_VERSION, TrainConfig

Fingerprint = Annotated[str, StringConstraints(pattern="^[0-9a-f]{24}$")]
"""The key of a trial in the ledger, and the name of its folder."""


def fingerprint(config: TrainConfig, data_fingerprint: str, training_version: int = TRAINING_VERSION) -> str:
    """The key of a trial in the ledger.

    Args:
        config: What is trained, seed included; every default is part of it.
        data_fingerprint: Hash of the data set's own bytes.
        training_version: Version of the code that trains.

    Returns:
        24 hexadecimal digits of a SHA-256.
    """
    content = {
        "config": config.model_dump(mode="json"),
        "data": data_fingerprint,
        "training_version": training_version,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:24]


def can_go_on(config: TrainConfig) -> bool:
    """Whether a training with more epochs begins with this one: not if the rate hangs on how many there will be."""
    return config.optimizer.schedule == "constant"


def lineage(config: TrainConfig, data_fingerprint: str) -> str | None:
    """What names the kept state of trials that differ in nothing but their number of epochs.

    The longer one goes on where the shorter one ended, to the bits of a training in one go.

    Returns:
        A name that no fingerprint has; None if the rate at a step depends on how many epochs there will be.
    """
    if not can_go_on(config):
        return None
    return f"{fingerprint(config.model_copy(update={'epochs': 1}), data_fingerprint)}-kept"
