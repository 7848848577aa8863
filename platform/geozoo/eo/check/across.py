"""Certain checks across tiles: what most tiles of a collection agree in, and tiles that are the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import median_low
from typing import TYPE_CHECKING

from geozoo.eo.check.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from geozoo.eo.check.facts import RasterFacts, TileFacts

PIXEL_TOLERANCE = 0.02
"""Pixels of two tiles may differ by this share: EuroSAT's are 9.98 to 10.01 m, the next product has 20 m."""


def check_missing(facts: Sequence[TileFacts]) -> Iterator[Finding]:
    """Tiles without a modality that more than half of the tiles have."""
    counts = Counter(modality for tile in facts for modality in tile.files)
    usual = [modality for modality, count in counts.items() if 2 * count > len(facts)]
    for tile in facts:
        for modality in usual:
            if modality not in tile.files:
                value = f"tile {tile.tile} has no {modality} file, which {counts[modality]} of {len(facts)} tiles have"
                remedy = "restore it, or remove the tile"
                beside = next(iter(tile.files.values()))
                yield Finding("missing", "certain", tile.tile, beside, modality, value, remedy)


def check_mixed_dtype(facts: Sequence[TileFacts]) -> Iterator[Finding]:
    """Tiles in another type than most of their modality."""
    remedy = "convert all tiles from the original to one type"
    yield from _unlike_most("dtype", facts, lambda raster: raster.dtype, "type {} where most tiles have {}", remedy)


def check_mixed_crs(facts: Sequence[TileFacts]) -> Iterator[Finding]:
    """Tiles in degrees among tiles in metres, and tiles without place among placed ones. UTM zones may differ."""
    remedy = "reproject from the original, or write the CRS that is meant"
    text = "its CRS is {} where that of most tiles is {}"
    yield from _unlike_most("crs", facts, lambda raster: raster.reference, text, remedy)


def check_mixed_resolution(facts: Sequence[TileFacts]) -> Iterator[Finding]:
    """Tiles whose pixels are larger or smaller than in most tiles of their modality and kind of CRS."""
    sizes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _, raster in _rasters(facts):
        if raster.pixel is not None and raster.reference is not None:
            sizes[raster.modality, raster.reference].append(raster.pixel)
    usual = {kind: median_low(found) for kind, found in sizes.items()}
    for tile, raster in _rasters(facts):
        if raster.pixel is None or raster.reference is None:
            continue
        expected = usual[raster.modality, raster.reference]
        if abs(raster.pixel / expected - 1) > PIXEL_TOLERANCE:
            value = f"pixels of {raster.pixel:.4g} where most tiles have {expected:.4g}"
            yield _finding("resolution", tile, raster, value, "resample all tiles to one resolution")


def check_mixed_offset(facts: Sequence[TileFacts]) -> Iterator[Finding]:
    """Tiles whose metadata still ask for an offset among tiles whose numbers are as they should be, or otherwise."""
    text = "an offset of {} is still to be added where for most tiles it is {}"
    remedy = "add the offset that each tile's metadata ask for"
    yield from _unlike_most("mixed_offset", facts, lambda raster: raster.offset_left, text, remedy)


def check_duplicate(facts: Sequence[TileFacts]) -> Iterator[Finding]:
    """Tiles that hold the same bytes of pixels as an earlier tile."""
    first: dict[tuple[str, bytes], TileFacts] = {}
    for tile, raster in _rasters(facts):
        if raster.digest is None:
            continue
        earlier = first.setdefault((raster.modality, raster.digest), tile)
        if earlier is not tile:
            across = tile.split != earlier.split
            places = f", across the splits {earlier.split} and {tile.split}" if across else ""
            value = f"the same pixels as tile {earlier.tile}{places}"
            yield _finding("duplicate", tile, raster, value, "keep one of them")


def _unlike_most(
    check: str,
    facts: Sequence[TileFacts],
    fact: Callable[[RasterFacts], Hashable | None],
    text: str,
    remedy: str,
) -> Iterator[Finding]:
    counts: dict[str, Counter[Hashable]] = defaultdict(Counter)
    for _, raster in _rasters(facts):
        if fact(raster) is not None:
            counts[raster.modality][fact(raster)] += 1
    usual = {modality: found.most_common(1)[0][0] for modality, found in counts.items()}
    for tile, raster in _rasters(facts):
        found = fact(raster)
        if found is not None and found != usual[raster.modality]:
            yield _finding(check, tile, raster, text.format(found, usual[raster.modality]), remedy)


def _rasters(facts: Sequence[TileFacts]) -> Iterator[tuple[TileFacts, RasterFacts]]:
    for tile in facts:
        for raster in tile.rasters:
            yield tile, raster


def _finding(check: str, tile: TileFacts, raster: RasterFacts, value: str, remedy: str) -> Finding:
    return Finding(check, "certain", tile.tile, raster.file, raster.bands, value, remedy)
