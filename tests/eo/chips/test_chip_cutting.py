"""What a chip holds: pixels, what was measured, classes; and where it lies, against pyproj and geopandas."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pyproj
import pytest
import shapely

from geozoo.eo.chips import plan
from geozoo.eo.chips.cut import cut_strip
from geozoo.eo.chips.header import Onto
from geozoo.eo.chips.ingest import begin_ingest
from geozoo.eo.tiles import Collection, read_raster
from geozoo.errors import BandError, DataCorruptError, DataNotFoundError, InputError
from tests.support.chip_stores import draw_modality, ingest, make_collection, make_tile, windows
from tests.support.eo_real import copy_collection
from tests.support.tiles import needs, write_raster

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("a", "b", "c", "d")


def one_tile(folder: Path, size: int = 16, **pixels: Any) -> Collection:
    return Collection("one", (make_tile(folder, "t", pixels or {"s1": draw_modality("s1", size, size)}),), CLASSES)


@pytest.mark.parametrize("stride", [3, 8, 11])
def test_stride_and_overlap(tmp_path: Path, stride: int) -> None:
    collection = make_collection(tmp_path / "data", ("s2",), tiles=2)
    chips = ingest(collection, str(tmp_path / "chips"), stride=stride)
    expected = windows(collection, "s2", stride=stride)
    np.testing.assert_array_equal(chips.read("s2", range(len(chips))), np.stack([pixels for *_, pixels in expected]))
    assert list(zip(chips.index["row"], chips.index["column"], strict=True)) == [one[1:3] for one in expected]


def test_valid_is_the_share_of_pixels_measured_in_all_bands(tmp_path: Path) -> None:
    radar, optical = draw_modality("s1", 8, 16), draw_modality("s2", 8, 16)
    radar[0, 0, 0], radar[1, 0, 1], radar[1, 1, 2], radar[0, 7, 7] = np.nan, np.inf, -np.inf, -9999
    optical[2, 0, 0] = optical[3, 5, 5] = optical[0, 5, 12] = 0
    tile = make_tile(tmp_path, "t", {"s1": radar, "s2": optical})
    with_nodata(tmp_path / "s1/t.tif", -9999)
    chips = ingest(Collection("c", (tile,)), str(tmp_path / "chips"))
    assert chips.index["valid"].tolist() == [1 - 5 / 64, 1 - 1 / 64]  # one pixel has a fault in both sensors
    np.testing.assert_array_equal(chips.read("s1", [0])[0], radar[:, :, :8])


def with_nodata(file: Path, value: float) -> None:
    import rasterio

    with rasterio.open(file, "r+") as target:
        target.nodata = value


def test_the_offset_of_a_baseline_moves_no_nodata(tmp_path: Path) -> None:
    optical = draw_modality("s2", 8, 8)
    optical[:, 0, 0], optical[:, 0, 1] = 0, 65535
    tile = make_tile(tmp_path, "t", {"s2": optical})
    with_nodata(tmp_path / "s2/t.tif", 65535)
    moved = replace(tile.rasters["s2"], offset=-1000, baseline="05.09")
    chips = ingest(Collection("c", (replace(tile, rasters={"s2": moved}),)), str(tmp_path / "chips"))
    expected = np.where(optical == 0, 0, np.maximum(optical.astype(int) - 1000, 1))
    np.testing.assert_array_equal(chips.read("s2", [0])[0], expected)
    assert chips.index["valid"].tolist() == [1 - 2 / 64]
    assert chips.index["baseline"].tolist() == ["05.09"]


def test_chips_of_a_mask_have_the_classes_of_their_own_pixels(tmp_path: Path) -> None:
    recode = (255, 2, 0, 1)
    collection = make_collection(tmp_path / "data", ("s1", "mask"))
    tiles = tuple(replace(tile, recode=recode) for tile in collection.tiles)
    for number, tile in enumerate(tiles):  # a corner of one code, and a chip that counts for nothing
        codes = draw_modality("mask", 20, 28)
        codes[:, :6, :7], codes[:, 8:16, 8:16] = 3, 0
        write_raster(tmp_path / "data/mask" / f"{tile.id}.tif", codes, corner=(500_000 + 1000.0 * number, 5_300_000.0))
    chips = ingest(replace(collection, tiles=tiles), str(tmp_path / "chips"))
    for number, (*_, codes) in enumerate(windows(collection, "mask")):
        numbers = [[recode[code] for code in line] for line in codes[0]]
        counts = Counter(number for line in numbers for number in line)
        assert chips.read("mask", [number])[0, 0].tolist() == numbers
        real = {one: many for one, many in counts.items() if one != 255}
        label = chips.index["label"][number]
        if real:
            assert real[int(label)] == max(real.values())
        else:
            assert np.isnan(label)
        assert chips.index["labels"][number].tolist() == sorted(one for one, many in real.items() if many >= 6.4)
    assert chips.index["label"].isna().sum() == 3


@pytest.mark.parametrize(("labels", "label"), [((2,), 2.0), ((0, 3), np.nan), ((), np.nan)])
def test_a_tiles_own_labels_are_those_of_its_chips(tmp_path: Path, labels: tuple[int, ...], label: float) -> None:
    made = one_tile(tmp_path, s1=draw_modality("s1", 16, 16))
    collection = replace(made, tiles=(replace(made.tiles[0], labels=labels),))
    index = ingest(collection, str(tmp_path / "chips")).index
    assert [tuple(one) for one in index["labels"]] == [labels] * 4
    np.testing.assert_array_equal(index["label"].to_numpy(float), np.full(4, label))


def test_labels_of_the_tile_come_before_those_of_its_mask(tmp_path: Path) -> None:
    made = one_tile(tmp_path, s1=draw_modality("s1", 8, 8), mask=np.full((1, 8, 8), 1, "uint8"))
    for labels, expected in (((3,), [3]), ((), [1])):
        collection = replace(made, tiles=(replace(made.tiles[0], labels=labels),))
        assert ingest(collection, str(tmp_path / f"chips{labels}")).index["label"].tolist() == expected


def test_a_code_beyond_a_byte_is_refused(tmp_path: Path) -> None:
    collection = one_tile(tmp_path, s1=draw_modality("s1", 8, 8), mask=np.full((1, 8, 8), 300, "uint16"))
    with pytest.raises(DataCorruptError, match=r"has the class code 300: codes go from 0 to 255"):
        ingest(collection, str(tmp_path / "chips"))


def ramp(height: int, width: int, resolution: float, corner: tuple[float, float], dtype: str = "float32") -> Any:
    """A plane over easting and northing, so that bilinear interpolation between pixel centres is exact."""
    x = corner[0] + resolution * (np.arange(width) + 0.5)
    y = corner[1] - resolution * (np.arange(height)[:, None] + 0.5)
    return plane(x, y).astype(dtype)[None]


def plane(x: Any, y: Any) -> Any:
    return (x - 500_000) / 10 + (y - 5_300_000) / 5 + 500


WIDE = (499_000.0, 5_301_000.0)
"""A corner from which rasters of 300 pixels of 10 m cover all of the reference of 64 pixels."""


@pytest.mark.parametrize(
    ("resolution", "corner"),
    [(10, (499_006.0, 5_300_997.0)), (20, WIDE), (7, (499_001.0, 5_301_003.0))],
    ids=["shifted", "coarser", "finer"],
)
def test_a_modality_on_another_grid_is_brought_to_the_first(
    tmp_path: Path, resolution: float, corner: tuple[float, float]
) -> None:
    side = int(3000 / resolution)
    values = ramp(side, side, resolution, corner)
    tile = make_tile(
        tmp_path,
        "t",
        {"s2": draw_modality("s2", 64, 64), "s1": np.concatenate([values, -values])},
        s1={"resolution": resolution, "corner": corner},
    )
    chips = ingest(Collection("c", (tile,)), str(tmp_path / "chips"), size=32)
    expected = ramp(64, 64, 10, (500_000.0, 5_300_000.0))[0]
    for number, (row, column) in enumerate([(0, 0), (0, 32), (32, 0), (32, 32)]):
        read = chips.read("s1", [number])[0]
        np.testing.assert_allclose(read[0], expected[row : row + 32, column : column + 32], atol=0.05)
        np.testing.assert_allclose(read[1], -read[0])
    assert chips.index["valid"].tolist() == [1.0] * 4


def test_a_modality_in_another_crs_agrees_with_pyproj(tmp_path: Path) -> None:
    """Sentinel-1 and a mask in zone 33 for a tile of zone 32: every pixel is what its own place says."""
    to_33 = pyproj.Transformer.from_crs("EPSG:32632", "EPSG:32633", always_xy=True)
    x33, y33 = to_33.transform(500_320, 5_299_680)
    corner = (round(x33) - 1000.0, round(y33) + 1000.0)
    x = corner[0] + 10 * (np.arange(200) + 0.5)
    y = corner[1] - 10 * (np.arange(200)[:, None] + 0.5)
    values = ((x - x33) / 10 + (y - y33) / 5).astype("float32")[None]
    codes = (np.floor((x - x33) / 80).astype(int) % 4 + 0 * y).astype("uint8")[None]
    other = {"crs": "EPSG:32633", "corner": corner}
    pixels = {"s2": draw_modality("s2", 64, 64), "s1": np.concatenate([values, values]), "mask": codes}
    tile = make_tile(tmp_path, "t", pixels, s1=other, mask=other)
    chips = ingest(Collection("c", (tile,), CLASSES), str(tmp_path / "chips"), size=64)
    columns, rows = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
    east, north = to_33.transform(500_000 + 10 * columns, 5_300_000 - 10 * rows)
    np.testing.assert_allclose(chips.read("s1", [0])[0, 0], (east - x33) / 10 + (north - y33) / 5, atol=0.3)
    pixel = (east - corner[0]) / 10
    inner = np.abs(pixel - np.round(pixel)) > 0.15  # GDAL is exact to an eighth of a pixel
    nearest = codes[0][np.floor((corner[1] - north) / 10).astype(int), np.floor(pixel).astype(int)]
    mask = chips.read("mask", [0])[0, 0]
    assert inner.mean() > 0.6
    np.testing.assert_array_equal(mask[inner], nearest[inner])
    assert set(np.unique(mask)) == {0, 1, 2, 3}


@pytest.mark.parametrize("modality", ["s1", "s2", "rgb"])
def test_what_a_moved_raster_does_not_cover_is_not_measured(tmp_path: Path, modality: str) -> None:
    """The second raster begins 30 m further east: three columns lie outside, whether or not it has a nodata number."""
    first = "s1" if modality != "s1" else "s2"
    pixels = {first: draw_modality(first, 16, 16), modality: np.abs(draw_modality(modality, 16, 16)) + 1}
    mask = draw_modality("mask", 16, 16)
    options = {modality: {"corner": (500_030, 5_300_000)}, "mask": {"corner": (500_030, 5_300_000)}}
    tile = make_tile(tmp_path, "t", {**pixels, "mask": mask}, **options)
    chips = ingest(Collection("c", (tile,), CLASSES), str(tmp_path / "chips"), size=16)
    assert chips.index["valid"].tolist() == [13 / 16]
    codes = chips.read("mask", [0])[0, 0]
    assert (codes[:, :3] == 255).all()
    np.testing.assert_array_equal(codes[:, 3:], mask[0, :, :13])
    np.testing.assert_array_equal(chips.read(modality, [0])[0, :, :, 3:], pixels[modality][:, :, :13])


def test_less_than_half_a_pixel_is_the_same_ground(tmp_path: Path) -> None:
    pixels = {"s2": draw_modality("s2", 16, 16), "s1": draw_modality("s1", 16, 16)}
    tile = make_tile(tmp_path, "t", pixels, s1={"corner": (500_002, 5_299_999)})
    chips = ingest(Collection("c", (tile,)), str(tmp_path / "chips"), size=16)
    np.testing.assert_array_equal(chips.read("s1", [0])[0], pixels["s1"])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_files_without_a_place_need_one_shape(tmp_path: Path) -> None:
    pixels = {"s2": draw_modality("s2", 16, 16), "s1": draw_modality("s1", 16, 16)}
    tile = make_tile(tmp_path / "a", "t", pixels, crs=None)
    index = ingest(Collection("c", (tile,)), str(tmp_path / "chips")).index
    assert index[["crs", "geometry", "bounds", "area"]].isna().all(axis=None)
    geopandas.read_parquet(tmp_path / "chips/index.parquet")
    odd = make_tile(tmp_path / "b", "t", {**pixels, "s1": draw_modality("s1", 16, 15)}, crs=None)
    with pytest.raises(
        DataCorruptError, match=r"s1/t\.tif has 16x15 pixels and no place on the ground, its tile 16x16"
    ):
        ingest(Collection("c", (odd,)), str(tmp_path / "odd"))
    with pytest.raises(InputError, match=r"has no place on the ground, so it cannot be brought to EPSG:32632"):
        begin_ingest(Collection("c", (tile,)), str(tmp_path / "onto"), 8, onto=Onto(crs="EPSG:32632", resolution=10))


def test_tiles_of_two_zones_are_brought_to_one_grid(tmp_path: Path) -> None:
    """Onto EPSG:3035 at 20 m: corners on multiples of 20, and the plane of each tile where pyproj says."""
    tiles = []
    for name, zone in (("a", 32632), ("b", 32633)):
        corner = (500_000.0, 5_300_000.0)
        values = ramp(120, 120, 10, corner)
        tiles.append(make_tile(tmp_path, name, {"s1": np.concatenate([values, values])}, crs=f"EPSG:{zone}"))
    onto = Onto(crs="EPSG:3035", resolution=20)
    chips = ingest(Collection("c", tuple(tiles)), str(tmp_path / "chips"), size=16, onto=onto)
    assert chips.header.onto == onto
    assert set(chips.index["tile"]) == {"a", "b"}
    assert set(chips.index["crs"]) == {"EPSG:3035"}
    for chip, row in chips.index.iterrows():
        west, south, east, north = row["bounds"]
        assert (west % 20, north % 20) == (0, 0)
        assert (east - west, north - south) == (320, 320)
        back = pyproj.Transformer.from_crs(
            "EPSG:3035", f"EPSG:{32632 if row['tile'] == 'a' else 32633}", always_xy=True
        )
        x, y = np.meshgrid(west + 20 * (np.arange(16) + 0.5), north - 20 * (np.arange(16) + 0.5))
        expected = plane(*back.transform(x, y))
        there = back.transform(x, y)
        covered = (np.abs(there[0] - 500_600) < 580) & (
            np.abs(there[1] - 5_299_400) < 580
        )  # two pixels from the border at least
        pixels = chips.read("s1", [chip])[0, 0]
        np.testing.assert_allclose(pixels[covered], expected[covered], atol=0.5)
        outside = (np.abs(there[0] - 500_600) > 620) | (np.abs(there[1] - 5_299_400) > 620)
        assert np.isnan(pixels[outside]).all()
        assert row["valid"] == np.isfinite(pixels).mean()
    assert chips.index["valid"].max() == 1


def test_a_grid_that_tiles_have_changes_nothing(tmp_path: Path) -> None:
    collection = make_collection(tmp_path / "data")
    chips = ingest(collection, str(tmp_path / "chips"), onto=Onto(crs="EPSG:32632", resolution=10))
    expected = np.stack([pixels for *_, pixels in windows(collection, "s2")])
    np.testing.assert_array_equal(chips.read("s2", range(18)), expected)


@pytest.mark.parametrize(
    ("crs", "corner"),
    [("EPSG:32632", (500_000, 5_300_000)), ("EPSG:32719", (300_000, 7_000_000)), ("EPSG:4326", (12.5, 41.9))],
)
def test_footprints_are_pyprojs(tmp_path: Path, crs: str, corner: tuple[float, float]) -> None:
    resolution = 1e-4 if crs == "EPSG:4326" else 10
    tile = make_tile(tmp_path, "t", {"s1": draw_modality("s1", 24, 40)}, crs=crs, corner=corner, resolution=resolution)
    ingest(Collection("c", (tile,)), str(tmp_path / "chips"), stride=4)
    frame = geopandas.read_parquet(tmp_path / "chips/index.parquet")
    assert frame.crs == "OGC:CRS84"
    assert frame.is_valid.all()
    assert len(frame) == 5 * 9
    to_degrees = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    geod = pyproj.Geod(ellps="WGS84")
    for _, row in frame.iterrows():
        west, north = corner[0] + resolution * row["column"], corner[1] - resolution * row["row"]
        east, south = west + 8 * resolution, north - 8 * resolution
        np.testing.assert_allclose(row["bounds"], (west, south, east, north))
        corners = [to_degrees.transform(x, y) for x, y in ((west, south), (east, south), (east, north), (west, north))]
        assert shapely.equals_exact(row["geometry"], shapely.Polygon(corners), 1e-9, normalize=True)
        area, _ = geod.geometry_area_perimeter(row["geometry"])
        assert row["area"] == pytest.approx(abs(area), rel=5e-3)


def test_a_footprint_across_the_antimeridian_is_cut_in_two(tmp_path: Path) -> None:
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32701", always_xy=True).transform(179.9995, -17)
    tile = make_tile(tmp_path, "t", {"s1": draw_modality("s1", 8, 16)}, crs="EPSG:32701", corner=(x, y))
    ingest(Collection("c", (tile,)), str(tmp_path / "chips"), size=8)
    frame = geopandas.read_parquet(tmp_path / "chips/index.parquet")
    assert frame.geometry.geom_type.tolist() == ["MultiPolygon", "Polygon"]
    assert frame.is_valid.all()
    bounds = frame.geometry.bounds
    assert (bounds["minx"][0], bounds["maxx"][0]) == pytest.approx((-180, 180))
    one, other = shapely.area(frame.geometry.to_numpy())
    assert one == pytest.approx(other, rel=1e-3)
    assert frame["area"].tolist() == pytest.approx([6400, 6400], rel=0.01)


def test_a_scene_is_read_a_row_of_chips_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is that of a part and a row of chips: 16 chips of 64 pixels, 0.25 MB, of a scene of 8 MB."""
    monkeypatch.setattr(plan, "MAX_PART", 16)
    pixels = {"s2": draw_modality("s2", 1024, 1024)}
    collection = Collection("c", (make_tile(tmp_path, "t", pixels),))
    parts = begin_ingest(collection, str(tmp_path / "chips"), 64)
    assert len(parts) == 16
    header = parts[0].header
    cut_strip(header, collection.tiles[0], 0, [0])  # imports
    tracemalloc.start()
    try:
        strip = cut_strip(header, collection.tiles[0], 128, range(0, 1024, 64))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    expected = pixels["s2"][:, 128:192].reshape(4, 64, 16, 64).transpose(2, 0, 1, 3)
    np.testing.assert_array_equal(strip.pixels["s2"], expected)
    assert pixels["s2"].nbytes / 16 < peak < pixels["s2"].nbytes / 2


