"""Every experiment on Earth observation loads, and takes three steps of its optimiser on chips that are made up."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.eo.bands import DISPLAY
from geozoo.eo.chips import open_chips
from geozoo.eo.chips.ingest import begin_ingest, finish_ingest
from geozoo.eo.chips.workers import cut_parts
from geozoo.eo.tiles import Collection, Raster, Tile
from geozoo.ssl.downstream.bench import open_bench
from geozoo.ssl.downstream.experiment import load_labels_experiment
from geozoo.ssl.downstream.rows import Row, run_row
from geozoo.ssl.experiment import load_ssl_experiment
from geozoo.ssl.fit import prepare, run_experiment
from geozoo.ssl.views import build_views
from geozoo.training.distributed import World
from geozoo.training.loop import Watch, fit
from tests.experiments.test_published import FirstBatches
from tests.support.eo_sets import ingest, write_dfc2020, write_sen12ms
from tests.support.experiment_files import check_file
from tests.support.ssl_experiments import EXPERIMENTS, PRETRAINED, SIZE, smaller, tree_of
from tests.support.tiles import write_raster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRETRAINING = [path for path in EXPERIMENTS if tree_of(path.stem)["kind"] == "ssl"]
ON_LABELS = [path for path in EXPERIMENTS if tree_of(path.stem)["kind"] == "labels"]


def load(path: Path, overrides: list[str]) -> Any:
    load_one = load_ssl_experiment if path in PRETRAINING else load_labels_experiment
    return load_one(path, overrides)


def write_pictures(folder: Path) -> str:
    """The URL of chips of three bands and two classes, as EuroSAT's."""
    tiles = []
    for number in range(16):
        pixels = np.random.default_rng(number).integers(0, 100, (3, SIZE, SIZE)) + 100 * (number % 2)
        file = write_raster(folder / f"{number}.tif", pixels.astype("uint8"))
        tiles.append(Tile(str(number), {"rgb": Raster.of_file("rgb", file, DISPLAY)}, str(number), (number % 2,)))
    url = str(folder / "chips")
    for _ in cut_parts(begin_ingest(Collection("pictures", tuple(tiles), ("dark", "bright")), url, SIZE)):
        pass
    finish_ingest(url)
    return url


@pytest.fixture(scope="module")
def chips_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """URL of the chips that an experiment is for, made when they are first asked for."""

    @cache
    def make(kind: str) -> str:
        folder = tmp_path_factory.mktemp(kind)
        if kind == "pictures":
            return write_pictures(folder)
        write = write_dfc2020 if kind == "dfc2020" else write_sen12ms
        return ingest(write(folder / "files"), folder / "chips")

    def find(name: str) -> str:
        if name.startswith("eurosat"):
            return make("pictures")
        return make("sen12ms" if tree_of(name)["kind"] == "ssl" else "dfc2020")

    return find


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory, chips_of: Callable[[str], str]) -> Callable[[str], str]:
    """URL of the encoders of an experiment, trained for an epoch."""

    @cache
    def train(name: str) -> str:
        url = str(tmp_path_factory.mktemp(name))
        path = next(path for path in PRETRAINING if path.stem == name)
        run_experiment(load(path, [*smaller(name), f"chips={chips_of(name)}"]), url, World(), Watch())
        return url

    return train


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_is_what_its_file_says(path: Path) -> None:
    check_file(load(path, []), path)


@pytest.mark.parametrize("path", PRETRAINING, ids=lambda path: path.stem)
def test_every_pretraining_takes_three_steps(path: Path, chips_of: Callable[[str], str]) -> None:
    prepared = prepare(load(path, [*smaller(path.stem), f"chips={chips_of(path.stem)}"]), World())
    before = {name: one.detach().clone() for name, one in prepared.system.named_parameters()}
    job = dataclasses.replace(prepared.job, train=FirstBatches(prepared.job.train, 3), validation=None)
    records: list[dict[str, float]] = []
    fit(job, World(), watch=Watch(on_epoch=records.append))
    assert len(prepared.job.train) >= 3
    assert math.isfinite(records[0]["loss"])
    after = dict(prepared.system.named_parameters())
    assert [name for name, one in before.items() if torch.equal(after[name], one)] == []


@pytest.mark.parametrize("path", PRETRAINING, ids=lambda path: path.stem)
def test_encoders_of_full_width_fit_chips_of_full_size(path: Path, chips_of: Callable[[str], str]) -> None:
    header = open_chips(chips_of(path.stem)).header.model_copy(update={"size": 256})
    experiment = load(path, [])
    with torch.device("meta"):
        views = build_views(experiment.views, header, experiment.augmentation, "chips")
        size = experiment.augmentation.crop or 64
        for _, view in views.each():
            bands = sum(len(names) for names in view.bands.values())
            assert view(torch.zeros(2, bands, size, size)).shape == (2, view.dim)


def cases() -> list[Any]:
    """Every experiment on labels with every task it is said to be for."""
    found = []
    for path in ON_LABELS:
        tasks = [tree_of(path.stem)["task"]]
        if tasks == ["single"] and not path.stem.startswith("eurosat"):
            tasks.append("multi")
        if path.stem == "dual_labels_modern":
            tasks.append("segmentation")
        found += [pytest.param(path, task, id=f"{path.stem}-{task}") for task in tasks]
    return found


@pytest.mark.parametrize(("path", "task"), cases())
def test_every_experiment_on_labels_takes_three_steps(
    path: Path, task: str, chips_of: Callable[[str], str], model_of: Callable[[str], str]
) -> None:
    overrides = [*smaller(path.stem), f"chips={chips_of(path.stem)}", f"task={task}"]
    if path.stem in PRETRAINED:
        overrides.append(f"model={model_of(PRETRAINED[path.stem])}")
    methods = [name for name in tree_of(path.stem)["methods"] if task == "single" or name not in ("statistics", "knn")]
    experiment = load(path, [*overrides, f"methods=[{', '.join(methods)}]"])
    bench = open_bench(experiment)
    for method in experiment.methods:
        result = run_row(bench, Row(method=method, fraction=1.0, seed=experiment.seeds[0]))
        assert result.updates == (0 if method in ("statistics", "knn") else 3)
        assert all(math.isfinite(one.test.main) for one in result.candidates)
        assert (result.chosen.test.mean_iou is not None) == (task == "segmentation")
