"""Small chip stores and the rasters they are cut from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from geozoo.eo.chips import open_chips
from geozoo.eo.chips.ingest import begin_ingest, finish_ingest
from geozoo.eo.chips.workers import cut_parts
from geozoo.eo.tiles import Collection, Raster, Tile
from tests.support.tiles import write_raster

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geozoo.eo.chips import Chips

SENSORS = {"s1": "s1", "s2": "s2l1c", "rgb": "rgb", "mask": "labels"}
BANDS = {"s1": ("VV", "VH"), "s2": ("B02", "B03", "B04", "B08"), "rgb": ("R", "G", "B"), "mask": ("label",)}


def draw_modality(name: str, height: int, width: int, seed: int = 0) -> NDArray[Any]:
    """Pixels of one modality, all measured; codes 0 to 3 in a mask."""
    rng = np.random.default_rng(seed)
    shape = (len(BANDS[name]), height, width)
    if name == "s1":
        return rng.normal(-12, 3, shape).astype("float32")
    high, dtype = {"s2": (4000, "uint16"), "rgb": (256, "uint8"), "mask": (4, "uint8")}[name]
    return rng.integers(1 if name == "s2" else 0, high, shape).astype(dtype)


def make_tile(folder: Path, name: str, pixels: dict[str, NDArray[Any]], scene: str = "", **place: Any) -> Tile:
    """A tile of rasters written now; ``place`` are options of `write_raster`, or ``place[modality]`` for one."""
    common = {key: value for key, value in place.items() if key not in pixels}
    rasters = {}
    for modality, values in pixels.items():
        file = write_raster(folder / modality / f"{name}.tif", values, **common | place.get(modality, {}))
        rasters[modality] = Raster.of_file(SENSORS[modality], file, BANDS[modality][: len(values)])
    return Tile(name, rasters, scene or name)


def make_collection(
    folder: Path, modalities: Sequence[str] = ("s1", "s2"), tiles: int = 3, height: int = 20, width: int = 28
) -> Collection:
    """Tiles side by side; two in a row are of one scene."""
    made = []
    for number in range(tiles):
        pixels = {name: draw_modality(name, height, width, 10 * number + at) for at, name in enumerate(modalities)}
        corner = (500_000 + 1000.0 * number, 5_300_000.0)
        made.append(make_tile(folder, f"t{number}", pixels, f"scene{number // 2}", corner=corner))
    return Collection("made", tuple(made), ("a", "b", "c", "d"))


def ingest(collection: Collection, url: str, size: int = 8, workers: int = 1, **options: Any) -> Chips:
    """All of an ingest."""
    for _ in cut_parts(begin_ingest(collection, url, size, **options), workers):
        pass
    finish_ingest(url)
    return open_chips(url)


def file_pixels(tile: Tile, modality: str) -> NDArray[Any]:
    """All numbers of the one file of a modality."""
    with rasterio.open(tile.rasters[modality].files[0].path) as source:
        return np.asarray(source.read())


def windows(
    collection: Collection, modality: str, size: int = 8, stride: int | None = None
) -> list[tuple[Tile, int, int, NDArray[Any]]]:
    """Tile, row, column and pixels of every whole window, by plain loops."""
    return [
        (tile, row, column, pixels[:, row : row + size, column : column + size])
        for tile in collection.tiles
        for pixels in [file_pixels(tile, modality)]
        for row in range(0, pixels.shape[1] - size + 1, stride or size)
        for column in range(0, pixels.shape[2] - size + 1, stride or size)
    ]
