from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio

from geozoo.eo.bands import EUROSAT_BANDS, SENTINEL2_L1C, SENTINEL2_L2A
from geozoo.eo.readers import find_collection
from geozoo.eo.tiles import IGNORE, Window, grid_of, read_raster
from geozoo.errors import BandError, DataCorruptError, DataNotFoundError, InputError, RecipeError
from tests.support.tiles import draw_raster, needs, real, write_raster

if TYPE_CHECKING:
    from pathlib import Path


def write_tiles(root: Path, **bands: int) -> None:
    """Two tiles with as many bands as named for each folder."""
    for number, (folder, count) in enumerate(bands.items()):
        for tile in ("b_1", "a_1"):
            write_raster(root / folder / f"{tile}.tif", draw_raster(count, seed=number))


def test_sensors_are_recognised_from_folder_and_number_of_bands(tmp_path: Path) -> None:
    write_tiles(tmp_path, S1GRD=2, S2L2A=12, LULC=1, elevation=1)
    (tmp_path / "empty").mkdir()
    found = find_collection(tmp_path)
    assert [(tile.id, tile.scene) for tile in found.tiles] == [("a_1", "a_1"), ("b_1", "b_1")]
    rasters = found.tiles[0].rasters
    assert {name: raster.sensor for name, raster in rasters.items()} == {"s1": "s1", "s2": "s2l2a", "mask": "labels"}
    assert rasters["s1"].bands == ("VV", "VH")
    assert rasters["s2"].bands == SENTINEL2_L2A
    assert (rasters["s2"].offset, rasters["s2"].baseline) == (0, None)
    assert found.notes == ("folder elevation was left out: its 1 bands are of no known sensor",)
    assert (found.classes, found.tiles[0].recode) == ((), None)


def test_two_levels_of_sentinel_2_keep_their_names(tmp_path: Path) -> None:
    write_tiles(tmp_path, s2l1c=13, s2l2a=12, s2rgb=3)
    assert set(find_collection(tmp_path).tiles[0].rasters) == {"s2l1c", "s2l2a", "rgb"}


@pytest.mark.parametrize(
    ("folder", "descriptions", "sensor", "band", "place"),
    [
        ("s2", EUROSAT_BANDS, "s2l1c", "B8A", 12),
        ("optical", ("B8", "B4", "b8a"), "s2l2a", "B04", 1),
        ("toa_l1c", ("B08", "B04"), "s2l1c", "B08", 0),
        ("s1_asc", ("VH", "VV"), "s1", "VV", 1),
    ],
)
def test_band_descriptions_tell_the_order(
    tmp_path: Path, folder: str, descriptions: tuple[str, ...], sensor: str, band: str, place: int
) -> None:
    pixels = draw_raster(len(descriptions))
    write_raster(tmp_path / folder / "a.tif", pixels, descriptions=descriptions)
    (raster,) = find_collection(tmp_path, "folder").tiles[0].rasters.values()
    assert raster.sensor == sensor
    np.testing.assert_array_equal(read_raster(raster, [band])[0], pixels[place])


def test_a_layout_states_what_files_do_not_tell(tmp_path: Path) -> None:
    for stem in ("lima_1", "lima_2", "oslo_1"):
        write_raster(tmp_path / "images" / f"{stem}.tif", draw_raster(13))
        write_raster(tmp_path / "truth" / f"{stem}.png.tif", draw_raster(1))
        write_raster(tmp_path / "truth" / f"{stem}.tif", draw_raster(1))
        (tmp_path / "truth" / f"{stem}.png.tif").rename(tmp_path / "truth" / f"{stem}.png")
    (tmp_path / "geozoo.yaml").write_text(
        f"""
modalities:
  s2: {{folder: images, sensor: s2l1c, bands: [{", ".join(EUROSAT_BANDS)}]}}
  mask: {{folder: truth, sensor: labels}}
classes: {{7: water, 2: forest}}
scene: ^[a-z]+
"""
    )
    found = find_collection(tmp_path)
    assert [tile.scene for tile in found.tiles] == ["lima", "lima", "oslo"]
    assert found.tiles[0].rasters["s2"].bands == EUROSAT_BANDS
    assert found.tiles[0].rasters["mask"].files[0].path.endswith("lima_1.tif")
    assert found.classes == ("forest", "water")
    assert found.tiles[0].recode == (IGNORE, IGNORE, 0, IGNORE, IGNORE, IGNORE, IGNORE, 1)


