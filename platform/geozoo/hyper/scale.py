"""The scale of a zoo's weights, over the states that are learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.losses import SCALE_FLOOR, layer_numbers

if TYPE_CHECKING:
    from geozoo.hyper.stream import ZooStates

_CHUNK_SCALARS = 8_000_000


@dataclass(frozen=True)
class Scale:
    """Of every layer over some states, as float64 ``[params]`` constant over each layer; ``kept`` masks the states.

    ``std`` is at least 1e-4, the floor of Schuerholt et al. (2022, arXiv 2209.14733).
    """

    mean: np.ndarray[Any, np.dtype[np.float64]]
    std: np.ndarray[Any, np.dtype[np.float64]]
    kept: np.ndarray[Any, np.dtype[np.bool_]]


def measure_scale(states: ZooStates, max_weight: float | None) -> Scale:
    """Mean and standard deviation of every layer over states, in one pass through the store.

    Layers are those of `geozoo.hyper.losses.layer_numbers`: weight and bias of a module together.

    States with a weight that is not finite, or larger than ``max_weight``, are left out.

    Raises:
        InputError: no state is left.
    """
    limit = np.inf if max_weight is None else max_weight
    sizes = np.bincount(layer_numbers(states.zoo.layout).numpy())
    starts = np.cumsum(sizes) - sizes
    rows = max(1, _CHUNK_SCALARS // states.zoo.header.num_parameters)
    kept = np.zeros(len(states), dtype=np.bool_)
    count, sums, squares = 0, np.zeros(len(sizes)), np.zeros(len(sizes))
    order = np.argsort(states.selection.shards, kind="stable")
    for start in range(0, len(states), rows):
        items = order[start : start + rows]
        weights = states.read(items)
        largest = np.abs(weights).max(axis=1)
        kept[items] = np.isfinite(largest) & (largest <= limit)
        used = weights[kept[items]].astype(np.float64)
        count += len(used)
        sums += np.add.reduceat(used.sum(axis=0), starts)
        squares += np.add.reduceat(np.square(used).sum(axis=0), starts)
    if not count:
        raise InputError(
            f"no state of zoo {states.zoo.header.name!r} has all weights finite and below {limit:g}: "
            "raise states.max_weight, or populate further."
        )
    mean = sums / (count * sizes)
    std = np.sqrt(np.maximum(squares / (count * sizes) - mean**2, 0.0))
    return Scale(np.repeat(mean, sizes), np.repeat(np.maximum(std, SCALE_FLOOR), sizes), kept)
