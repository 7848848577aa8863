from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.errors import InputError, RecipeError
from geozoo.recipe.load import parse_document
from geozoo.ssl.downstream.bench import open_bench
from geozoo.ssl.downstream.data import LabelledChips
from geozoo.ssl.downstream.experiment import LabelsExperiment
from geozoo.ssl.downstream.heads import drop_sensors
from geozoo.ssl.downstream.rows import Row, run_row
from geozoo.ssl.downstream.sweep import begin_sweep, keep_row, plan_rows, read_rows
from geozoo.ssl.fit import run_experiment
from geozoo.store import open_location
from geozoo.training.distributed import World
from geozoo.training.loop import Watch
from geozoo.weights.draws import RowDraws
from tests.ssl.test_fit import experiment
from tests.support.chips import make_chips

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.chips import Chips

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


def test_what_was_trained_on_is_not_scored(chips: Chips, model: str) -> None:
    with pytest.raises(InputError, match="test chips were trained on"):
        open_bench(labels(chips.url, model=model, methods=["probe"], split={**SPLIT, "seed": 1}))


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
    with pytest.raises(InputError, match="one class a chip"):
        run_row(bench, Row(method="statistics", fraction=1.0, seed=0))


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
    with pytest.raises(InputError, match="results of other settings"):
        begin_sweep(longer, location.url)
