"""Statistical check of masks: codes that only line the borders between others, as bilinear resampling leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.eo.check.finding import Finding, Undecided

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geozoo.eo.check.opened import OpenedTile

TRANSITION_SHARE = 0.2
"""Share of borders that pass through a code between; measured in experiments/eo/CHECK.md."""
FEWEST_BORDERS = 30
"""Borders between codes that differ by two or more that a mask needs."""


def transition_share(codes: NDArray[Any]) -> float | None:
    """Of borders along rows and columns between codes two or more apart, the share that steps through a code between.

    A step is one pixel whose code lies strictly between those of its two neighbours in the row or column. None where
    there are too few borders.
    """
    steps = jumps = 0
    for rows in (codes.astype(np.int32), codes.T.astype(np.int32)):
        before, here, after = rows[:, :-2], rows[:, 1:-1], rows[:, 2:]
        steps += int(((here > np.minimum(before, after)) & (here < np.maximum(before, after))).sum())
        jumps += int((np.abs(np.diff(rows, axis=1)) >= 2).sum())
    return steps / (steps + jumps) if steps + jumps >= FEWEST_BORDERS else None


def check_label_borders(tile: OpenedTile) -> Iterator[Finding | Undecided]:
    """Masks that look as if their codes had been interpolated and rounded."""
    for file in tile.of_sensor("labels"):
        for band, pixels in zip(file.bands, file.pixels, strict=True):
            if pixels.dtype.kind == "f":
                continue  # said by `check_label_type`
            share = transition_share(pixels)
            if share is None:
                yield Undecided("label_borders", tile.tile.id, "too few borders between classes")
            elif share > TRANSITION_SHARE:
                value = (
                    f"{share:.0%} of the borders between classes pass through a code between, as after interpolation"
                )
                remedy = "resample labels by nearest neighbour"
                yield Finding("label_borders", "statistical", tile.tile.id, str(file.file), band, value, remedy)
