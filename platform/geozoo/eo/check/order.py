"""Statistical check of the order of Sentinel-2 bands: which of two bands is more like which third one.

Neighbouring wavelengths go together: over fields and forests B04 follows B05 more closely than B02 does, and B8A is
like B07, which B09 is less. For each pair of bands that may be confused a linear discriminant without intercept weighs
those differences of correlation, and the difference in brightness. Exchanging the two bands changes its sign, so 0 is
the natural threshold. One tile may err; a collection is judged by the majority of its tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.bands import SENTINEL2_L2A
from geozoo.eo.check.coarse import at_60_m, is_mostly_snow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

PAIRS = (
    ("B02", "B03"),
    ("B02", "B04"),
    ("B03", "B04"),
    ("B05", "B06"),
    ("B06", "B07"),
    ("B08", "B8A"),
    ("B8A", "B09"),
    ("B11", "B12"),
)
"""Bands that are confused: red, green and blue in either order, neighbours, and the places of B8A, B09, B11 and B12
where a file has B8A last."""
FEWEST_BLOCKS = 36
"""Averages over 60 m that a tile needs."""
LARGEST_CORRELATION = 0.995
"""Correlations are clipped here, so that their z stays below 3."""

WEIGHTS = {
    ("B02", "B03"): (6.18, -3.88, -4.23, -2.33, -1.46, 2.07, -2.81, -2.18, 1.56, 1.95, -6.44),
    ("B02", "B04"): (7.49, 5.90, -7.76, -4.26, -3.43, 8.92, -2.52, 15.20, -1.16, -4.09, -5.41),
    ("B03", "B04"): (-1.75, 3.40, -0.02, 1.56, -0.03, 4.26, -0.36, 8.40, -2.19, -5.83, 9.13),
    ("B05", "B06"): (0.80, 2.55, 2.16, 2.83, -0.59, 0.10, -0.99, -0.85, -0.37, 0.44, 2.85),
    ("B06", "B07"): (-0.11, 7.68, 4.53, 7.08, 3.94, -0.77, -0.58, -4.29, 8.03, -4.81, -22.52),
    ("B08", "B8A"): (-3.70, 3.42, 2.92, 9.15, 1.68, -0.27, -0.53, -26.49, -4.48, -4.78, -28.16),
    ("B8A", "B09"): (0.09, 0.32, 1.13, 0.90, 1.49, 1.74, 1.99, 2.05, 1.45, 1.28, 0.70),
    ("B11", "B12"): (-1.86, -0.65, 0.03, -1.26, 1.79, 5.39, 0.84, 6.30, 1.66, 2.21, 7.93),
}
"""By pair: weights of Fisher's z of the correlations of its first less its second band with each of the ten others of
Level-2A in their order, and of the difference of their mean logarithms. From `fit_order` in
experiments/eo/check_faults.py on all of its scenes; judged there on scenes that they were not fitted on."""


def pair_features(bands: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    """For each of `PAIRS` the eleven differences that `WEIGHTS` weigh ``[pairs, 11]``.

    Args:
        bands: at least all of Level-2A, at any resolutions that divide 60 m evenly.

    Returns:
        None where a band is missing, the tile is too small, or mostly snow, whose bands are too alike.
    """
    blocks = at_60_m(bands, SENTINEL2_L2A)
    if blocks is None or blocks.shape[1] < FEWEST_BLOCKS or is_mostly_snow(bands):
        return None
    logs = np.log(np.maximum(blocks, 1))
    if (logs.std(axis=1) == 0).any():
        return None
    likeness = np.arctanh(np.clip(np.corrcoef(logs), -LARGEST_CORRELATION, LARGEST_CORRELATION))
    levels = logs.mean(axis=1)
    rows = []
    for pair in PAIRS:
        one, other = (SENTINEL2_L2A.index(band) for band in pair)
        others = [place for place in range(len(SENTINEL2_L2A)) if place not in (one, other)]
        rows.append([*(likeness[one, others] - likeness[other, others]), levels[one] - levels[other]])
    return np.array(rows)


def looks_exchanged(bands: Mapping[str, NDArray[Any]]) -> tuple[bool, ...] | None:
    """For each of `PAIRS`, whether each of the two bands looks as the other usually does; None as for the features."""
    features = pair_features(bands)
    if features is None:
        return None
    return tuple(bool(row @ np.array(WEIGHTS[pair]) < 0) for pair, row in zip(PAIRS, features, strict=True))


def cirrus_is_darkest(bands: Mapping[str, NDArray[Any]]) -> bool | None:
    """Whether B10, where the air is opaque, is the darkest band; None without B10."""
    if "B10" not in bands:
        return None
    medians = {name: float(np.median(pixels)) for name, pixels in bands.items()}
    return medians["B10"] == min(medians.values())
