"""How alike embeddings are, as matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from geozoo.ssl.losses.options import Similarity


def similarity_matrix(kind: Similarity, rows: Tensor, columns: Tensor) -> Tensor:
    """Similarities of ``[n, d]`` to ``[m, d]``: ``[n, m]``.

    Distances are computed from differences, not from products: those lose the small ones, where a root is steep.
    """
    if kind == "dot":
        return rows @ columns.T
    rows, columns = F.normalize(rows, dim=1), F.normalize(columns, dim=1)
    if kind == "cosine":
        return rows @ columns.T
    return -torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist")


def distance_matrix(kind: Similarity, rows: Tensor, columns: Tensor) -> Tensor:
    """Distances, likewise: 1 - s for ``cosine``, -s for ``euclidean`` and ``dot``."""
    similarity = similarity_matrix(kind, rows, columns)
    return 1 - similarity if kind == "cosine" else -similarity
