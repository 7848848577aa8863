"""SEN12MS and DFC2020 in their published layouts, tiny, with land cover that can be told from the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.chips.ingest import begin_ingest, finish_ingest
from geozoo.eo.chips.workers import cut_parts
from geozoo.eo.readers import find_collection
from tests.support.tiles import write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = 32
CODES = (2, 4, 6, 7, 10)
"""Of DFC2020: Shrubland, Grassland, Croplands, Urban, Water."""
IGBP = {2: 7, 4: 10, 6: 12, 7: 13, 10: 17}
ZONES = ("EPSG:32614", "EPSG:32630", "EPSG:32633", "EPSG:32656")


def draw_cover(seed: int, size: int = SIZE) -> NDArray[Any]:
    """Codes of DFC2020 ``[size, size]``: squares of a quarter of the side, most of them of one class."""
    rng = np.random.default_rng(seed)
    squares = np.where(rng.random((4, 4)) < 0.7, CODES[seed % len(CODES)], rng.choice(CODES, (4, 4)))
    return squares.repeat(size // 4, 0).repeat(size // 4, 1).astype("uint16")


def draw_pair(cover: NDArray[Any], seed: int) -> dict[str, NDArray[Any]]:
    """Sentinel-1 and Sentinel-2 whose every band tells the class, with noise."""
    rng, cover = np.random.default_rng([seed, 1]), cover.astype(float)
    radar = -22 + 2 * cover + rng.normal(0, 1, (2, *cover.shape))
    optical = 400 + 300 * cover * np.linspace(0.5, 1.5, 13)[:, None, None] + rng.normal(0, 60, (13, *cover.shape))
    return {"s1": radar.astype("float32"), "s2": optical.clip(1).astype("uint16")}


def write_dfc2020(root: Path, size: int = SIZE) -> Path:
    """12 patches of the contest's validation folder in three zones, 6 of its test folder in another."""
    plan = [("validation", "validation", number, ZONES[number % 3]) for number in range(12)]
    plan += [("test", "0", number, ZONES[3]) for number in range(6)]
    for part, suffix, number, crs in plan:
        seed = number + (100 if part == "test" else 0)
        cover = draw_cover(seed, size)
        files = {**draw_pair(cover, seed), "lc": np.stack([cover] * 4), "dfc": cover[None]}
        for source, pixels in files.items():
            name = f"ROIs0000_{part}_{source}_0_p{number}.tif"
            write_raster(root / f"ROIs0000_{part}" / f"{source}_{suffix}" / name, pixels, crs=crs)
    return root


def write_sen12ms(root: Path, size: int = SIZE) -> Path:
    """16 patches of 8 scenes, the last scene named in the list of held-out scenes."""
    for scene in range(1, 9):
        for number in (30, 31):
            seed = 1000 + 2 * scene + number
            cover = draw_cover(seed, size)
            igbp = np.vectorize(IGBP.__getitem__)(cover).astype("uint16")
            for source, pixels in {**draw_pair(cover, seed), "lc": np.stack([igbp] * 4)}.items():
                name = f"ROIs1158_spring_{source}_{scene}_p{number}.tif"
                write_raster(root / "ROIs1158_spring" / f"{source}_{scene}" / name, pixels)
    (root / "SEN12MS_holdOutScenes.txt").write_text("ROIs1158_spring/s1_8\n")
    return root


def ingest(root: Path, url: Path, size: int = SIZE) -> str:
    """The URL of a chip store of a folder."""
    for _ in cut_parts(begin_ingest(find_collection(root), str(url), size)):
        pass
    finish_ingest(str(url))
    return str(url)
