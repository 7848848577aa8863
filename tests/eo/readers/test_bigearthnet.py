from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from torchgeo.datasets import BigEarthNet

from geozoo.eo.bands import SENTINEL2_L2A
from geozoo.eo.readers import find_collection
from geozoo.eo.readers.bigearthnet import CLASSES, DROPPED, NOMENCLATURE
from geozoo.eo.tiles import read_raster
from geozoo.errors import DataCorruptError, DataNotFoundError
from tests.support.tiles import draw_raster, needs, real, write_raster

if TYPE_CHECKING:
    from pathlib import Path

SIZES = dict.fromkeys(SENTINEL2_L2A, 6) | dict.fromkeys(("B02", "B03", "B04", "B08"), 12) | {"B01": 2, "B09": 2}
OPTICAL = ("S2A_MSIL2A_20170613T101031_87_48", "S2B_MSIL2A_20180204T94161_57_38")
RADAR = ("S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48", "S1A_IW_GRDH_1SDV_20180204T043253_35VPK_57_38")
LABELS = (["Rice fields", "Olive groves", "Non-irrigated arable land"], ["Airports"])


def write_bigearthnet(root: Path, optical: bool = True, radar: bool = True) -> None:
    for seed, (two, one, labels) in enumerate(zip(OPTICAL, RADAR, LABELS, strict=True)):
        if optical:
            folder = root / "BigEarthNet-v1.0" / two
            for number, (band, size) in enumerate(SIZES.items()):
                write_raster(folder / f"{two}_{band}.tif", draw_raster(1, size, 20 * seed + number))
            source = f"S2A_MSIL1C_20170613T101031_N0205_R022_T33UU{'PQ'[seed]}_20170613T101608.SAFE"
            facts = {"labels": labels, "tile_source": source, "acquisition_date": f"201{7 + seed}-06-13 10:10:31"}
            write_facts(folder, facts)
        if radar:
            folder = root / "BigEarthNet-S1-v1.0" / one
            for band in ("VH", "VV"):
                write_raster(folder / f"{one}_{band}.tif", -draw_raster(1, 12, seed, high=30).astype(np.float32))
            write_facts(folder, {"labels": labels, "corresponding_s2_patch": two, "acquisition_time": "2017-06-14T16"})


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    (folder / f"{folder.name}_labels_metadata.json").write_text(json.dumps(facts))


def test_the_nomenclature_is_torchgeos() -> None:
    corine, nineteen = (BigEarthNet.class_sets[number] for number in (43, 19))
    assert tuple(nineteen) == CLASSES
    ours = {label: CLASSES.index(name) for name, merged in NOMENCLATURE.items() for label in merged}
    assert ours == {corine[place]: number for place, number in BigEarthNet.label_converter.items()}
    assert set(ours) | set(DROPPED) == set(corine)
    assert len(ours) + len(DROPPED) == 43


def test_pairs_labels_and_scenes(tmp_path: Path) -> None:
    write_bigearthnet(tmp_path)
    found = find_collection(tmp_path)
    assert (found.name, found.multilabel, len(found.classes)) == ("bigearthnet", True, 19)
    first, second = found.tiles
    assert [tile.id for tile in found.tiles] == list(OPTICAL)
    assert [found.classes[label] for label in first.labels] == ["Arable land", "Permanent crops"]
    assert second.labels == ()
    assert (first.scene, first.date, second.scene, second.date) == ("33UUP", "2017-06-13", "33UUQ", "2018-06-13")
    assert (first.rasters["s2"].baseline, first.rasters["s2"].offset, first.split) == (None, 0, None)
    assert RADAR[1] in second.rasters["s1"].files[0].path


@pytest.mark.parametrize("prefix", ["bigearthnet-", ""])
def test_tables_decide_the_split(tmp_path: Path, prefix: str) -> None:
    write_bigearthnet(tmp_path)
    (tmp_path / f"{prefix}train.csv").write_text(f"{OPTICAL[1]},{RADAR[1]}\n")
    (tmp_path / f"{prefix}val.csv").write_text(f"{OPTICAL[0]},{RADAR[0]}\n")
    assert [tile.split for tile in find_collection(tmp_path).tiles] == ["validation", "train"]


def test_one_sensor_alone(tmp_path: Path) -> None:
    write_bigearthnet(tmp_path / "two", radar=False)
    write_bigearthnet(tmp_path / "one", optical=False)
    two, one = (find_collection(tmp_path / name).tiles[0] for name in ("two", "one"))
    assert (set(two.rasters), set(one.rasters)) == ({"s2"}, {"s1"})
    assert (one.id, one.labels, one.scene, one.date) == (two.id, two.labels, "33UUP", "2017-06-14")


