"""Bringing states into comparable order: canonical form, and alignment to a reference by weight matching."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from geozoo.errors import InputError
from geozoo.weights.canonical import canonical, canonical_permutations
from geozoo.weights.groups import Group, Symmetry
from geozoo.weights.permutation import identity_permutations, permute
from geozoo.weights.units import is_settled, learned_axes, unit_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geozoo.weights.groups import Axis
    from geozoo.weights.permutation import Permutations

__all__ = ["align", "canonical", "canonical_permutations", "matching_permutations"]

MAX_SWEEPS = 100

_CHUNK_SCALARS = 4_000_000
_LEAST_GAIN = 1e-12


def align(weights: Tensor, reference: Tensor, symmetry: Symmetry) -> Tensor:
    """Permute states ``[n, params]`` towards a reference ``[params]``: see `matching_permutations`."""
    return permute(weights, symmetry, matching_permutations(weights, reference, symmetry))


def matching_permutations(weights: Tensor, reference: Tensor, symmetry: Symmetry) -> Permutations:
    """The permutations that bring states ``[n, params]`` close to a reference ``[params]``, by weight matching.

    Follows Git Re-Basin (Ainsworth et al. 2022, arXiv 2209.04836): the inner product of weights and biases with the
    reference's is raised by coordinate descent, one group at a time by an exact linear assignment, until a sweep over
    all groups gains nothing (at most 100 sweeps). Running statistics do not count, but move along. Two deviations make
    it deterministic and safe: groups are visited in forward order instead of a random one, and the descent starts from
    whichever is better, the states as they are or a first pass that matches each group by only those weights whose
    other ends are already matched. That pass alone undoes any permutation of the reference; and the inner product of an
    aligned state is never below that of the state as it was. To align all epochs of a member alike, find the
    permutations of one and apply them to the others.

    Raises:
        InputError: a shape does not fit, or a weight is not finite.
    """
    if reference.shape != (symmetry.params,):
        raise InputError(f"a reference of shape {list(reference.shape)} is no state: give [{symmetry.params}].")
    symmetry.check(weights)
    for which, states in (("states", weights), ("references", reference[None])):
        if bad := int((~states.isfinite().all(dim=1)).sum()):
            raise InputError(f"cannot align: {bad} of the {which} have weights that are not finite; leave these out.")
    target = reference.detach().double()
    parts = [
        _match(chunk.double(), target, symmetry)
        for chunk in weights.detach().split(max(1, _CHUNK_SCALARS // symmetry.params))
    ]
    return tuple(torch.cat(group) for group in zip(*parts, strict=True))


def _match(states: Tensor, reference: Tensor, symmetry: Symmetry) -> Permutations:
    """The permutations of some float64 states."""
    learned = torch.zeros_like(reference)
    for slot in symmetry.layout:
        learned[slot.span] = slot.role != "buffer"
    target = reference * learned
    permutations = _first_pass(states, target, symmetry)
    better = permute(states, symmetry, permutations) @ target > states @ target
    kept = zip(permutations, identity_permutations(symmetry, len(states), states.device), strict=True)
    start = tuple(torch.where(better[:, None], first, same) for first, same in kept)
    return _descend(states, target, symmetry, start)


def _first_pass(states: Tensor, target: Tensor, symmetry: Symmetry) -> Permutations:
    """Match every group once, in forward order, by the weights whose other ends are already matched."""
    settled: list[Group] = []
    steps: list[Tensor] = []
    for group in symmetry.groups:
        axes = [axis for axis in learned_axes(symmetry, group) if is_settled(symmetry, group, axis, settled)]
        steps.append(_assign(states, target, symmetry, group, axes))
        states = permute(states, Symmetry(symmetry.layout, (group,)), steps[-1:])
        settled.append(group)
    return tuple(steps)


def _descend(states: Tensor, target: Tensor, symmetry: Symmetry, start: Permutations) -> Permutations:
    """Improve permutations group by group until a whole sweep gains nothing; states that are done drop out."""
    found = [one.clone() for one in start]
    least = _LEAST_GAIN * (states.abs() @ target.abs())
    active = torch.arange(len(states), device=states.device)
    current = permute(states, symmetry, start)
    for _ in range(MAX_SWEEPS):
        improved = torch.zeros(len(active), dtype=torch.bool, device=states.device)
        for number, group in enumerate(symmetry.groups):
            step = _assign(current, target, symmetry, group, learned_axes(symmetry, group))
            moved = permute(current, Symmetry(symmetry.layout, (group,)), [step])
            gains = moved @ target > current @ target + least[active]
            current = torch.where(gains[:, None], moved, current)
            rows = active[gains]
            found[number][rows] = found[number][rows].gather(1, step[gains])
            improved |= gains
        active, current = active[improved], current[improved]
        if not len(active):
            break
    return tuple(found)


def _assign(states: Tensor, target: Tensor, symmetry: Symmetry, group: Group, axes: Sequence[Axis]) -> Tensor:
    """The permutation ``[n, size]`` of one group that maximises the inner product along some axes."""
    from scipy.optimize import linear_sum_assignment

    wanted = unit_weights(target[None], symmetry, group, axes)[0]
    given = unit_weights(states, symmetry, group, axes)
    products = (given @ wanted.T).transpose(1, 2).cpu().numpy()
    chosen = [linear_sum_assignment(one, maximize=True)[1] for one in products]
    return torch.from_numpy(np.array(chosen, dtype=np.int64).reshape(-1, group.size)).to(states.device)
