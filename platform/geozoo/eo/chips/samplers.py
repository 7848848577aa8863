"""Which chips come when: the order of an epoch as a function of a seed and the epoch's number, and a worker's part.

An order is an array of places among ``count`` chips. `shuffled`, `by_scene` and `grid` hold every place once, so the
workers' parts of an epoch (`batch_rows`) meet nowhere and together are the epoch. Any batch of any epoch is found
without those before it. Random windows of scenes are chips that overlap: ingest with a stride below the size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

Places = np.ndarray[Any, np.dtype[np.int64]]
POOL = 4096


def grid(count: int) -> Places:
    """As stored: tile by tile, row by row, for prediction; TorchGeo's ``GridGeoSampler`` without partial chips."""
    return np.arange(count)


def shuffled(count: int, seed: int, epoch: int) -> Places:
    """Every chip once, in random order."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def by_scene(scenes: Sequence[str] | NDArray[Any], seed: int, epoch: int, pool: int = POOL) -> Places:
    """Every chip once, scene after scene in random order, shuffled among ``pool`` consecutive chips.

    Reads stay close together, as in a shuffle buffer; a batch sees the scenes of its pool alone.

    Args:
        scenes: of each chip.
        seed: of the training.
        epoch: its number.
        pool: chips that are shuffled together.
    """
    generator = np.random.default_rng([seed, epoch])
    _, numbers = np.unique(np.asarray(scenes), return_inverse=True)
    place = generator.permutation(numbers.max(initial=-1) + 1)[numbers]
    order = np.argsort(place, kind="stable")
    for start in range(0, len(order), pool):
        generator.shuffle(order[start : start + pool])
    return order


def area_weighted(areas: NDArray[np.float64], seed: int, epoch: int, *, replacement: bool = True) -> Places:
    """As many draws as there are chips, each with a probability in proportion to its area.

    With `chip_areas` a scene is drawn in proportion to the ground it covers, and then one of its chips. With
    replacement (as TorchGeo's ``RandomGeoSampler``) an epoch is a list of draws: chips may come again or not at all,
    and it is the draws that no two workers share. Without, every chip comes once, large areas rather early: the order
    of successive draws from what is left (Efraimidis and Spirakis, 2006).
    """
    generator = np.random.default_rng([seed, epoch])
    if replacement:
        return generator.choice(len(areas), len(areas), p=areas / areas.sum())
    return np.argsort(generator.exponential(size=len(areas)) / areas, kind="stable")


def chip_areas(index: pd.DataFrame, size: int) -> NDArray[np.float64]:
    """The share of each chip in the ground that the chips of its tile cover, ``[chips]``, overlaps counted once.

    In square metres; in pixels where a chip has no place on the ground.

    Args:
        index: of the chips that are drawn from, as `geozoo.eo.chips.Chips.index` has it.
        size: side of a chip in pixels.
    """
    ground = index["area"].to_numpy(np.float64)
    if np.isnan(ground).any():
        ground = np.full(len(index), float(size * size))
    areas = np.empty(len(index))
    for rows in index.groupby("tile", sort=False).indices.values():
        corners = index[["row", "column"]].to_numpy()[rows]
        areas[rows] = ground[rows].mean() * _covered_pixels(corners, size) / size**2 / len(rows)
    return areas


def batch_rows(order: Places, batch: int, batch_size: int, rank: int = 0, workers: int = 1) -> Places:
    """A worker's places of a batch: consecutive, and as even as whole places allow.

    This is the rule of `geozoo.training.distributed.share`. The last batch may be smaller.
    """
    whole = order[batch * batch_size : (batch + 1) * batch_size]
    return whole[len(whole) * rank // workers : len(whole) * (rank + 1) // workers]


def _covered_pixels(corners: NDArray[np.int64], size: int) -> int:
    """Pixels under at least one of the squares with these upper left corners ``[n, 2]``."""
    lines = [np.unique(np.concatenate([one, one + size])) for one in corners.T]
    steps = np.zeros([len(line) for line in lines], np.int64)
    for down, right, sign in ((0, 0, 1), (0, size, -1), (size, 0, -1), (size, size, 1)):
        places = (np.searchsorted(lines[0], corners[:, 0] + down), np.searchsorted(lines[1], corners[:, 1] + right))
        np.add.at(steps, places, sign)
    depth = steps.cumsum(0).cumsum(1)[:-1, :-1]
    return int((np.diff(lines[0])[:, None] * np.diff(lines[1]) * (depth > 0)).sum())
