"""The rows of a sweep with Ray Tune: one trial a row, nothing kept in Tune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from geozoo.cluster.environment import QUIET_TUNE, environment
from geozoo.cluster.failures import last_line
from geozoo.cluster.preflight import refuse_unreachable_nodes
from geozoo.cluster.shares import refuse_impossible_gpus
from geozoo.ssl.downstream.bench import open_bench
from geozoo.ssl.downstream.rows import Row, run_row
from geozoo.ssl.downstream.sweep import keep_row, row_name
from geozoo.store import open_location

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from geozoo.ssl.downstream.experiment import LabelsExperiment

MAX_FAILURES = 2


class RowTrainable(tune.Trainable):
    """Runs the row that the trial config names, ``{"row": its fields}``, in one step, and keeps its result."""

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], experiment: LabelsExperiment, url: str, device: str
    ) -> None:
        """Called once an actor: chips and model are opened once for many rows."""
        import torch

        torch.set_num_threads(1)
        self.bench, self.location = open_bench(experiment, device), open_location(url)
        self.row = Row(**config["row"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process."""
        self.row = Row(**new_config["row"])
        return True

    def step(self) -> dict[str, Any]:
        """One row, unless it is there."""
        if not self.location.exists(row_name(self.row)):
            keep_row(self.location, run_row(self.bench, self.row))
        return {"done": True}


class _Told(tune.Callback):
    def __init__(self, on_row: Callable[[], None]) -> None:
        self.on_row = on_row

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.on_row()

    def __getstate__(self) -> dict[str, Any]:
        return {}


def sweep_with_tune(
    experiment: LabelsExperiment,
    rows: Sequence[Row],
    url: str,
    folder: Path,
    on_row: Callable[[], None],
    *,
    gpus_per_row: float = 0.0,
) -> dict[str, str]:
    """Run rows on the cluster this process is connected to, one core each.

    Success is read from the results afterwards, never from Tune; returned is the last error of each row that failed,
    by its id. A row whose worker dies is run again up to `MAX_FAILURES` times.

    Args:
        experiment: the table.
        rows: of it, those to run.
        url: of the results.
        folder: for Tune's files.
        on_row: called after every row.
        gpus_per_row: below 1 several share one; rows are then computed there.

    Raises:
        StoreUnusableError: a node does not reach the results.
        InputError: no node has as many GPUs.
    """
    refuse_impossible_gpus([node["Resources"] for node in ray.nodes() if node["Alive"]], gpus_per_row)
    refuse_unreachable_nodes(url)
    device = "cuda" if gpus_per_row else "cpu"
    trainable = tune.with_resources(
        tune.with_parameters(RowTrainable, experiment=experiment, url=url, device=device),
        {"cpu": 1, "gpu": gpus_per_row},
    )
    with environment(QUIET_TUNE):
        tuner = tune.Tuner(
            trainable,
            param_space={"row": tune.grid_search([row.model_dump() for row in rows])},
            tune_config=tune.TuneConfig(
                reuse_actors=True, trial_dirname_creator=lambda trial: Row(**trial.config["row"]).id
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[_Told(on_row)],
            ),
        )
        results = tuner.fit()
    outcomes = [results[place] for place in range(len(results))]
    return {Row(**(one.config or {})["row"]).id: last_line(one.error) for one in outcomes if one.error is not None}
