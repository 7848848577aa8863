from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from geozoo.errors import InputError
from geozoo.hyper.models.gather import SequenceIndex, TokenGroups
from geozoo.hyper.models.tokens import (
    TOKEN_SCHEMES,
    layers_of,
    longest_row,
    neuron_in_out_tokens,
    neuron_tokens,
    places_of,
    token_sequence,
    weight_tokens,
)
from geozoo.nets import Layout, build_network, derive_layout, flatten, num_parameters, unflatten

CATALOGUE = {
    # name, channels, size, classes
    "cnn_s": (1, 28, 10),
    "cnn_l": (3, 32, 10),
    "unterthiner": (1, 28, 10),
    "tetris_mlp": (1, 4, 4),
    "resnet18": (3, 32, 100),
}


def layout_of(name: str) -> Layout:
    channels, size, classes = CATALOGUE[name]
    return derive_layout(build_network(name, channels=channels, size=size, classes=classes, activation="relu"))


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_weight_is_in_one_row_of_its_layer(name: str) -> None:
    layout = layout_of(name)
    found = np.concatenate([layer.index.ravel() for layer in layers_of(layout)])
    assert np.array_equal(np.sort(found), np.arange(num_parameters(layout)))


@pytest.mark.parametrize("name", ["cnn_s", "cnn_l", "unterthiner", "tetris_mlp"])
@pytest.mark.parametrize("scheme", sorted(TOKEN_SCHEMES))
def test_tokens_of_a_scheme_round_trip_exactly(name: str, scheme: str) -> None:
    layout = layout_of(name)
    groups = TokenGroups(TOKEN_SCHEMES[scheme](layout), num_parameters(layout))
    weights = torch.randn(3, num_parameters(layout))
    assert torch.equal(groups.join(groups.cut(weights)), weights)


@pytest.mark.parametrize(("name", "size"), [("cnn_l", 0), ("cnn_l", 100), ("unterthiner", 7), ("resnet18", 288)])
def test_a_sequence_round_trips_exactly_and_is_zero_where_padded(name: str, size: int) -> None:
    layout = layout_of(name)
    params = num_parameters(layout)
    sequence = SequenceIndex(token_sequence(layout, size or longest_row(layout)), params)
    weights = 1 + torch.rand(1, params)
    tokens = sequence.cut(weights)
    assert torch.equal(sequence.join(tokens), weights)
    assert int((tokens == 0).sum()) == tokens.numel() - params


@pytest.mark.parametrize(
    ("name", "tokens", "lengths"),
    [("cnn_s", 48, [26, 201, 25, 37, 21]), ("tetris_mlp", 9, [16, 5]), ("unterthiner", 58, [10, 145, 145, 17])],
)
def test_neuron_tokens_have_the_published_numbers(name: str, tokens: int, lengths: list[int]) -> None:
    groups = neuron_tokens(layout_of(name))
    assert sum(len(group) for group in groups) == tokens
    assert [group.shape[1] for group in groups] == lengths


def test_weight_tokens_are_the_scalars() -> None:
    (group,) = weight_tokens(layout_of("tetris_mlp"))
    assert group.shape == (100, 1)


def test_neuron_tokens_are_rows_of_the_weight_matrix_with_the_bias() -> None:
    layout = layout_of("cnn_s")
    vector = torch.randn(num_parameters(layout))
    tensors = unflatten(vector, layout)
    parts = TokenGroups(neuron_tokens(layout), len(vector)).cut(vector[None])
    for part, number in zip(parts, (0, 3, 6, 9, 11), strict=True):
        weight, bias = tensors[f"module_list.{number}.weight"], tensors[f"module_list.{number}.bias"]
        for unit in range(len(bias)):
            assert torch.equal(part[0, unit], torch.cat([weight[unit].ravel(), bias[unit, None]]))


def test_permuting_units_permutes_their_tokens() -> None:
    module = build_network("cnn_s", channels=1, size=28, classes=10, activation="tanh")
    layout = derive_layout(module)
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    order = torch.randperm(8)
    permuted = state | {
        "module_list.0.weight": state["module_list.0.weight"][order],
        "module_list.0.bias": state["module_list.0.bias"][order],
        "module_list.3.weight": state["module_list.3.weight"][:, order],
    }
    for scheme in ("neuron", "neuron_in_out"):
        groups = TokenGroups(TOKEN_SCHEMES[scheme](layout), num_parameters(layout))  # type: ignore[index]
        before, after = (groups.cut(flatten(weights, layout)[None]) for weights in (state, permuted))
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            if number == 0:
                assert torch.equal(new, old[:, order])
            elif number != 1:
                assert torch.equal(new, old)


