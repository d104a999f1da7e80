"""Images for a machine that has no CIFAR-10: as many, as large, and as costly to decode.

They come as the Parquet files of the Hugging Face hub. The batches that torchvision unpacks can't be made: whoever
reads them asks for their published checksum.
"""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

NUM_IMAGES = {"train": 50_000, "test": 10_000}


def write_parquet(folder: Path, num_images: Mapping[str, int] = NUM_IMAGES) -> Path:
    """Writes the two parts, with so many images each, unless they are there; returns the folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for part, number in num_images.items():
        path = folder / f"{part}-00000-of-00001.parquet"
        if path.exists():
            continue
        coarse = random.integers(0, 256, (number, 8, 8, 3), np.uint8)
        column = [{"bytes": _jpeg(pixels), "path": None} for pixels in coarse]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        labels = np.arange(number, dtype=np.int64) % 10
        pq.write_table(pa.table({"img": pa.array(column, kind), "label": labels}), path)
    return folder


def _jpeg(coarse: np.ndarray) -> bytes:
    """An image file of 32x32 pixels, from a few of them; noise would be several times as long as a photograph."""
    file = io.BytesIO()
    Image.fromarray(coarse).resize((32, 32), Image.Resampling.BILINEAR).save(file, "JPEG", quality=75)
    return file.getvalue()
