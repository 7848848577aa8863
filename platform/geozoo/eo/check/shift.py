"""Shift between Sentinel-1 and Sentinel-2, judged for a scene over its tiles.

At every shift up to `SEARCH` pixels the fine texture of S1 is regressed on that of S2; where the two lie on one another
the share of explained variance peaks. The sums of the regression add up over tiles, so a scene takes constant memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.check.radar import NEGATIVE_SHARE, negative_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEARCH = 12
"""Largest shift that is tried, in pixels along each axis."""
S2_BANDS = ("B02", "B03", "B04", "B08")
"""The bands at 10 m."""
SPECKLE, TEXTURE = 0.7, 3.0
"""Standard deviations of the Gaussians, in pixels, that smooth S1, and that are taken off both as their coarse part."""
SMALLEST = 2 * SEARCH + 16
"""Edge of the smallest tile that can be judged."""
MOST_NODATA = 0.01
"""Share of pixels that may be nodata."""
CLEAR_PEAK = 6.0
"""How many standard deviations (from the median absolute deviation) the peak must rise above all shifts more than two
pixels from it. `fit_clarity` in experiments/eo/check_shift.py asks for 3.6 on all of its scenes, over which parts of a
scene agree within 2 pixels; 6 is over the clearest of its 132 pairs of S1 and S2 from unrelated scenes."""
SHIFTED = 2.0
"""Pixels from which on a scene counts as shifted: eight of ten published scenes lie 0.5 to 1.9 pixels apart as they
are."""


@dataclass(frozen=True)
class ShiftSums:
    """Sums over pixels of one or more tiles, F features of S2 and L = 2 `SEARCH` + 1 shifts along each axis.

    Attributes:
        features: products of features ``[F, F]``.
        cross: products of the two S1 bands with features at each shift ``[2, F, L, L]``.
        square: squared deviations of the S1 bands under the window at each shift ``[2, L, L]``.
    """

    features: NDArray[np.float64]
    cross: NDArray[np.float64]
    square: NDArray[np.float64]

    def __add__(self, other: ShiftSums) -> ShiftSums:
        return ShiftSums(self.features + other.features, self.cross + other.cross, self.square + other.square)


@dataclass(frozen=True)
class Shift:
    """Where S1 lies against S2: pixels down and right, and how clearly (see `CLEAR_PEAK`)."""

    down: float
    right: float
    clarity: float

    @property
    def pixels(self) -> float:
        """Length."""
        return float(np.hypot(self.down, self.right))


def shift_sums(s1: NDArray[Any], s2: NDArray[Any]) -> ShiftSums | None:
    """The sums of one tile.

    Args:
        s1: VV and VH ``[2, height, width]``, in dB or linear.
        s2: `S2_BANDS` ``[4, height, width]``.

    Returns:
        None where the tile is too small, or S1 is not finite or S2 is nodata in too many places.
    """
    if s1.shape[1:] != s2.shape[1:] or min(s1.shape[1:]) < SMALLEST or not np.isfinite(s1).all():
        return None
    if (s2 <= 0).any(axis=0).mean() > MOST_NODATA:
        return None
    inside = (slice(None), slice(SEARCH, -SEARCH), slice(SEARCH, -SEARCH))
    x = _s2_texture(s2)[inside]
    x -= x.mean(axis=(1, 2), keepdims=True)
    y = _s1_texture(s1)
    ones = np.ones((1, *x.shape[1:]))
    sums, squares = _correlations(y, ones)[:, 0], _correlations(y**2, ones)[:, 0]
    return ShiftSums(np.einsum("fhw,ghw->fg", x, x), _correlations(y, x), squares - sums**2 / ones.size)


def estimate_shift(sums: ShiftSums) -> Shift:
    """The shift at which S2 explains most of S1, to a fraction of a pixel by the parabola through its neighbours."""
    surface = explained(sums)
    row, column = np.unravel_index(surface.argmax(), surface.shape)
    rows, columns = np.indices(surface.shape)
    far = surface[np.maximum(abs(rows - row), abs(columns - column)) > 2]
    spread = 1.4826 * np.median(abs(far - np.median(far)))
    clarity = float((surface[row, column] - far.max()) / max(spread, np.finfo(float).tiny))
    down = row - SEARCH + _vertex(surface[:, column], int(row))
    right = column - SEARCH + _vertex(surface[row], int(column))
    return Shift(float(down), float(right), clarity)


def explained(sums: ShiftSums) -> NDArray[np.float64]:
    """Share of the variance of S1 that S2 explains at each shift ``[L, L]``, the mean of both bands."""
    ridge = 1e-4 * np.diag(np.diag(sums.features)) + 1e-12 * np.eye(len(sums.features))
    inverse = np.linalg.inv(sums.features + ridge)
    fitted = np.einsum("bfij,fg,bgij->bij", sums.cross, inverse, sums.cross)
    shares: NDArray[np.float64] = (fitted / np.maximum(sums.square, 1e-12)).mean(axis=0)
    return shares


def _correlations(images: NDArray[np.float64], windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of products of each window with each image ``[images, windows, L, L]`` at all shifts at which it fits."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    size = [next_fast_len(edge, real=True) for edge in images.shape[1:]]
    products = rfft2(images, size)[:, None] * np.conj(rfft2(windows, size))
    sums: NDArray[np.float64] = irfft2(products, size)[..., : 2 * SEARCH + 1, : 2 * SEARCH + 1]
    return sums


def _s2_texture(s2: NDArray[Any]) -> NDArray[np.float64]:
    bands = np.log(np.maximum(s2, 1).astype(np.float64))
    edges = np.log(_gradient(bands).mean(axis=0, keepdims=True) + 1e-2)
    return _without_coarse(np.concatenate([bands, edges]))


def _s1_texture(s1: NDArray[Any]) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    decibels = s1.astype(np.float64)
    if negative_share(s1) < NEGATIVE_SHARE:
        decibels = 10 * np.log10(np.maximum(decibels, 1e-6))
    return _without_coarse(gaussian_filter(decibels, (0, SPECKLE, SPECKLE)))


def _gradient(bands: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.ndimage import sobel

    size: NDArray[np.float64] = np.hypot(sobel(bands, axis=1), sobel(bands, axis=2))
    return size


def _without_coarse(bands: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    fine: NDArray[np.float64] = bands - gaussian_filter(bands, (0, TEXTURE, TEXTURE))
    return fine


def _vertex(line: NDArray[np.float64], place: int) -> float:
    """Where the parabola through a maximum and its two neighbours peaks, relative to it; 0 at the end of a line."""
    if not 0 < place < len(line) - 1:
        return 0.0
    before, here, after = line[place - 1 : place + 2]
    bend = before - 2 * here + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
