"""States of a zoo with their units in the order of one reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from geozoo.weights.alignment import matching_permutations
from geozoo.weights.symmetry import permute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.store import Zoo
    from geozoo.weights.symmetry import Symmetry

    States = np.ndarray[Any, np.dtype[np.float32]]


def last_finite(zoo: Zoo, members: Sequence[str]) -> dict[str, int]:
    """The last checkpoint of each member whose weights are finite, for members that have one."""
    table = zoo.read_metrics(["finite"], None, list(members))
    finite = table.loc[table["finite"].astype(bool)]
    return {str(member): int(epoch) for member, epoch in finite.groupby("member")["epoch"].max().items()}


@dataclass(frozen=True)
class Alignment:
    """The order of units of some members: one row of every tensor of ``permutations`` for each id in ``rows``."""

    symmetry: Symmetry
    permutations: tuple[torch.Tensor, ...]
    rows: dict[str, int]

    @classmethod
    def of(cls, zoo: Zoo, members: Sequence[str], symmetry: Symmetry, reference: States) -> Self:
        """Match the last state of every member with a reference ``[params]``, as SANE does (arXiv 2406.09997).

        All states of a member get the permutation of its last one, so that its path stays what it was; of a member that
        diverged the last that is finite counts.
        """
        epochs = last_finite(zoo, members)
        last = torch.from_numpy(zoo.states(list(members), [epochs[member] for member in members]))
        permutations = matching_permutations(last, torch.from_numpy(reference), symmetry)
        return cls(symmetry, permutations, {member: row for row, member in enumerate(members)})

    def __call__(self, weights: States, members: Sequence[str] | np.ndarray[Any, Any]) -> States:
        """States ``[n, params]`` of members, permuted."""
        rows = torch.tensor([self.rows[member] for member in members], dtype=torch.int64)
        moved = permute(torch.from_numpy(weights), self.symmetry, [one[rows] for one in self.permutations])
        return np.asarray(moved.numpy())
