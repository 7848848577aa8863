"""The split of a zoo by member: 70 % train, 15 % validation, 15 % test."""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

from geozoo.errors import InputError

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = get_args(Split)

_BOUNDS: tuple[tuple[Split, float], ...] = (("train", 0.70), ("validation", 0.85), ("test", 1.0))


def split_of(member: str) -> Split:
    """The split of a member, decided by a hash of its id: the same in every zoo, subset and order."""
    number = int.from_bytes(hashlib.sha256(f"geozoo split {member}".encode()).digest()[:8])
    return next(split for split, bound in _BOUNDS if number < bound * 2**64)


def check_split(split: str) -> None:
    """Refuse the name of a split that does not exist."""
    if split not in get_args(Split):
        raise InputError(f"there is no split {split!r}: take one of {', '.join(get_args(Split))}.")
