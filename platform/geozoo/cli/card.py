"""``geozoo card``: one HTML page about a zoo."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = """
Examples:

  geozoo card digits-zoo -o digits.html

  geozoo card s3://bucket/mnist-cnn-hyp -o mnist.html --no-probe
"""


def card(
    url: Annotated[str, typer.Argument(help="URL or folder of a zoo.", show_default=False)],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE.html", help="File to write.", show_default=False)
    ],
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Read weights for map, neighbours and probe table.")
    ] = True,
) -> None:
    """Write a self-contained HTML page: accuracies, hyper-parameter effects, probes, how the zoo was made."""
    from pathlib import Path

    from geozoo.cli.output import refuse_missing_folder
    from geozoo.cli.steps import step_progress
    from geozoo.report.card import render_card
    from geozoo.store import open_zoo

    zoo = open_zoo(url)
    refuse_missing_folder(output)
    with step_progress() as on_step:
        page = render_card(zoo, with_probe=probe, progress=on_step)
    Path(output).write_text(page, encoding="utf-8")
    typer.echo(output)


card.__doc__ = f"{card.__doc__}\n{EXAMPLES}"
