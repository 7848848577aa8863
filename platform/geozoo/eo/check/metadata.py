"""Certain checks by what files say of themselves: bands, type, place, grid, offset."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from geozoo.eo.bands import BASELINE_OFFSET, band_name, find_sensor
from geozoo.eo.check.finding import Finding, Undecided
from geozoo.eo.check.opened import majority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.eo.check.opened import OpenedFile, OpenedTile

PRODUCT_TYPES = {
    "s1": ("float32", "float64"),
    "s2l1c": ("uint16", "int16", "uint32", "int32"),
    "s2l2a": ("uint16", "int16", "uint32", "int32"),
    "rgb": ("uint8",),
}
"""Types that hold a product's numbers as they are. Sentinel-2 is uint16; int16 is what published sets often ship."""

OFFSET_BASELINE = 4.0
"""Processing baseline from which numbers of Sentinel-2 carry the offset."""

FINEST_METRES = {
    **dict.fromkeys(("B02", "B03", "B04", "B08"), 10),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 20),
    **dict.fromkeys(("B01", "B09", "B10"), 60),
}
"""Ground sampling of each band of Sentinel-2, in metres."""

GRID_TOLERANCE = 0.1
"""Corners of the files of a tile may differ by this share of its finest pixel: writers round."""


def check_unreadable(tile: OpenedTile) -> Iterator[Finding]:
    """Files that are missing, truncated or no raster."""
    for file, bands, reason in tile.broken:
        value, _, remedy = reason.rpartition(": ")
        yield Finding("unreadable", "certain", tile.tile.id, file, bands, value, remedy)


def check_band_count(tile: OpenedTile) -> Iterator[Finding]:
    """Files with more or fewer bands than the format has; of a mask only that the band is there."""
    for file in tile.files:
        count, expected = file.header.count, max(len(file.named), *file.named)
        if count < expected or (count > expected and file.sensor != "labels"):
            yield _finding(
                "band_count",
                tile,
                file,
                f"{count} bands where {file.sensor} has {expected} here",
                "name the bands of the file, or give the product that has them",
            )


def check_band_order(tile: OpenedTile) -> Iterator[Finding | Undecided]:
    """Band descriptions that name another band than the one the reader takes it for."""
    files = tile.of_sensor("s1", "s2l1c", "s2l2a")
    said = [
        [_described_band(text, find_sensor(file.sensor).bands) for text in file.header.descriptions] for file in files
    ]
    if files and not any(name for names in said for name in names):
        yield Undecided("band_order", tile.tile.id, "no file names its bands")
    for file, names in zip(files, said, strict=True):
        for index, band in file.named.items():
            if index <= len(names) and (name := names[index - 1]) and name != band:
                value = f"band {index} says it is {name}"
                remedy = "read bands by these names, or correct the description"
                yield _finding("band_order", tile, file, value, remedy, band)


def check_dtype(tile: OpenedTile) -> Iterator[Finding]:
    """Types that cannot hold the product's numbers as they are, and files in another type than most of their raster."""
    remedy = "convert from the original, or say how the numbers were scaled"
    for modality in tile.tile.rasters:
        files = [file for file in tile.files if file.modality == modality and file.bands]
        found = [str(file.pixels.dtype) for file in files]
        for file, dtype in zip(files, found, strict=True):
            types = PRODUCT_TYPES.get(file.sensor, (dtype,))
            if dtype not in types:
                yield _finding("dtype", tile, file, f"{dtype} where the product has {types[0]}", remedy)
            elif dtype != majority(found):
                yield _finding("dtype", tile, file, f"{dtype} where its like have {majority(found)}", remedy)


def check_crs(tile: OpenedTile) -> Iterator[Finding]:
    """Files of a tile whose CRS is missing or another than that of most of its files."""
    names = [_crs_name(file) for file in tile.files]
    if len(set(names)) < 2:
        return
    usual = majority(names)
    for file, name in zip(tile.files, names, strict=True):
        if name != usual:
            value = f"CRS {name} while the tile's other files have {usual}"
            yield _finding("crs", tile, file, value, "reproject from the original, or write the CRS that is meant")


