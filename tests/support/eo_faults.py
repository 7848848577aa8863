"""Faults that are put into copies of real tiles, and what must be found of each."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from geozoo.eo.check import Finding, check_collection
from tests.support.eo_real import NAMES, copy_collection, find_copy

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.eo.tiles import Collection, Raster, Tile

Draw = np.random.Generator


@dataclass(frozen=True)
class Expected:
    """What must be found: a check, a file, and a band where the fault is one band's."""

    check: str
    file: str
    band: str | None = None


@dataclass(frozen=True)
class Target:
    """One file of a collection that can be damaged: ``bands`` by their index in it."""

    tile: Tile
    modality: str
    path: str
    bands: dict[int, str]

    @property
    def raster(self) -> Raster:
        """That the file belongs to."""
        return self.tile.rasters[self.modality]

    @property
    def sensor(self) -> str:
        """Of the raster."""
        return self.raster.sensor


Fault = tuple["Callable[[Draw, Target, Collection], list[Expected]]", "Callable[[Target, Collection], bool]"]


def targets_of(collection: Collection) -> list[Target]:
    """All files of a collection."""
    found: dict[tuple[str, str], Target] = {}
    for tile in collection.tiles:
        for modality, raster in tile.rasters.items():
            for band, file in zip(raster.bands, raster.files, strict=True):
                target = found.setdefault((modality, file.path), Target(tile, modality, file.path, {}))
                target.bands[file.index] = band
    return list(found.values())


