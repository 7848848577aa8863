"""The counter hash of `geozoo.population.streams` in compiled code, and the order of the images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from geozoo.population.streams import GOLDEN, MIX_FIRST, MIX_SECOND, MIX_SHIFTS, Stream

WORD = np.uint32
GOLDEN_WORD, FIRST, SECOND = WORD(GOLDEN), WORD(MIX_FIRST), WORD(MIX_SECOND)
SHIFT_1, SHIFT_2, SHIFT_3 = (WORD(shift) for shift in MIX_SHIFTS)
ORDER, DROPOUT = WORD(Stream.ORDER), WORD(Stream.DROPOUT)
ZERO = WORD(0)

DIGIT_BITS = 11
DIGITS = 3
BINS = 1 << DIGIT_BITS


@njit
def absorb32(state: Any, word: Any) -> Any:
    """`geozoo.population.streams.absorb` on uint32."""
    word = WORD(WORD(state + GOLDEN_WORD) ^ WORD(word))
    word = WORD(WORD(word ^ WORD(word >> SHIFT_1)) * FIRST)
    word = WORD(WORD(word ^ WORD(word >> SHIFT_2)) * SECOND)
    return WORD(word ^ WORD(word >> SHIFT_3))


@njit
def stream_key32(seed: Any, stream: Any, epoch: Any, step: Any, layer: Any) -> Any:
    """`geozoo.population.streams.stream_key` on uint32."""
    state = absorb32(absorb32(ZERO, WORD(seed)), stream)
    return absorb32(absorb32(absorb32(state, WORD(epoch)), WORD(step)), WORD(layer))


@njit
def draw_order(seed: Any, epoch: Any, keys: Any, order: Any, bins: Any) -> None:
    """`geozoo.population.streams.data_order` of one member, by a stable radix sort of the images' numbers.

    Args:
        seed: the member's.
        epoch: from 1 on.
        keys: uint32 ``[2, images]``, overwritten.
        order: int32 ``[2, images]``; the first row is the result.
        bins: int64 ``[BINS + 1]``, overwritten.
    """
    num_images = keys.shape[1]
    base = stream_key32(seed, ORDER, epoch, ZERO, ZERO)
    for image in range(num_images):
        keys[1, image] = absorb32(absorb32(base, WORD(image)), ZERO)
        order[1, image] = image
    source = 1
    for digit in range(DIGITS):
        shift = WORD(digit * DIGIT_BITS)
        bins[:] = 0
        for image in range(num_images):
            bins[((keys[source, image] >> shift) & WORD(BINS - 1)) + 1] += 1
        for place in range(BINS):
            bins[place + 1] += bins[place]
        for image in range(num_images):
            key = keys[source, image]
            place = (key >> shift) & WORD(BINS - 1)
            keys[1 - source, bins[place]] = key
            order[1 - source, bins[place]] = order[source, image]
            bins[place] += 1
        source = 1 - source
