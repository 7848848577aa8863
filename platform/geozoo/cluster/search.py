"""Searching the settings of an experiment with Ray Tune: one trial trains one model."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.tune.logger import TBXLoggerCallback
from ray.tune.schedulers import ASHAScheduler

from geozoo.cluster.environment import QUIET_TUNE, environment
from geozoo.cluster.failures import last_line
from geozoo.cluster.shares import even_share, most_at_once
from geozoo.cluster.suggestions import EPOCH, ERROR, FINISHED, OBJECTIVE, Suggestions
from geozoo.errors import GeozooError, StoreLostError, TrainingError
from geozoo.hyper.fit import prepare, train_model
from geozoo.hyper.search import with_settings
from geozoo.hyper.trials import Trial, kept_value, read_trials, trial_url
from geozoo.store import open_location
from geozoo.training.checkpoint import load_checkpoint
from geozoo.training.distributed import World
from geozoo.training.loop import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from geozoo.hyper.experiment import HyperExperiment
    from geozoo.hyper.search import Search

    Record = dict[str, float]

MAX_FAILURES = 2
MOST_AT_ONCE = 4
REDUCTION = 2
_TUNE = QUIET_TUNE | {"TUNE_DISABLE_STRICT_METRIC_CHECKING": "1"}  # a trial that fails reports no metric


def search_with_tune(
    experiment: HyperExperiment,
    search: Search,
    url: str,
    folder: Path,
    on_end: Callable[[Trial], None],
    *,
    concurrent: int | None = None,
    gpus_per_trial: float = 0.0,
) -> dict[int, str]:
    """Bring the search at ``url`` to ``search.trials`` trials, on the cluster this process is connected to.

    Asynchronous successive halving (Li et al., 2020) stops a trial after a quarter or half of the epochs where half of
    the trials that came as far were better there. All that a search knows is in its trials' records and
    checkpoints at ``url``; Tune keeps no state. So the same call goes on after any kill, and with more trials it
    extends a search: trials that ended are told to Optuna and to the halving and not trained again, those that were
    begun go on from their last checkpoint. ``Tuner.restore`` is not used: it cannot add trials to a search, wants
    Tune's own files on a shared store, and restarts from pickles. A trial whose worker dies starts again up to
    `MAX_FAILURES` times from its checkpoint.

    Args:
        experiment: what is searched.
        search: its axes, and how many trials there shall be.
        url: of the search; see `geozoo.hyper.trials`.
        folder: for Tune's files and the TensorBoard curves of all trials.
        on_end: called with every trial that ends.
        concurrent: trials at a time; by default as many as there is room for, at most `MOST_AT_ONCE`, since each
            suggestion knows only the trials that ended before it.
        gpus_per_trial: below 1 several share one.

    Returns:
        The last error of each trial that could not be ended, by number.

    Raises:
        InputError: the cluster has no room for them.
    """
    location = open_location(url)
    known = read_trials(location)
    pending = search.trials - sum(trial.state != "running" for trial in known)
    if pending <= 0:
        return {}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    at_once = concurrent or max(1, min(MOST_AT_ONCE, pending, most_at_once(nodes, gpus_per_trial)))
    share = even_share(nodes, at_once, gpus_per_trial, "--concurrent")
    device = "cuda" if gpus_per_trial else "cpu"
    trainable = tune.with_resources(
        tune.with_parameters(train_trial, experiment=experiment, metric=search.metric, url=url, device=device),
        {name.lower(): amount for name, amount in share.items()},
    )
    with environment(_TUNE):
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=Suggestions(location, search, known, on_end),
                scheduler=halving(experiment, known),
                num_samples=pending,
                max_concurrent_trials=at_once,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: f"{trial.config['trial']:04d}",
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                callbacks=[TBXLoggerCallback()],
            ),
        )
        results = tuner.fit()
    outcomes = [results[place] for place in range(len(results))]
    return {(one.config or {})["trial"]: last_line(one.error) for one in outcomes if one.error is not None}


def halving(experiment: HyperExperiment, known: Sequence[Trial]) -> ASHAScheduler:
    """Successive halving over the epochs of an experiment that has seen the values of known trials."""
    epochs = experiment.training.epochs
    first = math.ceil(epochs / REDUCTION**2)
    scheduler = ASHAScheduler(
        time_attr=EPOCH,
        metric=OBJECTIVE,
        mode="min",
        max_t=epochs,
        grace_period=first,
        reduction_factor=REDUCTION,
    )
    nobody: Any = None
    for trial in known:
        if trial.state in ("finished", "stopped"):
            replayed: Any = SimpleNamespace(trial_id=f"known-{trial.number}")
            scheduler.on_trial_add(nobody, replayed)
            for epoch, value in sorted(trial.values.items()):
                scheduler.on_trial_result(nobody, replayed, {EPOCH: epoch, OBJECTIVE: value})
    return scheduler


def train_trial(config: dict[str, Any], experiment: HyperExperiment, metric: str, url: str, device: str) -> None:
    """One trial, in a worker: train the experiment with its settings and report every epoch.

    A trial that starts again reports the epochs it had, and goes on. Settings that are not valid together, and a loss
    that is not finite, end this trial with a sentence and leave the others alone. The last epoch is reported when the
    model is written, since Tune ends a trial that has reported it.
    """
    location = open_location(trial_url(url, config["trial"]))
    try:
        chosen = with_settings(experiment, config["settings"], "the experiment with these settings")
        world = World(device=device)
        prepared = prepare(chosen, world)
        before = load_checkpoint(location, prepared.job.identity, device)
        history: list[Record] = []

        def on_epoch(record: Record) -> None:
            history.append(record)
            if record["epoch"] < chosen.training.epochs:
                _report(history, metric)

        for record in before.history if before else []:
            on_epoch(record)
        train_model(prepared, world, location, Watch(on_epoch))
        _report(history, metric, finished=True)
    except StoreLostError:
        raise
    except GeozooError as error:
        tune.report({ERROR: str(error)})


def _report(history: list[Record], metric: str, *, finished: bool = False) -> None:
    value = kept_value(history, metric)
    if value is None:
        return
    if not math.isfinite(value):
        raise TrainingError(f"{metric} is {value} after epoch {len(history)}: narrow the search.")
    tune.report({**history[-1], EPOCH: len(history), OBJECTIVE: value, FINISHED: finished})
