"""Splits of members into train, validation and test, so that what must stay together falls into one part."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from geozoo.errors import InputError
from geozoo.hyper.probing.targets import hyperparameters
from geozoo.store import split_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd

SplitBy = Literal["member", "seed", "cell"]
PARTS = ("train", "validation", "test")
HELD_OUT = 0.15


def split_members(members: pd.DataFrame, by: SplitBy) -> np.ndarray:
    """The part of every member ``[members]``: 70 % train, 15 % validation, 15 % test.

    By member as ``geozoo.store.split_of`` says. By seed, as zoos that use their seeds again need (there members of one
    seed and initialiser start from the same weights), or by cell (members whose hyper-parameters are all equal), the
    seeds or cells in the order of a hash are cut into shares as near to these as whole ones allow, with one in every
    part from three on.

    Args:
        members: a zoo's table of members. By seed and by cell the cut depends on which seeds and cells there are, so
            give all committed members, diverged ones too, to get the same parts everywhere.
        by: what is never divided.

    Raises:
        InputError: ``by`` is none of the three.
    """
    if by not in get_args(SplitBy):
        raise InputError(f"there is no split by {by!r}: take one of {', '.join(get_args(SplitBy))}.")
    if by == "member":
        return np.array([split_of(member) for member in members["member"]], dtype=np.str_)
    return _cut(members["seed"].tolist() if by == "seed" else cells(members), by)


def cells(members: pd.DataFrame) -> list[str]:
    """The hyper-parameters of every member as one text, equal for members of one cell of the grid."""
    columns = [members[name].tolist() for name in sorted(hyperparameters(members))]
    return [json.dumps(values, default=str) for values in zip(*columns, strict=True)]


def reuses_seeds(members: pd.DataFrame) -> bool:
    """Whether members of different cells share a seed, so that a split by member may put equal starts in two parts."""
    return bool(members.assign(cell=cells(members)).groupby("seed")["cell"].nunique().gt(1).any())


def _cut(groups: Sequence[Hashable], by: str) -> np.ndarray:
    """Deal whole groups to the parts: the last of a hash's order to test, those before to validation."""
    order = sorted(set(groups), key=lambda group: hashlib.sha256(f"geozoo split {by} {group}".encode()).digest())
    held_out = max(1, round(HELD_OUT * len(order)))
    part = dict(zip(reversed(order), ["test"] * held_out + ["validation"] * held_out, strict=False))
    return np.array([part.get(group, "train") for group in groups], dtype=np.str_)
