"""Small data sets in every layout, made by the tests that read them."""

import hashlib
import io
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cifar_models.data.cifar import CIFAR10, CIFAR100, Cifar


def noise(count: int, seed: int = 0) -> np.ndarray:
    """`(count, 3, 32, 32) uint8`, no two alike."""
    return np.random.RandomState(seed).randint(0, 256, (count, 3, 32, 32)).astype(np.uint8)


def encoded(pixels: np.ndarray, file_format: str = "PNG") -> bytes:
    """An image file of `(3, H, W)` pixels."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(file, file_format)
    return file.getvalue()


def write_parquet(
    path: Path, images: Iterable[bytes | None], labels: Sequence[Any], image: str = "img", label: str = "label"
) -> None:
    """A shard as the hub has it: a struct of bytes and path, and a label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    column = pa.array(
        [{"bytes": content, "path": None} for content in images],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    pq.write_table(pa.table({image: column, label: labels}), path)


def write_cifar10_parquet(folder: Path, per_class: int = 4) -> None:
    """CIFAR-10's ten classes, `per_class` training and one test image of each."""
    labels = list(range(10)) * per_class
    write_parquet(folder / "train-00000-of-00001.parquet", map(encoded, noise(len(labels))), labels)
    write_parquet(folder / "test-00000-of-00001.parquet", map(encoded, noise(10, seed=1)), list(range(10)))


class _PickledAsIn2009(pickle.Pickler):
    """Pickles dtypes with the integer flags that the numpy of 2009 wrote, which some numpys warn of."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, np.dtype):
            return np.dtype, (obj.str.lstrip("|<>="), 0, 1), (3, "|", None, None, None, -1, -1, 0)
        return NotImplemented


def write_batches(folder: Path, published: Cifar = CIFAR10, per_batch: int = 20) -> Cifar:
    """Batches of noise in the authors' layout.

    Returns:
        The CIFAR whose published checksums are those of these files.
    """
    folder.mkdir(parents=True)
    checksums = {}
    for seed, (name, _) in enumerate(published.train_batches + published.test_batches):
        num_classes = len(published.classes)
        labels = [(7 * seed + 3 * i) % num_classes for i in range(per_batch)]
        batch: dict[str, Any] = {
            "data": noise(per_batch, seed).reshape(per_batch, 3072),
            published.batch_label_key: labels,
        }
        if published is CIFAR100:
            batch["coarse_labels"] = [label // 5 for label in labels]
        file = io.BytesIO()
        _PickledAsIn2009(file, protocol=2).dump(batch)
        (folder / name).write_bytes(file.getvalue())
        checksums[name] = hashlib.md5(file.getvalue()).hexdigest()
    return replace(
        published,
        train_batches=tuple((name, checksums[name]) for name, _ in published.train_batches),
        test_batches=tuple((name, checksums[name]) for name, _ in published.test_batches),
    )


def write_class_folders(root: Path, counts: dict[str, int], size: tuple[int, int] = (32, 32), seed: int = 0) -> None:
    """For each class a folder with that many PNG files of noise; `size` is width and height."""
    random = np.random.RandomState(seed)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = random.randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i:03}.png")
