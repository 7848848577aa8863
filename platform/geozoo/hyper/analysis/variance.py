"""Where the spread of a result comes from: hyper-parameters or seeds, and which hyper-parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

MANY_LEVELS = 8
BINS = 5


@dataclass(frozen=True)
class SeedSplit:
    """The law of total variance over cells (all hyper-parameters equal): ``total = between + within``.

    All are variances in squared units of the result, over ``members`` members in ``cells`` cells. ``seed`` estimates
    the variance of a single cell over seeds without bias (``within`` is too small by the degrees of freedom the cells'
    means take). It is NaN, and the split means nothing, where every cell has one member: then what the seed does cannot
    be told from what the cell does.
    """

    total: float
    between: float
    within: float
    seed: float
    members: int
    cells: int

    @property
    def identifiable(self) -> bool:
        """Whether some cell was trained with several seeds."""
        return self.cells < self.members


@dataclass(frozen=True)
class MainEffect:
    """What one hyper-parameter explains of a result by itself.

    ``eta_squared`` is the share of the variance that lies between its ``levels``; ``by_chance`` what a hyper-parameter
    without effect would reach in expectation, (levels - 1) / (members - 1); ``binned`` where values were many and their
    quintiles are the levels.
    """

    name: str
    eta_squared: float
    by_chance: float
    levels: int
    binned: bool


def split_by_seed(results: NDArray[np.floating], members: pd.DataFrame, names: Sequence[str]) -> SeedSplit:
    """Split the variance of a result ``[members]`` into that between cells and that within, over seeds.

    Args:
        results: finite numbers, rows as in ``members``.
        members: one row per member.
        names: the hyper-parameters that tell cells apart; none for a zoo of one cell.
    """
    cell = (
        members.groupby(list(names), dropna=False, sort=False).ngroup().to_numpy()
        if names
        else np.zeros(len(members), int)
    )
    between, within = _between_and_within(results, cell)
    count, cells = len(results), int(cell.max()) + 1
    seed = within * count / (count - cells) if count > cells else float("nan")
    return SeedSplit(between + within, between, within, seed, count, cells)


def main_effects(results: NDArray[np.floating], members: pd.DataFrame, names: Sequence[str]) -> list[MainEffect]:
    """One-way eta squared of every hyper-parameter, largest first.

    In a complete grid these are the first-order indices of functional ANOVA, and what they leave of 1 is interactions
    and seeds. In other designs hyper-parameters may share what they explain. A number with more than eight values is
    cut at its quintiles first.
    """
    found = []
    for name in names:
        levels, binned = _levels(members[name])
        between, within = _between_and_within(results, levels)
        total, count = between + within, int(levels.max()) + 1
        share = between / total if total > 0 else float("nan")
        found.append(MainEffect(name, share, (count - 1) / (len(results) - 1), count, binned))
    return sorted(found, key=lambda effect: -effect.eta_squared)


def _levels(column: pd.Series[Any]) -> tuple[NDArray[np.intp], bool]:
    """Numbers of the levels of a hyper-parameter ``[members]``, and whether they are bins."""
    import pandas as pd

    codes = pd.factorize(column, use_na_sentinel=False)[0]
    if codes.max() + 1 <= MANY_LEVELS or not pd.api.types.is_numeric_dtype(column):
        return np.asarray(codes, dtype=np.intp), False
    edges = np.nanquantile(column.to_numpy(dtype=float), np.linspace(0, 1, BINS + 1)[1:-1])
    return np.unique(np.searchsorted(edges, column), return_inverse=True)[1], True


def _between_and_within(results: NDArray[np.floating], group: NDArray[np.integer[Any]]) -> tuple[float, float]:
    """Variance of the group means, weighted by size, and mean variance within groups; they add up to the total."""
    counts = np.bincount(group)
    means = np.bincount(group, weights=results) / counts
    between = float(np.sum(counts * (means - results.mean()) ** 2) / len(results))
    return between, float(np.mean((results - means[group]) ** 2))
