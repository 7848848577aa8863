from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geozoo.cli.main import main
from geozoo.errors import DataNotFoundError, InputError
from geozoo.hyper.decoding import evaluate, principal
from geozoo.hyper.decoding.evaluate import evaluate_models
from geozoo.hyper.decoding.principal import through_components
from geozoo.hyper.decoding.titles import model_titles
from geozoo.hyper.fit import prepare, train_model
from geozoo.hyper.sources import zoo_symmetry
from geozoo.hyper.trained import ModelCard, TrainedModel, open_model
from geozoo.store import open_location, open_zoo, split_of
from geozoo.training.distributed import World
from geozoo.weights.alignment import align
from tests.support.experiments import experiment

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.store import Zoo


@pytest.fixture(scope="module")
def model(digits_zoo: str, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    location = open_location(tmp_path_factory.mktemp("models"))
    chosen = experiment(digits_zoo, states={"align": True}, training={"epochs": 1}, augmentation={"target": "clean"})
    train_model(prepare(chosen, World()), World(), location)
    return open_model(location.url)


def test_a_model_that_gives_states_back_is_perfect(
    digits_zoo: str, model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainedModel, "reconstruct", lambda self, weights, zoo=0: weights)
    zoo = open_zoo(digits_zoo)
    held_out = [member for member in zoo.members["member"] if split_of(member) == "test"]
    final, every = evaluate_models([model, model], zoo)
    assert (final.epochs, every.epochs) == ("final", "all")
    for table, states in ((final, len(held_out)), (every, 3 * len(held_out))):
        runs = table.decoders["tiny"]
        assert len(runs) == 2
        for scores in runs:
            assert scores.states == states
            assert scores.r2 == 1
            assert set(scores.r2_by_tensor.values()) == {1}
            assert scores.agreement.value == scores.identified_by_logits.value == 1
        assert table.decoders["training mean"][0].r2 == 0
        beside = {"tiny: mean embedding", "4 principal components", "best training member", "another member as good"}
        assert beside < set(table.decoders)


def test_networks_are_decoded_in_the_order_of_units_that_the_model_learned(
    digits_zoo: str, model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    monkeypatch.setattr(TrainedModel, "reconstruct", lambda self, weights, zoo=0: seen.append(weights) or weights)
    zoo = open_zoo(digits_zoo)
    evaluate_models([model], zoo)
    held_out = [member for member in zoo.members["member"] if split_of(member) == "test"]
    last = torch.from_numpy(zoo.states(held_out, 2))
    aligned = align(last, model.codec.space(0).reference, zoo_symmetry(zoo))
    assert not torch.equal(aligned, last)
    np.testing.assert_array_equal(seen[0], aligned.numpy())


def with_settings(model: TrainedModel, *, members: int | None = None, **changes: dict[str, Any]) -> TrainedModel:
    """The same model as if it had been trained with other settings, or on its first members."""
    tree = model.card.model_dump()
    for section, values in changes.items():
        tree["experiment"][section] |= values
    tree["zoos"][0]["members"] = tree["zoos"][0]["members"][:members]
    return replace(model, card=ModelCard.model_validate(tree))


def test_only_seeds_of_one_experiment_are_one_decoder(digits_zoo: str, model: TrainedModel) -> None:
    seed = with_settings(model, training={"seed": 7})
    contrast = with_settings(model, loss={"contrast": 0.5})
    final = evaluate_models([model, seed, contrast], open_zoo(digits_zoo))[0]
    assert len(final.decoders["tiny (loss.contrast 0.2)"]) == 2
    assert len(final.decoders["tiny (loss.contrast 0.5)"]) == 1
    fewer = with_settings(model, members=5)
    titles = model_titles([model.card, fewer.card])
    assert titles[0] != titles[1]
    assert titles[1] == "tiny (zoo digits_cnn with 5 members)"


def test_as_many_principal_components_are_the_best_linear_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the truncated singular value decomposition, of fewer states than parameters and of more."""
    draw = np.random.default_rng(0)
    spectrum = np.geomspace(10, 0.1, 30)
    for states in (20, 80):
        train, other = ((draw.normal(size=(n, 30)) * spectrum + 1).astype(np.float32) for n in (states, 7))
        mean = train.mean(axis=0)
        for components in (3, 40):
            basis = np.linalg.svd(train - mean, full_matrices=False)[2][: min(components, states - 1)]
            expected = mean + (other - mean) @ basis.T @ basis
            np.testing.assert_allclose(through_components(train, other, components), expected, atol=1e-3)
        monkeypatch.setattr(principal, "EXACT_PARAMETERS", 0)
        randomised = through_components(train, other, 3)
        monkeypatch.undo()
        np.testing.assert_allclose(randomised, through_components(train, other, 3), atol=0.1)
    monkeypatch.setattr(principal, "MAX_TRAINING_WEIGHTS", 30 * 30)
    np.testing.assert_allclose(through_components(train, other, 3), through_components(train[::3], other, 3), atol=1e-5)


def test_a_model_of_another_network_is_refused_before_images_are_looked_for(
    digits_zoo: str, model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_images(zoo: Zoo) -> None:
        raise DataNotFoundError("no images here")

    monkeypatch.setattr(evaluate, "images_of", no_images)
    monkeypatch.setattr(TrainedModel, "layouts", [open_zoo(digits_zoo).layout[:2]])
    with pytest.raises(InputError, match="cannot read networks of"):
        evaluate_models([model], open_zoo(digits_zoo))


def test_the_command_prints_tables_and_json(
    digits_zoo: str, model: TrainedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, expected in (("--markdown", "| training mean | "), ("--json", '"r2_by_tensor"')):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", model.url, "--zoo", digits_zoo, option])
        assert ended.value.code == 0
        out = capsys.readouterr().out
        assert expected in out
    tables = json.loads(out)
    assert [table["epochs"] for table in tables] == ["final", "all"]
    assert np.isfinite(tables[0]["decoders"]["tiny"][0]["agreement"]["value"])


def test_a_zoo_that_was_not_learned_from_is_refused(
    digits_zoo: str, model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainedModel, "train_members", frozenset({"someone else"}))
    with pytest.raises(InputError, match="trained on no member of zoo"):
        evaluate_models([model], open_zoo(digits_zoo))
