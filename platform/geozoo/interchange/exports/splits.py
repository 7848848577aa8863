"""Which split every member of a zoo is in, for exports that have splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.interchange.settings import SPLIT
from geozoo.store import split_of

if TYPE_CHECKING:
    from geozoo.store import Zoo


def member_splits(zoo: Zoo) -> np.ndarray[Any, np.dtype[np.str_]]:
    """``train``, ``validation`` or ``test`` of every row of ``zoo.members``: as its source says, else by `split_of`."""
    if SPLIT in zoo.members:
        return zoo.members[SPLIT].to_numpy(dtype=np.str_)
    return np.array([split_of(member) for member in zoo.members["member"]], dtype=np.str_)
