"""Chips with their answers, in memory where they fit, in batches for any number of updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geozoo.eo.labels import MULTILABEL_SHARE
from geozoo.eo.tiles import IGNORE
from geozoo.ssl.split import chip_labels
from geozoo.ssl.stream import RESIDENT_BYTES, chip_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from geozoo.eo.chips import Chips
    from geozoo.ssl.augment import Geometry
    from geozoo.ssl.downstream.experiment import Task
    from geozoo.ssl.split import Rows

    Items = NDArray[Any] | slice

MASK = "mask"


@dataclass(frozen=True)
class StoredPixels:
    """Bands of some chips, read from their store when they are indexed as an array ``[n, bands, size, size]`` would."""

    chips: Chips
    modality: str
    rows: Rows
    bands: Sequence[str]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the array."""
        return len(self.rows), len(self.bands), self.chips.header.size, self.chips.header.size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, items: Items) -> NDArray[Any]:
        return self.chips.read(self.modality, self.rows[items], self.bands)


@dataclass(frozen=True)
class LabelledChips:
    """Some chips of a store.

    Attributes:
        pixels: by modality, ``[n, bands, size, size]`` as stored.
        truth: int64 ``[n]``, or 0/1 float ``[n, classes]``, by the task; masks ``[n, 1, size, size]`` for pixels,
            and where labels are those of a mask: what is true then depends on the part of a chip that is seen.
        task: what is asked.
        classes: how many there are.
        copies: how often training sees each chip in a pass.
    """

    pixels: Mapping[str, NDArray[Any] | StoredPixels]
    truth: Tensor | NDArray[Any] | StoredPixels
    task: Task
    classes: int
    copies: NDArray[Any] | int = 1

    @classmethod
    def read(cls, chips: Chips, rows: Rows, bands: Mapping[str, tuple[str, ...]], task: Task) -> LabelledChips:
        """Chips and what is true of them; of more than `RESIDENT_BYTES` a batch is read each time it is taken."""
        masked = task == "segmentation" or chips.header.labels_of == "mask"
        read = {**bands, MASK: chips.header.arrays[MASK].bands} if masked else bands
        kept = chip_bytes(chips, read) * len(rows) <= RESIDENT_BYTES
        arrays = {
            name: chips.read(name, rows, names) if kept else StoredPixels(chips, name, rows, names)
            for name, names in read.items()
        }
        truth = arrays[MASK] if masked else _labels(chips, rows, task)
        return cls({name: arrays[name] for name in bands}, truth, task, len(chips.header.classes))

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def places(self) -> NDArray[np.int64]:
        """The chips of a pass of training, those with several copies several times."""
        return np.repeat(np.arange(len(self)), self.copies)

    def take(self, items: Items, device: str) -> tuple[dict[str, Tensor], Tensor]:
        """A batch on a device: float pixels in stored units, and the truth, masks as int64 ``[n, size, size]``."""
        pixels = {
            name: torch.from_numpy(all_[items].astype(np.float32)).to(device) for name, all_ in self.pixels.items()
        }
        truth = torch.as_tensor(self.truth[items]).to(device)
        return pixels, truth[:, 0].long() if truth.ndim == 4 else truth

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

    def endless(self, size: int, seed: int) -> Iterator[NDArray[Any]]:
        """Places of batches of exactly ``size`` chips, or of all there are: shuffled passes, end to end."""
        generator = np.random.default_rng([seed, 17])
        waiting = np.empty(0, np.int64)
        size = min(size, len(self.places))
        while True:
            while len(waiting) < size:
                waiting = np.concatenate([waiting, generator.permutation(self.places)])
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


def _labels(chips: Chips, rows: Rows, task: Task) -> Tensor:
    if task == "single":
        labels = torch.from_numpy(chip_labels(chips)[rows])
        return labels.masked_fill(labels < 0, IGNORE)
    truth = torch.zeros(len(rows), len(chips.header.classes))
    for place, labels in enumerate(chips.index["labels"].iloc[rows]):
        truth[place, list(labels)] = 1.0
    return truth
