"""Small simulated image sets and cohort jobs for engine tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.datasets import ImageSet, ImageSplit, fingerprint
from geozoo.population import CohortJob
from geozoo.population.initial import initial_weights
from geozoo.recipe import HyperParameters
from geozoo.recipe.model import Evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

MEAN, STD = 0.4, 0.3


def simulated_images(
    *, train: int = 100, test: int = 40, channels: int = 1, size: int = 28, classes: int = 10, seed: int = 0
) -> ImageSet:
    """Noise with a bright patch whose place tells the class: learnable, and not real."""
    rng = np.random.default_rng(seed)

    def split(count: int) -> ImageSplit:
        labels = rng.integers(0, classes, count)
        images = rng.integers(0, 120, (count, channels, size, size))
        for image, label in zip(images, labels, strict=True):
            column = label * (size - 1) // classes
            image[:, :, column : column + 3] += 100
        return ImageSplit(images.astype(np.uint8), labels.astype(np.int64))

    splits = [split(train), split(test), split(test)]
    names = tuple(f"class {label}" for label in range(classes))
    mean, std = (MEAN,) * channels, (STD,) * channels
    return ImageSet("simulated", names, mean, std, *splits, fingerprint(splits, names, mean, std))


def hyperparameters(**chosen: Any) -> HyperParameters:
    """Ordinary settings, with those chosen."""
    ordinary = {"activation": "tanh", "init": "kaiming_uniform", "optimizer": "adam", "lr": 1e-3}
    return HyperParameters(**(ordinary | chosen))


def cohort_job(
    images: ImageSet,
    members: Sequence[HyperParameters],
    *,
    network: str = "cnn_s",
    seeds: Sequence[int] | None = None,
    epochs: int = 1,
    precision: str = "float64",
) -> CohortJob:
    """The job of training some members on some images, every epoch a checkpoint."""
    seeds = np.arange(1, len(members) + 1) if seeds is None else np.asarray(seeds)
    arguments = {
        "name": network,
        "channels": images.channels,
        "size": images.size,
        "classes": images.num_classes,
        "activation": members[0].activation,
    }
    return CohortJob(
        network=arguments,
        initial=initial_weights(arguments, seeds, members),
        seeds=seeds,
        hyperparameters=tuple(members),
        checkpoints=tuple(range(epochs + 1)),
        epochs=epochs,
        evaluation=Evaluation(),
        precision=precision,
    )
