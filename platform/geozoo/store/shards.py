"""The weight array of a cohort: Zarr v3, ``[member, checkpoint, param]``, in shards of chunks.

Shards are the unit of writing and chunks the unit of reading. Chunks are uncompressed little-endian floats with a
crc32c, so a shard can be cut up without zarr; zarr itself reads the same array, and fills what is missing with NaN,
never zeros.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from geozoo.errors import DamagedZooError
from geozoo.store.checksums import CRC_BYTES, seal, sealed_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zarr.abc.store import Store

    from geozoo.store.backends import Bytes

WEIGHTS_FOLDER = "weights.zarr"
MAX_SHARD_BYTES = 64 * 2**20
MAX_CHUNK_BYTES = 2**20
MAX_PUBLISHED_CHUNK_BYTES = 2**18

Triple = tuple[int, int, int]
Floats = np.ndarray[Any, np.dtype[Any]]


class Grid(BaseModel):
    """How the array of a cohort is cut up; shapes are ``(members, checkpoints, params)``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Literal["float32", "float16"]
    shape: Triple
    shard: Triple
    chunk: Triple

    @classmethod
    def design(cls, shape: Triple, dtype: Literal["float32", "float16"], max_shard_bytes: int) -> Self:
        """Choose shards of at most ``max_shard_bytes`` or one state, and chunks of at most 1 MiB or one state.

        A chunk spans members first, then checkpoints. A shard holds all members and as many checkpoints as fit; where
        one checkpoint of all members does not fit, it holds one checkpoint of fewer members. Sizes are evened out so
        that the padding at the edges of the array stays small.
        """
        members, checkpoints, params = shape
        state = params * np.dtype(dtype).itemsize
        max_chunk_bytes = min(MAX_CHUNK_BYTES, max_shard_bytes)
        chunk_members = _even(members, max_chunk_bytes // state)
        shard_members = chunk_members * _even(
            math.ceil(members / chunk_members), max_shard_bytes // (chunk_members * state)
        )
        whole = shard_members >= members
        row = shard_members * state
        chunk_checkpoints = _even(checkpoints, max_chunk_bytes // row) if whole and chunk_members >= members else 1
        rows = math.ceil(checkpoints / chunk_checkpoints)
        shard_checkpoints = chunk_checkpoints * (
            _even(rows, max_shard_bytes // (row * chunk_checkpoints)) if whole else 1
        )
        return cls(
            dtype=dtype,
            shape=shape,
            shard=(shard_members, shard_checkpoints, params),
            chunk=(chunk_members, chunk_checkpoints, params),
        )

    @classmethod
    def design_published(cls, shape: Triple, dtype: Literal["float32", "float16"]) -> Self:
        """Choose shards of at most 64 MiB and chunks of at most 256 KiB, each at least one state, for all kinds of use.

        A chunk spans about as many members as checkpoints, so that one member at all checkpoints and all members at one
        checkpoint both cost a small part of the whole. A shard holds all checkpoints of as many members as fit; where
        those of one row of chunks do not fit, fewer checkpoints.
        """
        members, checkpoints, params = shape
        state = params * np.dtype(dtype).itemsize
        states = max(1, MAX_PUBLISHED_CHUNK_BYTES // state)
        chunk_checkpoints = _even(checkpoints, math.isqrt(states))
        chunk_members = _even(members, states // chunk_checkpoints)
        chunk = chunk_members * chunk_checkpoints * state
        rows, columns = math.ceil(members / chunk_members), math.ceil(checkpoints / chunk_checkpoints)
        along_checkpoints = _even(columns, MAX_SHARD_BYTES // chunk)
        along_members = _even(rows, MAX_SHARD_BYTES // (chunk * columns)) if along_checkpoints == columns else 1
        return cls(
            dtype=dtype,
            shape=shape,
            shard=(chunk_members * along_members, chunk_checkpoints * along_checkpoints, params),
            chunk=(chunk_members, chunk_checkpoints, params),
        )

    @property
    def little_endian(self) -> np.dtype[Any]:
        """The type of the stored numbers."""
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def chunks_per_shard(self) -> tuple[int, int]:
        """Chunks of a shard along members and checkpoints."""
        return self.shard[0] // self.chunk[0], self.shard[1] // self.chunk[1]

    @property
    def chunk_bytes(self) -> int:
        """Size of a stored chunk, crc included."""
        return math.prod(self.chunk) * np.dtype(self.dtype).itemsize + CRC_BYTES

    @property
    def index_bytes(self) -> int:
        """Size of the index at the end of a shard: offset and length of each chunk, and a crc."""
        return 16 * math.prod(self.chunks_per_shard) + CRC_BYTES

    def shard_key(self, member: int, checkpoint: int) -> str:
        """Key below the array of the shard that holds a state."""
        return f"c/{member // self.shard[0]}/{checkpoint // self.shard[1]}/0"


def _even(total: int, most: int) -> int:
    """The size of equal parts of ``total`` that are at most ``most`` (and at least one) long."""
    most = min(max(most, 1), total)
    return math.ceil(total / math.ceil(total / most))


def array_metadata(grid: Grid, attributes: dict[str, Any]) -> bytes:
    """The ``zarr.json`` of an array, written by zarr itself."""
    from zarr.storage import MemoryStore

    objects: dict[str, Any] = {}
    make_array(MemoryStore(objects), None, grid, ("member", "checkpoint", "param"), attributes)
    return bytes(objects["zarr.json"].to_bytes())


def make_array(
    store: Store, name: str | None, grid: Grid, dimensions: tuple[str, str, str], attributes: dict[str, Any]
) -> None:
    """Create an array of weights without data in a Zarr store, at its root where it has no name."""
    import zarr
    from zarr.codecs import BytesCodec

    zarr.create_array(
        store,
        name=name,
        shape=grid.shape,
        shards=grid.shard,
        chunks=grid.chunk,
        dtype=grid.dtype,
        serializer=BytesCodec(endian="little"),
        compressors=[{"name": "crc32c"}],
        fill_value=math.nan,
        dimension_names=dimensions,
        attributes=attributes,
    )


def encode_shards(grid: Grid, first: int, block: Floats) -> Iterator[tuple[str, memoryview]]:
    """Encode ``block`` ``[all members, k, params]``, the checkpoints from ``first`` on, into whole shards.

    Yields key and bytes of each shard. Where the array ends inside a chunk the rest is NaN; chunks beyond its end are
    written too, so that all shards are alike.
    """
    for start in range(0, grid.shape[0], grid.shard[0]):
        yield grid.shard_key(start, first), encode_shard(grid, block[start : start + grid.shard[0]])


def encode_shard(grid: Grid, block: Floats) -> memoryview:
    """Encode a block that is at most one shard: chunks in row-major order, each with its crc, then the index.

    The index has offset and length of each chunk, and a crc. What the block does not fill is NaN.
    """
    along_members, along_checkpoints = grid.chunks_per_shard
    count = along_members * along_checkpoints
    shard = np.empty(count * grid.chunk_bytes + grid.index_bytes, dtype=np.uint8)
    rows = shard[: count * grid.chunk_bytes].reshape(along_members, along_checkpoints, grid.chunk_bytes)
    for row, column in np.ndindex(along_members, along_checkpoints):
        members, checkpoints = row * grid.chunk[0], column * grid.chunk[1]
        part = block[members : members + grid.chunk[0], checkpoints : checkpoints + grid.chunk[1]]
        chunk = rows[row, column, :-CRC_BYTES].view(grid.little_endian).reshape(grid.chunk)
        if part.shape != grid.chunk:
            chunk[:] = np.nan
        chunk[: part.shape[0], : part.shape[1]] = part
        seal(rows[row, column])
    index = shard[count * grid.chunk_bytes :]
    offsets = np.arange(count, dtype=np.uint64) * np.uint64(grid.chunk_bytes)
    index[:-CRC_BYTES].view("<u8").reshape(count, 2)[:] = np.stack(
        [offsets, np.full_like(offsets, grid.chunk_bytes)], 1
    )
    seal(index)
    return shard.data


def decode_index(data: Bytes, grid: Grid, name: str) -> np.ndarray[Any, Any]:
    """Offsets ``[chunks along members, chunks along checkpoints]`` from the last ``grid.index_bytes`` of a shard.

    Raises:
        DamagedZooError: the index fails its crc or a chunk is not where it can be.
    """
    body = _checked(data, grid.index_bytes, f"the index of {name}")
    index = body.view("<u8").reshape(*grid.chunks_per_shard, 2)
    if not (index[..., 1] == grid.chunk_bytes).all():
        raise DamagedZooError(f"{name} lacks a chunk or holds one of a wrong size: run geozoo verify and restore it.")
    return index[..., 0].astype(np.int64)


def decode_chunk(data: Bytes, grid: Grid, name: str) -> np.ndarray[Any, Any]:
    """A chunk ``grid.chunk`` from its bytes.

    Raises:
        DamagedZooError: it is cut short or fails its crc.
    """
    body = _checked(data, grid.chunk_bytes, f"a chunk of {name}")
    return body.view(grid.little_endian).reshape(grid.chunk)


def _checked(data: Bytes, size: int, what: str) -> np.ndarray[Any, Any]:
    """The bytes before a correct crc32c at the end of ``data``, as ``uint8``."""
    body = sealed_body(data, size)
    if body is None:
        raise DamagedZooError(
            f"{what} is damaged: it is cut short or fails its checksum; run geozoo verify and restore it."
        )
    return body
