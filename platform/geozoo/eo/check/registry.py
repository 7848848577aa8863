"""The checks by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.eo.check import across, labels, metadata, pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from geozoo.eo.check.facts import TileFacts
    from geozoo.eo.check.finding import Certainty, Finding, Undecided
    from geozoo.eo.check.opened import OpenedTile


@dataclass(frozen=True)
class TileCheck:
    """A check that looks at one tile."""

    name: str
    certainty: Certainty
    run: Callable[[OpenedTile], Iterable[Finding | Undecided]]


@dataclass(frozen=True)
class AcrossCheck:
    """A check that compares the facts of all tiles."""

    name: str
    certainty: Certainty
    run: Callable[[Sequence[TileFacts]], Iterable[Finding]]


TILE_CHECKS = (
    TileCheck("unreadable", "certain", metadata.check_unreadable),
    TileCheck("band_count", "certain", metadata.check_band_count),
    TileCheck("band_order", "certain", metadata.check_band_order),
    TileCheck("dtype", "certain", metadata.check_dtype),
    TileCheck("crs", "certain", metadata.check_crs),
    TileCheck("grid", "certain", metadata.check_grid),
    TileCheck("offset", "certain", metadata.check_offset),
    TileCheck("non_finite", "certain", pixels.check_non_finite),
    TileCheck("nodata", "certain", pixels.check_nodata),
    TileCheck("constant", "certain", pixels.check_constant),
    TileCheck("saturated", "certain", pixels.check_saturated),
    TileCheck("swath_edge", "certain", pixels.check_swath_edge),
    TileCheck("label_type", "certain", labels.check_label_type),
    TileCheck("label_code", "certain", labels.check_label_code),
)
ACROSS_CHECKS = (
    AcrossCheck("dtype", "certain", across.check_mixed_dtype),
    AcrossCheck("crs", "certain", across.check_mixed_crs),
    AcrossCheck("resolution", "certain", across.check_mixed_resolution),
    AcrossCheck("mixed_offset", "certain", across.check_mixed_offset),
    AcrossCheck("duplicate", "certain", across.check_duplicate),
)
