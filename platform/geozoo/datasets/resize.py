"""Resizing of decoded images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def resize(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize ``uint8 [n, height, width]`` to ``[n, size, size]`` with Pillow's bilinear filter.

    Pillow widens the filter when it makes an image smaller (antialiasing), as torchvision's ``Resize`` does.
    """
    from PIL import Image

    if images.shape[1:] == (size, size):
        return images
    resized = np.empty((len(images), size, size), np.uint8)
    for image, target in zip(images, resized, strict=True):
        target[:] = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
    return resized
