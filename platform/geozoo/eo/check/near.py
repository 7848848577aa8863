"""Near-duplicates: tiles that are the same picture after noise, scaling or another encoding."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

BLOCKS = 16
"""Blocks along an edge of the fingerprint."""
TEXTURE = 0.01
"""Standard deviation of block means, in log or dB, below which the fingerprint is noise."""
NEAR = 0.1
"""Share of differing bits up to which two tiles are near-duplicates; measured in experiments/eo/CHECK.md: noise of 3 %
changes up to 7 %, the closest of 10,000 different EuroSAT images differ by 28 %."""
KEY_BITS, KEYS, SEED = 32, 24, 0
"""Tiles are compared that agree in one of some random choices of bits: with 5 % of bits changed 99 % of pairs do."""


def fingerprint(pixels: NDArray[Any]) -> bytes | None:
    """480 bits of a stack ``[bands, height, width]``: which neighbour is brighter among 16x16 blocks of its mean.

    The difference hash of image search, over the logarithms of all bands, or over their values where some are negative
    (dB). None for tiles that are smaller than the blocks, not finite, or without texture.
    """
    height, width = (size // BLOCKS for size in pixels.shape[1:])
    if not height or not width:
        return None
    cut = pixels[:, : height * BLOCKS, : width * BLOCKS].astype(np.float32)
    if not np.isfinite(cut).all():
        return None
    levels = np.log1p(cut) if cut.min() >= 0 else cut
    blocks = levels.mean(0).reshape(BLOCKS, height, BLOCKS, width).mean((1, 3))
    if blocks.std() < TEXTURE:
        return None
    bits = [blocks[:, 1:] > blocks[:, :-1], blocks[1:] > blocks[:-1]]
    return np.packbits(np.concatenate([part.ravel() for part in bits])).tobytes()


def near_pairs(prints: Sequence[bytes]) -> Iterator[tuple[int, int, float]]:
    """Pairs ``(earlier, later, share of differing bits)`` of near fingerprints, each later one once.

    Pairs are looked for by locality-sensitive hashing, so that the cost grows about as the number of tiles.
    """
    if len(prints) < 2:
        return
    packed = np.frombuffer(b"".join(prints), np.uint8).reshape(len(prints), -1)
    bits = np.unpackbits(packed, axis=1)
    draw = np.random.default_rng(SEED)
    nearest: dict[int, tuple[int, float]] = {}
    for _ in range(KEYS):
        chosen = draw.choice(bits.shape[1], KEY_BITS, replace=False)
        keys = np.ascontiguousarray(np.packbits(bits[:, chosen], axis=1)).view(np.uint32).ravel()
        order = np.argsort(keys, kind="stable")
        for earlier, later in pairwise(order):
            if keys[earlier] == keys[later]:
                share = float((bits[earlier] != bits[later]).mean())
                if share <= NEAR and share < nearest.get(int(later), (0, 1.0))[1]:
                    nearest[int(later)] = int(earlier), share
    for later in sorted(nearest):
        yield nearest[later][0], later, nearest[later][1]
