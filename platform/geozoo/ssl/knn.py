"""How well nearest neighbours in an embedding tell the class: a read-out without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

NEIGHBOURS = 20
TEMPERATURE = 0.07
_ROWS = 1024


def knn_predict(bank: Tensor, classes: Tensor, queries: Tensor, neighbours: int = NEIGHBOURS) -> Tensor:
    """The class int64 ``[q]`` that the nearest rows of a bank vote for, weighted by exp(cosine similarity / 0.07).

    The read-out of Wu et al. (2018), as used during pre-training everywhere.

    Args:
        bank: ``[n, d]``.
        classes: int64 ``[n]``.
        queries: ``[q, d]``.
        neighbours: how many vote; all where the bank is smaller.
    """
    bank, queries = F.normalize(bank.float(), dim=1), F.normalize(queries.float(), dim=1)
    count, votes = min(neighbours, len(bank)), []
    for some in queries.split(_ROWS):
        similarity, nearest = (some @ bank.T).topk(count, dim=1)
        weights = (similarity / TEMPERATURE).exp()
        sums = weights.new_zeros(len(some), int(classes.max()) + 1)
        votes.append(sums.scatter_add_(1, classes[nearest], weights).argmax(1))
    return torch.cat(votes)
