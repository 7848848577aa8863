"""Reading states out of shards: which bytes hold them, fetched concurrently, checked and put in place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import DamagedZooError
from geozoo.store.attempt import WEIGHTS_FOLDER
from geozoo.store.shards import decode_chunk, decode_index

if TYPE_CHECKING:
    from geozoo.store.commit import Commit
    from geozoo.store.location import Location

_WHOLE_FRACTION = 0.25


@dataclass(frozen=True)
class ShardRead:
    """States wanted of one shard: ``positions`` and ``checkpoints`` in its cohort, and their ``rows`` in the result."""

    commit: Commit
    key: str
    positions: np.ndarray[Any, Any]
    checkpoints: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]


def split_by_shard(
    commit: Commit, positions: np.ndarray[Any, Any], checkpoints: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]
) -> list[ShardRead]:
    """Group the states wanted of one cohort by the shard they lie in."""
    members, steps, _ = commit.weights.shard
    return [
        ShardRead(
            commit,
            commit.weights.shard_key(positions[group[0]], checkpoints[group[0]]),
            positions[group],
            checkpoints[group],
            rows[group],
        )
        for group in group_equal(positions // members, checkpoints // steps)
    ]


class ShardReader:
    """Reads shards of one store; remembers their indexes, which are small."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._indexes: dict[str, np.ndarray[Any, Any]] = {}

    def read(self, shard: ShardRead, out: np.ndarray[Any, Any]) -> None:
        """Put the states of a shard into their rows of ``out`` ``[n, params]``.

        Few chunks are read as ranges; from a quarter of the shard on it is read whole.

        Raises:
            DamagedZooError: the shard is missing, cut short, or a checksum does not fit.
        """
        grid = shard.commit.weights
        name = f"{shard.commit.folder}/{WEIGHTS_FOLDER}/{shard.key}"
        members = shard.positions % grid.shard[0]
        steps = shard.checkpoints % grid.shard[1]
        groups = group_equal(members // grid.chunk[0], steps // grid.chunk[1])
        try:
            whole = memoryview(b"")
            if len(groups) >= _WHOLE_FRACTION * math.prod(grid.chunks_per_shard):
                whole = memoryview(self._location.read(name))
            index = self._index(shard.commit, name, whole)
            for group in groups:
                start = int(index[members[group[0]] // grid.chunk[0], steps[group[0]] // grid.chunk[1]])
                data: bytes | memoryview = whole[start : start + grid.chunk_bytes]
                if not whole:
                    data = self._location.read_range(name, start, grid.chunk_bytes)
                chunk = decode_chunk(data, grid, name)
                out[shard.rows[group]] = chunk[members[group] % grid.chunk[0], steps[group] % grid.chunk[1]]
        except FileNotFoundError as error:
            raise DamagedZooError(
                f"{name} is missing in {self._location.url}: run geozoo verify, restore it."
            ) from error

    def _index(self, commit: Commit, name: str, whole: memoryview) -> np.ndarray[Any, Any]:
        if name not in self._indexes:
            grid = commit.weights
            if name not in commit.objects:
                raise DamagedZooError(
                    f"{name} is not named by the commit of cohort {commit.cohort}: run geozoo verify."
                )
            start = commit.objects[name].size - grid.index_bytes
            data: bytes | memoryview = whole[start:]
            if not whole:
                data = self._location.read_range(name, start, grid.index_bytes)
            self._indexes[name] = decode_index(data, grid, name)
        return self._indexes[name]


def group_equal(*keys: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Indices of equal keys: one array for each tuple ``(key[i] for key in keys)`` that occurs."""
    order = np.lexsort(keys)
    changes = np.logical_or.reduce([np.diff(key[order]) != 0 for key in keys])
    return [group for group in np.split(order, np.flatnonzero(changes) + 1) if len(group)]
