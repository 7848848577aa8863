"""Statistical check of the order of Sentinel-2 bands: which of two bands is more like which third one.

Neighbouring wavelengths go together: over fields and forests B04 follows B05 more closely than B02 does, and B8A is
like B07, which B09 is less. For each pair of bands that may be confused a linear discriminant without intercept weighs
those differences of correlation, and the difference in brightness. Exchanging the two bands changes its sign, so 0 is
the natural threshold. One tile may err; a collection is judged by the majority of its tiles. Pixels are averaged to
60 m first, so that it does not matter how coarse bands were resampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.bands import SENTINEL2_L2A

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
COARSE = 6
"""Pixels of 10 m along the edge of an average."""
FEWEST_BLOCKS = 36
"""Averages that a tile needs."""
BRIGHT = 3000.0
"""Median of B04 from which on a tile is mostly snow or cloud, whose bands are too alike to be told apart."""
LARGEST_CORRELATION = 0.995
"""Correlations are clipped here, so that their z stays below 3."""

WEIGHTS = {
    ("B02", "B03"): (6.79, -4.09, -4.21, -2.08, -1.42, 1.31, -3.24, -1.47, 1.84, 1.92, -6.29),
    ("B02", "B04"): (7.94, 6.27, -7.67, -3.28, -3.55, 5.71, -3.91, 18.59, -1.07, -4.08, -5.25),
    ("B03", "B04"): (-0.96, 3.58, -0.01, 0.93, 0.03, 3.67, -0.19, 9.37, -1.54, -6.13, 9.67),
    ("B05", "B06"): (0.89, 2.66, 2.17, 2.77, -0.58, 0.08, -1.14, -0.69, -0.38, 0.41, 2.84),
    ("B06", "B07"): (0.43, 8.69, 4.66, 6.56, 4.68, -1.03, -0.53, -3.86, 7.74, -5.17, -22.01),
    ("B08", "B8A"): (1.30, 3.09, 3.05, 11.41, 2.95, 1.08, -1.28, -27.01, -7.61, -5.36, -23.67),
    ("B8A", "B09"): (0.05, 0.38, 1.14, 0.93, 1.37, 1.72, 1.97, 2.07, 1.47, 1.29, 0.71),
    ("B11", "B12"): (-1.77, -0.08, -0.46, -1.62, 1.67, 4.15, -2.02, 6.69, -0.40, 0.46, 7.68),
}
"""By pair: weights of Fisher's z of the correlations of its first less its second band with each of the ten others of
Level-2A in their order, and of the difference of their mean logarithms. From `fit_order` in
experiments/eo/check_faults.py on all of its scenes; judged there on scenes that they were not fitted on."""


def pair_features(bands: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    """For each of `PAIRS` the eleven differences that `WEIGHTS` weigh ``[pairs, 11]``.

    Args:
        bands: at least all of Level-2A, at any resolutions that divide 60 m evenly.

    Returns:
        None where a band is missing, the tile is too small, or mostly snow or cloud.
    """
    blocks = _at_60_m(bands)
    if blocks is None or np.median(blocks[SENTINEL2_L2A.index("B04")]) > BRIGHT:
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


def _at_60_m(bands: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    """Averages over 60 m of the bands of Level-2A ``[12, blocks]``; None where they cannot be formed."""
    if not all(name in bands for name in SENTINEL2_L2A):
        return None
    finest = max(pixels.shape[0] for pixels in bands.values())
    rows, columns = (size // COARSE for size in max(pixels.shape for pixels in bands.values()))
    if rows * columns < FEWEST_BLOCKS:
        return None
    averages = []
    for name in SENTINEL2_L2A:
        pixels = bands[name].astype(np.float64)
        edge, rest = divmod(COARSE * pixels.shape[0], finest)
        if rest or not edge:
            return None
        cut = pixels[: rows * edge, : columns * edge]
        averages.append(cut.reshape(rows, edge, columns, edge).mean(axis=(1, 3)).ravel())
    return np.array(averages)
