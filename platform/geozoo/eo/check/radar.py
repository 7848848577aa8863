"""Statistical check of Sentinel-1: decibels or linear power."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.check.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geozoo.eo.check.opened import OpenedTile

NEGATIVE_SHARE = 0.5
"""Backscatter in dB is negative but for few bright targets (measured: at least 93 % of a tile), power never is."""


def negative_share(pixels: NDArray[Any]) -> float:
    """Share of finite pixels below 0; NaN where there is none."""
    finite = pixels[np.isfinite(pixels)]
    return float((finite < 0).mean()) if finite.size else float("nan")


def check_decibel(tile: OpenedTile) -> Iterator[Finding]:
    """Sentinel-1 that is not in dB."""
    for file in tile.of_sensor("s1"):
        for band, pixels in zip(file.bands, file.pixels, strict=True):
            if (share := negative_share(pixels)) < NEGATIVE_SHARE:
                value = f"{share:.0%} of the numbers are negative, as in linear power, not decibels"
                remedy = "convert with 10 log10, or say how it was scaled"
                yield Finding("decibel", "statistical", tile.tile.id, str(file.file), band, value, remedy)
