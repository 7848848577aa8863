"""What networks answer to images, and how alike the answers of two networks are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

if TYPE_CHECKING:
    from geozoo.hyper.networks import Networks

MEMBERS_AT_ONCE, IMAGES_AT_ONCE = 128, 512
"""Bound the memory of one call; networks with many parameters are called one by one anyway."""

NO_ANSWER = -1
_COLUMNS = 2**18


@dataclass(frozen=True)
class Answers:
    """``predictions`` int16 ``[n, images]``, -1 where a logit is not finite; ``logits`` ``[kept, images, classes]``.

    The logits are float32, of some states only, and centred over classes, since a constant added to all is no answer.
    """

    predictions: np.ndarray
    logits: np.ndarray

    @classmethod
    def of(
        cls,
        networks: Networks,
        weights: np.ndarray,
        activations: np.ndarray,
        images: torch.Tensor,
        keep: np.ndarray,
    ) -> Self:
        """Call members with ``weights [n, params]`` and activation codes ``[n]``, chunk by chunk, where the images are.

        ``keep`` are the rows whose logits are kept.
        """
        place = np.full(len(weights), NO_ANSWER)
        place[keep] = np.arange(len(keep))
        predictions = np.empty((len(weights), len(images)), dtype=np.int16)
        kept = np.empty((len(keep), len(images), networks.classes), dtype=np.float32)
        for first in range(0, len(weights), MEMBERS_AT_ONCE):
            rows = slice(first, first + MEMBERS_AT_ONCE)
            members = torch.tensor(weights[rows]).to(images)
            for start in range(0, len(images), IMAGES_AT_ONCE):
                columns = slice(start, start + IMAGES_AT_ONCE)
                with torch.no_grad():
                    logits = networks.logits(members, activations[rows], images[columns])
                finite = logits.isfinite().all(-1)
                predictions[rows, columns] = logits.argmax(-1).where(finite, NO_ANSWER).cpu().numpy()
                wanted = place[rows] >= 0
                centred = (logits - logits.mean(-1, keepdim=True))[torch.from_numpy(wanted)]
                kept[place[rows][wanted], columns] = centred.cpu().numpy()
        return cls(predictions, kept)

    @classmethod
    def of_one(
        cls, networks: Networks, weights: np.ndarray, activations: np.ndarray, images: torch.Tensor, keep: np.ndarray
    ) -> Self:
        """The same where all members have the weights ``[params]``: each activation is called once."""
        codes, place = np.unique(activations, return_inverse=True)
        few = cls.of(networks, np.tile(weights, (len(codes), 1)), codes, images, np.arange(len(codes)))
        return cls(few.predictions[place], few.logits[place[keep]])


def same_answers(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two predictions ``[..., images]`` are the same; a missing answer is the same as none."""
    same: np.ndarray = (one == other) & (one != NO_ANSWER)
    return same


def agreement_matrix(one: np.ndarray, other: np.ndarray, classes: int) -> np.ndarray:
    """Share of images on which predictions ``[n, images]`` and ``[m, images]`` are the same: ``[n, m]``."""
    left, right = (np.eye(classes, dtype=np.float32)[side] * (side != NO_ANSWER)[..., None] for side in (one, other))
    shares: np.ndarray = (left.reshape(len(one), -1) @ right.reshape(len(other), -1).T).astype(np.float64)
    shares /= one.shape[1]
    return shares


def squared_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances of rows ``[n, k]`` and ``[m, k]`` in float64; infinite where a row is not finite.

    Columns are taken in blocks and centred about the mean of ``other``, which keeps small distances exact.
    """
    lost = ~np.isfinite(one).all(axis=1)[:, None] | ~np.isfinite(other).all(axis=1)
    total = np.zeros(lost.shape)
    for start in range(0, one.shape[1], _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        left, right = (np.nan_to_num(side[:, columns].astype(np.float64), posinf=0, neginf=0) for side in (one, other))
        centre = right.mean(axis=0)
        left, right = left - centre, right - centre
        total += (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    return np.where(lost, np.inf, np.maximum(total, 0))


def identified(distances: np.ndarray) -> np.ndarray:
    """Whether the nearest original of each decoded network is its own: ``[n, n]``, row i belongs to column i.

    One over the number of nearest ones where several are equally near; 0 for a network that is infinitely far.
    """
    own = np.diagonal(distances)
    nearest = distances.min(axis=1)
    ties = (distances == nearest[:, None]).sum(axis=1)
    return np.where((own == nearest) & np.isfinite(own), 1 / ties, 0.0)


def mean_of_pairs(matrix: np.ndarray) -> float | None:
    """The mean of ``[n, n]`` over pairs of different members; ``None`` for fewer than two."""
    n = len(matrix)
    return float(matrix[~np.eye(n, dtype=bool)].mean()) if n > 1 else None
