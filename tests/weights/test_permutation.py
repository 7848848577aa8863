"""Permutations are uniform, and applying them is what a plain loop over tensors does."""

from __future__ import annotations

from itertools import permutations as all_orders

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, chisquare

from geozoo.errors import InputError
from geozoo.nets import derive_layout
from geozoo.weights.symmetry import (
    compose_permutations,
    draw_permutations,
    identity_permutations,
    invert_permutations,
    network_symmetry,
    permute,
    symmetry_of,
)
from tests.support.networks import CATALOGUE, FunctionalNet, random_state, small_resnet, tensors_of

CNN_S = network_symmetry("cnn_s", **CATALOGUE["cnn_s"])
TETRIS = network_symmetry("tetris_mlp", **CATALOGUE["tetris_mlp"])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_hand(vector: torch.Tensor, permutations: list[list[int]]) -> torch.Tensor:
    """The small CNN with its units moved one at a time, tensor by tensor."""
    old = tensors_of(vector, CNN_S.layout)
    new = {name: tensor.clone() for name, tensor in old.items()}
    first, second, third, fourth = permutations
    for i, unit in enumerate(first):
        new["module_list.0.weight"][i] = old["module_list.0.weight"][unit]
        new["module_list.0.bias"][i] = old["module_list.0.bias"][unit]
    for i, unit in enumerate(second):
        new["module_list.3.bias"][i] = old["module_list.3.bias"][unit]
        for j, before in enumerate(first):
            new["module_list.3.weight"][i, j] = old["module_list.3.weight"][unit, before]
    for i, unit in enumerate(third):
        new["module_list.6.bias"][i] = old["module_list.6.bias"][unit]
        for j, before in enumerate(second):
            new["module_list.6.weight"][i, j] = old["module_list.6.weight"][unit, before]
    for i, unit in enumerate(fourth):
        new["module_list.9.bias"][i] = old["module_list.9.bias"][unit]
        for j, before in enumerate(third):
            for place in range(9):
                new["module_list.9.weight"][i, 9 * j + place] = old["module_list.9.weight"][unit, 9 * before + place]
        new["module_list.11.weight"][:, i] = old["module_list.11.weight"][:, unit]
    return torch.cat([new[slot.name].flatten() for slot in CNN_S.layout])


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int16, torch.bool]
)
def test_permuting_is_what_a_loop_over_tensors_does(dtype: torch.dtype) -> None:
    weights = (100 * torch.rand(3, CNN_S.params, generator=generator()).sub(0.5).relu()).to(dtype)
    before = weights.clone()
    drawn = draw_permutations(CNN_S, 3, generator(1))
    permuted = permute(weights, CNN_S, drawn)
    expected = torch.stack([by_hand(row, [one[n].tolist() for one in drawn]) for n, row in enumerate(weights)])
    assert permuted.dtype == dtype
    assert torch.equal(permuted, expected)
    assert not torch.equal(permuted, weights)
    assert torch.equal(weights, before)


def test_permuting_reads_weights_of_any_strides() -> None:
    wide = torch.randn(CNN_S.params, 8, generator=generator())
    drawn = draw_permutations(CNN_S, 4, generator(1))
    assert torch.equal(permute(wide.T[::2], CNN_S, drawn), permute(wide.T[::2].contiguous(), CNN_S, drawn))
    one = torch.randn(CNN_S.params, generator=generator())
    assert torch.equal(permute(one.expand(4, -1), CNN_S, drawn), permute(one.repeat(4, 1), CNN_S, drawn))


@pytest.mark.parametrize("symmetry", [CNN_S, symmetry_of(small_resnet(), (2, 8, 8))], ids=["cnn_s", "small_resnet"])
def test_the_inverse_undoes_and_composition_does_both(symmetry) -> None:
    weights = torch.randn(5, symmetry.params, generator=generator())
    first, then = draw_permutations(symmetry, 5, generator(1)), draw_permutations(symmetry, 5, generator(2))
    permuted = permute(weights, symmetry, first)
    assert torch.equal(permute(permuted, symmetry, invert_permutations(first)), weights)
    both = permute(weights, symmetry, compose_permutations(first, then))
    assert torch.equal(both, permute(permuted, symmetry, then))
    assert not torch.equal(both, permute(weights, symmetry, compose_permutations(then, first)))
    assert torch.equal(permute(weights, symmetry, identity_permutations(symmetry, 5)), weights)


