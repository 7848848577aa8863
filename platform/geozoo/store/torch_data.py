"""A zoo as a PyTorch data set of (weights, target), and a sampler that shuffles it shard by shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset, Sampler

from geozoo.errors import InputError
from geozoo.store.reader import group_equal
from geozoo.store.selection import Selection, select_states
from geozoo.store.shuffle import shuffle_in_pools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geozoo.store.reader import Integers
    from geozoo.store.split import Split
    from geozoo.store.zoo import Zoo

Item = tuple[torch.Tensor, torch.Tensor]


class StatesDataset(Dataset[Item]):
    """States of the committed members of one split: weights ``[params]`` and target ``[]``, both float32.

    ``index`` is the table of ``member`` and ``epoch`` of the items. States that are not finite, in a weight (by the
    metric ``finite``) or in the target, are left out; ``left_out`` counts them. A ``DataLoader`` fetches each batch in
    one concurrent read. To shuffle, pass a :class:`ShardSampler` as the loader's ``sampler``.
    """

    def __init__(
        self,
        zoo: Zoo,
        split: Split,
        epochs: int | Sequence[int] | None,
        target: str,
        parts: np.ndarray[Any, Any] | None = None,
    ) -> None:
        self.selection = select_states(zoo, split, epochs, target, parts)
        self.left_out = self.selection.left_out
        self.index = pd.DataFrame({"member": self.selection.members, "epoch": self.selection.epochs})
        self._targets = torch.from_numpy(self.selection.targets)
        self._zoo = zoo
        self._kept: KeptShards | None = None

    def __len__(self) -> int:
        return len(self.selection)

    def __getitem__(self, item: int) -> Item:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: list[int]) -> list[Item]:
        """The items of a batch, read together."""
        if self._kept is None:
            weights = self._zoo.states(self.selection.members[items], self.selection.epochs[items])
        else:
            weights = self._kept.states(np.asarray(items))
        return list(zip(torch.from_numpy(weights), self._targets[items], strict=True))

    def keep_shards(self, shards: int) -> None:
        """From now on read all items of a shard when one is asked for, and keep those of the last ``shards`` shards."""
        self._kept = KeptShards(self._zoo, self.selection, shards)


class ShardSampler(Sampler[int]):
    """Every item of a :class:`StatesDataset` once an epoch, shuffled by shard, then by row.

    The shards are taken in a random order, ``pool`` at a time, and the items of a pool are shuffled. The data set is
    told to keep as many shards in memory (at most 64 MB or one state each), so that an epoch reads each shard once in
    every worker process of the loader. The order depends on ``seed`` and the epoch alone::

        sampler = ShardSampler(dataset, seed=0)
        loader = DataLoader(dataset, batch_size=64, sampler=sampler)
        for epoch in range(10):
            sampler.set_epoch(epoch)
            for weights, target in loader: ...

    Raises:
        InputError: ``pool`` is less than 1 or ``seed`` less than 0.
    """

    def __init__(self, dataset: StatesDataset, *, seed: int = 0, pool: int = 4) -> None:
        if pool < 1 or seed < 0:
            raise InputError(f"pool={pool} and seed={seed} cannot shuffle: pool is at least 1 and seed at least 0.")
        self._shards = dataset.selection.shards
        self._pool, self._seed, self._epoch = pool, seed, 0
        dataset.keep_shards(pool)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass, by its number from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._shards)

    def __iter__(self) -> Iterator[int]:
        for items in shuffle_in_pools(self._shards, self._pool, self._seed, self._epoch):
            yield from items.tolist()


class KeptShards:
    """The selected states of the shards used last, for one thread at a time."""

    def __init__(self, zoo: Zoo, selection: Selection, limit: int) -> None:
        self._zoo, self._selection, self._limit = zoo, selection, limit
        self._items = group_equal(selection.shards)
        self._place = np.empty(len(selection), dtype=np.intp)
        for items in self._items:
            self._place[items] = np.arange(len(items))
        self._states: dict[int, np.ndarray[Any, Any]] = {}

    def states(self, items: Integers) -> np.ndarray[Any, np.dtype[np.float32]]:
        """States ``[items, params]``, a new array."""
        shards = self._selection.shards[items]
        wanted = np.unique(shards).tolist()
        found = {shard: self._states.pop(shard) for shard in wanted if shard in self._states}
        self._states |= found | self._read([shard for shard in wanted if shard not in found])
        out = np.empty((len(items), self._zoo.header.num_parameters), dtype=np.float32)
        for shard in wanted:
            here = shards == shard
            out[here] = self._states[shard][self._place[items[here]]]
        for shard in list(self._states)[: -self._limit]:
            del self._states[shard]
        return out

    def _read(self, shards: list[int]) -> dict[int, np.ndarray[Any, Any]]:
        if not shards:
            return {}
        groups = [self._items[shard] for shard in shards]
        items = np.concatenate(groups)
        states = self._zoo.states(self._selection.members[items], self._selection.epochs[items])
        ends = np.cumsum([len(group) for group in groups])[:-1]
        return dict(zip(shards, np.split(states, ends), strict=True))
