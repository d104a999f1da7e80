"""The images: read from whatever layout they lie in, and divided into train, validation and test. No torch here."""

from cifar_models.data.dataset import Dataset, Split, data_fingerprint, load, split
from cifar_models.data.errors import DataError
from cifar_models.data.sources import DEFAULT_DATA_DIR, SOURCES

__all__ = ["DEFAULT_DATA_DIR", "SOURCES", "DataError", "Dataset", "Split", "data_fingerprint", "load", "split"]
