"""``geozoo import``: other people's zoos."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geozoo.interchange.registry import IMPORTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.datasets import DatasetOptions, ImageSet
    from geozoo.interchange.check import Checked
    from geozoo.interchange.importing import Imported
    from geozoo.interchange.registry import Importer
    from geozoo.interchange.sources.source import Source

app = typer.Typer(name="import", help="Import a zoo of another format.", rich_markup_mode=None)

SHOWN = 3
NOTES = """
Files are read as data: one that holds more than tensors and plain values is refused, and nothing of it runs. Run the
same command again to finish an import that was interrupted.

Examples:

\b
  geozoo import tune tune_zoo_mnist_uniform --to mnist-zoo --images mnist --check 5
  geozoo import pt dataset_cifar_small_hyp_fix.pt --to cifar-zoo
  geozoo import unterthiner mnist --to small-cnn-zoo --images mnist --check 5
  geozoo import files states/ --to s3://bucket/states
  geozoo import hub checkpoints/ --to vits
"""


@app.callback()
def _group() -> None:
    """Import a zoo of another format."""


def _command(importer: Importer) -> Callable[..., None]:
    def command(
        source: Annotated[str, typer.Argument(metavar="SRC", help="What to import.")],
        to: Annotated[str, typer.Option("--to", metavar="URL", help="A folder, or s3://bucket/prefix.")],
        name: Annotated[str | None, typer.Option(help="Name of the zoo; by default that of the source.")] = None,
        keep: Annotated[
            str,
            typer.Option(
                metavar="epochs|members",
                help="Where states are missing: leave out members that lack an epoch, or epochs that a member lacks.",
            ),
        ] = "epochs",
        images: Annotated[str | None, typer.Option(metavar="NAME", help="The image set of its networks.")] = None,
        images_path: Annotated[str | None, typer.Option(metavar="PATH", help="Where that image set is.")] = None,
        check: Annotated[
            int, typer.Option(metavar="N", min=0, help="Evaluate N members on test images against what was logged.")
        ] = 0,
        json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    ) -> None:
        _import(importer, source, to, name, keep, images, images_path, check, json)

    command.__doc__ = f"Import {importer.summary}.\n\nSRC is {importer.source}.\n{NOTES}"
    return command


for _importer in IMPORTERS.values():
    app.command(name=_importer.kind)(_command(_importer))


def _import(
    importer: Importer,
    src: str,
    to: str,
    name: str | None,
    keep: str,
    images_name: str | None,
    images_path: str | None,
    check: int,
    json: bool,
) -> None:
    from pathlib import Path

    from geozoo.cli.steps import step_progress
    from geozoo.errors import InputError, InterruptedRunError
    from geozoo.interchange.check import check_members
    from geozoo.interchange.importing import import_zoo, refuse_overlap, zoo_name
    from geozoo.store import open_location, refuse_unsafe_endpoint

    if keep not in ("epochs", "members"):
        raise InputError(f"--keep {keep!r} is neither epochs nor members: choose one of the two.")
    if images_path is not None and images_name is None:
        raise InputError(f"--images-path {images_path!r} says where and not which: add --images NAME.")
    path = Path(src).expanduser()
    source = importer.open(path)
    options, images = _images(source, images_name, images_path)
    location = open_location(to)
    refuse_overlap(path, location)
    refuse_unsafe_endpoint(location)
    chosen = {"name": name or zoo_name(source.name), "keep": keep, "images": images, "options": options}
    try:
        with step_progress() as on_step:
            done = import_zoo(source, location.url, **chosen, on_step=on_step)  # type: ignore[arg-type]
            checked = check_members(done.zoo, source, images, check, on_step) if check else []
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"interrupted; what is committed stands: run the same command again to finish {location.url}."
        ) from None
    _print(done, checked, json)
    if any(not one.agrees for one in checked):
        raise typer.Exit(1)


def _images(source: Source, name: str | None, path: str | None) -> tuple[DatasetOptions | None, ImageSet | None]:
    if name is None:
        return None, None
    from geozoo.datasets import IMAGE_SETS, DatasetOptions, load_image_set
    from geozoo.errors import InputError
    from geozoo.recipe.load import parse_document

    if name not in IMAGE_SETS:
        raise InputError(f"--images {name!r} is no image set: choose one of {', '.join(sorted(IMAGE_SETS))}.")
    options = parse_document({"name": name, "path": path}, DatasetOptions, "--images")
    return options, source.prepare(load_image_set(options))


def _print(done: Imported, checked: list[Checked], as_json: bool) -> None:
    from dataclasses import asdict

    zoo = done.zoo
    outcome: dict[str, Any] = {
        "url": zoo.url,
        "members": len(zoo.members),
        "states": len(zoo.members) * len(zoo.checkpoints),
        "network": zoo.header.recipe.get("network", {}).get("name"),
        "left_out": done.left_out,
        "check": [asdict(one) | {"agrees": one.agrees} for one in checked],
        "digest": zoo.digest(),
    }
    if as_json:
        typer.echo(json_module.dumps(outcome))
        return
    network = outcome["network"] or "a network that is not in the catalogue"
    typer.echo(f"{zoo.url}: {outcome['members']:,} members, {outcome['states']:,} states of {network}")
    for reason, names in done.left_out.items():
        more = ", ..." if len(names) > SHOWN else ""
        typer.echo(f"left out, {reason}: {len(names):,} ({', '.join(names[:SHOWN])}{more})")
    for one in checked:
        verdict = "agrees" if one.agrees else "DIFFERS"
        typer.echo(f"member {one.member} at epoch {one.epoch}: {one.here:.2%} here, {one.logged:.2%} logged, {verdict}")
    typer.echo(f"digest {outcome['digest']}")
