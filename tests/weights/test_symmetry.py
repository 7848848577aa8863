"""The groups of a network, found by tracing, are those that its description says."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from geozoo.errors import NetworkError
from geozoo.nets import NETWORKS, build_network, derive_layout
from geozoo.weights.symmetry import Axis, Group, Symmetry, network_symmetry, permute, symmetry_of
from tests.support.networks import CATALOGUE, FunctionalNet, logits_of, random_state, small_resnet


def named_axes(symmetry: Symmetry) -> list[set[tuple[str, int]]]:
    return [{(symmetry.layout[axis.slot].name, axis.axis) for axis in group.axes} for group in symmetry.groups]


def of_norm(name: str) -> set[tuple[str, int]]:
    return {(f"{name}.{tensor}", 0) for tensor in ("weight", "bias", "running_mean", "running_var")}


def test_every_network_of_the_catalogue_is_covered() -> None:
    assert set(CATALOGUE) == set(NETWORKS)


def test_groups_of_cnn_s_written_out() -> None:
    symmetry = network_symmetry("cnn_s", **CATALOGUE["cnn_s"])
    names = [f"module_list.{number}" for number in (0, 3, 6, 9, 11)]
    assert [group.name for group in symmetry.groups] == [f"{name}.weight" for name in names[:4]]
    assert [group.size for group in symmetry.groups] == [8, 6, 4, 20]
    expected = [{(f"{name}.weight", 0), (f"{name}.bias", 0), (f"{after}.weight", 1)} for name, after in pairwise(names)]
    assert named_axes(symmetry) == expected
    blocks = {axis.block for group in symmetry.groups for axis in group.axes if axis != Axis(6, 1, 9)}
    assert symmetry.groups[2].axes[-1] == Axis(6, 1, 9)
    assert blocks == {1}


def test_groups_of_resnet18_written_out() -> None:
    """Four residual streams and eight inner widths, from the published description of the network."""
    symmetry = network_symmetry("resnet18", **CATALOGUE["resnet18"])
    streams: list[set[tuple[str, int]]] = [{("conv1.weight", 0)} | of_norm("bn1")] + [set() for _ in range(3)]
    inner = []
    for stage in range(4):
        for block in range(2):
            name = f"layer{stage + 1}.{block}"
            read = streams[stage - 1] if stage and not block else streams[stage]
            read.add((f"{name}.conv1.weight", 1))
            inner.append({(f"{name}.conv1.weight", 0), (f"{name}.conv2.weight", 1)} | of_norm(f"{name}.bn1"))
            streams[stage] |= {(f"{name}.conv2.weight", 0)} | of_norm(f"{name}.bn2")
        if stage:
            streams[stage - 1].add((f"layer{stage + 1}.0.downsample.0.weight", 1))
            streams[stage] |= {(f"layer{stage + 1}.0.downsample.0.weight", 0)}
            streams[stage] |= of_norm(f"layer{stage + 1}.0.downsample.1")
    streams[3].add(("fc.weight", 1))
    found = named_axes(symmetry)
    assert len(found) == 12
    assert all(group in found for group in streams + inner)
    assert sorted(group.size for group in symmetry.groups) == sorted([64] * 3 + [128] * 3 + [256] * 3 + [512] * 3)


def test_groups_come_in_the_order_of_the_forward_pass() -> None:
    """No group reads from a later one alone: each has a tensor whose other axes are fixed or in groups before it."""
    symmetry = network_symmetry("resnet18", **CATALOGUE["resnet18"])
    for number, group in enumerate(symmetry.groups):
        others = [
            [one for one in symmetry.rows[axis.slot].groups if one is not None and one != number]
            for axis in group.axes
            if axis.axis == 0 and len(symmetry.layout[axis.slot].shape) > 1
        ]
        assert any(all(one < number for one in readers) for readers in others)


def test_the_symmetry_of_a_network_is_derived_once_and_is_that_of_its_module() -> None:
    symmetry = network_symmetry("cnn_l", **CATALOGUE["cnn_l"])
    assert network_symmetry("cnn_l", **CATALOGUE["cnn_l"]) is symmetry
    module = build_network("cnn_l", activation="gelu", dropout=0.5, **CATALOGUE["cnn_l"])
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert symmetry_of(module, (3, 32, 32)) == symmetry
    assert symmetry.layout == derive_layout(module)
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def without(symmetry: Symmetry, number: int, axis: Axis) -> Symmetry:
    group = symmetry.groups[number]
    lesser = Group(group.name, group.size, tuple(one for one in group.axes if one != axis))
    return Symmetry(symmetry.layout, (*symmetry.groups[:number], lesser, *symmetry.groups[number + 1 :]))


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh").double(), (1, 28, 28)),
        (small_resnet(), (2, 8, 8)),
        (FunctionalNet(), (2, 6, 6)),
    ],
    ids=["cnn_s", "small_resnet", "functional"],
)
def test_every_axis_has_to_move(module: nn.Module, shape: tuple[int, int, int]) -> None:
    """With all axes the function stays; with any one left out it changes."""
    symmetry = symmetry_of(module, shape)
    generator = torch.Generator().manual_seed(1)
    state = random_state(symmetry.layout, generator)
    images = torch.randn((4, *shape), dtype=torch.float64, generator=generator)
    # a cyclic shift moves every unit
    permutations = [torch.arange(group.size).roll(1)[None] for group in symmetry.groups]
    logits = logits_of(module, state, images)
    moved = logits_of(module, permute(state[None], symmetry, permutations)[0], images)
    torch.testing.assert_close(moved, logits, rtol=0, atol=1e-12)
    for number, group in enumerate(symmetry.groups):
        for axis in group.axes:
            broken = permute(state[None], without(symmetry, number, axis), permutations)[0]
            assert (logits_of(module, broken, images) - logits).abs().max() > 1e-4, (group.name, axis)


def test_a_layer_that_is_never_called_never_moves() -> None:
    symmetry = symmetry_of(FunctionalNet(), (2, 6, 6))
    assert not any("unused" in symmetry.layout[axis.slot].name for group in symmetry.groups for axis in group.axes)
    kernel = [axis.axis for axis in symmetry.groups[0].axes if symmetry.layout[axis.slot].name == "again.weight"]
    assert kernel == [0, 1]


def test_a_linear_classifier_has_no_symmetry() -> None:
    assert symmetry_of(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (3, 2, 2)).groups == ()


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Halving(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.chunk(x, 2, dim=1)[0]


class Reading(nn.Module):
    """One dense layer reads maps of four positions and of one."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 8, 3)
        self.dense = nn.Linear(8, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.wide(x).flatten(1)) + self.dense(self.pool(self.narrow(x)).flatten(1))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1, groups=2)),
            r"layer 1 = Conv2d\(.*groups=2\) is not known",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4)),
            r"layer 1 = GroupNorm\(.*\) is not known: use the layers",
        ),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(2, 2)), r"layer 1 = Linear\(.*\) is not known"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(2)), r"layer 1 = Flatten\(.*\) is not known"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(Branching(), nn.Identity())), "layer 1.0 = Branching"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(Halving(), nn.Identity())), "layer 1.0 = Halving"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), r"cannot be run on images of shape \[1, 4, 4\]"),
        (Reading(), r"'dense.weight' reads maps of 4 and of 1 positions"),
    ],
)
def test_what_is_not_known_is_refused_in_a_sentence(module: nn.Module, message: str) -> None:
    with pytest.raises(NetworkError, match=message) as refused:
        symmetry_of(module, (1, 4, 4))
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


class Outer(nn.Module):
    """Runs its own operation after a layer."""

    def __init__(self, operation: object) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 3)
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(self.layer(x))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda x: torch.softmax(x, 1), "operation softmax = .*softmax.* is not known"),
        (lambda x: x.view(1, -1), "operation view = view is not known"),
        (lambda x: x + x.flatten(1)[:, :4, None, None], "is not known"),
        (lambda x: x if x.sum() > 0 else -x, "Outer cannot be traced .* must not branch on its input"),
    ],
)
def test_an_operation_without_a_rule_is_refused_in_a_sentence(operation: object, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        symmetry_of(Outer(operation), (1, 4, 4))
