"""Run all checks over a collection: every tile is read once, findings come as they are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from geozoo.eo.check.facts import facts_of
from geozoo.eo.check.opened import open_tile
from geozoo.eo.check.registry import ACROSS_CHECKS, TILE_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from geozoo.eo.check.facts import TileFacts
    from geozoo.eo.check.finding import Finding, Undecided
    from geozoo.eo.tiles import Collection, Tile

CHUNK = 8
"""Tiles that a worker process takes at a time."""


@dataclass(frozen=True)
class _Seen:
    """What is left of a tile."""

    said: tuple[Finding | Undecided, ...]
    facts: TileFacts


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
    total = len(collection.tiles)
    for done, seen in enumerate(_seen(collection, statistical, workers), 1):
        yield from seen.said
        facts.append(seen.facts)
        progress(done, total)
    for check in ACROSS_CHECKS:
        if statistical or check.certainty == "certain":
            yield from check.run(facts)


def _seen(collection: Collection, statistical: bool, workers: int) -> Iterable[_Seen]:
    look = partial(_look, classes=len(collection.classes), statistical=statistical)
    if workers == 1:
        yield from map(look, collection.tiles)
        return
    from multiprocessing import get_context

    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(look, collection.tiles, chunksize=CHUNK)


def _look(tile: Tile, classes: int, statistical: bool) -> _Seen:
    opened = open_tile(tile, classes)
    checks = [check for check in TILE_CHECKS if statistical or check.certainty == "certain"]
    said = tuple(word for check in checks for word in check.run(opened))
    return _Seen(said, facts_of(opened))
