"""``geozoo probe``: what can be read from the weights of a zoo."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from geozoo.hyper.table import ProbeTable
    from geozoo.report.probe_view import Cell


class FeatureName(StrEnum):
    """What the readouts see of a state."""

    weights = "weights"
    stats = "stats"


class SplitName(StrEnum):
    """What is split into train, validation and test."""

    member = "member"
    seed = "seed"


DETAILS = """
Ridge or softmax regression and boosted trees, on flat weights and on layer statistics, are fitted to test accuracy,
generalization gap, epoch and every hyper-parameter that varies, and scored on members held out.

Examples:

  geozoo probe digits-zoo

  geozoo probe s3://bucket/mnist-cnn-hyp --features stats --split seed --target test_accuracy --json
"""


def probe(
    url: Annotated[str, typer.Argument(help="URL or folder of a zoo.", show_default=False)],
    features: Annotated[
        list[FeatureName] | None,
        typer.Option(help="Flat weights or layer statistics; repeat for both.", show_default="both"),
    ] = None,
    split: Annotated[
        SplitName, typer.Option(help="Split by member, or by seed where seeds are reused.")
    ] = SplitName.member,
    target: Annotated[
        list[str] | None, typer.Option(help="Only this property; repeat for several.", show_default="all that vary")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Predict properties of the members of a zoo from their weights."""
    from geozoo.cli.steps import step_progress
    from geozoo.hyper.features import FEATURE_SETS
    from geozoo.hyper.probe import probe as run_probe
    from geozoo.store import open_zoo

    zoo = open_zoo(url)
    with step_progress() as on_step:
        table = run_probe(
            zoo,
            features=[name.value for name in features or ()] or list(FEATURE_SETS),
            split=split.value,
            targets=target or (),
            progress=on_step,
        )
    if as_json:
        import json

        typer.echo(json.dumps(table.to_dict(), indent=2))
        return
    _print(table, zoo.header.name)


probe.__doc__ = f"{probe.__doc__}\n{DETAILS}"


def _print(table: ProbeTable, name: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from geozoo.report.probe_view import caption, column_titles, table_lines

    printed = Table(title=f"Properties read from the weights of {name}", box=box.SIMPLE_HEAD, collapse_padding=True)
    printed.add_column("target\nstates", no_wrap=True)
    for features, family in column_titles(table):
        printed.add_column(f"{features}\n{family}", justify="right")
    printed.add_column("floor", justify="right")
    for line in table_lines(table):
        cells = [_cell(cell) for cell in line.cells]
        printed.add_row(f"{line.target}, {line.metric}\n{line.selection}", *cells, line.floor, end_section=True)
    console = Console(highlight=False, markup=False)
    console.print(printed)
    for sentence in caption(table):
        console.print(sentence)


def _cell(cell: Cell | None) -> Text:
    from rich.text import Text

    if cell is None:
        return Text()
    details = "".join(f"\n{text}" for text in (cell.interval, cell.tau and f"τ {cell.tau}") if text)
    return Text.assemble((cell.value, "bold" if cell.best else ""), (details, "dim"))
