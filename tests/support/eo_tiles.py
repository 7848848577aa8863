"""A small clean tile of every kind of raster, to put one fault into at a time."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.errors import NotGeoreferencedWarning

from geozoo.eo.bands import SENTINEL1, SENTINEL2_L1C
from geozoo.eo.check import Finding, Undecided
from geozoo.eo.check.opened import open_tile
from geozoo.eo.tiles import Collection, Raster, Tile
from tests.support.tiles import write_raster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from geozoo.eo.check.opened import OpenedTile

SIZE = 12
CLASSES = ("water", "forest", "field", "town")


def draw_pixels(seed: int = 0, size: int = SIZE) -> dict[str, Any]:
    """Sentinel-1, Sentinel-2 L1C and a mask, none with a fault."""
    rng = np.random.default_rng(seed)
    return {
        "s1": rng.normal(-12, 3, (2, size, size)).astype("float32"),
        "s2": rng.integers(100, 3000, (13, size, size)).astype("uint16"),
        "mask": rng.integers(0, len(CLASSES), (1, size, size)).astype("uint8"),
    }


def write_tile(
    folder: Path, name: str = "a", pixels: dict[str, Any] | None = None, split: str | None = None, **options: Any
) -> Tile:
    """A tile whose rasters are written with ``options`` of `write_raster`, or ``options[modality]`` for one."""
    pixels = draw_pixels() if pixels is None else pixels
    common = {key: value for key, value in options.items() if key not in pixels}
    bands = {"s1": SENTINEL1, "s2": SENTINEL2_L1C, "mask": ("label",)}
    sensors = {"s1": "s1", "s2": "s2l1c", "mask": "labels"}
    rasters = {}
    for modality, values in pixels.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            file = write_raster(folder / modality / f"{name}.tif", values, **common | options.get(modality, {}))
        rasters[modality] = Raster.of_file(sensors[modality], file, bands[modality])
    return Tile(name, rasters, name, split=split)


def collection_of(*tiles: Tile) -> Collection:
    return Collection("tiles", tiles, CLASSES)


def findings(check: Callable[[OpenedTile], Iterable[Finding | Undecided]], tile: Tile) -> list[Finding]:
    """What one check finds in a tile."""
    return [said for said in check(open_tile(tile, len(CLASSES))) if isinstance(said, Finding)]


def undecided(check: Callable[[OpenedTile], Iterable[Finding | Undecided]], tile: Tile) -> list[str]:
    """Why one check cannot decide."""
    return [said.reason for said in check(open_tile(tile, len(CLASSES))) if isinstance(said, Undecided)]
