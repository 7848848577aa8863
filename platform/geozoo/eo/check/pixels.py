"""Certain checks by the bytes of pixels: NaN, nodata, constant bands, saturation, the swath's edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.check.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geozoo.eo.check.opened import OpenedFile, OpenedTile

SATURATED = 64_000
"""From here on numbers of Sentinel-2 are no measurement: 65535 marks saturation, damaged files hold 64,000 and up."""

EDGE_VALUE = 1
"""What Sentinel-2 files hold in all bands where a granule ends without being nodata."""
EDGE_BANDS = 3
"""The value of the edge must fill at least this many bands: one band may hold it in deep shadow."""


def check_non_finite(tile: OpenedTile) -> Iterator[Finding]:
    """NaN and infinity."""
    for file, band, pixels in _bands(tile):
        if pixels.dtype.kind == "f" and (count := int((~np.isfinite(pixels)).sum())):
            value = f"{_share(count, pixels)} NaN or infinite"
            yield _finding("non_finite", tile, file, band, value, "fill or mask them, or drop the tile")


def check_nodata(tile: OpenedTile) -> Iterator[Finding]:
    """Pixels that hold the sensor's nodata value, or the one that the file declares."""
    for file, band, pixels in _bands(tile):
        if file.sensor == "labels":
            continue
        values = {float(value) for value in (file.raster.nodata, file.header.nodata) if value is not None}
        for value in sorted(value for value in values if np.isfinite(value)):
            if count := int((pixels == value).sum()):
                text = f"{_share(count, pixels)} {value:g}, which means nodata"
                yield _finding("nodata", tile, file, band, text, "mask them, or drop the tile")


def check_constant(tile: OpenedTile) -> Iterator[Finding]:
    """Bands with one value everywhere, except masks and whole-band nodata, which is said elsewhere."""
    for file, band, pixels in _bands(tile):
        first = pixels.flat[0]
        if file.sensor == "labels" or not np.isfinite(first) or not (pixels == first).all():
            continue
        if first not in (file.raster.nodata, file.header.nodata):
            yield _finding("constant", tile, file, band, f"all pixels are {first}", "fetch the band again, or drop it")


def check_saturated(tile: OpenedTile) -> Iterator[Finding]:
    """Numbers of Sentinel-2 that are too large to be a measurement."""
    for file, band, pixels in _bands(tile):
        if file.sensor in ("s2l1c", "s2l2a") and (count := int((pixels >= SATURATED).sum())):
            value = (
                f"{_share(count, pixels)} {SATURATED} or more (largest {pixels.max()}), which is saturated or damaged"
            )
            yield _finding("saturated", tile, file, band, value, "mask them, or fetch the product again")


def check_swath_edge(tile: OpenedTile) -> Iterator[Finding]:
    """Pixels of Sentinel-2 that are 1 in all bands of their size: the edge of a granule, not a measurement."""
    for modality in tile.tile.rasters:
        files = [file for file in tile.of_sensor("s2l1c", "s2l2a") if file.modality == modality and file.bands]
        if not files:
            continue
        finest = max(file.header.shape for file in files)
        like = [file for file in files if file.header.shape == finest]
        if sum(len(file.bands) for file in like) < EDGE_BANDS:
            continue
        everywhere = np.logical_and.reduce([(file.pixels == EDGE_VALUE).all(axis=0) for file in like])
        if count := int(everywhere.sum()):
            value = f"{_share(count, everywhere)} 1 in all bands, as at the edge of a swath"
            bands = " ".join(band for file in like for band in file.bands)
            remedy = "mask them as nodata, or drop the tile"
            yield Finding("swath_edge", "certain", tile.tile.id, str(like[0].file), bands, value, remedy)


def _bands(tile: OpenedTile) -> Iterator[tuple[OpenedFile, str, NDArray[Any]]]:
    for file in tile.files:
        for band, pixels in zip(file.bands, file.pixels, strict=True):
            yield file, band, pixels


def _share(count: int, pixels: NDArray[Any]) -> str:
    verb = "pixel is" if count == 1 else "pixels are"
    return f"{count:,} of {pixels.size:,} ({count / pixels.size:.2%}) {verb}"


def _finding(check: str, tile: OpenedTile, file: OpenedFile, band: str, value: str, remedy: str) -> Finding:
    return Finding(check, "certain", tile.tile.id, str(file.file), band, value, remedy)
