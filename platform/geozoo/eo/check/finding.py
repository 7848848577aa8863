"""What a check says: a finding, or that a tile does not let it decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Certainty = Literal["certain", "statistical"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    Attributes:
        check: name of the check.
        certainty: ``certain`` follows from metadata or bytes; ``statistical`` is judged from how pixels usually are.
        tile: id of the tile; the scene where a check judges scenes, the collection where it compares tiles.
        file: where the fault lies.
        band: its name; several where it concerns them together.
        value: what was found, with its figure.
        remedy: what to do.
    """

    check: str
    certainty: Certainty
    tile: str
    file: str
    band: str
    value: str
    remedy: str

    @property
    def sentence(self) -> str:
        """File, band, value, remedy, and how certain it is."""
        return f"{self.file}, {self.band}: {self.value}; {self.remedy} ({self.certainty})"


@dataclass(frozen=True, slots=True)
class Undecided:
    """A check that can say nothing of a tile, and why; reasons are few and fixed, so that they can be counted."""

    check: str
    tile: str
    reason: str
