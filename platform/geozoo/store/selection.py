"""States to learn from: of one split, at some epochs, with a metric as the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import InputError
from geozoo.store.split import Split, check_split, split_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.store.reader import Integers
    from geozoo.store.zoo import Zoo


@dataclass(frozen=True)
class Selection:
    """Selected states; every array has one entry a state.

    Attributes:
        members: ids.
        epochs: among ``zoo.checkpoints``.
        targets: float32.
        shards: number of the shard that holds the state, from 0 in the order of storage.
        left_out: states that are not finite, in a weight (by the metric ``finite``) or in the target.
    """

    members: np.ndarray[Any, Any]
    epochs: Integers
    targets: np.ndarray[Any, np.dtype[np.float32]]
    shards: Integers
    left_out: int

    def __len__(self) -> int:
        return len(self.members)


def select_states(
    zoo: Zoo,
    split: Split,
    epochs: int | Sequence[int] | None,
    target: str,
    parts: np.ndarray[Any, Any] | None = None,
) -> Selection:
    """The states of a zoo's committed members of one split, at all or some epochs, that are finite.

    ``parts`` names the split of every row of ``zoo.members``, where it is not the one of ``split_of``.

    Raises:
        InputError: there is no such split, epoch or metric, or ``parts`` has another length than ``zoo.members``.
        DamagedZooError: stored metrics are missing or damaged.
    """
    check_split(split)
    if parts is not None and len(parts) != len(zoo.members):
        raise InputError(
            f"parts has {len(parts)} entries for {len(zoo.members)} members: give one for every row of zoo.members."
        )
    ids = zoo.members["member"]
    chosen = np.array([split_of(member) == split for member in ids]) if parts is None else np.asarray(parts) == split
    columns = list(dict.fromkeys([target, "finite"]))
    table = zoo.read_metrics(columns, epochs, ids[chosen & zoo.members["committed"]].tolist())
    usable = table["finite"].astype(bool) & np.isfinite(table[target].astype(float))
    kept = table.loc[usable]
    members, at = kept["member"].to_numpy(dtype=object), kept["epoch"].to_numpy(dtype=np.int64)
    shards = np.empty(len(kept), dtype=np.int64)
    for number, read in enumerate(zoo.shard_reads(members, at)):
        shards[read.rows] = number
    return Selection(members, at, kept[target].to_numpy(dtype=np.float32), shards, int((~usable).sum()))
