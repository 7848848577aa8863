"""Zoos that keep the best epoch of every member (``checkpoints: best``).

Such a zoo has one checkpoint, under the number of epochs trained: what a training of so many epochs is worth when its
best epoch is kept. Its state is that of the member's trained epoch of highest validation accuracy, the first of equals
(the initialisation is none); its metrics are those of that same epoch, with the epoch itself as `BEST_EPOCH`. So the
array of weights, states, targets and probes are those of any zoo with one checkpoint. The metrics of all trained epochs
are kept beside them (``history.parquet``, ``Zoo.read_history``), with the best epoch so far in the same column, and are
part of the members' digests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import DTypeLike, NDArray

BEST_EPOCH = "best_epoch"
JUDGED_BY = "validation_accuracy"

Metrics = dict[str, "NDArray[Any]"]


class BestSoFar:
    """The best state ``[members, params]`` of every member so far and its metrics, fed one epoch at a time."""

    def __init__(self, members: int, params: int, dtype: DTypeLike) -> None:
        self.weights = np.zeros((members, params), dtype=dtype)
        self.metrics: Metrics = {}

    def take(self, epoch: int, weights: NDArray[Any], metrics: Mapping[str, NDArray[Any]]) -> Metrics:
        """Look at one more epoch; its metrics, with the best epoch so far."""
        first = not self.metrics
        if first:
            self.metrics = {name: np.array(values) for name, values in metrics.items()}
            self.metrics[BEST_EPOCH] = np.full(len(weights), epoch)
        better = np.full(len(weights), first) | (metrics[JUDGED_BY] > self.metrics[JUDGED_BY])
        self.weights[better] = weights[better]
        for name, values in metrics.items():
            self.metrics[name][better] = values[better]
        self.metrics[BEST_EPOCH][better] = epoch
        return {**metrics, BEST_EPOCH: self.metrics[BEST_EPOCH].copy()}
