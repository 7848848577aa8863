"""Cross-entropy of finding the same place among others: InfoNCE, NT-Xent and its decoupled form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from geozoo.ssl.losses.similarity import similarity_matrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.ssl.losses.options import DclOptions, InfoNceOptions, NtXentOptions
    from geozoo.ssl.losses.registry import Views


def info_nce(options: InfoNceOptions, views: Views) -> dict[str, Tensor]:
    """InfoNCE (CPC, van den Oord et al., 2018) in the symmetric form of CLIP: negatives are of the other sensor only.

    The mean of both directions, each anchor with one positive and n - 1 negatives; queues add their embeddings of the
    other sensor as further negatives.
    """
    first, second = views.first, views.second
    firsts, seconds = (first, second) if views.queues is None else _joined(views, views.queues)
    forth = similarity_matrix(options.similarity, first, seconds) / options.temperature
    back = similarity_matrix(options.similarity, second, firsts) / options.temperature
    return {"loss": (diagonal_cross_entropy(forth) + diagonal_cross_entropy(back)) / 2}


def nt_xent(options: NtXentOptions, views: Views) -> dict[str, Tensor]:
    """NT-Xent (SimCLR, Chen et al., 2020): 2n anchors, each with one positive and 2n - 2 negatives of both sensors.

    Queues add all their embeddings as further negatives. The libraries with which the tests compare have no form with
    both; pytorch-metric-learning's also takes 2n · 2n(2n - 2) numbers.
    """
    count = 2 * len(views.first)
    anchors = torch.cat([views.first, views.second])
    others = anchors if views.queues is None else torch.cat([anchors, *views.queues])
    logits = similarity_matrix(options.similarity, anchors, others) / options.temperature
    rows = torch.arange(count, device=logits.device)
    itself = rows[:, None] == torch.arange(len(others), device=logits.device)
    return {"loss": F.cross_entropy(logits.masked_fill(itself, -torch.inf), (rows + count // 2) % count)}


def build_dcl(options: DclOptions) -> Callable[[Views], dict[str, Tensor]]:
    """Decoupled contrastive loss (Yeh et al., 2022), lightly's: NT-Xent without the positive in the denominator."""
    from lightly.loss import DCLLoss

    loss = DCLLoss(temperature=options.temperature)
    return lambda views: {"loss": loss(views.first, views.second)}


def diagonal_cross_entropy(logits: Tensor) -> Tensor:
    """Cross-entropy of rows ``[n, m]`` whose class is their own number."""
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def _joined(views: Views, queues: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return torch.cat([views.first, queues[0]]), torch.cat([views.second, queues[1]])
