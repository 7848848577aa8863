"""The page on EuroSAT is written from what commands printed."""

from __future__ import annotations

import json
import runpy
from typing import TYPE_CHECKING, Any

import pytest

from geozoo.ssl.downstream.metrics import Score
from geozoo.ssl.downstream.rows import Candidate, Row, RowResult
from geozoo.ssl.downstream.table import tabulate
from tests.support.ssl_experiments import FOLDER

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def eurosat() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "eurosat.py"))


def row(method: str, seed: int, test: float) -> RowResult:
    score = Score(main=test, overall=test, average=test, per_class=(test, test))
    candidate = Candidate(rate=0.1, validation=score, test=score)
    named = Row.model_validate({"method": method, "fraction": 0.01, "seed": seed})
    return RowResult(row=named, labels=70, updates=300, candidates=(candidate,), seconds=1800.0)


def write_results(folder: Path) -> None:
    rows = [row("scratch", seed, 0.5 + 0.02 * seed) for seed in (0, 1)]
    rows += [row("probe", seed, 0.6 + 0.02 * seed) for seed in (0, 1)]
    about = {"test_chips": 2000, **tabulate(rows).model_dump(mode="json")}
    (folder / "eurosat_labels_shift.json").write_text(json.dumps(about))
    trained = {"device": "two cores", "epochs": 60, "seconds": 1500.0, "kept": {"validation_knn": 0.75}}
    (folder / "eurosat_simclr_shift.json").write_text(json.dumps(trained))
    one = {"memory": 1234, "seconds": 61.2, "knn": 0.7, "0.02": [0.5, 0.01], "0.1": [0.6, 0.02]}
    sizes = {"device": "a card", "sizes": {"64": one}}
    (folder / "eurosat_batch_sizes.json").write_text(json.dumps(sizes))


def test_the_page_in_the_repository_is_the_one_that_is_written(eurosat: dict[str, Any]) -> None:
    assert (FOLDER / "EUROSAT.md").read_text(encoding="utf-8") == eurosat["page"]()


def test_what_was_printed_is_on_the_page(eurosat: dict[str, Any], tmp_path: Path) -> None:
    write_results(tmp_path)
    page = eurosat["page"](tmp_path)
    assert "random split" not in page.partition("## Batch size")[0].partition("\n\n## ")[2]
    assert "60 epochs in 25 minutes on two cores; nearest neighbours on validation tiles 75.0 %" in page
    assert "Rows of the table, one after the other: 2.0 hours. Test tiles: 2,000." in page
    assert "| trained from scratch | 51.0±1.4 |" in page
    assert "| pre-trained, linear probe | **61.0±1.4** |" in page
    assert "| pre-trained (probe or fine-tuned) minus scratch, 95 % | +10.0 (+10.0 to +10.0) |" in page
    assert "same pre-training on a card, the" in page
    assert "| 64 | 1,234 | 61 | 70.0 | 50.0±1.0 | 60.0±2.0 |" in page


def test_figures_are_drawn(eurosat: dict[str, Any], tmp_path: Path) -> None:
    write_results(tmp_path)
    sizes = eurosat["read"](tmp_path / "eurosat_batch_sizes.json")
    eurosat["batch_figure"](sizes["sizes"], tmp_path / "sizes.svg")
    table = eurosat["table_of"](eurosat["read"](tmp_path / "eurosat_labels_shift.json"))
    eurosat["sweep_figure"](table, tmp_path / "curves.svg", "title")
    assert all("<svg" in (tmp_path / name).read_text() for name in ("sizes.svg", "curves.svg"))
