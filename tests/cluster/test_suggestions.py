"""Suggestions without Ray: trials that end as soon as they begin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ray.tune.search import Searcher

from geozoo.cluster.search import halving
from geozoo.cluster.suggestions import EPOCH, ERROR, FINISHED, OBJECTIVE, Suggestions
from geozoo.hyper.search import Search
from geozoo.hyper.trials import Trial, read_trials
from geozoo.store import open_location
from tests.support.experiments import experiment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ray.tune.schedulers import ASHAScheduler

    from geozoo.store import Location

RATE = {"kind": "log_uniform", "low": 1e-4, "high": 1.0}
CHOICES = {
    "model.latent": {"kind": "choice", "values": [4, 8]},
    "model.blocks": {"kind": "choice", "values": [1, 2, 3]},
}


def search(trials: int, **axes: Any) -> Search:
    return Search.model_validate({"axes": axes, "trials": trials})


def loss(settings: dict[str, Any]) -> float:
    """Least at a rate of 1e-2."""
    return math.log10(settings["optimizer.lr"] / 1e-2) ** 2


def ended(settings: dict[str, Any]) -> dict[str, Any]:
    return {EPOCH: 1, OBJECTIVE: loss(settings), FINISHED: True}


def work(
    location: Location, wanted: Search, count: int, outcome: Callable[[dict[str, Any]], dict[str, Any]] = ended
) -> list[Trial]:
    """Begin and end ``count`` trials, as Tune would; what was told of those that ended."""
    told: list[Trial] = []
    suggestions = Suggestions(location, wanted, read_trials(location), told.append)
    for number in range(count):
        config = suggestions.suggest(str(number))
        assert isinstance(config, dict)
        suggestions.on_trial_complete(str(number), outcome(config["settings"]))
    return told


def test_suggestions_close_in_on_the_best(tmp_path: Path) -> None:
    """Of 40 trials the last half is better in the median than random draws are, in nine of ten such halves."""
    draws = np.random.default_rng(0)
    random = [np.median(np.square(draws.uniform(-2, 2, 20))) for _ in range(1000)]
    location = open_location(tmp_path)
    told = work(location, search(40, **{"optimizer.lr": RATE}), 40)
    assert np.median([trial.value for trial in told[20:]]) < np.quantile(random, 0.1)
    assert read_trials(location) == told
    assert [trial.number for trial in told] == list(range(1, 41))


def test_what_is_known_at_the_start_guides_what_comes(tmp_path: Path) -> None:
    wanted, location = search(40, **{"optimizer.lr": RATE}), open_location(tmp_path)
    work(location, wanted, 20)
    later = work(location, wanted, 10) + work(location, wanted, 10)
    assert [trial.number for trial in later] == list(range(21, 41))
    assert np.median([loss(trial.settings) for trial in later]) < 0.5
    assert len({trial.settings["optimizer.lr"] for trial in read_trials(location)}) == 40


def test_a_trial_is_recorded_before_it_starts_and_comes_first_in_the_next_run(tmp_path: Path) -> None:
    wanted, location = search(6, **{"optimizer.lr": RATE}), open_location(tmp_path)
    killed = Suggestions(location, wanted, [], lambda trial: None)
    begun = [killed.suggest(name) for name in "abc"]
    killed.on_trial_complete("b", {EPOCH: 1, OBJECTIVE: 1.0, FINISHED: True})
    assert [trial.state for trial in read_trials(location)] == ["running", "finished", "running"]
    after = Suggestions(location, wanted, read_trials(location), lambda trial: None)
    assert [after.suggest(name) for name in "de"] == [begun[0], begun[2]]
    assert after.suggest("f")["trial"] == 4  # type: ignore[index]


def test_how_a_trial_ended_is_recorded(tmp_path: Path) -> None:
    location, told = open_location(tmp_path), []
    suggestions = Suggestions(location, search(4, **{"optimizer.lr": RATE}), [], told.append)
    for name in ("finished", "stopped", "failed", "lost"):
        suggestions.suggest(name)
        suggestions.on_trial_result(name, {EPOCH: 1, OBJECTIVE: 2.0, FINISHED: False})
    suggestions.on_trial_complete("finished", {EPOCH: 2, OBJECTIVE: 1.0, FINISHED: True})
    suggestions.on_trial_complete("stopped", {EPOCH: 2, OBJECTIVE: 1.5, FINISHED: False})
    suggestions.on_trial_complete("failed", {ERROR: "it diverged"})
    suggestions.on_trial_complete("lost", error=True)
    trials = read_trials(location)
    assert [trial.state for trial in trials] == ["finished", "stopped", "failed", "running"]
    assert [trial.values for trial in trials] == [{1: 2.0, 2: 1.0}, {1: 2.0, 2: 1.5}, {1: 2.0}, {}]
    assert trials[2].error == "it diverged"
    assert told == trials[:3]


def test_a_space_of_choices_gives_every_combination_once_and_no_more(tmp_path: Path) -> None:
    wanted, location = search(20, **CHOICES), open_location(tmp_path)
    outcome = {EPOCH: 1, OBJECTIVE: 1.0, FINISHED: True}
    work(location, wanted, 2, lambda settings: outcome)
    told = work(location, wanted, 4, lambda settings: outcome)
    tried = {(trial.settings["model.latent"], trial.settings["model.blocks"]) for trial in read_trials(location)}
    assert tried == {(latent, blocks) for latent in (4, 8) for blocks in (1, 2, 3)}
    assert len(told) == 4
    assert Suggestions(location, wanted, read_trials(location), told.append).suggest("x") == Searcher.FINISHED


@pytest.mark.parametrize("value", [0.05, 0.35, 0.65, 0.95])
def test_halving_goes_on_from_the_trials_there_are(value: float) -> None:
    """It decides as a halving does that has seen them all itself."""
    chosen = experiment("zoo", training={"epochs": 8})
    curves = {number: {epoch: number / 10 + 1 / epoch for epoch in range(1, 9)} for number in range(1, 10)}
    known = [Trial(number=number, settings={}, state="finished", values=curve) for number, curve in curves.items()]
    whole, resumed = halving(chosen, []), halving(chosen, known)
    for number, curve in curves.items():
        follow(whole, str(number), curve)
    decisions = [
        follow(scheduler, "new", {epoch: value + 1 / epoch for epoch in (1, 2, 3, 4)}) for scheduler in (whole, resumed)
    ]
    assert decisions[0] == decisions[1]
    assert decisions[0][:1] == ["CONTINUE"]
    assert decisions[0][1] == ("CONTINUE" if value < 0.5 else "STOP")


def follow(scheduler: ASHAScheduler, name: str, curve: dict[int, float]) -> list[str]:
    """What the scheduler says of each epoch of a trial."""
    nobody: Any = None
    trial: Any = type("Trial", (), {"trial_id": name})
    scheduler.on_trial_add(nobody, trial)
    return [scheduler.on_trial_result(nobody, trial, {EPOCH: epoch, OBJECTIVE: loss}) for epoch, loss in curve.items()]
