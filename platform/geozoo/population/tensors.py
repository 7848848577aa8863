"""Small torch pieces that the engines share."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geozoo.datasets import ImageSet, ImageSplit


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Run torch in one thread, with products of TF32 on a GPU if ``precision`` says so; put the old settings back.

    By itself torch allows TF32 in convolutions.
    """
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = torch.get_num_threads(), products.allow_tf32, convolutions.allow_tf32
    torch.set_num_threads(1)
    products.allow_tf32 = convolutions.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        threads, products.allow_tf32, convolutions.allow_tf32 = before
        torch.set_num_threads(threads)


def weights_dtype(precision: str) -> torch.dtype:
    """What weights and their updates are computed in."""
    return torch.float64 if precision == "float64" else torch.float32


def autocast(precision: str, device: str) -> torch.autocast:
    """Inside, a network computes in bfloat16 where ``precision`` says so and autocast deems it safe.

    Casts of weights are not kept, since a CUDA graph would keep them for good.
    """
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False)


@dataclass(frozen=True)
class Pixels:
    """Turns rows of a split into network inputs of one dtype: the torch form of `geozoo.datasets.normalise`."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, images: ImageSet, dtype: torch.dtype, device: str = "cpu") -> Self:
        """Take mean and standard deviation from an image set."""
        values = (torch.tensor(one, dtype=dtype, device=device).view(-1, 1, 1) for one in (images.mean, images.std))
        return cls(*values)

    def __call__(self, images: Tensor) -> Tensor:
        """Map ``uint8 [..., channels, size, size]`` to normalised numbers."""
        return (images.to(self.mean.dtype) / 255 - self.mean) / self.std


@dataclass(frozen=True)
class Resident:
    """One split on a device: images ``uint8 [n, channels, size, size]`` and labels ``int64 [n]``."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: ImageSplit, device: str) -> Self:
        """Copy a split to a device, or view it where it is there."""
        images, labels = split_tensors(split)
        return cls(images.to(device), labels.to(device))


def split_tensors(split: ImageSplit) -> tuple[Tensor, Tensor]:
    """Images and labels of a split as tensors, without copying."""
    return _from_read_only(split.images), _from_read_only(split.labels)


def _from_read_only(array: NDArray[Any]) -> Tensor:
    """A tensor over a C-order array, with the strides of its shape.

    An axis of length one may carry any stride, a pickled array another than a fresh one; torch reads a memory format
    out of it and convolutions then round differently. Going through the flat array makes the strides a function of the
    shape.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array.reshape(-1)).view(array.shape)


def image_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every image: ``[..., classes]`` and ``[...]`` give ``[...]``."""
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)


def right_answers(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the largest logit is the label's; an image with a logit that is not finite counts as wrong."""
    return (logits.argmax(-1) == labels) & logits.isfinite().all(-1)
