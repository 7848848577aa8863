from __future__ import annotations

import numpy as np
import pytest

from geozoo.ssl.downstream.subsets import labelled_subset

CLASSES = np.repeat(np.arange(4), [50, 30, 10, 110])
ROWS = np.arange(200) * 3


def test_subsets_are_nested_and_balanced() -> None:
    before: set[int] = set()
    for fraction in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        subset = labelled_subset(ROWS, CLASSES, fraction, seed=3)
        assert subset.tolist() == sorted(set(subset.tolist()))
        assert before <= set(subset.tolist())
        before = set(subset.tolist())
        counts = np.bincount(CLASSES[subset // 3], minlength=4)
        each = max(1, round(fraction * 200 / 4))
        assert counts.tolist() == [min(each, size) for size in (50, 30, 10, 110)]
    assert labelled_subset(ROWS, CLASSES, 1.0, seed=3).tolist() == ROWS.tolist()


@pytest.mark.parametrize("fraction", [0.05, 0.2])
def test_the_seed_decides(fraction: float) -> None:
    one, again, other = (labelled_subset(ROWS, CLASSES, fraction, seed).tolist() for seed in (0, 0, 1))
    assert one == again
    assert one != other
