"""The reader of Hugging Face's Parquet layout."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cifar_models.data.cifar import Labelled
from cifar_models.data.decoding import decode_all, decode_exact
from cifar_models.data.errors import DataError
from cifar_models.data.readers import MAX_CLASSES, Contents, Labels, Part, file_sha256


@dataclass(frozen=True)
class ParquetReader:
    """Images as the Hugging Face hub publishes them: Parquet files of PNG or JPEG images.

    The columns are `img` or `image` (a struct of `bytes` and `path`, or the bytes themselves) and that of the labels.

    Attributes:
        data: What is published.
        folder: The folder that holds `train-*.parquet` and `test-*.parquet`.
    """

    data: Labelled
    folder: Path
    layout = "parquet"

    def checksums(self) -> Iterator[tuple[str, bytes]]:
        """The shards, training first."""
        for shard in self._shards("train") + self._shards("test"):
            yield shard.name, file_sha256(shard)

    def read(self) -> Contents:
        """Reads and decodes all shards."""
        if len(self.data.classes) > MAX_CLASSES:
            found = len(self.data.classes)
            raise DataError(f"{self.data.title} has {found} classes; at most {MAX_CLASSES} are possible")
        return Contents(self.data.classes, self._part("train"), self._part("test"))

    def _shards(self, part: str) -> list[Path]:
        """The part's files in the order of their names; all of them, and none twice."""
        shards = sorted(path for path in self.folder.glob(f"{part}-*.parquet") if path.is_file())
        if not shards:
            raise DataError(f"{self.folder}: there is no {part}-*.parquet; copy it there, beside the others")
        for shard in shards:
            announced = re.match(rf"{part}-\d+-of-(\d+)", shard.name)
            if announced and int(announced[1]) != len(shards):
                raise DataError(
                    f"{self.folder}: {shard.name} is one of {int(announced[1])} files, but {len(shards)} "
                    f"{part}-*.parquet are there; copy the missing or remove the superfluous ones"
                )
        return shards

    def _part(self, part: str) -> Part:
        parts = [_read_shard(shard, self.data) for shard in self._shards(part)]
        return Part(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]))


def _read_shard(path: Path, data: Labelled) -> Part:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            column = _image_column(path, file.schema_arrow.names, data)
            table = file.read(columns=[column, data.label_column])
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = "".join(letter if letter.isprintable() else "?" for letter in str(error)[:200].splitlines()[0])
        raise DataError(f"{path}: not a Parquet file that can be read ({reason}); copy it anew") from error
    images = table[column]
    if pa.types.is_struct(images.type) and "bytes" in images.type.names:
        images = pc.struct_field(images, "bytes")
    if not (pa.types.is_binary(images.type) or pa.types.is_large_binary(images.type)):
        raise DataError(f"{path}: the column {column} holds {images.type}, but must hold image files as bytes")
    labels = _checked_labels(path, table[data.label_column], data)
    rows = list(enumerate(images.to_pylist()))
    return Part(decode_all(rows, lambda row: decode_exact(row[1] or b"", f"{path}: row {row[0]}")), labels)


def _image_column(path: Path, found: Sequence[str], data: Labelled) -> str:
    for column in ("img", "image"):
        if column in found and data.label_column in found:
            return column
    raise DataError(
        f"{path}: found the columns {', '.join(found)}, but {data.title} needs img (or image) and {data.label_column}"
    )


def _checked_labels(path: Path, column: Any, data: Labelled) -> Labels:
    import pyarrow as pa

    if not pa.types.is_integer(column.type) or column.null_count:
        raise DataError(f"{path}: the column {data.label_column} must hold whole numbers and no empty fields")
    labels: Labels = column.to_numpy().astype(np.int64)
    outside = np.flatnonzero((labels < 0) | (labels >= len(data.classes)))
    if len(outside):
        raise DataError(
            f"{path}: row {outside[0]}: the {data.label_column} is {labels[outside[0]]}, but {data.title} has 0 to "
            f"{len(data.classes) - 1}"
        )
    return labels
