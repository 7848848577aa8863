"""The findings of a landscape as JSON values."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.hyper.analysis.maps import METHODS

if TYPE_CHECKING:
    from geozoo.hyper.analysis.barrier import Barrier
    from geozoo.hyper.analysis.findings import Landscape


def landscape_numbers(landscape: Landscape) -> dict[str, Any]:
    """Every number of a landscape but the places of single states on maps; what is not finite is None.

    Accuracies are fractions in [0, 1], losses mean cross-entropies, variances in squared fractions.
    """
    zoo, sample, similarity = landscape.zoo, landscape.sample, landscape.similarity
    found = {
        "zoo": zoo.url,
        "members": len(landscape.population.members),
        "diverged": landscape.population.diverged,
        "mapped": {"members": len(sample.members), "epochs": sample.epochs},
        "maps": [
            {"space": one.space, "method": METHODS[one.method], "explained": one.explained} for one in landscape.maps
        ],
        "homogeneity": [
            {"states": row.states, "space": row.space, "property": row.property, **asdict(row.result)}
            for row in landscape.homogeneity
        ],
        "similarity": None
        if similarity is None
        else {
            "members": similarity.members,
            "images": similarity.images,
            "cka": similarity.cka,
            "agreement": similarity.agreement,
        },
        "surfaces": [asdict(one) for one in landscape.surfaces],
        "barriers": [_barrier(one) for one in landscape.barriers],
        "variance": None
        if landscape.variance is None
        else {
            "identifiable": landscape.variance.split.identifiable,
            **asdict(landscape.variance.split),
            "effects": [asdict(effect) for effect in landscape.variance.effects],
        },
        "images": landscape.image_count,
        "left_out": landscape.left_out,
    }
    return {name: _plain(value) for name, value in found.items()}


def _barrier(barrier: Barrier) -> dict[str, Any]:
    ways = {"before": barrier.before, "after": barrier.after}
    return {"first": barrier.first, "second": barrier.second} | {
        name: None
        if path is None
        else {**asdict(path), "loss_barrier": path.loss_barrier, "accuracy_barrier": path.accuracy_barrier}
        for name, path in ways.items()
    }


def _plain(value: Any) -> Any:
    """Arrays, tuples and NumPy scalars as lists and Python numbers."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
