"""Maps: states in two dimensions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def pca_map(points: NDArray[Any]) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """The first two principal components ``[n, 2]`` of points ``[n, k]``, and their shares of the variance.

    A space of one dimension gets a second one of zeros.
    """
    places, explained = _project(points, 2)
    if places.shape[1] < 2:
        return np.column_stack([places, np.zeros(len(places))]), (*explained, 0.0)
    return places, explained


def umap_map(points: NDArray[Any], seed: int = 0) -> NDArray[np.float64]:
    """UMAP (McInnes et al. 2018, 15 neighbours, minimal distance 0.1) of points ``[n, k]`` as ``[n, 2]``.

    Points of more than 50 dimensions are first projected onto their 50 principal components, which bounds the time of
    the neighbour search.

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
    reduced, _ = _project(points, REDUCED_TO) if points.shape[1] > REDUCED_TO else (np.asarray(points, float), ())
    neighbours = min(NEIGHBOURS, len(points) - 1)
    mapper = UMAP(n_neighbors=neighbours, min_dist=0.1, random_state=seed, n_jobs=1)
    return np.asarray(mapper.fit_transform(reduced), dtype=np.float64)


def _project(points: NDArray[Any], components: int) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """Principal components ``[n, components]``, at most as many as there are, and their shares of the variance."""
    from sklearn.decomposition import PCA

    count = min(components, *points.shape)
    fitted = PCA(count, svd_solver="randomized", iterated_power=7, random_state=0)
    with np.errstate(invalid="ignore"):  # points that do not vary have no shares
        places = fitted.fit_transform(np.asarray(points, dtype=np.float64))
    return places, tuple(float(share) for share in np.nan_to_num(fitted.explained_variance_ratio_))
