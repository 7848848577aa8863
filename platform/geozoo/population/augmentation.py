"""Augmentation of training images, drawn from the counter hash, on the device the images are on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geozoo.population.streams import Stream, absorb, stream_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.population.streams import Word

    Augmentation = Callable[[Tensor, Tensor, Word, Word], Tensor]

PADDING = 4
DOWN, RIGHT, MIRROR = range(3)
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
    batch, size = images.shape[-4], images.shape[-1]
    samples = torch.arange(batch, device=images.device)
    keys = absorb(stream_key(seeds, Stream.AUGMENTATION, epoch, step)[..., None], samples)
    down, right = (absorb(keys, word) % (2 * PADDING + 1) - PADDING for word in (DOWN, RIGHT))
    mirrored = (absorb(keys, MIRROR) % 2 == 1)[..., None]
    pixels = torch.arange(size, device=images.device)
    rows = pixels + down[..., None]
    columns = torch.where(mirrored, size - 1 - pixels, pixels) + right[..., None]
    inside = ((rows >= 0) & (rows < size))[..., :, None] & ((columns >= 0) & (columns < size))[..., None, :]
    places = rows.clamp(0, size - 1)[..., :, None] * size + columns.clamp(0, size - 1)[..., None, :]
    flat = images.flatten(-2)
    moved: Tensor = flat.gather(-1, places.flatten(-2)[..., None, :].expand_as(flat)).view_as(images)
    return moved.mul_(inside[..., None, :, :])


AUGMENTATIONS: dict[str, Augmentation] = {"none": leave, "crop_flip": crop_and_flip}
"""By name in a recipe: ``(images, seeds, epoch, step)`` to images of the same shape and dtype."""