def unlike(folder: Path, change: Any) -> Collection:
    collection = make_collection(folder)
    last = collection.tiles[-1]
    return replace(collection, tiles=(*collection.tiles[:-1], replace(last, rasters=change(dict(last.rasters)))))


def test_tiles_that_are_unlike_the_first_are_refused_at_once(tmp_path: Path) -> None:
    url = str(tmp_path / "chips")
    with pytest.raises(DataCorruptError, match=r"tile t2 has s2 but tile t0 has s1, s2: ingest tiles of the same"):
        begin_ingest(unlike(tmp_path, lambda rasters: {"s2": rasters["s2"]}), url, 8)
    fewer = lambda rasters: {**rasters, "s2": replace(rasters["s2"], bands=("B02", "B03", "B04", "B05"))}  # noqa: E731
    with pytest.raises(BandError, match=r"s2 of tile t2 lacks band B08"):
        begin_ingest(unlike(tmp_path, fewer), url, 8)
    level = lambda rasters: {**rasters, "s2": replace(rasters["s2"], sensor="s2l2a")}  # noqa: E731
    with pytest.raises(DataCorruptError, match=r"s2 of tile t2 is s2l2a, that of tile t0 s2l1c"):
        begin_ingest(unlike(tmp_path, level), url, 8)
    with pytest.raises(BandError, match="there is no modality 's3'"):
        begin_ingest(make_collection(tmp_path), url, 8, bands={"s3": ("B02",)})
    with pytest.raises(
        InputError, match=r"tile t0 has 20x28 pixels, less than a chip of 21: choose a --size of at mos"
    ):
        begin_ingest(make_collection(tmp_path), url, 21)
    with pytest.raises(InputError, match="collection none has no tiles"):
        begin_ingest(Collection("none", ()), url, 8)
    assert not (tmp_path / "chips").exists()


