"""The page of results says what the results beside it say."""

from __future__ import annotations

import runpy
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "experiments" / "hyper"


def test_the_page_is_that_of_the_results() -> None:
    assert (FOLDER / "RESULTS.md").read_text() == runpy.run_path(str(FOLDER / "tables.py"))["page"]()


def test_the_summaries_in_the_readme_are_those_of_the_page() -> None:
    readme = (FOLDER / "README.md").read_text()
    tables = runpy.run_path(str(FOLDER / "tables.py"))
    for zoo in tables["ZOOS"]:
        header, _, *lines = tables["summary_table"](zoo).splitlines()
        left_out = header.split("|").index(" principal components ")
        for line in lines:
            cells = line.split("|")
            shown = "|".join(cell for place, cell in enumerate(cells[2:-1], start=2) if place != left_out)
            assert shown in readme, (zoo, line)
