from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

from geozoo.eo.bands import SENTINEL2_L1C, SENTINEL2_L2A
from geozoo.eo.check.metadata import (
    check_band_count,
    check_band_order,
    check_crs,
    check_dtype,
    check_grid,
    check_offset,
    check_unreadable,
)
from geozoo.eo.files import BandFile
from geozoo.eo.tiles import Raster, Tile
from tests.support.eo_tiles import draw_pixels, findings, undecided, write_tile
from tests.support.tiles import draw_raster, write_raster

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = (check_unreadable, check_band_count, check_band_order, check_dtype, check_crs, check_grid, check_offset)


def path_of(tile: Tile, modality: str) -> str:
    return tile.rasters[modality].files[0].path


def with_raster(tile: Tile, modality: str, raster: Raster) -> Tile:
    return replace(tile, rasters={**tile.rasters, modality: raster})


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_clean_tile_has_no_finding(tmp_path: Path, check: Any) -> None:
    assert findings(check, write_tile(tmp_path)) == []


def test_a_truncated_and_a_missing_file(tmp_path: Path) -> None:
    tile = write_tile(tmp_path)
    path = tmp_path / "s2" / "a.tif"
    path.write_bytes(path.read_bytes()[:-500])
    (tmp_path / "s1" / "a.tif").unlink()
    found = {finding.file: finding for finding in findings(check_unreadable, tile)}
    assert found.keys() == {path_of(tile, "s1"), path_of(tile, "s2")}
    assert "is missing" in found[path_of(tile, "s1")].value
    assert "cannot be read" in found[path_of(tile, "s2")].value
    assert found[path_of(tile, "s2")].remedy == "fetch it again"


