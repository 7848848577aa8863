from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.errors import InputError, RecipeError
from geozoo.recipe.load import parse_document
from geozoo.ssl.experiment import SslExperiment
from geozoo.ssl.fit import check, prepare, train_views
from geozoo.ssl.scale import measure_bands
from geozoo.ssl.trained import open_views
from geozoo.store import open_location
from geozoo.training.checkpoint import load_checkpoint
from geozoo.training.distributed import World
from geozoo.training.loop import Watch, fit
from geozoo.weights.draws import RowDraws
from tests.support.killed import Dying, KilledError
from tests.support.workers import on_workers

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.chips import Chips

ENCODER = {"name": "resnet18", "options": {"channels": [4, 4, 8, 8]}}
GROUPED = {"name": "resnet18", "options": {"channels": [32, 32, 32, 32], "norm_layer": "groupnorm"}}


def experiment(url: str, **changes: Any) -> SslExperiment:
    tree: dict[str, Any] = {
        "name": "little",
        "kind": "ssl",
        "chips": url,
        "split": {"validation": 0.2, "test": 0.2},
        "views": {
            "radar": {"bands": {"s1": "all"}, "encoder": ENCODER},
            "optical": {"bands": {"s2": ["B02", "B04", "B08"]}, "encoder": ENCODER},
        },
        "augmentation": {"zoom": [0.5, 1.0], "flip": True, "rotate": True},
        "projection": {"out": 6, "batchnorm": True},
        "loss": {"name": "nt_xent", "temperature": 0.2},
        "optimizer": {"name": "adam", "lr": 1e-3},
        "training": {"epochs": 2, "batch_size": 6, "precision": "float64"},
    }
    return parse_document({**tree, **changes}, SslExperiment, "the experiment")


ONE_VIEW = {"views": {"optical": {"bands": {"s2": ["B02", "B03", "B04"]}, "encoder": ENCODER}}}
SYSTEMS: dict[str, dict[str, Any]] = {
    "two sensors": {},
    "one sensor, two views": ONE_VIEW,
    "stacked sensors": {"views": {"both": {"bands": {"s1": "all", "s2": ["B04"]}, "encoder": ENCODER}}},
    "memory": {"memory": 8, "loss": {"name": "info_nce"}},
    "vicreg": {"loss": {"name": "vicreg"}},
    "feature maps": {"loss": {"name": "mma"}},
    "moco": {"teacher": {"momentum": 0.9}, "memory": 8, "loss": {"name": "info_nce"}},
    "byol": {"teacher": {"momentum": 0.9}, "loss": {"name": "byol"}},
    "dino": {"teacher": {"momentum": 0.9}, "loss": {"name": "dino", "prototypes": 6}},
}


