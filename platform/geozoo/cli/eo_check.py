"""``geozoo eo check``: find the faults of a data set before a model learns them."""

from __future__ import annotations

import json as json_module
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from geozoo.eo.check import Finding, Undecided
    from geozoo.eo.tiles import Collection

SHOWN = 20
"""Findings of one check that the table shows."""


def check(
    path: Annotated[str, typer.Argument(help="Folder or file of a data set.", show_default=False)],
    format: Annotated[
        str | None, typer.Option("--format", help="Its layout; by default the first that fits.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
    statistical: Annotated[
        bool, typer.Option(help="Also judge by how pixels usually are: some of these findings may be wrong.")
    ] = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read tiles.")] = 1,
) -> None:
    """Find the faults of a data set: bands, offsets, nodata, grids, labels, duplicates, shifted sensors.

    Examples of use:

      geozoo eo check EuroSAT_MS

      geozoo eo check BigEarthNet --format bigearthnet --workers 8

      geozoo eo check EuroSAT_MS --no-statistical --json

    Each finding names file, band, value and remedy, and whether it is certain (by metadata or bytes) or statistical. A
    check that cannot decide says so. The exit code is 0 for clean data, 1 with any finding, 2 for bad input.
    """
    from geozoo.eo.check import check_collection
    from geozoo.eo.readers import find_collection

    collection = find_collection(path, format)
    with _progress() as on_tile:
        said = check_collection(collection, statistical=statistical, workers=workers, progress=on_tile)
        found = (_print_json if json else _print_table)(said, collection)
    if found:
        raise typer.Exit(1)


def _print_table(said: Iterable[Finding | Undecided], collection: Collection) -> int:
    """Print findings as they come, and at the end what was left out and what could not be decided."""
    from geozoo.eo.check import Finding

    findings: Counter[str] = Counter()
    undecided: Counter[tuple[str, str]] = Counter()
    for word in said:
        if isinstance(word, Finding):
            findings[word.check] += 1
            if findings[word.check] <= SHOWN:
                typer.echo(f"{word.check:<16} {word.sentence}")
        else:
            undecided[word.check, word.reason] += 1
    for check_name, count in findings.items():
        if count > SHOWN:
            typer.echo(f"{check_name:<16} and {count - SHOWN:,} more: --json prints all")
    for (check_name, reason), count in undecided.items():
        typer.echo(f"{check_name:<16} not decidable {count:,} times: {reason}")
    for note in collection.notes:
        typer.echo(f"{'note':<16} {note}")
    total = findings.total()
    typer.echo(f"{collection.name}: {f'{total:,} findings' if total else 'clean'}; {len(collection.tiles):,} tiles")
    return total


def _print_json(said: Iterable[Finding | Undecided], collection: Collection) -> int:
    """Print one object, its findings as they come."""
    from geozoo.eo.check import Finding

    undecided: Counter[tuple[str, str]] = Counter()
    total = 0
    about = {"collection": collection.name, "tiles": len(collection.tiles), "notes": collection.notes}
    typer.echo(f'{json_module.dumps(about)[:-1]}, "findings": [')
    for word in said:
        if isinstance(word, Finding):
            typer.echo(f"{',' if total else ''}{json_module.dumps(asdict(word) | {'sentence': word.sentence})}")
            total += 1
        else:
            undecided[word.check, word.reason] += 1
    reasons = [{"check": check, "reason": reason, "count": count} for (check, reason), count in undecided.items()]
    typer.echo(f'], "undecided": {json_module.dumps(reasons)}, "clean": {json_module.dumps(not total)}}}')
    return total


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar over tiles, on standard error and only on a terminal."""
    from geozoo.cli.steps import step_progress

    with step_progress() as on_step:
        yield lambda done, total: on_step("check", done, total)
