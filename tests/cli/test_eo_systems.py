"""The published systems from files to a table, through the commands, on tiny files in the layouts of the data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio

from geozoo.eo.chips import open_chips
from geozoo.eo.chips.ingest import begin_ingest, finish_ingest
from geozoo.eo.chips.workers import cut_parts
from geozoo.eo.labels import DFC_CLASSES
from geozoo.eo.readers import find_collection
from geozoo.eo.readers.folder import LAYOUT
from geozoo.ssl.split import split_chips
from geozoo.ssl.trained import open_views
from tests.support.commands import geozoo
from tests.support.eo_real import copy_collection, needs_tiles
from tests.support.eo_sets import write_dfc2020, write_sen12ms
from tests.support.ssl_experiments import FOLDER, PRETRAINED, SIZE, smaller
from tests.support.tiles import needs, real, write_raster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.eo.tiles import Collection

SYSTEMS = {
    "onlysen1": "scratch",
    "onlysen2": "scratch",
    "earlyfusion": "scratch",
    "latefusion": "scratch",
    "simclr_rgb_labels": "probe",
    "dual_simclr_labels": "finetune",
    "mma_labels": "finetune",
    "d_swin_labels": "finetune",
}
"""The eight systems, and the method that tables show of each."""


@pytest.fixture(autouse=True)
def _nothing_is_written_among_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scores on made-up and borrowed data are no results."""
    monkeypatch.setenv("GEOZOO_RUNS", str(tmp_path / "runs"))
    before = {path: path.read_bytes() for path in FOLDER.rglob("*.*") if path.is_file()}
    yield
    assert {path: path.read_bytes() for path in FOLDER.rglob("*.*") if path.is_file()} == before


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Chip stores of both data sets, ingested by the command."""
    urls = {}
    for name, write in {"sen12ms": write_sen12ms, "dfc2020": write_dfc2020}.items():
        folder = tmp_path_factory.mktemp(name)
        outcome = geozoo("eo", "ingest", write(folder / "files"), "--to", folder / "chips", "--size", SIZE, "--json")
        assert outcome.code == 0, outcome.err
        urls[name] = json.loads(outcome.out)["url"]
    return urls


def options(overrides: list[str]) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


def pretrain(name: str, chips: str, to: Path, *more: str) -> str:
    """The URL of the encoders of an experiment."""
    overrides = options([*smaller(name), f"chips={chips}", *more])
    outcome = geozoo("train", FOLDER / f"{name}.yaml", "--to", to, "--local", *overrides)
    assert outcome.code == 0, outcome.err
    return outcome.out.strip()


def sweep(name: str, to: Path, *overrides: str) -> dict[str, Any]:
    """The values of the table of an experiment on labels."""
    words = options([*smaller(name), *overrides])
    outcome = geozoo("sweep", FOLDER / f"{name}.yaml", "--to", to, "--local", "--json", *words)
    assert outcome.code == 0, outcome.err
    values: dict[str, Any] = json.loads(outcome.out)
    return values


def test_the_stores_are_those_of_the_data_sets(stores: dict[str, str]) -> None:
    sen12ms, dfc2020 = (open_chips(stores[name]) for name in ("sen12ms", "dfc2020"))
    assert (len(sen12ms), len(dfc2020)) == (16, 18)
    for chips in (sen12ms, dfc2020):
        assert chips.header.classes == DFC_CLASSES
        assert [len(chips.header.arrays[name].bands) for name in ("s1", "s2", "mask")] == [2, 13, 1]
    assert dfc2020.index["split"].value_counts().to_dict() == {"train": 12, "test": 6}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_from_files_to_its_row(name: str, stores: dict[str, str], tmp_path: Path) -> None:
    overrides = [f"chips={stores['dfc2020']}", "seeds=[40, 41]"]
    if name in PRETRAINED:
        model = pretrain(PRETRAINED[name], stores["sen12ms"], tmp_path / "model")
        assert len(open_views(model).card.history) == 1
        overrides.append(f"model={model}")
    values = sweep(name, tmp_path / "rows", *overrides)
    cells = {cell["method"]: cell for cell in values["cells"]}
    shown = cells[SYSTEMS[name]]
    assert (shown["fraction"], shown["seeds"], shown["updates"]) == (1.0, 2, 3)
    assert shown["overall"] == {"mean": shown["mean"], "std": shown["std"]}
    assert len(shown["per_class"]) == len(values["classes"]) == 8
    assert (values["data"], values["task"], values["test_chips"]) == ("dfc2020", "single", 6)
    again = sweep(name, tmp_path / "rows", *overrides)
    assert again == values


def test_a_map_of_the_network_that_was_kept(stores: dict[str, str], tmp_path: Path) -> None:
    model = pretrain("d_swin", stores["sen12ms"], tmp_path / "model")
    words = options([*smaller("d_swin_segmentation"), f"chips={stores['dfc2020']}", f"model={model}", "seeds=[40]"])
    files, kept, tile = Path(stores["dfc2020"]).parent / "files", tmp_path / "kept", "ROIs0000_test_0_p2"
    experiment = FOLDER / "d_swin_segmentation.yaml"
    outcome = geozoo("sweep", experiment, "--to", tmp_path / "rows", "--keep", kept, "--local", *words)
    assert outcome.code == 0, outcome.err
    assert "kept the network of row finetune-1-40" in outcome.err
    to, png = tmp_path / "map.tif", tmp_path / "map.png"
    outcome = geozoo("eo", "map", kept, files, "--tile", tile, "--to", to, "--png", png, "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out) == {"file": str(to), "height": SIZE, "width": SIZE, "classes": list(DFC_CLASSES)}
    with rasterio.open(to) as found:
        assert found.crs.to_string() == "EPSG:32656"
        assert found.read(1).max() < len(DFC_CLASSES)
    assert png.read_bytes().startswith(b"\x89PNG")
    refused = geozoo("eo", "map", kept, files, "--to", to)
    assert refused.code == 2
    assert "has 18 tiles (such as ROIs0000_test_0_p0" in refused.complaint


@needs_tiles
def test_real_pairs_run_through(tmp_path: Path) -> None:
    """Five real scenes, cut and split by scene: that it runs, not what it scores."""
    collection = copy_collection("terramind_s1s2", tmp_path)
    chips = str(tmp_path / "chips")
    for _ in cut_parts(begin_ingest(collection, chips, 56, bands={"s2l2a": ("B02",)})):
        pass
    finish_ingest(chips)
    store = open_chips(chips)
    split = ["split.by=random", "split.validation=0.2", "split.test=0.2"]
    model = pretrain("dual_simclr", chips, tmp_path / "model", *split, "training.batch_size=16")
    card = open_views(model).card
    parts = split_chips(store, card.experiment.split)
    scenes = [set(store.index["scene"].iloc[rows]) for rows in (parts.train, parts.validation, parts.test)]
    assert [len(one) for one in scenes] == [3, 1, 1]
    assert len(set.union(*scenes)) == 5
    same = [f"split.seed={card.experiment.split.seed}", *split, f"chips={chips}", f"model={model}", "seeds=[0]"]
    found = sweep("dual_simclr_labels", tmp_path / "single", *same)
    assert {cell["method"] for cell in found["cells"]} == {"probe", "finetune"}
    found = sweep("dual_simclr_labels", tmp_path / "pixels", *same, "task=segmentation", "methods=[finetune]")
    assert [cell["seeds"] for cell in found["cells"]] == [1]


@pytest.fixture(scope="module")
def real_scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five real scenes of both sensors with land cover, four chips of each."""
    folder = tmp_path_factory.mktemp("scenes")
    return cut(copy_collection("terramind_s1s2", folder), folder / "chips", 112)


