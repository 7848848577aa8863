from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from geozoo.errors import RecipeError
from geozoo.hyper.experiment import load_experiment
from geozoo.hyper.fit import prepare
from geozoo.hyper.search import with_settings
from geozoo.training.distributed import World
from tests.support.experiments import TREE, experiment, write_experiment
from tests.test_house import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

LR = {"kind": "log_uniform", "low": 1e-4, "high": 1e-2}


def test_settings_take_the_place_of_the_experiment_s_own() -> None:
    chosen = experiment("zoo", search={"axes": {"optimizer.lr": LR}})
    other = with_settings(chosen, {"optimizer.lr": 0.5, "model.latent": 3, "loss.behaviour.weight": 0.25}, "it")
    by_hand = experiment("zoo", optimizer={"lr": 0.5}, model={**TREE["model"], "latent": 3}, loss={
        "behaviour": {"weight": 0.25}
    })  # fmt: skip
    assert other == by_hand
    assert other.search is None
    assert with_settings(chosen, {}, "it") == experiment("zoo")


def test_settings_are_validated_together() -> None:
    chosen = experiment("zoo")
    with_settings(chosen, {"model.heads": 8}, "it")
    with pytest.raises(RecipeError, match=r"trial 3 is not valid: model.*heads"):
        with_settings(chosen, {"model.heads": 8, "model.width": 12}, "trial 3")


def test_a_model_of_another_kind_takes_the_fields_that_are_given() -> None:
    chosen = experiment("zoo", model={"name": "encoder_decoder", "width": 8, "blocks": 1, "heads": 2, "latent": 4})
    assert with_settings(chosen, {"model.name": "sane"}, "it").model.name == "sane"


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"axes": {}}, "search.axes lists nothing|search.axes.*at least 1"),
        ({"axes": {"optimizer.rate": LR}}, "axes names optimizer.rate: optimizer.rate is not a known field: .*lr"),
        ({"axes": {"zoo": {"kind": "choice", "values": ["a"]}}}, "zoo is one for all trials"),
        ({"axes": {"training.epochs": {"kind": "choice", "values": [1]}}}, "training.epochs is one for all trials"),
        ({"axes": {"optimizer.lr": {"kind": "uniform", "low": -1.0, "high": 1.0}}}, "axes names optimizer.lr: .*-1.0"),
        ({"axes": {"optimizer.lr": {"kind": "log_uniform", "low": 0.0, "high": 1.0}}}, "0 has no logarithm"),
        (
            {"axes": {"model.latent": {"kind": "uniform", "low": 8.0, "high": 16.0}}},
            "axes names model.latent: .*list whole numbers, with kind choice",
        ),
        ({"axes": {"model.latent": {"kind": "choice", "values": [-1, 0]}}}, "axes names model.latent: .*-1"),
        ({"axes": {"optimizer.lr": {"kind": "normal"}}}, "kind is 'normal'"),
        ({"axes": {"loss.contrast": LR}}, "loss decides what validation_loss measures"),
        ({"axes": {"loss.structure": LR}, "metric": "validation_structure"}, "loss.structure decides what"),
        ({"axes": {"optimizer.lr": LR}, "metric": "validation_behaviour"}, "give loss.behaviour"),
        ({"axes": {"optimizer.lr": LR}, "metric": "accuracy"}, "search.metric"),
        ({"axes": {"optimizer.lr": LR}, "trials": 0}, "search.trials"),
    ],
)
def test_a_search_that_cannot_work_is_refused(search: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        experiment("zoo", search=search)


def test_values_that_go_with_some_others_only_are_left_to_the_trials() -> None:
    heads = {"kind": "choice", "values": [2, 3]}
    chosen = experiment(
        "zoo", search={"axes": {"model.heads": heads, "loss.contrast": LR}, "metric": "validation_structure"}
    )
    assert chosen.search is not None
    with pytest.raises(RecipeError, match="heads"):
        with_settings(chosen, {"model.heads": 3}, "it")


def test_a_search_changes_nothing_for_training(digits_zoo: str) -> None:
    plain, searched = experiment(digits_zoo), experiment(digits_zoo, search={"axes": {"optimizer.lr": LR}})
    assert prepare(plain, World()).job.identity == prepare(searched, World()).job.identity


def test_the_search_of_the_digits_zoo_is_valid_and_trials_may_be_overridden(tmp_path: Path) -> None:
    chosen = load_experiment(REPOSITORY / "experiments" / "hyper" / "digits_search.yaml", ["search.trials=3"])
    assert chosen.search is not None
    assert chosen.search.trials == 3
    file = write_experiment(tmp_path, "zoo", search=chosen.search.model_dump())
    assert load_experiment(file).search == chosen.search
