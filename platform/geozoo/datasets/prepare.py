"""What is done to images once, when they are decoded: made grey, cropped in the middle, resized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image


@dataclass(frozen=True)
class Preparation:
    """The steps, in this order: ``grayscale``, then the middle ``crop`` pixels, then ``size`` pixels a side.

    None leaves a step out.
    """

    size: int | None = None
    crop: int | None = None
    grayscale: bool = False


def prepare(images: NDArray[np.uint8], how: Preparation) -> NDArray[np.uint8]:
    """Prepare images of one size, ``uint8 [n, channels, height, width]``, as `prepare_image` does.

    Raises:
        RecipeError: the images are smaller than the crop, or neither square nor made so.
    """
    from PIL import Image

    count, channels, height, width = images.shape
    depth = 1 if how.grayscale else channels
    check_sides(width, height, how, "images")
    side = how.size or how.crop or height
    if (channels, height, width) == (depth, side, side):
        return images
    prepared = np.empty((count, depth, side, side), np.uint8)
    for image, target in zip(images.transpose(0, 2, 3, 1), prepared, strict=True):
        pixels = np.ascontiguousarray(image[:, :, 0] if channels == 1 else image)
        made = np.asarray(prepare_image(Image.fromarray(pixels), how))
        target[:] = made.reshape(side, side, depth).transpose(2, 0, 1)
    return prepared


def prepare_image(image: Image.Image, how: Preparation) -> Image.Image:
    """Prepare one grey or RGB image as torchvision's ``Grayscale``, ``CenterCrop`` and ``Resize`` do one of Pillow's.

    Grey is the ITU-R 601 luma. The filter is bilinear and widened where images get smaller (antialiasing); images that
    are not square are squeezed.
    """
    from PIL import Image

    if how.grayscale:
        image = image.convert("L")
    if how.crop is not None:
        left, top = (round((side - how.crop) / 2) for side in image.size)
        image = image.crop((left, top, left + how.crop, top + how.crop))
    if how.size is not None and image.size != (how.size, how.size):
        image = image.resize((how.size, how.size), Image.Resampling.BILINEAR)
    return image


def check_sides(width: int, height: int, how: Preparation, what: str) -> None:
    """Refuse images that the crop does not fit into, or that nothing makes square."""
    if how.crop is not None and how.crop > min(width, height):
        raise RecipeError(f"{what} of {width}x{height} pixels cannot be cropped to {how.crop}: lower dataset.crop")
    if width != height and how.size is None and how.crop is None:
        raise RecipeError(f"{what} of {width}x{height} pixels cannot be squares as they are: give dataset.size")
