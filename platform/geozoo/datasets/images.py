"""Decoded image sets: what every reader returns and every engine trains on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Images ``uint8 [n, channels, size, size]`` in row-major order and their labels ``int64 [n]``, both read-only."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", _read_only(self.images, np.uint8))
        object.__setattr__(self, "labels", _read_only(self.labels, np.int64))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def take(self, rows: NDArray[np.intp] | slice) -> ImageSplit:
        """The images and labels of ``rows``, in that order."""
        return ImageSplit(self.images[rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class ImageSet:
    """One image set, decoded and split.

    ``mean`` and ``std`` are per channel, in units of [0, 1]: see :func:`normalise`. ``fingerprint`` is
    :func:`fingerprint` of all the rest but the name, as ``"sha256:<64 hex digits>"``.
    """

    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    fingerprint: str

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return int(self.train.images.shape[1])

    @property
    def size(self) -> int:
        """Side of every image, in pixels."""
        return int(self.train.images.shape[2])

    @property
    def num_classes(self) -> int:
        """Number of classes; labels are below it."""
        return len(self.classes)

    def describe(self) -> dict[str, Any]:
        """What the header of a zoo keeps about its image set: plain JSON values."""
        return {
            "name": self.name,
            "channels": self.channels,
            "size": self.size,
            "classes": list(self.classes),
            "mean": list(self.mean),
            "std": list(self.std),
            "splits": {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)},
            "fingerprint": self.fingerprint,
        }


def fingerprint(
    splits: Iterable[ImageSplit], classes: Sequence[str], mean: Sequence[float], std: Sequence[float]
) -> str:
    """SHA-256 over decoded pixels, labels, class names and normalisation, as ``"sha256:<hex>"``.

    Each array enters as its shape, its dtype and its little-endian bytes. The files do not: the same images from a
    compressed and a plain file have one fingerprint, and a JPEG decoder that rounds one pixel otherwise gives another.
    """
    digest = hashlib.sha256()
    header = {"classes": list(classes), "mean": [float(m) for m in mean], "std": [float(s) for s in std]}
    digest.update(json.dumps(header, sort_keys=True).encode())
    for split in splits:
        for array in (split.images, split.labels.astype("<i8", copy=False)):
            digest.update(f"|{array.shape}{array.dtype.str}|".encode())
            digest.update(array.reshape(-1).view(np.uint8).data)
    return f"sha256:{digest.hexdigest()}"


def normalise(
    images: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float], dtype: DTypeLike = np.float32
) -> NDArray[np.floating[Any]]:
    """``(x / 255 - mean) / std`` per channel, for images ``uint8 [n, channels, size, size]``; the result is ``dtype``.

    Every step is computed in ``dtype``, in this order. Engines normalise on their own device; this form is what they
    are tested against.
    """
    pixels: NDArray[np.floating[Any]] = images.astype(dtype)
    pixels /= np.asarray(255, dtype)
    pixels -= np.asarray(mean, dtype)[:, None, None]
    pixels /= np.asarray(std, dtype)[:, None, None]
    return pixels


def _read_only(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    view = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view
