"""``geozoo eo``: Earth-observation data and maps."""

import typer

from geozoo.cli.eo_check import check
from geozoo.cli.eo_embed import embed
from geozoo.cli.eo_ingest import ingest
from geozoo.cli.eo_map import map_

app = typer.Typer(name="eo", help="Check and prepare Earth-observation data.", rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Check and prepare Earth-observation data."""


for command in (check, ingest, embed):
    app.command()(command)
app.command("map")(map_)
