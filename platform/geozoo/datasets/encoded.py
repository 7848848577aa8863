"""Decoding of JPEG, PNG and other image files held in memory."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geozoo.errors import DataCorruptError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

_GREY_MODES = ("1", "L", "LA")
_COLOUR_MODES = ("P", "RGB", "RGBA", "CMYK", "YCbCr")


class EncodedImage(NamedTuple):
    """The bytes of an image file, and for error messages the table they come from and the row there."""

    content: bytes
    file: Path
    row: int


def decode_images(encoded: Sequence[EncodedImage], size: int | None, channels: int | None) -> NDArray[np.uint8]:
    """Decode to ``uint8 [n, channels, size, size]``, in a few threads.

    ``size`` and ``channels`` (1 or 3) default to those of the first image; all images are converted to match. Pillow's
    bilinear filter resizes, with antialiasing; images that are not square are squeezed.

    Raises:
        DataCorruptError: an image cannot be decoded or has more than 8 bits per channel.
        RecipeError: ``size`` is None and the first image is not square.
    """
    from PIL import Image

    first = _open(encoded[0])
    side = size or _side(first, encoded[0].file)
    depth = channels or (1 if first.mode in _GREY_MODES else 3)
    decoded = np.empty((len(encoded), depth, side, side), np.uint8)

    def decode(index: int) -> None:
        image = _open(encoded[index]).convert("L" if depth == 1 else "RGB")
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BILINEAR)
        decoded[index] = np.asarray(image).reshape(side, side, depth).transpose(2, 0, 1)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        for _ in threads.map(decode, range(len(encoded))):
            pass  # the loop is what raises the first error, in row order
    return decoded


def _open(encoded: EncodedImage) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    content, file, row = encoded
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "its format is unknown" if isinstance(error, UnidentifiedImageError) else error
        raise DataCorruptError(f"{file} has an image at row {row} that cannot be decoded: {reason}") from error
    if image.mode not in _GREY_MODES + _COLOUR_MODES:
        raise DataCorruptError(f"{file} has an image of mode {image.mode!r} at row {row}, not of 8 bits per channel")
    return image


def _side(first: Image.Image, file: Path) -> int:
    if first.width != first.height:
        raise RecipeError(f"{file} starts with an image of {first.width}x{first.height} pixels: name a square size")
    return first.width
