"""Which training chips have labels: nested subsets, the same number of every class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from geozoo.ssl.split import Rows


def labelled_subset(rows: Rows, classes: Rows, fraction: float, seed: int) -> Rows:
    """The chips of a fraction of the training part, sorted.

    Each class gives the same number of chips, at least one and at most all it has: ``fraction`` of the whole, shared
    out evenly. A smaller fraction of the same seed is a part of a larger one. All rows for the fraction 1.

    Args:
        rows: the training part.
        classes: the class of each row; where chips have several classes or a map, 0 for all.
        fraction: in (0, 1].
        seed: of the order within each class.
    """
    if fraction >= 1:
        return np.sort(rows)
    names = np.unique(classes)
    each = max(1, round(fraction * len(rows) / len(names)))
    generator = np.random.default_rng([seed, 13])
    chosen = [generator.permutation(rows[classes == name])[:each] for name in names]
    return np.sort(np.concatenate(chosen))
