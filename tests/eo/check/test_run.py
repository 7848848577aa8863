from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from geozoo.eo.check import Finding, check_collection
from geozoo.eo.tiles import Collection
from tests.support.eo_tiles import CLASSES, collection_of, draw_pixels, write_tile

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.tiles import Tile


def certain(collection: Collection, workers: int = 1) -> list[Finding]:
    said = check_collection(collection, statistical=False, workers=workers)
    return [word for word in said if isinstance(word, Finding)]


def tiles_of(folder: Path, count: int = 3) -> list[Tile]:
    return [write_tile(folder, f"t{seed}", draw_pixels(seed)) for seed in range(count)]


def test_clean_tiles_in_different_utm_zones(tmp_path: Path) -> None:
    tiles = [*tiles_of(tmp_path), write_tile(tmp_path, "other", draw_pixels(9), crs="EPSG:32633")]
    assert certain(collection_of(*tiles)) == []


@pytest.mark.parametrize(
    ("check", "options", "part"),
    [
        ("crs", {"crs": None}, "is none where that of most tiles is projected"),
        ("crs", {"crs": "EPSG:4326", "resolution": 1e-4, "corner": (9, 48)}, "is geographic where"),
        ("resolution", {"resolution": 20}, "pixels of 20 where most tiles have 10"),
    ],
)
def test_a_tile_unlike_the_others(tmp_path: Path, check: str, options: dict[str, object], part: str) -> None:
    odd = write_tile(tmp_path, "odd", draw_pixels(9), **options)
    found = certain(collection_of(odd, *tiles_of(tmp_path)))
    assert {(finding.check, finding.tile) for finding in found} == {(check, "odd")}
    assert {finding.file for finding in found} == {raster.files[0].path for raster in odd.rasters.values()}
    assert all(part in finding.value for finding in found)


def test_a_tile_of_another_type(tmp_path: Path) -> None:
    pixels = draw_pixels(9)
    odd = write_tile(tmp_path, "odd", pixels | {"s2": pixels["s2"].astype("int16")})
    (found,) = certain(collection_of(odd, *tiles_of(tmp_path)))
    assert (found.check, found.tile, found.value) == ("dtype", "odd", "type int16 where most tiles have uint16")


def test_offsets_mixed_among_tiles(tmp_path: Path) -> None:
    from dataclasses import replace

    def dated(tile: Tile, baseline: str, offset: int = 0) -> Tile:
        raster = replace(tile.rasters["s2"], baseline=baseline, offset=offset)
        return replace(tile, rasters={**tile.rasters, "s2": raster})

    tiles = tiles_of(tmp_path)
    harmonised = [dated(tiles[0], "02.14"), dated(tiles[1], "05.09", -1000), dated(tiles[2], "05.10", -1000)]
    assert certain(collection_of(*harmonised)) == []
    found = certain(collection_of(*harmonised[:2], dated(tiles[2], "05.10")))
    assert {(finding.check, finding.tile) for finding in found} == {("offset", "t2"), ("mixed_offset", "t2")}


def test_duplicates_within_and_across_splits(tmp_path: Path) -> None:
    first = write_tile(tmp_path, "a", draw_pixels(1), split="train")
    same = write_tile(tmp_path, "b", draw_pixels(1), split="train")
    other = write_tile(tmp_path, "c", draw_pixels(1), split="test")
    found = certain(collection_of(first, same, other, *tiles_of(tmp_path, 1)))
    assert {(finding.check, finding.tile) for finding in found} == {("duplicate", "b"), ("duplicate", "c")}
    assert {finding.value for finding in found if finding.tile == "b"} == {"the same pixels as tile a"}
    across = "the same pixels as tile a, across the splits train and test"
    assert {finding.value for finding in found if finding.tile == "c"} == {across}


def test_masks_and_empty_rasters_are_no_duplicates(tmp_path: Path) -> None:
    tiles = [write_tile(tmp_path, f"t{seed}", draw_pixels(seed) | {"mask": draw_pixels()["mask"]}) for seed in range(2)]
    assert certain(collection_of(*tiles)) == []


def test_processes_find_the_same_in_the_same_order(tmp_path: Path) -> None:
    tiles = tiles_of(tmp_path, 6)
    (tmp_path / "s1" / "t2.tif").write_bytes(b"II*\0")
    alone = certain(collection_of(*tiles))
    assert [finding.check for finding in alone] == ["unreadable"]
    assert certain(collection_of(*tiles), workers=2) == alone


def test_memory_does_not_grow_with_pixels(tmp_path: Path) -> None:
    """300 tiles of 23 kB: what is kept is facts."""
    tile = write_tile(tmp_path, "a", {"s2": draw_pixels(size=30)["s2"]})
    collection = Collection("many", (tile,) * 300, CLASSES)
    tracemalloc.start()
    count = sum(1 for _ in check_collection(collection, statistical=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count >= 300
    assert peak < 2e6


def test_progress_counts_tiles(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    list(check_collection(collection_of(*tiles_of(tmp_path)), progress=lambda done, total: seen.append((done, total))))
    assert seen == [(1, 3), (2, 3), (3, 3)]
