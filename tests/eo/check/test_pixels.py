from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo.eo.bands import SENTINEL2_L1C
from geozoo.eo.check.labels import check_label_code, check_label_type
from geozoo.eo.check.opened import open_tile
from geozoo.eo.check.pixels import (
    check_constant,
    check_nodata,
    check_non_finite,
    check_saturated,
    check_swath_edge,
)
from tests.support.eo_tiles import SIZE, draw_pixels, findings, write_tile

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.check import Finding

CHECKS = (
    *(check_constant, check_nodata, check_non_finite, check_saturated, check_swath_edge),
    *(check_label_code, check_label_type),
)


def damaged(
    folder: Path, check: Any, modality: str, place: Any, value: float, dtype: str | None = None
) -> list[Finding]:
    pixels = draw_pixels()
    if dtype is not None:
        pixels[modality] = pixels[modality].astype(dtype)
    pixels[modality][place] = value
    found = findings(check, write_tile(folder, pixels=pixels))
    assert all(finding.file == str(folder / modality / "a.tif") for finding in found)
    assert all(finding.certainty == "certain" for finding in found)
    return found


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_clean_tile_has_no_finding(tmp_path: Path, check: Any) -> None:
    assert findings(check, write_tile(tmp_path)) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite(tmp_path: Path, value: float) -> None:
    (found,) = damaged(tmp_path, check_non_finite, "s1", np.s_[1, 0, :3], value)
    assert found.band == "VH"
    assert found.value == "3 of 144 (2.08%) pixels are NaN or infinite"


def test_nodata_by_sensor(tmp_path: Path) -> None:
    (found,) = damaged(tmp_path, check_nodata, "s2", np.s_[3, 0, 0], 0)
    assert (found.band, found.value) == ("B04", "1 of 144 (0.69%) pixel is 0, which means nodata")


def test_a_whole_band_of_nodata_is_said_once(tmp_path: Path) -> None:
    (found,) = damaged(tmp_path, check_nodata, "s2", 8, 0)
    assert (found.band, found.value) == ("B8A", "144 of 144 (100.00%) pixels are 0, which means nodata")
    assert damaged(tmp_path / "again", check_constant, "s2", 8, 0) == []


def test_nodata_that_the_file_declares(tmp_path: Path) -> None:
    import rasterio

    pixels = draw_pixels()
    pixels["s1"][0, :2] = -9999
    tile = write_tile(tmp_path, pixels=pixels)
    assert findings(check_nodata, tile) == []
    with rasterio.open(tile.rasters["s1"].files[0].path, "r+") as file:
        file.nodata = -9999
    assert [(found.band, found.value[:9]) for found in findings(check_nodata, tile)] == [("VV", "24 of 144")]


def test_constant(tmp_path: Path) -> None:
    assert [found.band for found in damaged(tmp_path, check_constant, "s2", 10, 9)] == ["B10"]
    assert damaged(tmp_path / "mask", check_constant, "mask", 0, 1) == []


def test_saturated(tmp_path: Path) -> None:
    (found,) = damaged(tmp_path, check_saturated, "s2", np.s_[0, :, 0], 65535)
    assert (found.band, "65535" in found.value) == ("B01", True)
    assert damaged(tmp_path / "bright", check_saturated, "s2", np.s_[0, :, 0], 20_000) == []


def test_swath_edge(tmp_path: Path) -> None:
    (found,) = damaged(tmp_path, check_swath_edge, "s2", np.s_[:, :, -2:], 1)
    assert found.value.startswith(f"{2 * SIZE} of 144")
    assert found.band == " ".join(SENTINEL2_L1C)


def test_deep_shadow_in_some_bands_is_no_edge(tmp_path: Path) -> None:
    assert damaged(tmp_path, check_swath_edge, "s2", np.s_[1:, :, -2:], 1) == []


class TestLabels:
    def test_fractions(self, tmp_path: Path) -> None:
        (found,) = damaged(tmp_path, check_label_type, "mask", np.s_[0, 0, :4], 1.5, "float32")
        assert found.value == "4 of 144 codes are fractions, as 1.5"

    def test_whole_numbers_as_floats(self, tmp_path: Path) -> None:
        (found,) = damaged(tmp_path, check_label_type, "mask", np.s_[0, 0, :4], 1, "float32")
        assert found.value == "codes are stored as float32"

    @pytest.mark.parametrize("code", [4, 200, -1])
    def test_unknown_codes(self, tmp_path: Path, code: int) -> None:
        (found,) = damaged(tmp_path, check_label_code, "mask", np.s_[0, 0, :4], code, "int16")
        assert found.value == f"code {code} (4 pixels) beyond the 4 that are known"

    def test_the_code_to_ignore_is_known(self, tmp_path: Path) -> None:
        assert damaged(tmp_path, check_label_code, "mask", np.s_[0, 0, :4], 255) == []

    def test_a_recoded_mask_knows_the_codes_of_its_file(self, tmp_path: Path) -> None:
        pixels = draw_pixels()
        pixels["mask"][0, 0, 0] = 9
        tile = replace(write_tile(tmp_path, pixels=pixels), recode=tuple(range(10)))
        assert findings(check_label_code, tile) == []
        assert len(findings(check_label_code, replace(tile, recode=tuple(range(9))))) == 1

    def test_without_classes_it_is_not_decidable(self, tmp_path: Path) -> None:
        (said,) = check_label_code(open_tile(write_tile(tmp_path)))
        assert getattr(said, "reason", None) == "nothing tells the classes"