def check_grid(tile: OpenedTile) -> Iterator[Finding]:
    """Files that cover other ground than most of the tile's, and bands finer or coarser than their like.

    Bands that the product delivers at one sampling must have one shape, and the finest band of every modality too.
    """
    yield from _uneven_bounds(tile)
    finest = []
    for modality in tile.tile.rasters:
        own = [file for file in tile.files if file.modality == modality]
        if not own:
            continue
        ground = majority([file.header.shape[0] * _metres(file) for file in own])
        for metres in sorted({_metres(file) for file in own}):
            yield from _uneven_shapes(tile, [file for file in own if _metres(file) == metres], ground // metres)
        finest.append(max(own, key=lambda file: file.header.shape))
    yield from _uneven_shapes(tile, finest)


def check_offset(tile: OpenedTile) -> Iterator[Finding | Undecided]:
    """Sentinel-2 whose metadata ask for another offset than the one that is added."""
    files = tile.of_sensor("s2l1c", "s2l2a")
    asked = [offset_asked(file) for file in files]
    if any(offset is None for offset, _ in asked):
        yield Undecided("offset", tile.tile.id, "no metadata tell the processing baseline")
    for file, (offset, source) in zip(files, asked, strict=True):
        if offset is not None and offset != file.raster.offset:
            value = f"{source} asks for the offset {offset}, {file.raster.offset} is added"
            yield _finding("offset", tile, file, value, f"add {offset} to numbers that are not nodata")


def offset_asked(file: OpenedFile) -> tuple[int | None, str]:
    """The offset in digital numbers that the metadata ask for, and which metadata; None where nothing tells.

    In this order: ``RADIO_ADD_OFFSET`` or ``BOA_ADD_OFFSET`` in the tags, the processing baseline as the reader or the
    tags know it, and the offset that the file gives to physical values, as in cloud-optimised GeoTIFFs.
    """
    tags = file.header.tags
    for name, text in tags.items():
        if "ADD_OFFSET" in name.upper() and re.fullmatch(r"-?\d+(\.0*)?", text.strip()):
            return int(float(text)), f"{name} {text}"
    baseline = file.raster.baseline or tags.get("PROCESSING_BASELINE")
    if baseline is not None and re.fullmatch(r"\d+(\.\d+)?", baseline):
        return (BASELINE_OFFSET if float(baseline) >= OFFSET_BASELINE else 0), f"baseline {baseline}"
    scale, offset = file.header.scales[0], file.header.offsets[0]
    if scale not in (0, 1):
        return round(offset / scale), f"scale {scale:g} with offset {offset:g}"
    return None, ""


def _uneven_bounds(tile: OpenedTile) -> Iterator[Finding]:
    usual_crs = majority([_crs_name(file) for file in tile.files]) if tile.files else None
    placed = [file for file in tile.files if file.header.bounds and _crs_name(file) == usual_crs]
    if not placed:
        return
    pixel = min(_pixel_size(file) for file in placed)
    keys = [tuple(round(edge / pixel / GRID_TOLERANCE / 2) for edge in file.header.bounds or ()) for file in placed]
    usual = placed[keys.index(majority(keys))].header.bounds
    assert usual is not None
    for file in placed:
        assert file.header.bounds is not None
        off = max(abs(edge - other) for edge, other in zip(file.header.bounds, usual, strict=True)) / pixel
        if off > GRID_TOLERANCE:
            value = f"its corners lie up to {off:.1f} pixels from those of the tile's other files"
            yield _finding("grid", tile, file, value, "resample all to one grid")


def _uneven_shapes(tile: OpenedTile, files: list[OpenedFile], rows: int | None = None) -> Iterator[Finding]:
    """Files unlike most of them; where that is a tie, unlike those with ``rows``."""
    if not files:
        return
    counts = Counter(file.header.shape for file in files)
    usual = max(counts, key=lambda shape: (counts[shape], shape[0] == rows))
    for file in files:
        if file.header.shape != usual:
            value = f"{_by(file.header.shape)} pixels where its like have {_by(usual)}"
            yield _finding("grid", tile, file, value, "resample all to one grid")


def _metres(file: OpenedFile) -> int:
    return min(FINEST_METRES.get(band, 10) for band in file.named.values())


def _pixel_size(file: OpenedFile) -> float:
    west, south, east, north = file.header.bounds or (0, 0, 0, 0)
    return min((east - west) / file.header.shape[1], (north - south) / file.header.shape[0])


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _crs_name(file: OpenedFile) -> str:
    crs = file.header.crs
    return "missing" if crs is None else str(crs.to_string())


def _described_band(text: str, bands: tuple[str, ...]) -> str | None:
    """The one band of a sensor that a description names, as ``B8A``, ``b8``, ``B02 (blue)`` or ``Sigma0_VV``."""
    found = {band_name(word) for word in re.split(r"[^A-Za-z0-9]+", text)} & set(bands)
    return found.pop() if len(found) == 1 else None


def _finding(check: str, tile: OpenedTile, file: OpenedFile, value: str, remedy: str, band: str = "") -> Finding:
    return Finding(check, "certain", tile.tile.id, str(file.file), band or file.all_bands, value, remedy)
