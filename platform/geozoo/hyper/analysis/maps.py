"""Maps: states in two dimensions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.decomposition import PCA

METHODS = {"pca": "PCA", "umap": "UMAP"}
NEIGHBOURS = 15
REDUCED_TO = 50
FEWEST = 10
INSTALL = 'UMAP is not installed, so its maps are left out: pip install "geozoo[analysis]"'


@dataclass(frozen=True)
class Map:
    """States of one space in two dimensions by one method.

    ``places`` ``[n, 2]``; ``explained`` is the share of variance of either axis, for PCA alone.
    """

    space: str
    method: str
    places: NDArray[np.float64]
    explained: tuple[float, ...] = ()


def pca_map(points: NDArray[Any], more: NDArray[Any]) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """The first two principal components of points ``[n, k]``, onto which ``more`` ``[m, k]`` are projected.

    A space of one dimension gets a second one of zeros.

    Returns:
        Places ``[n + m, 2]``, and the components' shares of the variance of ``points``.
    """
    fitted = _principal(points, 2)
    places = np.concatenate([fitted.transform(part) for part in (points, more) if len(part)])
    explained = [float(share) for share in np.nan_to_num(fitted.explained_variance_ratio_)]
    if places.shape[1] < 2:
        return np.column_stack([places, np.zeros(len(places))]), (*explained, 0.0)
    return np.asarray(places, dtype=np.float64), tuple(explained)


def umap_map(points: NDArray[Any], more: NDArray[Any], seed: int = 0) -> NDArray[np.float64]:
    """UMAP (McInnes et al. 2018, 15 neighbours, minimal distance 0.1) of points ``[n, k]``; ``more`` are put in later.

    Points of more than 50 dimensions are first projected onto their 50 principal components, which bounds the time of
    the neighbour search. ``more`` ``[m, k]`` find their places among the points and do not move them.

    Returns:
        Places ``[n + m, 2]``.

    Raises:
        InputError: umap-learn is not installed, or there are fewer than ten points.
    """
    if len(points) < FEWEST:
        raise InputError(f"{len(points)} states are too few for UMAP: it needs at least {FEWEST}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # umap-learn warns that its form for TensorFlow is missing
            from umap import UMAP
    except ImportError as error:
        raise InputError(INSTALL) from error
    parts = [np.asarray(part, dtype=np.float32) for part in (points, more)]
    if points.shape[1] > REDUCED_TO:
        fitted = _principal(points, REDUCED_TO)
        parts = [fitted.transform(part).astype(np.float32) if len(part) else part for part in parts]
    neighbours = min(NEIGHBOURS, len(points) - 1)
    mapper = UMAP(n_neighbors=neighbours, min_dist=0.1, random_state=seed, n_jobs=1)
    places = [mapper.fit_transform(parts[0])]
    if len(more):
        places.append(mapper.transform(parts[1]))
    return np.concatenate(places).astype(np.float64)


def _principal(points: NDArray[Any], components: int) -> PCA:
    """Fitted principal components, at most as many as there are."""
    from sklearn.decomposition import PCA

    found = PCA(min(components, *points.shape), svd_solver="randomized", iterated_power=7, random_state=0)
    with np.errstate(invalid="ignore"):  # points that do not vary have no shares
        return found.fit(np.asarray(points, dtype=np.float64))
