"""Small rasters in the file layouts of Earth-observation data sets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from affine import Affine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def draw_raster(bands: int, size: int = 8, seed: int = 0, high: int = 4000, dtype: str = "uint16") -> NDArray[Any]:
    """Numbers from 1 to ``high``, none of them nodata."""
    return np.random.default_rng(seed).integers(1, high, (bands, size, size), endpoint=True).astype(dtype)


def write_raster(
    file: Path,
    pixels: NDArray[Any],
    *,
    crs: str | None = "EPSG:32632",
    resolution: float = 10,
    corner: tuple[float, float] = (500_000, 5_300_000),
    descriptions: Sequence[str] = (),
) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype}
    if crs is not None:
        profile |= {"crs": crs, "transform": Affine(resolution, 0, corner[0], 0, -resolution, corner[1])}
    with rasterio.open(file, "w", **profile) as target:
        target.write(pixels)
        for number, text in enumerate(descriptions, start=1):
            target.set_band_description(number, text)
    return file


def needs(folder: str) -> pytest.MarkDecorator:
    """Skip where the real data are not there."""
    return pytest.mark.skipif(
        not real(folder).is_dir(), reason=f"needs real data: set GEOZOO_DATA to a folder with {folder}/"
    )


def real(folder: str) -> Path:
    return Path(os.environ.get("GEOZOO_DATA", "")) / folder
