"""The groups of a symmetry: units of a network that can change places together, and the axes that move with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from geozoo.errors import InputError
from geozoo.nets.layout import num_parameters

if TYPE_CHECKING:
    from torch import Tensor

    from geozoo.nets.layout import Layout, TensorSlot


@dataclass(frozen=True)
class Axis:
    """One axis of one tensor that moves with a group.

    ``slot`` numbers the tensor in the layout; every unit owns ``block`` consecutive entries of the axis: one, or as
    many as a channel has positions where a dense layer reads a flattened map.
    """

    slot: int
    axis: int
    block: int


@dataclass(frozen=True)
class Group:
    """``size`` interchangeable units; ``name`` is the first tensor, in layout order, that moves with them."""

    name: str
    size: int
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Rows:
    """A tensor in the flat vector, read as rows of ``width`` contiguous scalars that move as a whole.

    The rows are numbered along ``lengths`` in row-major order; ``groups`` has for each of these axes the group that
    moves it, or ``None``.
    """

    offset: int
    lengths: tuple[int, ...]
    groups: tuple[int | None, ...]
    width: int

    @property
    def size(self) -> int:
        """Number of scalars."""
        return math.prod(self.lengths) * self.width

    @property
    def span(self) -> slice:
        """The slice of the flat vector."""
        return slice(self.offset, self.offset + self.size)


@dataclass(frozen=True)
class Symmetry:
    """The permutation symmetry of a network: hidden units of one group can change places, the function stays.

    ``groups`` are independent of each other and in the order of the network's forward pass. One permutation for each is
    an element of the symmetry; there are ``prod(size!)`` of them.
    """

    layout: Layout
    groups: tuple[Group, ...]

    @property
    def params(self) -> int:
        """Length of the flat vector."""
        return num_parameters(self.layout)

    @cached_property
    def rows(self) -> tuple[Rows, ...]:
        """Every tensor of the layout as rows that move as a whole; a tensor that never moves is one row."""
        moved = {(axis.slot, axis.axis): (number, axis.block) for number, axis in self._axes()}
        return tuple(_rows_of(slot, number, moved) for number, slot in enumerate(self.layout))

    def check(self, weights: Tensor) -> None:
        """Raise `InputError` where ``weights`` are not ``[n, params]``."""
        if weights.ndim != 2 or weights.shape[1] != self.params:
            raise InputError(
                f"weights of shape {list(weights.shape)} are no states of this network: give [n, {self.params}]."
            )

    def _axes(self) -> list[tuple[int, Axis]]:
        return [(number, axis) for number, group in enumerate(self.groups) for axis in group.axes]


def _rows_of(slot: TensorSlot, number: int, moved: dict[tuple[int, int], tuple[int, int]]) -> Rows:
    lengths: list[int] = []
    groups: list[int | None] = []
    for axis, length in enumerate(slot.shape):
        group, block = moved.get((number, axis), (None, 1))
        lengths.append(length // block)
        groups.append(group)
        if block > 1:
            lengths.append(block)
            groups.append(None)
    last = max((place + 1 for place, group in enumerate(groups) if group is not None), default=0)
    return Rows(slot.offset, tuple(lengths[:last]), tuple(groups[:last]), math.prod(lengths[last:]))
