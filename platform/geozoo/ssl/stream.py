"""From the chip store to batches of pixels on the device: shuffled, shared out over workers, read ahead."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from geozoo.eo.chips import samplers
from geozoo.ssl.split import chip_groups
from geozoo.training.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from geozoo.eo.chips import Chips
    from geozoo.ssl.experiment import Sampler
    from geozoo.ssl.split import Rows
    from geozoo.training.distributed import World

RESIDENT_BYTES = 4 * 2**30
READ_AHEAD = 4


def chip_bytes(chips: Chips, bands: Mapping[str, Sequence[str]]) -> int:
    """What bands of one chip take in memory, as stored."""
    arrays = chips.header.arrays
    return sum(len(names) * arrays[name].chunk_bytes // len(arrays[name].bands) for name, names in bands.items())


@dataclass(frozen=True)
class ChipBatch:
    """This worker's rows of a batch of ``total`` chips.

    Attributes:
        pixels: by modality, float ``[rows, bands, size, size]`` on the device, in stored units; NaN stays NaN.
        rows: numbers of the chips.
        total: rows over all workers.
        groups: int64 ``[total]``: what chips of the whole batch have in common, see `chip_groups`; to tell how many
            negatives are none, never to learn from.
    """

    pixels: dict[str, Tensor]
    rows: Rows
    total: int
    groups: Tensor


@dataclass
class ChipStream:
    """Batches of chips, the same for every number of workers; see `geozoo.training.loop.Source`.

    The ``sampler`` draws the order of an epoch from ``seed`` and the epoch's number (``None``: in order, every chip
    once); see `geozoo.eo.chips.samplers`. The last batch may be smaller. Chips that fit together into `RESIDENT_BYTES`
    are read once and kept; of larger stores each worker reads its own rows, ahead of the training.

    Attributes:
        chips: the store.
        rows: which chips.
        bands: of each modality that is read.
        batch_size: rows of a batch over all workers.
        world: the workers.
        seed: see above.
        dtype: of the pixels in a batch.
        sampler: see above.
        resident_bytes: see above.
    """

    chips: Chips
    rows: Rows
    bands: Mapping[str, Sequence[str]]
    batch_size: int
    world: World
    seed: int | None = None
    dtype: torch.dtype = torch.float32
    sampler: Sampler = "shuffled"
    resident_bytes: int = RESIDENT_BYTES
    _kept: dict[str, NDArray[Any]] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    @property
    def is_resident(self) -> bool:
        """Whether the chips are read once and kept."""
        return chip_bytes(self.chips, self.bands) * len(self.rows) <= self.resident_bytes

    def epoch(self, number: int, first: int = 0) -> Iterator[ChipBatch]:
        """The batches of one pass, from batch ``first`` on; none before it is read."""
        if self.is_resident and not self._kept:
            self._kept = {name: self.chips.read(name, self.rows, names) for name, names in self.bands.items()}
        yield from read_ahead(self._batches(number, first), READ_AHEAD)

    def _batches(self, number: int, first: int) -> Iterator[ChipBatch]:
        order = self._order(number)
        for batch in range(first, len(self)):
            mine = samplers.batch_rows(order, batch, self.batch_size, self.world.rank, self.world.size)
            pixels = {name: self._tensor(self._pixels(name, mine)) for name in self.bands}
            whole = self.rows[samplers.batch_rows(order, batch, self.batch_size)]
            groups = torch.from_numpy(self._groups[whole]).to(self.world.device)
            yield ChipBatch(pixels, self.rows[mine], len(whole), groups)

    @cached_property
    def _groups(self) -> Rows:
        return chip_groups(self.chips)

    def _order(self, number: int) -> Rows:
        if self.seed is None:
            return samplers.grid(len(self.rows))
        if self.sampler == "by_scene":
            return samplers.by_scene(self.chips.index["scene"].to_numpy()[self.rows], self.seed, number)
        if self.sampler == "area_weighted":
            areas = samplers.chip_areas(self.chips.index.iloc[self.rows], self.chips.header.size)
            return samplers.area_weighted(areas, self.seed, number)
        return samplers.shuffled(len(self.rows), self.seed, number)

    def _pixels(self, modality: str, items: Rows) -> NDArray[Any]:
        if self._kept:
            return self._kept[modality][items]
        return self.chips.read(modality, self.rows[items], self.bands[modality])

    def _tensor(self, pixels: NDArray[Any]) -> Tensor:
        if self.world.device == "cpu":  # numpy converts some times faster than torch, which knows no uint16
            return torch.from_numpy(pixels.astype(np.float64 if self.dtype == torch.float64 else np.float32))
        wide = pixels.astype(np.int32) if pixels.dtype == np.uint16 else pixels
        return torch.from_numpy(wide).to(self.world.device, self.dtype)
