from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo.eo.bands import SENTINEL2_L1C, SENTINEL2_L2A
from geozoo.eo.check import Finding, check_collection
from geozoo.eo.check.dark import OFFSET_DARK, check_dark_offset, check_level, dark_minimum, haze
from geozoo.eo.check.radar import check_decibel
from geozoo.eo.tiles import Collection, Raster, Tile
from tests.support.eo_tiles import draw_pixels, findings, undecided, write_tile
from tests.support.tiles import needs, real, write_raster

if TYPE_CHECKING:
    from pathlib import Path


def draw_l2a(seed: int = 0, darkest: int = 60) -> Any:
    """Numbers of a surface scene: its darkest pixels alike in all bands."""
    draw = np.random.default_rng(seed)
    return (darkest + draw.gamma(2, 600, (12, 40, 40))).astype("uint16")


def tile_of(folder: Path, pixels: Any, offset: int = 0, name: str = "a") -> Tile:
    sensor, bands = ("s2l1c", SENTINEL2_L1C) if len(pixels) == 13 else ("s2l2a", SENTINEL2_L2A)
    raster = Raster.of_file(sensor, write_raster(folder / f"{name}.tif", pixels), bands, offset=offset)
    return Tile(name, {"s2": raster}, name)


class TestOffset:
    @pytest.mark.parametrize(
        ("carried", "added", "part"),
        [
            (0, 0, None),
            (1000, -1000, None),
            (1000, 0, "as if an offset of 1000 were still in it"),
            (0, -1000, "as if it had been taken off before"),
        ],
    )
    def test_what_is_left_after_the_readers_offset(
        self, tmp_path: Path, carried: int, added: int, part: str | None
    ) -> None:
        found = findings(check_dark_offset, tile_of(tmp_path, draw_l2a() + carried, added))
        assert [finding.certainty for finding in found] == ["statistical"] * (part is not None)
        assert all(part in finding.value for finding in found if part)

    def test_a_tile_without_dark_pixels_is_not_decidable(self, tmp_path: Path) -> None:
        tile = tile_of(tmp_path, draw_l2a(darkest=int(OFFSET_DARK[1]) + 200))
        assert findings(check_dark_offset, tile) == []
        assert undecided(check_dark_offset, tile) == ["no dark pixel"]

    def test_nodata_is_not_dark(self) -> None:
        bands = {"B02": np.concatenate([np.zeros(5000), np.arange(1000, 2000)])}
        assert dark_minimum(bands) == pytest.approx(np.percentile(np.arange(1000, 2000), 0.5))
        assert dark_minimum({"B02": np.zeros(5000)}) is None

    def test_mixed_among_tiles(self, tmp_path: Path) -> None:
        tiles = [tile_of(tmp_path, draw_l2a(seed) + 1000 * (seed == 3), name=f"t{seed}") for seed in range(5)]

        def mixed(chosen: list[Tile]) -> list[Finding]:
            said = check_collection(Collection("c", tuple(chosen)))
            return [word for word in said if isinstance(word, Finding) and word.check == "mixed_dark_offset"]

        assert mixed(tiles[:3]) == []
        (found,) = mixed(tiles)
        assert found.file == str(tmp_path / "t3.tif")
        assert found.value.startswith("1 of 5 tiles")


class TestLevel:
    def test_haze_over_dark_land_is_of_the_top_of_the_atmosphere(self, tmp_path: Path) -> None:
        pixels = draw_l2a()
        assert findings(check_level, tile_of(tmp_path, pixels)) == []
        pixels[0] += 1000
        (found,) = findings(check_level, tile_of(tmp_path, pixels))
        assert "as in s2l1c, not s2l2a" in found.value
        thirteen = np.insert(pixels, 10, 9 + pixels[0] % 5, axis=0)
        assert findings(check_level, tile_of(tmp_path, thirteen)) == []

    def test_the_offset_does_not_matter(self) -> None:
        pixels = draw_l2a()
        pixels[0] += 700
        bands = dict(zip(SENTINEL2_L2A, pixels, strict=True))
        with_offset = {name: band + 1000 for name, band in bands.items()}
        assert haze(with_offset) == pytest.approx(haze(bands))

    def test_bright_land_is_not_decidable(self, tmp_path: Path) -> None:
        pixels = draw_l2a()
        pixels[3] += 3000
        assert undecided(check_level, tile_of(tmp_path, pixels)) == ["no dark pixel in B01 and B04"]

    def test_scaled_reflectance_is_not_judged(self, tmp_path: Path) -> None:
        tile = tile_of(tmp_path, (np.insert(draw_l2a(), 10, 9, axis=0) / 1e4).astype("float32"))
        assert findings(check_level, tile) == findings(check_dark_offset, tile) == []

    @needs("terramind_s1s2")
    def test_real_tiles_of_one_place_at_both_levels(self) -> None:
        place = "637U_59R_1_3.tif"
        l1c = Raster.of_file("s2l1c", real("terramind_s1s2") / "S2L1C" / place, SENTINEL2_L1C)
        l2a = Raster.of_file("s2l2a", real("terramind_s1s2") / "S2L2A" / place, SENTINEL2_L2A)
        assert findings(check_level, Tile("a", {"a": l1c, "b": l2a}, "a")) == []
        taken = replace(l1c, sensor="s2l2a")
        assert len(findings(check_level, Tile("a", {"a": taken, "b": l2a}, "a"))) == 1


class TestDecibel:
    def test_linear_power(self, tmp_path: Path) -> None:
        pixels = draw_pixels()
        assert findings(check_decibel, write_tile(tmp_path, pixels=pixels)) == []
        linear = 10 ** (pixels["s1"] / 10)
        found = findings(check_decibel, write_tile(tmp_path, pixels=pixels | {"s1": linear}))
        assert [finding.band for finding in found] == ["VV", "VH"]
        assert "0% of the numbers are negative" in found[0].value

    def test_a_few_bright_targets_are_no_power(self, tmp_path: Path) -> None:
        pixels = draw_pixels()
        pixels["s1"][:, :3] = 5
        assert findings(check_decibel, write_tile(tmp_path, pixels=pixels)) == []
