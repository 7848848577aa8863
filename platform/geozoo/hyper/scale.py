"""The scale of a zoo's weights, over the states that are learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError

if TYPE_CHECKING:
    from geozoo.hyper.stream import ZooStates

STD_FLOOR = 1e-4
_CHUNK_SCALARS = 8_000_000


@dataclass(frozen=True)
class Scale:
    """Of every tensor over some states, as float64 ``[params]`` constant over each tensor; ``kept`` masks the states.

    ``std`` is at least 1e-4, the floor of Schuerholt et al. (2022, arXiv 2209.14733).
    """

    mean: np.ndarray[Any, np.dtype[np.float64]]
    std: np.ndarray[Any, np.dtype[np.float64]]
    kept: np.ndarray[Any, np.dtype[np.bool_]]


def measure_scale(states: ZooStates, max_weight: float | None) -> Scale:
    """Mean and standard deviation of every tensor over states, in one pass through the store.

    States with a weight that is not finite, or larger than ``max_weight``, are left out.

    Raises:
        InputError: no state is left.
    """
    layout, limit = states.zoo.layout, np.inf if max_weight is None else max_weight
    rows = max(1, _CHUNK_SCALARS // states.zoo.header.num_parameters)
    kept = np.zeros(len(states), dtype=np.bool_)
    count, sums, squares = 0, np.zeros(len(layout)), np.zeros(len(layout))
    order = np.argsort(states.selection.shards, kind="stable")
    for start in range(0, len(states), rows):
        items = order[start : start + rows]
        weights = states.read(items)
        largest = np.abs(weights).max(axis=1)
        kept[items] = np.isfinite(largest) & (largest <= limit)
        used = weights[kept[items]].astype(np.float64)
        count += len(used)
        sums += [used[:, slot.span].sum() for slot in layout]
        squares += [np.square(used[:, slot.span]).sum() for slot in layout]
    if not count:
        raise InputError(
            f"no state of zoo {states.zoo.header.name!r} has all weights finite and below {limit:g}: "
            "raise states.max_weight, or populate further."
        )
    sizes = np.array([slot.size for slot in layout])
    mean = sums / (count * sizes)
    std = np.sqrt(np.maximum(squares / (count * sizes) - mean**2, 0.0))
    return Scale(np.repeat(mean, sizes), np.repeat(np.maximum(std, STD_FLOOR), sizes), kept)
