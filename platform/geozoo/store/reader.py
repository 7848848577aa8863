"""Reading states out of shards: which bytes hold them, fetched concurrently, checked and put in place."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from geozoo.errors import DamagedZooError
from geozoo.store.concurrency import concurrently
from geozoo.store.shards import Grid, decode_chunk, decode_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geozoo.store.commit import StoredObject
    from geozoo.store.location import Location

_SPAN_BYTES = 4 * 2**20

Integers = np.ndarray[Any, np.dtype[np.integer[Any]]]


class StoredArray(Protocol):
    """What describes an array of weights: how it is cut up, where its shards lie, and all objects by name."""

    @property
    def weights(self) -> Grid:
        """How the array is cut up."""

    @property
    def weights_folder(self) -> str:
        """Folder of the shards."""

    @property
    def objects(self) -> Mapping[str, StoredObject]:
        """Size and SHA-256 of the shards, and of what else belongs to them."""


@dataclass(frozen=True)
class ShardRead:
    """States wanted of the shard ``name``, an object of ``size`` bytes.

    ``members`` and ``checkpoints`` count from the beginning of the shard; ``rows`` are those of the result.
    """

    name: str
    size: int
    grid: Grid
    members: Integers
    checkpoints: Integers
    rows: Integers


@dataclass(frozen=True)
class _Span:
    """A piece of a shard to read at once: ``chunks`` are ``(where in the span, which states of the read)``."""

    read: ShardRead
    start: int
    length: int
    chunks: list[tuple[int, Integers]]


def split_by_shard(array: StoredArray, positions: Integers, checkpoints: Integers, rows: Integers) -> list[ShardRead]:
    """Group the states wanted of one array by the shard they lie in.

    Raises:
        DamagedZooError: that shard is not among the objects.
    """
    grid = array.weights
    reads = []
    for group in group_equal(positions // grid.shard[0], checkpoints // grid.shard[1]):
        key = grid.shard_key(positions[group[0]], checkpoints[group[0]])
        name = f"{array.weights_folder}/{key}"
        if name not in array.objects:
            raise DamagedZooError(f"{name} is not named by what was committed: run geozoo verify.")
        members, steps = positions[group] % grid.shard[0], checkpoints[group] % grid.shard[1]
        reads.append(ShardRead(name, array.objects[name].size, grid, members, steps, rows[group]))
    return reads


class ShardReader:
    """Reads shards of one store; remembers their indexes, which are small."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._indexes: dict[str, Integers] = {}
        self._of_thread = threading.local()

    def read(self, reads: Sequence[ShardRead], out: np.ndarray[Any, Any]) -> None:
        """Put the states of some shards into their rows of ``out`` ``[n, params]``, which is C-contiguous.

        Whole chunks are read and checked; those that lie side by side are read together, up to 4 MiB at once.

        Raises:
            DamagedZooError: a shard is missing, cut short, or a checksum does not fit.
        """
        unknown = {read.name: read for read in reads if read.name not in self._indexes}
        concurrently(self._read_index, unknown.values())
        spans = [span for read in reads for span in _spans(read, self._indexes[read.name])]
        concurrently(lambda span: self._fill(span, out), spans)

    def _read_index(self, read: ShardRead) -> None:
        size = read.grid.index_bytes
        self._indexes[read.name] = decode_index(self._bytes(read.name, read.size - size, size), read.grid, read.name)

    def _fill(self, span: _Span, out: np.ndarray[Any, Any]) -> None:
        read = span.read
        data = self._bytes(read.name, span.start, span.length)
        for at, group in span.chunks:
            chunk = decode_chunk(data[at : at + read.grid.chunk_bytes], read.grid, read.name)
            _place(chunk, read.members[group], read.checkpoints[group], read.rows[group], out)

    def _bytes(self, name: str, start: int, length: int) -> memoryview:
        """A part of an object, shorter where the object is, until this thread reads the next one."""
        data = self._buffer(length)
        try:
            return data[: self._location.read_into(name, start, data)]
        except FileNotFoundError as error:
            raise DamagedZooError(
                f"{name} is missing in {self._location.url}: run geozoo verify, restore it."
            ) from error

    def _buffer(self, length: int) -> memoryview:
        """Memory that this thread keeps for its spans: fresh pages would cost as much as reading into them."""
        if length > _SPAN_BYTES:
            return np.empty(length, dtype=np.uint8).data
        if not hasattr(self._of_thread, "buffer"):
            self._of_thread.buffer = np.empty(_SPAN_BYTES, dtype=np.uint8).data
        kept: memoryview = self._of_thread.buffer
        return kept[:length]


def _spans(read: ShardRead, index: Integers) -> list[_Span]:
    """The chunks of a read by where they lie, side by side in one span as far as `_SPAN_BYTES` goes."""
    grid = read.grid
    rows, columns = read.members // grid.chunk[0], read.checkpoints // grid.chunk[1]
    groups = group_equal(rows, columns)
    starts = [int(index[rows[group[0]], columns[group[0]]]) for group in groups]
    spans: list[_Span] = []
    for start, group in sorted(zip(starts, groups, strict=True), key=lambda pair: pair[0]):
        last = spans[-1] if spans else None
        if last and start == last.start + last.length and last.length + grid.chunk_bytes <= _SPAN_BYTES:
            last.chunks.append((last.length, group))
            spans[-1] = _Span(read, last.start, last.length + grid.chunk_bytes, last.chunks)
        else:
            spans.append(_Span(read, start, grid.chunk_bytes, [(0, group)]))
    return spans


def _place(
    chunk: np.ndarray[Any, Any], members: Integers, checkpoints: Integers, rows: Integers, out: np.ndarray[Any, Any]
) -> None:
    """Copy states of a chunk ``[members, checkpoints, params]``, as many at once as lie side by side on both sides.

    Where such runs repeat evenly, as those of a whole chunk do, one copy takes them all: it lets other threads run.
    """
    states = chunk.reshape(-1, chunk.shape[2])
    sources = members % chunk.shape[0] * chunk.shape[1] + checkpoints % chunk.shape[1]
    starts = np.flatnonzero(np.r_[True, (np.diff(sources) != 1) | (np.diff(rows) != 1)])
    lengths = np.diff(starts, append=len(rows))
    sources, rows = sources[starts], rows[starts]
    if _even_steps(sources) and _even_steps(rows) and (lengths == lengths[0]).all():
        _runs(out, rows, lengths[0])[:] = _runs(states, sources, lengths[0])
    else:
        for source, row, length in zip(sources.tolist(), rows.tolist(), lengths.tolist(), strict=True):
            out[row : row + length] = states[source : source + length]


def _even_steps(numbers: Integers) -> bool:
    steps = np.diff(numbers)
    return len(steps) == 0 or bool((steps == steps[0]).all())


def _runs(states: np.ndarray[Any, Any], starts: Integers, length: int) -> np.ndarray[Any, Any]:
    """View ``[runs, length, params]`` of evenly spaced runs of ``states`` ``[n, params]``."""
    step = int(starts[1] - starts[0]) if len(starts) > 1 else 0
    shape, strides = (len(starts), length, states.shape[1]), (step * states.strides[0], *states.strides)
    return np.lib.stride_tricks.as_strided(states[starts[0] :], shape, strides)


def group_equal(*keys: Integers) -> list[Integers]:
    """Indices of equal keys, ascending: one array for each tuple ``(key[i] for key in keys)`` that occurs."""
    order = np.lexsort(keys)
    changes = np.logical_or.reduce([np.diff(key[order]) != 0 for key in keys])
    return [group for group in np.split(order, np.flatnonzero(changes) + 1) if len(group)]
