"""``geozoo publish``: a finished zoo as a data set that stands alone."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Annotated

import typer

EXAMPLES = """
DEST is a new folder or S3 prefix and holds this one version for good: give the next one a place of its own. It opens
with geozoo.open_zoo, and with xarray and DuckDB without geozoo. Interrupted, the same command goes on where it was;
run again when complete, it verifies what is there and changes nothing.

Examples:

\b
  geozoo publish digits-zoo --to published/digits/1.0.0 --license CC-BY-4.0 --author "Lovelace, Ada"

\b
  geozoo publish s3://bucket/mnist --to s3://public/mnist/1.1.0 --version 1.1.0 --license CC0-1.0 \\
      --author "Lovelace, Ada" --author "An Institute" --doi 10.5281/zenodo.1234567
"""


def publish(
    url: Annotated[str, typer.Argument(help="URL or folder of a finished zoo.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="DEST", help="New folder or S3 prefix.", show_default=False)],
    license: Annotated[
        str, typer.Option("--license", metavar="SPDX", help="Licence, as CC-BY-4.0 or CC0-1.0.", show_default=False)
    ],
    author: Annotated[
        list[str],
        typer.Option(
            "--author", metavar="NAME", help="'Family, Given', or an organisation; once for each.", show_default=False
        ),
    ],
    title: Annotated[
        str | None, typer.Option("--title", help="Title of the data set; default: the recipe's.", show_default=False)
    ] = None,
    version: Annotated[str, typer.Option("--version", help="Version, three numbers.")] = "1.0.0",
    doi: Annotated[str | None, typer.Option("--doi", help="DOI reserved for this version.", show_default=False)] = None,
    page: Annotated[
        str | None, typer.Option("--page", metavar="URL", help="Web page of the data set.", show_default=False)
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Read weights for the card's map, neighbours and probe table.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print what was published as JSON.")] = False,
) -> None:
    """Publish a finished zoo as a data set that stands alone: merged, described, checksummed, never to change."""
    from datetime import UTC, datetime

    from geozoo.cli.steps import step_progress
    from geozoo.interchange.publishing.edition import Edition
    from geozoo.interchange.publishing.publish import publish as publish_zoo
    from geozoo.report.published import published_pages
    from geozoo.store import open_zoo

    header = open_zoo(url).header
    edition = Edition.check(
        title=title if title is not None else str(header.recipe.get("title") or header.name),
        version=version,
        license=license,
        authors=author,
        doi=doi,
        url=page,
        date=datetime.now(UTC).date(),
    )
    with step_progress() as on_step:
        done = publish_zoo(
            url,
            to,
            edition,
            pages=lambda zoo, address: published_pages(zoo, address, with_probe=probe, progress=on_step),
            progress=on_step,
        )
    if json:
        typer.echo(json_module.dumps(asdict(done)))
        return
    state = f"{done.sent} of {done.objects} objects sent" if done.sent else f"{done.objects} objects were there already"
    typer.echo(
        f"{done.url}: version {done.version}, {done.members:,} members, {done.size / 1e6:.1f} MB; {state}, verified"
    )
    typer.echo(f"digest {done.digest}")
    typer.echo(f"root {done.root}")


publish.__doc__ = f"{publish.__doc__}\n{EXAMPLES}"
