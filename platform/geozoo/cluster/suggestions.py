"""Optuna's suggestions for Ray Tune, with every trial recorded at the URL of its search before it starts."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial
from ray.tune.search import Searcher

from geozoo.hyper.trials import Trial, begin_trial, write_trial
from geozoo.recipe.sampled import Choice
from geozoo.training.draws import derived_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optuna.distributions import BaseDistribution

    from geozoo.hyper.search import Search
    from geozoo.recipe.sampled import Axis
    from geozoo.store import Location

OBJECTIVE, EPOCH, FINISHED, ERROR = "objective", "epoch", "finished", "error"
"""What a trial reports: its metric so far, after how many epochs, whether it ended, why it cannot go on."""

RANDOM_SHARE = 4
_STATES = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}


class Suggestions(Searcher):
    """Optuna's tree-structured Parzen estimator over a search's axes; the first quarter of trials is drawn at random.

    Trials that were begun and did not end come first, with the settings they had. Then come new ones, none twice.
    Ray's own wrapper of Optuna is not used: it keeps its trials in memory, and knows of trials that were stopped early
    only that they ended. The sampler's draws depend on the seed and on how many trials there were at the start.
    """

    def __init__(
        self, location: Location, search: Search, known: Sequence[Trial], on_end: Callable[[Trial], None]
    ) -> None:
        super().__init__(metric=OBJECTIVE, mode="min")
        self._location, self._search, self._on_end = location, search, on_end
        self._axes = {field: _distribution(axis) for field, axis in search.axes.items()}
        seed = derived_seed(search.seed, len(known)) % 2**32
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=math.ceil(search.trials / RANDOM_SHARE))
        self._study = optuna.create_study(sampler=sampler)
        self._last = max((trial.number for trial in known), default=0)
        self._tried = [trial.settings for trial in known]
        self._waiting = [trial for trial in known if trial.state == "running"]
        self._running: dict[str, tuple[Trial, optuna.Trial]] = {}
        for trial in known:
            if trial.state != "running":
                self._study.add_trial(_as_optuna(trial, self._axes))
        for trial in self._waiting:
            self._study.enqueue_trial(trial.settings)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Called by Tune, which knows nothing that is not known here."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The configuration of the next trial: its ``trial`` number and its ``settings``."""
        asked = self._study.ask(self._axes)
        if self._waiting:
            trial = self._waiting.pop(0)
        else:
            fresh = self._new(asked)
            if fresh is None:
                return Searcher.FINISHED  # type: ignore[return-value]  # Tune's word for a space that is used up
            asked = fresh
            trial = begin_trial(self._location, asked.params, self._last)
            self._last = trial.number
            self._tried.append(trial.settings)
        self._running[trial_id] = (trial.model_copy(update={"values": {}}), asked)
        return {"trial": trial.number, "settings": trial.settings}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Called by Tune with what a trial reported."""
        if OBJECTIVE in result:
            trial, asked = self._running[trial_id]
            trial.values[result[EPOCH]] = result[OBJECTIVE]
            asked.report(result[OBJECTIVE], result[EPOCH])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Called by Tune when a trial ended; one whose worker died too often stays begun, for the next run."""
        result = result or {}
        if not error:
            self.on_trial_result(trial_id, result)
        trial, asked = self._running.pop(trial_id)
        if error or not (trial.values or ERROR in result):
            self._study.tell(asked, state=TrialState.FAIL)
            return
        state = "failed" if ERROR in result else "finished" if result.get(FINISHED) else "stopped"
        ended = trial.model_copy(update={"state": state, "error": result.get(ERROR)})
        write_trial(self._location, ended)
        self._study.tell(asked, ended.value if state == "finished" else None, _STATES[state])
        self._on_end(ended)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the records of the trials are all there is to keep."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: Tune's own way to go on is not used."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher for its own way to go on."""
        return {}

    def _new(self, asked: optuna.Trial) -> optuna.Trial | None:
        """A trial with settings not tried before: ``asked``, or the first such of a space of choices, or ``None``."""
        choices = [axis.values for axis in self._search.axes.values() if isinstance(axis, Choice)]
        if asked.params not in self._tried or len(choices) < len(self._axes):
            return asked
        self._study.tell(asked, state=TrialState.FAIL)
        for values in itertools.product(*choices):
            settings = dict(zip(self._axes, values, strict=True))
            if settings not in self._tried:
                self._study.enqueue_trial(settings)
                return self._study.ask(self._axes)
        return None


def _distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis, Choice):
        return CategoricalDistribution(axis.values)
    return FloatDistribution(axis.low, axis.high, log=axis.kind == "log_uniform")


def _as_optuna(trial: Trial, axes: dict[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    return create_trial(
        state=_STATES[trial.state],
        value=trial.value if trial.state == "finished" else None,
        params=dict(trial.settings),
        distributions=axes,
        intermediate_values=dict(trial.values),
    )
