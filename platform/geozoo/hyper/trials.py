"""The trials of a search at its URL: what was tried, and what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from geozoo.errors import DamagedZooError, InputError
from geozoo.hyper.sources import open_zoos
from geozoo.hyper.trained import MODEL_NAME, WEIGHTS_NAME
from geozoo.recipe.sampled import Scalar
from geozoo.store import open_location
from geozoo.training.loop import best_epoch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geozoo.hyper.experiment import HyperExperiment
    from geozoo.store import Location

SEARCH_NAME, SUMMARY_NAME, TRIAL_NAME, BEST_NAME = "search.json", "trials.json", "trial.json", "best"


class Trial(BaseModel):
    """One trial.

    Attributes:
        number: from 1 on.
        settings: values by dotted field of the experiment.
        state: ``running`` until it ended, in this process or one that was killed; ``finished``; ``stopped`` because
            others were better after as many epochs; ``failed`` for a reason that would come again.
        values: the metric of the weights kept so far, by epoch.
        error: why it failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    settings: dict[str, Scalar]
    state: Literal["running", "finished", "stopped", "failed"] = "running"
    values: dict[int, float] = {}
    error: str | None = None

    @property
    def value(self) -> float | None:
        """The metric after its last epoch."""
        return self.values[max(self.values)] if self.values else None

    @property
    def epochs(self) -> int:
        """The last epoch with a value."""
        return max(self.values, default=0)


def trial_url(url: str, number: int) -> str:
    """Where a trial keeps its record, its checkpoints, and its model once it finished."""
    return f"{url}/trials/{number:04d}"


def begin_search(location: Location, experiment: HyperExperiment) -> None:
    """Mark a URL as that of a search, or find it marked so.

    Raises:
        InputError: another search is there, or its zoos were others.
    """
    tree = experiment.model_dump(
        mode="json", exclude={"title": True, "provenance": True, "zoo": True, "search": {"trials"}}
    )
    tree["zoos"] = [zoo.header.sha256 for zoo in open_zoos(experiment)]
    if not location.create_once(SEARCH_NAME, json.dumps(tree, sort_keys=True, indent=1).encode()):
        raise InputError(
            f"{location.url} holds a search of other settings or another zoo: give what it was begun with (only the "
            "number of trials may change), or another URL."
        )


def read_trials(location: Location) -> list[Trial]:
    """All trials by number.

    Raises:
        DamagedZooError: a record cannot be read.
    """
    names = sorted(name for name in location.list("trials") if name.endswith(f"/{TRIAL_NAME}"))
    try:
        return [Trial.model_validate_json(location.read(name)) for name in names]
    except ValidationError as error:
        cause = str(error).splitlines()[0]
        raise DamagedZooError(f"a record of the search at {location.url} cannot be read ({cause}).") from error


def begin_trial(location: Location, settings: Mapping[str, str | int | float], after: int) -> Trial:
    """Record a new trial under the first number above ``after`` that is free."""
    trial = Trial(number=after + 1, settings=dict(settings))
    while not location.create_once(_name(trial.number), _bytes(trial)):
        trial = trial.model_copy(update={"number": trial.number + 1})
    return trial


def write_trial(location: Location, trial: Trial) -> None:
    """Replace the record of a trial."""
    location.write(_name(trial.number), _bytes(trial))


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the least value, the first of equals; ``None`` where none finished."""
    scores = [
        (trial.value, place)
        for place, trial in enumerate(trials)
        if trial.state == "finished" and trial.value is not None
    ]
    return trials[min(scores)[1]] if scores else None


def kept_value(history: Sequence[dict[str, float]], metric: str) -> float | None:
    """The metric of the epoch whose weights a run keeps, ``None`` before there is one."""
    return history[best_epoch(history) - 1].get(metric) if history else None


def write_results(location: Location, trials: Sequence[Trial], metric: str) -> Trial | None:
    """Write ``trials.json``, one row for each trial, and the model of the best trial at ``best``; that trial."""
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            metric: trial.value,
            "epochs": trial.epochs,
            "settings": trial.settings,
            "error": trial.error,
        }
        for trial in trials
    ]
    location.write(SUMMARY_NAME, json.dumps(rows, indent=1).encode())
    best = best_trial(trials)
    if best is not None:
        source = open_location(trial_url(location.url, best.number))
        for name in (WEIGHTS_NAME, MODEL_NAME):
            location.write(f"{BEST_NAME}/{name}", source.read(name))
    return best


def _name(number: int) -> str:
    return f"trials/{number:04d}/{TRIAL_NAME}"


def _bytes(trial: Trial) -> bytes:
    return trial.model_dump_json(indent=1).encode()
