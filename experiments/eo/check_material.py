"""Real pieces of 64x64 pixels to measure the checks on, each with the scene that it was cut from."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from geozoo.eo.bands import EUROSAT_BANDS, SENTINEL2_L1C, SENTINEL2_L2A
from geozoo.eo.check.opened import open_tile
from geozoo.eo.check.scenes import MOST_TILES
from tests.support.eo_real import copy_collection
from tests.support.tiles import real

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 64
CARRYING = ("282D_485L_3_3 L1C", "433D_629L_3_1 L1C", "609U_541L_3_0 L1C", "433D_629L_3_1 L2A")
"""Tiles of TerraMind whose numbers carry the offset of 1000 as they are: B10 over 1000, or nothing under 960."""


@dataclass(frozen=True)
class Piece:
    """A piece of Sentinel-2.

    Attributes:
        source: data set.
        scene: place that it was cut from, whatever date or level; patches of unknown origin count as their own.
        level: ``L1C`` or ``L2A``.
        bands: pixels ``[64, 64]`` by name.
        carrying: whether the offset of 1000 is in the numbers as published.
    """

    source: str
    scene: str
    level: str
    bands: dict[str, NDArray[Any]]
    carrying: bool = False


@cache
def sentinel2_pieces() -> tuple[Piece, ...]:
    """All pieces of Sentinel-2: 300 patches of unknown scenes and 234 pieces of 19 known places."""
    return (*_patches(), *_pairs(), *_terramind_l1c(), *_eurosat(), *_boadella())


@cache
def sentinel1_pieces() -> tuple[tuple[str, NDArray[Any]], ...]:
    """Scene and pixels ``[2, 64, 64]`` of Sentinel-1 in dB."""
    packed = _pairs_file()
    return tuple(zip(_scenes(packed), packed["s1"], strict=True))


@cache
def label_pieces() -> tuple[tuple[str, NDArray[Any]], ...]:
    """Scene and codes of the land cover of TerraMind, in pieces."""
    return tuple(
        (file.stem, cut[0])
        for file in sorted((real("terramind_s1s2") / "LULC").glob("*.tif"))
        for cut in _cut(_read(file))
    )


@cache
def pairs_by_scene() -> dict[str, list[tuple[NDArray[Any], NDArray[Any]]]]:
    """S1 and the 10 m bands of S2 of 12 scenes: TerraMind and BigEarthNet whole, Sen1Floods11 in 32 pieces."""
    found: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, modality in (("terramind_s1s2", "s2l2a"), ("bigearthnet_mm", "s2")):
            for tile in copy_collection(name, Path(folder)).tiles:
                opened = open_tile(tile)
                radar, optical = opened.stack("s1"), opened.stack(modality, ("B02", "B03", "B04", "B08"))
                assert radar is not None
                assert optical is not None
                found[f"{name} {tile.id}"] = [(radar, optical)]
    packed = _pairs_file()
    for scene, s1, s2 in zip(_scenes(packed), packed["s1"], packed["s2"], strict=True):
        if scene.startswith("sen1floods11") and len(found.get(scene, ())) < MOST_TILES:
            found.setdefault(scene, []).append((s1, s2[[1, 2, 3, 7]]))
    return found


def _patches() -> list[Piece]:
    with np.load(real("s2_l2a_patches") / "s2_l2a_300.npz") as packed:
        patches = packed["x"]
    return [
        Piece("patches", f"patch {number}", "L2A", dict(zip(SENTINEL2_L2A, patch, strict=True)))
        for number, patch in enumerate(patches)
    ]


def _pairs() -> list[Piece]:
    packed = _pairs_file()
    return [
        Piece(
            "pairs",
            scene.removeprefix("terramind/"),
            str(level),
            dict(zip(SENTINEL2_L2A, pixels, strict=True)),
            f"{scene.removeprefix('terramind/')} {level}" in CARRYING,
        )
        for scene, level, pixels in zip(_scenes(packed), packed["s2_level"], packed["s2"], strict=True)
    ]


def _terramind_l1c() -> list[Piece]:
    return [
        Piece("terramind", file.stem, "L1C", dict(zip(SENTINEL2_L1C, cut, strict=True)), f"{file.stem} L1C" in CARRYING)
        for file in sorted((real("terramind_s1s2") / "S2L1C").glob("*.tif"))
        for cut in _cut(_read(file))
    ]


def _eurosat() -> list[Piece]:
    return [
        Piece("eurosat", file.stem, "L1C", dict(zip(EUROSAT_BANDS, _read(file), strict=True)))
        for file in sorted(real("eurosat_ms").glob("*/*.tif"))
    ]


def _boadella() -> list[Piece]:
    return [
        Piece("boadella", "Boadella", "L2A", dict(zip(SENTINEL2_L2A, cut, strict=True)))
        for file in sorted(real("s2_scenes").glob("*.tif"))
        for cut in _cut(_read(file))
    ]


@cache
def _pairs_file() -> dict[str, NDArray[Any]]:
    with np.load(real("s1s2_pairs64") / "s1s2_pairs_64.npz") as packed:
        return dict(packed)


def _scenes(packed: dict[str, NDArray[Any]]) -> list[str]:
    return [str(source).split("@")[0] for source in packed["source"]]


def _read(file: Path) -> NDArray[Any]:
    with rasterio.open(file) as source:
        pixels: NDArray[Any] = source.read()
    return pixels


def _cut(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    rows, columns = (size // SIZE for size in pixels.shape[1:])
    return [
        pixels[:, SIZE * row : SIZE * (row + 1), SIZE * column : SIZE * (column + 1)]
        for row in range(rows)
        for column in range(columns)
    ]
