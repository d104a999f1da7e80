"""The identity of a trial: a hash of everything that decides its numbers."""

import hashlib
import json

from cifar_models.config import TRAINING_VERSION, TrainConfig


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
