from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio

from geozoo.eo.bands import SENTINEL2_L1C
from geozoo.eo.labels import DFC_CLASSES, DFC_RECODE
from geozoo.eo.readers import find_collection
from geozoo.eo.tiles import read_raster
from geozoo.errors import DataNotFoundError
from tests.support.tiles import draw_raster, write_raster

if TYPE_CHECKING:
    from pathlib import Path

PACKAGINGS = {"contest": "validation", "later": "0"}


def write_dfc2020(root: Path, packaging: str) -> None:
    for part, suffix in {"validation": PACKAGINGS[packaging], "test": "0"}.items():
        for number in (2, 10):
            crs = "EPSG:32614" if number == 2 else "EPSG:32656"
            for source, count, high in (("s1", 2, 25), ("s2", 13, 4000), ("lc", 4, 17), ("dfc", 1, 10)):
                name = f"ROIs0000_{part}_{source}_0_p{number}.tif"
                pixels = draw_raster(count, seed=number, high=high)
                write_raster(root / f"ROIs0000_{part}" / f"{source}_{suffix}" / name, pixels, crs=crs)


@pytest.mark.parametrize("packaging", PACKAGINGS)
def test_the_contests_validation_folder_is_trained_on(tmp_path: Path, packaging: str) -> None:
    write_dfc2020(tmp_path, packaging)
    found = find_collection(tmp_path)
    assert (found.name, found.classes, found.multilabel) == ("dfc2020", DFC_CLASSES, False)
    assert {tile.id: tile.split for tile in found.tiles} == {
        "ROIs0000_test_0_p2": "test",
        "ROIs0000_test_0_p10": "test",
        "ROIs0000_validation_0_p2": "train",
        "ROIs0000_validation_0_p10": "train",
    }
    for tile in found.tiles:
        assert "validation" in tile.rasters["s2"].files[0].path or tile.split == "test"


def test_modalities_are_the_files_of_the_patch(tmp_path: Path) -> None:
    write_dfc2020(tmp_path, "contest")
    tile = next(tile for tile in find_collection(tmp_path).tiles if tile.id == "ROIs0000_validation_0_p10")
    assert set(tile.rasters) == {"s1", "s2", "mask"}
    assert (tile.rasters["s2"].sensor, tile.rasters["s2"].bands) == ("s2l1c", SENTINEL2_L1C)
    for modality, source in (("s1", "s1"), ("s2", "s2"), ("mask", "dfc")):
        folder = tmp_path / "ROIs0000_validation" / f"{source}_validation"
        with rasterio.open(folder / f"ROIs0000_validation_{source}_0_p10.tif") as file:
            np.testing.assert_array_equal(read_raster(tile.rasters[modality]), file.read())
    assert (tile.recode, tile.labels) == (DFC_RECODE, ())


def test_patches_of_one_region_are_one_scene(tmp_path: Path) -> None:
    write_dfc2020(tmp_path, "later")
    scenes = {tile.id: tile.scene for tile in find_collection(tmp_path).tiles}
    assert scenes["ROIs0000_validation_0_p2"] == "ROIs0000_validation_EPSG:32614"
    assert len(set(scenes.values())) == 4


def test_a_patch_may_lack_a_file_or_have_one_that_cannot_be_opened(tmp_path: Path) -> None:
    write_dfc2020(tmp_path, "contest")
    test = tmp_path / "ROIs0000_test"
    (test / "dfc_0" / "ROIs0000_test_dfc_0_p2.tif").unlink()
    (test / "s2_0" / "ROIs0000_test_s2_0_p2.tif").write_bytes(b"no raster")
    (tile,) = (tile for tile in find_collection(tmp_path).tiles if tile.id == "ROIs0000_test_0_p2")
    assert set(tile.rasters) == {"s1", "s2"}
    assert tile.scene.startswith("ROIs0000_test_EPSG")
    (test / "s1_0" / "ROIs0000_test_s1_0_p2.tif").unlink()
    (tile,) = (tile for tile in find_collection(tmp_path).tiles if tile.id == "ROIs0000_test_0_p2")
    assert (set(tile.rasters), tile.scene) == ({"s2"}, "ROIs0000_test_0")


def test_an_empty_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ROIs0000_test").mkdir()
    with pytest.raises(DataNotFoundError, match="has no patches"):
        find_collection(tmp_path)
