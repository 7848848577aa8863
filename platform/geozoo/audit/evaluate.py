"""Answers and metrics of stored states, computed anew from their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geozoo.nets import build_network, derive_layout, load_flat
from geozoo.population.engine import SPLITS
from geozoo.population.metrics import Tally, block_metrics
from geozoo.population.tensors import (
    Pixels,
    Resident,
    arithmetic,
    autocast,
    image_losses,
    right_answers,
    weights_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from geozoo.datasets import ImageSet
    from geozoo.population import CohortJob

IMAGES_AT_ONCE = 500
EVALUATED = (
    *(f"{split}_{what}" for split in SPLITS for what in ("loss", "accuracy")),
    "generalization_gap",
)
"""The metrics that follow from a state alone."""


@dataclass(frozen=True)
class Evaluator:
    """Runs states of one job's network on the images that its checkpoints are evaluated on, in its arithmetic."""

    job: CohortJob
    pixels: Pixels
    splits: dict[str, Resident]
    device: str

    @classmethod
    def of(cls, job: CohortJob, images: ImageSet) -> Evaluator:
        """Bring the images to a GPU where there is one."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        pixels = Pixels.of(images, weights_dtype(job.precision), device)
        splits = {split: Resident.of(part, device) for split, part in job.evaluated(images).items()}
        return cls(job, pixels, splits, device)

    def answers(self, weights: NDArray[Any]) -> NDArray[np.int64]:
        """The class that a state ``[params]`` gives each validation image, ``[images]``."""
        return np.concatenate([logits.argmax(-1).cpu().numpy() for logits, _ in self._run(weights, "validation")])

    def metrics(self, weights: NDArray[Any]) -> dict[str, float]:
        """Loss and accuracy of a state ``[params]`` on every split, and their gap, as a block of an engine has them."""
        tallies = {}
        for split, part in self.splits.items():
            tally = tallies[split] = Tally.zeros(1)
            for logits, labels in self._run(weights, split):
                losses, correct = image_losses(logits, labels).double().sum(), right_answers(logits, labels).sum()
                tally.add([losses.item()], [correct.item()], 0)
            tally.images = len(part.labels)
        columns = block_metrics(tallies, None, np.ones(1, dtype=bool))
        return {name: float(values[0]) for name, values in columns.items() if name in EVALUATED}

    def _run(self, weights: NDArray[Any], split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits ``[n, classes]`` and labels ``[n]``, some images at a time."""
        module = build_network(**self.job.network).eval()
        load_flat(module, torch.from_numpy(weights.astype(np.float32)), derive_layout(module))
        module.to(self.device, weights_dtype(self.job.precision))
        part = self.splits[split]
        chunks = zip(part.images.split(IMAGES_AT_ONCE), part.labels.split(IMAGES_AT_ONCE), strict=True)
        with arithmetic(self.job.precision), torch.no_grad():
            for images, labels in chunks:
                pixels = self.pixels(images)
                with autocast(self.job.precision, self.device):
                    logits = module(pixels)
                yield logits.to(pixels.dtype), labels
