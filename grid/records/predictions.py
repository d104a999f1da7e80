"""What a trial says of each test image, as the bytes of a NumPy archive (`.npz`), and back."""

import io
import re
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_models.records import TestRecord

Arrays = dict[str, npt.NDArray[np.generic]]

COLUMNS: dict[str, np.dtype[Any]] = {
    "label": np.dtype(np.uint8),
    "predicted": np.dtype(np.uint8),
    "true_prob": np.dtype(np.float16),
    "predicted_prob": np.dtype(np.float16),
}
"""The arrays of the archive, each with one entry a test image."""

HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?s:..)\{'descr': '(?P<descr>[<>|][a-z]\d)', 'fortran_order': False, "
    rb"'shape': \((?P<length>\d{1,12}),\), \} *\n"
)
"""What NumPy writes before the entries of an array of one dimension.

Source: NumPy Enhancement Proposal 1, format version 1.0.
"""

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
                arrays[name] = _read_array(archive.read(f"{name}.npy"), dtype)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"not an archive of arrays ({error})") from error
    if len({len(array) for array in arrays.values()}) != 1:
        raise ValueError("its arrays are of different lengths")
    return arrays


def _read_array(content: bytes, dtype: np.dtype[Any]) -> npt.NDArray[np.generic]:
    """One array of one dimension; NumPy's own reader takes ten times as long, most of it for what is refused here."""
    header = HEADER.match(content)
    if header is None or header["descr"].decode() != np.lib.format.dtype_to_descr(dtype):
        raise ValueError(f"an array is not {dtype} of one dimension")
    entries = memoryview(content)[header.end() :]
    if len(entries) != int(header["length"]) * dtype.itemsize:
        raise ValueError("an array is cut short, or is followed by something")
    return np.frombuffer(entries, dtype=dtype)
