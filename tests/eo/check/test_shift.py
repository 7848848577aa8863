from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as move

from geozoo.eo.bands import SENTINEL1, SENTINEL2_L2A
from geozoo.eo.check import Finding, Undecided, check_collection
from geozoo.eo.check import shift as module
from geozoo.eo.check.scenes import MOST_TILES, SceneShifts, chosen_for_shift
from geozoo.eo.check.shift import CLEAR_PEAK, SEARCH, ShiftSums, estimate_shift, explained, shift_sums
from geozoo.eo.tiles import Collection, Raster, Tile
from tests.support.tiles import needs, real, write_raster

if TYPE_CHECKING:
    from pathlib import Path


def draw_pair(seed: int = 0, down: float = 0, right: float = 0, size: int = 96, noise: float = 1.0) -> tuple[Any, Any]:
    """Land that both sensors see, S1 darker where S2 is brighter, moved and with speckle."""
    draw = np.random.default_rng(seed)
    land = gaussian_filter(draw.normal(size=(2, size + 40, size + 40)), (0, 1.5, 1.5))
    land /= land.std()
    s1 = -12 - np.array([move(one, (down, right), order=3) for one in land]) + noise * draw.normal(size=land.shape)
    s2 = 1500 * np.exp(0.2 * np.array([land[0], land.sum(0), land[1], land[0] - land[1]]))
    return s1[:, 20:-20, 20:-20].astype("float32"), s2[:, 20:-20, 20:-20].astype("uint16")


def sums_of(*pairs: tuple[Any, Any]) -> ShiftSums:
    total = None
    for s1, s2 in pairs:
        sums = shift_sums(s1, s2)
        assert sums is not None
        total = sums if total is None else total + sums
    assert total is not None
    return total


@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, -2), (-8, 7), (0.5, 1.25)])
def test_a_known_shift(down: float, right: float) -> None:
    found = estimate_shift(sums_of(draw_pair(0, down, right)))
    assert found.down == pytest.approx(down, abs=0.3)
    assert found.right == pytest.approx(right, abs=0.3)
    assert found.clarity > CLEAR_PEAK


def test_linear_power_has_the_same_shift() -> None:
    s1, s2 = draw_pair(0, 3, -2)
    linear, decibels = (estimate_shift(sums_of((radar, s2))) for radar in (10 ** (s1 / 10), s1))
    assert (linear.down, linear.right) == pytest.approx((decibels.down, decibels.right), abs=1e-3)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -5)])
