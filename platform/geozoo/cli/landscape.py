"""``geozoo landscape``: one HTML page of what the members of a zoo look like from several sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.hyper.analysis.sample import Embed
    from geozoo.report.landscape import LandscapePage
    from geozoo.store import Zoo

PAGE = "index.html"

DETAILS = """
Maps of weights, layer statistics and, with a model, its embedding; whether neighbours share properties; what seeds and
hyper-parameters explain; similarity of activations; loss surfaces; barriers between members before and after alignment.
Every analysis is bounded, and the page says by what. One that cannot be done is left out with a sentence: the last
three need the images that the zoo was trained on.

A name that ends in .html gets the page alone; a folder gets it as index.html, with every figure as SVG beside it.

Examples:

  geozoo landscape digits-zoo -o digits.html

  geozoo landscape s3://bucket/mnist-cnn-hyp -o landscape --model s3://bucket/hyper --json
"""


def landscape(
    url: Annotated[str, typer.Argument(help="URL or folder of a zoo.", show_default=False)],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE.html|FOLDER", help="What to write.", show_default=False)
    ],
    model: Annotated[
        str | None, typer.Option(metavar="URL", help="A trained hyper-representation to embed the members with.")
    ] = None,
    members: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="A member to look at closely; repeat for several.",
            show_default="spread over final accuracies",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the numbers as JSON instead of what was written.")
    ] = False,
) -> None:
    """Write a self-contained HTML page that shows a zoo's members by weights, behaviour and loss."""
    from geozoo.cli.steps import step_progress
    from geozoo.hyper.analysis.landscape import Analysis
    from geozoo.hyper.analysis.numbers import landscape_numbers
    from geozoo.report.landscape import render_landscape
    from geozoo.store import open_zoo

    zoo = open_zoo(url)
    path = _writable(output)
    embed = _embedding(model, zoo) if model else None
    with step_progress() as on_step:
        found = Analysis(zoo, members=members or (), embed=embed, progress=on_step).run()
        on_step("drawing", 0, 1)
        page = render_landscape(found)
    written = _write(path, page)
    if as_json:
        import json

        typer.echo(json.dumps(landscape_numbers(found), indent=2, allow_nan=False))
    else:
        typer.echo(str(written))


landscape.__doc__ = f"{landscape.__doc__}\n{DETAILS}"


def _writable(output: str) -> Path:
    """The path to write to, whose folder is made where it is the one to fill."""
    from pathlib import Path

    from geozoo.errors import InputError

    path = Path(output)
    folder = path.parent if path.suffix == ".html" else path
    try:
        if path.suffix != ".html":
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"folder {output!r} cannot be made ({error.strerror}): choose another.") from error
    if not folder.is_dir():
        raise InputError(f"{output!r} cannot be written: folder {str(folder)!r} does not exist; make it first.")
    return path


def _write(path: Path, page: LandscapePage) -> Path:
    if path.suffix == ".html":
        path.write_text(page.html, encoding="utf-8")
        return path
    for section in page.sections:
        for picture in section.pictures:
            name = f"{section.heading} {picture.heading}".lower()
            plain = "-".join("".join(one if one.isalnum() else " " for one in name).split())
            (path / f"{plain}.svg").write_text(picture.svg, encoding="utf-8")
    (path / PAGE).write_text(page.html, encoding="utf-8")
    return path / PAGE


def _embedding(model: str, zoo: Zoo) -> Embed:
    """The embedding of a trained model for the networks of a zoo."""
    from geozoo.hyper.trained import open_model

    trained = open_model(model)
    number = trained.zoo_of(zoo.layout)
    return lambda weights: trained.embed(weights, number)