def test_a_patch_may_lack_its_partner(tmp_path: Path) -> None:
    write_bigearthnet(tmp_path)
    (tmp_path / "BigEarthNet-v1.0" / OPTICAL[0]).rename(tmp_path / "elsewhere")
    kinds = {tile.id: set(tile.rasters) for tile in find_collection(tmp_path).tiles}
    assert kinds == {name: {"s1"} if name == OPTICAL[0] else {"s1", "s2"} for name in OPTICAL}


def test_a_missing_band_is_named_when_it_is_read(tmp_path: Path) -> None:
    write_bigearthnet(tmp_path)
    (tmp_path / "BigEarthNet-v1.0" / OPTICAL[0] / f"{OPTICAL[0]}_B05.tif").unlink()
    raster = find_collection(tmp_path).tiles[0].rasters["s2"]
    with pytest.raises(DataNotFoundError, match=r"_B05\.tif is missing"):
        read_raster(raster)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"labels": ["Moon"]}, "has the label 'Moon', which is none of the 43 CORINE classes"),
        ({}, "holds no labels"),
        ([], "holds no labels"),
    ],
)
def test_labels_of_no_class_are_refused(tmp_path: Path, facts: Any, sentence: str) -> None:
    write_bigearthnet(tmp_path, radar=False)
    write_facts(tmp_path / "BigEarthNet-v1.0" / OPTICAL[1], facts)
    with pytest.raises(DataCorruptError, match=sentence):
        find_collection(tmp_path)


def test_a_damaged_or_missing_file_of_labels_is_named(tmp_path: Path) -> None:
    write_bigearthnet(tmp_path)
    file = tmp_path / "BigEarthNet-v1.0" / OPTICAL[1] / f"{OPTICAL[1]}_labels_metadata.json"
    file.write_text("{")
    with pytest.raises(DataCorruptError, match="cannot be read as JSON"):
        find_collection(tmp_path)
    file.unlink()
    with pytest.raises(DataNotFoundError, match=r"labels_metadata\.json is missing"):
        find_collection(tmp_path)


@pytest.mark.parametrize("partner", [None, OPTICAL[0]])
def test_partners_are_one_to_one(tmp_path: Path, partner: str | None) -> None:
    write_bigearthnet(tmp_path)
    for name in RADAR:
        write_facts(tmp_path / "BigEarthNet-S1-v1.0" / name, {"labels": [], "corresponding_s2_patch": partner})
    with pytest.raises(DataCorruptError, match="is the second for" if partner else "names no corresponding_s2_patch"):
        find_collection(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "BigEarthNet-v1.0").mkdir()
    with pytest.raises(DataNotFoundError, match="has no patches"):
        find_collection(tmp_path)


@needs("bigearthnet_mm")
def test_real_patches_are_read_as_torchgeo_reads_them(tmp_path: Path) -> None:
    for sensor, folder in (("S1", "BigEarthNet-S1-v1.0"), ("S2", "BigEarthNet-v1.0")):
        with tarfile.open(real("bigearthnet_mm") / f"BigEarthNet-{sensor}-Example.tar.bz2") as archive:
            archive.extractall(tmp_path, filter="data")
        (tmp_path / f"BigEarthNet-{sensor}-Example").rename(tmp_path / folder)
    pairs = json.loads((real("bigearthnet_mm") / "pairs.json").read_text())
    for part, rows in {"train": pairs, "val": [], "test": []}.items():
        (tmp_path / f"bigearthnet-{part}.csv").write_text("".join(f"{row['s2']},{row['s1']}\n" for row in rows))
    theirs = BigEarthNet(str(tmp_path), split="train", bands="all", num_classes=19)
    ours = {tile.id: tile for tile in find_collection(tmp_path).tiles}
    assert len(ours) == len(theirs) == 6
    for row, sample in zip(pairs, theirs, strict=True):  # type: ignore[call-overload]
        tile = ours[row["s2"]]
        assert row["s1"] in tile.rasters["s1"].files[0].path
        assert tile.labels == tuple(np.flatnonzero(sample["label"].numpy()).tolist())
        assert tile.split == "train"
        image = sample["image"].numpy()
        np.testing.assert_array_equal(read_raster(tile.rasters["s2"]), image[2:])
        # TorchGeo sorts VH before VV, and makes whole numbers of the decibels
        radar = read_raster(tile.rasters["s1"], ["VH", "VV"])
        assert radar.dtype == np.float32
        np.testing.assert_allclose(radar, image[:2], atol=1)