def test_a_truncated_jpeg(tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "a.jpg"
    Image.fromarray(draw_raster(3, 64, dtype="uint8", high=255).transpose(1, 2, 0)).save(file)
    tile = Tile("a", {"rgb": Raster.of_file("rgb", file, ("R", "G", "B"))}, "a")
    assert findings(check_unreadable, tile) == []
    file.write_bytes(file.read_bytes()[:-200])
    assert [finding.file for finding in findings(check_unreadable, tile)] == [str(file)]


class TestBands:
    def test_twelve_where_the_level_has_thirteen(self, tmp_path: Path) -> None:
        pixels = draw_pixels()
        tile = write_tile(tmp_path, pixels=pixels | {"s2": pixels["s2"][:12]})
        (found,) = findings(check_band_count, tile)
        assert (found.file, found.certainty) == (path_of(tile, "s2"), "certain")
        assert "12 bands where s2l1c has 13" in found.value

    def test_thirteen_where_the_level_has_twelve(self, tmp_path: Path) -> None:
        tile = write_tile(tmp_path)
        tile = with_raster(tile, "s2", Raster.of_file("s2l2a", path_of(tile, "s2"), SENTINEL2_L2A))
        assert [found.value for found in findings(check_band_count, tile)] == ["13 bands where s2l2a has 12 here"]

    def test_more_bands_in_the_file_of_a_mask_are_none_of_ours(self, tmp_path: Path) -> None:
        pixels = draw_pixels()
        assert (
            findings(check_band_count, write_tile(tmp_path, pixels=pixels | {"mask": pixels["mask"].repeat(2, 0)}))
            == []
        )

    def test_order_by_description(self, tmp_path: Path) -> None:
        eurosat = (*(band for band in SENTINEL2_L1C if band != "B8A"), "B8A")
        tile = write_tile(tmp_path, s2={"descriptions": eurosat})
        found = findings(check_band_order, tile)
        assert [(finding.band, finding.value) for finding in found] == [
            ("B8A", "band 9 says it is B09"),
            ("B09", "band 10 says it is B10"),
            ("B10", "band 11 says it is B11"),
            ("B11", "band 12 says it is B12"),
            ("B12", "band 13 says it is B8A"),
        ]

    @pytest.mark.parametrize("style", ["{}", "{} (reflectance)", "S2_{}"])
    def test_descriptions_in_order(self, tmp_path: Path, style: str) -> None:
        tile = write_tile(tmp_path, s2={"descriptions": [style.format(band) for band in SENTINEL2_L1C]})
        assert findings(check_band_order, tile) == undecided(check_band_order, tile) == []

    def test_without_descriptions_it_is_not_decidable(self, tmp_path: Path) -> None:
        assert undecided(check_band_order, write_tile(tmp_path)) == ["no file names its bands"]


@pytest.mark.parametrize(("modality", "dtype"), [("s2", "float32"), ("s2", "uint8"), ("s1", "int16")])
def test_a_type_that_is_not_the_products(tmp_path: Path, modality: str, dtype: str) -> None:
    pixels = draw_pixels()
    tile = write_tile(tmp_path, pixels=pixels | {modality: pixels[modality].astype(dtype)})
    (found,) = findings(check_dtype, tile)
    assert found.file == path_of(tile, modality)
    assert found.value.startswith(dtype)


class TestPlace:
    @pytest.mark.parametrize("crs", [None, "EPSG:4326"])
    def test_crs_unlike_the_others(self, tmp_path: Path, crs: str | None) -> None:
        tile = write_tile(tmp_path, mask={"crs": crs})
        (found,) = findings(check_crs, tile)
        assert found.file == path_of(tile, "mask")
        assert (crs or "missing") in found.value

    def test_no_crs_anywhere_is_no_contradiction(self, tmp_path: Path) -> None:
        tile = write_tile(tmp_path, crs=None)
        assert findings(check_crs, tile) == findings(check_grid, tile) == []

    def test_a_moved_grid(self, tmp_path: Path) -> None:
        tile = write_tile(tmp_path, s1={"corner": (500_005, 5_300_000)})
        (found,) = findings(check_grid, tile)
        assert found.file == path_of(tile, "s1")
        assert "0.5 pixels" in found.value

    def test_rounding_of_corners_is_no_fault(self, tmp_path: Path) -> None:
        assert findings(check_grid, write_tile(tmp_path, s1={"corner": (500_000.001, 5_300_000)})) == []

    def test_a_coarser_modality_on_the_same_ground(self, tmp_path: Path) -> None:
        pixels = draw_pixels()
        tile = write_tile(tmp_path, pixels=pixels | {"mask": pixels["mask"][:, ::2, ::2]}, mask={"resolution": 20})
        assert [found.value for found in findings(check_grid, tile)] == ["6 x 6 pixels where its like have 12 x 12"]

    def test_bands_of_three_resolutions_are_as_delivered(self, tmp_path: Path) -> None:
        assert findings(check_grid, band_files(tmp_path)) == []

    @pytest.mark.parametrize(("band", "rows"), [("B03", 6), ("B11", 12), ("B09", 4)])
    def test_a_band_at_a_resolution_of_others(self, tmp_path: Path, band: str, rows: int) -> None:
        tile = band_files(tmp_path, {band: rows})
        assert [found.band for found in findings(check_grid, tile)] == [band]


def band_files(folder: Path, rows: dict[str, int] | None = None) -> Tile:
    """A tile with one file for each band, 120 m wide, at the product's resolutions but for those in ``rows``."""
    usual = {"B02": 12, "B03": 12, "B04": 12, "B08": 12, "B01": 2, "B09": 2}
    files = []
    for band in SENTINEL2_L2A:
        size = (rows or {}).get(band, usual.get(band, 6))
        path = write_raster(folder / f"{band}.tif", draw_raster(1, size), resolution=120 / size)
        files.append(BandFile(str(path)))
    return Tile("a", {"s2": Raster("s2l2a", SENTINEL2_L2A, tuple(files))}, "a")


class TestOffset:
    @pytest.mark.parametrize(
        ("baseline", "offset", "faulty"),
        [("05.09", 0, True), ("05.09", -1000, False), ("04.00", 0, True), ("02.14", 0, False), ("02.14", -1000, True)],
    )
    def test_by_the_baseline_that_the_reader_knows(
        self, tmp_path: Path, baseline: str, offset: int, faulty: bool
    ) -> None:
        tile = write_tile(tmp_path)
        raster = replace(tile.rasters["s2"], baseline=baseline, offset=offset)
        assert bool(findings(check_offset, with_raster(tile, "s2", raster))) is faulty

    @pytest.mark.parametrize(
        "tags", [{"RADIO_ADD_OFFSET": "-1000"}, {"RADIO_ADD_OFFSET_B1": "-1000.0"}, {"PROCESSING_BASELINE": "05.00"}]
    )
    def test_by_tags(self, tmp_path: Path, tags: dict[str, str]) -> None:
        tile = write_tile(tmp_path)
        with rasterio.open(path_of(tile, "s2"), "r+") as file:
            file.update_tags(**tags)
        (found,) = findings(check_offset, tile)
        assert "asks for the offset -1000, 0 is added" in found.value
        assert findings(check_offset, with_raster(tile, "s2", replace(tile.rasters["s2"], offset=-1000))) == []

    def test_by_scale_and_offset_as_in_cloud_optimised_files(self, tmp_path: Path) -> None:
        tile = write_tile(tmp_path)
        with rasterio.open(path_of(tile, "s2"), "r+") as file:
            file.scales, file.offsets = [1e-4] * 13, [-0.1] * 13
        (found,) = findings(check_offset, tile)
        assert "offset -0.1 asks for the offset -1000" in found.value

    def test_without_metadata_it_is_not_decidable(self, tmp_path: Path) -> None:
        assert undecided(check_offset, write_tile(tmp_path)) == ["no metadata tell the processing baseline"]


def test_every_finding_is_one_sentence(tmp_path: Path) -> None:
    pixels = draw_pixels()
    tile = write_tile(tmp_path, pixels=pixels | {"s2": pixels["s2"].astype(np.float32)})
    (found,) = findings(check_dtype, tile)
    assert found.sentence.startswith(f"{path_of(tile, 's2')}, B01 B02 ")
    assert found.sentence.endswith("; convert from the original, or say how the numbers were scaled (certain)")
