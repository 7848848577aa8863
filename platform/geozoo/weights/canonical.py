"""The canonical form of a state: one representative of all states that differ by a permutation of hidden units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from geozoo.weights.groups import Group, Symmetry
from geozoo.weights.permutation import permute
from geozoo.weights.units import is_settled, learned_axes, unit_weights

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.weights.permutation import Permutations

_CHUNK_SCALARS = 4_000_000


def canonical(weights: Tensor, symmetry: Symmetry) -> Tensor:
    """Sort the hidden units of states ``[n, params]``: see `canonical_permutations`."""
    return permute(weights, symmetry, canonical_permutations(weights, symmetry))


def canonical_permutations(weights: Tensor, symmetry: Symmetry) -> Permutations:
    """The permutations that put states ``[n, params]`` into canonical form, equal for all permutations of a state.

    The units of each group ascend by the L2 norm of their incoming weights and bias (on a residual stream, of all that
    writes to it, BatchNorm's scale and shift included; running statistics are left out). A norm is summed over sorted
    squares in float64, so that it does not depend on the order of other groups, not even by rounding. Units of one norm
    ascend lexicographically by their weights, incoming and outgoing, group after group: as they are towards units
    that have their place already, sorted towards units that have not. Units that are still alike keep their order.

    Raises:
        InputError: the shape does not fit.
    """
    symmetry.check(weights)
    parts = [
        _sorted_by_norm(chunk, symmetry) for chunk in weights.detach().split(max(1, _CHUNK_SCALARS // symmetry.params))
    ]
    return tuple(torch.cat(group) for group in zip(*parts, strict=True))


def _sorted_by_norm(weights: Tensor, symmetry: Symmetry) -> list[Tensor]:
    """The permutations of some states, ties among norms settled."""
    norms = [_incoming_norms(weights, symmetry, group) for group in symmetry.groups]
    permutations = [norm.argsort(dim=1, stable=True) for norm in norms]
    tied = torch.zeros(len(weights), dtype=torch.bool, device=weights.device)
    for norm, order in zip(norms, permutations, strict=True):
        ascending = norm.gather(1, order)
        tied |= (ascending[:, 1:] == ascending[:, :-1]).any(dim=1)
    for row in tied.nonzero().flatten().tolist():
        orders = _settle_ties(weights[row : row + 1], symmetry, [norm[row] for norm in norms])
        for permutation, order in zip(permutations, orders, strict=True):
            permutation[row] = order
    return permutations


def _incoming_norms(weights: Tensor, symmetry: Symmetry, group: Group) -> Tensor:
    """Squared norms ``[n, size]``, float64, of what leads into each unit."""
    incoming = [axis for axis in learned_axes(symmetry, group) if axis.axis == 0]
    squares = unit_weights(weights, symmetry, group, incoming).double().square().sort(dim=2).values
    return _ordered_sum(squares)


def _ordered_sum(values: Tensor) -> Tensor:
    """The sum over the last axis, by halves: additions whose order follows from its length alone."""
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        values = torch.cat([values[..., :half] + values[..., half : 2 * half], values[..., 2 * half :]], dim=-1)
    return values.squeeze(-1)


def _settle_ties(state: Tensor, symmetry: Symmetry, norms: list[Tensor]) -> list[Tensor]:
    """The permutation of each group of one state ``[1, params]``, whose units have norms ``[size]``."""
    orders: list[Tensor] = []
    settled: list[Group] = []
    for group, norm in zip(symmetry.groups, norms, strict=True):
        keys = [
            unit_weights(state, symmetry, group, [axis])[0]
            if is_settled(symmetry, group, axis, settled)
            else unit_weights(state, symmetry, group, [axis])[0].sort(dim=1).values
            for axis in group.axes
        ]
        columns = torch.cat(keys, dim=1).double().cpu().numpy()
        order = torch.from_numpy(np.lexsort((*columns.T[::-1], norm.cpu().numpy()))).to(state.device)
        state = permute(state, Symmetry(symmetry.layout, (group,)), (order[None],))
        orders.append(order)
        settled.append(group)
    return orders
