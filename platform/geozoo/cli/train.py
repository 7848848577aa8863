"""``geozoo train``: from an experiment to a trained model."""

from __future__ import annotations

import json as json_module
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geozoo.cli.kinds import Kind

EXAMPLES = """
A run that was stopped or killed goes on from its last checkpoint when the same command is given again.

Examples:

\b
  geozoo train experiments/hyper/digits_small.yaml --set zoo=digits-zoo --to digits-model --local
  geozoo train experiments/hyper/mnist_small.yaml --set zoo=s3://bucket/mnist --to s3://bucket/model --workers 2
  geozoo train experiments/hyper/mnist_small.yaml --set zoo=mnist-zoo --set training.seed=1 --to model-1
  geozoo train experiments/ssl/eurosat_simclr.yaml --set chips=eurosat-chips --to simclr
"""


def train(
    experiment: Annotated[str, typer.Argument(help="Path of an experiment, a YAML file as in experiments/.")],
    to: Annotated[str, typer.Option("--to", metavar="URL", help="A folder, or s3://bucket/prefix, for the model.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the experiment; repeatable."),
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Workers that share each batch, through Ray.")] = 1,
    gpus_per_worker: Annotated[
        float, typer.Option(metavar="F", min=0, help="GPUs of each worker; below 1 several share one.")
    ] = 0.0,
    local: Annotated[
        bool, typer.Option("--local", help="Train in this one process, on its GPU if it has one, without Ray.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="Use a running Ray cluster: auto, or host:port. Default: one on this machine.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Train the model of an experiment, and write it where --to says."""
    from geozoo.cli.kinds import kind_of
    from geozoo.cli.progress import console, epoch_progress
    from geozoo.cli.results import open_results
    from geozoo.errors import InputError
    from geozoo.training.curves import curves, run_folder

    if local and (address or workers > 1):
        other = f"--address {address}" if address else f"--workers {workers}"
        raise InputError(f"--local and {other} exclude each other: give one.")
    if not local and to.startswith("memory://"):
        raise InputError(f"{to!r} is visible to one process only: add --local, or train to a folder or s3:// URL.")
    kind = kind_of(experiment)
    chosen = kind.load(experiment, overrides or ())
    location = open_results(to)
    folder = run_folder(chosen.name)
    console().print(f"experiment {chosen.name}: {chosen.training.epochs} epochs at most, to {location.url}")
    console().print(f"curves: tensorboard --logdir {folder}")
    with curves(folder) as draw, epoch_progress(chosen.training.epochs) as show:

        def on_epoch(record: dict[str, float]) -> None:
            draw(record)
            show(record)

        _run(kind, chosen, location.url, folder, on_epoch, local, address, workers, gpus_per_worker)
    _report(kind.open_card(location.url), location.url, json)


train.__doc__ = f"{train.__doc__}\n{EXAMPLES}"


def _run(
    kind: Kind,
    experiment: Any,
    url: str,
    folder: Path,
    on_epoch: Callable[[dict[str, float]], None],
    local: bool,
    address: str | None,
    workers: int,
    gpus_per_worker: float,
) -> None:
    from geozoo.errors import InterruptedTrainingError
    from geozoo.training.distributed import World, own_device
    from geozoo.training.loop import Watch

    try:
        if local:
            kind.run(experiment, url, World(device=own_device()), Watch(on_epoch))
            return
        from geozoo.cluster.preflight import refuse_unreachable_nodes
        from geozoo.cluster.session import ray_session, results_only
        from geozoo.cluster.train import train_with_ray

        kind.check(experiment)  # before workers start, which are started again when they fail
        with results_only(), ray_session(address):
            refuse_unreachable_nodes(url)
            run = partial(kind.run, experiment, url)
            train_with_ray(run, folder, on_epoch, workers=workers, gpus_per_worker=gpus_per_worker)
    except KeyboardInterrupt:
        raise InterruptedTrainingError(
            f"interrupted; run the same command again to go on from the last checkpoint at {url}."
        ) from None


def _report(card: Any, url: str, as_json: bool) -> None:
    """What was trained; its seconds are those of all epochs, in whatever runs they were."""
    from geozoo.cli.progress import console

    history = card.history
    seconds = sum(record["seconds"] for record in history)
    kept = history[card.best_epoch - 1]
    if as_json:
        outcome = {"url": url, "epochs": len(history), "seconds": round(seconds, 1), "kept": kept}
        typer.echo(json_module.dumps(outcome))
        return
    console().print(f"trained {len(history)} epochs in {seconds:.0f} s; kept epoch {card.best_epoch}.")
    typer.echo(url)
