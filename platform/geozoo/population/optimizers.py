"""Optimisers: the reference of each from `torch.optim`, and its form for a whole cohort with per-member settings.

The cohort forms act on flat weights ``[members, params]`` in place, with hyper-parameters of shape ``[members, 1]``;
they follow the update rules of `torch.optim` at its defaults (Adam, AdamW: betas 0.9, 0.999, eps 1e-8; RMSprop: alpha
0.99, eps 1e-8, not centred; SGD: no dampening, no Nesterov). No step reads a number back from the device, so that it
can be part of a CUDA graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from geozoo.recipe import HyperParameters

BETA1, BETA2, ADAM_EPS = 0.9, 0.999, 1e-8
ALPHA, RMSPROP_EPS = 0.99, 1e-8


@dataclass(frozen=True)
class CohortSettings:
    """Per-member settings, each ``[members, 1]`` in the dtype of the weights; a schedule writes into them.

    ``momentum`` is read by SGD and RMSprop, ``beta1`` (float64) by the Adams.
    """

    lr: Tensor
    weight_decay: Tensor
    momentum: Tensor
    beta1: Tensor

    @classmethod
    def of(cls, members: Sequence[HyperParameters], dtype: torch.dtype, device: str | torch.device = "cpu") -> Self:
        """The settings of some members."""

        def column(values: Iterable[float], dtype: torch.dtype = dtype) -> Tensor:
            return torch.tensor(list(values), dtype=dtype, device=device)[:, None]

        return cls(
            lr=column(member.lr for member in members),
            weight_decay=column(member.weight_decay for member in members),
            momentum=column(member.momentum for member in members),
            beta1=column((BETA1 for _ in members), torch.float64),
        )


class CohortOptimizer(Protocol):
    """One optimiser over a cohort: its state and its update."""

    def step(self, weights: Tensor, gradients: Tensor) -> None:
        """Update ``weights`` ``[members, params]`` in place; ``gradients`` may be overwritten."""


class CohortSGD:
    """SGD with momentum and L2 weight decay."""

    def __init__(self, settings: CohortSettings, weights: Tensor) -> None:
        self.settings = settings
        self.velocity = torch.zeros_like(weights)

    def step(self, weights: Tensor, gradients: Tensor) -> None:
        """See `CohortOptimizer.step`."""
        gradients.addcmul_(weights, self.settings.weight_decay)
        self.velocity.mul_(self.settings.momentum).add_(gradients)
        weights.addcmul_(self.velocity, self.settings.lr, value=-1)


class CohortAdam:
    """Adam; ``decoupled`` weight decay makes it AdamW."""

    def __init__(self, settings: CohortSettings, weights: Tensor, *, decoupled: bool = False) -> None:
        self.settings = settings
        self.decoupled = decoupled
        self.steps = torch.zeros((), dtype=torch.float64, device=weights.device)
        self.mean = torch.zeros_like(weights)
        self.square = torch.zeros_like(weights)

    def step(self, weights: Tensor, gradients: Tensor) -> None:
        """See `CohortOptimizer.step`."""
        self.steps += 1
        if self.decoupled:
            weights.mul_(1 - self.settings.lr * self.settings.weight_decay)
        else:
            gradients.addcmul_(weights, self.settings.weight_decay)
        beta1 = self.settings.beta1
        self.mean.lerp_(gradients, (1 - beta1).to(weights.dtype))
        self.square.mul_(BETA2).addcmul_(gradients, gradients, value=1 - BETA2)
        step_size = self.settings.lr / (1 - beta1**self.steps).to(weights.dtype)
        denominator = (self.square.sqrt() / (1 - BETA2**self.steps).sqrt()).add_(ADAM_EPS)
        weights.addcdiv_(self.mean * step_size, denominator, value=-1)


class CohortRMSprop:
    """RMSprop with momentum and L2 weight decay."""

    def __init__(self, settings: CohortSettings, weights: Tensor) -> None:
        self.settings = settings
        self.square = torch.zeros_like(weights)
        self.velocity = torch.zeros_like(weights)

    def step(self, weights: Tensor, gradients: Tensor) -> None:
        """See `CohortOptimizer.step`."""
        gradients.addcmul_(weights, self.settings.weight_decay)
        self.square.mul_(ALPHA).addcmul_(gradients, gradients, value=1 - ALPHA)
        self.velocity.mul_(self.settings.momentum).addcdiv_(gradients, self.square.sqrt().add_(RMSPROP_EPS))
        weights.addcmul_(self.velocity, self.settings.lr, value=-1)


@dataclass(frozen=True)
class OptimizerRecord:
    """One optimiser: ``reference`` makes it from `torch.optim` for one member, ``cohort`` for all members at once."""

    name: str
    reference: Callable[[Iterable[Tensor], HyperParameters], torch.optim.Optimizer]
    cohort: Callable[[CohortSettings, Tensor], CohortOptimizer]


OPTIMIZERS: dict[str, OptimizerRecord] = {
    record.name: record
    for record in (
        OptimizerRecord(
            "sgd",
            lambda p, h: torch.optim.SGD(p, h.lr, momentum=h.momentum, weight_decay=h.weight_decay),
            CohortSGD,
        ),
        OptimizerRecord(
            "adam",
            lambda p, h: torch.optim.Adam(p, h.lr, weight_decay=h.weight_decay),
            CohortAdam,
        ),
        OptimizerRecord(
            "adamw",
            lambda p, h: torch.optim.AdamW(p, h.lr, weight_decay=h.weight_decay),
            lambda settings, weights: CohortAdam(settings, weights, decoupled=True),
        ),
        OptimizerRecord(
            "rmsprop",
            lambda p, h: torch.optim.RMSprop(p, h.lr, momentum=h.momentum, weight_decay=h.weight_decay),
            CohortRMSprop,
        ),
    )
}
"""Optimiser by name; the names are those of `geozoo.recipe.space.OptimizerName`."""
