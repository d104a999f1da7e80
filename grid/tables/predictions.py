"""The table of predictions, as a folder of Parquet files that grows: a file for what is new, a row group a trial.

`pd.read_parquet("predictions")` reads it as one table, and so do Polars and DuckDB. What was written for a trial is
not written again, however many trials come after it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grid.records.files import Folder
from grid.records.predictions import Arrays
from grid.tables.schemas import PREDICTIONS

NAME = "predictions"
EARLIER = "predictions.parquet"
"""What held the table before version 3 of the tables."""
DICTIONARIES = ["fingerprint", "label", "predicted"]
ENCODINGS = {
    "image": "DELTA_BINARY_PACKED",
    "true_prob": "BYTE_STREAM_SPLIT",
    "predicted_prob": "BYTE_STREAM_SPLIT",
}
EMPTY = "none.parquet"
"""A file without rows, so that the folder is a table before any trial is ok."""


class PredictionFiles:
    """The files of a results folder.

    Attributes:
        kept: Names of those that are good.
        changed: Whether a file was written or removed.
    """

    def __init__(self, files: Folder) -> None:
        self._around, self._files = files, files.below(NAME)
        self.kept: set[str] = set()
        self.changed = False

    def keep(self, stamps: Mapping[str, str], written: Iterable[str | None], good: Iterable[str | None]) -> None:
        """Keeps the files that are as they were, and hold no trial that is no longer good.

        Args:
            stamps: Of every file when it was written.
            written: The file of each trial, when they were written.
            good: The file of each trial that is still good.
        """
        found, before, after = self.stamps(), Counter(written), Counter(good)
        self.kept = {
            part for part, stamp in stamps.items() if found.get(part) == stamp and before[part] == after[part] > 0
        }

    def add(self, part: str) -> None:
        """Keeps a file that `write_part` wrote."""
        self.kept.add(part)
        self.changed = True

    def remove_others(self) -> None:
        """Removes what is not good, also what an earlier version wrote; what is left is the table."""
        if not self.kept:
            _write(self._files, EMPTY, {})
            self.changed = True
        for name in self._files.names():
            if name.endswith(".parquet") and name not in self.kept and (self.kept or name != EMPTY):
                self._files.remove(name)
                self.changed = True
        self._around.remove(EARLIER)

    def stamps(self) -> dict[str, str]:
        """What differs after every change of a file, by name."""
        return self._files.stamps(settled=True)


def write_part(files: Folder, trials: Mapping[str, Arrays]) -> str:
    """Writes a file of some trials, which any process may do; returns its name."""
    part = f"{hashlib.sha256(' '.join(trials).encode()).hexdigest()[:24]}.parquet"
    _write(files.below(NAME), part, trials)
    return part


def _write(folder: Folder, part: str, trials: Mapping[str, Arrays]) -> None:
    options: dict[str, Any] = {"use_dictionary": DICTIONARIES, "column_encoding": ENCODINGS}
    with (
        folder.writing(part) as file,
        pq.ParquetWriter(file, PREDICTIONS, compression="zstd", compression_level=1, **options) as writer,
    ):
        for fingerprint, arrays in trials.items():
            writer.write(_rows(fingerprint, arrays))


def _rows(fingerprint: str, arrays: Arrays) -> pa.Table:
    num_images, predicted_prob = len(arrays["label"]), arrays.get("predicted_prob")
    columns = [
        pa.repeat(fingerprint, num_images),
        np.arange(num_images),
        arrays["label"],
        arrays["predicted"],
        arrays["true_prob"].astype(np.float32),
        pa.nulls(num_images, pa.float32()) if predicted_prob is None else predicted_prob.astype(np.float32),
    ]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=PREDICTIONS)
