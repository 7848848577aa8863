"""Sentinel-2 averaged to 60 m, so that it does not matter how coarse bands were resampled; and where it is snow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.bands import BASELINE_OFFSET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

PIXELS = 6
"""Pixels of 10 m along the edge of an average."""
SNOW_INDEX, SNOW_BRIGHTNESS = 0.4, 1100
"""Snow has a normalised difference of green and short-wave infrared above the first and is brighter in the near
infrared than the second, in reflectance x 10,000 (the test of Hall et al., 1995, for MODIS)."""
MOSTLY = 0.5
"""Share of snow from which on a tile is not judged by its spectrum."""


def at_60_m(bands: Mapping[str, NDArray[Any]], names: Sequence[str]) -> NDArray[np.float64] | None:
    """Averages over 60 m of some bands ``[names, blocks]``, where the finest band is at 10 m.

    Returns:
        None where a band is missing, or 60 m are not a whole number of its pixels, or the tile is smaller than that.
    """
    if not all(name in bands for name in names):
        return None
    height, width = max(pixels.shape for pixels in bands.values())
    rows, columns = height // PIXELS, width // PIXELS
    averages = []
    for name in names:
        pixels = bands[name].astype(np.float64)
        edge, rest = divmod(PIXELS * pixels.shape[0], height)
        if rest or not edge or not rows or not columns:
            return None
        cut = pixels[: rows * edge, : columns * edge]
        averages.append(cut.reshape(rows, edge, columns, edge).mean(axis=(1, 3)).ravel())
    return np.array(averages)


def is_mostly_snow(bands: Mapping[str, NDArray[Any]], *, carried: bool = False) -> bool:
    """Whether at least half of the averages over 60 m are snow; False where B03, B8A or B11 are missing.

    Args:
        bands: in digital numbers.
        carried: whether the offset of 1000 is in them.
    """
    blocks = at_60_m(bands, ("B03", "B8A", "B11"))
    if blocks is None:
        return False
    green, near, short = blocks + (BASELINE_OFFSET if carried else 0)
    index = (green - short) / np.maximum(green + short, 1)
    return float(((index > SNOW_INDEX) & (near > SNOW_BRIGHTNESS)).mean()) >= MOSTLY
