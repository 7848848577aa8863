"""Spectral measures: what the singular values of a network's weight matrices tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from geozoo.nets.layout import Layout, TensorSlot

MEASURES = (
    "log norm",
    "log spectral norm",
    "stable rank",
    "entropy",
    "log condition",
    "alpha",
    "alpha distance",
    "alpha weighted",
    "log alpha norm",
)
LEAST_EIGENVALUE = 1e-5
FLOOR = 1e-12
SMALL_SPECTRUM = 20
LEAST_TAIL = 8
LARGEST_ALPHA = 100.0

_CHUNK_SCALARS = 500_000


def spectral_measures(weights: np.ndarray, layout: Layout) -> tuple[np.ndarray, list[str]]:
    """The measures that WeightWatcher reports (Martin, Peng & Mahoney, 2021), for every weight matrix and kernel.

    The eigenvalues of a matrix W are those of WᵀW, its squared singular values, not divided by its size. A kernel
    ``[out, in, height, width]`` is ``height * width`` matrices ``[out, in]`` whose eigenvalues are pooled. In layout
    order, nine numbers each:

    - ``log norm``: log10 of the sum of the eigenvalues, which is the squared Frobenius norm;
    - ``log spectral norm``: log10 of the largest eigenvalue;
    - ``stable rank``: the sum over the largest, from 1 to how many there are;
    - ``entropy``: of the eigenvalues' shares, over the logarithm of the rank, from 0 to 1;
    - ``log condition``: log10 of the largest over the smallest singular value;
    - ``alpha``: exponent of a power law fitted to the eigenvalues above 1e-5, and ``alpha distance``, its
      Kolmogorov-Smirnov distance: see ``fit_power_law``;
    - ``alpha weighted``: alpha times log spectral norm; ``log alpha norm``: log10 of the sum of eigenvalues to the
      power of alpha.

    Deviations: WeightWatcher halves the eigenvalues of kernels unless told not to, a constant that is left out here;
    log condition is ours. So that a matrix of zeros (a pruned layer) has finite measures, logarithms are of 1e-12 at
    least, the entropy of rank 1 is 0, and alpha is at most 100.

    Args:
        weights: ``[n, params]``, any float type.
        layout: where each tensor lies in the flat vector; biases, norms and buffers are left out.

    Returns:
        Features float64 ``[n, 9 * matrices]`` and their names, such as ``"0.weight alpha"``. A row with a non-finite
        weight has non-finite measures.
    """
    slots = [slot for slot in layout if slot.role == "weight" and len(slot.shape) in (2, 4)]
    names = [f"{slot.name} {measure}" for slot in slots for measure in MEASURES]
    features = np.full((len(weights), len(names)), np.nan)
    finite = np.flatnonzero(np.isfinite(weights).all(axis=1))
    rows = max(1, _CHUNK_SCALARS // max((slot.size for slot in slots), default=1))
    for start in range(0, len(finite), rows):
        chunk = finite[start : start + rows]
        features[chunk] = np.hstack([_measures(weights[chunk, slot.span], slot) for slot in slots])
    return features, names


def _measures(tensors: np.ndarray, slot: TensorSlot) -> np.ndarray:
    """The nine measures ``[n, 9]`` of tensors ``[n, size]``."""
    eigenvalues = pooled_eigenvalues(tensors.reshape(len(tensors), *slot.shape))
    norm, largest = eigenvalues.sum(axis=1), eigenvalues[:, -1]
    log_largest = _log10(largest)
    alpha, distance = fit_power_law(eigenvalues)
    return np.column_stack(
        [
            _log10(norm),
            log_largest,
            norm / np.maximum(largest, FLOOR),
            _entropy(eigenvalues, max(slot.shape[:2])),
            (log_largest - _log10(eigenvalues[:, 0])) / 2,
            alpha,
            distance,
            alpha * log_largest,
            _log10_power_sum(eigenvalues, alpha),
        ]
    )


def pooled_eigenvalues(tensors: np.ndarray) -> np.ndarray:
    """Squared singular values, ascending, of matrices ``[n, out, in]`` or of all slices of kernels, float64."""
    matrices = tensors.astype(np.float64)
    if matrices.ndim == 5:
        matrices = matrices.transpose(0, 3, 4, 1, 2)
    singular = np.linalg.svd(matrices, compute_uv=False)
    return np.sort(singular.reshape(len(tensors), -1) ** 2, axis=1)


def fit_power_law(eigenvalues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a power law to the tail of each spectrum as WeightWatcher does (after Clauset, Shalizi & Newman, 2009).

    Every tail of at least two eigenvalues has a maximum-likelihood exponent ``1 + size / sum(log(x / min))`` and a
    Kolmogorov-Smirnov distance; the tail with the least distance counts. Of fewer than 20 eigenvalues a tail has at
    least 8 (all of them where there are no more), and ``size - 1`` takes the place of ``size``.

    Args:
        eigenvalues: ``[n, K]``, ascending; those up to 1e-5 are left out.

    Returns:
        Exponents ``[n]``, 0 where fewer than two eigenvalues differ, and distances ``[n]``, there 1.
    """
    above = eigenvalues > LEAST_EIGENVALUE
    count = above.sum(axis=1)
    logs = np.log(np.where(above, eigenvalues, 1.0))
    small = count < SMALL_SPECTRUM
    least = np.where(small, np.minimum(LEAST_TAIL, count), 2)
    alpha, distance = np.zeros(len(eigenvalues)), np.ones(len(eigenvalues))
    columns = eigenvalues.shape[1]
    for size in range(int(count.max(initial=0)), 1, -1):
        tail = logs[:, columns - size :] - logs[:, columns - size, None]
        total = tail.sum(axis=1)
        fits = (least <= size) & (size <= count) & (total > FLOOR)
        exponent = np.divide(size - small, total, out=np.zeros_like(total), where=fits)
        found = np.abs(1 - np.exp(-exponent[:, None] * tail) - np.arange(size) / size).max(axis=1)
        better = fits & (found < distance)
        alpha[better], distance[better] = np.minimum(1 + exponent[better], LARGEST_ALPHA), found[better]
    return alpha, distance


def _entropy(eigenvalues: np.ndarray, dimension: int) -> np.ndarray:
    """Shannon entropy of the eigenvalues' shares over the logarithm of the numerical rank."""
    largest = np.sqrt(eigenvalues[:, -1])
    rank = (np.sqrt(eigenvalues) > (largest * dimension * np.finfo(np.float64).eps)[:, None]).sum(axis=1)
    shares = eigenvalues / np.maximum(eigenvalues.sum(axis=1), FLOOR)[:, None]
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1)
    return np.where(rank > 1, entropy / np.log(np.maximum(rank, 2)), 0.0)


def _log10_power_sum(eigenvalues: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """log10 of the sum of ``eigenvalues ** alpha``, from logarithms so that no power overflows."""
    exponents = alpha[:, None] * _log10(eigenvalues)
    highest = exponents.max(axis=1)
    return np.asarray(highest + np.log10(np.sum(10.0 ** (exponents - highest[:, None]), axis=1)))


def _log10(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.log10(np.maximum(values, FLOOR)))
