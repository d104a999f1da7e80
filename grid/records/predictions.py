"""What a trial says of each test image, as the bytes of a NumPy archive (`.npz`), and back."""

import io
import zipfile
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from cifar_models.records import TestRecord

Arrays = dict[str, npt.NDArray[np.generic]]

COLUMNS = {
    "label": np.dtype(np.uint8),
    "predicted": np.dtype(np.uint8),
    "true_prob": np.dtype(np.float16),
    "predicted_prob": np.dtype(np.float16),
}
"""The arrays of the archive, each with one entry a test image."""

SINCE_FORMAT_2 = "predicted_prob"
"""What the archive of a trial of format 1 lacks."""


def pack_predictions(test: TestRecord) -> bytes:
    """The archive of a trial's predictions."""
    packed = io.BytesIO()
    np.savez(packed, **{name: getattr(test, name) for name in COLUMNS})
    return packed.getvalue()


def unpack_predictions(content: bytes, format: int) -> Arrays:
    """The arrays of `COLUMNS`, each `(images,)`; those of a trial of format 1 without `predicted_prob`.

    Nothing in the archive is executed, and no more memory is taken than it has bytes.

    Args:
        content: The archive.
        format: That of the trial it belongs to.

    Raises:
        ValueError: It is not such an archive.
    """
    columns = {name: dtype for name, dtype in COLUMNS.items() if format > 1 or name != SINCE_FORMAT_2}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sorted(archive.namelist()) != sorted(f"{name}.npy" for name in columns):
                raise ValueError(f"holds {', '.join(archive.namelist())[:80] or 'nothing'}")
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("is compressed")  # a few bytes may stand for any number of them
            arrays: Arrays = {}
            for name, dtype in columns.items():
                with archive.open(f"{name}.npy") as file:
                    arrays[name] = _read_array(file, dtype, len(content))  # type: ignore[arg-type]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"not an archive of arrays ({error})") from error
    if len({len(array) for array in arrays.values()}) != 1:
        raise ValueError("its arrays are of different lengths")
    return arrays


def _read_array(file: BinaryIO, dtype: np.dtype[np.generic], max_bytes: int) -> npt.NDArray[np.generic]:
    """One array, after a look at what its header claims of it."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version")
    shape, _, found = np.lib.format.read_array_header_1_0(file)
    if found != dtype or len(shape) != 1:
        raise ValueError(f"an array is {found} of shape {shape}, not {dtype} of one dimension")
    if shape[0] * dtype.itemsize > max_bytes:
        raise ValueError(f"an array claims to have {shape[0]:,} entries")
    content = file.read(max_bytes)
    if len(content) != shape[0] * dtype.itemsize:
        raise ValueError("an array is cut short, or is followed by something")
    return np.frombuffer(content, dtype=dtype)
