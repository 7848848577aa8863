"""The shift between Sentinel-1 and Sentinel-2 scene by scene, while tiles stream by."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from geozoo.eo.check.finding import Finding, Undecided
from geozoo.eo.check.shift import CLEAR_PEAK, S2_BANDS, SHIFTED, ShiftSums, estimate_shift, shift_sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geozoo.eo.check.opened import OpenedTile
    from geozoo.eo.tiles import Tile

MOST_TILES = 32
"""Tiles of a scene that are looked at; more tell no more."""


class SceneShifts:
    """Adds up the sums of tiles and judges a scene when its last tile has been seen."""

    def __init__(self, tiles: Sequence[Tile]) -> None:
        self._left = Counter(tile.scene for tile in tiles if _has_both(tile))
        self._sums: dict[str, ShiftSums | None] = {}
        self._first: dict[str, Tile] = {}

    def add(self, tile: Tile, sums: ShiftSums | None) -> Iterator[Finding | Undecided]:
        """Take one tile in; yields what is found of its scene once that is complete."""
        if not _has_both(tile):
            return
        first = self._first.setdefault(tile.scene, tile)
        before = self._sums.get(tile.scene)
        self._sums[tile.scene] = sums if before is None else before if sums is None else before + sums
        self._left[tile.scene] -= 1
        if not self._left[tile.scene]:
            del self._first[tile.scene], self._left[tile.scene]
            yield from _judge(first, self._sums.pop(tile.scene))


def sums_of(tile: OpenedTile) -> ShiftSums | None:
    """The sums of a tile that has both sensors; None where it cannot contribute."""
    s1 = next((name for name, raster in tile.tile.rasters.items() if raster.sensor == "s1"), None)
    s2 = next(tile.sentinel2(), None)
    if s1 is None or s2 is None:
        return None
    radar, optical = tile.stack(s1), tile.stack(s2, S2_BANDS)
    return None if radar is None or optical is None else shift_sums(radar, optical)


def chosen_for_shift(tiles: Sequence[Tile]) -> list[bool]:
    """The first `MOST_TILES` of each scene that have both sensors."""
    seen: Counter[str] = Counter()
    chosen = []
    for tile in tiles:
        seen[tile.scene] += _has_both(tile)
        chosen.append(_has_both(tile) and seen[tile.scene] <= MOST_TILES)
    return chosen


def _judge(tile: Tile, sums: ShiftSums | None) -> Iterator[Finding | Undecided]:
    if sums is None:
        yield Undecided("shift", tile.scene, "tiles too small, with pixels missing, or not in digital numbers")
        return
    shift = estimate_shift(sums)
    if shift.clarity < CLEAR_PEAK:
        yield Undecided("shift", tile.scene, "too little texture that both sensors see")
    elif shift.pixels >= SHIFTED:
        raster = next(raster for raster in tile.rasters.values() if raster.sensor == "s1")
        value = f"S1 lies {shift.down:+.1f} pixels down and {shift.right:+.1f} right of S2 in scene {tile.scene}"
        remedy = "co-register the two, or move S1 back by so much"
        yield Finding("shift", "statistical", tile.scene, str(raster.files[0]), " ".join(raster.bands), value, remedy)


def _has_both(tile: Tile) -> bool:
    sensors = {raster.sensor for raster in tile.rasters.values()}
    return "s1" in sensors and bool(sensors & {"s2l1c", "s2l2a"})