def train(world: World, chips: str, folder: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The losses and the final weights of a training run."""
    prepared = prepare(experiment(chips, **changes), world)
    state = train_views(prepared, world, open_location(folder))
    return {"losses": [record["loss"] for record in state.history], **prepared.system.state_dict()}


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_trains_and_is_kept(chips: Chips, tmp_path: Path, name: str) -> None:
    prepared = prepare(experiment(chips.url, **SYSTEMS[name]), World())
    before = {key: value.clone() for key, value in prepared.system.views.state_dict().items()}
    state = train_views(prepared, World(), open_location(tmp_path))
    assert len(state.history) == 2
    assert 0 <= state.history[-1]["validation_knn"] <= 1
    kept = open_views(tmp_path).views
    for key, value in prepared.system.views.state_dict().items():
        torch.testing.assert_close(kept.state_dict()[key], value.to(kept.state_dict()[key].dtype))
    moved = [key for key, value in prepared.system.views.named_parameters() if not torch.equal(before[key], value)]
    assert len(moved) == len(list(prepared.system.views.parameters()))


@pytest.mark.parametrize("name", ["two sensors", "one sensor, two views", "moco", "feature maps"])
def test_two_workers_train_as_one(chips: Chips, tmp_path: Path, name: str) -> None:
    """Three steps of 6, 6 and 2 chips; BatchNorm, augmentation and negatives over both workers."""
    changes = SYSTEMS[name] | {
        "training": {"epochs": 1, "batch_size": 6, "precision": "float64"},
        "optimizer": {"name": "sgd", "lr": 0.05},  # Adam would turn rounding of gradients that are 0 into steps
    }
    alone = train(World(), chips.url, str(tmp_path / "one"), changes)
    for worker in on_workers(2, tmp_path / "meeting", train, chips.url, str(tmp_path / "two"), changes):
        assert worker.keys() == alone.keys()
        for key, value in alone.items():
            torch.testing.assert_close(torch.as_tensor(worker[key]), torch.as_tensor(value), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["two sensors", "moco", "dino"])
def test_a_killed_run_goes_on_as_if_nothing_had_been(chips: Chips, tmp_path: Path, name: str) -> None:
    def die(record: dict[str, float]) -> None:
        raise KeyboardInterrupt

    changes = SYSTEMS[name] | {"training": {"epochs": 3, "batch_size": 6}}
    whole = train(World(), chips.url, str(tmp_path / "whole"), changes)
    prepared = prepare(experiment(chips.url, **changes), World())
    with pytest.raises(KeyboardInterrupt):
        train_views(prepared, World(), open_location(tmp_path / "killed"), Watch(on_epoch=die))
    again = train(World(), chips.url, str(tmp_path / "killed"), changes)
    assert again["losses"] == whole["losses"]
    assert len(whole["losses"]) == 3
    for key, value in whole.items():
        assert torch.equal(torch.as_tensor(again[key]), torch.as_tensor(value)), key


def test_each_part_has_its_use(chips: Chips) -> None:
    """Training chips are learned from and measured, validation chips choose; test chips are looked at by nothing."""
    prepared = prepare(experiment(chips.url), World())
    parts = prepared.parts
    job: Any = prepared.job
    assert job.train.rows.tolist() == parts.train.tolist()
    assert job.validation.rows.tolist() == parts.validation.tolist()
    for _, view in prepared.system.views.each():
        mean, std = measure_bands(chips, parts.train, view.bands, 0)
        torch.testing.assert_close(view.scale.mean.tolist(), mean, rtol=1e-5, atol=0)
        torch.testing.assert_close(view.scale.std.tolist(), std, rtol=1e-5, atol=0)
    assert mean != measure_bands(chips, parts.test, view.bands, 0)[0]


def test_both_sensors_of_a_view_are_moved_alike(chips: Chips) -> None:
    """Two views of one band differ in nothing, so that what is drawn of them is equal."""
    view = {"bands": {"s2": ["B08"]}, "encoder": ENCODER}
    prepared = prepare(experiment(chips.url, views={"one": view, "other": view}), World())
    embedder: Any = prepared.system.embedder
    batch: Any = next(iter(prepared.job.train.epoch(0)))
    draws = RowDraws.of(torch.Generator().manual_seed(3), batch.total)
    (_, first), (_, second) = embedder.draw(batch, prepared.experiment, draws)
    assert torch.equal(first, second)
    assert not torch.equal(first, batch.pixels["s2"])


@pytest.mark.parametrize("miner", ["none", "hard", "semi_hard"])
def test_negatives_of_the_anchors_class_are_counted(chips: Chips, tmp_path: Path, miner: str) -> None:
    changes = {
        "loss": {"name": "triplet", "miner": miner},
        "training": {"epochs": 1, "batch_size": 50, "precision": "float64"},
    }
    prepared = prepare(experiment(chips.url, **changes), World())
    (record,) = train_views(prepared, World(), open_location(tmp_path)).history
    assert 0 <= record["false_negative_rate"] <= 1
    if miner == "none":
        labels = chips.index["label"].to_numpy()[prepared.parts.train]
        pairs = [one == other for row, one in enumerate(labels) for other in np.delete(labels, row)]
        assert record["false_negative_rate"] == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.parametrize("name", ["memory", "moco", "dino"])
def test_a_run_killed_in_the_middle_of_an_epoch_goes_on_as_if_nothing_had_been(
    chips: Chips, tmp_path: Path, name: str
) -> None:
    """Memory banks, teachers and DINO's centre move with every step; 14 chips are three steps of 6, 6 and 2."""

    def training(**saving: int) -> dict[str, Any]:
        return SYSTEMS[name] | {"training": {"epochs": 2, "batch_size": 6, "precision": "float64", **saving}}

    whole = train(World(), chips.url, str(tmp_path / "whole"), training())
    prepared = prepare(experiment(chips.url, **training(checkpoint_steps=1)), World())
    killed = dataclasses.replace(prepared.job, train=Dying(prepared.job.train, 1, 2))
    with pytest.raises(KilledError):
        fit(killed, World(), open_location(tmp_path / "killed"))
    found = load_checkpoint(open_location(tmp_path / "killed"), killed.identity)
    assert found is not None
    assert (found.epoch, found.step, found.rows) == (1, 2, 12)
    again = train(World(), chips.url, str(tmp_path / "killed"), training(keep_best=2))
    for key, value in whole.items():
        assert torch.equal(torch.as_tensor(again[key]), torch.as_tensor(value)), key


def test_chunks_give_the_same_training(chips: Chips, tmp_path: Path) -> None:
    views = {name: {**one, "encoder": GROUPED} for name, one in experiment(chips.url).model_dump()["views"].items()}
    plain = {"views": views, "projection": {"out": 6}}
    whole = train(World(), chips.url, str(tmp_path / "whole"), plain)
    chunked = train(World(), chips.url, str(tmp_path / "chunked"), plain | {"chunk": 2})
    for key, value in whole.items():
        torch.testing.assert_close(torch.as_tensor(chunked[key]), torch.as_tensor(value), rtol=1e-9, atol=1e-9)


def test_chunks_refuse_batchnorm(chips: Chips, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gradient caching cannot encode"):
        train(World(), chips.url, str(tmp_path), {"chunk": 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": {"name": "byol"}}, "learns from a teacher"),
        ({"loss": {"name": "vicreg"}, "teacher": {}}, "no use for a teacher"),
        ({"loss": {"name": "triplet"}, "memory": 4}, "no use for a memory"),
        ({"loss": {"name": "mma"}, "chunk": 4}, "chunk is for losses of embeddings"),
        ({"augmentation": {"drop_sensor": 0.2}}, "drop_sensor is for experiments of kind labels"),
        ({"loss": {"name": "nt_xnet"}}, "nt_xnet"),
        ({"loss": {"name": "nt_xent", "margin": 1}}, "margin"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        experiment("somewhere", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chips": ""}, "names no chips"),
        ({"views": {"a": {"bands": {"s3": "all"}}}}, "no modality 's3'"),
        ({"views": {"a": {"bands": {"s2": ["B4"]}}}}, "lacks band B4"),
        ({"augmentation": {"crop": 17}}, "crop is 17"),
        ({"views": {"a": {"bands": {"s1": "all"}, "encoder": {"name": "resnet19"}}}}, "resnet19"),
        ({"views": {"a": {"bands": {"s2": ["B02"]}}, "b": {"bands": {"s2": ["B03"]}}}}, "different bands"),
    ],
)
def test_what_the_chips_do_not_have_is_refused(chips: Chips, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(experiment(chips.url, **changes), World())


def test_a_check_finds_missing_chips_before_workers_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no chip store"):
        check(experiment(str(tmp_path)))
