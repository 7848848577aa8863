"""``geozoo gc``: remove what no commit names."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Annotated

import typer


def gc(
    url: Annotated[str, typer.Argument(help="Where the zoo is: a folder, or s3://bucket/prefix.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Remove even while a run seems active.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was removed as JSON.")] = False,
) -> None:
    """Remove attempts that were never committed, surplus objects and the leases of dead runs.

    Examples of use:

      geozoo gc digits-zoo --dry-run

      geozoo gc s3://bucket/mnist

      geozoo gc s3://bucket/mnist --force

    While a run writes to the zoo nothing is removed; --force is for a run that is known to be dead. What a cohort that
    is not committed goes on from is kept.
    """
    from geozoo.store import collect_garbage

    garbage = collect_garbage(url, dry_run=dry_run, force=force)
    if json:
        typer.echo(json_module.dumps({"dry_run": dry_run, **asdict(garbage)}))
        return
    for kind, names in (
        ("uncommitted attempt", garbage.attempts),
        ("surplus", garbage.surplus),
        ("stale run", garbage.leases),
    ):
        for name in names:
            typer.echo(f"{kind}: {name}")
    for folder in garbage.kept:
        typer.echo(f"kept to go on from: {folder}")
    done = "would be removed" if dry_run else "removed"
    typer.echo(f"{garbage.objects} objects of {garbage.size / 1e6:.1f} MB {done}")
