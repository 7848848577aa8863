"""What is known about an image set before its files are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.datasets.images import ImageSplit


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a reader returns: the images to split, and those of validation and test where the set brings such splits."""

    classes: tuple[str, ...]
    pool: ImageSplit
    validation: ImageSplit | None = None
    test: ImageSplit | None = None


@dataclass(frozen=True, kw_only=True)
class ImageSetRecord:
    """One entry of the registry of image sets.

    ``read(record, path, size)`` decodes everything, ``path`` being the recipe's ``dataset.path`` or None and ``size``
    the side in pixels (None: that of the first image). ``mean`` and ``std`` have one value per channel, or one value
    for any number of channels. ``validation`` and ``test`` are fractions of the pool, 0 where the set brings its
    own. ``channels`` and ``classes`` are None where the files tell them.
    """

    name: str
    read: Callable[[ImageSetRecord, str | None, int | None], Decoded]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: float
    test: float
    size: int | None = None
    channels: int | None = None
    classes: tuple[str, ...] | None = None
    split_seed: int = 42
    path: Literal["refused", "optional", "required"] = "optional"
    folders: tuple[str, ...] = ()
    """Where the set is looked for, below ``dataset.path`` or ``GEOZOO_DATA``."""
    obtain: str = ""
    """Completes "get ... ": what to fetch, and from where."""
