"""Where a command writes its results: a store that honours creation once, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geozoo.store import Location


def open_results(to: str) -> Location:
    """The place that ``--to`` names, checked before anything is written there.

    Raises:
        InputError: a zoo or a chip store is there, which results would mix with.
        StoreUnusableError: it is no place that can be written safely.
    """
    from geozoo.eo.chips.header import HEADER_NAME as CHIPS_HEADER
    from geozoo.errors import InputError
    from geozoo.store import open_location, refuse_unsafe_endpoint
    from geozoo.store.header import HEADER_NAME as ZOO_HEADER

    location = open_location(to)
    with location.opening():
        there = location.list()
    for header, kind in ((ZOO_HEADER, "a zoo"), (CHIPS_HEADER, "a chip store")):
        if header in there:
            raise InputError(f"--to {to} holds {kind} ({header}): give a folder or URL of its own for the results.")
    refuse_unsafe_endpoint(location)
    return location
