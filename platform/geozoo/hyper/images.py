"""The images of a zoo, as a behavioural term and the evaluation of decoded networks see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.datasets import DatasetOptions, load_image_set
from geozoo.errors import InputError

if TYPE_CHECKING:
    from geozoo.datasets import ImageSet
    from geozoo.store import Zoo

QUERY_IMAGES = 2048


def zoo_images(zoo: Zoo) -> ImageSet:
    """The image set that a zoo was trained on.

    Raises:
        DataNotFoundError: its files are not there.
        InputError: the files there are others.
    """
    images = load_image_set(DatasetOptions.model_validate(zoo.header.recipe["dataset"]))
    if images.fingerprint != zoo.header.dataset["fingerprint"]:
        raise InputError(
            f"the images of set {images.name!r} found here are not those that zoo {zoo.header.name!r} was trained on: "
            "point GEOZOO_DATA at those."
        )
    return images
