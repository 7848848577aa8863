"""Fanning a zoo's cohorts out with Ray Tune: one trial per cohort, nothing kept in Tune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.tune.logger import TBXLoggerCallback

from geozoo.cluster.environment import QUIET_TUNE, environment
from geozoo.cluster.failures import last_line
from geozoo.cluster.preflight import refuse_unreachable_nodes, warm_up_nodes
from geozoo.cluster.trainable import CohortTrainable
from geozoo.populate import Work, pending_cohorts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from geozoo.datasets import ImageSet
    from geozoo.store import Zoo

MAX_FAILURES = 2


class WorkReporter(tune.Callback):
    """Turns the totals each trial reports into the work done since its last report.

    A trial that starts again reports from zero, so what it lost is taken back.
    """

    def __init__(self, on_work: Callable[[Work], None]) -> None:
        self.on_work = on_work
        self.reported: dict[str, Work] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Called by Tune with what `CohortTrainable.step` returned."""
        now = Work(result["members"], result["states"], result["samples"])
        before = self.reported.get(trial.trial_id, Work())
        self.reported[trial.trial_id] = now
        self.on_work(Work(now.members - before.members, now.states - before.states, now.samples - before.samples))

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks to restore a run, which is never done here."""
        return {}


def populate_with_tune(zoo: Zoo, images: ImageSet, on_work: Callable[[Work], None], folder: Path) -> dict[str, str]:
    """Train the pending cohorts of a zoo on the cluster this process is connected to.

    Success is read from the zoo's commits afterwards, never from Tune; returned is the last error of each trial that
    failed, by cohort. TensorBoard curves of every cohort are written to ``folder``. A trial whose worker dies is
    started again up to `MAX_FAILURES` times.

    Raises:
        StoreUnusableError: a node does not reach the store.
    """
    refuse_unreachable_nodes(zoo.url)
    warm_up_nodes(zoo.header.engine, zoo.header.precision)
    trainable = tune.with_resources(
        tune.with_parameters(CohortTrainable, url=zoo.url, images=images),
        trial_resources(zoo.header.engine, ray.cluster_resources()),
    )
    with environment(QUIET_TUNE):
        tuner = tune.Tuner(
            trainable,
            param_space={"cohort": tune.grid_search(pending_cohorts(zoo))},
            tune_config=tune.TuneConfig(reuse_actors=True, trial_dirname_creator=lambda trial: trial.config["cohort"]),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[WorkReporter(on_work), TBXLoggerCallback()],
            ),
        )
        results = tuner.fit()
    outcomes = [results[trial] for trial in range(len(results))]
    return {(one.config or {})["cohort"]: last_line(one.error) for one in outcomes if one.error is not None}


def trial_resources(engine: str, cluster: Mapping[str, float]) -> dict[str, float]:
    """One core a trial, since the parallelism is that of cohorts; and a GPU for ``torch`` where the cluster has any."""
    return {"cpu": 1, "gpu": 1} if engine == "torch" and cluster.get("GPU", 0) >= 1 else {"cpu": 1}
