"""Which training chips have labels, and how often each is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from geozoo.ssl.split import Rows

MARGIN = 1.03
"""How much larger than the largest class another may get by repetition."""


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


def balancing_copies(classes: Rows) -> Rows:
    """How often each chip comes in a pass so that all classes come about equally often, int64 ``[n]``, at least once.

    A class is repeated whole, as often as leaves it at most `MARGIN` times as large as the largest. The list that
    Scheibenreif et al. (2022) train on is balanced by repetition; how often a class comes there is not written, and
    this rule is inferred: it makes the published 2,618 rows of their 986 patches, 303 to 360 of each class.

    Args:
        classes: of each chip, that of most of its pixels; below 0 for none: such a chip comes once.
    """
    names, where, counts = np.unique(classes, return_inverse=True, return_counts=True)
    largest = counts[names >= 0].max(initial=0)
    copies: Rows = np.maximum(1, MARGIN * largest // counts).astype(np.int64)[where]
    copies[classes < 0] = 1
    return copies