def test_the_gradient_moves_by_the_inverse() -> None:
    weights = torch.randn(3, CNN_S.params, dtype=torch.float64, generator=generator(), requires_grad=True)
    factors = torch.randn(3, CNN_S.params, dtype=torch.float64, generator=generator(1))
    drawn = draw_permutations(CNN_S, 3, generator(2))
    (permute(weights, CNN_S, drawn) * factors).sum().backward()
    assert torch.equal(weights.grad, permute(factors, CNN_S, invert_permutations(drawn)))


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_first_and_second_derivatives_are_those_of_finite_differences(check) -> None:
    weights = torch.randn(2, TETRIS.params, dtype=torch.float64, generator=generator(), requires_grad=True)
    drawn = draw_permutations(TETRIS, 2, generator(1))
    assert check(lambda states: permute(states, TETRIS, drawn).square(), weights)


def test_no_states_are_permuted_to_none() -> None:
    assert permute(torch.empty(0, CNN_S.params), CNN_S, draw_permutations(CNN_S, 0, generator())).shape == (0, 2464)


@pytest.mark.parametrize(
    ("shape", "n", "message"),
    [
        ((2, 2463), 2, r"shape \[2, 2463\] are no states of this network: give \[n, 2464\]"),
        ((2464,), 1, r"shape \[2464\] are no states"),
        ((3, 2464), 2, r"do not fit 3 states: give \[\(3, 8\), \(3, 6\), \(3, 4\), \(3, 20\)\]"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(shape, n, message) -> None:
    with pytest.raises(InputError, match=message):
        permute(torch.zeros(shape), CNN_S, draw_permutations(CNN_S, n, generator()))


def counts_of(drawn: torch.Tensor) -> np.ndarray:
    """How often each of the 24 orders of four units was drawn, impossible ones refused."""
    orders = dict.fromkeys(all_orders(range(4)), 0)
    for row in drawn.tolist():
        orders[tuple(row)] += 1
    return np.array(list(orders.values()))


def test_permutations_of_four_units_are_uniform() -> None:
    counts = counts_of(draw_permutations(CNN_S, 24_000, generator())[2])
    assert chisquare(counts).pvalue > 1e-3


def test_draws_from_a_list_of_six_are_seen_as_not_uniform() -> None:
    """The published scheme: min(24, permutations // layers) = 6 orders of the layer of four, listed in advance."""
    listed = torch.stack([torch.randperm(4, generator=generator(seed)) for seed in range(6)])
    counts = counts_of(listed[torch.randint(6, (24_000,), generator=generator())])
    assert chisquare(counts).pvalue < 1e-100


def test_permutations_of_groups_and_of_neighbouring_states_are_independent() -> None:
    first, second, third, _ = draw_permutations(CNN_S, 24_000, generator(3))

    def dependence(one: torch.Tensor, other: torch.Tensor) -> float:
        table = np.zeros((int(one.max()) + 1, int(other.max()) + 1))
        np.add.at(table, (one.numpy(), other.numpy()), 1)
        return chi2_contingency(table).pvalue

    assert dependence(first[:, 0], second[:, 0]) > 1e-3
    assert dependence(second[:, 0], third[:, 0]) > 1e-3
    assert dependence(third[:-1, 0], third[1:, 0]) > 1e-3
    assert dependence(third[:, 0], third[:, 0]) < 1e-100


def test_large_permutations_are_permutations_and_follow_the_generator() -> None:
    symmetry = network_symmetry("resnet18", **CATALOGUE["resnet18"])
    torch.manual_seed(0)
    state = torch.get_rng_state()
    drawn, again = (draw_permutations(symmetry, 7, generator(5)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    for group, one, other in zip(symmetry.groups, drawn, again, strict=True):
        assert one.dtype == torch.int64
        assert torch.equal(one.sort(dim=1).values, torch.arange(group.size).expand(7, -1))
        assert torch.equal(one, other)
        assert len(one.unique(dim=0)) == 7


def test_a_kernel_on_its_own_stream_moves_along_both_axes() -> None:
    module = FunctionalNet()
    symmetry, layout = symmetry_of(module, (2, 6, 6)), derive_layout(module)
    state = random_state(layout, generator())
    order = torch.tensor([3, 1, 0, 4, 2])
    moved = permute(state[None], symmetry, [order[None], torch.arange(7)[None]])[0]
    kernel = tensors_of(state, layout)["again.weight"]
    assert torch.equal(tensors_of(moved, layout)["again.weight"], kernel[order][:, order])
