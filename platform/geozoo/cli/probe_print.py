"""Printing the tables of ``geozoo probe`` to a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table
    from rich.text import Text

    from geozoo.hyper.probing.labels import LabelTable
    from geozoo.hyper.probing.table import ProbeTable
    from geozoo.report.probe_view import Cell


def print_table(table: ProbeTable, name: str) -> None:
    """One block for the final epoch and one for all epochs, of all members: targets by feature sets."""
    from geozoo.report.probe_view import caption, column_titles, table_lines

    lines = table_lines(table)
    shown = list(dict.fromkeys(row.selection.describe() for row in table.rows if row.selection.members == "all"))
    blocks = []
    for selection in shown:
        block = _table(f"Properties read from the weights of {name}: {selection}")
        block.add_column("target", no_wrap=True)
        for title in column_titles(table):
            block.add_column(title, justify="right")
        block.add_column("floor", justify="right")
        for line in lines:
            if line.selection == selection:
                block.add_row(f"{line.target}\n{line.metric}", *map(_cell, line.cells), line.floor)
        blocks.append(block)
    _print(blocks, [*caption(table), "Every readout, and members above chance alone: add --full."])


def print_full_table(table: ProbeTable, name: str) -> None:
    """Every feature set and readout, one line each."""
    from geozoo.report.probe_view import caption, full_lines

    block = _table(f"Properties read from the weights of {name}")
    for heading in ("target", "states", "features", "readout"):
        block.add_column(heading)
    for heading in ("score", "95% interval", "τ", "validation", "chosen", "train / validation / test states"):
        block.add_column(heading, justify="right")
    before = None
    for line in full_lines(table):
        here = (line.target, line.selection)
        if before not in (None, here):
            block.add_section()
        heads = ("", "") if here == before else (f"{line.target}, {line.metric}", line.selection)
        cell = line.cell
        details = (cell.interval, cell.tau, line.validation, line.choice, line.states)
        block.add_row(*heads, line.features, cell.readout, _bold(cell.value, cell.best), *details)
        before = here
    _print([block], caption(table))


def print_curves(table: LabelTable, name: str) -> None:
    """Test scores by the number of labelled models: targets and feature sets by numbers."""
    from geozoo.report.labels_view import curve_lines, curves_caption

    block = _table(f"Properties read from the weights of few labelled members of {name}")
    block.add_column("target", no_wrap=True)
    block.add_column("features")
    for labels in table.labels:
        block.add_column(f"{labels} labels", justify="right")
    block.add_column("floor", justify="right")
    before = None
    for line in curve_lines(table):
        if before not in (None, line.target):
            block.add_section()
        head = "" if line.target == before else f"{line.target}, {line.metric}"
        block.add_row(head, line.features, *(_bold(text, is_best) for text, is_best in line.cells), line.floor)
        before = line.target
    _print([block], curves_caption(table))


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(title=title, box=box.SIMPLE_HEAD, collapse_padding=True, title_justify="left")


def _print(tables: Iterable[Table], sentences: Iterable[str]) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    for table in tables:
        console.print(table)
    for sentence in sentences:
        console.print(sentence)


def _bold(text: str, is_best: bool) -> Text:
    from rich.text import Text

    return Text(text, "bold" if is_best else "")


def _cell(cell: Cell | None) -> Text:
    from rich.text import Text

    if cell is None:
        return Text()
    details = " ".join(text for text in (cell.interval, cell.tau and f"τ {cell.tau}") if text)
    return Text.assemble(
        (cell.value, "bold" if cell.best else ""), (f" {cell.readout}\n{details}" if details else "", "dim")
    )
