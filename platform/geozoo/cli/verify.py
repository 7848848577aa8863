"""``geozoo verify``: check that a zoo is what was committed."""

from __future__ import annotations

import json as json_module
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from geozoo.store import Report


def verify(
    url: Annotated[str, typer.Argument(help="Where the zoo is: a folder, or s3://bucket/prefix.")],
    digest: Annotated[bool, typer.Option("--digest", help="Recompute every member's digest from its data.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compare plans, commits and listing of a zoo and re-read every object.

    Examples of use:

      geozoo verify digits-zoo

      geozoo verify s3://bucket/mnist --digest

      geozoo verify digits-zoo --json

    The exit code is 0 for a zoo that is whole and has nothing besides, and 1 with any finding.
    """
    from geozoo.store import verify as verify_zoo

    with _progress() as on_bytes:
        report = verify_zoo(url, recompute_digest=digest, progress=on_bytes)
    if json:
        typer.echo(json_module.dumps({"clean": report.clean, **asdict(report)}))
    else:
        _print(report)
    if not report.clean:
        raise typer.Exit(1)


def _print(report: Report) -> None:
    for finding in report.findings:
        typer.echo(f"{finding.kind}: {finding.sentence}")
    outcome = "clean" if report.clean else f"{len(report.findings)} findings"
    typer.echo(f"{report.url}: {outcome}; {report.objects} objects, {report.size / 1e6:.1f} MB")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar over the bytes read, on standard error and only on a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from geozoo.cli.progress import console

    out = console()
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("verify", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
