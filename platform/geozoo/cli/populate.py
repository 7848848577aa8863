"""``geozoo populate``: from a recipe to a zoo."""

from __future__ import annotations

import json as json_module
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.datasets import ImageSet
    from geozoo.populate import Work
    from geozoo.recipe import Recipe
    from geozoo.store import Zoo

EXAMPLES = """
Populating is idempotent: run the same command again and it finishes what is missing.

Examples:

\b
  geozoo populate zoos/digits_cnn.yaml --to digits-zoo
  geozoo populate zoos/digits_cnn.yaml --to short-zoo --local --set training.epochs=5
  geozoo populate zoos/mnist_cnn_seed.yaml --to s3://bucket/mnist --members 32
"""


def populate(
    recipe: Annotated[str, typer.Argument(help="Path of a recipe, a YAML file as in zoos/.")],
    to: Annotated[str, typer.Option("--to", metavar="URL", help="A folder, or s3://bucket/prefix.")],
    members: Annotated[str | None, typer.Option(metavar="N", help="Plan N members; more extend a zoo.")] = None,
    epochs: Annotated[str | None, typer.Option(metavar="N", help="Train N epochs; others make another zoo.")] = None,
    engine: Annotated[str, typer.Option(help="auto, torch, lanes or reference; fixed once the zoo exists.")] = "auto",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe; repeatable.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Train in this one process, without Ray.")] = False,
    address: Annotated[
        str | None, typer.Option(help="Use a running Ray cluster: auto, or host:port. Default: one on this machine.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Train the members of a recipe and store the weights of every checkpoint."""
    from geozoo.datasets import load_image_set
    from geozoo.errors import InputError
    from geozoo.populate import complete_zoo, pending_cohorts, prepare_zoo
    from geozoo.recipe import load_recipe
    from geozoo.store import open_location, refuse_unsafe_endpoint

    if local and address:
        raise InputError(f"--local and --address {address} exclude each other: give one.")
    if not local and to.startswith("memory://"):
        raise InputError(f"{to!r} is visible to one process only: add --local, or populate a folder or s3:// URL.")
    chosen = load_recipe(recipe, [*(overrides or ()), *_shorthands(members, epochs)])
    location = open_location(to)
    refuse_unsafe_endpoint(location)
    images = load_image_set(chosen.dataset)
    zoo = prepare_zoo(chosen, location.url, images, engine=engine)
    started = time.monotonic()
    _describe(zoo, _engine_reason(zoo, chosen, images, engine))
    errors = _run(zoo, images, local=local, address=address) if pending_cohorts(zoo) else {}
    _report(complete_zoo(zoo.url, errors), time.monotonic() - started, json)


populate.__doc__ = f"{populate.__doc__}\n{EXAMPLES}"


def _shorthands(members: str | None, epochs: str | None) -> list[str]:
    """Options as overrides, so that they are checked where the recipe is."""
    given = {"population.members": members, "training.epochs": epochs}
    return [f"{field}={value}" for field, value in given.items() if value is not None]


def _engine_reason(zoo: Zoo, recipe: Recipe, images: ImageSet, engine: str) -> str:
    from geozoo.populate import engine_for

    choice = engine_for(recipe, images, engine)
    return choice.reason if choice.engine == zoo.header.engine else "the zoo was begun with it"


def _describe(zoo: Zoo, reason: str) -> None:
    from geozoo.cli.progress import console
    from geozoo.populate import pending_cohorts
    from geozoo.population import ENGINES
    from geozoo.store import resumable_cohorts

    header, members = zoo.header, zoo.members
    pending = len(pending_cohorts(zoo))
    say = console().print
    say(
        f"zoo {header.name} at {zoo.url}: {len(members)} members of {header.num_parameters} parameters in "
        f"{members['cohort'].nunique()} cohorts, {len(header.checkpoints)} checkpoints each; "
        f"{pending or 'no'} cohorts to train."
    )
    if going_on := resumable_cohorts(zoo.location):
        say(f"resume points: {', '.join(f'{one} after epoch {epoch}' for one, epoch in going_on.items())}.")
    if pending:
        say(f"engine {header.engine} ({reason}): {ENGINES[header.engine].summary}.")


def _run(zoo: Zoo, images: ImageSet, *, local: bool, address: str | None) -> dict[str, str]:
    """Train what is pending; return the errors of failed cohorts."""
    from geozoo.cli.progress import work_progress
    from geozoo.errors import GeozooError, InterruptedRunError
    from geozoo.populate import pending_cohorts, work_of
    from geozoo.store import collect_garbage, run_lease

    total = work_of(zoo, images, pending_cohorts(zoo))
    train = _train_here if local else _train_on_ray
    with run_lease(zoo.location) as lease:
        try:
            with work_progress(total) as on_work:
                return train(zoo, images, on_work, address)
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"interrupted; what is committed stands: run the same command again to finish {zoo.url}."
            ) from None
        finally:
            with suppress(GeozooError):  # a store that is gone is the run's own error; geozoo gc removes the rest
                collect_garbage(zoo.url, own_lease=lease)


def _train_here(zoo: Zoo, images: ImageSet, on_work: Callable[[Work], None], address: str | None) -> dict[str, str]:
    from geozoo.cli.progress import console
    from geozoo.populate import populate_here

    return populate_here(zoo, images, on_work, on_note=console().print)


def _train_on_ray(zoo: Zoo, images: ImageSet, on_work: Callable[[Work], None], address: str | None) -> dict[str, str]:
    from geozoo.cli.progress import console
    from geozoo.cluster.session import ray_session, results_only
    from geozoo.cluster.tune import populate_with_tune
    from geozoo.training.curves import run_folder

    folder = run_folder(zoo.header.name)
    with results_only(), ray_session(address) as dashboard:
        say = console().print
        say(f"dashboard: {dashboard or 'not running'}; curves: tensorboard --logdir {folder}")
        return populate_with_tune(zoo, images, on_work, folder)


def _report(zoo: Zoo, seconds: float, as_json: bool) -> None:
    from geozoo.cli.progress import console

    states = len(zoo.members) * len(zoo.header.checkpoints)
    outcome: dict[str, Any] = {
        "url": zoo.url,
        "members": len(zoo.members),
        "states": states,
        "seconds": round(seconds, 1),
        "digest": zoo.digest(),
    }
    if as_json:
        typer.echo(json_module.dumps(outcome))
        return
    console().print(f"complete: {outcome['members']} members, {states} states in {seconds:.0f} s.")
    typer.echo(f"digest {outcome['digest']}")
