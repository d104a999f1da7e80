"""The images: read from whatever layout they lie in, and divided into train, validation and test. No torch here."""

from cifar_models.data.dataset import DEFAULT_DATA_DIR, Dataset, Split, data_fingerprint, load, split
from cifar_models.data.errors import DataError

__all__ = ["DEFAULT_DATA_DIR", "DataError", "Dataset", "Split", "data_fingerprint", "load", "split"]
