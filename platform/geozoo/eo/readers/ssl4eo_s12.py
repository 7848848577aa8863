"""SSL4EO-S12 (Wang et al., 2023): 251,079 places in four seasons, Sentinel-1 GRD with Sentinel-2 L1C and L2A."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from geozoo.eo.bands import SENTINEL1, SENTINEL2_L1C, SENTINEL2_L2A
from geozoo.eo.files import BandFile
from geozoo.eo.readers.record import ReaderRecord
from geozoo.eo.tiles import Collection, Raster, Tile
from geozoo.errors import DataCorruptError, DataNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = {"s1": ("s1", SENTINEL1), "s2c": ("s2l1c", SENTINEL2_L1C), "s2a": ("s2l2a", SENTINEL2_L2A)}
"""Sensor and bands of each folder: 13 bands of Level-1C, 12 of Level-2A (TorchGeo's table has the counts swapped)."""


def find_ssl4eo_s12(path: Path) -> Collection:
    """Tiles of ``s1/0000002/<product>/VV.tif``, ``s2c/0000002/<product>/B1.tif`` and ``s2a/...``, those that are there.

    The scene is the place, the folder of seven digits. Its products are paired by date: the makers took all sensors in
    the same four windows of the year, so that the first of each sensor belong together (their names alone do not sort
    by date for Sentinel-1). A tile's date is that of its Sentinel-2 product where it has one. Coarser bands may have
    fewer pixels.

    Raises:
        DataNotFoundError: no place is there.
        DataCorruptError: a place has more products of one sensor than of another, or one without a date.
    """
    places = {source: _places(path / source) for source in SOURCES}
    tiles = [
        tile
        for place in sorted(set().union(*places.values()))
        for tile in _seasons(place, {source: there[place] for source, there in places.items() if place in there})
    ]
    if not tiles:
        raise DataNotFoundError(f"{path} has no products: expected files such as s2c/0000002/<product>/B1.tif")
    return Collection("ssl4eo_s12", tuple(tiles))


def _seasons(place: str, folders: dict[str, Path]) -> list[Tile]:
    products = {source: _products(folder) for source, folder in folders.items()}
    if len({len(found) for found in products.values()}) > 1:
        counts = ", ".join(f"{len(found)} of {source}" for source, found in products.items())
        raise DataCorruptError(f"place {place} has unequal numbers of products ({counts}): fetch it again")
    tiles = []
    for season, paired in enumerate(zip(*products.values(), strict=True)):
        rasters = {source: _raster(source, folder) for source, (_, folder) in zip(products, paired, strict=True)}
        date = paired[-1][0]
        tiles.append(Tile(f"{place}_{season}", rasters, place, date=f"{date[:4]}-{date[4:6]}-{date[6:]}"))
    return tiles


def _products(folder: Path) -> list[tuple[str, Path]]:
    dated = []
    for product in folder.iterdir():
        if product.is_dir():
            date = re.search(r"(\d{8})T\d{6}", product.name)
            if date is None:
                raise DataCorruptError(f"{product} has no date in its name: it is no product of SSL4EO-S12")
            dated.append((date[1], product))
    return sorted(dated)


def _raster(source: str, folder: Path) -> Raster:
    sensor, bands = SOURCES[source]
    files = tuple(BandFile(str(folder / f"{band.replace('B0', 'B')}.tif")) for band in bands)
    return Raster(sensor, bands, files)


def _places(folder: Path) -> dict[str, Path]:
    there = folder.iterdir() if folder.is_dir() else ()
    return {place.name: place for place in there if re.fullmatch(r"\d{7}", place.name)}


def _fits(path: Path) -> bool:
    folders = [path / source for source in SOURCES if (path / source).is_dir()]
    return any(re.fullmatch(r"\d{7}", inside.name) for folder in folders for inside in islice(folder.iterdir(), 10))


SSL4EO_S12 = ReaderRecord("ssl4eo_s12", "SSL4EO-S12: s1, s2c and s2a folders of places", _fits, find_ssl4eo_s12)
