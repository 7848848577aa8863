"""The pixels of one modality: Zarr v3 ``[chip, band, y, x]``, sharded by parts, each chip one uncompressed chunk.

A chip is the unit of reading: its bytes lie together with a crc32c at a place that the grid alone tells, so it is read
with one request and without zarr. Zarr itself reads the same array.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from geozoo.errors import DamagedZooError
from geozoo.store.checksums import CRC_BYTES, seal, sealed_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geozoo.store import Location

_MISSING = np.uint64(2**64 - 1)
"""Offset and length in the index of a shard of a chunk that is not there, by the Zarr specification."""


class ChipArray(BaseModel):
    """How the chips of a modality are stored.

    Attributes:
        sensor: a name in `geozoo.eo.bands.SENSORS`.
        bands: names, in the order of the second axis.
        dtype: of the pixels, as numpy names it.
        count: chips.
        size: side of a chip in pixels.
        part: chips of a shard.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensor: str
    bands: tuple[str, ...]
    dtype: str
    count: int
    size: int
    part: int

    @property
    def chip_shape(self) -> tuple[int, int, int]:
        """Bands, height and width of a chip."""
        return len(self.bands), self.size, self.size

    @property
    def little_endian(self) -> np.dtype[Any]:
        """The type of the stored numbers."""
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def chunk_bytes(self) -> int:
        """Size of a stored chip with its crc."""
        return math.prod(self.chip_shape) * self.little_endian.itemsize + CRC_BYTES

    def metadata(self) -> bytes:
        """The ``zarr.json`` of the array, written by zarr itself."""
        import zarr
        from zarr.codecs import BytesCodec
        from zarr.storage import MemoryStore

        objects: dict[str, Any] = {}
        zarr.create_array(
            MemoryStore(objects),
            shape=(self.count, *self.chip_shape),
            shards=(self.part, *self.chip_shape),
            chunks=(1, *self.chip_shape),
            dtype=self.dtype,
            serializer=BytesCodec(endian="little"),
            compressors=[{"name": "crc32c"}],
            fill_value=0,
            dimension_names=("chip", "band", "y", "x"),
            attributes={"sensor": self.sensor, "bands": list(self.bands)},
        )
        return bytes(objects["zarr.json"].to_bytes())

    def encode(self, chips: NDArray[Any]) -> memoryview:
        """A whole shard from its chips ``[n, bands, y, x]``, n at most ``part``; what is missing has no bytes."""
        count = len(chips)
        shard = np.empty(count * self.chunk_bytes + 16 * self.part + CRC_BYTES, np.uint8)
        rows = shard[: count * self.chunk_bytes].reshape(count, self.chunk_bytes)
        for row, chip in zip(rows, chips, strict=True):
            row[:-CRC_BYTES].view(self.little_endian)[:] = chip.ravel()
            seal(row)
        index = np.full((self.part, 2), _MISSING, "<u8")
        index[:count, 0] = np.arange(count, dtype=np.uint64) * np.uint64(self.chunk_bytes)
        index[:count, 1] = self.chunk_bytes
        tail = shard[count * self.chunk_bytes :]
        tail[:-CRC_BYTES] = index.view(np.uint8).ravel()
        seal(tail)
        return shard.data

    def read(self, location: Location, folder: str, rows: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        """Chips ``[n, bands, y, x]``.

        Raises:
            DamagedZooError: the bytes of a chip are missing or fail their checksum.
        """
        from geozoo.store.concurrency import concurrently

        chips = np.empty((len(rows), *self.chip_shape), self.little_endian)
        places = list(enumerate(int(row) for row in rows))

        def fetch(some: list[tuple[int, int]]) -> None:
            buffer = bytearray(self.chunk_bytes)
            for place, row in some:
                name = f"{folder}/c/{row // self.part}/0/0/0"
                body = None
                try:
                    location.read_into(name, row % self.part * self.chunk_bytes, memoryview(buffer))
                    body = sealed_body(buffer, self.chunk_bytes)
                except FileNotFoundError:
                    pass
                if body is None:
                    raise DamagedZooError(
                        f"chip {row} in {location.url}/{name} is missing or fails its checksum: ingest again elsewhere."
                    )
                chips[place] = body.view(self.little_endian).reshape(self.chip_shape)

        step = -(-len(places) // _READERS)
        concurrently(fetch, [places[start : start + step] for start in range(0, len(places), max(step, 1))])
        return chips


_READERS = 4
"""Lists that the chips of one call are spread over, read side by side."""
