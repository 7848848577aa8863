"""``geozoo eo map``: a kept network over a whole scene."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from geozoo.eo.tiles import Tile

EXAMPLES = """
Examples:

\b
  geozoo sweep experiments/ssl/d_swin_segmentation.yaml --set chips=dfc --set model=d_swin --to rows --keep best
  geozoo eo map best scenes/berlin --to berlin.tif --png berlin.png
  geozoo eo map best scenes --tile berlin --to berlin.tif --probability berlin_probability.tif
"""


def map_(
    predictor: Annotated[str, typer.Argument(help="URL that geozoo sweep --keep wrote to.")],
    scene: Annotated[str, typer.Argument(help="Folder or file of the scene, in a layout that geozoo eo check knows.")],
    to: Annotated[str, typer.Option("--to", metavar="FILE", help="The GeoTIFF to write: a class number a pixel.")],
    png: Annotated[str | None, typer.Option(metavar="FILE", help="Also write it as a picture.")] = None,
    probability: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write the probability of each class, as GeoTIFF.")
    ] = None,
    tile: Annotated[str | None, typer.Option(metavar="ID", help="Which tile, where there are several.")] = None,
    format: Annotated[str | None, typer.Option(metavar="NAME", help="Its layout; found out where not given.")] = None,
    stride: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Pixels from tile to tile. Default: half a tile.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Map the classes of a whole scene, tile by tile, without seams."""
    from geozoo.cli.output import refuse_missing_folder
    from geozoo.cli.steps import step_progress
    from geozoo.ssl.downstream.predictor import open_predictor
    from geozoo.ssl.downstream.scene_map import write_map, write_preview
    from geozoo.training.distributed import own_device

    for output in (to, png, probability):
        if output:
            refuse_missing_folder(output)
    opened, place = open_predictor(predictor, own_device()), _find_tile(scene, format, tile)
    with step_progress() as on_step:
        grid = write_map(opened, place, to, probability, stride, lambda done, total: on_step("map rows", done, total))
    if png:
        write_preview(to, png)
    outcome = {"file": to, "height": grid.height, "width": grid.width, "classes": opened.card.classes}
    typer.echo(json_module.dumps(outcome) if json else to)


map_.__doc__ = f"{map_.__doc__}\n{EXAMPLES}"


def _find_tile(scene: str, format: str | None, name: str | None) -> Tile:
    from geozoo.eo.readers import find_collection
    from geozoo.errors import InputError

    tiles = find_collection(scene, format).tiles
    chosen = [one for one in tiles if name in (None, one.id)]
    if len(chosen) != 1:
        some = ", ".join(one.id for one in tiles[:3])
        asked = f"no tile {name!r}" if name else f"{len(tiles)} tiles"
        raise InputError(f"{scene} has {asked} (such as {some}): name one with --tile")
    return chosen[0]
