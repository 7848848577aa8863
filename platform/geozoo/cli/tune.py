"""``geozoo tune``: from an experiment with a search to its best settings and model."""

from __future__ import annotations

import json as json_module
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from geozoo.hyper.experiment import HyperExperiment
    from geozoo.hyper.search import Search
    from geozoo.hyper.trials import Trial
    from geozoo.store import Location

EXAMPLES = """
A search that was stopped or killed goes on when the same command is given again; with more --trials it is extended.

Examples:

\b
  geozoo tune experiments/hyper/digits_search.yaml --set zoo=digits-zoo --to digits-search
  geozoo tune experiments/hyper/digits_search.yaml --set zoo=digits-zoo --to digits-search --trials 16
  geozoo tune my_search.yaml --to s3://bucket/search --address auto --gpus-per-trial 0.5
"""


def tune(
    experiment: Annotated[str, typer.Argument(help="Path of an experiment with a search section, a YAML file.")],
    to: Annotated[str, typer.Option("--to", metavar="URL", help="A folder, or s3://bucket/prefix, for all trials.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the experiment; repeatable."),
    ] = None,
    trials: Annotated[str | None, typer.Option(metavar="N", help="Try N settings; more extend a search.")] = None,
    concurrent: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Trials at a time. Default: as many as fit, at most 4.")
    ] = None,
    gpus_per_trial: Annotated[
        float, typer.Option(metavar="F", min=0, help="GPUs of each trial; below 1 several share one.")
    ] = 0.0,
    address: Annotated[
        str | None, typer.Option(help="Use a running Ray cluster: auto, or host:port. Default: one on this machine.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Search the settings of an experiment; keep the model of the best trial."""
    from geozoo.cli.progress import console
    from geozoo.cli.results import open_results
    from geozoo.errors import InputError
    from geozoo.hyper.experiment import load_experiment
    from geozoo.hyper.fit import check
    from geozoo.hyper.sources import located
    from geozoo.hyper.trials import begin_search, read_trials

    if to.startswith("memory://"):
        raise InputError(f"{to!r} is visible to one process only: search in a folder or an s3:// URL.")
    more = [f"search.trials={trials}"] if trials is not None else []
    chosen = located(load_experiment(experiment, [*(overrides or ()), *more]))
    if chosen.search is None:
        raise InputError(
            f"experiment {chosen.name!r} has no search section: add one, as experiments/hyper/digits_search.yaml has."
        )
    location = open_results(to)
    check(chosen)
    begin_search(location, chosen)
    started = time.monotonic()
    ended = sum(trial.state != "running" for trial in read_trials(location))
    console().print(f"search {chosen.name}: {ended} of {chosen.search.trials} trials done, at {location.url}")
    errors: dict[int, str] = {}
    if ended < chosen.search.trials:
        errors = _run(chosen, chosen.search, location, concurrent, gpus_per_trial, address)
    _report(location, chosen.search, errors, time.monotonic() - started, json)


tune.__doc__ = f"{tune.__doc__}\n{EXAMPLES}"


def _run(
    experiment: HyperExperiment,
    search: Search,
    location: Location,
    concurrent: int | None,
    gpus_per_trial: float,
    address: str | None,
) -> dict[int, str]:
    """Bring the search to its trials; return the errors of those that did not end."""
    from geozoo.cli.progress import console
    from geozoo.cluster.preflight import refuse_unreachable_nodes
    from geozoo.cluster.search import search_with_tune
    from geozoo.cluster.session import ray_session, results_only
    from geozoo.errors import InterruptedTrainingError
    from geozoo.training.curves import run_folder

    say = console().print
    folder = run_folder(experiment.name)
    say(f"curves: tensorboard --logdir {folder}")
    try:
        with results_only(), ray_session(address):
            refuse_unreachable_nodes(location.url)
            return search_with_tune(
                experiment,
                search,
                location.url,
                folder,
                lambda trial: say(_line(trial, search.metric)),
                concurrent=concurrent,
                gpus_per_trial=gpus_per_trial,
            )
    except KeyboardInterrupt:
        raise InterruptedTrainingError(
            f"interrupted; run the same command again to go on with the trials at {location.url}."
        ) from None


def _line(trial: Trial, metric: str) -> str:
    came = trial.error if trial.state == "failed" else f"{metric} {trial.value:.4f} after {trial.epochs} epochs"
    settings = ", ".join(
        f"{field} {value:.3g}" if isinstance(value, float) else f"{field} {value}"
        for field, value in trial.settings.items()
    )
    return f"trial {trial.number} {trial.state}: {came} ({settings})"


def _report(location: Location, search: Search, errors: dict[int, str], seconds: float, as_json: bool) -> None:
    from geozoo.cli.progress import console
    from geozoo.errors import TrainingError
    from geozoo.hyper.trials import BEST_NAME, read_trials, write_results

    trials = read_trials(location)
    best = write_results(location, trials, search.metric)
    states = [trial.state for trial in trials]
    if errors:
        first = min(errors)
        raise TrainingError(
            f"{len(errors)} of {len(trials)} trials did not end (trial {first}: {errors[first].rstrip('.')}): "
            "see what ended them, and run the same command again to go on."
        )
    if best is None:
        reasons = [trial.error for trial in trials if trial.error]
        raise TrainingError(f"none of {len(trials)} trials finished; the first failed: {reasons[0] if reasons else ''}")
    outcome: dict[str, Any] = {
        "url": f"{location.url}/{BEST_NAME}",
        "trials": {state: states.count(state) for state in ("finished", "stopped", "failed")},
        "seconds": round(seconds, 1),
        "best": {"trial": best.number, search.metric: best.value, "settings": best.settings},
    }
    if as_json:
        typer.echo(json_module.dumps(outcome))
        return
    counts = ", ".join(f"{count} {state}" for state, count in outcome["trials"].items())
    console().print(f"{len(trials)} trials in {seconds:.0f} s ({counts}); the best: {_line(best, search.metric)}")
    typer.echo(outcome["url"])