def test_outgoing_weights_are_what_a_unit_is_multiplied_by() -> None:
    """The gradient of the next layer's outputs by a unit is made of its outgoing weights, and of no others."""
    layout = layout_of("cnn_s")
    vector = torch.randn(num_parameters(layout))
    tensors = unflatten(vector, layout)
    groups = neuron_in_out_tokens(layout)
    flattened = tensors["module_list.9.weight"].unflatten(1, (4, 3, 3))
    for unit in range(4):
        outgoing = vector[torch.from_numpy(groups[2][unit, 25:])]
        assert torch.equal(outgoing.reshape(20, 3, 3), flattened[:, unit])
    for unit in range(8):
        outgoing = vector[torch.from_numpy(groups[0][unit, 26:])]
        assert torch.equal(outgoing.reshape(6, 5, 5), tensors["module_list.3.weight"][:, unit])
    assert groups[-1].shape == (10, 21)


def test_a_weight_in_two_tokens_decodes_to_their_mean() -> None:
    layout = derive_layout(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)))  # 0-3, 4-5; 6-7, 8
    groups = TokenGroups(neuron_in_out_tokens(layout), 9)
    assert groups.shapes == [(2, 4), (1, 3)]
    hidden = torch.tensor([[[0.0, 1.0, 4.0, 10.0], [2.0, 3.0, 5.0, 20.0]]])
    output = torch.tensor([[[30.0, 50.0, 8.0]]])
    assert torch.equal(groups.join([hidden, output]), torch.tensor([[0.0, 1, 2, 3, 4, 5, 20, 35, 8]]))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), "do not fit '1.weight' of kind 'batchnorm2d'"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 2)), "do not fit '1.weight' with 4 inputs"),
    ],
)
def test_outgoing_weights_need_a_chain(module: nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=message):
        neuron_in_out_tokens(derive_layout(module))


def test_a_sequence_by_hand() -> None:
    layout = derive_layout(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1, bias=False)))
    sequence = token_sequence(layout, 2)
    padding = 16
    assert sequence.index.tolist() == [
        [0, 1], [4, padding], [2, 3], [5, padding],  # two rows of two weights and a bias, each in two tokens
        [6, 8], [7, 9],  # scale and shift of each channel
        [10, 12], [11, 13],  # running mean and variance of each channel
        [14, 15],
    ]  # fmt: skip
    assert sequence.positions.tolist() == [
        [0, 0, 0], [1, 0, 0], [2, 0, 1], [3, 0, 1],
        [4, 1, 0], [5, 1, 1],
        [6, 2, 0], [7, 2, 1],
        [8, 3, 0],
    ]  # fmt: skip


def test_the_published_sequence_of_the_larger_cnn() -> None:
    layout = layout_of("cnn_l")
    assert longest_row(layout) == 289
    assert len(token_sequence(layout, 289).index) == 93


def test_the_length_of_a_resnets_sequence() -> None:
    """By a loop over the state_dict: chunks of every row, two tokens for each BatchNorm channel."""
    module = build_network("resnet18", channels=3, size=32, classes=100, activation="relu")
    expected = 0
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            fan_in = part.weight[0].numel() + (part.bias is not None)
            expected += len(part.weight) * -(-fan_in // 288)
        elif isinstance(part, nn.BatchNorm2d):
            expected += 2 * part.num_features
    assert len(token_sequence(derive_layout(module), 288).index) == expected == 48_904


def test_tokens_that_leave_out_a_weight_are_refused() -> None:
    with pytest.raises(ValueError, match="leave out some of the 4 weights"):
        places_of(np.array([0, 1, 3]), 4)


def test_a_part_of_a_sequence_goes_back_to_its_places_alone() -> None:
    layout = derive_layout(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)))
    sequence = SequenceIndex(token_sequence(layout, 2), 9)
    weights = torch.arange(1.0, 10.0)[None]
    part = slice(1, 4)
    tokens = sequence.cut(weights, part)
    assert tokens.tolist() == [[[5.0, 0.0], [3.0, 4.0], [6.0, 0.0]]]
    joined, covered = sequence.join_part(tokens + 100 * (tokens == 0), part)
    assert covered.nonzero().ravel().tolist() == [2, 3, 4, 5]
    assert torch.equal(joined, weights * covered)
