"""Whether embeddings collapse: to one point, to few dimensions; how close positives are and how spread the rest.

All take embeddings of a whole batch or set ``[n, d]``, compute in float32 at least and carry no gradient.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from geozoo.ssl.precision import wide_enough


@torch.no_grad()
def spread(embeddings: Tensor) -> Tensor:
    """Standard deviation of the L2-normalised embeddings, mean over dimensions, times sqrt(d) (SimSiam, 2021).

    0 where all point the same way, 1 where they are spread evenly over the sphere.
    """
    return _unit(embeddings).std(0, correction=0).mean() * math.sqrt(embeddings.shape[1])


@torch.no_grad()
def effective_rank(embeddings: Tensor) -> Tensor:
    """RankMe (Garrido et al., 2023): exp of the entropy of the singular values, from 1 to min(n, d).

    Of the embeddings as they are, not centred or normalised. The paper adds 1e-7 to the shares of the singular values;
    here a share of 0 counts 0. Not a number where all embeddings are 0.
    """
    values: Tensor = torch.linalg.svdvals(wide_enough(embeddings))
    entropy: Tensor = torch.special.entr(values / values.sum()).sum()
    return entropy.exp()


@torch.no_grad()
def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of the normalised views of a place (Wang & Isola, 2020): from 0, the best, to 4."""
    return (_unit(first) - _unit(second)).square().sum(1).mean()


@torch.no_grad()
def uniformity(embeddings: Tensor) -> Tensor:
    """Log of the mean of exp(-2 d²) over all pairs of normalised embeddings (Wang & Isola, 2020): from -8 to 0.

    0 where all are the same, lower the more evenly they are spread. Not a number for a single embedding.
    """
    return torch.pdist(_unit(embeddings)).square().mul(-2).exp().mean().log()


def _unit(embeddings: Tensor) -> Tensor:
    return F.normalize(wide_enough(embeddings), dim=1)
