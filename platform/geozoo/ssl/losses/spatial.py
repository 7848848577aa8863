"""Similarity of feature maps that may be shifted against each other: multi-modal alignment (MMA)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from geozoo.errors import InputError
from geozoo.ssl.losses.nce import diagonal_cross_entropy
from geozoo.ssl.precision import wide_enough, without_autocast

if TYPE_CHECKING:
    from geozoo.ssl.losses.options import MmaOptions
    from geozoo.ssl.losses.registry import Views

AT_ONCE = 2**23
"""Numbers of the correlation maps that are computed at a time."""


def mma(options: MmaOptions, views: Views) -> dict[str, Tensor]:
    """Contrast of whole maps (Windsor et al., 2021): `map_similarity` of all pairs, then `map_contrast`."""
    similarities = map_similarity(views.first, views.second, options.overlap)
    return {"loss": map_contrast(similarities, options.temperature)}


def map_contrast(similarities: Tensor, temperature: float) -> Tensor:
    """Symmetric NCE of a similarity matrix ``[n, n]``: the mean of the cross-entropies of its rows and columns."""
    logits = wide_enough(similarities) / temperature
    return (diagonal_cross_entropy(logits) + diagonal_cross_entropy(logits.T)) / 2


def map_similarity(first: Tensor, second: Tensor, overlap: Literal["full", "none"] = "full") -> Tensor:
    """The largest correlation over all shifts, of every first map with every second one: ``[n, m]``.

    Vectors are L2-normalised at every position; the correlation at a shift is the sum of their products where the maps
    overlap, divided by the number of positions of a *second* map. Of identical maps it is 1.

    ``full``: first maps are surrounded by zeros, so that every shift counts that leaves one position of overlap; what
    hangs over counts 0. ``none``: no padding, second maps stay inside first ones as in the authors' code; maps of one
    size are then compared unshifted.

    The sums of ``full`` are taken in the Fourier domain, of maps padded so far that no shift wraps around: convolutions
    with kernels as large as maps soon cost more. First maps are taken in chunks; for ``backward`` only the transformed
    maps and the places of the maxima are kept. Several workers can share the work: each passes the first maps that it
    holds and all second ones, and gathers the rows of the result.

    Args:
        first: ``[n, c, h, w]``.
        second: ``[m, c, u, v]``.
        overlap: how maps may shift.

    Raises:
        InputError: maps of different channels, or with ``none`` second maps that are larger than first ones.
    """
    _check(first, second, overlap)
    with without_autocast(first):
        first, second = (F.normalize(wide_enough(maps), dim=1) for maps in (first, second))
        largest = torch.cat(_largest_correlations(first, second, overlap))
    return largest / second[0, 0].numel()


def _largest_correlations(first: Tensor, second: Tensor, overlap: str) -> list[Tensor]:
    """The maxima over shifts ``[n, m]``, in chunks of rows."""
    sizes = list(zip(first.shape[2:], second.shape[2:], strict=True))
    shifts = [a + b - 1 if overlap == "full" else a - b + 1 for a, b in sizes]
    rows = max(1, AT_ONCE // max(1, len(second) * math.prod(shifts)))
    if overlap == "full":
        transformed = torch.fft.rfft2(second, s=shifts).conj()
        return [_wrapped(part, transformed, shifts) for part in first.split(rows)]
    return [F.conv2d(part, second).flatten(2).max(2).values for part in first.split(rows)]


def _wrapped(first: Tensor, transformed: Tensor, size: list[int]) -> Tensor:
    """Largest circular correlations ``[n, m]`` of maps with maps in the Fourier domain."""
    products = torch.einsum("nchw,mchw->nmhw", torch.fft.rfft2(first, s=size), transformed)
    correlations: Tensor = torch.fft.irfft2(products, s=size)
    return correlations.flatten(2).max(2).values


def _check(first: Tensor, second: Tensor, overlap: str) -> None:
    if first.shape[1] != second.shape[1]:
        raise InputError(
            f"maps of {first.shape[1]} and {second.shape[1]} channels cannot be compared: give both encoders the same "
            "number of output channels."
        )
    larger = any(a < b for a, b in zip(first.shape[2:], second.shape[2:], strict=True))
    if overlap == "none" and larger:
        raise InputError(
            f"second maps of {tuple(second.shape[2:])} do not fit into first ones of {tuple(first.shape[2:])}: swap "
            "them, or choose the overlap 'full'."
        )
