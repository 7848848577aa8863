"""Evaluating many weight vectors on some images, whatever zoo or line or plane they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch

from geozoo.errors import GeozooError, InputError
from geozoo.hyper.networks import Networks
from geozoo.hyper.query_images import images_of as image_set_of
from geozoo.population.tensors import Pixels, image_losses, right_answers, split_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geozoo.datasets import ImageSet
    from geozoo.store import Zoo

Evaluate = Callable[["NDArray[np.float32]"], tuple["NDArray[np.float64]", "NDArray[np.float64]"]]
"""Maps weights ``[n, params]`` of one network to their mean losses and accuracies ``[n]``."""

MAX_PARAMETERS = 1_000_000
MAX_IMAGES = 512

_CHUNK_ANSWERS = 32_768


def images_of(zoo: Zoo) -> ImageSet:
    """The image set a zoo was trained on: see `geozoo.hyper.query_images.images_of`.

    Raises:
        InputError: it cannot be had, for whatever reason, which the sentence gives.
    """
    try:
        return image_set_of(zoo)
    except (GeozooError, OSError, LookupError, ValueError) as error:
        name, cause = zoo.header.dataset.get("name", "unknown"), " ".join(str(error).split()).rstrip(".")
        raise InputError(f"the images {name!r} of the zoo cannot be loaded ({cause})") from error


@dataclass(frozen=True)
class Evaluator:
    """Evaluates members of a network on the first ``images`` images of a split of ``data``."""

    networks: Networks
    data: ImageSet
    images: int = MAX_IMAGES

    @classmethod
    def of(cls, zoo: Zoo, data: ImageSet) -> Self:
        """For the networks of a zoo.

        Raises:
            InputError: a network of more than a million parameters, which would take too long here.
        """
        if zoo.header.num_parameters > MAX_PARAMETERS:
            raise InputError(
                f"{zoo.header.num_parameters:,} parameters are too many to evaluate thousands of networks here "
                f"(at most {MAX_PARAMETERS:,})"
            )
        return cls(Networks.of(zoo), data)

    def on(self, split: Literal["train", "test"], activation: str) -> Evaluate:
        """The function that evaluates members of an activation on a split, dropout off.

        Losses are cross-entropies; a state that is not finite has a loss that is not finite and answers nothing right.
        """
        images, labels = split_tensors(getattr(self.data, split).take(slice(self.images)))
        inputs = Pixels.of(self.data, torch.float32)(images)
        at_once = max(1, _CHUNK_ANSWERS // len(labels))

        def evaluate(weights: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            losses, accuracies = [], []
            with torch.no_grad():
                for chunk in torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32)).split(at_once):
                    logits = self.networks.logits(chunk, [activation] * len(chunk), inputs)
                    every = labels.expand(len(chunk), -1)
                    losses.append(image_losses(logits, every).double().mean(dim=1))
                    accuracies.append(right_answers(logits, every).double().mean(dim=1))
            return torch.cat(losses).numpy(), torch.cat(accuracies).numpy()

        return evaluate
