from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from geozoo.cli.main import main
from geozoo.errors import InputError
from geozoo.hyper.decoding.evaluate import evaluate_models
from geozoo.hyper.fit import prepare, train_model
from geozoo.hyper.trained import TrainedModel, open_model
from geozoo.store import open_location, open_zoo, split_of
from geozoo.training.distributed import World
from tests.support.experiments import experiment

if TYPE_CHECKING:
    from pathlib import Path


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
        assert {"tiny: mean embedding", "best training member", "another member as good"} < set(table.decoders)


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
