"""From the zoo store to batches of weights on the device: shuffled, shared out over workers, read ahead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from geozoo.store.shuffle import shuffle_in_pools
from geozoo.store.torch_data import KeptShards
from geozoo.training.distributed import share
from geozoo.training.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from geozoo.hyper.aligned import Alignment
    from geozoo.store import Zoo
    from geozoo.store.reader import Integers
    from geozoo.store.selection import Selection
    from geozoo.training.distributed import World

RESIDENT_BYTES = 2 * 2**30
POOL_SHARDS = 8
READ_AHEAD = 4


@dataclass(frozen=True)
class ZooStates:
    """The states of one zoo to learn from.

    ``activations`` has the activation of each state's member. With an ``alignment`` the units of every state stand in
    the order of its reference.
    """

    zoo: Zoo
    selection: Selection
    activations: np.ndarray[Any, np.dtype[np.str_]]
    alignment: Alignment | None = None

    def __len__(self) -> int:
        return len(self.selection)

    @property
    def num_bytes(self) -> int:
        """Memory that all states take as float32."""
        return 4 * len(self) * self.zoo.header.num_parameters

    def read(self, items: Integers | slice) -> np.ndarray[Any, np.dtype[np.float32]]:
        """States ``[items, params]``."""
        return self.aligned(self.zoo.states(self.selection.members[items], self.selection.epochs[items]), items)

    def aligned(
        self, weights: np.ndarray[Any, np.dtype[np.float32]], items: Integers | slice
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """States as they are stored, in the order of units that this data set has them in."""
        return weights if self.alignment is None else self.alignment(weights, self.selection.members[items])


@dataclass(frozen=True)
class WeightBatch:
    """This worker's rows of a batch of ``total`` states of the zoo number ``zoo``.

    Attributes:
        weights: ``[rows, params]`` on the device.
        activations: of their networks.
        items: which of the zoo's selected states they are.
        zoo: number of the zoo.
        total: rows over all workers.
    """

    weights: Tensor
    activations: np.ndarray[Any, np.dtype[np.str_]]
    items: Integers
    zoo: int
    total: int


@dataclass
class StateStream:
    """Batches of states, the same for every number of workers; see `geozoo.training.loop.Source`.

    Zoos that fit together into `RESIDENT_BYTES` are read once and stay on the device; their states are shuffled
    uniformly. Larger ones are read shard by shard by a thread that runs ahead, and shuffled as
    `geozoo.store.shuffle` says. Batches are of one zoo each; the last of a zoo may be smaller. Each worker reads only
    its own rows.

    Attributes:
        sources: the zoos' states.
        batch_size: rows of a batch over all workers.
        world: the workers.
        seed: with the number of the epoch it decides the order; ``None`` keeps the order of storage.
        dtype: of the weights.
        resident_bytes: see above.
    """

    sources: Sequence[ZooStates]
    batch_size: int
    world: World
    seed: int | None = None
    dtype: torch.dtype = torch.float32
    resident_bytes: int = RESIDENT_BYTES
    _kept: list[Tensor] = field(default_factory=list, init=False, repr=False)

    def __len__(self) -> int:
        return sum(-(-len(source) // self.batch_size) for source in self.sources)

    @property
    def is_resident(self) -> bool:
        """Whether the states are read once and stay on the device."""
        return sum(source.num_bytes for source in self.sources) <= self.resident_bytes

    def epoch(self, number: int, first: int = 0) -> Iterator[WeightBatch]:
        """The batches of one pass from batch ``first`` on; a shard is read only where one of them needs it."""
        plan = self._plan(number)[first:]
        if self.is_resident:
            self._load()
            for zoo, items in plan:
                yield self._batch(zoo, items, lambda zoo, mine: self._kept[zoo][self._on_device(mine)])
        else:
            shards = [KeptShards(source.zoo, source.selection, 2 * POOL_SHARDS) for source in self.sources]
            read = (
                self._batch(zoo, items, lambda zoo, mine: self._stored(shards[zoo], zoo, mine)) for zoo, items in plan
            )
            yield from read_ahead(read, READ_AHEAD)

    def _batch(self, zoo: int, items: Integers, fetch: Callable[[int, Integers], Tensor]) -> WeightBatch:
        mine = items[share(len(items), self.world)]
        return WeightBatch(fetch(zoo, mine), self.sources[zoo].activations[mine], mine, zoo, len(items))

    def _plan(self, number: int) -> list[tuple[int, Integers]]:
        """Zoo and items of every batch of an epoch."""
        batches = []
        for zoo, source in enumerate(self.sources):
            order = self._order(source, number)
            batches += [(zoo, part) for part in np.split(order, range(self.batch_size, len(order), self.batch_size))]
        if self.seed is None or len(self.sources) == 1:
            return batches
        mixed = np.random.default_rng([self.seed, number, len(batches)]).permutation(len(batches))
        # Zoos are mixed, but the batches of one zoo keep their order, which follows its shards.
        turns = iter(np.array([zoo for zoo, _ in batches])[mixed].tolist())
        waiting = [iter([batch for batch in batches if batch[0] == zoo]) for zoo in range(len(self.sources))]
        return [next(waiting[zoo]) for zoo in turns]

    def _order(self, source: ZooStates, number: int) -> Integers:
        if self.seed is None:
            return np.arange(len(source))
        if self.is_resident:
            return np.random.default_rng([self.seed, number]).permutation(len(source))
        return np.concatenate(shuffle_in_pools(source.selection.shards, POOL_SHARDS, self.seed, number))

    def _load(self) -> None:
        if not self._kept:
            self._kept = [self._on_device(source.read(slice(None)), self.dtype) for source in self.sources]

    def _stored(self, shards: KeptShards, zoo: int, items: Integers) -> Tensor:
        return self._on_device(self.sources[zoo].aligned(shards.states(items), items), self.dtype)

    def _on_device(self, array: np.ndarray[Any, Any], dtype: torch.dtype | None = None) -> Tensor:
        return torch.from_numpy(array).to(self.world.device, dtype)
