"""Which members and epochs of a source become a zoo: a zoo has every state of every member."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.interchange.sources.source import SourceMember

Keep = Literal["epochs", "members"]
MISSING = "a state is missing"


def select_states(members: Sequence[SourceMember], keep: Keep) -> tuple[tuple[int, ...], list[int]]:
    """The epochs and the positions of the members to import.

    With ``epochs`` the epochs are those that most members have (of as many, the more epochs), and members that lack one
    are left out. With ``members`` every member that has a state stays, and the epochs are those that all of them have.

    Raises:
        InputError: nothing is left.
    """
    with_states = [position for position, member in enumerate(members) if member.epochs]
    if not with_states:
        raise InputError("the source has no member with a state: give the folder or file that holds the checkpoints.")
    if keep == "epochs":
        counted = Counter(members[position].epochs for position in with_states)
        epochs = max(counted, key=lambda one: (counted[one], len(one), one))
        wanted = set(epochs)
        return epochs, [position for position in with_states if wanted <= set(members[position].epochs)]
    shared = set.intersection(*(set(members[position].epochs) for position in with_states))
    if not shared:
        raise InputError(
            "no epoch is there for every member: take the epochs that most members have, with --keep epochs."
        )
    return tuple(sorted(shared)), with_states
