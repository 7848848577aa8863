"""A map of classes over a whole scene: overlapping tiles, their logits blended, written strip by strip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geozoo.eo.bands import select_bands
from geozoo.eo.chips.plan import reference_raster
from geozoo.eo.tiles import IGNORE, Window, grid_of, read_raster, valid_pixels
from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from geozoo.eo.tiles import Grid, Tile
    from geozoo.ssl.downstream.predictor import Predictor

    Logits = Callable[[Mapping[str, Tensor]], Tensor]
    Strips = Callable[[int, int], Mapping[str, NDArray[Any]]]

AT_ONCE = 2**18
"""Pixels of the tiles that a network sees together, at most."""


@dataclass(frozen=True)
class Strip:
    """Finished rows of a map, from ``row`` on.

    Attributes:
        row: the first of them.
        classes: uint8 ``[rows, width]``.
        probability: float32 likewise, of that class: softmax of the blended logits.
    """

    row: int
    classes: NDArray[np.uint8]
    probability: NDArray[np.float32]


def write_map(
    predictor: Predictor,
    scene: Tile,
    path: str | Path,
    probability: str | Path | None = None,
    stride: int | None = None,
    on_rows: Callable[[int, int], object] = lambda done, total: None,
) -> Grid:
    """Write the classes of a scene as GeoTIFF: uint8 with the scene's place, a colour table, and nodata 255.

    255 stands where a band was not measured. A predictor of one class a chip says the same of all pixels of a tile,
    so its maps are as coarse as tiles, smoothed by their overlap. Memory holds a few strips as high as a tile.

    Args:
        predictor: with one class a chip or a pixel.
        scene: a place with the modalities and bands of the predictor.
        path: the file to write.
        probability: another file for the probability of the class, float32, NaN where there is none.
        stride: pixels from tile to tile; half a tile where not given.
        on_rows: called with the rows done and all.

    Raises:
        InputError: the predictor says several classes, or the scene is smaller than a tile or of other sensors.
        BandError: it lacks a band.
    """
    import rasterio

    size = predictor.card.size
    _check(predictor, scene)
    grid = grid_of(reference_raster(scene))
    if min(grid.height, grid.width) < size:
        raise InputError(
            f"scene {scene.id} has {grid.height}x{grid.width} pixels, less than the {size} that {predictor.url} sees: "
            "give a larger one"
        )
    step = stride or size // 2
    if step > size:
        raise InputError(f"tiles of {size} pixels that are {step} apart leave gaps: choose a stride of at most {size}")
    profile = {"driver": "GTiff", "count": 1, "height": grid.height, "width": grid.width, "compress": "deflate"}
    if grid.crs is not None:
        profile |= {"crs": grid.crs, "transform": grid.transform}
    with rasterio.open(path, "w", dtype="uint8", nodata=IGNORE, **profile) as target:
        target.write_colormap(1, palette(len(predictor.card.classes)))
        target.update_tags(**{f"CLASS_{number}": name for number, name in enumerate(predictor.card.classes)})
        likely = rasterio.open(probability, "w", dtype="float32", nodata=np.nan, **profile) if probability else None
        try:
            for strip in predict_strips(predictor.logits, _reader(predictor, scene, grid), grid, size, step):
                rectangle = rasterio.windows.Window(0, strip.row, *strip.classes.shape[::-1])
                measured = _measured(predictor, scene, grid, strip)
                target.write(np.where(measured, strip.classes, IGNORE).astype(np.uint8), 1, window=rectangle)
                if likely is not None:
                    likely.write(np.where(measured, strip.probability, np.nan), 1, window=rectangle)
                on_rows(strip.row + len(strip.classes), grid.height)
        finally:
            if likely is not None:
                likely.close()
    return grid


def predict_strips(logits: Logits, read: Strips, grid: Grid, size: int, stride: int) -> Iterator[Strip]:
    """The whole of a grid, from top to bottom, each row once.

    Tiles of ``size`` lie ``stride`` apart, the last ones at the far edges. Where they overlap their logits are
    averaged, weighted by a squared sine over the tile in both directions, which is least at its edges.

    Args:
        logits: of tiles by modality float32 ``[n, bands, size, size]``: ``[n, classes]`` or ``[n, classes, size,
            size]``.
        read: pixels by modality ``[bands, rows, width]`` of so many rows from a first one.
        grid: of the scene, no smaller than a tile.
        size: side of a tile.
        stride: at most ``size``.
    """
    downs, rights = starts(grid.height, size, stride), starts(grid.width, size, stride)
    wave = torch.sin(torch.pi * (torch.arange(size) + 0.5) / size).square()
    weights = wave[:, None] * wave[None, :]
    sums: Tensor | None = None
    total = torch.zeros(size, grid.width)
    for down, after in zip(downs, [*downs[1:], grid.height], strict=True):
        pixels = {name: torch.from_numpy(one.astype(np.float32)) for name, one in read(down, size).items()}
        for right, tile in _tiles(logits, pixels, rights, size):
            if sums is None:
                sums = torch.zeros(len(tile), size, grid.width)
            sums[:, :, right : right + size] += weights * (tile if tile.ndim == 3 else tile[:, None, None])
            total[:, right : right + size] += weights
        assert sums is not None
        done = after - down
        likely, classes = (sums[:, :done] / total[:done]).softmax(0).max(0)
        yield Strip(down, classes.to(torch.uint8).numpy(), likely.numpy())
        sums = torch.cat([sums[:, done:], torch.zeros(len(sums), done, grid.width)], dim=1)
        total = torch.cat([total[done:], torch.zeros(done, grid.width)])


def starts(length: int, size: int, stride: int) -> list[int]:
    """Where tiles begin along one axis: every ``stride`` pixels, and the last where the axis ends."""
    regular = list(range(0, length - size + 1, stride))
    return regular if regular[-1] == length - size else [*regular, length - size]


def palette(classes: int) -> dict[int, tuple[int, int, int, int]]:
    """Colours of class numbers, those of matplotlib's ``tab20``."""
    from matplotlib import colormaps

    colours = colormaps["tab20"]
    rows = [colours(number % 20, bytes=True) for number in range(classes)]
    return {number: tuple(int(part) for part in row) for number, row in enumerate(rows)}  # type: ignore[misc]


