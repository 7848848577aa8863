"""Homogeneity of an embedding: whether neighbours share a property."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBOURS = 10
PERMUTATIONS = 200


@dataclass(frozen=True)
class Homogeneity:
    """How much closer in a property the neighbours are: 0 means equal to them, 1 as far apart as random pairs.

    ``value`` is the mean difference from the ``neighbours`` nearest other members over that of random pairs;
    ``null_mean``, ``null_low`` and ``null_high`` (95 %) are the same ratio where the property is shuffled; ``p`` is the
    share of shuffles, the true order counted as one, whose ratio is no larger.
    """

    value: float
    null_mean: float
    null_low: float
    null_high: float
    p: float
    neighbours: int
    members: int


def nearest_other_members(points: NDArray[Any], neighbours: int) -> NDArray[np.intp]:
    """The states nearest to each state that belong to other members, one of each member: its nearest.

    Args:
        points: ``[members, states of each, k]``; distances are Euclidean.
        neighbours: fewer than there are members.

    Returns:
        ``[members * states, neighbours]``, numbers of states, members first.
    """
    from sklearn.neighbors import NearestNeighbors

    members, states, _ = points.shape
    flat = points.reshape(members * states, -1)
    asked = min(len(flat), (neighbours + 1) * states)
    found = NearestNeighbors(n_neighbors=asked, algorithm="brute").fit(flat).kneighbors(flat, return_distance=False)
    owners = found // states
    usable = _first_of_each(owners) & (owners != (np.arange(len(flat)) // states)[:, None])
    nearest_first = np.argsort(~usable, axis=1, kind="stable")[:, :neighbours]
    return np.asarray(np.take_along_axis(found, nearest_first, axis=1), dtype=np.intp)


def _first_of_each(rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Mask of the first occurrence of every number within its row."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    fresh = np.ones_like(rows, dtype=bool)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.empty_like(fresh)
    np.put_along_axis(first, order, fresh, axis=1)
    return first


def mean_pair_difference(values: NDArray[Any], categorical: bool) -> float:
    """Mean absolute difference (for categories: share of unequal pairs) over all pairs of states of other members.

    Args:
        values: ``[members, states of each]``.
        categorical: whether values are categories rather than numbers.
    """
    members, states = values.shape
    pairs = members * (members - 1) / 2 * states**2
    within = float(sum(_sum_over_pairs(row, categorical) for row in values))
    return float((_sum_over_pairs(values.ravel(), categorical) - within) / pairs)


def _sum_over_pairs(values: NDArray[Any], categorical: bool) -> float:
    """Sum of differences over unordered pairs, by sorting: value i of n appears 2i - n + 1 times, signed."""
    n = len(values)
    if categorical:
        counts = np.unique(values, return_counts=True)[1]
        return (n * n - float(np.sum(counts.astype(float) ** 2))) / 2
    return float(np.dot(np.sort(values), 2 * np.arange(n) - n + 1))


def homogeneity(
    values: NDArray[Any],
    nearest: NDArray[np.intp],
    *,
    categorical: bool,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Homogeneity:
    """Compare the property of each state with that of its nearest other members, and with random pairs.

    As in the homogeneity measure of the literature on hyper-representations, except that another state of the same
    member never counts as a neighbour: neighbouring epochs would otherwise make any embedding look homogeneous.

    The null shuffles the property over members, whole trajectories at once, so that what the epoch alone explains stays
    in it. A property that is the same for all members, as the epoch, is shuffled within each member instead.

    Args:
        values: the property ``[members, states of each]``.
        nearest: of `nearest_other_members`.
        categorical: whether values are categories, which differ by 0 or 1.
        permutations: shuffles.
        seed: of the shuffles.

    Raises:
        InputError: all members share one value.
    """
    codes = np.unique(values, return_inverse=True)[1].reshape(values.shape) if categorical else values.astype(float)
    random_pairs = mean_pair_difference(codes, categorical)
    if not random_pairs > 0:
        raise InputError("the property is the same in all states: neighbours cannot be told from others by it.")
    generator = np.random.default_rng(seed)
    shared = bool((codes == codes[:1]).all())
    null = np.empty(permutations)
    for number in range(permutations):
        shuffled = generator.permuted(codes, axis=1) if shared else codes[generator.permutation(len(codes))]
        null[number] = _neighbour_difference(shuffled, nearest, categorical) / random_pairs
    value = _neighbour_difference(codes, nearest, categorical) / random_pairs
    low, high = np.percentile(null, [2.5, 97.5])
    return Homogeneity(
        value=value,
        null_mean=float(null.mean()),
        null_low=float(low),
        null_high=float(high),
        p=float((1 + np.sum(null <= value)) / (1 + permutations)),
        neighbours=nearest.shape[1],
        members=len(values),
    )


def _neighbour_difference(values: NDArray[Any], nearest: NDArray[np.intp], categorical: bool) -> float:
    flat = values.ravel()
    others = flat[nearest]
    return float((others != flat[:, None]).mean() if categorical else np.abs(others - flat[:, None]).mean())
