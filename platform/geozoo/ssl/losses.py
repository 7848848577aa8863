"""Losses between two views of every place (NT-Xent alone for now)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from geozoo.recipe.space import Frozen, Positive

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class LossOptions(Frozen):
    """Which loss."""

    name: Literal["nt_xent"]
    temperature: Positive = 0.5


def make_loss(options: LossOptions) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of the embeddings ``[n, d]`` of two views of a global batch; a mean."""
    from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss

    loss = SelfSupervisedLoss(NTXentLoss(options.temperature), symmetric=True)

    def measure(one: Tensor, other: Tensor) -> Tensor:
        with torch.autocast(one.device.type, enabled=False):
            value: Tensor = loss(one.float() if one.dtype != torch.float64 else one, other.to(one.dtype))
        return value

    return measure
