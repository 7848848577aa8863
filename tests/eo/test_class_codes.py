from __future__ import annotations

import numpy as np
import pytest

from geozoo.eo.labels import DFC_CLASSES, DFC_RECODE, IGBP_RECODE, majority_class, multilabels, recode_mask
from geozoo.eo.tiles import IGNORE

IGBP = {
    "Forest": (1, 2, 3, 4, 5),
    "Shrubland": (6, 7),
    "Grassland": (10,),
    "Wetlands": (11,),
    "Croplands": (12, 14),
    "Urban/Built-up": (13,),
    "Barren": (16,),
    "Water": (17,),
}
"""The merge in words; woody savannas, savannas (8, 9) and snow (15) are in none."""


def published_merge(codes: np.ndarray) -> np.ndarray:
    """Ten classes to eight by the steps of the published training code: blank two, close the gaps, count from 0."""
    merged = codes.astype(int)
    merged[(merged == 3) | (merged == 8)] = 0
    merged[merged >= 3] -= 1
    merged[merged >= 8] -= 1
    merged -= 1
    merged[merged == -1] = 255
    return merged


def test_codes_of_dfc2020_are_merged_as_published() -> None:
    codes = np.arange(11).reshape(1, 11)
    np.testing.assert_array_equal(recode_mask(codes, DFC_RECODE), published_merge(codes))


def test_codes_of_igbp_are_merged_by_name() -> None:
    expected = {code: DFC_CLASSES.index(name) for name, codes in IGBP.items() for code in codes}
    assert {code: number for code, number in enumerate(IGBP_RECODE) if number != IGNORE} == expected


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_codes_that_are_not_listed_count_for_nothing(dtype: str) -> None:
    codes = np.array([[0, 1], [2, 99]], dtype)
    assert recode_mask(codes, (IGNORE, 4)).tolist() == [[IGNORE, 4], [IGNORE, IGNORE]]
    assert recode_mask(codes, None).tolist() == codes.tolist()


def test_negative_and_missing_codes_count_for_nothing() -> None:
    assert recode_mask(np.array([-1.0, np.nan, 0.0]), (5,)).tolist() == [IGNORE, IGNORE, 5]


def test_the_majority_is_of_pixels_that_count() -> None:
    mask = np.array([[IGNORE] * 6, [2, 2, 2, 0, 0, 7]])
    assert majority_class(mask) == 2
    assert majority_class(np.array([7, 7, 3, 3])) == 3
    assert majority_class(np.full((4, 4), IGNORE)) == IGNORE


def test_a_class_of_a_tenth_of_all_pixels_is_a_label() -> None:
    mask = np.array([1] * 10 + [4] * 9 + [IGNORE] * 81).reshape(10, 10)
    assert multilabels(mask) == (1,)
    assert multilabels(mask, fraction=0.09) == (1, 4)


def test_labels_equal_a_plain_count() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        mask = random.choice([0, 1, 2, 3, IGNORE], (16, 16), p=random.dirichlet(np.full(5, 0.4)))
        shares = {label: sum(code == label for row in mask for code in row) / 256 for label in range(4)}
        assert multilabels(mask) == tuple(label for label, share in shares.items() if share >= 0.1)
        assert shares[majority_class(mask)] == max(shares.values()) or not any(shares.values())
