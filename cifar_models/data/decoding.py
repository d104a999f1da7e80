"""Image files to pixels: decoded by Pillow on several threads, into one array."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from cifar_models.config import IMAGE_SIZE
from cifar_models.data.errors import DataError

Pixels = npt.NDArray[np.uint8]
Source = TypeVar("Source")

_SIZE = (IMAGE_SIZE, IMAGE_SIZE)
_IMAGES_A_TASK = 250  # one image is too little work to pay for handing it to a thread

# What Pillow's decoders raise for damaged files; it has no exception of its own that covers them.
_UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode_all(sources: Sequence[Source], decode: Callable[[Source], Pixels]) -> Pixels:
    """Decodes all images, several at once, in their order.

    Args:
        sources: N things that `decode` takes.
        decode: Gives `(32, 32, 3) uint8`.

    Returns:
        `(N, 3, 32, 32) uint8`.

    Raises:
        DataError: From `decode`, for the first image that has one.
    """
    images = np.empty((len(sources), 3, *_SIZE), dtype=np.uint8)

    def decode_slice(start: int) -> None:
        for i in range(start, min(start + _IMAGES_A_TASK, len(sources))):
            images[i] = decode(sources[i]).transpose(2, 0, 1)

    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        for _ in pool.map(decode_slice, range(0, len(sources), _IMAGES_A_TASK)):
            pass
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, do not decode the rest first
    return images


def decode_exact(content: bytes, where: str) -> Pixels:
    """Decodes an image file that must be 32x32.

    Args:
        content: The PNG or JPEG file.
        where: Names it in messages.

    Returns:
        `(32, 32, 3) uint8`.

    Raises:
        DataError: If it can't be decoded or has another size.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            size = image.size
            pixels = np.asarray(image if image.mode == "RGB" else _to_rgb(image, where)) if size == _SIZE else None
    except _UNDECODABLE as error:
        raise DataError(f"{where}: not a PNG or JPEG image that can be decoded ({_reason(error)})") from error
    if pixels is None:
        raise DataError(f"{where}: the image is {size[0]}x{size[1]} pixels, but must be {IMAGE_SIZE}x{IMAGE_SIZE}")
    return pixels


def decode_fitted(path: Path) -> Pixels:
    """Decodes an image file of any size: upright, the largest centred square of it, shrunk or enlarged to 32x32.

    Resized bicubically, with antialiasing. Transparent parts become white.

    Args:
        path: The image file.

    Returns:
        `(32, 32, 3) uint8`.

    Raises:
        DataError: If it can't be decoded or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            rgb = _to_rgb(ImageOps.exif_transpose(image), str(path))
            return np.asarray(ImageOps.fit(rgb, _SIZE, method=Image.Resampling.BICUBIC))
    except _UNDECODABLE as error:
        raise DataError(f"{path}: not an image that can be decoded ({_reason(error)}); repair or remove it") from error


def _to_rgb(image: Image.Image, where: str) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # Pillow would clip these to 255 and give a white image.
        raise DataError(f"{where}: the image has more than 8 bits a channel (mode {image.mode}); save it with 8")
    if not image.has_transparency_data:
        return image.convert("RGB")
    over_white = Image.new("RGBA", image.size, "white")
    over_white.alpha_composite(image.convert("RGBA"))
    return over_white.convert("RGB")


def _reason(error: BaseException) -> str:
    """The error in one line, without the memory addresses that Pillow writes into some."""
    if isinstance(error, UnidentifiedImageError):
        return "unknown format"
    return " ".join(str(error).split()) or type(error).__name__
