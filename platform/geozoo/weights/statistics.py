"""Layer statistics: seven numbers for each tensor of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from geozoo.nets.layout import Layout

PERCENTILES = (1, 25, 50, 75, 99)
STATISTICS = ("mean", "variance", *(f"percentile {q}" for q in PERCENTILES))

_CHUNK_SCALARS = 4_000_000


def layer_statistics(weights: np.ndarray, layout: Layout) -> tuple[np.ndarray, list[str]]:
    """Layer statistics s(W), the "LayerQuintiles" of Schuerholt et al. (2021, arXiv 2110.15288).

    For every weight and every bias tensor, in layout order: mean, variance, percentiles 1, 25, 50, 75 and 99
    (linear interpolation). That is 70 numbers for the 2464-parameter CNN of the published zoos.

    The variance is that of the tensor itself (divided by n, ``ddof=0``), so a tensor of one element has variance 0.
    Buffers (BatchNorm's running statistics) are left out. Works through bounded chunks of members in float64.

    Args:
        weights: ``[n, params]``, any float type.
        layout: where each tensor lies in the flat vector.

    Returns:
        Features float64 ``[n, 7 * tensors]`` and their names, such as ``"0.weight mean"``. A row with a non-finite
        weight has non-finite statistics.
    """
    slots = [slot for slot in layout if slot.role != "buffer"]
    names = [f"{slot.name} {statistic}" for slot in slots for statistic in STATISTICS]
    features = np.empty((len(weights), len(names)))
    rows = max(1, _CHUNK_SCALARS // max(slot.size for slot in slots))
    for start in range(0, len(weights), rows):
        chunk = weights[start : start + rows]
        features[start : start + rows] = np.hstack([_seven(chunk[:, slot.span]) for slot in slots])
    return features, names


def _seven(tensors: np.ndarray) -> np.ndarray:
    """The seven statistics ``[n, 7]`` of tensors ``[n, size]``."""
    values = tensors.astype(np.float64)
    percentiles = np.percentile(values, PERCENTILES, axis=1)
    return np.column_stack([values.mean(axis=1), values.var(axis=1), *percentiles])
