"""A tile with its pixels: every file opened and read once, whatever checks follow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from geozoo.eo.files import BandFile, opened
from geozoo.errors import DataCorruptError, DataNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from geozoo.eo.tiles import Raster, Tile

T = TypeVar("T")


@dataclass(frozen=True)
class Header:
    """What a raster file says of its pixels.

    Attributes:
        count: bands in the file.
        shape: rows and columns.
        crs: None where the file has no place on the ground.
        transform: from pixel to ground; None without place.
        bounds: west, south, east, north in units of the CRS; None without place.
        nodata: the number the file itself declares, or None.
        descriptions: of each band; empty where there is none.
        scales: numbers of the file times this ...
        offsets: ... plus this are physical values.
        tags: of the file and of all its bands.
    """

    count: int
    shape: tuple[int, int]
    crs: Any
    transform: Any
    bounds: tuple[float, float, float, float] | None
    nodata: float | None
    descriptions: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    tags: dict[str, str]


@dataclass(frozen=True)
class OpenedFile:
    """The bands of a raster that lie in one file.

    Attributes:
        modality: under which the tile holds the raster.
        raster: that the bands belong to.
        file: index 1 of it.
        header: what the file says.
        named: bands that the reader looks for in this file, by their index from 1.
        bands: those of them that are there.
        pixels: ``[bands, height, width]``, as in the file: no offset, no resampling.
    """

    modality: str
    raster: Raster
    file: BandFile
    header: Header
    named: dict[int, str]
    bands: tuple[str, ...]
    pixels: NDArray[Any]

    @property
    def sensor(self) -> str:
        """The sensor of the raster."""
        return self.raster.sensor

    @property
    def all_bands(self) -> str:
        """Names of the bands, for findings about the whole file."""
        return " ".join(self.named.values())


@dataclass(frozen=True)
class OpenedTile:
    """A tile with its pixels.

    Attributes:
        tile: as the reader found it.
        codes: number of class codes that its mask may hold; None where nothing tells.
        files: that could be read.
        broken: file and reason of those that could not, with the bands they should hold.
    """

    tile: Tile
    codes: int | None
    files: tuple[OpenedFile, ...]
    broken: tuple[tuple[str, str, str], ...] = ()

    def of_sensor(self, *sensors: str) -> list[OpenedFile]:
        """The files of some sensors."""
        return [file for file in self.files if file.sensor in sensors]

    def bands(self, modality: str) -> dict[str, NDArray[Any]]:
        """Pixels ``[height, width]`` of the bands of a modality by name, each at its own resolution."""
        return {
            band: pixels
            for file in self.files
            if file.modality == modality
            for band, pixels in zip(file.bands, file.pixels, strict=True)
        }

    def sentinel2(self) -> Iterator[str]:
        """The modalities of Sentinel-2 that hold digital numbers: integers of 16 bits or more."""
        for modality, raster in self.tile.rasters.items():
            types = {pixels.dtype for pixels in self.bands(modality).values()}
            if raster.sensor in ("s2l1c", "s2l2a") and types and all(t.kind in "iu" and t.itemsize > 1 for t in types):
                yield modality

    def stack(self, modality: str, names: Sequence[str] | None = None) -> NDArray[Any] | None:
        """``[bands, height, width]`` of a modality, coarse pixels repeated.

        Args:
            modality: of the tile.
            names: of the bands, in this order; by default all in the order of the raster.

        Returns:
            None where a band is missing or pixels are no whole multiples of each other.
        """
        found = self.bands(modality)
        wanted = self.tile.rasters[modality].bands if names is None else names
        if not wanted or not all(name in found for name in wanted):
            return None
        height, width = max(found[name].shape for name in wanted)
        if any(height % found[name].shape[0] or width % found[name].shape[1] for name in wanted):
            return None
        return np.stack([_repeated(found[name], height, width) for name in wanted])


def open_tile(tile: Tile, classes: int = 0) -> OpenedTile:
    """Read all files of a tile; what cannot be read is listed, not raised.

    Args:
        tile: to be read.
        classes: of the collection; its mask may hold that many codes unless the tile recodes them.
    """
    files, broken = [], []
    for modality, raster in tile.rasters.items():
        for place, named in _by_file(raster).items():
            try:
                header, bands, pixels = _read(place, named)
            except (DataNotFoundError, DataCorruptError) as error:
                reason = str(error).removeprefix(f"{place} ")
                broken.append((str(place), " ".join(named.values()), reason))
                continue
            files.append(OpenedFile(modality, raster, place, header, named, bands, pixels))
    codes = len(tile.recode) if tile.recode is not None else classes or None
    return OpenedTile(tile, codes, tuple(files), tuple(broken))


def majority(values: Sequence[T]) -> T:
    """The most frequent value, the first of equals."""
    return Counter(values).most_common(1)[0][0]


def _by_file(raster: Raster) -> dict[BandFile, dict[int, str]]:
    found: dict[BandFile, dict[int, str]] = {}
    for band, file in zip(raster.bands, raster.files, strict=True):
        found.setdefault(BandFile(file.path, 1, file.row), {})[file.index] = band
    return found


def _read(place: BandFile, named: dict[int, str]) -> tuple[Header, tuple[str, ...], NDArray[Any]]:
    import rasterio

    with rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING=True), opened(place) as source:
        placed = source.crs is not None
        tags = source.tags()
        for index in source.indexes:
            tags |= source.tags(index)
        header = Header(
            source.count,
            (source.height, source.width),
            source.crs,
            source.transform if placed else None,
            tuple(source.bounds) if placed else None,
            source.nodata,
            tuple(text or "" for text in source.descriptions),
            tuple(source.scales),
            tuple(source.offsets),
            tags,
        )
        there = {index: band for index, band in named.items() if index <= source.count}
        pixels = source.read(list(there)) if there else np.empty((0, source.height, source.width))
    return header, tuple(there.values()), pixels


def _repeated(pixels: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    down, right = height // pixels.shape[0], width // pixels.shape[1]
    return pixels.repeat(down, axis=0).repeat(right, axis=1)
