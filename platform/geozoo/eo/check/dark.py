"""Statistical checks by the darkest pixels of Sentinel-2: the offset of the processing baseline, and the level.

Over water, shadow, or dense vegetation in the visible some band is nearly black. With an offset of 1000 that was not
taken off, nothing is darker than about 1000. At the top of the atmosphere scattering lightens B01, so that it stays
brighter than B04 where both should be dark; at the surface that haze is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.bands import BASELINE_OFFSET
from geozoo.eo.check.coarse import is_mostly_snow
from geozoo.eo.check.finding import Finding, Undecided

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from geozoo.eo.check.opened import OpenedTile

DARK_PERCENTILE = 0.5
"""Percent of a band's pixels that may be darker: single pixels below are noise or clipped."""
OFFSET_DARK = (970.0, 1800.0)
"""A darkest band in this range looks as with the offset of 1000; a brighter one has no dark pixel to judge by. In 498
pieces without the offset it is 1 to 925 (the brightest over snow and haze), so that with it it is 1001 to 1925; 30 less
are allowed for reflectances below 0. From `fit_offset` in experiments/eo/check_faults.py on all of its scenes."""
SURPLUS_DARK = -40.0
"""Darker than this after the reader's offset: the numbers did not carry one (`fit_surplus`, there)."""
HAZE = 260.0
"""B01 less B04, both at their darkest percent: more is Level-1C (`fit_level`, there)."""
HAZE_DARK = 1000.0
"""The level can be told where B04 is darker than this; over clouds B01 is bright at both levels. Chosen while
looking at all scenes."""
FEWEST_PIXELS = 200
"""Measured pixels that a band needs."""


def darkest(
    bands: Mapping[str, NDArray[Any]], nodata: float = 0, percentile: float = DARK_PERCENTILE
) -> dict[str, float]:
    """The given percentile of each band in digital numbers, nodata left out; bands with too few pixels are left out."""
    measured = {name: pixels[pixels != nodata] for name, pixels in bands.items()}
    return {
        name: float(np.percentile(pixels, percentile))
        for name, pixels in measured.items()
        if pixels.size >= FEWEST_PIXELS
    }


def dark_minimum(bands: Mapping[str, NDArray[Any]]) -> float | None:
    """The darkest percentile of the darkest band; None where too little is measured."""
    return min(darkest(bands).values(), default=None)


def haze(bands: Mapping[str, NDArray[Any]]) -> float | None:
    """B01 less B04 at their darkest percent; None where B04 has no dark pixel or the tile is mostly snow."""
    dark = darkest(bands, percentile=1)
    lowest = dark_minimum(bands)
    if lowest is None or "B01" not in dark or "B04" not in dark:
        return None
    carried = lowest >= OFFSET_DARK[0]
    if dark["B04"] + carried * BASELINE_OFFSET >= HAZE_DARK or is_mostly_snow(bands, carried=carried):
        return None
    return dark["B01"] - dark["B04"]


def check_dark_offset(tile: OpenedTile) -> Iterator[Finding | Undecided]:
    """Sentinel-2 that looks as if the offset of 1000 were still in it, or had been taken off twice."""
    for modality in tile.sentinel2():
        lowest = dark_minimum(tile.bands(modality))
        after = None if lowest is None else lowest + tile.tile.rasters[modality].offset
        if after is None or after > OFFSET_DARK[1]:
            yield Undecided("dark_offset", tile.tile.id, "no dark pixel")
        elif after >= OFFSET_DARK[0]:
            value = f"its darkest pixels are {after:.0f}, as if an offset of 1000 were still in it"
            remedy = "check the processing baseline; from 04.00 on add -1000"
            yield Finding("dark_offset", "statistical", *_place(tile, modality), value, remedy)
        elif after < SURPLUS_DARK:
            value = f"its darkest pixels are {after:.0f} after the offset, as if it had been taken off before"
            yield Finding("dark_offset", "statistical", *_place(tile, modality), value, "add no offset")


def check_level(tile: OpenedTile) -> Iterator[Finding | Undecided]:
    """Sentinel-2 that looks like the other processing level."""
    for modality in tile.sentinel2():
        sensor = tile.tile.rasters[modality].sensor
        found = haze(tile.bands(modality))
        if found is None:
            yield Undecided("level", tile.tile.id, "no dark pixel in B01 and B04")
            continue
        looks = "s2l1c" if found > HAZE else "s2l2a"
        if looks != sensor:
            value = f"dark pixels of B01 are {found:.0f} above those of B04, as in {looks}, not {sensor}"
            remedy = "check the level, and normalise with statistics of the right one"
            yield Finding("level", "statistical", *_place(tile, modality), value, remedy)


def _place(tile: OpenedTile, modality: str) -> tuple[str, str, str]:
    raster = tile.tile.rasters[modality]
    return tile.tile.id, str(raster.files[0]), " ".join(raster.bands)
