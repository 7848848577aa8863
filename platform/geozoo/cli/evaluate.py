"""``geozoo evaluate``: what trained models make of held-out members."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = """
Give several models of one experiment, trained with different seeds, to see their spread.

Examples:

\b
  geozoo evaluate digits-model --zoo digits-zoo
  geozoo evaluate model-0 model-1 model-2 --zoo s3://bucket/mnist --markdown
"""


def evaluate(
    models: Annotated[list[str], typer.Argument(help="URLs of trained models.", show_default=False)],
    zoo: Annotated[str, typer.Option("--zoo", metavar="URL", help="The zoo they were trained on.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables, as READMEs show.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Decode held-out members and score what comes out, beside trivial decoders."""
    from geozoo.cli.steps import step_progress
    from geozoo.hyper.decoding.evaluate import evaluate_models
    from geozoo.hyper.trained import open_model
    from geozoo.report.decoded_view import caption, layers_markdown, layers_tables, markdown_table, terminal_tables
    from geozoo.store import open_zoo

    trained, opened = [open_model(url) for url in models], open_zoo(zoo)
    with step_progress() as on_step:
        tables = evaluate_models(trained, opened, on_step)
    if as_json:
        import json

        typer.echo(json.dumps([table.to_dict() for table in tables], indent=2))
        return
    titles = {"final": "the last epoch", "all": "all epochs learned from"}
    for table in tables:
        title = f"Held-out members of {opened.header.name}, {titles[table.epochs]}"
        if markdown:
            typer.echo(f"{title}\n\n{markdown_table(table.decoders)}\n\n{caption(table.decoders)}\n")
            typer.echo(f"{layers_markdown(table.decoders)}\n")
        else:
            from rich.console import Console

            console = Console(highlight=False, markup=False)
            console.print(title)
            scores, layers = (view(table.decoders, console.width) for view in (terminal_tables, layers_tables))
            console.print(*scores, caption(table.decoders), *layers, sep="\n")


evaluate.__doc__ = f"{evaluate.__doc__}\n{EXAMPLES}"
