"""The entry point: commands by name, and errors as one sentence with an exit code."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from geozoo.cli.audit import audit
from geozoo.cli.browse import browse
from geozoo.cli.card import card
from geozoo.cli.diff import diff
from geozoo.cli.eo import app as eo
from geozoo.cli.evaluate import evaluate
from geozoo.cli.export import app as export
from geozoo.cli.gc import gc
from geozoo.cli.import_zoo import app as import_
from geozoo.cli.landscape import landscape
from geozoo.cli.merge import merge
from geozoo.cli.populate import populate
from geozoo.cli.probe import probe
from geozoo.cli.publish import publish
from geozoo.cli.show import show
from geozoo.cli.sweep import sweep
from geozoo.cli.train import train
from geozoo.cli.tune import tune
from geozoo.cli.verify import verify
from geozoo.cluster import TRAIN_THREAD
from geozoo.errors import GeozooError

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED, MISUSED, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="geozoo",
    help="Populate, store and learn from populations of neural networks.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    *(populate, show, browse, probe, card, landscape, train, tune, sweep, evaluate),
    *(verify, audit, merge, diff, publish, gc),
):
    app.command()(command)
app.add_typer(eo)
app.add_typer(export)
app.add_typer(import_)


def _print_version(wanted: bool) -> None:
    if wanted:
        from geozoo import __version__

        typer.echo(f"geozoo {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. May stand anywhere.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Populate, store and learn from populations of neural networks."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 a failed run or a finding, 2 bad input, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        sys.exit(_run([word for word in words if word != "--debug"]))
    except (GeozooError, TyperException) as error:
        _complain(_sentence(error), error, debug)
        _leave(error.exit_code)
    except KeyboardInterrupt as error:
        _complain(str(error) or "interrupted.", error, debug)
        sys.exit(INTERRUPTED)
    except Exception as error:  # the boundary: a defect is reported as one, without a page of traceback
        text = " ".join(str(error).split())
        _complain(f"internal error, {type(error).__name__}: {text}; add --debug for the traceback.", error, debug)
        sys.exit(FAILED)


def _leave(code: int) -> NoReturn:
    """Exit; at once where a thread of Ray Train is left behind, which the interpreter's end could crash in."""
    if any(thread.name == TRAIN_THREAD for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(words: list[str]) -> int:
    """Run one command, without Typer's own handling of errors, and return the exit code."""
    try:
        with typer.main.get_command(app).make_context("geozoo", list(words or ["--help"])) as context:
            context.command.invoke(context)
    except typer.Exit as end:
        return end.exit_code if words else MISUSED
    return 0


def _sentence(error: GeozooError | TyperException) -> str:
    if isinstance(error, GeozooError):
        return f"{str(error).rstrip('.')}."
    context = getattr(error, "ctx", None)
    usage = context.command_path if context is not None else "geozoo"
    message = error.format_message()
    return f"{message[:1].lower()}{message[1:].rstrip('.')}: see {usage} --help."


def _complain(sentence: str, error: BaseException, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exception(error)
    sys.stderr.write(f"geozoo: {' '.join(sentence.split())}\n")
