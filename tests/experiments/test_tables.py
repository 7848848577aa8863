"""The page of results says what the results beside it say."""

from __future__ import annotations

import re
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


def test_the_other_tables_in_the_readme_are_those_of_the_page() -> None:
    readme = (FOLDER / "README.md").read_text()
    tables = runpy.run_path(str(FOLDER / "tables.py"))
    for line in tables["slides_table"]("mnist_unterthiner_1k").splitlines()[2:]:
        assert line.replace("|  ", "| ").rstrip(" |") in readme, line
    for zoo in tables["ZOOS"]:
        header, _, line = tables["scaled_table"](zoo).splitlines()
        cells = dict(zip(header.split("|"), line.split("|"), strict=True))
        left_out = (" principal components ", " equivariant network ")
        assert "|".join(cell for name, cell in cells.items() if name not in left_out)[1:] in readme, line
    final = tables["decoded_tables"]("mnist_cnn_1k").partition("All epochs")[0]
    for decoder in ("mnist_small", "mnist_small_behaviour"):
        row = next(line for line in final.splitlines() if line.startswith(f"| {decoder} |"))
        for cell in row.split("|")[2:8]:
            assert f"|{cell}|" in readme, (decoder, cell)
    row = next(line for line in final.splitlines() if line.startswith("| 64 principal components |"))
    values = re.sub(r" \([^)]*\)", "", row).split("|")
    assert "|".join([*values[2:8], values[9]]) in readme