def rewrite(path: str, change: Callable[[Any, dict[str, Any]], Any], **tags: str) -> None:
    """Write a file again after ``change(pixels, profile)``, which returns pixels and may edit the profile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as source:
            pixels, profile, descriptions = source.read(), dict(source.profile), source.descriptions
        for key in ("blockxsize", "blockysize", "tiled", "interleave", "photometric"):
            profile.pop(key, None)
        pixels = change(pixels, profile)
        profile |= {"count": len(pixels), "height": pixels.shape[1], "width": pixels.shape[2], "dtype": pixels.dtype}
        Path(path).unlink()
        with rasterio.open(path, "w", **profile) as target:
            target.write(pixels)
            if len(descriptions) == len(pixels):
                target.descriptions = descriptions
            target.update_tags(**tags)


def _some(draw: Draw, pixels: Any) -> Any:
    """A rectangle or scattered pixels: at least one, not all."""
    chosen = np.zeros(pixels.shape[-2:], bool)
    if draw.random() < 0.5:
        chosen.flat[draw.choice(chosen.size, draw.integers(1, 20), replace=False)] = True
    else:
        rows, columns = (draw.integers(1, size // 2) for size in chosen.shape)
        chosen[:rows, :columns] = True
    return chosen


def _one_band(draw: Draw, target: Target, value: Any, check: str, *, whole: bool = False) -> list[Expected]:
    index = int(draw.choice(list(target.bands)))

    def change(pixels: Any, profile: dict[str, Any]) -> Any:
        chosen = np.ones(pixels.shape[-2:], bool) if whole else _some(draw, pixels)
        pixels[index - 1][chosen] = value
        return pixels

    rewrite(target.path, change)
    return [Expected(check, target.path, target.bands[index])]


def truncate(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    content = Path(target.path).read_bytes()
    Path(target.path).write_bytes(content[: int(len(content) * draw.uniform(0.2, 0.8))])
    return [Expected("unreadable", target.path)]


def drop_or_add_band(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    drop = len(target.bands) > 1 and draw.random() < 0.5
    rewrite(target.path, lambda pixels, profile: pixels[:-1] if drop else np.concatenate([pixels, pixels[:1]]))
    return [Expected("band_count", target.path)]


def swap_descriptions(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    one, other = draw.choice(list(target.bands), 2, replace=False)
    said = [target.bands[index] for index in sorted(target.bands)]
    said[one - 1], said[other - 1] = said[other - 1], said[one - 1]
    with rasterio.open(target.path, "r+") as file:
        file.descriptions = said
    return [Expected("band_order", target.path, target.bands[index]) for index in (one, other)]


def put_nan(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    return _one_band(draw, target, draw.choice([np.nan, np.inf, -np.inf]), "non_finite", whole=draw.random() < 0.2)


def put_nodata(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    return _one_band(draw, target, 0, "nodata", whole=draw.random() < 0.3)


def put_constant(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    return _one_band(draw, target, int(draw.integers(1, 100)), "constant", whole=True)


def saturate(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    index = int(draw.choice(list(target.bands)))

    def change(pixels: Any, profile: dict[str, Any]) -> Any:
        pixels[index - 1][_some(draw, pixels)] = 65535
        return pixels

    rewrite(target.path, change)
    return [Expected("saturated", target.path, target.bands[index])]


def put_edge(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    def change(pixels: Any, profile: dict[str, Any]) -> Any:
        pixels[:, :, : draw.integers(1, 10)] = 1
        return pixels

    rewrite(target.path, change)
    return [Expected("swath_edge", target.path)]


def change_type(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    wrong = {"s1": ("int16", "uint8"), "rgb": ("uint16", "float32")}.get(target.sensor, ("float32", "uint8", "int32"))
    rewrite(target.path, lambda pixels, profile: pixels.clip(0, 255).astype(draw.choice(wrong)))
    return [Expected("dtype", target.path)]


def change_crs(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    def change(pixels: Any, profile: dict[str, Any]) -> Any:
        if alone and profile["crs"].is_geographic:
            profile["crs"] = draw.choice([None, "EPSG:32631"])
        else:
            profile["crs"] = draw.choice([None, "EPSG:4326"] if alone else [None, "EPSG:4326", "EPSG:3035"])
        return pixels

    alone = len(target.tile.rasters) == 1
    rewrite(target.path, change)
    return [Expected("crs", target.path)]


def shift_grid(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    def change(pixels: Any, profile: dict[str, Any]) -> Any:
        kind = draw.choice(["move", "crop", "coarsen"])
        if kind == "move":
            profile["transform"] @= rasterio.Affine.translation(*draw.uniform(0.5, 20, 2))
            return pixels
        if kind == "crop":
            return pixels[:, : -draw.integers(1, 8)]
        profile["transform"] @= rasterio.Affine.scale(2)
        return pixels[:, ::2, ::2]

    rewrite(target.path, change)
    return [Expected("grid", target.path)]


def change_resolution(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    def change(pixels: Any, profile: dict[str, Any]) -> Any:
        profile["transform"] @= rasterio.Affine.scale(2)
        return pixels[:, ::2, ::2]

    rewrite(target.path, change)
    return [Expected("resolution", target.path)]


def ask_for_offset(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    kind = draw.choice(["tag", "baseline", "scale"])
    if kind == "scale":
        with rasterio.open(target.path, "r+") as file:
            file.scales = [1e-4] * file.count
            file.offsets = [-0.1] * file.count
    else:
        name = "BOA_ADD_OFFSET" if target.sensor == "s2l2a" else "RADIO_ADD_OFFSET"
        tags = {name: "-1000"} if kind == "tag" else {"PROCESSING_BASELINE": str(draw.choice(["04.00", "05.09"]))}
        rewrite(target.path, lambda pixels, profile: pixels, **tags)
    return [Expected("offset", target.path)]


def resample_labels(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    def change(pixels: Any, profile: dict[str, Any]) -> Any:
        mixed = pixels.astype("float32")
        mixed[:, :, :-1] = (mixed[:, :, :-1] + mixed[:, :, 1:]) / 2
        return mixed if draw.random() < 0.7 else pixels.astype("float32")

    rewrite(target.path, change)
    return [Expected("label_type", target.path, "label")]


def put_unknown_code(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    value = int(draw.integers(len(collection.classes), 255))
    return _one_band(draw, target, value, "label_code")


def duplicate(draw: Draw, target: Target, collection: Collection) -> list[Expected]:
    """Give a tile the pixels of another; whichever comes later in the collection is the duplicate."""
    order = [tile.id for tile in collection.tiles]
    other = str(draw.choice([name for name in order if name != target.tile.id]))
    source = next(tile for tile in collection.tiles if tile.id == other).rasters[target.modality]
    for file, from_file in zip(target.raster.files, source.files, strict=True):
        with rasterio.open(from_file.path) as opened:
            pixels = opened.read()
        if from_file.index == 1:
            rewrite(file.path, lambda _, profile, pixels=pixels: pixels)
    later = max(target.tile.id, other, key=order.index)
    raster = target.raster if later == target.tile.id else source
    return [Expected("duplicate", raster.files[0].path)]


def _sentinel2(target: Target, collection: Collection) -> bool:
    return target.sensor in ("s2l1c", "s2l2a")


def _several(target: Target, collection: Collection) -> bool:
    return len(target.tile.rasters) > 2 or len(target.raster.files) > len(target.bands)


def _uint16(target: Target, collection: Collection) -> bool:
    with rasterio.open(target.path) as file:
        return _sentinel2(target, collection) and file.dtypes[0] == "uint16"


def _sensor(*names: str) -> Callable[[Target, Collection], bool]:
    return lambda target, collection: target.sensor in names


def _imagery(target: Target, collection: Collection) -> bool:
    return target.sensor != "labels"


def _projected(target: Target, collection: Collection) -> bool:
    with rasterio.open(target.path) as file:
        return len(target.tile.rasters) == 1 and len(collection.tiles) > 2 and bool(file.crs.is_projected)


FAULTS: dict[str, Fault] = {
    "truncated file": (truncate, lambda target, collection: True),
    "band dropped or added": (drop_or_add_band, _imagery),
    "descriptions of two bands swapped": (
        swap_descriptions,
        lambda target, collection: target.sensor in ("s1", "s2l1c", "s2l2a") and len(target.bands) > 1,
    ),
    "NaN or infinity": (put_nan, _sensor("s1")),
    "nodata": (put_nodata, _sentinel2),
    "constant band": (put_constant, _imagery),
    "saturated": (saturate, _uint16),
    "edge of the swath": (
        put_edge,
        lambda target, collection: _sentinel2(target, collection) and len(target.bands) > 2,
    ),
    "wrong type": (change_type, _imagery),
    "CRS removed or replaced": (
        change_crs,
        lambda target, collection: _several(target, collection) or len(collection.tiles) > 2,
    ),
    "grid moved, cropped or coarser": (shift_grid, _several),
    "tile at another resolution": (change_resolution, _projected),
    "offset in metadata, not applied": (ask_for_offset, _sentinel2),
    "labels resampled or as floats": (resample_labels, _sensor("labels")),
    "unknown label code": (put_unknown_code, _sensor("labels")),
    "duplicated tile": (duplicate, _imagery),
}
"""Each fault: how it is put in, and which files can carry it."""


@dataclass(frozen=True)
class Injected:
    """A damaged collection below ``folder`` and what must be found in it."""

    fault: str
    name: str
    folder: Path
    expected: list[Expected]

    def missed(self) -> list[Expected]:
        """What a reader and the certain checks after it do not find with kind, file and band."""
        said = check_collection(find_copy(self.name, self.folder), statistical=False)
        found = [word for word in said if isinstance(word, Finding)]
        return [expected for expected in self.expected if not any(_matches(expected, word) for word in found)]


def inject(fault: str, seed: int, folder: Path) -> Injected:
    """Copy a random collection that can carry a fault below ``folder``, and damage one of its files."""
    draw = np.random.default_rng(seed)
    damage, fits = FAULTS[fault]
    for name in draw.permutation(NAMES):
        collection = copy_collection(str(name), folder)
        targets = [target for target in targets_of(collection) if fits(target, collection)]
        if targets:
            target = targets[draw.integers(len(targets))]
            return Injected(fault, str(name), folder, damage(draw, target, collection))
    raise AssertionError(f"no collection can carry {fault}")


def _matches(expected: Expected, found: Finding) -> bool:
    same = (found.check, found.file) == (expected.check, expected.file)
    return same and expected.band in (None, found.band)
