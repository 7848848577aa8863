"""Chips with their answers, in memory, in batches for any number of updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geozoo.ssl.split import chip_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from geozoo.eo.chips import Chips
    from geozoo.ssl.downstream.experiment import Task
    from geozoo.ssl.split import Rows

MASK = "mask"


@dataclass(frozen=True)
class LabelledChips:
    """Some chips of a store.

    Attributes:
        pixels: by modality, ``[n, bands, size, size]`` as stored.
        truth: int64 ``[n]``, or 0/1 float ``[n, classes]``, or int64 ``[n, size, size]``, by the task.
    """

    pixels: Mapping[str, NDArray[Any]]
    truth: Tensor

    @classmethod
    def read(cls, chips: Chips, rows: Rows, bands: Mapping[str, tuple[str, ...]], task: Task) -> LabelledChips:
        """Read chips and what is true of them."""
        pixels = {name: chips.read(name, rows, names) for name, names in bands.items()}
        if task == "segmentation":
            return cls(pixels, torch.from_numpy(chips.read(MASK, rows)[:, 0].astype(np.int64)))
        if task == "single":
            return cls(pixels, torch.from_numpy(chip_labels(chips)[rows]))
        truth = torch.zeros(len(rows), len(chips.header.classes))
        for place, labels in enumerate(chips.index["labels"].iloc[rows]):
            truth[place, list(labels)] = 1.0
        return cls(pixels, truth)

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
