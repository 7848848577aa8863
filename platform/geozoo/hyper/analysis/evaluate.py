"""Evaluating many weight vectors on some images, whatever zoo or line or plane they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geozoo.errors import GeozooError, InputError
from geozoo.population import CohortJob, choose_engine, load_engine
from geozoo.recipe import HyperParameters, parse_recipe
from geozoo.recipe.model import Evaluation, Training

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geozoo.datasets import ImageSet
    from geozoo.store import Zoo

Evaluate = Callable[["NDArray[np.float32]"], tuple["NDArray[np.float64]", "NDArray[np.float64]"]]
"""Maps weights ``[n, params]`` of one network to their mean losses and accuracies ``[n]``."""

MAX_PARAMETERS = 1_000_000
MAX_IMAGES = 512


def images_of(zoo: Zoo) -> ImageSet:
    """The image set a zoo was trained on, from where its recipe says or ``GEOZOO_DATA``.

    Raises:
        InputError: it is not to be found, or is not the one the zoo was trained on.
    """
    from geozoo.datasets import load_image_set

    name = zoo.header.dataset.get("name", "unknown")
    try:
        images = load_image_set(parse_recipe(zoo.header.recipe).dataset)
    except (GeozooError, OSError) as error:
        raise InputError(f"the images {name!r} of the zoo cannot be loaded ({str(error).rstrip('.')}).") from error
    if images.fingerprint != zoo.header.dataset["fingerprint"]:
        raise InputError(f"the images {name!r} found here are not those the zoo was trained on: fingerprints differ.")
    return images


@dataclass(frozen=True)
class Evaluator:
    """Evaluates members of one activation with the engines that train zoos: the compiled one where it fits.

    ``network`` are the arguments of `geozoo.nets.build_network` without the activation; ``split`` the images, of which
    the first ``images`` are used; ``threads`` evaluate at a time.
    """

    network: dict[str, Any]
    data: ImageSet
    threads: int = 1
    images: int = MAX_IMAGES

    @classmethod
    def of(cls, zoo: Zoo, data: ImageSet, threads: int) -> Evaluator:
        """For the networks of a zoo.

        Raises:
            InputError: a network of more than a million parameters, which would take too long here.
        """
        if zoo.header.num_parameters > MAX_PARAMETERS:
            raise InputError(
                f"{zoo.header.num_parameters:,} parameters are too many to evaluate thousands of networks here "
                f"(at most {MAX_PARAMETERS:,})."
            )
        shape = {"channels": data.channels, "size": data.size, "classes": data.num_classes}
        return cls({"name": zoo.header.recipe["network"]["name"], **shape}, data, threads)

    def on(self, split: Literal["train", "test"], activation: str) -> Evaluate:
        """The function that evaluates members of an activation on a split; a state that is not finite has loss NaN."""
        network = {**self.network, "activation": activation}
        choice = choose_engine("auto", network, self.images, Training(epochs=1))
        engine = load_engine(choice.engine, self.threads)
        counts = Evaluation(**{name: self.images if name == split else 1 for name in ("train", "validation", "test")})
        chosen = HyperParameters(activation=activation, init="uniform", optimizer="sgd", lr=1.0)

        def evaluate(weights: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            job = CohortJob(
                network=network,
                initial=np.ascontiguousarray(weights, dtype=np.float32),
                seeds=np.zeros(len(weights), dtype=np.int64),
                hyperparameters=(chosen,) * len(weights),
                checkpoints=(0,),
                epochs=1,
                evaluation=counts,
            )
            block = next(p.block for p in engine.train(job, self.data) if p.block is not None)
            return block.metrics[f"{split}_loss"], block.metrics[f"{split}_accuracy"]

        return evaluate
