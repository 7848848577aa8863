"""Which chips a collection is cut into: a table that depends on its tiles and the sizes alone, fixed at creation."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import numpy as np

from geozoo.eo.bands import select_bands
from geozoo.eo.chips.array import ChipArray
from geozoo.eo.tiles import Window, grid_of, read_raster
from geozoo.eo.warp import grid_onto
from geozoo.errors import BandError, DataCorruptError, DataNotFoundError, InputError
from geozoo.store.concurrency import concurrently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    from geozoo.eo.chips.header import Onto
    from geozoo.eo.tiles import Collection, Grid, Raster, Tile

MAX_SHARD_BYTES = 32 * 2**20
MAX_PART = 1024
MASK = "mask"


def plan_chips(
    collection: Collection, size: int, stride: int, onto: Onto | None, on_tile: Callable[[], object] = lambda: None
) -> pd.DataFrame:
    """One row per chip: ``chip``, ``tile`` (its number), ``id``, ``row`` and ``column`` of its first pixel.

    Chips lie on a grid from the upper left corner of each tile, wholly inside it; what is left at the right and lower
    edges is not used.

    Raises:
        InputError: a tile is smaller than a chip, or has no place that could be brought to another grid.
        DataNotFoundError, DataCorruptError: a tile cannot be opened.
    """
    import pandas as pd

    def corners(numbered: tuple[int, Tile]) -> list[tuple[int, str, int, int]]:
        number, tile = numbered
        grid = chip_grid(reference_raster(tile), onto)
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


def reference_raster(tile: Tile) -> Raster:
    """The raster whose grid the chips of a tile follow: the first that is no mask."""
    return next((raster for name, raster in tile.rasters.items() if name != MASK), None) or tile.rasters[MASK]


def chip_grid(raster: Raster, onto: Onto | None) -> Grid:
    """The grid that chips are cut on: the raster's own, or the one asked for around it.

    Raises:
        InputError: the raster has no place on the ground.
    """
    own = grid_of(raster)
    if onto is None:
        return own
    if own.crs is None:
        raise InputError(
            f"{raster.files[0]} has no place on the ground, so it cannot be brought to {onto.crs}: leave out --crs"
        )
    return grid_onto(own, onto.crs, onto.resolution)


def choose_bands(collection: Collection, bands: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The bands to keep of every modality: those given, or else all of the first tile's; opens no file.

    Raises:
        InputError: there are no tiles.
        BandError: a band or modality is not there.
        DataCorruptError: a tile has other modalities or sensors than the first.
    """
    if not collection.tiles:
        raise InputError(f"collection {collection.name} has no tiles: give the folder of a data set")
    first = collection.tiles[0]
    if unknown := sorted(bands.keys() - first.rasters.keys()):
        raise BandError(f"there is no modality {unknown[0]!r}: the tiles have {', '.join(first.rasters)}")
    names = {modality: bands.get(modality, raster.bands) for modality, raster in first.rasters.items()}
    seen = set()
    for tile in collection.tiles:
        if tile.rasters.keys() != names.keys():
            raise DataCorruptError(
                f"tile {tile.id} has {', '.join(tile.rasters)} but tile {first.id} has {', '.join(names)}: "
                "ingest tiles of the same modalities, one store for each kind"
            )
        for modality, raster in tile.rasters.items():
            if raster.sensor != first.rasters[modality].sensor:
                raise DataCorruptError(
                    f"{modality} of tile {tile.id} is {raster.sensor}, that of tile {first.id} "
                    f"{first.rasters[modality].sensor}: ingest one store for each"
                )
            if (modality, raster.bands) not in seen:
                select_bands(raster.bands, names[modality], f"{modality} of tile {tile.id}")
                seen.add((modality, raster.bands))
    return names


def design_arrays(first: Tile, names: Mapping[str, tuple[str, ...]], count: int, size: int) -> dict[str, ChipArray]:
    """The array of every modality; all have the same chips per shard.

    Args:
        first: the tile whose types of numbers all have.
        names: bands by modality.
        count: chips.
        size: side of a chip.
    """
    dtypes = {
        modality: "uint8" if modality == MASK else str(read_raster(raster, names[modality], Window(0, 0, 1, 1)).dtype)
        for modality, raster in first.rasters.items()
    }
    largest = max(len(names[one]) * size * size * np.dtype(dtypes[one]).itemsize for one in names)
    part = max(1, min(MAX_PART, count, MAX_SHARD_BYTES // largest))
    return {
        modality: ChipArray(
            sensor=raster.sensor, bands=names[modality], dtype=dtypes[modality], count=count, size=size, part=part
        )
        for modality, raster in first.rasters.items()
    }


def digest_plan(
    collection: Collection, table: pd.DataFrame, arrays: Iterable[ChipArray], onto: Onto | None = None
) -> str:
    """SHA-256 over what is cut and how, so that another plan is not taken for a continued one.

    No path is in it, but the sizes of all files are: a source that was mended or replaced is another plan.
    """
    digest = hashlib.sha256(f"{onto}\n".encode())
    known: dict[str, int | None] = {}
    for tile in collection.tiles:
        rasters = [(name, one.sensor, one.bands, one.offset, one.baseline) for name, one in tile.rasters.items()]
        paths = dict.fromkeys(file.path for one in tile.rasters.values() for file in one.files)
        sizes = [known[path] if path in known else known.setdefault(path, _size(path)) for path in paths]
        about = (tile.id, tile.scene, tile.labels, tile.split, tile.date, tile.recode, rasters, sizes)
        digest.update(f"{about}\n".encode())
    digest.update(table[["tile", "row", "column"]].to_numpy().astype("<i8").tobytes())
    for array in arrays:
        digest.update(array.model_dump_json().encode())
    return digest.hexdigest()


def _size(path: str) -> int | None:
    """Bytes of a file; None for what only GDAL can open."""
    if path.startswith("/vsi"):
        return None
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        raise DataNotFoundError(f"{path} is missing: restore it, or remove what refers to it") from None
