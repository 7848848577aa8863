"""Weight matching: undoes permutations, never makes matters worse, and is optimal where that can be counted out."""

from __future__ import annotations

from itertools import permutations as all_orders

import pytest
import torch
from torch import nn

from geozoo.errors import InputError
from geozoo.nets import INITIALISERS
from geozoo.population.initial import initial_weights
from geozoo.weights import alignment
from geozoo.weights.alignment import align, matching_permutations
from geozoo.weights.symmetry import (
    Symmetry,
    draw_permutations,
    identity_permutations,
    invert_permutations,
    network_symmetry,
    permute,
    symmetry_of,
)
from tests.support.networks import CATALOGUE, FunctionalNet, logits_of, random_state, small_resnet
from tests.support.population import hyperparameters

CNN_S = network_symmetry("cnn_s", **CATALOGUE["cnn_s"])
TETRIS = network_symmetry("tetris_mlp", **CATALOGUE["tetris_mlp"])
RESNET = symmetry_of(small_resnet(), (2, 8, 8))


def states(symmetry: Symmetry, n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([random_state(symmetry.layout, generator) for _ in range(n)])


def learned(symmetry: Symmetry) -> torch.Tensor:
    """1.0 where the flat vector holds weights and biases, 0.0 where it holds running statistics."""
    mask = torch.ones(symmetry.params, dtype=torch.float64)
    for slot in symmetry.layout:
        if slot.role == "buffer":
            mask[slot.span] = 0
    return mask


def products(weights: torch.Tensor, reference: torch.Tensor, symmetry: Symmetry) -> torch.Tensor:
    return weights.double() @ (reference.double() * learned(symmetry))


@pytest.mark.parametrize("symmetry", [CNN_S, TETRIS, RESNET], ids=["cnn_s", "tetris_mlp", "small_resnet"])
def test_a_known_permutation_is_recovered_exactly(symmetry: Symmetry) -> None:
    reference = states(symmetry, 1)
    drawn = draw_permutations(symmetry, 200, torch.Generator().manual_seed(1))
    moved = permute(reference.expand(200, -1), symmetry, drawn)
    found = matching_permutations(moved, reference[0], symmetry)
    for one, other in zip(found, invert_permutations(drawn), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(align(moved, reference[0], symmetry), reference.expand(200, -1))


@pytest.mark.parametrize("init", sorted(INITIALISERS))
def test_a_permuted_initialisation_is_recovered_exactly(init: str) -> None:
    """Also from U[0, 1), where all units point one way."""
    arguments = {"name": "cnn_s", "activation": "relu", **CATALOGUE["cnn_s"]}
    (reference,) = torch.from_numpy(initial_weights(arguments, [1], [hyperparameters(init=init)]))
    drawn = draw_permutations(CNN_S, 50, torch.Generator().manual_seed(1))
    moved = permute(reference.expand(50, -1), CNN_S, drawn)
    assert torch.equal(align(moved, reference, CNN_S), reference.expand(50, -1))


def test_a_permuted_large_network_is_recovered_exactly() -> None:
    symmetry = network_symmetry("resnet18", **CATALOGUE["resnet18"])
    reference = states(symmetry, 1).float()
    moved = permute(reference, symmetry, draw_permutations(symmetry, 1, torch.Generator().manual_seed(1)))
    assert torch.equal(align(moved, reference[0], symmetry), reference)


def test_noise_does_not_hide_a_permutation() -> None:
    reference = states(CNN_S, 1)
    drawn = draw_permutations(CNN_S, 50, torch.Generator().manual_seed(1))
    noisy = reference + 0.02 * states(CNN_S, 50, seed=2)
    assert torch.equal(align(permute(noisy, CNN_S, drawn), reference[0], CNN_S), noisy)


@pytest.mark.parametrize("symmetry", [CNN_S, RESNET, symmetry_of(FunctionalNet(), (2, 6, 6))])
def test_aligning_never_lowers_the_inner_product(symmetry: Symmetry) -> None:
    """Unrelated states, and states near the reference that gain nothing or little."""
    reference = states(symmetry, 1, seed=9)[0]
    weights = torch.cat([states(symmetry, 100), reference + 0.3 * states(symmetry, 50, seed=1)])
    before = products(weights, reference, symmetry)
    after = products(align(weights, reference, symmetry), reference, symmetry)
    assert (after >= before - 1e-12 * before.abs()).all()
    assert (after[:100] > before[:100]).all()


def test_one_hidden_layer_is_matched_as_well_as_any_of_its_120_orders() -> None:
    weights, reference = states(TETRIS, 30), states(TETRIS, 1, seed=5)[0]
    orders = torch.tensor(list(all_orders(range(5))))
    for state, aligned in zip(weights, align(weights, reference, TETRIS), strict=True):
        every = permute(state.expand(120, -1), TETRIS, [orders])
        torch.testing.assert_close(aligned @ reference, (every @ reference).max())


@pytest.mark.parametrize("group", [1, 2])
def test_no_order_of_a_single_group_improves_an_aligned_state(group: int) -> None:
    """Coordinate descent has ended: all 720 orders of six units, or 24 of four, counted out."""
    weights, reference = states(CNN_S, 8), states(CNN_S, 1, seed=5)[0]
    orders = torch.tensor(list(all_orders(range(CNN_S.groups[group].size))))
    for aligned in align(weights, reference, CNN_S):
        trial = list(identity_permutations(CNN_S, len(orders)))
        trial[group] = orders
        every = permute(aligned.expand(len(orders), -1), CNN_S, trial) @ reference
        assert aligned @ reference >= every.max() - 1e-9


def test_running_statistics_move_along_but_do_not_count() -> None:
    module, (state,) = small_resnet(), states(RESNET, 1)
    reference = states(RESNET, 1, seed=3)[0]
    disturbed, statistics = state.clone(), learned(RESNET) == 0
    disturbed[statistics] += 5
    elsewhere = reference.clone()
    elsewhere[statistics] *= -7
    found = matching_permutations(torch.stack([state, disturbed]), reference, RESNET)
    again = matching_permutations(torch.stack([state, disturbed]), elsewhere, RESNET)
    for one, other in zip(found, again, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one[0], one[1])
    images = torch.randn(4, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    aligned = align(state[None], reference, RESNET)[0]
    assert not torch.equal(aligned, state)
    torch.testing.assert_close(logits_of(module, aligned, images), logits_of(module, state, images))


def test_running_statistics_cannot_keep_weights_from_their_places() -> None:
    """A permuted state whose running statistics stand, large, where the reference has them: moving back costs them."""
    reference = states(RESNET, 1)
    statistics = learned(RESNET) == 0
    reference[:, statistics] *= 1e3
    drawn = draw_permutations(RESNET, 20, torch.Generator().manual_seed(1))
    moved = permute(reference.expand(20, -1), RESNET, drawn)
    moved[:, statistics] = reference[:, statistics]
    aligned = align(moved, reference[0], RESNET)
    assert torch.equal(aligned[:, ~statistics], reference[:, ~statistics].expand(20, -1))


def test_states_do_not_depend_on_their_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, reference = states(CNN_S, 23), states(CNN_S, 1, seed=5)[0]
    whole = align(weights, reference, CNN_S)
    monkeypatch.setattr(alignment, "_CHUNK_SCALARS", 5 * CNN_S.params)
    assert torch.equal(align(weights, reference, CNN_S), whole)
    assert torch.equal(align(weights[7:8], reference, CNN_S), whole[7:8])
    assert align(weights[:0], reference, CNN_S).shape == (0, CNN_S.params)


def test_a_network_without_hidden_units_stays_as_it_is() -> None:
    symmetry = symmetry_of(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (3, 2, 2))
    weights = states(symmetry, 4)
    assert torch.equal(align(weights, weights[0], symmetry), weights)
    assert torch.equal(alignment.canonical(weights, symmetry), weights)


def test_what_cannot_be_aligned_is_refused_in_a_sentence() -> None:
    weights = states(CNN_S, 3)
    with pytest.raises(InputError, match=r"reference of shape \[3, 2464\] is no state: give \[2464\]"):
        align(weights, weights, CNN_S)
    with pytest.raises(InputError, match="1 of the references have weights that are not finite"):
        align(weights, torch.full((CNN_S.params,), torch.inf, dtype=torch.float64), CNN_S)
    for misfit in (weights[0], weights[:, 1:]):
        with pytest.raises(InputError, match=r"are no states of this network: give \[n, 2464\]"):
            align(misfit, weights[0], CNN_S)
        with pytest.raises(InputError, match=r"are no states of this network: give \[n, 2464\]"):
            alignment.canonical(misfit, CNN_S)
    weights[1, 5] = torch.nan
    with pytest.raises(InputError, match="1 of the states have weights that are not finite"):
        align(weights, weights[0], CNN_S)