@pytest.fixture(scope="module")
def real_pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The 133 real pairs of twelve scenes, as tiles of a folder."""
    folder = tmp_path_factory.mktemp("pairs")
    with np.load(real("s1s2_pairs64") / "s1s2_pairs_64.npz") as pairs:
        for number, source in enumerate(pairs["source"].tolist()):
            scene = source.partition("@")[0].replace("/", "-")
            for name in ("s1", "s2"):
                write_raster(folder / "tiles" / name / f"{scene}@{number}.tif", pairs[name][number])
    sentinel2 = "{folder: s2, sensor: s2l2a}"
    layout = f"modalities: {{s1: {{folder: s1, sensor: s1}}, s2: {sentinel2}}}\nscene: ^[^@]+\n"
    (folder / "tiles" / LAYOUT).write_text(layout)
    return cut(find_collection(folder / "tiles", "folder"), folder / "chips", 64)


def cut(collection: Collection, to: Path, size: int) -> str:
    for _ in cut_parts(begin_ingest(collection, str(to), size)):
        pass
    finish_ingest(str(to))
    return str(to)


@needs_tiles
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_on_real_scenes(name: str, real_scenes: str, tmp_path: Path) -> None:
    """That it runs from one command each, split by scene; what it scores is no result."""
    split = ["split.by=random", "split.validation=0.2", "split.test=0.2", "split.seed=1"]
    overrides = [f"chips={real_scenes}", "seeds=[40]", *split]
    if name in PRETRAINED:
        overrides.append(f"model={pretrain(PRETRAINED[name], real_scenes, tmp_path / 'model', *split)}")
    values = sweep(name, tmp_path / "rows", *overrides)
    assert {cell["method"] for cell in values["cells"]} >= {SYSTEMS[name]}
    assert (values["data"], values["test_chips"]) == ("terramind_s1s2", 4)


@needs("s1s2_pairs64")
@pytest.mark.parametrize("name", sorted({PRETRAINED[name] for name in SYSTEMS if name in PRETRAINED}))
def test_encoders_of_real_pairs(name: str, real_pairs: str, tmp_path: Path) -> None:
    """Sentinel-2 without B10, twelve scenes of which none is parted."""
    split = ["split.validation=0.2", "split.test=0.2"]
    views = open_views(pretrain(name, real_pairs, tmp_path / "model", *split, "training.batch_size=32"))
    index, parts = open_chips(real_pairs).index, split_chips(open_chips(real_pairs), views.card.experiment.split)
    scenes = [set(index["scene"].iloc[rows]) for rows in (parts.train, parts.validation, parts.test)]
    assert all(scenes)
    assert sum(map(len, scenes)) == len(set.union(*scenes)) == 12
    assert len(views.card.history) == 1


@needs_tiles
def test_real_pairs_without_labels_train(tmp_path: Path) -> None:
    """Six real BigEarthNet pairs, whose Sentinel-2 has 12 bands."""
    collection = copy_collection("bigearthnet_mm", tmp_path)
    chips = str(tmp_path / "chips")
    for _ in cut_parts(begin_ingest(collection, chips, 60)):
        pass
    finish_ingest(chips)
    split = ["split.validation=0.34", "split.test=0.34"]
    model = open_views(pretrain("dual_simclr_modern", chips, tmp_path / "model", *split))
    assert [len(names) for _, view in model.views.each() for names in view.bands.values()] == [2, 12]