def test_the_first_group_of_the_scene_expression_counts(tmp_path: Path) -> None:
    write_tiles(tmp_path, s1=2)
    (tmp_path / "geozoo.yaml").write_text("scene: ^.(_1)")
    assert {tile.scene for tile in find_collection(tmp_path).tiles} == {"_1"}


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("modalitys: {}", RecipeError, "modalitys"),
        ("scene: '('", RecipeError, "scene"),
        ("scene: ^c", InputError, "'\\^c' of geozoo.yaml does not fit the file name 'a_1'"),
        ("modalities: {s2: {folder: s2, sensor: s3}}", BandError, "there is no sensor 's3'"),
        ("modalities: {s2: {folder: s3, sensor: s2l2a}}", DataNotFoundError, "s3 holds no raster file"),
        ("modalities: {s2: {folder: s2, sensor: s2l2a, bands: [B10]}}", BandError, "said to have B10"),
        ("modalities: {s2: {folder: s2, sensor: s2l1c}}", BandError, "have 12 bands, not s2l1c's 13"),
    ],
)
def test_a_wrong_layout_is_refused(tmp_path: Path, text: str, error: type[Exception], sentence: str) -> None:
    write_tiles(tmp_path, s2=12)
    (tmp_path / "geozoo.yaml").write_text(text)
    with pytest.raises(error, match=sentence):
        find_collection(tmp_path)


@pytest.mark.parametrize(
    ("folders", "sentence"),
    [
        ({"s2l1c": 12}, "folder 's2l1c' has 12 bands without names: state its sensor and bands in a geozoo.yaml"),
        ({"s2_l2a": 13}, "has 13 bands without names"),
        ({"s1": 3}, "has 3 bands without names"),
        ({"s2a": 12, "s2b": 12}, r"several folders for s2 \(s2a, s2b\)"),
        ({"s1": 2, "dfc": 1, "lc": 1}, r"several folders for mask \(dfc, lc\)"),
    ],
)
def test_bands_are_not_guessed_at(tmp_path: Path, folders: dict[str, int], sentence: str) -> None:
    write_tiles(tmp_path, **folders)
    with pytest.raises(BandError, match=sentence):
        find_collection(tmp_path)


def test_a_tile_may_lack_a_file(tmp_path: Path) -> None:
    write_tiles(tmp_path, s1=2, s2=12)
    (tmp_path / "s1" / "b_1.tif").unlink()
    assert {tile.id: set(tile.rasters) for tile in find_collection(tmp_path).tiles} == {
        "a_1": {"s1", "s2"},
        "b_1": {"s2"},
    }


def test_one_damaged_file_does_not_decide_what_a_folder_holds(tmp_path: Path) -> None:
    write_tiles(tmp_path, s1=2, s2=12)
    (tmp_path / "s1" / "a_1.tif").write_bytes(b"no raster")
    for tile in ("c_1", "d_1"):
        write_raster(tmp_path / "s2" / f"{tile}.tif", draw_raster(12))
    write_raster(tmp_path / "s2" / "a_1.tif", draw_raster(11))
    rasters = find_collection(tmp_path).tiles[0].rasters
    assert {name: raster.sensor for name, raster in rasters.items()} == {"s1": "s1", "s2": "s2l2a"}
    with pytest.raises(DataCorruptError, match=r"a_1\.tif cannot be read"):
        read_raster(rasters["s1"])


def test_a_folder_without_a_readable_file_is_refused(tmp_path: Path) -> None:
    write_tiles(tmp_path, s1=2)
    for tile in ("a_1", "b_1"):
        (tmp_path / "s1" / f"{tile}.tif").write_bytes(b"no raster")
    with pytest.raises(DataCorruptError, match=r"a_1\.tif cannot be read"):
        find_collection(tmp_path)


