"""Tiles: co-located rasters of one place, as a reader finds them; opened only when pixels are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.bands import find_sensor, select_bands
from geozoo.eo.files import BandFile, opened
from geozoo.eo.warp import apply_affine, fill_of, read_warped, same_ground
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

IGNORE = 255
"""The class code of pixels that count for nothing."""


@dataclass(frozen=True, slots=True)
class Raster:
    """The bands that one sensor saw of a place.

    Attributes:
        sensor: a name in `geozoo.eo.bands.SENSORS`.
        bands: names, one for each of ``files``.
        files: where each band lies; bands may have different resolutions.
        offset: added to the numbers of the file where they are not nodata, as the product's metadata ask for.
        baseline: processing baseline as ``"05.09"``, None where nothing tells it.
    """

    sensor: str
    bands: tuple[str, ...]
    files: tuple[BandFile, ...]
    offset: int = 0
    baseline: str | None = None

    @classmethod
    def of_file(cls, sensor: str, path: str | os.PathLike[str], bands: Sequence[str], **facts: Any) -> Raster:
        """All bands in one file, in the order of ``bands``."""
        files = tuple(BandFile(str(path), number) for number in range(1, len(bands) + 1))
        return cls(sensor, tuple(bands), files, **facts)

    @property
    def nodata(self) -> float | None:
        """The number that stands for "nothing measured"."""
        return find_sensor(self.sensor).nodata


@dataclass(frozen=True, slots=True)
class Tile:
    """One place: its rasters by modality (``s1``, ``s2``, ``rgb``, ``mask``), and what is said about it.

    Attributes:
        id: unique in its collection.
        rasters: all on the same ground.
        scene: what it was cut from; tiles of one scene are alike and never split between training and test.
        labels: class numbers of the whole tile; none where it has only a ``mask``.
        split: the part that the data set itself puts it in.
        date: of the acquisition, ``YYYY-MM-DD``.
        recode: class number of each code in the file of its ``mask``; codes beyond become `IGNORE`.
    """

    id: str
    rasters: Mapping[str, Raster]
    scene: str
    labels: tuple[int, ...] = ()
    split: str | None = None
    date: str | None = None
    recode: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Collection:
    """What a reader found.

    Attributes:
        name: of the data set.
        tiles: in a fixed order.
        classes: names, in the order of the class numbers.
        multilabel: whether a tile may have several classes, or none.
        notes: what was left out and why, a sentence each, for who runs the reader.
    """

    name: str
    tiles: tuple[Tile, ...]
    classes: tuple[str, ...] = ()
    multilabel: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grid:
    """Size in pixels and place on the ground; ``crs`` and ``transform`` are None where a file has no place."""

    height: int
    width: int
    crs: Any = None
    transform: Any = None

    def bounds(self, window: Window | None = None) -> tuple[float, float, float, float] | None:
        """West, south, east, north in the units of the CRS."""
        if self.transform is None:
            return None
        part = window or Window(0, 0, self.height, self.width)
        corners = [
            apply_affine(self.transform, column, row)
            for row in (part.row, part.row + part.height)
            for column in (part.column, part.column + part.width)
        ]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels of the finest grid of a tile."""

    row: int
    column: int
    height: int
    width: int


def grid_of(raster: Raster) -> Grid:
    """The finest grid among the bands of a raster.

    Raises:
        DataNotFoundError: a file is missing.
        DataCorruptError: it cannot be opened.
    """
    grids = [_grid(file) for file in dict.fromkeys(BandFile(file.path, 1, file.row) for file in raster.files)]
    return max(grids, key=lambda grid: grid.height)


def read_raster(
    raster: Raster,
    bands: Sequence[str] | None = None,
    window: Window | None = None,
    *,
    grid: Grid | None = None,
    categorical: bool = False,
) -> NDArray[Any]:
    """Pixels ``[bands, height, width]`` in the type of the file, coarser bands brought to the finest grid.

    Resampling is bilinear, as in TorchGeo's BigEarthNet, and nearest where numbers are class codes. The offset of the
    processing baseline is added, and results below 0 become 1, so that 0 keeps meaning nodata. A file on other ground
    than ``grid`` is warped to it (`geozoo.eo.warp.read_warped`); what it does not cover becomes nodata, or `IGNORE`.

    Raises:
        BandError: a band is not there.
        DataNotFoundError: a file is missing.
        DataCorruptError: it cannot be read, or has too few bands.
    """
    names = raster.bands if bands is None else tuple(bands)
    places = select_bands(raster.bands, names, str(raster.files[0]))
    whole = grid or grid_of(raster)
    part = window or Window(0, 0, whole.height, whole.width)
    files = [raster.files[place] for place in places]
    if len({(file.path, file.row) for file in files}) == 1:
        pixels = _read(files[0], [file.index for file in files], whole, part, raster.nodata, categorical)
    else:
        pixels = np.concatenate([_read(file, [file.index], whole, part, raster.nodata, categorical) for file in files])
    return add_offset(pixels, raster)


def valid_pixels(pixels: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Where ``pixels`` are measured in every band: neither nodata nor NaN nor infinite (decibels of a zero).

    Takes ``[bands, height, width]``, gives ``[height, width]``. A pixel at the edge of nodata, which the resampling of
    a coarser band mixed with it, counts as measured.
    """
    measured = np.isfinite(pixels)
    if nodata is not None:
        measured &= pixels != nodata
    return np.asarray(measured.all(axis=0))


def add_offset(pixels: NDArray[Any], raster: Raster) -> NDArray[Any]:
    """Numbers of a file with the offset of their processing baseline; see `read_raster`."""
    if not raster.offset:
        return pixels
    shifted = np.maximum(pixels.astype(np.int32) + raster.offset, 1)
    if raster.nodata is not None:
        shifted[pixels == raster.nodata] = raster.nodata
    return shifted.astype(pixels.dtype)


def _read(
    file: BandFile, indexes: list[int], whole: Grid, part: Window, nodata: float | None, categorical: bool
) -> NDArray[Any]:
    from rasterio.enums import Resampling
    from rasterio.windows import Window as Rectangle

    with opened(file) as source:
        if max(indexes) > source.count:
            raise DataCorruptError(
                f"{file} has {source.count} bands, not {max(indexes)} as its data set: fetch it again"
            )
        if not same_ground(source_grid(source), whole):
            fill = IGNORE if categorical else fill_of(source, nodata)
            return read_warped(source, indexes, whole, part, fill, categorical)
        down, right = source.height / whole.height, source.width / whole.width
        rectangle = Rectangle(part.column * right, part.row * down, part.width * right, part.height * down)
        resampling = Resampling.nearest if categorical else Resampling.bilinear
        pixels: NDArray[Any] = source.read(
            indexes, window=rectangle, out_shape=(len(indexes), part.height, part.width), resampling=resampling
        )
    return pixels


def _grid(file: BandFile) -> Grid:
    with opened(file) as source:
        return source_grid(source)


def source_grid(source: Any) -> Grid:
    """The grid of an open file."""
    placed = source.crs is not None
    return Grid(source.height, source.width, source.crs, source.transform if placed else None)
