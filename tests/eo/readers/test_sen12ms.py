from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from torchgeo.datasets import SEN12MS

from geozoo.eo.labels import DFC_CLASSES, IGBP_RECODE, recode_mask
from geozoo.eo.readers import find_collection
from geozoo.eo.tiles import read_raster
from geozoo.errors import DataCorruptError, DataNotFoundError
from tests.support.tiles import draw_raster, write_raster

if TYPE_CHECKING:
    from pathlib import Path

PATCHES = [("ROIs1158_spring", 2, 30), ("ROIs1158_spring", 10, 4), ("ROIs1868_summer", 146, 202)]
PATCHES += [("ROIs1868_summer", 146, 203), ("ROIs1970_fall", 1, 5), ("ROIs2017_winter", 7, 100)]


def write_sen12ms(root: Path) -> None:
    for seed, (season, scene, number) in enumerate(PATCHES):
        backscatter = -draw_raster(2, seed=seed, high=30).astype(np.float32) / 2
        cover = draw_raster(4, seed=seed, high=17)
        for source, pixels in {"s1": backscatter, "s2": draw_raster(13, seed=seed), "lc": cover}.items():
            write_raster(patch_file(root, season, source, scene, number), pixels)


def patch_file(root: Path, season: str, source: str, scene: int, number: int) -> Path:
    return root / season / f"{source}_{scene}" / f"{season}_{source}_{scene}_p{number}.tif"


def write_lists(root: Path) -> None:
    names = [f"{season}_s2_{scene}_p{number}.tif" for season, scene, number in PATCHES if number != 202]
    (root / "train_list.txt").write_text("\n".join(names[:3]) + "\n")
    (root / "test_list.txt").write_text("\n".join(names[3:4]) + "\n")


def test_pixels_and_split_are_torchgeos(tmp_path: Path) -> None:
    write_sen12ms(tmp_path)
    write_lists(tmp_path)
    found = find_collection(tmp_path)
    assert (found.name, found.classes) == ("sen12ms", DFC_CLASSES)
    for split in ("train", "test"):
        theirs = SEN12MS(str(tmp_path), split=split)
        ours = {tile.id: tile for tile in found.tiles if tile.split == split}
        assert len(ours) == len(theirs) > 0
        for name, sample in zip(theirs.ids, theirs, strict=True):  # type: ignore[call-overload]
            tile = ours[name.replace("_s2_", "_").removesuffix(".tif")]
            image = np.concatenate([read_raster(tile.rasters["s1"]), read_raster(tile.rasters["s2"])])
            np.testing.assert_array_equal(image, sample["image"].numpy())
            assert (*tile.rasters["s1"].bands, *tile.rasters["s2"].bands) == theirs.band_names
            # TorchGeo gives the codes of IGBP, here they are merged
            codes = read_raster(tile.rasters["mask"], categorical=True)[0]
            np.testing.assert_array_equal(codes, sample["mask"].numpy())
            assert tile.recode == IGBP_RECODE
            assert set(np.unique(recode_mask(codes, tile.recode))) <= {*range(8), 255}


def test_patches_are_in_order_and_know_their_scene(tmp_path: Path) -> None:
    write_sen12ms(tmp_path)
    found = find_collection(tmp_path)
    assert [(tile.id, tile.scene, tile.split) for tile in found.tiles] == [
        ("ROIs1158_spring_2_p30", "ROIs1158_spring_2", None),
        ("ROIs1158_spring_10_p4", "ROIs1158_spring_10", None),
        ("ROIs1868_summer_146_p203", "ROIs1868_summer_146", None),
        ("ROIs1970_fall_1_p5", "ROIs1970_fall_1", None),
        ("ROIs2017_winter_7_p100", "ROIs2017_winter_7", None),
    ]


def test_the_broken_patch_is_left_out_and_said_so(tmp_path: Path) -> None:
    write_sen12ms(tmp_path)
    (note,) = find_collection(tmp_path).notes
    assert "ROIs1868_summer_146_p202 was left out" in note
    for source in ("s1", "s2", "lc"):
        patch_file(tmp_path, "ROIs1868_summer", source, 146, 202).unlink()
    assert find_collection(tmp_path).notes == ()


def test_held_out_scenes_are_the_test_part(tmp_path: Path) -> None:
    write_sen12ms(tmp_path)
    (tmp_path / "SEN12MS_holdOutScenes.txt").write_text("ROIs1158_spring/s1_10\nROIs2017_winter/s1_146\n")
    splits = {tile.id: tile.split for tile in find_collection(tmp_path).tiles}
    assert [name for name, split in splits.items() if split == "test"] == ["ROIs1158_spring_10_p4"]
    assert set(splits.values()) == {"train", "test"}


def test_a_season_without_land_cover_anywhere_has_no_mask(tmp_path: Path) -> None:
    season = "ROIs1970_fall"
    for source, count in (("s1", 2), ("s2", 13)):
        write_raster(patch_file(tmp_path, season, source, 1, 5), draw_raster(count))
    assert set(find_collection(tmp_path).tiles[0].rasters) == {"s1", "s2"}


def test_a_patch_may_lack_a_file(tmp_path: Path) -> None:
    write_sen12ms(tmp_path)
    patch_file(tmp_path, "ROIs1158_spring", "s1", 10, 4).unlink()
    kinds = {tile.id: set(tile.rasters) for tile in find_collection(tmp_path).tiles}
    assert kinds.pop("ROIs1158_spring_10_p4") == {"s2", "mask"}
    assert all(kind == {"s1", "s2", "mask"} for kind in kinds.values())


def test_an_empty_season_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ROIs1158_spring").mkdir()
    with pytest.raises(DataNotFoundError, match="has no patches: expected files such as ROIs1158_spring/s2_1"):
        find_collection(tmp_path)


@pytest.mark.parametrize("file", ["train_list.txt", "SEN12MS_holdOutScenes.txt"])
def test_a_list_of_something_else_is_refused(tmp_path: Path, file: str) -> None:
    write_sen12ms(tmp_path)
    (tmp_path / file).write_text("patch 7\n")
    with pytest.raises(DataCorruptError, match=f"{file} has the line 'patch 7'"):
        find_collection(tmp_path)
