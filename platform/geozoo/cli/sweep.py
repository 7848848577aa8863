"""``geozoo sweep``: what labels are worth, as a table over methods, fractions and seeds."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.ssl.downstream.bench import Bench
    from geozoo.ssl.downstream.rows import Row

EXAMPLES = """
Every row is kept when it is done: the same command goes on after a stop or a kill, and with more seeds, fractions or
methods it extends a table.

Examples:

\b
  geozoo sweep experiments/ssl/eurosat_labels.yaml --set chips=eurosat-chips --set model=simclr --to labels
  geozoo sweep my_labels.yaml --set chips=s3://bucket/chips --set model=simclr --to labels --figure labels.svg
  geozoo sweep experiments/ssl/onlysen1.yaml --set chips=dfc2020-chips --to onlysen1 --address auto --gpus-per-row 0.5
  geozoo sweep experiments/ssl/onlysen1.yaml --set chips=dfc2020-chips --to onlysen1 --keep best
"""


def sweep(
    experiment: Annotated[str, typer.Argument(help="Path of an experiment of kind labels, a YAML file.")],
    to: Annotated[str, typer.Option("--to", metavar="URL", help="A folder, or s3://bucket/prefix, for the rows.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the experiment; repeatable."),
    ] = None,
    gpus_per_row: Annotated[
        float, typer.Option(metavar="F", min=0, help="GPUs of each row; below 1 several share one.")
    ] = 0.0,
    local: Annotated[
        bool, typer.Option("--local", help="Run in this one process, on its GPU if it has one, without Ray.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="Use a running Ray cluster: auto, or host:port. Default: one on this machine.")
    ] = None,
    figure: Annotated[str | None, typer.Option(metavar="FILE", help="Draw the curves to an .svg or .png file.")] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Write the network of the row with the best validation score, for eo map."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Learn from fractions of the labels in several ways, and print what each is worth."""
    from geozoo.cli.output import refuse_missing_folder
    from geozoo.cli.progress import console
    from geozoo.cli.results import open_results
    from geozoo.cli.steps import step_progress
    from geozoo.errors import InputError
    from geozoo.report.sweep_view import sweep_figure, sweep_markdown
    from geozoo.ssl.downstream.bench import located, open_bench
    from geozoo.ssl.downstream.experiment import load_labels_experiment
    from geozoo.ssl.downstream.sweep import begin_sweep, plan_rows, read_rows
    from geozoo.ssl.downstream.table import tabulate
    from geozoo.training.distributed import own_device

    if local and (address or gpus_per_row):
        other = f"--address {address}" if address else f"--gpus-per-row {gpus_per_row:g}"
        raise InputError(f"--local and {other} exclude each other: give one.")
    if not local and to.startswith("memory://"):
        raise InputError(f"{to!r} is visible to one process only: add --local, or sweep to a folder or s3:// URL.")
    if figure:
        refuse_missing_folder(figure)
    chosen = located(load_labels_experiment(experiment, overrides or ()))
    bench = open_bench(chosen, own_device() if local or gpus_per_row else "cpu")
    location, kept = open_results(to), open_results(keep) if keep else None
    rows, planned = begin_sweep(bench, location.url), plan_rows(chosen)
    console().print(f"sweep {chosen.name}: {len(planned) - len(rows)} of {len(planned)} rows done, at {location.url}")
    with step_progress() as on_step:
        done = iter(range(len(planned) - len(rows) + 1, len(planned) + 1))

        def on_row() -> None:
            on_step("rows", next(done), len(planned))

        _run(bench, rows, location.url, on_row, local, address, gpus_per_row)
    wanted = {row.id for row in planned}
    results = [one for one in read_rows(location.url) if one.row.id in wanted]
    table = tabulate(results)
    if figure:
        sweep_figure(table, figure, chosen.title or chosen.name)
    if kept:
        from geozoo.ssl.downstream.predictor import keep_best

        card = keep_best(bench, results, kept)
        console().print(f"kept the network of row {card.row.id} at {kept.url}")
    about = {
        "experiment": chosen.name,
        "task": chosen.task,
        "data": bench.chips.header.name,
        "classes": bench.chips.header.classes,
        "test_chips": len(bench.parts.test),
    }
    typer.echo(json_module.dumps({**about, **table.model_dump(mode="json")}) if json else sweep_markdown(table))


sweep.__doc__ = f"{sweep.__doc__}\n{EXAMPLES}"


def _run(
    bench: Bench,
    rows: list[Row],
    url: str,
    on_row: Callable[[], None],
    local: bool,
    address: str | None,
    gpus_per_row: float,
) -> None:
    from geozoo.errors import InterruptedTrainingError, TrainingError

    if not rows:
        return
    try:
        if local:
            from geozoo.ssl.downstream.rows import run_row
            from geozoo.ssl.downstream.sweep import keep_row
            from geozoo.store import open_location

            for row in rows:
                keep_row(open_location(url), run_row(bench, row))
                on_row()
            return
        from geozoo.cluster.session import ray_session, results_only
        from geozoo.cluster.sweep import sweep_with_tune
        from geozoo.training.curves import run_folder

        with results_only(), ray_session(address):
            folder = run_folder(bench.experiment.name)
            errors = sweep_with_tune(bench.experiment, rows, url, folder, on_row, gpus_per_row=gpus_per_row)
    except KeyboardInterrupt:
        raise InterruptedTrainingError(
            f"interrupted; run the same command again to go on with the rows at {url}."
        ) from None
    if errors:
        name, cause = next(iter(errors.items()))
        raise TrainingError(
            f"{len(errors)} of {len(rows)} rows failed (row {name}: {cause.rstrip('.')}): see what ended them, and run "
            "the same command again to go on."
        )
