"""Copies of the real Earth-observation tiles under GEOZOO_DATA as collections that tests may damage."""

from __future__ import annotations

import json
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from geozoo.eo.bands import SENTINEL1, SENTINEL2_L1C, SENTINEL2_L2A
from geozoo.eo.readers import find_collection
from geozoo.eo.tiles import BandFile, Collection, Raster, Tile
from tests.support.tiles import real

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("terramind_s1s2", "eurosat_ms", "bigearthnet_mm", "s2_scenes")
LAND_COVER = ("no data", "water", "trees", "flooded", "crops", "built", "bare", "snow", "clouds", "rangeland")

needs_tiles = pytest.mark.skipif(
    not all(real(name).is_dir() for name in NAMES),
    reason=f"needs real tiles: set GEOZOO_DATA to a folder with {', '.join(NAMES)}",
)


def copy_collection(name: str, folder: Path) -> Collection:
    """A collection over a copy of one of `NAMES` below ``folder``."""
    place = folder / name
    if name == "bigearthnet_mm":
        for archive in sorted(real(name).glob("*.tar.bz2")):
            with tarfile.open(archive) as packed:
                packed.extractall(place, filter="data")
    else:
        shutil.copytree(real(name), place)
    if name == "terramind_s1s2":
        return _terramind(place)
    if name == "bigearthnet_mm":
        return _bigearthnet(place)
    if name == "s2_scenes":
        files = sorted(place.glob("*.tif"))
        tiles = [Tile(file.stem, {"s2": Raster.of_file("s2l2a", file, SENTINEL2_L2A)}, "Boadella") for file in files]
        return Collection(name, tuple(tiles))
    return find_collection(place, "eurosat")


def _terramind(place: Path) -> Collection:
    tiles = []
    for file in sorted((place / "S1RTC").glob("*.tif")):
        rasters = {
            "s1": Raster.of_file("s1", file, SENTINEL1),
            "s2": Raster.of_file("s2l1c", place / "S2L1C" / file.name, SENTINEL2_L1C),
            "s2l2a": Raster.of_file("s2l2a", place / "S2L2A" / file.name, SENTINEL2_L2A),
            "rgb": Raster.of_file("rgb", place / "S2RGB" / file.name, ("R", "G", "B")),
            "mask": Raster.of_file("labels", place / "LULC" / file.name, ("label",)),
        }
        tiles.append(Tile(file.stem, rasters, file.stem))
    return Collection("terramind_s1s2", tuple(tiles), LAND_COVER)


def _bigearthnet(place: Path) -> Collection:
    tiles = []
    for pair in json.loads((real("bigearthnet_mm") / "pairs.json").read_text()):
        rasters = {}
        for modality, sensor, bands, root in (
            ("s1", "s1", SENTINEL1, "BigEarthNet-S1-Example"),
            ("s2", "s2l2a", SENTINEL2_L2A, "BigEarthNet-S2-Example"),
        ):
            patch = pair[modality]
            files = tuple(BandFile(str(place / root / patch / f"{patch}_{band}.tif")) for band in bands)
            rasters[modality] = Raster(sensor, bands, files)
        tiles.append(Tile(pair["s2"], rasters, pair["s2"].rsplit("_", 2)[0]))
    return Collection("bigearthnet_mm", tuple(tiles))
