"""What is true of chips whose labels are those of their masks, at the part of them that is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.eo.chips import open_chips
from geozoo.eo.labels import majority_class, multilabels
from geozoo.eo.tiles import IGNORE
from geozoo.errors import InputError
from geozoo.ssl.augment import Geometry
from geozoo.ssl.downstream.bench import open_bench
from geozoo.ssl.downstream.data import LabelledChips, labels_of_masks
from geozoo.ssl.downstream.experiment import LabelsExperiment
from geozoo.ssl.downstream.fit import evaluated
from geozoo.ssl.downstream.heads import Encoders
from geozoo.ssl.downstream.rows import Row, run_row
from geozoo.ssl.downstream.statistics import fit_statistics
from geozoo.ssl.experiment import AugmentationSettings
from tests.support.eo_sets import ingest, write_dfc2020

if TYPE_CHECKING:
    from geozoo.ssl.downstream.experiment import Task

CROP = AugmentationSettings(crop=13)


def draw_masks(n: int, size: int, classes: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    masks = rng.integers(0, classes, (n, size, size))
    masks[rng.random(masks.shape) < 0.3] = IGNORE
    masks[0] = IGNORE
    masks[1] = np.where(np.arange(size) % 2, 1, 3)  # as many of one as of the other
    return torch.from_numpy(masks)


@pytest.mark.parametrize("size", [10, 13])
def test_labels_of_masks_are_those_of_the_readers(size: int) -> None:
    masks = draw_masks(40, size, 8)
    single = labels_of_masks(masks, "single", 8)
    multi = labels_of_masks(masks, "multi", 8)
    for mask, label, several in zip(masks.numpy(), single.tolist(), multi, strict=True):
        assert label == majority_class(mask)
        assert tuple(several.nonzero()[:, 0].tolist()) == multilabels(mask)
    assert single[0] == IGNORE
    assert 0 < multi.mean() < 1


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("dfc")
    return ingest(write_dfc2020(folder / "files"), folder / "chips")


def test_a_chip_has_the_labels_of_its_mask(chips: str) -> None:
    store = open_chips(chips)
    assert store.header.labels_of == "mask"
    masks = store.read("mask", range(len(store)))[:, 0]
    assert store.index["label"].tolist() == [majority_class(mask) for mask in masks]
    assert [tuple(labels) for labels in store.index["labels"]] == [multilabels(mask) for mask in masks]


@pytest.mark.parametrize("task", ["single", "multi"])
def test_a_crop_has_the_labels_of_its_own_pixels(chips: str, task: Task) -> None:
    store = open_chips(chips)
    data = LabelledChips.read(store, np.arange(len(store)), {"s1": ("VV", "VH")}, task)
    geometry = Geometry(crop=13, corner=torch.rand(len(data), 2, generator=torch.Generator().manual_seed(1)))
    _, truth = data.take(slice(None), "cpu")
    cut = geometry(truth[:, None].float(), categorical=True)[:, 0].long()
    answers = data.answers(truth, geometry)
    assert torch.equal(answers, labels_of_masks(cut, task, 8))
    assert not torch.equal(answers, labels_of_masks(truth, task, 8))


def test_the_middle_is_what_evaluation_sees(chips: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geozoo.ssl.downstream.fit.EVALUATED", 4 * 13**2)  # four chips a batch
    store = open_chips(chips)
    data = LabelledChips.read(store, np.arange(len(store)), {"s1": ("VV", "VH")}, "single")
    batches = list(evaluated(data, CROP, "cpu"))
    assert [len(answers) for _, _, answers in batches] == [4, 4, 4, 4, 2]
    first = (store.header.size - 13 + 1) // 2
    middle = slice(first, first + 13)
    seen = np.concatenate([geometry(pixels["s1"]).numpy() for pixels, geometry, _ in batches])
    np.testing.assert_array_equal(seen, store.read("s1", range(len(store)))[:, :, middle, middle])
    masks = store.read("mask", range(len(store)))[:, 0, middle, middle]
    answers = torch.cat([answers for _, _, answers in batches])
    assert answers.tolist() == [majority_class(mask) for mask in masks]


def test_chips_without_a_class_are_left_out(chips: str) -> None:
    """Statistics and neighbours are those of the chips that have one."""
    bench = open_bench(labels_experiment(chips, task="single", methods=["statistics"]))
    whole = bench.test
    assert isinstance(whole.truth, np.ndarray)
    masks = whole.truth.copy()
    masks[2] = IGNORE
    with_one, kept = replace(whole, truth=masks), np.arange(len(whole)) != 2
    without = replace(whole, pixels={name: one[kept] for name, one in whole.pixels.items()}, truth=whole.truth[kept])
    encoders = Encoders(bench.new_views(0, trained=False), frozen=True).eval()
    for found, expected in zip(bench.embed(encoders, with_one), bench.embed(encoders, without), strict=True):
        assert len(expected) == len(whole) - 1
        torch.testing.assert_close(found, expected)
    everything = AugmentationSettings()
    found, expected = (fit_statistics(one, bench.validation, one, everything) for one in (with_one, without))
    assert found == expected


def labels_experiment(chips: str, **fields: Any) -> LabelsExperiment:
    tree = {
        "name": "tiny",
        "kind": "labels",
        "chips": chips,
        "split": {"by": "given", "validation": 0.3},
        "views": {"s2": {"bands": {"s2": "all"}, "encoder": {"options": {"channels": [8, 8, 8, 8]}}}},
        "fit": {"updates": 12, "batch_size": 8, "learning_rates": [1e-2], "probe_rates": [1e-1]},
    }
    return LabelsExperiment.model_validate({**tree, **fields})


@pytest.mark.parametrize("method", ["statistics", "scratch", "random_probe"])
def test_rows_learn_from_masks(chips: str, method: str) -> None:
    bench = open_bench(labels_experiment(chips, task="single", methods=[method], augmentation={"crop": 24}))
    assert (len(bench.parts.train), len(bench.parts.test)) == (8, 6)
    result = run_row(bench, Row.model_validate({"method": method, "fraction": 1.0, "seed": 0}))
    assert result.labels == 8
    counted = [one for one in result.chosen.test.per_class if one is not None]
    assert counted
    assert all(0 <= one <= 1 for one in counted)


@pytest.mark.parametrize("method", ["statistics", "knn"])
def test_methods_of_one_class_refuse_pixels(chips: str, method: str) -> None:
    weights = {"path": "not looked at"}
    views = {"s2": {"bands": {"s2": "all"}, "scale": "weights", "encoder": {"weights": weights}}}
    experiment = labels_experiment(chips, task="segmentation", methods=["scratch", method], views=views)
    with pytest.raises(InputError, match=f"method '{method}' reads one class a chip: leave it out of task 'segm"):
        open_bench(experiment)
