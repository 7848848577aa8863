"""The checks by name; the shift between sensors, which is judged scene by scene, is in `geozoo.eo.check.scenes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.eo.check import across, borders, dark, labels, metadata, pixels, radar, votes

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
    run: Callable[[Sequence[TileFacts]], Iterable[Finding | Undecided]]


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
    TileCheck("dark_offset", "statistical", dark.check_dark_offset),
    TileCheck("level", "statistical", dark.check_level),
    TileCheck("decibel", "statistical", radar.check_decibel),
    TileCheck("label_borders", "statistical", borders.check_label_borders),
)
ACROSS_CHECKS = (
    AcrossCheck("missing", "certain", across.check_missing),
    AcrossCheck("dtype", "certain", across.check_mixed_dtype),
    AcrossCheck("crs", "certain", across.check_mixed_crs),
    AcrossCheck("resolution", "certain", across.check_mixed_resolution),
    AcrossCheck("mixed_offset", "certain", across.check_mixed_offset),
    AcrossCheck("duplicate", "certain", across.check_duplicate),
    AcrossCheck("mixed_dark_offset", "statistical", votes.check_mixed_dark_offset),
    AcrossCheck("looks_exchanged", "statistical", votes.check_looks_exchanged),
    AcrossCheck("near_duplicate", "statistical", votes.check_near_duplicate),
)
