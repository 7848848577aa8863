"""Evaluating imported members again, against what their source logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from geozoo.datasets import ImageSet
    from geozoo.interchange.sources.source import Source
    from geozoo.store import Zoo

SEED = 42
BATCH = 1000
TOLERANCE, TOLERATED_IMAGES = 1e-3, 2.5


@dataclass(frozen=True)
class Checked:
    """One member's test accuracy at its last epoch, evaluated here and as it was logged, over so many images."""

    member: str
    epoch: int
    here: float
    logged: float
    images: int

    @property
    def agrees(self) -> bool:
        """Whether the two differ by no more than two images or a tenth of a percent, as other arithmetic makes them."""
        return abs(self.here - self.logged) <= max(TOLERANCE, TOLERATED_IMAGES / self.images)


def check_members(
    zoo: Zoo,
    source: Source,
    images: ImageSet | None,
    count: int,
    on_step: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> list[Checked]:
    """Evaluate ``count`` members, drawn with a fixed seed, at the last epoch on all test images.

    The images are those that the source brings, else ``images``.

    Raises:
        InputError: there are no images, they do not fit the networks, or no accuracy was logged.
    """
    pixels, labels = _test_images(source, images)
    epoch = zoo.checkpoints[-1]
    table = zoo.read_metrics(["test_accuracy"], epoch)
    logged = table[np.isfinite(table["test_accuracy"])]
    if logged.empty:
        raise InputError("the source logged no test accuracy, so there is nothing to check against: leave out --check.")
    chosen = np.random.default_rng(SEED).permutation(len(logged))[:count]
    checked = []
    for done, row in enumerate(np.sort(chosen)):
        on_step("check", done, len(chosen))
        member, accuracy = str(logged["member"].iloc[row]), float(logged["test_accuracy"].iloc[row])
        here = evaluate(zoo.module(member, epoch), pixels, labels)
        checked.append(Checked(member, epoch, here, accuracy, len(labels)))
    return checked


def evaluate(network: torch.nn.Module, pixels: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of images ``[n, channels, size, size]`` whose label ``[n]`` has the largest logit.

    Raises:
        InputError: the images do not fit the network.
    """
    import torch

    right = 0
    try:
        with torch.inference_mode():
            for start in range(0, len(labels), BATCH):
                logits = network(pixels[start : start + BATCH].float())
                right += int((logits.argmax(dim=1) == labels[start : start + BATCH]).sum())
    except RuntimeError as error:
        raise InputError(
            f"test images of shape {tuple(pixels.shape[1:])} do not fit the networks: give theirs with --images."
        ) from error
    return right / len(labels)


def _test_images(source: Source, images: ImageSet | None) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    from geozoo.datasets import normalise

    if (brought := source.images()) is not None:
        return brought
    if images is None:
        raise InputError("the source brings no images to check on: name their image set with --images.")
    pixels = normalise(images.test.images, images.mean, images.std)
    return torch.from_numpy(pixels), torch.from_numpy(np.array(images.test.labels))
