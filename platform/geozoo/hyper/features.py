"""Feature sets: what a readout sees of a state. One registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.errors import InputError
from geozoo.weights.statistics import layer_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from geozoo.nets.layout import Layout

MAX_FLAT_PARAMETERS = 100_000


@dataclass(frozen=True)
class FeatureSet:
    """Maps weights ``[n, params]`` and their layout to features ``[n, columns]``; ``title`` is its column heading."""

    name: str
    title: str
    compute: Callable[[np.ndarray, Layout], np.ndarray]


FEATURE_SETS: dict[str, FeatureSet] = {
    "weights": FeatureSet("weights", "flat weights", lambda weights, layout: weights),
    "stats": FeatureSet("stats", "layer statistics", lambda weights, layout: layer_statistics(weights, layout)[0]),
}


def find_feature_sets(names: Sequence[str], parameters: int) -> list[FeatureSet]:
    """Look feature sets up by name for networks of so many parameters.

    Raises:
        InputError: an unknown name, none at all, or flat weights of more than 100,000 parameters.
    """
    if not names:
        raise InputError(f"no feature set is named: choose from {', '.join(FEATURE_SETS)}.")
    for name in names:
        if name not in FEATURE_SETS:
            raise InputError(f"{name!r} is no feature set: choose from {', '.join(FEATURE_SETS)}.")
    if "weights" in names and parameters > MAX_FLAT_PARAMETERS:
        raise InputError(
            f"flat weights of {parameters:,} parameters are too wide to probe (at most {MAX_FLAT_PARAMETERS:,}): "
            "use the feature set 'stats'."
        )
    return [FEATURE_SETS[name] for name in dict.fromkeys(names)]
