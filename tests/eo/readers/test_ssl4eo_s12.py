from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from torchgeo.datasets import SSL4EOS12

from geozoo.eo.readers import find_collection
from geozoo.eo.readers.ssl4eo_s12 import SOURCES
from geozoo.eo.tiles import read_raster
from geozoo.errors import DataCorruptError, DataNotFoundError
from tests.support.tiles import draw_raster, write_raster

if TYPE_CHECKING:
    from pathlib import Path

DATES = ("20201215", "20200922", "20200604", "20210310")
PLACES = ("0000000", "0000001")
RADAR = ("S1B", "S1A", "S1B", "S1A")
BANDS = {source: SSL4EOS12.metadata[source]["bands"] for source in ("s1", "s2c", "s2a")}
"""The files of a product, as TorchGeo names them."""


def product_names(source: str) -> list[str]:
    if source == "s1":
        pairs = zip(RADAR, DATES, strict=True)
        return [f"{name}_IW_GRDH_1SDV_{date}T010800_{date}T010825_032904_03CFBA_D457" for name, date in pairs]
    return [f"{date}T054639_{date}T054831_T43RCP" for date in DATES]


def write_ssl4eo(root: Path, sources: tuple[str, ...] = ("s1", "s2c", "s2a"), size: int = 264) -> None:
    for place in PLACES:
        for source in sources:
            for season, name in enumerate(product_names(source)):
                for number, band in enumerate(BANDS[source]):
                    side = size if band in ("VV", "VH", "B2", "B3", "B4", "B8") else size // 2
                    pixels = draw_raster(1, side, seed=100 * season + number + int(place))
                    file = root / source / place / name / f"{band}.tif"
                    resolution = 1e-4 * size / side
                    write_raster(file, pixels, crs="EPSG:4326", corner=(8, 47), resolution=resolution)


def test_bands_are_torchgeos_and_counted_right() -> None:
    for source, (_, bands) in SOURCES.items():
        assert [band.replace("B0", "B") for band in bands] == BANDS[source]
    assert [len(SOURCES[source][1]) for source in ("s1", "s2c", "s2a")] == [2, 13, 12]


def test_seasons_are_paired_by_date(tmp_path: Path) -> None:
    write_ssl4eo(tmp_path, size=4)
    found = find_collection(tmp_path)
    assert found.name == "ssl4eo_s12"
    assert [(tile.id, tile.scene) for tile in found.tiles] == [(f"{p}_{s}", p) for p in PLACES for s in range(4)]
    assert [tile.date for tile in found.tiles[:4]] == ["2020-06-04", "2020-09-22", "2020-12-15", "2021-03-10"]
    for tile in found.tiles:
        day = tile.date.replace("-", "") if tile.date else ""
        for source, raster in tile.rasters.items():
            assert f"/{source}/{tile.scene}/" in raster.files[0].path
            assert f"{day}T" in raster.files[0].path


@pytest.mark.parametrize("source", ["s1", "s2c", "s2a"])
def test_pixels_are_torchgeos(tmp_path: Path, source: str) -> None:
    write_ssl4eo(tmp_path, (source,))
    tiles = [tile for tile in find_collection(tmp_path).tiles if tile.scene == "0000001"]
    four = SSL4EOS12(str(tmp_path), split=source, seasons=4)[1]  # type: ignore[arg-type]
    theirs = dict(zip(four["t"].tolist(), four["image"].numpy().reshape(4, len(BANDS[source]), 264, 264), strict=True))
    for tile, moment in zip(tiles, sorted(theirs), strict=True):
        ours = read_raster(tile.rasters[source])
        for number, file in enumerate(tile.rasters[source].files):
            with rasterio.open(file.path) as image:
                if image.height == 264:
                    np.testing.assert_array_equal(ours[number], theirs[moment][number])
                else:  # enlarged here as in TorchGeo's BigEarthNet, by repeating pixels in its SSL4EO-S12
                    smooth = image.read(1, out_shape=(264, 264), resampling=Resampling.bilinear)
                    np.testing.assert_array_equal(ours[number], smooth)
                    np.testing.assert_array_equal(np.kron(image.read(1), np.ones((2, 2))), theirs[moment][number])


def test_a_place_may_have_one_sensor_only(tmp_path: Path) -> None:
    write_ssl4eo(tmp_path, ("s2a",), size=4)
    write_ssl4eo(tmp_path / "other", ("s1",), size=4)
    (tmp_path / "s1").mkdir()
    (tmp_path / "other" / "s1" / "0000001").rename(tmp_path / "s1" / "0000007")
    kinds = {tile.scene: set(tile.rasters) for tile in find_collection(tmp_path).tiles}
    assert kinds == {"0000000": {"s2a"}, "0000001": {"s2a"}, "0000007": {"s1"}}


def test_unequal_numbers_of_seasons_are_refused(tmp_path: Path) -> None:
    write_ssl4eo(tmp_path, ("s1", "s2c"), size=4)
    (tmp_path / "s1" / "0000001" / product_names("s1")[2]).rename(tmp_path / "elsewhere")
    with pytest.raises(DataCorruptError, match=r"place 0000001 has unequal numbers of products \(3 of s1, 4 of s2c\)"):
        find_collection(tmp_path)


def test_a_product_without_a_date_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s1" / "0000001" / "notes").mkdir(parents=True)
    with pytest.raises(DataCorruptError, match="notes has no date in its name"):
        find_collection(tmp_path)


def test_a_missing_band_is_named_when_it_is_read(tmp_path: Path) -> None:
    write_ssl4eo(tmp_path, ("s2c",), size=4)
    tile = find_collection(tmp_path).tiles[0]
    (tmp_path / "s2c" / "0000000" / product_names("s2c")[2] / "B10.tif").unlink()
    with pytest.raises(DataNotFoundError, match=r"B10\.tif is missing"):
        read_raster(tile.rasters["s2c"])


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s1" / "0000001").mkdir(parents=True)
    with pytest.raises(DataNotFoundError, match="has no products"):
        find_collection(tmp_path)
