"""Which rows of a batch count as negatives of which anchors, and how many of them are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from geozoo.ssl.losses.options import Miner, Similarity


def mine_negatives(miner: Miner, similarity: Similarity, embeddings: Tensor) -> Tensor:
    """The negatives of every row, bool ``[2n, 2n]``, of first one view of n places and then the other ``[2n, d]``.

    ``none``: all rows of other places. ``hard``: the nearest of them. ``semi_hard``: the nearest of those that are
    farther than the positive, which is the same place in the other view (FaceNet); an anchor may have none. The last
    two come from pytorch-metric-learning and carry no gradient.
    """
    places = torch.arange(len(embeddings) // 2, device=embeddings.device).repeat(2)
    if miner == "none":
        return places[:, None] != places
    from pytorch_metric_learning.miners import BatchEasyHardMiner

    strategy = {"hard": BatchEasyHardMiner.HARD, "semi_hard": BatchEasyHardMiner.SEMIHARD}[miner]
    mine = BatchEasyHardMiner(BatchEasyHardMiner.HARD, strategy, distance=_distance(similarity))
    anchors, _, _, negatives = mine(embeddings.detach(), places)
    mask = torch.zeros(len(places), len(places), dtype=torch.bool, device=embeddings.device)
    mask[anchors, negatives] = True
    return mask


def _distance(similarity: Similarity) -> Any:
    from pytorch_metric_learning import distances

    if similarity == "euclidean":
        return distances.LpDistance()
    return distances.DotProductSimilarity(normalize_embeddings=similarity == "cosine")


def false_negative_rate(negatives: Tensor, groups: Tensor) -> Tensor:
    """Share of the negatives ``[r, r]`` (bool) that have their anchor's group ``[r]``: its label, or its scene.

    0 where there are no negatives.
    """
    false = negatives & (groups[:, None] == groups)
    return false.sum() / negatives.sum().clamp_min(1)
