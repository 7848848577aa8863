"""Which members an audit draws, and how likely a draw is to hold an altered one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

ALTERED_SHARES = (0.01, 0.05)
"""Shares of altered members whose detection is told, beside a single one."""


@dataclass(frozen=True)
class Chance:
    """With ``altered`` members of a zoo altered, the probability that a draw holds one of them at least."""

    altered: int
    chance: float


def draw_members(members: Iterable[str], count: int, seed: int) -> list[str]:
    """Draw ``count`` members at random without repeats; one seed gives the same ones in whatever order they come.

    Raises:
        InputError: there are not so many, or none.
    """
    import numpy as np

    known = sorted(members)
    if not known:
        raise InputError("no member is committed that an audit could draw: populate the zoo first.")
    if not 1 <= count <= len(known):
        raise InputError(f"{count} members cannot be drawn from {len(known)} committed ones: draw 1 to {len(known)}.")
    return [known[place] for place in np.random.default_rng(seed).choice(len(known), count, replace=False)]


def detection_chance(members: int, drawn: int, altered: int) -> float:
    """The probability that ``drawn`` of ``members``, drawn without repeats, hold one of ``altered`` at least.

    ``1 - C(members - altered, drawn) / C(members, drawn)``, the hypergeometric law.
    """
    return 1 - math.comb(members - altered, drawn) / math.comb(members, drawn)


def chances(members: int, drawn: int) -> list[Chance]:
    """The chance for one altered member, and for each of `ALTERED_SHARES` of all, rounded up to whole members."""
    counts = {1: None} | {math.ceil(share * members): None for share in ALTERED_SHARES}
    return [Chance(altered, detection_chance(members, drawn, altered)) for altered in counts]
