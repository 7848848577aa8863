"""What is kept of a tile when its pixels are gone: a few hundred bytes for comparing it with all others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from geozoo.eo.check.dark import OFFSET_DARK, dark_minimum
from geozoo.eo.check.metadata import PRODUCT_TYPES, check_crs, offset_asked
from geozoo.eo.check.near import fingerprint
from geozoo.eo.check.opened import majority
from geozoo.eo.check.order import cirrus_is_darkest, looks_exchanged

if TYPE_CHECKING:
    from geozoo.eo.check.opened import OpenedFile, OpenedTile


@dataclass(frozen=True, slots=True)
class RasterFacts:
    """Facts of one modality of a tile; None where they do not count or its own check has already found them wrong.

    Attributes:
        modality: of the tile.
        file: the first of the raster.
        bands: all of its names.
        dtype: where it can hold the product's numbers.
        reference: ``none``, ``geographic`` or ``projected``.
        pixel: height of the finest pixel in units of the CRS; in degrees its width depends on the latitude.
        offset_left: what the metadata ask to be added still; 0 where numbers are as they should be.
        digest: of all pixel bytes; None for masks and for rasters that hold one value everywhere.
        impression: where the statistical checks are asked for.
    """

    modality: str
    file: str
    bands: str
    dtype: str | None
    reference: str | None
    pixel: float | None
    offset_left: int | None
    digest: bytes | None
    impression: Impression | None = None


@dataclass(frozen=True, slots=True)
class Impression:
    """How the pixels of one modality look, for the statistical checks across tiles; None where that is not decidable.

    Attributes:
        carries_offset: of Sentinel-2: whether the offset of 1000 seems to be in the numbers after the reader's own.
        exchanged: of Sentinel-2: for each of `geozoo.eo.check.order.PAIRS`, whether its bands look exchanged.
        cirrus_is_darkest: of Sentinel-2 with B10.
        fingerprint: for near-duplicates.
    """

    carries_offset: bool | None = None
    exchanged: tuple[bool, ...] | None = None
    cirrus_is_darkest: bool | None = None
    fingerprint: bytes | None = None


@dataclass(frozen=True, slots=True)
class TileFacts:
    """Facts of one tile.

    Attributes:
        tile: its id.
        split: the part of the data set that it is in.
        rasters: those that could be read.
        files: the first file of every modality that it has, readable or not.
    """

    tile: str
    split: str | None
    rasters: tuple[RasterFacts, ...]
    files: dict[str, str]


def facts_of(tile: OpenedTile, *, statistical: bool) -> TileFacts:
    """Reduce a tile to what the checks of the whole collection need."""
    one_crs = not any(True for _ in check_crs(tile))
    rasters = []
    for modality, raster in tile.tile.rasters.items():
        files = [file for file in tile.files if file.modality == modality and file.bands]
        if files:
            facts = _facts(modality, files, " ".join(raster.bands), one_crs)
            rasters.append(replace(facts, impression=_impression(tile, modality)) if statistical else facts)
    there = {modality: str(raster.files[0]) for modality, raster in tile.tile.rasters.items()}
    return TileFacts(tile.tile.id, tile.tile.split, tuple(rasters), there)


def _facts(modality: str, files: list[OpenedFile], bands: str, one_crs: bool) -> RasterFacts:
    finest = max(files, key=lambda file: file.header.shape)
    dtype = majority([str(file.pixels.dtype) for file in files])
    types = PRODUCT_TYPES.get(finest.sensor, () if dtype.startswith("float") else (dtype,))
    return RasterFacts(
        modality=modality,
        file=str(files[0].file),
        bands=bands,
        dtype=dtype if dtype in types else None,
        reference=_reference(finest) if one_crs else None,
        pixel=abs(finest.header.transform.e) if finest.header.transform else None,
        offset_left=_offset_left(finest),
        digest=_digest(files),
    )


def _reference(file: OpenedFile) -> str:
    if file.header.crs is None:
        return "none"
    return "geographic" if file.header.crs.is_geographic else "projected"


def _offset_left(file: OpenedFile) -> int | None:
    if file.sensor not in ("s2l1c", "s2l2a"):
        return None
    asked, _ = offset_asked(file)
    return None if asked is None else asked - file.raster.offset


def _digest(files: list[OpenedFile]) -> bytes | None:
    if files[0].sensor == "labels" or all((file.pixels == file.pixels.flat[0]).all() for file in files):
        return None
    hashed = hashlib.blake2b(digest_size=16)
    for file in files:
        hashed.update(f"{file.pixels.shape}{file.pixels.dtype}".encode())
        hashed.update(np.ascontiguousarray(file.pixels).tobytes())
    return hashed.digest()


def _impression(tile: OpenedTile, modality: str) -> Impression:
    sensor = tile.tile.rasters[modality].sensor
    stack = tile.stack(modality) if sensor != "labels" else None
    printed = None if stack is None else fingerprint(stack)
    if modality not in tile.sentinel2():
        return Impression(fingerprint=printed)
    bands = tile.bands(modality)
    return Impression(_carries_offset(tile, modality), looks_exchanged(bands), cirrus_is_darkest(bands), printed)


def _carries_offset(tile: OpenedTile, modality: str) -> bool | None:
    lowest = dark_minimum(tile.bands(modality))
    after = None if lowest is None else lowest + tile.tile.rasters[modality].offset
    return None if after is None or after > OFFSET_DARK[1] else after >= OFFSET_DARK[0]
