"""``geozoo eo ingest``: from the files of a data set to a chip store."""

from __future__ import annotations

import json as json_module
import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Generator

    from geozoo.eo.chips.header import Onto
    from geozoo.eo.chips.ingest import Part

EXAMPLES = """
What is ingested stays: the same command finishes an ingest that was stopped or killed.

Examples:

\b
  geozoo eo ingest data/eurosat_rgb --to eurosat-chips
  geozoo eo ingest data/SEN12MS --to s3://bucket/sen12ms --size 256 --workers 8
  geozoo eo ingest data/tiles --to chips --size 64 --stride 32 --bands s2=B04,B03,B02 --address auto
  geozoo eo ingest data/scenes --to chips --size 256 --crs EPSG:32632 --resolution 10
"""


def ingest(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The folder (or file) of a data set.")],
    to: Annotated[str, typer.Option("--to", metavar="URL", help="A folder, or s3://bucket/prefix, for the chips.")],
    format: Annotated[str | None, typer.Option(metavar="NAME", help="Its layout; found out where not given.")] = None,
    size: Annotated[int, typer.Option(metavar="N", min=1, help="Side of a chip in pixels.")] = 64,
    stride: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Pixels from chip to chip. Default: the size.")
    ] = None,
    bands: Annotated[
        list[str] | None,
        typer.Option("--bands", metavar="MODALITY=B04,B03", help="Keep these bands of a modality; repeatable."),
    ] = None,
    crs: Annotated[
        str | None, typer.Option(metavar="EPSG:N", help="Bring all tiles to this CRS; needs --resolution.")
    ] = None,
    resolution: Annotated[
        float | None, typer.Option(metavar="X", help="Side of a pixel in units of --crs; needs --crs.")
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes on this machine.")] = 1,
    address: Annotated[
        str | None, typer.Option(help="Cut on a running Ray cluster, through Ray Data: auto, or host:port.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Cut the tiles of a data set into chips once, for training to read."""
    from geozoo.cli.progress import console
    from geozoo.cli.steps import step_progress
    from geozoo.eo.chips.ingest import begin_ingest, finish_ingest
    from geozoo.eo.readers import find_collection
    from geozoo.errors import InputError
    from geozoo.store import open_location, refuse_unsafe_endpoint

    if to.startswith("memory://"):
        raise InputError(f"{to!r} is visible to one process only: ingest to a folder or an s3:// URL.")
    onto = _onto(crs, resolution)
    started = time.monotonic()
    location = open_location(to)
    refuse_unsafe_endpoint(location)
    collection = find_collection(source, format)
    count = len(collection.tiles)
    console().print(f"{collection.name}: {count:,} tiles, to {location.url}")
    with step_progress() as on_step:
        measured = iter(range(1, count + 1))
        parts = begin_ingest(
            collection,
            location.url,
            size,
            stride,
            _bands(bands or []),
            onto,
            lambda: on_step("measure tiles", next(measured, count), count),
        )
        try:
            with closing(_cut(parts, workers, address)) as cut:
                for done, _ in enumerate(cut, 1):
                    on_step("cut parts", done, len(parts))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted: what is cut stays; run the same command to go on.") from None
    header = finish_ingest(location.url)
    seconds = time.monotonic() - started
    if json:
        outcome = {"url": location.url, "chips": header.count, "parts": len(parts), "seconds": round(seconds, 1)}
        typer.echo(json_module.dumps(outcome))
        return
    rate = sum(len(part.rows) for part in parts) / max(seconds, 1e-9)
    console().print(f"{header.count:,} chips of {header.size} pixels in {seconds:.0f} s ({rate:,.0f} a second).")
    typer.echo(location.url)


ingest.__doc__ = f"{ingest.__doc__}\n{EXAMPLES}"


def _bands(given: list[str]) -> dict[str, tuple[str, ...]]:
    from geozoo.errors import InputError

    chosen = {}
    for one in given:
        modality, separator, names = one.partition("=")
        if not separator or not names:
            raise InputError(f"--bands {one!r} is not MODALITY=BAND,BAND: write for example --bands s2=B04,B03,B02")
        chosen[modality.strip()] = tuple(name.strip() for name in names.split(","))
    return chosen


def _onto(crs: str | None, resolution: float | None) -> Onto | None:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    from geozoo.eo.chips.header import Onto
    from geozoo.errors import InputError

    if crs is None and resolution is None:
        return None
    if crs is None or resolution is None or resolution <= 0:
        raise InputError(
            f"--crs {crs} with --resolution {resolution} is no grid: give both, as --crs EPSG:32632 --resolution 10"
        )
    try:
        return Onto(crs=CRS.from_user_input(crs).to_string(), resolution=resolution)
    except CRSError:
        raise InputError(f"--crs {crs!r} is unknown to PROJ: give a code such as EPSG:32632") from None


def _cut(parts: list[Part], workers: int, address: str | None) -> Generator[int, None, None]:
    """Cut all parts, yielding as each is done; the first error ends it."""
    from geozoo.eo.chips.workers import cut_parts

    if address is None:
        yield from cut_parts(parts, workers)
        return
    from geozoo.cluster.ingest import cut_with_ray
    from geozoo.cluster.session import ray_session, results_only

    with results_only(), ray_session(address):
        yield from cut_with_ray(parts)
