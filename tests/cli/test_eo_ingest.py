"""Exit codes and output of ``geozoo eo ingest``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geozoo.eo.chips import open_chips
from tests.support.chip_stores import draw_modality, make_tile
from tests.support.commands import geozoo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tiles of Sentinel-1 and a mask in the layout of the `folder` reader."""
    for number in range(2):
        pixels = {name: draw_modality(name, 20, 20, number) for name in ("s1", "mask")}
        make_tile(tmp_path / "data", f"t{number}", pixels, corner=(500_000 + 200 * number, 5_300_000))
    return tmp_path / "data"


def test_an_ingest_prints_the_place_of_the_store(folder: Path, tmp_path: Path) -> None:
    outcome = geozoo("eo", "ingest", folder, "--to", tmp_path / "chips", "--size", 8, "--stride", 4)
    assert (outcome.code, outcome.out) == (0, f"{tmp_path}/chips\n")
    assert "data: 2 tiles, to" in outcome.err
    assert "32 chips of 8 pixels in" in outcome.err
    chips = open_chips(tmp_path / "chips")
    assert {name: array.bands for name, array in chips.header.arrays.items()} == {
        "mask": ("label",),
        "s1": ("VV", "VH"),
    }
    assert chips.index["label"].notna().all()


def test_json_and_the_same_command_again(folder: Path, tmp_path: Path) -> None:
    command = ("eo", "ingest", folder, "--to", tmp_path / "chips", "--size", 8, "--bands", "s1=VH", "--json")
    for parts in (1, 0):
        outcome = json.loads(geozoo(*command).out)
        assert outcome.pop("seconds") >= 0
        assert outcome == {"url": f"{tmp_path}/chips", "chips": 8, "parts": parts}
    assert open_chips(tmp_path / "chips").header.arrays["s1"].bands == ("VH",)


def test_onto_another_grid(folder: Path, tmp_path: Path) -> None:
    options = ("--size", 8, "--crs", "epsg:3035", "--resolution", 10)
    assert geozoo("eo", "ingest", folder, "--to", tmp_path / "chips", *options).code == 0
    assert set(open_chips(tmp_path / "chips").index["crs"]) == {"EPSG:3035"}


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--size", 21), "tile t0 has 20x20 pixels, less than a chip of 21"),
        (("--bands", "s1"), "--bands 's1' is not MODALITY=BAND,BAND"),
        (("--bands", "s2=B02"), "there is no modality 's2'"),
        (("--crs", "EPSG:3035"), "--crs EPSG:3035 with --resolution None is no grid: give both"),
        (("--resolution", 10), "--crs None with --resolution 10.0 is no grid: give both"),
        (("--crs", "EPSG:3035", "--resolution", -1), "with --resolution -1.0 is no grid"),
        (("--crs", "Mars", "--resolution", 10), "--crs 'Mars' is unknown to PROJ"),
        (("--to", "memory://here"), "'memory://here' is visible to one process only"),
        (("--to", "ftp://there"), "'ftp://there' cannot be a zoo store"),
        (("--format", "cassette"), "there is no format 'cassette'"),
    ],
)
def test_bad_input_exits_2(folder: Path, tmp_path: Path, options: tuple[object, ...], part: str) -> None:
    outcome = geozoo("eo", "ingest", folder, *(() if "--to" in options else ("--to", tmp_path / "chips")), *options)
    assert (outcome.code, outcome.out) == (2, "")
    last = outcome.err.splitlines()[-1]
    assert last.startswith("geozoo: ")
    assert part in last


def test_another_plan_exits_2(folder: Path, tmp_path: Path) -> None:
    assert geozoo("eo", "ingest", folder, "--to", tmp_path / "chips", "--size", 8).code == 0
    outcome = geozoo("eo", "ingest", folder, "--to", tmp_path / "chips", "--size", 10)
    assert outcome.code == 2
    assert "holds chips of another plan (8 of 8 pixels from data; this one has 8 of 10 from data)" in outcome.err


def test_help_has_examples() -> None:
    outcome = geozoo("eo", "ingest", "--help")
    assert outcome.code == 0
    assert outcome.out.count("geozoo eo ingest ") >= 3
