"""Decoding of JPEG, PNG and other image files held in memory."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geozoo.datasets.prepare import Preparation, check_sides, prepare_image
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

_GREY_MODES = ("1", "L", "LA")
_COLOUR_MODES = ("P", "RGB", "RGBA", "CMYK", "YCbCr")


class EncodedImage(NamedTuple):
    """The bytes of an image file, and for error messages the file and, where that is a table, the row there."""

    content: bytes
    file: Path
    row: int | None = None

    @property
    def place(self) -> str:
        """The file, and the row if there is one."""
        return str(self.file) if self.row is None else f"{self.file} at row {self.row}"


def decode_images(encoded: Sequence[EncodedImage], how: Preparation, channels: int | None) -> NDArray[np.uint8]:
    """Decode and prepare to ``uint8 [n, channels, size, size]``, in a few threads.

    The side and ``channels`` (1 or 3) default to those of the first image; all images are converted to match.

    Raises:
        DataCorruptError: an image cannot be decoded or has more than 8 bits per channel.
        RecipeError: an image is smaller than the crop, or the first one is not square and nothing makes it so.
    """
    first = _open(encoded[0])
    check_sides(*first.size, how, f"the image in {encoded[0].place}")
    side = how.size or how.crop or first.width
    depth = 1 if how.grayscale else channels or (1 if first.mode in _GREY_MODES else 3)
    steps = replace(how, size=side)
    decoded = np.empty((len(encoded), depth, side, side), np.uint8)

    def decode(index: int) -> None:
        image = _open(encoded[index])
        check_sides(*image.size, steps, f"the image in {encoded[index].place}")
        image = prepare_image(image.convert("L" if depth == 1 else "RGB"), steps)
        decoded[index] = np.asarray(image).reshape(side, side, depth).transpose(2, 0, 1)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        for _ in threads.map(decode, range(len(encoded))):
            pass  # the loop is what raises the first error, in row order
    return decoded


def _open(encoded: EncodedImage) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(encoded.content))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "its format is unknown" if isinstance(error, UnidentifiedImageError) else error
        raise DataCorruptError(f"the image in {encoded.place} cannot be decoded: {reason}") from error
    if image.mode not in _GREY_MODES + _COLOUR_MODES:
        raise DataCorruptError(f"the image in {encoded.place} has mode {image.mode!r}, not 8 bits per channel")
    return image
