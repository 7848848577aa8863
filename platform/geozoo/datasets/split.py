"""Seeded splits of an image set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shuffled_rows(count: int, seed: int) -> NDArray[np.intp]:
    """The permutation of ``0..count-1`` that ``numpy.random.Generator(PCG64(seed))`` draws first."""
    return np.random.Generator(np.random.PCG64(seed)).permutation(count)


def split_rows(
    count: int, validation: float, test: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Cut :func:`shuffled_rows` into train, validation and test rows: disjoint, and together all rows.

    ``validation`` and ``test`` are fractions of ``count``; their sizes are rounded to whole images, training keeps the
    rest. Classes are not balanced.
    """
    rows = shuffled_rows(count, seed)
    num_validation, num_test = round(count * validation), round(count * test)
    num_train = count - num_validation - num_test
    return rows[:num_train], rows[num_train : num_train + num_validation], rows[num_train + num_validation :]
