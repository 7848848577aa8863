"""Run all checks over a collection: every tile is read once, findings come as they are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from geozoo.eo.check.facts import facts_of
from geozoo.eo.check.opened import open_tile
from geozoo.eo.check.registry import ACROSS_CHECKS, TILE_CHECKS
from geozoo.eo.check.scenes import SceneShifts, chosen_for_shift, sums_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from geozoo.eo.check.facts import TileFacts
    from geozoo.eo.check.finding import Finding, Undecided
    from geozoo.eo.check.shift import ShiftSums
    from geozoo.eo.tiles import Collection, Tile

CHUNK = 8
"""Tiles that a worker process takes at a time."""


@dataclass(frozen=True)
class _Seen:
    """What is left of a tile."""

    said: tuple[Finding | Undecided, ...]
    facts: TileFacts
    shift: ShiftSums | None


def check_collection(
    collection: Collection,
    *,
    statistical: bool = True,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Finding | Undecided]:
    """Find the faults of a collection.

    Memory is bounded: of a tile that is done some hundred bytes are kept, for the comparison across tiles.

    Args:
        collection: as a reader found it.
        statistical: whether to run also the checks that judge by how pixels usually are.
        workers: processes that read tiles; 1 reads in this one.
        progress: called with the tiles done and their total.

    Yields:
        Findings and undecided checks: tile by tile in the order of the collection, then those across tiles.
    """
    facts = []
    scenes = SceneShifts(collection.tiles)
    total = len(collection.tiles)
    for done, (tile, seen) in enumerate(zip(collection.tiles, _seen(collection, statistical, workers), strict=True), 1):
        yield from seen.said
        if statistical:
            yield from scenes.add(tile, seen.shift)
        facts.append(seen.facts)
        progress(done, total)
    for check in ACROSS_CHECKS:
        if statistical or check.certainty == "certain":
            yield from check.run(facts)


def _seen(collection: Collection, statistical: bool, workers: int) -> Iterable[_Seen]:
    look = partial(_look, classes=len(collection.classes), statistical=statistical)
    tiles = zip(collection.tiles, chosen_for_shift(collection.tiles), strict=True)
    if workers == 1:
        yield from map(look, tiles)
        return
    from multiprocessing import get_context

    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(look, tiles, chunksize=CHUNK)


def _look(chosen: tuple[Tile, bool], classes: int, statistical: bool) -> _Seen:
    tile, for_shift = chosen
    opened = open_tile(tile, classes)
    checks = [check for check in TILE_CHECKS if statistical or check.certainty == "certain"]
    said = tuple(word for check in checks for word in check.run(opened))
    facts = facts_of(opened, statistical=statistical)
    return _Seen(said, facts, sums_of(opened) if statistical and for_shift else None)
