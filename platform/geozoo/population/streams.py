"""Random numbers by counting: one stateless hash for data order, dropout and augmentation.

``counter_hash(seed, stream, epoch, step, layer, sample, unit)`` is a 32-bit number that depends on its arguments
alone, so a member's randomness depends neither on its cohort, nor on the parallelism of an engine, nor on a restart.
Each word is absorbed by one round of a 32-bit integer finaliser (lowbias32 with the constants of C. Wellons' hash
prospector, public domain). All of it is written in operations that plain integers, NumPy ``int64`` arrays and torch
``int64`` tensors share: products wrap at 64 bits, and their low 32 bits, which are all that is kept, are the same in
each.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Word = Any
"""A number below 2**32: an int, an ``int64`` NumPy array or an ``int64`` torch tensor; arrays broadcast."""

MASK = 0xFFFFFFFF
GOLDEN = 0x9E3779B9
MIX_FIRST, MIX_SECOND = 0x21F0AAAD, 0xD35A2D97
MIX_SHIFTS = (16, 15, 15)


class Stream(IntEnum):
    """What a random number is for. The numbers are part of what makes a member: they never change."""

    INITIALISATION = 0
    ORDER = 1
    DROPOUT = 2
    AUGMENTATION = 3


def mix(word: Word) -> Word:
    """A bijection on 32-bit numbers that spreads every input bit over all output bits."""
    first, second, third = MIX_SHIFTS
    word = ((word ^ (word >> first)) * MIX_FIRST) & MASK
    word = ((word ^ (word >> second)) * MIX_SECOND) & MASK
    return word ^ (word >> third)


def absorb(state: Word, word: Word) -> Word:
    """Take one word below 2**32 into a hash state."""
    return mix(((state + GOLDEN) & MASK) ^ word)


def stream_key(seed: Word, stream: Stream, epoch: Word = 0, step: Word = 0, layer: Word = 0) -> Word:
    """The state after the words that are common to a layer's whole batch; ``seed`` may be an array of members."""
    state = absorb(absorb(seed * 0, seed), int(stream))
    return absorb(absorb(absorb(state, epoch), step), layer)


def counter_hash(
    seed: Word, stream: Stream, epoch: Word = 0, step: Word = 0, layer: Word = 0, sample: Word = 0, unit: Word = 0
) -> Word:
    """The 32-bit random number at one place; any of the arrays given broadcast."""
    return absorb(absorb(stream_key(seed, stream, epoch, step, layer), sample), unit)


UNIFORM_BITS = 24
"""A uniform number in [0, 1) is the upper 24 bits of a hash over 2**24: exact in float32 and float64 alike."""


def keep_threshold(dropout: float) -> int:
    """The number below which the upper 24 bits of a hash drop a unit: a unit is kept with probability 1 - dropout."""
    import math

    return math.ceil(dropout * (1 << UNIFORM_BITS))


def data_order(seeds: NDArray[np.int64], epoch: int, num_images: int) -> NDArray[np.int64]:
    """The order in which each member sees the images in one epoch: ``[members, num_images]``, one permutation a row.

    Images are sorted by their random number; no two have the same one, since `mix` is a bijection.
    """
    import numpy as np

    samples = np.arange(num_images, dtype=np.int64)
    keys = counter_hash(seeds[:, None], Stream.ORDER, epoch, sample=samples[None, :])
    order: NDArray[np.int64] = np.argsort(keys, axis=1, kind="stable")
    return order