def test_a_truncated_file_is_named_when_it_is_read(tmp_path: Path) -> None:
    write_tiles(tmp_path, s1=2)
    whole = (tmp_path / "s1" / "a_1.tif").read_bytes()
    (tmp_path / "s1" / "a_1.tif").write_bytes(whole[:-100])
    with pytest.raises(DataCorruptError, match=r"a_1\.tif cannot be read"):
        read_raster(find_collection(tmp_path).tiles[0].rasters["s1"])


def test_a_file_with_fewer_bands_than_the_first_is_named_when_it_is_read(tmp_path: Path) -> None:
    write_tiles(tmp_path, s2=12)
    write_raster(tmp_path / "s2" / "b_1.tif", draw_raster(4))
    with pytest.raises(DataCorruptError, match=r"b_1\.tif has 4 bands, not 12"):
        read_raster(find_collection(tmp_path).tiles[1].rasters["s2"])


@pytest.mark.parametrize("inside", [[], ["s1"]])
def test_an_empty_folder_is_refused(tmp_path: Path, inside: list[str]) -> None:
    for name in inside:
        (tmp_path / name).mkdir()
    with pytest.raises(DataNotFoundError, match="no folder of rasters that is recognised"):
        find_collection(tmp_path, "folder")


@needs("terramind_s1s2")
def test_real_terramind_tiles() -> None:
    root = real("terramind_s1s2")
    found = find_collection(root)
    assert len(found.tiles) == 5
    assert [note.split()[1] for note in found.notes] == ["DEM", "NDVI"]
    for tile in found.tiles:
        assert set(tile.rasters) == {"s1", "s2l1c", "s2l2a", "rgb", "mask"}
        folders = {"s1": "S1RTC", "s2l1c": "S2L1C", "s2l2a": "S2L2A", "rgb": "S2RGB", "mask": "LULC"}
        for name, raster in tile.rasters.items():
            with rasterio.open(root / folders[name] / f"{tile.id}.tif") as source:
                pixels, grid = source.read(), grid_of(raster)
                assert (grid.crs, grid.bounds()) == (source.crs, tuple(source.bounds))
            np.testing.assert_array_equal(read_raster(raster, categorical=name == "mask"), pixels)
    l1c, l2a = (found.tiles[0].rasters[name] for name in ("s2l1c", "s2l2a"))
    assert l1c.bands == SENTINEL2_L1C
    # the order assumed for L2A: its red band follows that of L1C, band by band, better than any other band
    red = read_raster(l2a, ["B04"])[0].ravel()
    alike = [np.corrcoef(red, read_raster(l1c, [band])[0].ravel())[0, 1] for band in SENTINEL2_L1C]
    assert SENTINEL2_L1C[int(np.argmax(alike))] == "B04"


@needs("s2_scenes")
def test_real_scenes_of_two_dates_by_a_layout(tmp_path: Path) -> None:
    shutil.copytree(real("s2_scenes"), tmp_path / "scenes")
    (tmp_path / "geozoo.yaml").write_text("modalities: {s2: {folder: scenes, sensor: s2l2a}}\nscene: ^(.+)_[0-9]{4}-")
    found = find_collection(tmp_path)
    assert [(tile.id, tile.scene) for tile in found.tiles] == [
        ("Boadella_2020-01-13", "Boadella"),
        ("Boadella_2020-01-28", "Boadella"),
    ]
    raster = found.tiles[1].rasters["s2"]
    with rasterio.open(tmp_path / "scenes" / "Boadella_2020-01-28.tif") as source:
        pixels, bounds = source.read(), source.bounds
    assert grid_of(raster).bounds() == tuple(bounds)
    window = Window(5, 300, 64, 48)
    np.testing.assert_array_equal(read_raster(raster, ["B12", "B02"], window), pixels[[11, 1], 5:69, 300:348])
