from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from PIL import Image
from torchgeo.datasets import EuroSAT

from geozoo.eo.readers import find_collection
from geozoo.eo.readers.eurosat import CLASSES
from geozoo.eo.tiles import grid_of, read_raster
from geozoo.errors import DataCorruptError, DataNotFoundError, InputError
from tests.support.images import draw_images, encode_image, write_image_parquet
from tests.support.tiles import draw_raster, needs, real, write_raster

if TYPE_CHECKING:
    from pathlib import Path

INSIDE = "ds/images/remote_sensing/otherDatasets/sentinel_2/tif"


def write_eurosat(root: Path, suffix: str = ".tif", inside: str = INSIDE, count: int = 2) -> None:
    for label, name in enumerate(CLASSES):
        for number in range(1, count + 1):
            file = root / inside / name / f"{name}_{number}{suffix}"
            if suffix == ".tif":
                write_raster(file, draw_raster(13, seed=10 * label + number))
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(encode_image(draw_images(1, (8, 8, 3), seed=10 * label + number)[0], "JPEG"))


def write_split(root: Path, kind: str = "eurosat") -> None:
    for part, numbers in {"train": (1,), "val": (2,), "test": (3,)}.items():
        lines = [f"{name}_{number}.jpg" for name in CLASSES for number in numbers]
        (root / f"{kind}-{part}.txt").write_text("\n".join(lines) + "\n")


def test_all_bands_and_labels_are_torchgeos(tmp_path: Path) -> None:
    write_eurosat(tmp_path, count=3)
    write_split(tmp_path)
    found = find_collection(tmp_path)
    for theirs, ours in (("train", "train"), ("val", "validation"), ("test", "test")):
        dataset = EuroSAT(str(tmp_path), split=theirs)
        tiles = {tile.id: tile for tile in found.tiles if tile.split == ours}
        assert len(tiles) == len(dataset) == 10
        assert tuple(dataset.classes) == found.classes
        for (file, _), sample in zip(dataset.samples, dataset, strict=True):  # type: ignore[call-overload]
            tile = tiles[file.rpartition("/")[2].removesuffix(".tif")]
            assert tile.rasters["s2"].bands == dataset.all_band_names
            np.testing.assert_array_equal(read_raster(tile.rasters["s2"]), sample["image"].numpy())
            assert tile.labels == (int(sample["label"]),)


def test_bands_are_found_by_name_where_b8a_comes_last(tmp_path: Path) -> None:
    write_eurosat(tmp_path)
    write_split(tmp_path)
    names = ("B8A", "B04", "B09")
    dataset = EuroSAT(str(tmp_path), split="train", bands=names)
    tile = next(tile for tile in find_collection(tmp_path).tiles if tile.split == "train")
    np.testing.assert_array_equal(read_raster(tile.rasters["s2"], names), dataset[0]["image"].numpy())


@pytest.mark.parametrize("inside", [".", "2750", "EuroSAT_RGB"])
def test_jpeg_folders(tmp_path: Path, inside: str) -> None:
    write_eurosat(tmp_path, ".jpg", inside)
    found = find_collection(tmp_path)
    assert len(found.tiles) == 20
    tile = next(tile for tile in found.tiles if tile.id == "River_2")
    assert (tile.labels, tile.split, tile.scene) == ((CLASSES.index("River"),), None, "River_2")
    pixels = np.asarray(Image.open(tmp_path / inside / "River" / "River_2.jpg"))
    np.testing.assert_array_equal(read_raster(tile.rasters["rgb"]), pixels.transpose(2, 0, 1))
    assert grid_of(tile.rasters["rgb"]).bounds() is None


def test_lists_by_longitude_decide_the_split(tmp_path: Path) -> None:
    write_eurosat(tmp_path, ".jpg", "2750")
    write_split(tmp_path, "eurosat-spatial")
    assert {tile.id[-1]: tile.split for tile in find_collection(tmp_path).tiles} == {"1": "train", "2": "validation"}
    write_split(tmp_path)
    with pytest.raises(InputError, match=r"several splits \(eurosat, eurosat-spatial\)"):
        find_collection(tmp_path)


def test_a_folder_of_images_of_no_class_is_refused(tmp_path: Path) -> None:
    write_eurosat(tmp_path)
    (tmp_path / INSIDE / "Desert").mkdir()
    assert len(find_collection(tmp_path).tiles) == 20
    write_raster(tmp_path / INSIDE / "Desert" / "Desert_1.tif", draw_raster(13))
    with pytest.raises(DataCorruptError, match="Desert is named after no class"):
        find_collection(tmp_path)


def test_a_label_of_no_class_is_refused(tmp_path: Path) -> None:
    encoded = [encode_image(pixels) for pixels in draw_images(3, (8, 8, 3))]
    write_image_parquet(tmp_path / "a.parquet", encoded, [0, 10, 3], CLASSES)
    with pytest.raises(DataCorruptError, match="has label 10 at row 1, not 0 to 9"):
        find_collection(tmp_path)


def test_an_image_that_cannot_be_decoded_is_named_by_its_row(tmp_path: Path) -> None:
    image = encode_image(draw_images(1, (64, 64, 3))[0], "JPEG")
    write_image_parquet(tmp_path / "a.parquet", [image, image[:-1000], b"\xff\xd8", b"text"], [0, 1, 2, 3], CLASSES)
    whole, *damaged = find_collection(tmp_path).tiles
    assert read_raster(whole.rasters["rgb"]).shape == (3, 64, 64)
    for row, tile in enumerate(damaged, start=1):
        with pytest.raises(DataCorruptError, match=rf"a\.parquet \(row {row}\) cannot be read"):
            read_raster(tile.rasters["rgb"])


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Forest").mkdir()
    with pytest.raises(DataNotFoundError, match="has no EuroSAT images"):
        find_collection(tmp_path)


@needs("eurosat_rgb")
def test_real_rgb_images_as_parquet() -> None:
    file = next(real("eurosat_rgb").glob("*.parquet"))
    found = find_collection(real("eurosat_rgb"))
    table = pq.read_table(file)
    assert len(found.tiles) == len(table)
    for row in (0, 4321, len(table) - 1):
        tile, image = found.tiles[row], table["image"][row].as_py()
        pixels = np.asarray(Image.open(io.BytesIO(image["bytes"])))
        np.testing.assert_array_equal(read_raster(tile.rasters["rgb"]), pixels.transpose(2, 0, 1))
        assert tile.labels == (table["label"][row].as_py(),)
        assert image["path"] is None or found.classes[tile.labels[0]] in image["path"]


@needs("eurosat_ms")
def test_real_tiles_of_all_bands() -> None:
    found = find_collection(real("eurosat_ms"))
    assert [tile.id for tile in found.tiles] == [f"{name}_{n}" for name in ("AnnualCrop", "Forest") for n in (1, 2, 3)]
    for tile in found.tiles:
        with rasterio.open(tile.rasters["s2"].files[0].path) as source:
            np.testing.assert_array_equal(read_raster(tile.rasters["s2"]), source.read())
        near, narrow, cirrus = (read_raster(tile.rasters["s2"], [band])[0] for band in ("B08", "B8A", "B10"))
        # the narrow near-infrared band is like the wide one, cirrus is dark: so B8A is last and B10 is not
        assert np.corrcoef(near.ravel(), narrow.ravel())[0, 1] > 0.8
        assert np.median(cirrus) < 0.05 * np.median(near)
