"""The weights of each hidden unit: what canonical order and alignment compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from torch import Tensor

    from geozoo.weights.groups import Axis, Group, Symmetry


def unit_weights(weights: Tensor, symmetry: Symmetry, group: Group, axes: Iterable[Axis]) -> Tensor:
    """What some axes of a group hold for each of its units: ``[n, params]`` gives ``[n, size, scalars]``."""
    parts = [weights.new_empty((len(weights), group.size, 0))]
    for axis in axes:
        slot = symmetry.layout[axis.slot]
        tensor = weights[:, slot.span].unflatten(1, (*slot.shape[: axis.axis], group.size, -1))
        parts.append(tensor.movedim(axis.axis + 1, 1).flatten(2))
    return torch.cat(parts, dim=2)


def learned_axes(symmetry: Symmetry, group: Group) -> list[Axis]:
    """The axes of a group in weights and biases, without those in running statistics."""
    return [axis for axis in group.axes if symmetry.layout[axis.slot].role != "buffer"]


def is_settled(symmetry: Symmetry, group: Group, axis: Axis, settled: Collection[Group]) -> bool:
    """Whether the other axes of a group's tensor are fixed or belong to groups already in place."""
    movers = [symmetry.groups[number] for number in symmetry.rows[axis.slot].groups if number is not None]
    movers.remove(group)
    return all(other in settled for other in movers)
