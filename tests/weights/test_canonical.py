"""One canonical form for all permutations of a state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geozoo.weights import canonical as module_of_canonical
from geozoo.weights.alignment import canonical, canonical_permutations
from geozoo.weights.symmetry import Symmetry, draw_permutations, network_symmetry, permute, symmetry_of
from tests.support.networks import (
    CATALOGUE,
    FunctionalNet,
    hollow_network,
    logits_of,
    random_state,
    small_resnet,
    tensors_of,
)

CNN_S = network_symmetry("cnn_s", **CATALOGUE["cnn_s"])
SYMMETRIES = {
    **{name: network_symmetry(name, **CATALOGUE[name]) for name in CATALOGUE if name != "resnet18"},
    "small_resnet": symmetry_of(small_resnet(), (2, 8, 8)),
    "functional": symmetry_of(FunctionalNet(), (2, 6, 6)),
}


def states(symmetry: Symmetry, n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([random_state(symmetry.layout, generator) for _ in range(n)])


def shuffled(weights: torch.Tensor, symmetry: Symmetry, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return permute(weights, symmetry, draw_permutations(symmetry, len(weights), generator))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("name", SYMMETRIES)
def test_all_permutations_of_a_state_have_one_form(name: str, dtype: torch.dtype) -> None:
    symmetry = SYMMETRIES[name]
    weights = states(symmetry, 20).to(dtype)
    form = canonical(weights, symmetry)
    for seed in range(5):
        assert torch.equal(canonical(shuffled(weights, symmetry, seed), symmetry), form)
    assert torch.equal(canonical(form, symmetry), form)
    assert len(form.unique(dim=0)) == len(weights)


def test_units_ascend_by_the_norm_of_what_leads_into_them() -> None:
    (form,) = canonical(states(CNN_S, 1), CNN_S)
    tensors = tensors_of(form, CNN_S.layout)
    for layer in ("0", "3", "6", "9"):
        weight, bias = (tensors[f"module_list.{layer}.{name}"].numpy() for name in ("weight", "bias"))
        norms = [np.sqrt((unit**2).sum() + number**2) for unit, number in zip(weight, bias, strict=True)]
        assert norms == sorted(norms)
        assert len(set(norms)) == len(norms)


def test_residual_streams_ascend_by_all_that_writes_to_them() -> None:
    symmetry = SYMMETRIES["small_resnet"]
    (form,) = canonical(states(symmetry, 1), symmetry)
    tensors = tensors_of(form, symmetry.layout)
    writers = ["0.weight", "1.weight", "1.bias"]
    writers += [f"{block}.{name}" for block in (3, 4) for name in ("conv2.weight", "bn2.weight", "bn2.bias")]
    norms = [sum(float((tensors[name][unit] ** 2).sum()) for name in writers) for unit in range(6)]
    assert norms == sorted(norms)


def test_the_canonical_network_computes_the_same() -> None:
    module = small_resnet()
    symmetry = SYMMETRIES["small_resnet"]
    (state,) = weights = states(symmetry, 1)
    images = torch.randn(4, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (form,) = canonical(weights, symmetry)
    assert not torch.equal(form, state)
    torch.testing.assert_close(logits_of(module, form, images), logits_of(module, state, images))


def tie_by_sign(weights: torch.Tensor, symmetry: Symmetry) -> torch.Tensor:
    """Every second unit of each group leads in like the one before, with the other sign."""
    for group in symmetry.groups:
        for axis in group.axes:
            slot = symmetry.layout[axis.slot]
            if axis.axis == 0 and slot.role != "buffer":
                tensor = weights[:, slot.span].unflatten(1, slot.shape)
                pairs = group.size // 2
                tensor[:, 1 : 2 * pairs : 2] = -tensor[:, 0 : 2 * pairs : 2]
    return weights


def tie_by_zero(weights: torch.Tensor, symmetry: Symmetry) -> torch.Tensor:
    """Half of the units of each group are pruned: nothing leads in, while what leads out differs."""
    for group in symmetry.groups:
        for axis in group.axes:
            slot = symmetry.layout[axis.slot]
            if axis.axis == 0 and slot.role != "buffer":
                weights[:, slot.span].unflatten(1, slot.shape)[:, : group.size // 2] = 0
    return weights


def tie_by_copy(weights: torch.Tensor, symmetry: Symmetry) -> torch.Tensor:
    """The first two units of the last group are alike in all, so that their order does not matter."""
    group = symmetry.groups[-1]
    for axis in group.axes:
        slot = symmetry.layout[axis.slot]
        shape = (*slot.shape[: axis.axis], group.size, -1)
        tensor = weights[:, slot.span].unflatten(1, shape)
        tensor.select(axis.axis + 1, 1).copy_(tensor.select(axis.axis + 1, 0))
    return weights


@pytest.mark.parametrize("tie", [tie_by_sign, tie_by_zero, tie_by_copy])
@pytest.mark.parametrize("name", ["cnn_s", "tetris_mlp", "small_resnet"])
def test_units_of_one_norm_have_one_order_too(name: str, tie) -> None:
    symmetry = SYMMETRIES[name]
    weights = tie(states(symmetry, 6), symmetry)
    form = canonical(weights, symmetry)
    for seed in range(5):
        assert torch.equal(canonical(shuffled(weights, symmetry, seed), symmetry), form)


def test_norms_do_not_depend_on_the_order_of_other_groups_by_rounding() -> None:
    """All filters of the second layer hold the same 200 weights in other places: one norm, whatever is summed first."""
    weights = states(CNN_S, 8)
    second, bias = (
        next(slot for slot in CNN_S.layout if slot.name == f"module_list.3.{of}") for of in ("weight", "bias")
    )
    filters = weights[:, second.span].unflatten(1, (second.shape[0], -1))
    generator = torch.Generator().manual_seed(3)
    for number in range(1, second.shape[0]):
        filters[:, number] = filters[:, 0][:, torch.randperm(filters.shape[2], generator=generator)]
    weights[:, bias.span] = weights[:, bias.span][:, :1]
    form = canonical(weights, CNN_S)
    for seed in range(5):
        assert torch.equal(canonical(shuffled(weights, CNN_S, seed), CNN_S), form)


def test_ties_are_settled_lexicographically() -> None:
    """Two units of one norm, written out: the one with the smaller first weight comes first."""
    symmetry = SYMMETRIES["tetris_mlp"]
    weights = states(symmetry, 1)
    first = weights[:, symmetry.layout[0].span].unflatten(1, symmetry.layout[0].shape)
    first[0, :2] = 100 * torch.eye(5, 16, dtype=torch.float64)[:2]
    order = canonical_permutations(weights, symmetry)[0][0].tolist()
    # (100, 0, ...) is unit 0 and (0, 100, ...) is unit 1
    assert order[-2:] == [1, 0]


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = states(CNN_S, 11).float()
    whole = canonical(weights, CNN_S)
    monkeypatch.setattr(module_of_canonical, "_CHUNK_SCALARS", 4 * CNN_S.params)
    assert torch.equal(canonical(weights, CNN_S), whole)
    assert canonical(weights[:0], CNN_S).shape == (0, CNN_S.params)


def test_a_large_network_has_a_form_too() -> None:
    symmetry = network_symmetry("resnet18", **CATALOGUE["resnet18"])
    weights = states(symmetry, 1).float()
    form = canonical(weights, symmetry)
    assert torch.equal(canonical(shuffled(weights, symmetry), symmetry), form)
    module = hollow_network("resnet18")
    images = torch.randn(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = logits_of(module, weights[0], images)
    torch.testing.assert_close(logits_of(module, form[0], images), expected)
