"""``geozoo eo embed``: what trained encoders make of every chip, as GeoParquet."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

EXAMPLES = """
Examples:

\b
  geozoo eo embed simclr eurosat-chips -o embeddings.parquet
  geozoo eo embed s3://bucket/model s3://bucket/chips -o embeddings.parquet --json
"""


def embed(
    model: Annotated[str, typer.Argument(help="URL of a trained model of kind ssl.")],
    chips: Annotated[str, typer.Argument(help="URL of a chip store.")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="The Parquet file to write.")],
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Write the embedding of every chip, with its footprint, to a GeoParquet file."""
    from geozoo.cli.output import refuse_missing_folder
    from geozoo.cli.steps import step_progress
    from geozoo.eo.chips import open_chips
    from geozoo.ssl.embeddings import write_embeddings
    from geozoo.ssl.trained import open_views
    from geozoo.training.distributed import own_device

    refuse_missing_folder(output)
    trained, store = open_views(model, own_device()), open_chips(chips)
    with step_progress() as on_step:
        dim = write_embeddings(trained, store, output, lambda done: on_step("embed chips", done, len(store)))
    outcome = {"file": output, "chips": len(store), "dim": dim}
    typer.echo(json_module.dumps(outcome) if json else output)


embed.__doc__ = f"{embed.__doc__}\n{EXAMPLES}"
