"""Cutting: the chips of a tile that begin in one row, their pixels and what the index says of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.chips.footprint import footprints
from geozoo.eo.chips.plan import MASK, chip_grid, reference_raster
from geozoo.eo.files import opened
from geozoo.eo.labels import majority_class, multilabels, recode_mask
from geozoo.eo.tiles import IGNORE, Window, add_offset, read_raster, source_grid, valid_pixels
from geozoo.eo.warp import inside, same_ground
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geozoo.eo.chips.header import ChipHeader
    from geozoo.eo.tiles import Grid, Raster, Tile


@dataclass(frozen=True)
class Strip:
    """Chips of one tile whose first pixels lie in one row, so that they are read together.

    Attributes:
        pixels: by modality, ``[chips, bands, size, size]``.
        facts: the row of the index of each chip, but for its name.
    """

    pixels: dict[str, NDArray[Any]]
    facts: list[dict[str, Any]]


def cut_strip(header: ChipHeader, tile: Tile, row: int, columns: Sequence[int]) -> Strip:
    """Read a strip of a tile once and cut it; ``row`` and ``columns`` are those of the first pixels of the chips.

    Raises:
        DataNotFoundError, DataCorruptError: a file cannot be read, or its numbers are of another type than the first
            tile's.
    """
    size = header.size
    grid = chip_grid(reference_raster(tile), header.onto)
    window = Window(row, min(columns), size, max(columns) - min(columns) + size)
    whole: dict[str, NDArray[Any]] = {}
    valid = np.ones((size, window.width), bool)
    for modality, array in header.arrays.items():
        if modality == MASK:
            whole[modality] = read_classes(tile, window, grid)
            continue
        raster = tile.rasters[modality]
        whole[modality], measured = read_measured(raster, array.bands, window, grid)
        valid &= measured
        if whole[modality].dtype != np.dtype(array.dtype):
            raise DataCorruptError(
                f"{raster.files[0]} holds {whole[modality].dtype}, the first tile {array.dtype}: bring all files to "
                "one type (geozoo eo check finds them)"
            )
    parts = [slice(column - window.column, column - window.column + size) for column in columns]
    pixels = {name: np.stack([strip[:, :, part] for part in parts]) for name, strip in whole.items()}
    ground = footprints(grid, [Window(row, column, size, size) for column in columns])
    facts = [
        {
            **_facts(tile),
            "row": row,
            "column": column,
            "valid": float(valid[:, part].mean()),
            **classes_of(tile, whole[MASK][:, :, part] if MASK in whole else None),
            **lies,
        }
        for column, part, lies in zip(columns, parts, ground, strict=True)
    ]
    return Strip(pixels, facts)


def _facts(tile: Tile) -> dict[str, Any]:
    baselines = [raster.baseline for raster in tile.rasters.values() if raster.baseline]
    return {
        "tile": tile.id,
        "scene": tile.scene,
        "split": tile.split,
        "date": tile.date,
        "baseline": baselines[0] if baselines else None,
    }


def read_measured(
    raster: Raster, bands: Sequence[str], window: Window, grid: Grid
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels ``[bands, height, width]`` of a window of ``grid``, and where all bands were measured.

    Not measured is what is not finite, what the sensor or a file calls nodata, and what no file covers.
    """
    stored = read_raster(replace(raster, offset=0), bands, window, grid=grid)
    valid = valid_pixels(stored, raster.nodata)
    files = [raster.files[raster.bands.index(band)] for band in bands]
    for file in {(file.path, file.row): file for file in files}.values():
        with opened(file) as source:
            own, declared = source_grid(source), source.nodata
        if declared not in (None, raster.nodata):
            valid &= (stored != declared).all(axis=0)
        if not same_ground(own, grid):
            valid &= inside(own, grid, window)
    return add_offset(stored, raster), valid


def read_classes(tile: Tile, window: Window, grid: Grid) -> NDArray[np.uint8]:
    """Class numbers ``[1, height, width]`` of a tile's mask, `IGNORE` where a pixel counts for nothing.

    Raises:
        DataCorruptError: without a recode table a code does not fit into a byte.
    """
    raster = tile.rasters[MASK]
    classes = recode_mask(read_raster(raster, raster.bands[:1], window, grid=grid, categorical=True), tile.recode)
    if classes.min() < 0 or classes.max() > IGNORE:
        code = int(classes.min() if classes.min() < 0 else classes.max())
        raise DataCorruptError(
            f"{raster.files[0]} has the class code {code}: codes go from 0 to {IGNORE}, so list its classes in a "
            "geozoo.yaml"
        )
    return classes.astype(np.uint8)


def classes_of(tile: Tile, mask: NDArray[np.uint8] | None) -> dict[str, Any]:
    """``label`` (one class, or None) and ``labels`` of a chip: its tile's own, or else those of its own ``mask``."""
    if tile.labels or mask is None:
        return {"label": tile.labels[0] if len(tile.labels) == 1 else None, "labels": list(tile.labels)}
    most = majority_class(mask)
    return {"label": None if most == IGNORE else most, "labels": list(multilabels(mask))}
