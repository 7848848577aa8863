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
    member: Annotated[
        str | None,
        typer.Option("--member", metavar="ID", help="Of a published zoo, prove this member alone.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compare plans, commits and listing of a zoo and re-read every object.

    Examples of use:

      geozoo verify digits-zoo

      geozoo verify s3://bucket/mnist --digest

      geozoo verify digits-zoo --json

      geozoo verify s3://public/digits/1.0.0 --member 1f0c3a5be2d94876

    With --member only the chunks of weights and the row groups of tables that hold the member are read, which small
    networks share with others; its digest must lead to the root of the hash tree that is printed, and that a citation
    of the data set names.

    The exit code is 0 for a zoo that is whole and has nothing besides, and 1 with any finding.
    """
    from geozoo.store import verify as verify_zoo
    from geozoo.store.published_verify import verify_member

    if member is not None:
        proof = verify_member(url, member)
        text = f"member {proof.member}: digest {proof.digest}, {proof.proof} hashes lead to root {proof.root}"
        typer.echo(json_module.dumps(asdict(proof)) if json else text)
        return
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
