"""Which chips a collection is cut into: a table that depends on its tiles and the sizes alone, fixed at creation."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.bands import select_bands
from geozoo.eo.chips.array import ChipArray
from geozoo.eo.tiles import grid_of, read_raster
from geozoo.errors import BandError, InputError
from geozoo.store.concurrency import concurrently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    from geozoo.eo.tiles import Collection, Tile

MAX_SHARD_BYTES = 32 * 2**20
MAX_PART = 1024
MASK = "mask"


def plan_chips(
    collection: Collection, size: int, stride: int, on_tile: Callable[[], object] = lambda: None
) -> pd.DataFrame:
    """One row per chip: ``chip``, ``tile`` (its number), ``id``, ``row`` and ``column`` of its first pixel.

    Chips lie on a grid from the upper left corner of each tile, wholly inside it; what is left at the right and lower
    edges is not used.

    Raises:
        InputError: a tile is smaller than a chip.
        DataNotFoundError, DataCorruptError: a tile cannot be opened.
    """
    import pandas as pd

    def corners(numbered: tuple[int, Tile]) -> list[tuple[int, str, int, int]]:
        number, tile = numbered
        grid = grid_of(reference_raster(tile))
        on_tile()
        if min(grid.height, grid.width) < size:
            raise InputError(
                f"tile {tile.id} has {grid.height}x{grid.width} pixels, less than a chip of {size}: choose a --size of "
                f"at most {min(grid.height, grid.width)}"
            )
        downs, rights = range(0, grid.height - size + 1, stride), range(0, grid.width - size + 1, stride)
        return [(number, f"{tile.id}@{down},{right}", down, right) for down in downs for right in rights]

    rows = [row for found in concurrently(corners, enumerate(collection.tiles)) for row in found]
    table = pd.DataFrame(rows, columns=["tile", "id", "row", "column"])
    table.insert(0, "chip", np.arange(len(table)))
    return table


def reference_raster(tile: Tile) -> Any:
    """The raster whose grid the chips of a tile follow: the first that is no mask."""
    return next((raster for name, raster in tile.rasters.items() if name != MASK), None) or tile.rasters[MASK]


def design_arrays(
    collection: Collection, count: int, size: int, bands: Mapping[str, tuple[str, ...]]
) -> dict[str, ChipArray]:
    """The array of every modality, from the first tile; all have the same chips per shard.

    Args:
        collection: what is ingested.
        count: chips.
        size: side of a chip.
        bands: names to keep, for the modalities that are not kept whole.

    Raises:
        BandError: a band or modality is not there.
    """
    first = collection.tiles[0]
    if unknown := sorted(bands.keys() - first.rasters.keys()):
        raise BandError(f"there is no modality {unknown[0]!r}: the tiles have {', '.join(first.rasters)}")
    kept: dict[str, tuple[str, tuple[str, ...], str]] = {}
    for name, raster in first.rasters.items():
        names = bands.get(name, raster.bands)
        select_bands(raster.bands, names, str(raster.files[0]))
        dtype = "uint8" if name == MASK else str(read_raster(raster, names[:1]).dtype)
        kept[name] = (raster.sensor, names, dtype)
    largest = max(len(names) * size * size * np.dtype(dtype).itemsize for _, names, dtype in kept.values())
    part = max(1, min(MAX_PART, count, MAX_SHARD_BYTES // largest))
    return {
        name: ChipArray(sensor=sensor, bands=names, dtype=dtype, count=count, size=size, part=part)
        for name, (sensor, names, dtype) in kept.items()
    }


def digest_plan(collection: Collection, table: pd.DataFrame, arrays: Iterable[ChipArray]) -> str:
    """SHA-256 over what is cut and how, so that another plan is not taken for a continued one; no path is in it."""
    digest = hashlib.sha256()
    for tile in collection.tiles:
        digest.update(f"{tile.id}|{tile.scene}|{tile.labels}|{tile.split}|{tile.date}|{tile.recode}\n".encode())
    digest.update(table[["tile", "row", "column"]].to_numpy().astype("<i8").tobytes())
    for array in arrays:
        digest.update(array.model_dump_json().encode())
    return digest.hexdigest()