def test_what_is_explained_is_the_r2_of_least_squares_over_all_tiles(down: int, right: int) -> None:
    pairs = [draw_pair(seed, size=48) for seed in range(3)]
    rows, targets = [], []
    for s1, s2 in pairs:
        x = module._s2_texture(s2)[:, SEARCH:-SEARCH, SEARCH:-SEARCH].reshape(5, -1)
        y = module._s1_texture(s1)[:, SEARCH + down : 48 - SEARCH + down, SEARCH + right : 48 - SEARCH + right]
        rows.append((x - x.mean(1, keepdims=True)).T)
        targets.append((y.reshape(2, -1) - y.reshape(2, -1).mean(1, keepdims=True)).T)
    x, y = np.concatenate(rows), np.concatenate(targets)
    residual = ((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum(0)
    surface = explained(sums_of(*pairs))
    assert surface[SEARCH + down, SEARCH + right] == pytest.approx((1 - residual / (y**2).sum(0)).mean(), abs=5e-4)


def test_tiles_of_a_scene_add_up_to_what_one_does_not_tell() -> None:
    pairs = [draw_pair(seed, 4, 1, size=48, noise=8) for seed in range(24)]
    assert estimate_shift(sums_of(pairs[0])).clarity < CLEAR_PEAK
    pooled = estimate_shift(sums_of(*pairs))
    assert pooled.clarity > CLEAR_PEAK
    assert (pooled.down, pooled.right) == pytest.approx((4, 1), abs=0.5)


def test_unrelated_sensors_have_no_clear_shift() -> None:
    clear = [estimate_shift(sums_of((draw_pair(seed)[0], draw_pair(seed + 100)[1]))).clarity for seed in range(20)]
    assert sum(clarity >= CLEAR_PEAK for clarity in clear) <= 1


def test_what_cannot_contribute() -> None:
    s1, s2 = draw_pair()
    assert shift_sums(s1[:, :30, :30], s2[:, :30, :30]) is None
    assert shift_sums(np.where(s1 < -14, np.nan, s1), s2) is None
    empty = s2.copy()
    empty[:, :10] = 0
    assert shift_sums(s1, empty) is None


def scene_of(folder: Path, name: str, count: int, down: float, related: bool = True) -> list[Tile]:
    tiles = []
    for number in range(count):
        s1, s2 = draw_pair(number, down)
        if not related:
            s1 = draw_pair(number + 50)[0]
        radar = write_raster(folder / f"{name}{number}_s1.tif", s1)
        optical = write_raster(folder / f"{name}{number}_s2.tif", s2[[0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3]])
        rasters = {
            "s1": Raster.of_file("s1", radar, SENTINEL1),
            "s2": Raster.of_file("s2l2a", optical, SENTINEL2_L2A),
        }
        tiles.append(Tile(f"{name}{number}", rasters, name))
    return tiles


def said_of_shift(tiles: list[Tile]) -> list[Finding | Undecided]:
    return [word for word in check_collection(Collection("c", tuple(tiles))) if word.check == "shift"]


def test_scenes_are_judged_by_themselves(tmp_path: Path) -> None:
    right = scene_of(tmp_path, "right", 2, 0)
    moved = scene_of(tmp_path, "moved", 2, 3)
    unrelated = scene_of(tmp_path, "unrelated", 1, 0, related=False)
    said = said_of_shift([moved[0], right[0], unrelated[0], moved[1], right[1]])
    finding, undecided = sorted(said, key=lambda word: word.tile)
    assert isinstance(finding, Finding)
    assert (finding.tile, finding.file, finding.band) == ("moved", str(tmp_path / "moved0_s1.tif"), "VV VH")
    assert finding.value.startswith("S1 lies +3.0 pixels down and ")
    assert isinstance(undecided, Undecided)
    assert undecided.reason == "too little texture that both sensors see"


def test_a_scene_is_let_go_when_its_last_tile_was_seen(tmp_path: Path) -> None:
    tiles = scene_of(tmp_path, "a", 2, 3) + scene_of(tmp_path, "b", 1, 0)
    scenes = SceneShifts(tiles)
    sums = sums_of(draw_pair(0, 3))
    assert list(scenes.add(tiles[0], sums)) == []
    assert [said.tile for said in scenes.add(tiles[2], None)] == ["b"]
    assert [said.tile for said in scenes.add(tiles[1], None)] == ["a"]
    assert scenes._sums == {}


def test_only_the_first_tiles_of_a_scene_are_looked_at(tmp_path: Path) -> None:
    tile = scene_of(tmp_path, "a", 1, 0)[0]
    assert sum(chosen_for_shift([tile] * (MOST_TILES + 10))) == MOST_TILES


@needs("terramind_s1s2")
@pytest.mark.parametrize(("down", "right"), [(3, 0), (-2, 5)])
def test_a_real_scene_moved_by_whole_pixels(down: int, right: int) -> None:
    """What is put in is found on top of what the other half of the scene has as published."""
    from geozoo.eo.check.opened import open_tile

    place = "38D_378R_2_3.tif"
    rasters = {
        "s1": Raster.of_file("s1", real("terramind_s1s2") / "S1RTC" / place, SENTINEL1),
        "s2": Raster.of_file("s2l2a", real("terramind_s1s2") / "S2L2A" / place, SENTINEL2_L2A),
    }
    opened = open_tile(Tile("a", rasters, "a"))
    s1, s2 = opened.stack("s1"), opened.stack("s2", ("B02", "B03", "B04", "B08"))
    assert s1 is not None
    assert s2 is not None
    other = estimate_shift(sums_of((s1[..., :112], s2[..., :112])))
    moved = np.roll(s1, (down, right), (1, 2))[:, 8:-8, 112:-8], s2[:, 8:-8, 112:-8]
    found = estimate_shift(sums_of(moved))
    assert found.clarity > CLEAR_PEAK
    assert found.down - other.down == pytest.approx(down, abs=0.5)
    assert found.right - other.right == pytest.approx(right, abs=0.5)
