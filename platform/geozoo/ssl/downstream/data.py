"""Chips with their answers, in memory, in batches for any number of updates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geozoo.eo.labels import MULTILABEL_SHARE
from geozoo.eo.tiles import IGNORE
from geozoo.ssl.split import chip_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from geozoo.eo.chips import Chips
    from geozoo.ssl.augment import Geometry
    from geozoo.ssl.downstream.experiment import Task
    from geozoo.ssl.experiment import AugmentationSettings
    from geozoo.ssl.split import Rows

MASK = "mask"


@dataclass(frozen=True)
class LabelledChips:
    """Some chips of a store.

    Attributes:
        pixels: by modality, ``[n, bands, size, size]`` as stored.
        truth: int64 ``[n]``, or 0/1 float ``[n, classes]``, by the task; masks int64 ``[n, size, size]`` for pixels,
            and where labels are those of a mask: what is true then depends on the part of a chip that is seen.
        task: what is asked.
        classes: how many there are.
    """

    pixels: Mapping[str, NDArray[Any]]
    truth: Tensor
    task: Task
    classes: int

    @classmethod
    def read(cls, chips: Chips, rows: Rows, bands: Mapping[str, tuple[str, ...]], task: Task) -> LabelledChips:
        """Read chips and what is true of them."""
        pixels = {name: chips.read(name, rows, names) for name, names in bands.items()}
        return cls(pixels, _truth(chips, rows, task), task, len(chips.header.classes))

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, items: NDArray[Any] | slice, device: str) -> tuple[dict[str, Tensor], Tensor]:
        """A batch on a device: float pixels in stored units, and the truth."""
        pixels = {
            name: torch.from_numpy(all_[items].astype(np.float32)).to(device) for name, all_ in self.pixels.items()
        }
        return pixels, self.truth[items].to(device)

    def batches(self, size: int, device: str) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """All chips once, in order."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size), device)

    def answers(self, truth: Tensor, geometry: Geometry) -> Tensor:
        """What heads should say of a batch of `take` after its pixels were moved."""
        if truth.ndim < 3:
            return truth
        moved = geometry(truth[:, None].float(), categorical=True)[:, 0].long()
        return moved if self.task == "segmentation" else labels_of_masks(moved, self.task, self.classes)

    def centred(self, augmentation: AugmentationSettings) -> LabelledChips:
        """The chips as evaluation sees them, one answer each: the middle square where training crops.

        Chips without a class are left out where each should have one.
        """
        side = next(iter(self.pixels.values())).shape[-1]
        size = augmentation.crop or side
        middle = slice((side - size + 1) // 2, (side - size + 1) // 2 + size)
        truth = self.truth
        if truth.ndim == 3 and self.task != "segmentation":
            truth = labels_of_masks(truth[:, middle, middle], self.task, self.classes)
        kept = truth != IGNORE if self.task == "single" else torch.ones(len(truth), dtype=torch.bool)
        pixels = {name: one[kept.numpy()][..., middle, middle] for name, one in self.pixels.items()}
        return replace(self, pixels=pixels, truth=truth[kept])

    def endless(self, size: int, seed: int) -> Iterator[NDArray[Any]]:
        """Places of batches of exactly ``size`` chips, or of all there are: shuffled passes, end to end."""
        generator = np.random.default_rng([seed, 17])
        waiting = np.empty(0, np.int64)
        size = min(size, len(self))
        while True:
            while len(waiting) < size:
                waiting = np.concatenate([waiting, generator.permutation(len(self))])
            yield waiting[:size]
            waiting = waiting[size:]


def labels_of_masks(masks: Tensor, task: Task, classes: int) -> Tensor:
    """What `geozoo.eo.labels.majority_class` (``single``) or `multilabels` say of masks int64 ``[n, height, width]``.

    int64 ``[n]``, `IGNORE` where no pixel counts; or 0/1 float ``[n, classes]``.
    """
    codes = masks.masked_fill(masks == IGNORE, classes).flatten(1)
    counts = torch.zeros(len(masks), classes + 1, dtype=torch.int64, device=masks.device)
    counts = counts.scatter_add_(1, codes, torch.ones_like(codes))[:, :classes]
    if task == "multi":
        return (counts.double() >= MULTILABEL_SHARE * codes.shape[1]).float()
    return torch.where(counts.sum(1) > 0, counts.argmax(1), IGNORE)


def _truth(chips: Chips, rows: Rows, task: Task) -> Tensor:
    if task == "segmentation" or chips.header.labels_of == "mask":
        return torch.from_numpy(chips.read(MASK, rows)[:, 0].astype(np.int64))
    if task == "single":
        labels = torch.from_numpy(chip_labels(chips)[rows])
        return labels.masked_fill(labels < 0, IGNORE)
    truth = torch.zeros(len(rows), len(chips.header.classes))
    for place, labels in enumerate(chips.index["labels"].iloc[rows]):
        truth[place, list(labels)] = 1.0
    return truth
