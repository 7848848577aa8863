from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geozoo.errors import DamagedZooError, InputError
from geozoo.hyper.fit import run_experiment
from geozoo.hyper.search import with_settings
from geozoo.hyper.trained import open_model
from geozoo.hyper.trials import (
    Trial,
    begin_search,
    begin_trial,
    best_trial,
    kept_value,
    read_trials,
    trial_url,
    write_results,
    write_trial,
)
from geozoo.store import open_location
from geozoo.training.distributed import World
from geozoo.training.loop import Watch
from tests.support.experiments import experiment

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.hyper.experiment import HyperExperiment

AXES = {"optimizer.lr": {"kind": "log_uniform", "low": 1e-3, "high": 1e-2}}


def searched(zoo: str, trials: int = 4, **search: object) -> HyperExperiment:
    return experiment(zoo, search={"axes": AXES, "trials": trials, **search}, training={"epochs": 1})


def test_a_url_holds_one_search_which_may_grow(digits_zoo: str, tmp_path: Path) -> None:
    location = open_location(tmp_path)
    begin_search(location, searched(digits_zoo))
    begin_search(location, searched(digits_zoo, trials=9))
    with pytest.raises(InputError, match="holds a search of other settings"):
        begin_search(location, searched(digits_zoo, seed=1))


def test_every_trial_has_a_number_of_its_own(tmp_path: Path) -> None:
    location = open_location(tmp_path)
    numbers = [
        begin_trial(location, {"optimizer.lr": rate}, after).number for rate, after in ((1.0, 0), (2.0, 0), (3.0, 2))
    ]
    assert numbers == [1, 2, 3]
    assert [trial.settings["optimizer.lr"] for trial in read_trials(location)] == [1.0, 2.0, 3.0]
    ended = Trial(number=2, settings={"optimizer.lr": 2.0}, state="stopped", values={1: 0.5, 12: 0.25})
    write_trial(location, ended)
    assert read_trials(location)[1] == ended
    assert (ended.value, ended.epochs) == (0.25, 12)


def test_a_damaged_record_is_reported(tmp_path: Path) -> None:
    location = open_location(tmp_path)
    location.write("trials/0001/trial.json", b'{"number": 1}')
    with pytest.raises(DamagedZooError, match="a record of the search"):
        read_trials(location)


def test_the_value_of_a_run_is_that_of_the_weights_it_keeps() -> None:
    losses, structures = [3.0, 1.0, 2.0], [0.1, 0.3, 0.2]
    history = [
        {"epoch": epoch, "validation_loss": loss, "validation_structure": structure}
        for epoch, loss, structure in zip((1.0, 2.0, 3.0), losses, structures, strict=True)
    ]
    assert [kept_value(history[:end], "validation_structure") for end in (1, 2, 3)] == [0.1, 0.3, 0.3]
    assert kept_value([{"epoch": 1.0, "loss": 1.0}], "validation_loss") is None


def test_the_best_trial_is_the_least_of_those_that_finished() -> None:
    trials = [
        Trial(number=1, settings={}, state="finished", values={1: 0.5, 2: 0.4}),
        Trial(number=2, settings={}, state="stopped", values={1: 0.1}),
        Trial(number=3, settings={}, state="finished", values={2: 0.3}),
        Trial(number=4, settings={}, state="finished", values={2: 0.3}),
        Trial(number=5, settings={}, state="failed", error="it diverged"),
    ]
    best = best_trial(trials)
    assert best is not None
    assert best.number == 3
    assert best_trial(trials[1:2]) is None


def test_the_model_of_the_best_trial_is_kept(digits_zoo: str, tmp_path: Path) -> None:
    location = open_location(tmp_path)
    chosen, settings = searched(digits_zoo), {"optimizer.lr": 5e-3}
    run_experiment(with_settings(chosen, settings, "it"), trial_url(location.url, 1), World(), Watch())
    trained = open_model(trial_url(location.url, 1))
    value = kept_value(list(trained.card.history), "validation_loss")
    assert value == trained.card.history[0]["validation_loss"]
    write_trial(location, Trial(number=1, settings=settings, state="finished", values={1: value}))
    write_trial(location, Trial(number=2, settings={"optimizer.lr": 9.0}, state="failed", error="it diverged"))
    best = write_results(location, read_trials(location), "validation_loss")
    assert best is not None
    assert best.number == 1
    assert open_model(tmp_path / "best").card == trained.card
    rows = json.loads(location.read("trials.json"))
    assert [row.pop("settings") for row in rows] == [settings, {"optimizer.lr": 9.0}]
    assert rows == [
        {"trial": 1, "state": "finished", "validation_loss": value, "epochs": 1, "error": None},
        {"trial": 2, "state": "failed", "validation_loss": None, "epochs": 0, "error": "it diverged"},
    ]
