"""Augmentations of flat weights, on their device, with all randomness from the draws given.

An augmentation maps states ``[n, params]`` to new ones of the same shape and dtype and leaves its input as it is; the
draws are for its ``n`` rows, on the device of the states. `Permute` keeps the function of every network; the others
treat a state as a vector, so that for instance a running variance may become negative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geozoo.errors import InputError
from geozoo.weights.draws import RowDraws
from geozoo.weights.permutation import permutations_from, permute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.weights.groups import Symmetry

Augmentation = Callable[[Tensor, RowDraws], Tensor]


@dataclass(frozen=True)
class Permute:
    """Exchange hidden units: every state gets permutations of its own, new ones at every call."""

    symmetry: Symmetry

    def __call__(self, weights: Tensor, draws: RowDraws) -> Tensor:
        """Augment states ``[n, params]``."""
        return permute(weights, self.symmetry, permutations_from(self.symmetry, draws))


@dataclass(frozen=True)
class Erase:
    """Set one contiguous block of a state to ``value``, with a ``probability``.

    The defaults are those of Schürholt et al. (2021, arXiv 2110.15288): half of the states, a fraction of the vector
    that is uniform between 2 % and 33 %. The block starts anywhere it fits with equal chance, so that one draw places
    it where the published code tries up to ten times.
    """

    probability: float = 0.5
    fraction: tuple[float, float] = (0.02, 0.33)
    value: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.fraction
        if not (0 <= self.probability <= 1 and 0 <= low <= high <= 1):
            raise InputError(
                f"cannot erase a fraction {self.fraction} with probability {self.probability}: give numbers in [0, 1],"
                " the least fraction first."
            )

    def __call__(self, weights: Tensor, draws: RowDraws) -> Tensor:
        """Augment states ``[n, params]``."""
        params = weights.shape[1]
        low, high = self.fraction
        chosen, level, place = draws.uniform(3, 1, dtype=torch.float64).unbind(1)
        length = ((low + (high - low) * level) * params).round().long() * (chosen < self.probability)
        start = (place * (params - length + 1)).long()
        positions = torch.arange(params, device=weights.device)
        return weights.masked_fill((positions >= start) & (positions < start + length), self.value)


@dataclass(frozen=True)
class AddNoise:
    """Add Gaussian noise of standard deviation ``sigma`` to every scalar."""

    sigma: float

    def __post_init__(self) -> None:
        _check_sigma(self.sigma)

    def __call__(self, weights: Tensor, draws: RowDraws) -> Tensor:
        """Augment states ``[n, params]``."""
        return weights + self.sigma * _gaussian(weights, draws)


@dataclass(frozen=True)
class ScaleNoise:
    """Multiply every scalar by ``1 + sigma * eps`` with ``eps`` standard normal."""

    sigma: float

    def __post_init__(self) -> None:
        _check_sigma(self.sigma)

    def __call__(self, weights: Tensor, draws: RowDraws) -> Tensor:
        """Augment states ``[n, params]``."""
        return weights * (1 + self.sigma * _gaussian(weights, draws))


@dataclass(frozen=True)
class _Composed:
    steps: tuple[Augmentation, ...]

    def __call__(self, weights: Tensor, draws: RowDraws) -> Tensor:
        for step in self.steps:
            weights = step(weights, draws)
        return weights


def compose(augmentations: Sequence[Augmentation]) -> Augmentation:
    """One augmentation that applies several in turn; of none, the identity. It can be pickled if they can."""
    return _Composed(tuple(augmentations))


def _gaussian(weights: Tensor, draws: RowDraws) -> Tensor:
    return draws.normal(weights.shape[1], dtype=weights.dtype)


def _check_sigma(sigma: float) -> None:
    if not sigma >= 0:
        raise InputError(f"sigma is {sigma}, the standard deviation of noise: give zero or more.")
