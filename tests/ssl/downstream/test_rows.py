from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.eo.chips import Chips, open_chips
from geozoo.eo.chips.ingest import begin_ingest, finish_ingest
from geozoo.eo.chips.workers import cut_parts
from geozoo.errors import DamagedZooError, InputError, RecipeError
from geozoo.recipe.load import parse_document
from geozoo.ssl.downstream.bench import open_bench
from geozoo.ssl.downstream.data import LabelledChips, StoredPixels
from geozoo.ssl.downstream.experiment import FitSettings, LabelsExperiment
from geozoo.ssl.downstream.fit import count_updates
from geozoo.ssl.downstream.heads import drop_sensors
from geozoo.ssl.downstream.rows import Row, run_row
from geozoo.ssl.downstream.subsets import balancing_copies
from geozoo.ssl.downstream.sweep import begin_sweep, keep_row, plan_rows, read_rows
from geozoo.ssl.fit import run_experiment
from geozoo.store import open_location
from geozoo.training.distributed import World
from geozoo.training.loop import Watch
from geozoo.weights.draws import RowDraws
from tests.ssl.test_fit import experiment
from tests.support.chips import SIZE, make_chips, make_collection
from tests.support.eo_sets import ingest, write_dfc2020

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.ssl.downstream.experiment import Task

SPLIT = {"validation": 0.2, "test": 0.2}
WIDE = {"name": "resnet18", "options": {"channels": [16, 16, 32, 32]}}
VIEWS = {"optical": {"bands": {"s2": ["B08", "B11"]}, "encoder": WIDE}}
FIT = {"updates": 40, "batch_size": 8, "learning_rates": [3e-3, 1e-2], "probe_rates": [1e-2, 1e-1]}


