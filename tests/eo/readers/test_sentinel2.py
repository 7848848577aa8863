from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from torchgeo.datasets import Sentinel2

from geozoo.eo.bands import SENTINEL2_L1C, SENTINEL2_L2A
from geozoo.eo.readers import find_collection
from geozoo.eo.tiles import grid_of, read_raster
from geozoo.errors import BandError, DataCorruptError, DataNotFoundError
from tests.support.tiles import draw_raster, write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.tiles import Tile

NEW = "S2B_MSIL{}_20200422T095031_N0509_R079_T31UFS_20230401T115900.SAFE"
OLD = "S2B_MSIL{}_20200422T095031_N0209_R079_T31UFS_20200422T115900.SAFE"
START = "T31UFS_20200422T095031"
FINE = ("B02", "B03", "B04", "B08")
METRES = dict.fromkeys(SENTINEL2_L1C, 20) | dict.fromkeys(FINE, 10) | dict.fromkeys(("B01", "B09", "B10"), 60)
SIDE = 120
of_rasterio = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


def band_pixels(band: str, metres: int) -> np.ndarray:
    """From 0 (nodata) to a few thousand, with numbers around the offset among them."""
    pixels = draw_raster(1, SIDE // metres * 10, seed=SENTINEL2_L1C.index(band) + metres)
    pixels[0, 0, :3] = (0, 1, 1001)
    return pixels


def write_metadata(
    file: Path, level: str, baseline: str | None = "05.09", offsets: dict[int, int] | None = None, head: str = ""
) -> None:
    """In the schema of ESA's product specification, cut to what concerns radiometry."""
    element = {"1C": "RADIO_ADD_OFFSET", "2A": "BOA_ADD_OFFSET"}[level]
    given = dict.fromkeys(range(13), -1000) if offsets is None else offsets
    lines = "".join(f'<{element} band_id="{band}">{value}</{element}>' for band, value in given.items())
    said = f"<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>" if baseline else ""
    name = f"Level-{level}_User_Product"
    space = f"https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>{head}
<n1:{name} xmlns:n1="{space}"><n1:General_Info><Product_Info>{said}</Product_Info>
<Product_Image_Characteristics><QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
<Offset_List>{lines}</Offset_List></Product_Image_Characteristics></n1:General_Info></n1:{name}>"""
    )


def write_jp2(file: Path, pixels: np.ndarray, metres: float) -> None:
    write_raster(file.with_suffix(".tif"), pixels, crs="EPSG:32631", resolution=metres)
    with rasterio.open(file.with_suffix(".tif")) as source:
        profile = source.profile | {"driver": "JP2OpenJPEG", "quality": 100, "reversible": "YES"}
        kept = {key: profile[key] for key in ("driver", "count", "height", "width", "dtype", "crs", "transform")}
        with rasterio.open(file, "w", **kept, QUALITY=100, REVERSIBLE="YES") as target:
            target.write(source.read())
    file.with_suffix(".tif").unlink()


def write_safe(root: Path, level: str, name: str = NEW) -> Path:
    """A product of 120x120 pixels of 10 m; Level-2A has every band at its own resolution and all coarser ones."""
    product = root / name.format(level)
    images = product / "GRANULE" / f"L{level}_T31UFS_A016330_20200422T095029" / "IMG_DATA"
    for band in SENTINEL2_L1C if level == "1C" else SENTINEL2_L2A:
        if level == "1C":
            write_jp2(images / f"{START}_{band}.jp2", band_pixels(band, METRES[band]), METRES[band])
        else:
            for metres in (size for size in (10, 20, 60) if size >= METRES[band]):
                file = images / f"R{metres}m" / f"{START}_{band}_{metres}m.jp2"
                write_jp2(file, band_pixels(band, metres), metres)
    if level == "2A":
        write_jp2(images / "R20m" / f"{START}_SCL_20m.jp2", draw_raster(1, 60, high=11), 20)
    mask = product / "GRANULE" / f"L{level}_T31UFS_A016330_20200422T095029" / "QI_DATA"
    write_jp2(mask / "MSK_DETFOO_B02.jp2", draw_raster(1, 60), 20)
    return product


def only(path: Path, format: str | None = None) -> Tile:
    (tile,) = find_collection(path, format).tiles
    return tile


@pytest.mark.parametrize(("level", "bands"), [("1C", SENTINEL2_L1C), ("2A", SENTINEL2_L2A)])
def test_a_product_of_a_new_baseline_has_its_offset_added(tmp_path: Path, level: str, bands: tuple[str, ...]) -> None:
    product = write_safe(tmp_path, level)
    write_metadata(product / f"MTD_MSIL{level}.xml", level)
    tile = only(tmp_path)
    raster = tile.rasters["s2"]
    assert (raster.sensor, raster.bands) == (f"s2l{level.lower()}", bands)
    assert (raster.baseline, raster.offset) == ("05.09", -1000)
    assert (tile.id, tile.scene, tile.date) == (product.stem, "31UFS", "2020-04-22")
    grid = grid_of(raster)
    assert (grid.height, grid.width, grid.crs.to_epsg()) == (SIDE, SIDE, 32631)
    for band in FINE:
        stored = band_pixels(band, 10).astype(int)
        expected = np.where(stored == 0, 0, np.maximum(stored - 1000, 1))
        np.testing.assert_array_equal(read_raster(raster, [band]), expected)
    assert read_raster(raster, ["B02"])[0, 0, :3].tolist() == [0, 1, 1]


def test_bands_of_level_2a_are_taken_as_they_were_measured(tmp_path: Path) -> None:
    product = write_safe(tmp_path, "2A", OLD)
    raster = only(product).rasters["s2"]
    assert (raster.baseline, raster.offset) == ("02.09", 0)
    for band, file in zip(raster.bands, raster.files, strict=True):
        assert file.path.endswith(f"_{band}_{METRES[band]}m.jp2")
        with rasterio.open(file.path) as source:
            np.testing.assert_array_equal(source.read(), band_pixels(band, METRES[band]))


@of_rasterio
@pytest.mark.parametrize("level", ["1C", "2A"])
def test_pixels_are_torchgeos(tmp_path: Path, level: str) -> None:
    raster = only(write_safe(tmp_path, level, OLD)).rasters["s2"]
    theirs = Sentinel2(str(tmp_path), bands=FINE, res=10)
    image = theirs[theirs.bounds]["image"].numpy()
    np.testing.assert_array_equal(read_raster(raster, FINE), image)


@of_rasterio
def test_torchgeo_leaves_the_offset_to_its_user(tmp_path: Path) -> None:
    product = write_safe(tmp_path, "2A")
    write_metadata(product / "MTD_MSIL2A.xml", "2A")
    theirs = Sentinel2(str(tmp_path), bands=FINE, res=10)
    image = theirs[theirs.bounds]["image"].numpy()
    expected = np.where(image == 0, 0, np.maximum(image - 1000, 1))
    np.testing.assert_array_equal(read_raster(only(tmp_path).rasters["s2"], FINE), expected)


def test_all_products_below_a_folder_and_the_dates_of_one_place_are_one_scene(tmp_path: Path) -> None:
    write_safe(tmp_path / "2020" / "04", "1C", OLD)
    write_safe(tmp_path / "2020", "1C", OLD.replace("20200422T09", "20200502T09"))
    found = find_collection(tmp_path)
    assert [tile.date for tile in found.tiles] == ["2020-04-22", "2020-04-22"]  # as their band files say
    assert {tile.scene for tile in found.tiles} == {"31UFS"}
    assert len({tile.id for tile in found.tiles}) == 2


def test_the_sensing_date_decides_nothing(tmp_path: Path) -> None:
    new = write_safe(tmp_path, "1C")
    write_metadata(new / "MTD_MSIL1C.xml", "1C", "05.00")
    late = write_safe(tmp_path, "1C", OLD.replace("20200422", "20230422"))
    write_metadata(late / "MTD_MSIL1C.xml", "1C", "02.09", offsets={})
    rasters = {tile.id: tile.rasters["s2"] for tile in find_collection(tmp_path).tiles}
    assert {name: (raster.baseline, raster.offset) for name, raster in rasters.items()} == {
        new.stem: ("05.00", -1000),
        late.stem: ("02.09", 0),
    }


@pytest.mark.parametrize("metadata", ["without offsets", "none"])
def test_a_new_baseline_without_its_offset_is_refused(tmp_path: Path, metadata: str) -> None:
    product = write_safe(tmp_path, "2A")
    if metadata == "without offsets":
        write_metadata(product / "MTD_MSIL2A.xml", "2A", "04.00", offsets={})
    with pytest.raises(DataCorruptError, match=r"is of processing baseline 0[45]\.0\d, whose numbers carry an offset"):
        find_collection(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"offsets": {0: -1000}}, r"gives offsets, but none for B02, B03"),
        ({"offsets": dict.fromkeys(range(12), -1000) | {12: -900}}, r"different offsets \(\[-1000, -900\]\)"),
        ({"offsets": {13: -1000}}, "cannot be read"),
        ({"baseline": "five"}, "cannot be read"),
        ({"head": '<!DOCTYPE x [<!ENTITY a "b">]>'}, "declares the document type x"),
        ({"head": "<"}, "cannot be read"),
    ],
)
def test_wrong_metadata_are_refused(tmp_path: Path, changes: dict[str, str], sentence: str) -> None:
    product = write_safe(tmp_path, "2A")
    write_metadata(product / "MTD_MSIL2A.xml", "2A", **changes)  # type: ignore[arg-type]
    with pytest.raises(DataCorruptError, match=sentence) as caught:
        find_collection(tmp_path)
    assert "MTD_MSIL2A.xml" in str(caught.value)


def test_offsets_belong_to_bands_in_order_of_wavelength(tmp_path: Path) -> None:
    folder = tmp_path / "S2A_31UFS_20200422_0_L2A"
    for band in ("B08", "B8A", "B12"):
        write_raster(folder / f"{band}.tif", band_pixels(band, 10))
    write_metadata(folder / "MTD_MSIL2A.xml", "2A", offsets={7: -1000, 8: -1000, 12: -1000})
    assert only(tmp_path).rasters["s2"].offset == -1000


@pytest.mark.parametrize(
    ("folder", "start", "sensor"),
    [
        ("sentinel-s2-l2a-cogs/31/U/FS/S2A_31UFS_20200422_0_L2A", "", "s2l2a"),
        ("scene", f"{START}_", "s2l1c"),
        ("L1C", "S2_31UFS_20200422_", "s2l1c"),
    ],
)
def test_folders_of_bands_without_metadata_are_taken_as_they_are(
    tmp_path: Path, folder: str, start: str, sensor: str
) -> None:
    bands = SENTINEL2_L1C if sensor == "s2l1c" else SENTINEL2_L2A
    for band in bands:
        write_raster(tmp_path / folder / f"{start}{band}.tif", band_pixels(band, METRES[band]), resolution=METRES[band])
    tile = only(tmp_path)
    raster = tile.rasters["s2"]
    assert (raster.sensor, raster.bands, raster.baseline, raster.offset) == (sensor, bands, None, 0)
    assert (tile.scene, tile.date) == ("31UFS", "2020-04-22")
    np.testing.assert_array_equal(read_raster(raster, ["B04"]), band_pixels("B04", 10))


def test_products_in_one_folder_are_told_apart_by_name(tmp_path: Path) -> None:
    for day in ("20200422", "20200502"):
        for band in FINE:
            write_raster(tmp_path / "l2a" / f"T31UFS_{day}T095031_{band}_10m.tif", band_pixels(band, 10))
    found = find_collection(tmp_path)
    assert [tile.date for tile in found.tiles] == ["2020-04-22", "2020-05-02"]
    with pytest.raises(BandError, match="lacks band B11"):
        read_raster(found.tiles[0].rasters["s2"], ["B04", "B11"])


def test_an_unreadable_band_is_named(tmp_path: Path) -> None:
    write_raster(tmp_path / "B02.tif", band_pixels("B02", 10))
    (tmp_path / "B03.tif").write_bytes(b"II*")
    with pytest.raises(DataCorruptError, match=r"B03\.tif cannot be read"):
        read_raster(only(tmp_path).rasters["s2"])


def test_a_folder_without_a_band_of_its_level_is_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "l2a" / "B10.tif", band_pixels("B10", 60))
    with pytest.raises(DataCorruptError, match="has only B10, which s2l2a has not"):
        find_collection(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.SAFE").mkdir()
    with pytest.raises(DataNotFoundError, match="has no Sentinel-2 bands"):
        find_collection(tmp_path)
