"""The images of a zoo, as a behavioural term and the evaluation of decoded networks see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from geozoo.datasets import DatasetOptions, load_image_set
from geozoo.errors import InputError
from geozoo.hyper.networks import Networks
from geozoo.population.tensors import Pixels

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.datasets import ImageSet
    from geozoo.store import Zoo

QUERY_IMAGES = 2048


@dataclass(frozen=True)
class QueryImages:
    """Normalised ``images`` ``[q, channels, size, size]`` of one zoo, and its ``networks``, for a behavioural term."""

    images: Tensor
    networks: Networks


def query_images(zoo: Zoo, dtype: torch.dtype, device: str) -> QueryImages:
    """The first 2048 training images of a zoo: none of them is among the test images that decoded networks answer."""
    images = zoo_images(zoo)
    shown = torch.from_numpy(images.train.images[:QUERY_IMAGES].copy()).to(device)
    return QueryImages(Pixels.of(images, dtype, device)(shown), Networks.of(zoo))


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
