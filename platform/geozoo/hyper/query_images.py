"""The images that networks of a zoo are called on: some for training, others for evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from geozoo.errors import InputError, ZooMismatchError

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.datasets import DatasetOptions, ImageSet
    from geozoo.store import Zoo

MAX_QUERIES = 10_000
EVALUATION_IMAGES = 2_000


def images_of(zoo: Zoo) -> ImageSet:
    """The image set that a zoo was trained on, from the data folders of this machine.

    Raises:
        ZooMismatchError: the images found here are not those.
        DataNotFoundError: there are none.
        InputError: the zoo was imported and nothing tells its images.
    """
    from geozoo.datasets import load_image_set

    images = load_image_set(_dataset_of(zoo))
    if images.fingerprint != zoo.header.dataset["fingerprint"]:
        raise ZooMismatchError(
            f"the images of {images.name!r} found here are not those of the zoo at {zoo.url} (their fingerprints "
            "differ): provide the files it was populated with."
        )
    return images


def _dataset_of(zoo: Zoo) -> DatasetOptions:
    from geozoo.datasets import DatasetOptions
    from geozoo.recipe.load import parse_document, parse_recipe

    source = f"the recipe of the zoo at {zoo.url}"
    if zoo.header.origin is None:
        return parse_recipe(zoo.header.recipe, source).dataset
    if "dataset" not in zoo.header.recipe:
        raise InputError(f"the zoo at {zoo.url} was imported without its images: import it again with --images NAME.")
    return parse_document(zoo.header.recipe["dataset"], DatasetOptions, source)


@dataclass(frozen=True)
class QueryImages:
    """Normalised images ``[n, channels, size, size]``, float32: ``queries`` to learn from, others to be judged on.

    ``labels`` int64 are those of the ``evaluation`` images. No image is in both.
    """

    queries: Tensor
    evaluation: Tensor
    labels: Tensor

    @classmethod
    def of(
        cls,
        images: ImageSet,
        *,
        queries: int = MAX_QUERIES,
        evaluation: int = EVALUATION_IMAGES,
        device: str = "cpu",
    ) -> Self:
        """Take the first images of the train split as queries, the first others of the test split for evaluation.

        Splits are shuffled by the seed of the recipe, so this is a draw that never changes. Test images that are also
        among the queries, byte by byte, are passed over. Each is as many as there are, at most the number asked for.

        Raises:
            InputError: no test image is left.
        """
        import torch

        from geozoo.population.tensors import Pixels

        query = images.train.images[:queries]
        seen = {image.tobytes() for image in query}
        chosen = [row for row, image in enumerate(images.test.images) if image.tobytes() not in seen][:evaluation]
        if not chosen:
            raise InputError(
                f"every test image of {images.name!r} is among its training images: use an image set with others."
            )
        pixels = Pixels.of(images, torch.float32, device)
        shown, asked = (torch.tensor(part, device=device) for part in (query, images.test.images[chosen]))
        return cls(pixels(shown), pixels(asked), torch.tensor(images.test.labels[np.array(chosen)], device=device))