def test_another_dtype_and_a_lost_file_are_named(tmp_path: Path) -> None:
    collection = make_collection(tmp_path)
    write_raster(tmp_path / "s2/t2.tif", draw_modality("s2", 20, 28).astype("int16"))
    with pytest.raises(
        DataCorruptError, match=r"s2/t2\.tif holds int16, the first tile uint16: bring all files to one"
    ):
        ingest(collection, str(tmp_path / "chips"))
    (tmp_path / "s2/t2.tif").unlink()
    with pytest.raises(DataNotFoundError, match=r"s2/t2\.tif is missing"):
        ingest(collection, str(tmp_path / "chips"))


@needs("bigearthnet_mm")
@needs("terramind_s1s2")
@pytest.mark.parametrize("name", ["bigearthnet_mm", "terramind_s1s2"])
def test_real_tiles(tmp_path: Path, name: str) -> None:
    """Chips of bands of three resolutions, and of int16, are cut as the whole tile is read."""
    collection = copy_collection(name, tmp_path)
    chips = ingest(collection, str(tmp_path / "chips"), size=40)
    for modality, array in chips.header.arrays.items():
        if modality == "mask":
            continue
        tile = collection.tiles[-1]
        whole = read_raster(tile.rasters[modality], array.bands)
        for chip, row in chips.index[chips.index["tile"] == tile.id].iterrows():
            expected = whole[:, row["row"] : row["row"] + 40, row["column"] : row["column"] + 40]
            np.testing.assert_array_equal(chips.read(modality, [chip])[0], expected)
    frame = geopandas.read_parquet(tmp_path / "chips/index.parquet")
    assert frame.is_valid.all()
