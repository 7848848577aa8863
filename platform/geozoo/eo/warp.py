"""From one grid to another: whether two are the same ground, and reading through a warp where they are not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geozoo.eo.tiles import Grid, Window

_ROUNDING = 1e-6
"""Pixels by which a border may miss a line of the grid and still lie on it."""


def same_ground(one: Grid, grid: Grid) -> bool:
    """Whether the corners of two grids agree to half a pixel of ``grid``; their resolutions may differ.

    Of grids without a place on the ground the shape decides.
    """
    if one.transform is None or grid.transform is None:
        return one.height * grid.width == grid.height * one.width
    if one.crs != grid.crs:
        return False
    pixel = min(math.hypot(grid.transform.a, grid.transform.d), math.hypot(grid.transform.b, grid.transform.e))
    pairs = zip(_corners(one), _corners(grid), strict=True)
    return max(math.dist(here, there) for here, there in pairs) <= pixel / 2


def read_warped(
    source: Any, indexes: Sequence[int], grid: Grid, window: Window, fill: float | None, categorical: bool
) -> NDArray[Any]:
    """Pixels ``[bands, height, width]`` of a window of ``grid``, warped by GDAL; reads only what the window needs.

    Bilinear, or nearest where numbers are class codes. Pixels of ``fill`` take no part; they and what lies outside the
    source become ``fill``, or 0 where that is None. GDAL's transform is exact to an eighth of a pixel.

    Raises:
        DataCorruptError: the source has no place on the ground.
    """
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT
    from rasterio.windows import Window as Rectangle

    if source.crs is None or grid.transform is None:
        raise DataCorruptError(
            f"{source.name} has {source.height}x{source.width} pixels and no place on the ground, its tile "
            f"{grid.height}x{grid.width}: give files of one shape, or with a CRS"
        )
    options = {} if fill is None else {"src_nodata": fill, "nodata": fill}
    resampling = Resampling.nearest if categorical else Resampling.bilinear
    with WarpedVRT(
        source,
        crs=grid.crs,
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        resampling=resampling,
        **options,
    ) as warped:
        rectangle = Rectangle(window.column, window.row, window.width, window.height)
        return np.asarray(warped.read(list(indexes), window=rectangle))


def fill_of(source: Any, nodata: float | None) -> float | None:
    """What stands for "nothing measured" in an open file: what it declares, its sensor's, or NaN of real numbers."""
    if source.nodata is not None:
        return float(source.nodata)
    if nodata is None and np.issubdtype(np.dtype(source.dtypes[0]), np.floating):
        return float("nan")
    return nodata


def inside(source: Grid, grid: Grid, window: Window) -> NDArray[np.bool_]:
    """Which pixels ``[height, width]`` of a window of ``grid`` have their centre in ``source``."""
    from rasterio.warp import transform

    rows, columns = np.mgrid[window.row : window.row + window.height, window.column : window.column + window.width]
    xs, ys = apply_affine(grid.transform, columns.ravel() + 0.5, rows.ravel() + 0.5)
    there = [np.asarray(values) for values in transform(grid.crs, source.crs, xs, ys)]
    right, down = apply_affine(~source.transform, *there)
    within = (right >= 0) & (right < source.width) & (down >= 0) & (down < source.height)
    return np.asarray(within.reshape(window.height, window.width))


def grid_onto(own: Grid, crs: str, resolution: float) -> Grid:
    """The grid of a CRS that covers ``own``, its lines on whole multiples of ``resolution`` (units of the CRS)."""
    from rasterio import Affine
    from rasterio.crs import CRS
    from rasterio.warp import transform_bounds

    from geozoo.eo.tiles import Grid

    target = CRS.from_user_input(crs)
    west, south, east, north = np.array(transform_bounds(own.crs, target, *(own.bounds() or ()))) / resolution
    left, top = math.floor(west + _ROUNDING), math.ceil(north - _ROUNDING)
    width, height = math.ceil(east - _ROUNDING) - left, top - math.floor(south + _ROUNDING)
    return Grid(height, width, target, Affine(resolution, 0, left * resolution, 0, -resolution, top * resolution))


def apply_affine(transform: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """The image of numbers or arrays under an ``affine.Affine``, whose operator is another in each version."""
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def _corners(grid: Grid) -> list[tuple[float, float]]:
    places = ((0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height))
    return [apply_affine(grid.transform, *place) for place in places]
