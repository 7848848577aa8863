"""What is known about an image set before its files are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.datasets.images import ImageSplit
    from geozoo.datasets.prepare import Preparation


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

    ``read(record, path, how)`` decodes and prepares everything, ``path`` being the recipe's ``dataset.path`` or None;
    without ``how.size`` images have the side of the first. ``mean`` and ``std`` have one value per channel, or one
    value for any number of channels. ``validation`` and ``test`` are fractions of the pool, 0 where the set brings its
    own. ``channels`` and ``classes`` are None where the files tell them; ``num_classes`` may be known without them.
    """

    name: str
    read: Callable[[ImageSetRecord, str | None, Preparation], Decoded]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: float
    test: float
    size: int | None = None
    channels: int | None = None
    classes: tuple[str, ...] | None = None
    num_classes: int | None = None
    split_seed: int = 42
    path: Literal["refused", "optional", "required"] = "optional"
    folders: tuple[str, ...] = ()
    """Where the set is looked for, below ``dataset.path`` or ``GEOZOO_DATA``."""
    obtain: str = ""
    """Completes "get ... ": what to fetch, and from where."""

    def __post_init__(self) -> None:
        if self.classes is not None:
            object.__setattr__(self, "num_classes", len(self.classes))
