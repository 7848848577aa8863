from __future__ import annotations

import numpy as np
import pytest

from geozoo.ssl.downstream.subsets import balancing_copies, labelled_subset

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


def test_repetition_gives_the_published_list() -> None:
    """The 986 patches by majority class as the authors' code lists them, and 2,618 rows, about 300 to 360 a class."""
    counts = [76, 37, 101, 180, 156, 62, 23, 351]
    classes = np.random.default_rng(0).permutation(np.repeat(np.arange(8), counts))
    copies = balancing_copies(classes)
    assert copies.sum() == 2618
    sizes = np.bincount(classes, weights=copies)
    assert sizes.min() >= 300
    assert sizes.max() <= 360
    assert all(len(set(copies[classes == name])) == 1 for name in range(8))


def test_chips_without_a_class_and_equal_classes_come_once() -> None:
    assert balancing_copies(np.array([-1, 0, 0, 0, 0, 1])).tolist() == [1, 1, 1, 1, 1, 4]
    assert balancing_copies(np.array([-1, -1])).tolist() == [1, 1]
    assert balancing_copies(np.repeat([0, 1, 2], 5)).tolist() == [1] * 15
