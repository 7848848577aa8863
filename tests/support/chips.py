"""Small chip stores of co-located Sentinel-1 and Sentinel-2 chips with classes that can be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.bands import SENTINEL1, SENTINEL2_L1C
from geozoo.eo.chips import open_chips
from geozoo.eo.chips.ingest import begin_ingest, cut_parts, finish_ingest
from geozoo.eo.tiles import Collection, Raster, Tile
from tests.support.tiles import write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.chips import Chips

SIZE = 16
CLASSES = ("dark", "middle", "bright")
LEVELS = (400, 1500, 3000)


def make_collection(folder: Path, scenes: int = 12, per_scene: int = 2, *, multi: bool = False) -> Collection:
    """Tiles whose brightness tells their class; band ``B04`` holds the number of the tile."""
    generator = np.random.default_rng(0)
    tiles = []
    for number in range(scenes * per_scene):
        scene, label = number // per_scene, number // per_scene % len(CLASSES)
        place = {"corner": (500_000.0 + 10 * SIZE * number, 5_300_000.0)}
        optical = generator.normal(LEVELS[label], 60, (13, SIZE, SIZE)).clip(1, 10_000).astype("uint16")
        optical[SENTINEL2_L1C.index("B04")] = number + 1
        radar = generator.normal(-20 + 5 * label, 1, (2, SIZE, SIZE)).astype("float32")
        name = f"tile{number:03d}"
        write_raster(folder / "s2" / f"{name}.tif", optical, **place)
        write_raster(folder / "s1" / f"{name}.tif", radar, **place)
        rasters = {
            "s1": Raster.of_file("s1", folder / "s1" / f"{name}.tif", SENTINEL1),
            "s2": Raster.of_file("s2l1c", folder / "s2" / f"{name}.tif", SENTINEL2_L1C),
        }
        labels = (label, (label + 1) % len(CLASSES)) if multi and number % 2 else (label,)
        tiles.append(Tile(name, rasters, scene=f"scene{scene:02d}", labels=labels))
    return Collection("little", tuple(tiles), CLASSES, multilabel=multi)


def make_chips(folder: Path, **facts: Any) -> Chips:
    """A finished store of them below a folder."""
    url = str(folder / "chips")
    for _ in cut_parts(begin_ingest(make_collection(folder / "tiles", **facts), url, SIZE)):
        pass
    finish_ingest(url)
    return open_chips(url)
