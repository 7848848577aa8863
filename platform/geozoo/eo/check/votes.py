"""Statistical checks across tiles: offsets that are mixed, bands in another order, near-duplicates."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from geozoo.eo.check.finding import Finding, Undecided
from geozoo.eo.check.near import near_pairs
from geozoo.eo.check.order import PAIRS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geozoo.eo.check.facts import Impression, RasterFacts, TileFacts

    Seen = list[tuple[TileFacts, RasterFacts, Impression]]


def check_mixed_dark_offset(facts: Sequence[TileFacts]) -> Iterator[Finding]:
    """Collections in which some tiles look as if an offset of 1000 were in them and others do not."""
    for seen in _by_modality(facts).values():
        decided = [raster for _, raster, look in seen if look.carries_offset is not None]
        carrying = [raster for _, raster, look in seen if look.carries_offset]
        if carrying and len(carrying) < len(decided):
            value = f"{len(carrying):,} of {len(decided):,} tiles look as with an offset of 1000, the others as without"
            remedy = "take it off where the processing baseline says so"
            yield _finding("mixed_dark_offset", carrying[0], value, remedy)


def check_looks_exchanged(facts: Sequence[TileFacts]) -> Iterator[Finding | Undecided]:
    """Bands that in most tiles of a modality look as another band usually does."""
    for seen in _by_modality(facts).values():
        yield from _exchanged_pairs(seen)
        cirrus = [(raster, look.cirrus_is_darkest) for _, raster, look in seen if look.cirrus_is_darkest is not None]
        brighter = [raster for raster, darkest in cirrus if not darkest]
        if 2 * len(brighter) > len(cirrus):
            value = f"in {len(brighter):,} of {len(cirrus):,} tiles B10 is not the darkest band, as cirrus is"
            yield _finding("looks_exchanged", brighter[0], value, "check the order of the bands", "B10")


def check_near_duplicate(facts: Sequence[TileFacts]) -> Iterator[Finding | Undecided]:
    """Tiles that are nearly the same picture as an earlier one; the same bytes are said by `check_duplicate`."""
    for seen in _by_modality(facts).values():
        for tile, raster, look in seen:
            if look.fingerprint is None and raster.digest is not None:
                yield Undecided("near_duplicate", tile.tile, "too small, not finite or without texture")
        printed = [(tile, raster, look.fingerprint) for tile, raster, look in seen if look.fingerprint is not None]
        for first, second, share in near_pairs([bits for _, _, bits in printed]):
            (earlier, one, _), (later, other, _) = printed[first], printed[second]
            if one.digest == other.digest:
                continue
            across = f", across the splits {earlier.split} and {later.split}" if earlier.split != later.split else ""
            value = f"nearly the picture of tile {earlier.tile} ({share:.1%} of its fingerprint differ){across}"
            yield Finding(
                "near_duplicate", "statistical", later.tile, other.file, other.bands, value, "keep one of them"
            )


def _exchanged_pairs(seen: Seen) -> Iterator[Finding | Undecided]:
    votes = [(raster, look.exchanged) for _, raster, look in seen if look.exchanged is not None]
    if not votes:
        if any(look.carries_offset is not None for _, _, look in seen):
            yield Undecided("looks_exchanged", seen[0][0].tile, "no tile with all bands and not mostly snow")
        return
    for place, pair in enumerate(PAIRS):
        against = [raster for raster, exchanged in votes if exchanged[place]]
        if 2 * len(against) > len(votes):
            value = f"in {len(against):,} of {len(votes):,} tiles each looks as the other usually does"
            yield _finding("looks_exchanged", against[0], value, "check the order of the bands", " ".join(pair))


def _by_modality(facts: Sequence[TileFacts]) -> dict[str, Seen]:
    found: dict[str, Seen] = defaultdict(list)
    for tile in facts:
        for raster in tile.rasters:
            if raster.impression is not None:
                found[raster.modality].append((tile, raster, raster.impression))
    return found


def _finding(check: str, raster: RasterFacts, value: str, remedy: str, band: str = "") -> Finding:
    return Finding(check, "statistical", "all tiles", raster.file, band or raster.bands, value, remedy)
