"""Augmentation of training images, drawn from the counter hash, on the device the images are on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geozoo.population.streams import MASK, UNIFORM_BITS, Stream, absorb, stream_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.population.streams import Word

    Augmentation = Callable[[Tensor, Tensor, Word, Word], Tensor]

PADDING = 4
LARGEST_ANGLE = 20.0
"""Degrees."""

DOWN, RIGHT, MIRROR, ANGLE = range(4)
"""The last word of the hash: what a random number is for."""


def leave(images: Tensor, seeds: Tensor, epoch: Word, step: Word) -> Tensor:
    """The images as they are."""
    return images


def crop_and_flip(images: Tensor, seeds: Tensor, epoch: Word, step: Word) -> Tensor:
    """Move every image by up to four pixels in both directions, black where it came from, and mirror every other one.

    What torchvision's ``RandomCrop(size, padding=4)`` and ``RandomHorizontalFlip`` do, drawn for each image from its
    member's seed, the epoch, the step and its place in the batch.

    Args:
        images: ``[..., batch, channels, size, size]``, one entry a seed before the batch.
        seeds: ``int64 [...]``.
        epoch: from 1 on, a number or a tensor.
        step: the batch of the epoch, likewise.
    """
    size = images.shape[-1]
    keys = _keys(images, seeds, epoch, step)
    down, right = (absorb(keys, word) % (2 * PADDING + 1) - PADDING for word in (DOWN, RIGHT))
    mirrored = (absorb(keys, MIRROR) % 2 == 1)[..., None]
    pixels = torch.arange(size, device=images.device)
    rows = pixels + down[..., None]
    columns = torch.where(mirrored, size - 1 - pixels, pixels) + right[..., None]
    return _gathered(images, rows[..., :, None], columns[..., None, :])


def flip_and_rotate(images: Tensor, seeds: Tensor, epoch: Word, step: Word) -> Tensor:
    """Mirror every other image and turn each by up to 20 degrees about its middle, black where it came from.

    What torchvision's ``RandomHorizontalFlip`` and ``RandomRotation(20)`` do: angles are uniform, and every pixel is
    the nearest one of the image before. Arguments and draws as in `crop_and_flip`.
    """
    size = images.shape[-1]
    keys = _keys(images, seeds, epoch, step)
    share = ((absorb(keys, ANGLE) & MASK) >> (32 - UNIFORM_BITS)).double() / 2**UNIFORM_BITS
    angle = torch.deg2rad(LARGEST_ANGLE * (2 * share - 1))[..., None, None]
    mirrored = (absorb(keys, MIRROR) % 2 == 1)[..., None, None]
    middle = (size - 1) / 2
    offsets = torch.arange(size, device=images.device, dtype=torch.float64) - middle
    down, right = offsets[:, None], offsets
    rows = (angle.sin() * right + angle.cos() * down + middle).round().long()
    columns = (angle.cos() * right - angle.sin() * down + middle).round().long()
    return _gathered(images, rows, torch.where(mirrored, size - 1 - columns, columns))


def _keys(images: Tensor, seeds: Tensor, epoch: Word, step: Word) -> Tensor:
    """The state of the hash for every image: ``int64 [..., batch]``."""
    samples = torch.arange(images.shape[-4], device=images.device)
    keys: Tensor = absorb(stream_key(seeds, Stream.AUGMENTATION, epoch, step)[..., None], samples)
    return keys


def _gathered(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Every pixel from a place of its own, black from outside; rows and columns broadcast to ``[..., size, size]``."""
    size = images.shape[-1]
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    places = rows.clamp(0, size - 1) * size + columns.clamp(0, size - 1)
    flat = images.flatten(-2)
    moved: Tensor = flat.gather(-1, places.flatten(-2)[..., None, :].expand_as(flat)).view_as(images)
    return moved.mul_(inside[..., None, :, :])


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": leave,
    "crop_flip": crop_and_flip,
    "flip_rotate": flip_and_rotate,
}
"""By name in a recipe: ``(images, seeds, epoch, step)`` to images of the same shape and dtype."""
