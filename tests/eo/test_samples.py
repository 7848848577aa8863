from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import pytest
import rasterio
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchgeo.datasets import EuroSAT

from geozoo.eo.bands import SENTINEL2_L1C
from geozoo.eo.labels import multilabels
from geozoo.eo.readers import find_collection
from geozoo.eo.samples import TileDataset
from geozoo.eo.tiles import Collection, Raster, Tile
from geozoo.errors import BandError, DataCorruptError, DataNotFoundError, InputError
from tests.eo.readers.test_eurosat import write_eurosat, write_split
from tests.support.tiles import draw_raster, needs, real, write_raster

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("forest", "water", "field")
RECODE = (255, 2, 0, 1)


def write_pairs(root: Path, count: int = 4) -> Collection:
    """Tiles of Sentinel-1 with a NaN, Sentinel-2 L2A of a new baseline with nodata, and a mask of codes 0 to 4."""
    tiles = []
    for number in range(count):
        radar = -draw_raster(2, seed=number, high=25).astype(np.float32)
        radar[1, 0, 0] = np.nan
        optical = draw_raster(12, seed=number)
        optical[3, 2, 1] = 0
        codes = draw_raster(1, seed=number, high=5, dtype="uint8") - 1
        files = {
            name: write_raster(root / name / f"{number}.tif", pixels)
            for name, pixels in (("s1", radar), ("s2", optical), ("mask", codes))
        }
        bands = [band for band in SENTINEL2_L1C if band != "B10"]
        rasters = {
            "s1": Raster.of_file("s1", files["s1"], ("VV", "VH")),
            "s2": Raster.of_file("s2l2a", files["s2"], bands, offset=-1000, baseline="05.09"),
            "mask": Raster.of_file("labels", files["mask"], ("label",)),
        }
        tiles.append(Tile(str(number), rasters, scene=str(number), recode=RECODE))
    return Collection("pairs", tuple(tiles), CLASSES)


def pixels_of(raster: Raster) -> np.ndarray:
    with rasterio.open(raster.files[0].path) as source:
        return np.asarray(source.read())


def test_a_sample_has_images_and_facts_by_modality(tmp_path: Path) -> None:
    collection = write_pairs(tmp_path)
    sample = TileDataset(collection)[1]
    tile = collection.tiles[1]
    assert {name: value.dtype for name, value in sample.items() if isinstance(value, Tensor)} == {
        "image_s1": torch.float32,
        "image_s2": torch.float32,
        "valid_s1": torch.bool,
        "valid_s2": torch.bool,
        "mask": torch.int64,
        "label": torch.int64,
        "bounds": torch.float64,
    }
    np.testing.assert_array_equal(sample["image_s1"], pixels_of(tile.rasters["s1"]))
    stored = pixels_of(tile.rasters["s2"]).astype(int)
    np.testing.assert_array_equal(sample["image_s2"], np.where(stored == 0, 0, np.maximum(stored - 1000, 1)))
    assert (sample["sensor_s1"], sample["sensor_s2"]) == ("s1", "s2l2a")
    assert (sample["baseline_s1"], sample["baseline_s2"]) == ("", "05.09")
    assert sample["crs"] == "EPSG:32632"
    assert sample["bounds"].tolist() == [500_000, 5_300_000 - 80, 500_000 + 80, 5_300_000]


def test_pixels_without_a_measurement_are_told(tmp_path: Path) -> None:
    sample = TileDataset(write_pairs(tmp_path))[0]
    for name, (row, column) in {"valid_s1": (0, 0), "valid_s2": (2, 1)}.items():
        expected = torch.ones(8, 8, dtype=torch.bool)
        expected[row, column] = False
        assert torch.equal(sample[name], expected)
    # a band without the hole is measured everywhere
    assert bool(TileDataset(write_pairs(tmp_path), {"s2": ("B02",)})[0]["valid_s2"].all())


def test_the_mask_is_recoded_and_gives_the_label(tmp_path: Path) -> None:
    collection = write_pairs(tmp_path)
    for tile, sample in zip(collection.tiles, TileDataset(collection), strict=True):  # type: ignore[call-overload]
        codes = pixels_of(tile.rasters["mask"])[0]
        expected = [[RECODE[code] if code < len(RECODE) else 255 for code in row] for row in codes]
        assert sample["mask"].tolist() == expected
        counts = torch.bincount(sample["mask"].flatten(), minlength=256)[:3]
        assert int(counts[sample["label"]]) == int(counts.max())
    several = TileDataset(replace(collection, multilabel=True))[0]
    assert several["label"].dtype == torch.float32
    assert tuple(torch.nonzero(several["label"]).flatten().tolist()) == multilabels(several["mask"].numpy())


def test_a_tiles_own_labels_come_first(tmp_path: Path) -> None:
    collection = write_pairs(tmp_path, count=1)
    own = replace(collection, tiles=(replace(collection.tiles[0], labels=(2,)),))
    assert int(TileDataset(own)[0]["label"]) == 2
    assert TileDataset(replace(own, multilabel=True))[0]["label"].tolist() == [0, 0, 1]


