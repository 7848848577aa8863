"""``geozoo show``: what is in a zoo and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.report.summary import ZooSummary

EXAMPLES = """
Examples:

  geozoo show digits-zoo

  geozoo show s3://bucket/mnist-cnn-hyp --json
"""


def show(
    url: Annotated[str, typer.Argument(help="URL or folder of a zoo.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Show what is in a zoo and how far it is."""
    from geozoo.report.summary import summarise
    from geozoo.store import open_zoo

    summary = summarise(open_zoo(url))
    if as_json:
        import json

        typer.echo(json.dumps(summary.to_dict(), indent=2))
        return
    _print(summary)


show.__doc__ = f"{show.__doc__}\n{EXAMPLES}"


def _print(summary: ZooSummary) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(summary):
        table.add_row(name, value)
    Console(highlight=False, markup=False).print(table)


def _lines(summary: ZooSummary) -> Iterator[tuple[str, str]]:
    from geozoo.report.words import describe_bytes, describe_checkpoints, describe_last, describe_seconds

    yield "zoo", f"{summary.name} at {summary.url}"
    if summary.title:
        yield "title", summary.title
    if summary.provenance:
        yield "provenance", summary.provenance
    if summary.origin:
        yield "imported from", summary.origin
    yield "images", f"{summary.dataset}, {summary.classes} classes"
    yield "network", f"{summary.network}, {summary.parameters:,} parameters"
    yield "engine", f"{summary.engine}, {summary.precision}; weights stored as {summary.dtype}"
    yield "members", f"{summary.committed_members:,} of {summary.members:,} committed"
    yield "states", f"{summary.states:,} in {describe_bytes(summary.stored_bytes)}"
    yield "checkpoints", describe_checkpoints(summary.checkpoints, best=summary.keeps_best)
    yield from summary.hyperparameters.items()
    if summary.constants:
        yield "the same for all", "; ".join(f"{name} {value}" for name, value in summary.constants.items())
    if summary.final_accuracy:
        quantiles = ", ".join(f"{name} {value:.1%}" for name, value in summary.final_accuracy.items())
        yield f"test accuracy at {describe_last(summary.checkpoints, best=summary.keeps_best)}", quantiles
    yield "diverged", f"{summary.diverged:,} members"
    if summary.how.cpus:
        yield "trained on", "; ".join(summary.how.cpus)
        yield "training time", f"{describe_seconds(summary.how.wall_seconds)}, summed over cohorts"
    if summary.digest:
        yield "digest", summary.digest
    else:
        yield "not committed", _pending(summary)


def _pending(summary: ZooSummary) -> str:
    cohorts = summary.uncommitted_cohorts
    shown = ", ".join(cohorts[:8]) + (", ..." if len(cohorts) > 8 else "")
    command = "import" if summary.origin else "populate"
    return f"{len(cohorts)} of {summary.cohorts} cohorts ({shown}): run geozoo {command} again to finish them"
