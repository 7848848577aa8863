"""What is known about a data set before its files are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geozoo.eo.tiles import Collection


@dataclass(frozen=True)
class ReaderRecord:
    """One entry of the registry of readers.

    Attributes:
        name: as given to ``--format``.
        title: what it is, for lists.
        fits: whether a folder or file looks like this data set; used where no format is named.
        find: list the tiles of a folder or file in a fixed order, opening as little as possible.
    """

    name: str
    title: str
    fits: Callable[[Path], bool]
    find: Callable[[Path], Collection]
