from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from geozoo.errors import NetworkError
from geozoo.nets import (
    ACTIVATIONS,
    NETWORKS,
    NetworkRecord,
    build_network,
    derive_layout,
    flatten,
    num_parameters,
    register_network,
    unflatten,
)

PUBLISHED = [
    # name, channels, size, classes, parameters, lengths of the layers, weights and biases together
    ("cnn_s", 1, 28, 10, 2464, [208, 1206, 100, 740, 210]),
    ("cnn_s", 3, 28, 10, 2864, [608, 1206, 100, 740, 210]),
    ("cnn_l", 3, 32, 10, 10_853, [448, 4640, 4335, 1220, 210]),
    ("unterthiner", 1, 28, 10, 4970, [160, 2320, 2320, 170]),
    ("unterthiner", 1, 32, 10, 4970, [160, 2320, 2320, 170]),
    ("tetris_mlp", 1, 4, 4, 100, [80, 20]),
]


@pytest.mark.parametrize(("name", "channels", "size", "classes", "parameters", "layers"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(
    name: str, channels: int, size: int, classes: int, parameters: int, layers: list[int]
) -> None:
    module = build_network(name, channels=channels, size=size, classes=classes, activation="relu", dropout=0.5)
    layout = derive_layout(module)
    assert num_parameters(layout) == sum(p.numel() for p in module.parameters()) == parameters
    lengths: dict[str, int] = {}
    for slot in layout:
        owner = slot.name.rpartition(".")[0]
        lengths[owner] = lengths.get(owner, 0) + slot.size
    assert list(lengths.values()) == layers
    assert module(torch.zeros(2, channels, size, size)).shape == (2, classes)


@pytest.mark.parametrize(("classes", "parameters"), [(10, 11_173_962), (100, 11_220_132), (200, 11_271_432)])
def test_resnet18_is_torchvisions_with_a_start_for_small_images(classes: int, parameters: int) -> None:
    """The counts, written out: torchvision's 11,689,512 less 513,000 of its last layer and 7,680 of its first."""
    module = build_network("resnet18", channels=3, size=32, classes=classes, activation="relu", dropout=0.5)
    assert sum(p.numel() for p in module.parameters()) == parameters == 11_689_512 - 513_000 - 7_680 + 513 * classes
    theirs = {name: tensor.shape for name, tensor in resnet18(num_classes=classes).state_dict().items()}
    ours = {name: tensor.shape for name, tensor in module.state_dict().items()}
    assert list(ours) == list(theirs)
    assert {name for name in ours if ours[name] != theirs[name]} == {"conv1.weight"}
    statistics = sum(2 * part.num_features for part in module.modules() if isinstance(part, nn.BatchNorm2d))
    assert num_parameters(derive_layout(module)) == parameters + statistics
    images = torch.randn(3, 3, 32, 32)
    features = torch.nn.Sequential(*list(module.eval().children())[:-2])(images)
    assert features.shape == (3, 512, 4, 4)
    torch.testing.assert_close(module(images), module.fc(features.mean((2, 3))))


def published_cnn_s(dropout: float) -> nn.Module:
    """The layer order of the published small CNN, written out."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.Tanh(), nn.Dropout(dropout),
        nn.Conv2d(8, 6, 5), nn.MaxPool2d(2), nn.Tanh(), nn.Dropout(dropout),
        nn.Conv2d(6, 4, 2), nn.Tanh(), nn.Flatten(),
        nn.Linear(36, 20), nn.Tanh(), nn.Dropout(dropout), nn.Linear(20, 10),
    )  # fmt: skip


def published_cnn_l(dropout: float) -> nn.Module:
    """The layer order of the published larger CNN, written out."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.MaxPool2d(2), nn.Tanh(), nn.Dropout(dropout),
        nn.Conv2d(16, 32, 3), nn.MaxPool2d(2), nn.Tanh(), nn.Dropout(dropout),
        nn.Conv2d(32, 15, 3), nn.MaxPool2d(2), nn.Tanh(), nn.Dropout(dropout),
        nn.Flatten(), nn.Linear(60, 20), nn.Tanh(), nn.Dropout(dropout), nn.Linear(20, 10),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "plain", "channels", "size"), [("cnn_s", published_cnn_s, 1, 28), ("cnn_l", published_cnn_l, 3, 32)]
)
def test_layers_come_in_the_published_order(name: str, plain: object, channels: int, size: int) -> None:
    """Same weights, same outputs, dropout included, as the network written out from its description."""
    ours = build_network(name, channels=channels, size=size, classes=10, activation="tanh", dropout=0.3).train()
    theirs = plain(0.3).train()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        other.data.copy_(mine.data)
    inputs = torch.randn(4, channels, size, size)
    torch.manual_seed(0)
    expected = theirs(inputs)
    torch.manual_seed(0)
    assert torch.equal(ours(inputs), expected)


def test_state_dict_names_are_the_published_ones_whatever_the_dropout() -> None:
    for dropout in (0.0, 0.5):
        small = build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh", dropout=dropout)
        large = build_network("cnn_l", channels=3, size=32, classes=10, activation="tanh", dropout=dropout)
        assert {name.split(".")[1] for name in small.state_dict()} == {"0", "3", "6", "9", "11"}
        assert {name.split(".")[1] for name in large.state_dict()} == {"0", "4", "8", "13", "16"}


def test_layout_covers_the_flat_vector_without_gap_and_flattening_round_trips() -> None:
    module = build_network("cnn_s", channels=1, size=28, classes=10, activation="relu")
    layout = derive_layout(module)
    assert [slot.offset for slot in layout] == [sum(s.size for s in layout[:i]) for i in range(len(layout))]
    assert {slot.kind for slot in layout} == {"conv2d", "linear"}
    assert [slot.role for slot in layout] == ["weight", "bias"] * 5
    vector = flatten(module.state_dict(), layout)
    for name, tensor in unflatten(vector, layout).items():
        assert torch.equal(tensor, module.state_dict()[name])


def test_running_statistics_are_buffers_of_the_layout_and_integer_counters_are_not() -> None:
    layout = derive_layout(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)))
    roles = {slot.name: slot.role for slot in layout}
    assert roles == {
        "0.weight": "weight", "0.bias": "bias", "1.weight": "weight", "1.bias": "bias",
        "1.running_mean": "buffer", "1.running_var": "buffer",
    }  # fmt: skip


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation_builds(activation: str) -> None:
    module = build_network("cnn_s", channels=1, size=28, classes=10, activation=activation)
    assert module(torch.zeros(1, 1, 28, 28)).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cnn_xl"}, "there is no network 'cnn_xl': choose one of cnn_l, cnn_s.*, or timm/<model>"),
        ({"activation": "swish"}, "there is no activation 'swish'"),
        ({"size": 32}, "'cnn_s' does not fit image size 32: it is defined for 28; set dataset.size"),
        ({"name": "unterthiner", "size": 8}, "needs at least 15 pixels"),
        ({"name": "tetris_mlp", "size": 4, "classes": 10}, "does not fit class count 10"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(arguments: dict[str, object], message: str) -> None:
    ordinary = {"name": "cnn_s", "channels": 1, "size": 28, "classes": 10, "activation": "relu"}
    with pytest.raises(NetworkError, match=message):
        build_network(**(ordinary | arguments))


def test_a_name_is_registered_once() -> None:
    with pytest.raises(NetworkError, match="registered twice"):
        register_network(NetworkRecord(name="cnn_s", summary="", build=lambda shape, dropout: nn.Identity()))
    assert "cnn_s" in NETWORKS
