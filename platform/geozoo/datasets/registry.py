"""The registry of image sets: to add one, write its record in a file of its own and name it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.datasets.cifar import CIFAR10, CIFAR100
from geozoo.datasets.digits import DIGITS
from geozoo.datasets.hf_parquet import EUROSAT, IMAGE_PARQUET
from geozoo.datasets.idx import FMNIST, MNIST
from geozoo.datasets.stl10 import STL10
from geozoo.datasets.svhn import SVHN
from geozoo.datasets.tetris import TETRIS
from geozoo.datasets.tiny_imagenet import TINY_IMAGENET
from geozoo.datasets.usps import USPS
from geozoo.errors import RecipeError

if TYPE_CHECKING:
    from geozoo.datasets.record import ImageSetRecord


def index_records(*records: ImageSetRecord) -> dict[str, ImageSetRecord]:
    """Records by name; two of one name raise ``ValueError``."""
    index: dict[str, ImageSetRecord] = {}
    for record in records:
        if record.name in index:
            raise ValueError(f"two image sets are called {record.name!r}")
        index[record.name] = record
    return index


IMAGE_SETS = index_records(
    *(DIGITS, MNIST, FMNIST, USPS, SVHN, CIFAR10, CIFAR100, STL10, TINY_IMAGENET, EUROSAT, TETRIS),
    IMAGE_PARQUET,
)


def find_record(name: str) -> ImageSetRecord:
    """The record of an image set; an unknown name raises :class:`~geozoo.errors.RecipeError` that lists the known."""
    try:
        return IMAGE_SETS[name]
    except KeyError:
        known = ", ".join(sorted(IMAGE_SETS))
        raise RecipeError(f"unknown image set {name!r}: choose one of {known}") from None
