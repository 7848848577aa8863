"""``geozoo export``: what is trained here, for other tools; zoos and members are in `geozoo.cli.export_zoo`."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from geozoo.cli.export_zoo import add_commands

app = typer.Typer(name="export", help="Write what was trained for other tools.", rich_markup_mode=None)

EXAMPLES = """
The file is safetensors; timm loads it, and its metadata say which network it is, which bands it sees in which order,
and how they are scaled.

Examples:

\b
  geozoo export encoder simclr --view rgb -o encoder.safetensors
"""


@app.callback()
def _group() -> None:
    """Write what was trained for other tools."""


def encoder(
    model: Annotated[str, typer.Argument(help="URL of a trained model of kind ssl.")],
    view: Annotated[str, typer.Option("--view", metavar="NAME", help="Which of its encoders.")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="The .safetensors file to write.")],
    json: Annotated[bool, typer.Option("--json", help="Print the metadata as JSON.")] = False,
) -> None:
    """Write one encoder as a state dict of timm."""
    from geozoo.cli.output import refuse_missing_folder
    from geozoo.ssl.pretrained import export_encoder
    from geozoo.ssl.trained import open_views

    refuse_missing_folder(output)
    facts = export_encoder(open_views(model), view, output)
    typer.echo(json_module.dumps(facts) if json else output)


encoder.__doc__ = f"{encoder.__doc__}\n{EXAMPLES}"
app.command()(encoder)
add_commands(app)