def write_preview(path: str | Path, preview: str | Path, most: int = 2048) -> None:
    """A map of `write_map` as PNG in its colours, transparent where it has no class, at most so many pixels a side."""
    import rasterio
    from PIL import Image

    with rasterio.open(path) as source:
        shrink = max(1.0, max(source.shape) / most)
        shape = tuple(max(1, round(side / shrink)) for side in source.shape)
        classes, colours = source.read(1, out_shape=shape), source.colormap(1)
    table = np.zeros((256, 4), np.uint8)
    for number, colour in colours.items():
        table[number] = colour
    table[IGNORE] = 0
    Image.fromarray(table[classes], "RGBA").save(preview)


def _tiles(logits: Logits, strip: Mapping[str, Tensor], rights: list[int], size: int) -> Iterator[tuple[int, Tensor]]:
    """Column and logits of every tile of a strip."""
    step = max(1, AT_ONCE // size**2)
    for first in range(0, len(rights), step):
        some = rights[first : first + step]
        batch = {name: torch.stack([one[:, :, at : at + size] for at in some]) for name, one in strip.items()}
        yield from zip(some, logits(batch), strict=True)


def _check(predictor: Predictor, scene: Tile) -> None:
    if predictor.card.experiment.task == "multi":
        raise InputError(
            f"{predictor.url} says several classes of a chip, which no map shows: keep one of another task"
        )
    for name, bands in predictor.bands.items():
        if name not in scene.rasters:
            raise InputError(f"scene {scene.id} has no {name} (it has {', '.join(scene.rasters)}): give one that has")
        raster, sensor = scene.rasters[name], predictor.card.sensors[name]
        if raster.sensor != sensor:
            raise InputError(
                f"{name} of scene {scene.id} is {raster.sensor}, but {predictor.url} learned from {sensor}: give a "
                "scene of that product"
            )
        select_bands(raster.bands, bands, f"{name} of scene {scene.id}")


def _reader(predictor: Predictor, scene: Tile, grid: Grid) -> Strips:
    def read(first: int, rows: int) -> dict[str, NDArray[Any]]:
        window = Window(first, 0, rows, grid.width)
        return {
            name: read_raster(scene.rasters[name], bands, window, grid=grid) for name, bands in predictor.bands.items()
        }

    return read


def _measured(predictor: Predictor, scene: Tile, grid: Grid, strip: Strip) -> NDArray[np.bool_]:
    pixels = _reader(predictor, scene, grid)(strip.row, len(strip.classes))
    parts = [valid_pixels(one, scene.rasters[name].nodata) for name, one in pixels.items()]
    return np.asarray(np.logical_and.reduce(parts))
