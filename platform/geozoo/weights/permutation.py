"""Permutations of hidden units: drawn, inverted, composed, and applied to flat weights.

A permutation of a group is an index: unit ``i`` afterwards is unit ``permutation[i]`` before. Permutations of a
symmetry are one tensor ``int64 [n, size]`` for each group, one row for each state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from geozoo.errors import InputError
from geozoo.weights.draws import RowDraws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.weights.groups import Rows, Symmetry

    Permutations = tuple[Tensor, ...]


def draw_permutations(symmetry: Symmetry, n: int, generator: torch.Generator) -> Permutations:
    """Draw permutations for ``n`` states: uniform, independent for every state and group, on the generator's device."""
    return permutations_from(symmetry, RowDraws.of(generator, n))


def permutations_from(symmetry: Symmetry, draws: RowDraws) -> Permutations:
    """Draw permutations for the rows of ``draws``.

    They are the orders of uniform float64 numbers, whose chance of a tie (which would favour the identity) is below
    1e-9 even for a thousand units. The published systems draw from lists made in advance, which hold only 6 of the 24
    permutations of a layer of four units; here nothing is listed.
    """
    return tuple(draws.uniform(group.size, dtype=torch.float64).argsort(dim=1) for group in symmetry.groups)


def identity_permutations(symmetry: Symmetry, n: int, device: torch.device | str = "cpu") -> Permutations:
    """Permutations that leave ``n`` states as they are."""
    return tuple(torch.arange(group.size, device=device).expand(n, -1) for group in symmetry.groups)


def invert_permutations(permutations: Sequence[Tensor]) -> Permutations:
    """The permutations that undo ``permutations``."""
    return tuple(
        torch.empty_like(moved).scatter_(1, moved, torch.arange(moved.shape[1], device=moved.device).expand_as(moved))
        for moved in permutations
    )


def compose_permutations(first: Sequence[Tensor], then: Sequence[Tensor]) -> Permutations:
    """The permutations that do in one step what ``first`` and, after it, ``then`` do."""
    return tuple(one.gather(1, other) for one, other in zip(first, then, strict=True))


def permute(weights: Tensor, symmetry: Symmetry, permutations: Sequence[Tensor]) -> Tensor:
    """Permute the hidden units of states; the networks compute the same function as before.

    Whatever has one number for each weight moves the same way: gradients, moments of an optimiser. Differentiable to
    any order; the gradient is permuted by the inverse. Tensors are copied in the longest rows that move as a whole (a
    kernel, a flattened channel), found by 8-byte indices: one to a row, so 0.9 bytes for each weight of a 3x3
    convolution.

    Args:
        weights: ``[n, params]``, any dtype and device.
        symmetry: of the network.
        permutations: one ``int64 [n, size]`` for each group, on the device of the weights.

    Raises:
        InputError: a shape does not fit.
    """
    _check(weights, symmetry, permutations)
    permuted: Tensor = _Permute.apply(weights, symmetry, *permutations)
    return permuted


class _Permute(torch.autograd.Function):
    @staticmethod
    def forward(weights: Tensor, symmetry: Symmetry, *permutations: Tensor) -> Tensor:
        states = weights.contiguous()
        permuted = torch.empty_like(states)
        for rows in symmetry.rows if len(states) else ():
            permuted[:, rows.span] = _permute_tensor(states, rows, permutations)
        return permuted

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.symmetry, *permutations = inputs
        ctx.save_for_backward(*permutations)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inverse = invert_permutations(ctx.saved_tensors)
        return _Permute.apply(gradients[0], ctx.symmetry, *inverse), None, *(None for _ in inverse)


def _permute_tensor(weights: Tensor, rows: Rows, permutations: Sequence[Tensor]) -> Tensor:
    """One tensor ``[n, size]`` of permuted states, gathered from all flat states, which are contiguous."""
    n, params = weights.shape
    if not rows.lengths:
        return weights[:, rows.span]
    places = torch.arange(n, device=weights.device).mul_(params).add_(rows.offset).view(-1, *[1] * len(rows.lengths))
    stride = rows.size
    for axis, (length, group) in enumerate(zip(rows.lengths, rows.groups, strict=True)):
        stride //= length
        units = torch.arange(length, device=weights.device)[None] if group is None else permutations[group]
        trailing = len(rows.lengths) - axis - 1
        places = places + (units * stride).view(len(units), *[1] * axis, length, *[1] * trailing)
    windows = weights.view(-1).unfold(0, rows.width, 1)
    return windows.index_select(0, places.view(-1)).view(n, rows.size)


def _check(weights: Tensor, symmetry: Symmetry, permutations: Sequence[Tensor]) -> None:
    symmetry.check(weights)
    expected = [(len(weights), group.size) for group in symmetry.groups]
    given = [tuple(one.shape) for one in permutations]
    if given != expected:
        raise InputError(f"permutations of shapes {given} do not fit {len(weights)} states: give {expected}.")