def test_without_labels_there_are_none_or_all_zeros(tmp_path: Path) -> None:
    (tile,) = write_pairs(tmp_path, count=1).tiles
    bare = Collection("bare", (replace(tile, rasters={"s1": tile.rasters["s1"]}),), CLASSES)
    assert set(TileDataset(bare)[0]) == {"image", "valid_s1", "sensor_s1", "baseline_s1", "bounds", "crs"}
    assert TileDataset(replace(bare, multilabel=True))[0]["label"].tolist() == [0, 0, 0]


def test_bands_are_chosen_by_name_and_modalities_with_them(tmp_path: Path) -> None:
    collection = write_pairs(tmp_path)
    sample = TileDataset(collection, {"s2": ("B12", "B02")})[0]
    whole = TileDataset(collection)[0]["image_s2"]
    assert "image_s1" not in sample
    assert torch.equal(sample["image"], whole[[11, 1]])


def test_thirteen_bands_are_not_taken_from_twelve(tmp_path: Path) -> None:
    with pytest.raises(BandError, match=r"s2 of tile 0 lacks band B10 .* name the bands to use in `bands:`"):
        TileDataset(write_pairs(tmp_path), {"s2": SENTINEL2_L1C})


def test_what_a_collection_cannot_give_is_refused_at_once(tmp_path: Path) -> None:
    collection = write_pairs(tmp_path)
    last = replace(collection.tiles[3], rasters={"s2": collection.tiles[3].rasters["s2"]})
    with pytest.raises(DataNotFoundError, match=r"tile 3 of pairs has no s1 \(it has s2\)"):
        TileDataset(replace(collection, tiles=(*collection.tiles[:3], last)))
    with pytest.raises(InputError, match="pairs has no tiles"):
        TileDataset(replace(collection, tiles=()))
    with pytest.raises(InputError, match="names no classes"):
        TileDataset(replace(collection, classes=(), multilabel=True))


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    dataset = TileDataset(write_pairs(tmp_path))
    (tmp_path / "s2" / "1.tif").unlink()
    (tmp_path / "mask" / "2.tif").write_bytes(b"II*")
    with pytest.raises(DataNotFoundError, match=r"s2/1\.tif is missing"):
        dataset[1]
    with pytest.raises(DataCorruptError, match=r"mask/2\.tif cannot be read"):
        dataset[2]


def test_samples_are_torchgeos(tmp_path: Path) -> None:
    write_eurosat(tmp_path, count=3)
    write_split(tmp_path)
    found = find_collection(tmp_path)
    theirs = EuroSAT(str(tmp_path), split="test", bands=("B04", "B03", "B02"))
    part = replace(found, tiles=tuple(tile for tile in found.tiles if tile.split == "test"))
    ours = TileDataset(part, {"s2": ("B04", "B03", "B02")})
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):  # type: ignore[call-overload]
        for key in ("image", "label"):
            assert one[key].dtype == other[key].dtype
            assert torch.equal(one[key], other[key])


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_a_loader_are_the_samples(tmp_path: Path, workers: int) -> None:
    dataset = TileDataset(write_pairs(tmp_path))
    first, second = DataLoader(dataset, batch_size=2, num_workers=workers)
    assert first["image_s2"].shape == (2, 12, 8, 8)
    assert second["sensor_s2"] == ["s2l2a", "s2l2a"]
    for name in ("image_s2", "mask", "label", "bounds"):
        assert torch.equal(second[name][1], dataset[3][name])


class Tiles(lightning.LightningDataModule):
    def __init__(self, collection: Collection) -> None:
        super().__init__()
        self.collection = collection

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        return DataLoader(TileDataset(self.collection, {"s2": ("B02", "B03")}), batch_size=2)


class Linear(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(2, len(CLASSES), 1)
        self.losses: list[float] = []

    def training_step(self, batch: dict[str, Any]) -> Tensor:
        logits = self.head(batch["image"] / 10_000)
        loss = nn.functional.cross_entropy(logits, batch["mask"], ignore_index=255)
        self.losses.append(float(loss.detach()))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")
def test_a_lightning_data_module_trains_on_them(tmp_path: Path) -> None:
    model, settings = Linear(), {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=5, accelerator="cpu", enable_model_summary=False, **settings)
    trainer.fit(model, Tiles(write_pairs(tmp_path)))
    assert len(model.losses) == 10
    assert sum(model.losses[-2:]) < sum(model.losses[:2])


@needs("terramind_s1s2")
def test_real_tiles() -> None:
    dataset = TileDataset(find_collection(real("terramind_s1s2")), {"s1": ("VV", "VH"), "s2l2a": ("B04", "B03", "B02")})
    batch = next(iter(DataLoader(dataset, batch_size=5)))
    assert batch["image_s1"].shape == (5, 2, 224, 224)
    assert batch["image_s2l2a"].shape == (5, 3, 224, 224)
    assert bool(batch["valid_s2l2a"].all())
    assert float(batch["image_s1"].max()) < 40  # decibels
    assert batch["label"].tolist() == [int(mask.flatten().mode().values) for mask in batch["mask"]]
