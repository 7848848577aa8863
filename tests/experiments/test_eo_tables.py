"""The page of tables: slides' numbers as they are, ours from what a sweep printed."""

from __future__ import annotations

import json
import runpy
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import pytest

from geozoo.eo.labels import DFC_CLASSES
from geozoo.ssl.downstream.metrics import Score
from geozoo.ssl.downstream.rows import Candidate, Row, RowResult
from geozoo.ssl.downstream.table import tabulate
from tests.support.ssl_experiments import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

SLIDES = (
    "| OnlySen-1, slides | 80±15 | 57±2 | 18±17 | 0±0 | 75±10 | 67±9 | 58±2 | 97±2 | 57±3 | 62±1 |",
    "| SimCLR RGB, slides | 11±12 | 69±13 | 45±14 | 3±3 | 66±22 | 26±23 | 77±14 | 99±1 | 49±3 | 58±4 |",
    "| D-SimCLR, slides | 78±11 | 84±6 | 62±10 | 10±6 | 63±3 | 84±4 | 82±7 | 99±0 | 70±2 | 70±1 |",
    "| LateFusion, slides | 56±6 | 45±11 | 33±9 | 18±24 | 64±3 | 69±16 | 53±15 | 96±1 | 54±7 | 61±5 |",
    "| MMA, slides | 58±5 | 57±5 | 35±8 | 10±6 | 77±3 | 89±1 | 73±5 | 97±0 | 62±2 | 66±1 |",
)
EMPTY = "| MMA, here |  |  |  |  |  |  |  |  |  |  |"
RECALLS = {40: (0.5, 0.75, None, 0.0, 0.25, 1.0, 0.125, 0.9), 41: (0.7, 0.25, None, 0.1, 0.25, 1.0, 0.375, 0.8)}


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "tables.py"))


def result(seed: int, method: str, fraction: float = 1.0) -> RowResult:
    known = [value for value in RECALLS[seed] if value is not None]
    score = Score(main=0.01 * seed, overall=0.01 * seed, average=mean(known), per_class=RECALLS[seed])
    candidate = Candidate(rate=0.1, validation=score, test=score)
    row = Row.model_validate({"method": method, "fraction": fraction, "seed": seed})
    return RowResult(row=row, labels=9, updates=3, candidates=(candidate,), seconds=1.0)


def write_result(folder: Path, name: str, method: str, **changes: Any) -> None:
    results = [result(seed, method, fraction) for fraction in (0.1, 1.0) for seed in RECALLS]
    about = {"data": "dfc2020", "task": name[-6:], "classes": DFC_CLASSES, "test_chips": 5128}
    (folder / f"{name}.json").write_text(json.dumps({**about, **tabulate(results).model_dump(mode="json"), **changes}))


def test_the_page_in_the_repository_is_the_one_that_is_written(tables: dict[str, Any]) -> None:
    assert (FOLDER / "TABLES.md").read_text(encoding="utf-8") == tables["page"]()


def test_numbers_of_the_slides_are_as_they_are(tables: dict[str, Any], tmp_path: Path) -> None:
    lines = tables["page"](tmp_path).splitlines()
    assert all(line in lines for line in SLIDES)
    assert sum(line.count("±") for line in lines if "slides |" in line) == 2 * 7 * 10
    assert lines.count(EMPTY) == 2
    assert "SEN12MS are not part of this repository" in "\n".join(lines)


def test_averages_of_the_slides_are_those_of_their_classes(tables: dict[str, Any], tmp_path: Path) -> None:
    """A misread number would show: the mean of eight rounded classes is the average, up to rounding."""
    for line in tables["page"](tmp_path).splitlines():
        if ", slides |" in line:
            numbers = [int(cell.partition("±")[0]) for cell in line.split("|")[2:-1]]
            assert mean(numbers[:8]) == pytest.approx(numbers[8], abs=1.0), line


def test_ours_are_filled_from_rows(tables: dict[str, Any], tmp_path: Path) -> None:
    write_result(tmp_path, "dual_simclr_labels_single", "finetune")
    lines = tables["page"](tmp_path).splitlines()
    ours = [line for line in lines if line.startswith("| D-SimCLR, here |")]
    assert ours[0].split(" | ")[1:4] == ["60±14", "50±35", "–"]
    averages = [mean(value for value in RECALLS[seed] if value is not None) for seed in (40, 41)]
    expected = [f"{100 * mean(averages):.0f}±{100 * stdev(averages):.0f}", "40±1 |"]
    assert ours[0].split(" | ")[-2:] == expected
    assert ours[1].replace("|", "").strip() == "D-SimCLR, here"
    assert lines.count(EMPTY) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "little"}, "has data 'little', not 'dfc2020'"),
        ({"test_chips": 6}, "has test_chips 6, not 5128"),
        ({"task": "multi"}, "has task 'multi', not 'single'"),
        ({"cells": []}, "has no row 'scratch' of all labels"),
    ],
)
def test_results_of_something_else_are_refused(
    tables: dict[str, Any], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_result(tmp_path, "onlysen1_single", "scratch", **changes)
    with pytest.raises(ValueError, match=message):
        tables["page"](tmp_path)
