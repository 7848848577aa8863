"""Losses on distances between the two views of all places: contrastive, triplet, lifted structured; and N-pair.

Each anchor of the 2n rows has one positive, so that the sums over pairs and triplets are sums over one ``[2n, 2n]``
matrix. pytorch-metric-learning, with which the tests compare, lists pairs and triplets instead: its lifted structure
compares every positive with every negative pair, which takes 2n · 2n(2n - 2) numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from geozoo.ssl.losses.miners import false_negative_rate, mine_negatives
from geozoo.ssl.losses.similarity import distance_matrix

if TYPE_CHECKING:
    from geozoo.ssl.losses.options import ContrastiveOptions, LiftedStructuredOptions, NPairOptions, TripletOptions
    from geozoo.ssl.losses.registry import Views


def contrastive(options: ContrastiveOptions, views: Views) -> dict[str, Tensor]:
    """Contrastive loss (Chopra et al., 2005; Hadsell et al., 2006): d² of positives, max(0, margin - d)² of negatives.

    Positive and negative pairs are averaged apart and the means added, so that the many negatives of a large batch do
    not outweigh the positives; the papers sum the pairs of a given list, and halve.
    """
    found = _compare(options, views)
    hinges = F.relu(options.margin - found.distances).square()
    return {"loss": found.positives.square().mean() + found.mean(hinges), **found.log}


def triplet(options: TripletOptions, views: Views) -> dict[str, Tensor]:
    """Triplet loss (FaceNet, Schroff et al., 2015): max(0, d(a, p)² - d(a, n)² + margin).

    The mean over all triplets, those that keep the margin included; the paper sums. Similarities other than
    ``euclidean`` are not squared: max(0, s(a, n) - s(a, p) + margin).
    """
    found = _compare(options, views)
    power = 2 if options.similarity == "euclidean" else 1
    violations = found.positives[:, None].pow(power) - found.distances.pow(power) + options.margin
    return {"loss": found.mean(F.relu(violations)), **found.log}


def lifted_structured(options: LiftedStructuredOptions, views: Views) -> dict[str, Tensor]:
    """Lifted structured loss (Song et al., 2016), its smooth bound: half the mean over places of max(0, J)².

    J = d(i, j) + log(sum over negatives k of i of exp(margin - d(i, k)) + likewise for j), i and j being the two views
    of a place; one that has no negatives counts 0.
    """
    found = _compare(options, views)
    count = len(views.first)
    lowest = torch.finfo(found.distances.dtype).min  # not -inf, whose gradient is not a number
    pushes = (options.margin - found.distances).masked_fill(~found.negatives, lowest).logsumexp(1)
    structure = found.positives[:count] + torch.logaddexp(pushes[:count], pushes[count:])
    return {"loss": F.relu(structure).square().mean() / 2, **found.log}


def n_pair(options: NPairOptions, views: Views) -> dict[str, Tensor]:
    """Multi-class N-pair loss (Sohn, 2016): the cross-entropy of the products of anchors with all positives.

    Anchors are the first view and positives the second, not normalised; ``l2`` times the mean squared length of both
    is added.
    """
    logits = views.first @ views.second.T
    loss = F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
    if options.l2:
        loss = loss + options.l2 * torch.cat([views.first, views.second]).square().sum(1).mean()
    return {"loss": loss}


@dataclass(frozen=True)
class _Compared:
    """Distances ``[2n, 2n]``, those to the positives ``[2n]``, which are negatives (bool), and what is logged."""

    distances: Tensor
    positives: Tensor
    negatives: Tensor
    log: dict[str, Tensor]

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the negatives, 0 where there are none."""
        return (values * self.negatives).sum() / self.negatives.sum().clamp_min(1)


def _compare(options: ContrastiveOptions | TripletOptions | LiftedStructuredOptions, views: Views) -> _Compared:
    count = len(views.first)
    embeddings = torch.cat([views.first, views.second])
    distances = distance_matrix(options.similarity, embeddings, embeddings)
    across = distances[:count, count:].diagonal()
    negatives = mine_negatives(options.miner, options.similarity, embeddings)
    log = {"negatives_per_anchor": negatives.sum() / (2 * count)}
    if views.groups is not None:
        log["false_negative_rate"] = false_negative_rate(negatives, views.groups.repeat(2))
    return _Compared(distances, across.repeat(2), negatives, log)
