from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, zoom

from geozoo.eo.check.borders import check_label_borders, transition_share
from tests.support.eo_tiles import draw_pixels, findings, undecided, write_tile

if TYPE_CHECKING:
    from pathlib import Path


def draw_map(seed: int = 0, codes: tuple[int, ...] = (0, 3, 1)) -> Any:
    """Patches of three classes, their codes in no order of brightness."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(64, 64)), 4)
    return np.array(codes)[np.digitize(field, np.quantile(field, (0.33, 0.67)))].astype("uint8")


def plain_share(codes: Any) -> float:
    """The same by a loop over pixels."""
    steps = jumps = 0
    for rows in (codes.tolist(), codes.T.tolist()):
        for row in rows:
            for before, here in pairwise(row):
                jumps += abs(before - here) >= 2
            for before, here, after in zip(row[:-2], row[1:-1], row[2:], strict=True):
                steps += min(before, after) < here < max(before, after)
    return steps / (steps + jumps)


@pytest.mark.parametrize("seed", range(3))
def test_the_share_is_that_of_a_loop(seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 6, (20, 30))
    assert transition_share(codes) == pytest.approx(plain_share(codes))


def test_interpolated_codes_line_the_borders(tmp_path: Path) -> None:
    codes = draw_map()
    nearest, bilinear = (np.rint(zoom(codes.astype(float), 2, order=order)).astype("uint8") for order in (0, 1))
    for name, mask, count in (("clean", codes, 0), ("nearest", nearest, 0), ("bilinear", bilinear, 1)):
        tile = write_tile(tmp_path / name, pixels={"mask": mask[None]})
        found = findings(check_label_borders, tile)
        assert len(found) == count
        assert all("pass through a code between" in finding.value for finding in found)


def test_too_few_borders_are_not_decidable(tmp_path: Path) -> None:
    tile = write_tile(tmp_path, pixels={"mask": np.zeros_like(draw_pixels()["mask"])})
    assert undecided(check_label_borders, tile) == ["too few borders between classes"]