@pytest.fixture(scope="module")
def model(chips: Chips, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Encoders trained for an epoch, in float32."""
    folder = str(tmp_path_factory.mktemp("model"))
    trained = experiment(chips.url, training={"epochs": 4, "batch_size": 6}, split=SPLIT, views=VIEWS)
    run_experiment(trained, folder, World(), Watch())
    return folder


def labels(chips: str, **changes: Any) -> LabelsExperiment:
    tree = {
        "name": "labels",
        "kind": "labels",
        "chips": chips,
        "split": SPLIT,
        "methods": ["scratch"],
        "seeds": [0, 1],
        "fit": FIT,
    }
    return parse_document({**tree, **changes}, LabelsExperiment, "the experiment")


@pytest.mark.parametrize("method", ["statistics", "knn", "random_probe", "probe", "finetune", "scratch"])
def test_every_method_learns_what_is_easy(chips: Chips, model: str, method: str) -> None:
    """Classes differ by brightness alone: chance is a third."""
    bench = open_bench(labels(chips.url, model=model, methods=[method]))
    result = run_row(bench, Row.model_validate({"method": method, "fraction": 1.0, "seed": 0}))
    assert result.labels == len(bench.parts.train)
    assert result.updates == (0 if method in ("statistics", "knn") else 40)
    assert max(one.test.main for one in result.candidates) > 0.7
    assert result.chosen.validation.main == max(one.validation.main for one in result.candidates)


def test_a_row_comes_out_the_same_again(chips: Chips) -> None:
    bench = open_bench(labels(chips.url, views=VIEWS))
    one, other = (run_row(bench, Row(method="scratch", fraction=0.5, seed=1)).candidates for _ in range(2))
    assert one == other


def test_frozen_encoders_stay_and_others_move(chips: Chips, model: str) -> None:
    bench = open_bench(labels(chips.url, model=model, methods=["probe"]))
    before = {name: value.clone() for name, value in bench.model.views.state_dict().items()}  # type: ignore[union-attr]
    for method in ("probe", "finetune"):
        run_row(bench, Row.model_validate({"method": method, "fraction": 0.5, "seed": 0}))
    for name, value in bench.model.views.state_dict().items():  # type: ignore[union-attr]
        assert torch.equal(before[name], value), name


def test_methods_see_the_same_batches(chips: Chips) -> None:
    bench = open_bench(labels(chips.url, views=VIEWS))
    data = LabelledChips.read(bench.chips, bench.parts.train, {"s2": ("B04",)}, "single")
    one, again = (data.endless(4, seed=3) for _ in range(2))
    batches = [next(one) for _ in range(30)]
    assert all((next(again) == batch).all() for batch in batches)
    assert all(len(batch) == 4 for batch in batches)
    assert np.bincount(np.concatenate(batches)).max() <= -(-120 // len(data)) + 1


def test_rare_classes_come_as_often_as_others(chips: Chips) -> None:
    """Six chips of one class and two of another: a pass has each of the two three times, and as many more updates."""
    rows = np.concatenate([np.flatnonzero(chips.index["label"] == name)[:count] for name, count in ((0, 6), (1, 2))])
    data = LabelledChips.read(chips, rows, {"s2": ("B04",)}, "single")
    assert isinstance(data.truth, torch.Tensor)
    balanced = replace(data, copies=balancing_copies(data.truth.numpy()))
    batches = balanced.endless(4, seed=3)
    for _ in range(2):
        places = np.concatenate([next(batches) for _ in range(3)])
        assert np.bincount(places).tolist() == [1] * 6 + [3] * 2
    settings = FitSettings(epochs=5, batch_size=4)
    assert (count_updates(settings, len(data.places)), count_updates(settings, len(balanced.places))) == (10, 15)


def test_a_balanced_row_learns_longer(chips: Chips) -> None:
    """14 chips of which 2, 4 and 8 have a class are 24 in a pass."""
    fit = {**FIT, "updates": None, "epochs": 3, "batch_size": 2, "balance": True}
    bench = open_bench(labels(chips.url, views=VIEWS, fit=fit, split={**SPLIT, "seed": 9}))
    assert np.bincount(chips.index["label"].to_numpy(int)[bench.parts.train]).tolist() == [2, 4, 8]
    result = run_row(bench, Row(method="scratch", fraction=1.0, seed=0))
    assert (result.labels, result.updates) == (14, 3 * 24 // 2)


@pytest.mark.parametrize("method", ["statistics", "knn", "scratch"])
def test_parts_too_large_for_memory_are_read_in_pieces(
    chips: Chips, model: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = labels(chips.url, model=model, methods=[method], fit={**FIT, "updates": 6})
    row = Row.model_validate({"method": method, "fraction": 1.0, "seed": 0})
    at_once = run_row(open_bench(chosen), row)
    monkeypatch.setattr("geozoo.ssl.downstream.data.RESIDENT_BYTES", 2000)
    monkeypatch.setattr("geozoo.ssl.downstream.fit.EVALUATED", 3 * SIZE**2)
    asked: list[int] = []
    read = Chips.read
    monkeypatch.setattr(
        Chips, "read", lambda self, name, rows, bands: asked.append(len(rows)) or read(self, name, rows, bands)
    )
    bench = open_bench(chosen)
    bench._scaled  # noqa: B018  (measures bands on many chips at once where there is no model)
    asked.clear()
    in_pieces = run_row(bench, row)
    assert in_pieces.candidates == at_once.candidates
    assert max(asked) <= max(3, FIT["batch_size"] if method == "scratch" else 0)


@pytest.mark.parametrize("task", ["multi", "segmentation"])
def test_masks_are_read_in_pieces_too(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chips = open_chips(ingest(write_dfc2020(tmp_path / "files"), tmp_path / "chips"))
    rows, bands = np.array([5, 2, 9, 11]), {"s1": ("VH",)}
    whole = LabelledChips.read(chips, rows, bands, task)
    monkeypatch.setattr("geozoo.ssl.downstream.data.RESIDENT_BYTES", 0)
    stored = LabelledChips.read(chips, rows, bands, task)
    assert isinstance(stored.truth, StoredPixels)
    assert len(stored) == 4
    assert {name: one.shape for name, one in stored.pixels.items()} == {"s1": whole.pixels["s1"].shape}
    for one, other in zip(stored.batches(3, "cpu"), whole.batches(3, "cpu"), strict=True):
        assert torch.equal(one[0]["s1"], other[0]["s1"])
        assert torch.equal(one[1], other[1])
        assert one[1].dtype == torch.int64


def test_what_was_trained_on_is_not_scored(chips: Chips, model: str) -> None:
    with pytest.raises(InputError, match="test chips are of scenes that"):
        open_bench(labels(chips.url, model=model, methods=["probe"], split={**SPLIT, "seed": 1}))


def test_what_chose_the_epoch_is_not_scored(chips: Chips, model: str) -> None:
    """A larger test part of the same seed begins with the smaller one, and goes on with its validation part."""
    with pytest.raises(InputError, match=r"\d of the 10 test chips are of scenes that"):
        open_bench(labels(chips.url, model=model, methods=["probe"], split={"validation": 0.2, "test": 0.4}))


def test_the_same_scenes_cut_otherwise_are_not_scored(chips: Chips, model: str, tmp_path: Path) -> None:
    smaller = SIZE // 2
    url = str(tmp_path / "chips")
    for _ in cut_parts(begin_ingest(make_collection(tmp_path / "tiles"), url, smaller)):
        pass
    finish_ingest(url)
    changes = {"model": model, "methods": ["probe"]}
    assert open_bench(labels(url, **changes, split=SPLIT)).model is not None
    with pytest.raises(InputError, match="test chips are of scenes that"):
        open_bench(labels(url, **changes, split={**SPLIT, "seed": 1}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["probe"]}, "starts from a trained encoder"),
        ({}, "neither views nor a model"),
        ({"chips": ""}, "names no chips"),
    ],
)
def test_what_is_missing_is_said(chips: Chips, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_bench(labels(**{"chips": chips.url, **changes}))


def test_the_length_is_given_once() -> None:
    with pytest.raises(RecipeError, match="either updates or epochs"):
        labels("somewhere", fit={"updates": 3, "epochs": 2})


def test_several_labels(tmp_path: Path) -> None:
    chips = make_chips(tmp_path, multi=True)
    bench = open_bench(labels(chips.url, views=VIEWS, task="multi"))
    result = run_row(bench, Row(method="scratch", fraction=1.0, seed=0))
    truth = bench.test.truth
    everything = 2 * truth.mean().item() / (1 + truth.mean().item())  # micro F1 of saying every class
    assert result.chosen.test.main > everything


def test_a_sensor_goes_missing_as_often_as_asked_never_both() -> None:
    pixels = {"s1": torch.zeros(4000, 1, 1, 1), "s2": torch.zeros(4000, 1, 1, 1)}
    draws = RowDraws.of(torch.Generator().manual_seed(0), 4000)
    gone = torch.stack([one[:, 0, 0, 0].isnan() for one in drop_sensors(pixels, 0.4, draws).values()])
    assert not gone.all(0).any()
    assert gone.float().mean(1).tolist() == pytest.approx([0.2, 0.2], abs=0.02)


def test_a_sweep_goes_on_where_it_stopped(chips: Chips, tmp_path: Path) -> None:
    bench = open_bench(labels(chips.url, views=VIEWS, methods=["statistics"], fractions=[0.2, 1.0]))
    location = open_location(tmp_path)
    rows = begin_sweep(bench, location.url)
    assert [row.id for row in rows] == [row.id for row in plan_rows(bench.experiment)]
    keep_row(location, run_row(bench, rows[1]))
    assert [row.id for row in begin_sweep(bench, location.url)] == [row.id for row in (rows[0], *rows[2:])]
    assert [one.row for one in read_rows(location.url)] == [rows[1]]
    longer = open_bench(labels(chips.url, views=VIEWS, methods=["statistics"], fit={**FIT, "updates": 41}))
    balanced = open_bench(labels(chips.url, views=VIEWS, methods=["statistics"], fit={**FIT, "balance": True}))
    for other in (longer, balanced):
        with pytest.raises(InputError, match="results of other settings"):
            begin_sweep(other, location.url)


def test_a_damaged_result_is_named(chips: Chips, tmp_path: Path) -> None:
    bench = open_bench(labels(chips.url, views=VIEWS, methods=["statistics"]))
    (row, _), place = begin_sweep(bench, str(tmp_path)), open_location(tmp_path)
    keep_row(place, run_row(bench, row))
    file = tmp_path / "rows" / f"{row.id}.json"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(DamagedZooError, match=f"rows/{row.id}.json at .* is damaged"):
        read_rows(str(tmp_path))
