from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from geozoo.errors import InputError
from geozoo.nets import NETWORKS
from geozoo.nets.registry import NetworkRecord
from geozoo.population import EngineChoice, choice, choose_engine
from geozoo.recipe.model import Training


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_has_gpu", lambda: False)


def choose(name: str = "auto", batch_size: int = 10, network: str = "tetris_mlp", **training: Any) -> EngineChoice:
    arguments = {"name": network, "channels": 1, "size": 4, "classes": 4, "activation": "relu"}
    return choose_engine(name, arguments, batch_size, Training(epochs=1, **training))


def add_network(patch: pytest.MonkeyPatch, *layers: nn.Module) -> None:
    """A network called ``new``, for the length of a test."""
    record = NetworkRecord(name="new", summary="", build=lambda shape, make_dropout: nn.Sequential(*layers))
    patch.setitem(NETWORKS, "new", record)


def test_the_faster_one_is_chosen_by_the_nearest_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "SPEED_UPS", {"tetris_mlp": {10: 4.0, 100: 0.5}})
    assert [choose(batch_size=size).engine for size in (1, 10, 31, 32, 100, 5000)] == ["lanes"] * 3 + ["torch"] * 3
    assert "4.0 times as fast as torch" in choose(batch_size=12).reason
    assert "2.0 times as fast as lanes" in choose(batch_size=90).reason
    assert "at batch 100" in choose(batch_size=90).reason


def test_a_gpu_and_an_unknown_layer_go_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    add_network(monkeypatch, nn.Flatten(), nn.Linear(16, 4), nn.BatchNorm1d(4))
    assert choose(network="new").engine == "torch"
    assert choose(network="new").reason.startswith("the lanes engine has no layer BatchNorm1d")
    monkeypatch.setattr(choice, "_has_gpu", lambda: True)
    assert choose() == EngineChoice("torch", "there is a GPU")


def test_a_large_network_that_lanes_does_not_know_is_named_in_one_line() -> None:
    arguments = {"name": "resnet18", "channels": 3, "size": 32, "classes": 10, "activation": "relu"}
    choice = choose_engine("auto", arguments, 10, Training(epochs=1))
    assert choice == EngineChoice("torch", "the lanes engine has no layer ResNet")


def test_a_named_engine_is_taken_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    add_network(monkeypatch, nn.Flatten(), nn.Linear(16, 4), nn.BatchNorm1d(4))
    assert choose("reference", network="new").engine == "reference"
    with pytest.raises(InputError, match=r"the lanes engine has no layer BatchNorm1d.*choose --engine torch"):
        choose("lanes", network="new")
    with pytest.raises(InputError, match="there is no engine 'warp': choose one of auto, reference, torch, lanes"):
        choose("warp")


@pytest.mark.parametrize(
    "training", [{"precision": "bfloat16"}, {"schedule": "onecycle"}, {"augmentation": "crop_flip"}]
)
def test_what_lanes_cannot_do_goes_to_torch(training: dict[str, str]) -> None:
    ((name, value),) = training.items()
    assert choose(**training) == EngineChoice("torch", f"the lanes engine has no {name} {value}")
    with pytest.raises(InputError, match=f"the lanes engine has no {name} {value}: choose --engine torch"):
        choose("lanes", **training)


def test_a_network_without_measurements_is_said_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    add_network(monkeypatch, nn.Flatten(), nn.Linear(16, 4))
    assert choose(network="new").engine == "lanes"
    assert "new is not in the table" in choose(network="new").reason


@pytest.mark.parametrize("network", ["cnn_s", "cnn_l", "unterthiner", "tetris_mlp"])
def test_the_measured_networks_go_to_lanes_at_batch_ten(network: str) -> None:
    size, classes = {"tetris_mlp": (4, 4), "cnn_l": (32, 10)}.get(network, (28, 10))
    arguments = {"name": network, "channels": 1, "size": size, "classes": classes, "activation": "relu"}
    assert choose_engine("auto", arguments, 10, Training(epochs=1)).engine == "lanes"


def test_measured_networks_exist() -> None:
    assert choice.SPEED_UPS.keys() <= NETWORKS.keys()
