"""Shuffling by shard, then by row, so that one pass reads the bytes of each shard about once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.store.reader import group_equal

if TYPE_CHECKING:
    from geozoo.store.reader import Integers


def shuffle_in_pools(shards: Integers, pool: int, seed: int, epoch: int) -> list[Integers]:
    """Every item once, in a random order that needs few shards at a time.

    The shards are put in a random order and dealt to pools of ``pool`` shards; the items of a pool are shuffled.

    Args:
        shards: ``[items]``, the shard that each item lies in.
        pool: at least 1; the larger, the nearer to a uniform shuffle.
        seed: at least 0; with ``epoch`` it decides the order.
        epoch: number of the pass, from 0.

    Returns:
        The numbers of the items, one array for each pool.
    """
    draw = np.random.default_rng([seed, epoch])
    groups = group_equal(shards)
    order = draw.permutation(len(groups))
    pools = [order[first : first + pool] for first in range(0, len(order), pool)]
    return [draw.permutation(np.concatenate([groups[shard] for shard in chosen])) for chosen in pools]
