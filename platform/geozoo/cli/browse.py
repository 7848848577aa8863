"""``geozoo browse``: a web page over one or many zoos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = """
The page filters members by hyper-parameter and metric, draws distributions and training curves, shows the weights of a
member over epochs, and saves them. It is served to this machine alone until Ctrl-C. A zoo that is still being populated
is shown as it was at the start. A published zoo has the same page beside its files.

Examples:

\b
  geozoo browse digits-zoo
  geozoo browse s3://bucket/mnist-cnn-hyp mnist-published --port 8417
  geozoo browse digits-zoo --model digits-hyper
"""


def browse(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="URLs or folders of zoos.", show_default=False)],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 takes a free one.")] = 0,
    model: Annotated[
        str | None, typer.Option(metavar="URL", help="A trained hyper-representation for the embedding map.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as JSON.")] = False,
) -> None:
    """Serve a web page over one or many zoos."""
    import json

    from geozoo.cli.steps import step_progress
    from geozoo.report.browser import BrowserServer, open_shelf

    with step_progress() as on_step:
        shelves = [open_shelf(url, _embed(url, model, on_step) if model else None, on_step) for url in urls]
    with BrowserServer(shelves, port) as server:
        typer.echo(json.dumps({"url": server.url}) if as_json else f"{server.url} (Ctrl-C to end)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


browse.__doc__ = f"{browse.__doc__}\n{EXAMPLES}"


def _embed(url: str, model: str, on_step: Callable[[str, int, int], None]) -> bytes:
    """The embedding table of a zoo; a model that does not know its networks is the user's mistake."""
    from geozoo.hyper.trained import open_model
    from geozoo.report.browser.embedding import embed_members
    from geozoo.store import open_zoo

    return embed_members(open_zoo(url), open_model(model), on_step)
