"""Exit codes and output of ``geozoo eo check``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geozoo.eo.bands import SENTINEL2_L1C
from tests.support.commands import geozoo
from tests.support.eo_tiles import draw_pixels, write_tile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clean tiles in the layout of the `folder` reader."""
    for seed, name in enumerate("ab"):
        write_tile(tmp_path, name, {key: value for key, value in draw_pixels(seed).items() if key != "mask"})
    return tmp_path


def damage(folder: Path) -> None:
    pixels = draw_pixels(1)
    pixels["s2"][3, 0, :5] = 0
    write_tile(folder, "b", {"s2": pixels["s2"]})


def test_clean_data_exit_0(folder: Path) -> None:
    outcome = geozoo("eo", "check", folder, "--no-statistical")
    assert outcome.code == 0
    assert "clean; 2 tiles" in outcome.out
    assert "not decidable 2 times: no metadata tell the processing baseline" in outcome.out


def test_findings_exit_1(folder: Path) -> None:
    damage(folder)
    outcome = geozoo("eo", "check", folder, "--no-statistical")
    assert outcome.code == 1
    line = outcome.out.splitlines()[0]
    assert line == (
        f"nodata           {folder}/s2/b.tif, B04: 5 of 144 (3.47%) pixels are 0, which means nodata; "
        "mask them, or drop the tile (certain)"
    )
    assert "1 findings; 2 tiles" in outcome.out


def test_the_check_goes_on_past_what_cannot_be_opened_or_is_missing(folder: Path) -> None:
    for seed, name in enumerate("cdef", 2):
        write_tile(folder, name, {key: value for key, value in draw_pixels(seed).items() if key != "mask"})
    (folder / "s1" / "a.tif").write_bytes(b"no raster")
    (folder / "s1" / "b.tif").unlink()
    write_tile(folder, "c", {"s2": draw_pixels(2)["s2"][:12]})
    outcome = geozoo("eo", "check", folder, "--no-statistical", "--json")
    assert outcome.code == 1, outcome.err
    found = {(one["check"], one["tile"], one["band"]) for one in json.loads(outcome.out)["findings"]}
    bands = " ".join(SENTINEL2_L1C)
    assert found == {("unreadable", "a", "VV VH"), ("missing", "b", "s1"), ("band_count", "c", bands)}


def test_json_holds_all_findings(folder: Path) -> None:
    damage(folder)
    outcome = geozoo("eo", "check", folder, "--format", "folder", "--no-statistical", "--json")
    assert outcome.code == 1
    report = json.loads(outcome.out)
    assert (report["tiles"], report["clean"], report["notes"]) == (2, False, [])
    (finding,) = report["findings"]
    assert finding.pop("sentence").startswith(f"{folder}/s2/b.tif, B04: ")
    assert finding == {
        "check": "nodata",
        "certainty": "certain",
        "tile": "b",
        "file": f"{folder}/s2/b.tif",
        "band": "B04",
        "value": "5 of 144 (3.47%) pixels are 0, which means nodata",
        "remedy": "mask them, or drop the tile",
    }
    assert {"check": "offset", "reason": "no metadata tell the processing baseline", "count": 2} in report["undecided"]


def test_statistical_findings_can_be_left_out(folder: Path) -> None:
    pixels = draw_pixels(1)
    write_tile(folder, "b", {"s1": 10 ** (pixels["s1"] / 10)})
    outcome = geozoo("eo", "check", folder)
    assert outcome.code == 1
    assert f"decibel          {folder}/s1/b.tif, VV: 0% of the numbers are negative" in outcome.out
    assert "(statistical)" in outcome.out
    assert geozoo("eo", "check", folder, "--no-statistical").code == 0


def test_json_of_clean_data(folder: Path) -> None:
    outcome = geozoo("eo", "check", folder, "--no-statistical", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["findings"] == []


def test_the_table_is_cut_and_says_so(folder: Path) -> None:
    for number in range(30):
        pixels = draw_pixels(number + 10)
        pixels["s2"][0, 0, 0] = 0
        write_tile(folder, f"c{number}", {key: value for key, value in pixels.items() if key != "mask"})
    outcome = geozoo("eo", "check", folder, "--no-statistical")
    assert outcome.out.count("which means nodata") == 20
    assert "nodata           and 10 more: --json prints all" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nowhere"], "nowhere does not exist"),
        ([".", "--format", "cassette"], "there is no format 'cassette'"),
        ([".", "--workers", "0"], "greater than or equal to 1"),
        ([], "missing argument 'path'"),
    ],
)
def test_bad_input_exits_2(arguments: list[str], part: str) -> None:
    outcome = geozoo("eo", "check", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert part in outcome.complaint


def test_help_has_examples() -> None:
    outcome = geozoo("eo", "check", "--help")
    assert outcome.code == 0
    assert "\n  Examples" in outcome.out
    assert outcome.out.count("geozoo eo check ") >= 3
