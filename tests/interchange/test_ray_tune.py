"""A raw zoo that Ray Tune itself made, by a Trainable as the published zoos were made with, in and out again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ray
import torch
from ray import tune

from geozoo.cluster.session import ray_session
from geozoo.store import open_zoo, verify
from tests.support.commands import geozoo

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]
SEEDS, EPOCHS = (1, 2), 2
METRICS = ("train_loss", "train_acc", "test_loss", "test_acc")


def make_trainable(*, from_zero: bool) -> type[tune.Trainable]:
    """A class Trainable that saves ``checkpoints`` and ``optimizer``.

    ``from_zero`` sets Ray's counter back in ``setup``, as the published class does: the first step then evaluates
    the initialisation and is reported as iteration 0.
    """

    class NN_tune_trainable(tune.Trainable):  # noqa: N801
        def setup(self, config: dict[str, Any]) -> None:
            from geozoo.nets import build_network

            torch.manual_seed(config["seed"])
            shape = {"channels": 1, "size": 28, "classes": 10}
            self.network = build_network("cnn_s", **shape, activation=config["model::nlin"])
            self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config["optim::lr"])
            self.images, self.labels = torch.randn(20, 1, 28, 28), torch.randint(10, (20,))
            if from_zero:
                self._iteration = -1

        def step(self) -> dict[str, float]:
            loss, trained = -999.0, self._iteration >= 0
            if trained:
                value = torch.nn.functional.cross_entropy(self.network(self.images), self.labels)
                self.optimizer.zero_grad()
                value.backward()
                self.optimizer.step()
                loss = float(value)
            with torch.no_grad():
                logits = self.network(self.images)
            right = float((logits.argmax(1) == self.labels).float().mean())
            tested = float(torch.nn.functional.cross_entropy(logits, self.labels))
            return {
                "train_loss": loss,
                "train_acc": right if trained else -999.0,
                "test_loss": tested,
                "test_acc": right,
            }

        def save_checkpoint(self, checkpoint_dir: str) -> str:
            torch.save(self.network.state_dict(), Path(checkpoint_dir) / "checkpoints")
            torch.save(self.optimizer.state_dict(), Path(checkpoint_dir) / "optimizer")
            return checkpoint_dir

    return NN_tune_trainable


def run_tune(folder: Path, name: str, *, from_zero: bool) -> Path:
    space = {
        "model::type": "CNN",
        "model::nlin": "tanh",
        "model::dropout": 0.0,
        "optim::optimizer": "adam",
        "optim::lr": tune.grid_search([1e-3]),
        "seed": tune.grid_search(list(SEEDS)),
        "training::batchsize": 20,
    }
    run = tune.RunConfig(
        name=name,
        storage_path=str(folder),
        stop={"training_iteration": EPOCHS},
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        verbose=0,
    )
    results = tune.Tuner(make_trainable(from_zero=from_zero), param_space=space, run_config=run).fit()
    assert not results.errors
    return folder / name


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Zoos as the published class numbers its iterations, and as a newer Ray does by itself."""
    folder = tmp_path_factory.mktemp("ray")
    with ray_session(None):
        assert ray.is_initialized()
        yield {name: run_tune(folder, name, from_zero=name == "published") for name in ("published", "newer")}


def rows_of(trial: Path) -> dict[int, dict[str, Any]]:
    rows = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
    return {row["training_iteration"]: row for row in rows}


@pytest.mark.parametrize(("name", "epochs"), [("published", (0, 1, 2)), ("newer", (1, 2))])
def test_a_zoo_of_ray_tune_comes_in_and_goes_out(
    folders: dict[str, Path], name: str, epochs: tuple[int, ...], tmp_path: Path
) -> None:
    imported = geozoo("import", "tune", folders[name], "--to", tmp_path / "zoo")
    assert imported.code == 0, imported.err
    assert verify(tmp_path / "zoo", recompute_digest=True).clean
    zoo = open_zoo(tmp_path / "zoo")
    assert zoo.checkpoints == epochs
    assert sorted(zoo.members["seed"]) == list(SEEDS)
    assert zoo.header.recipe["network"] == {"name": "cnn_s"}
    exported = geozoo("export", "tune", tmp_path / "zoo", "--to", tmp_path / "back")
    assert exported.code == 0, exported.err
    trials = sorted(path for path in folders[name].iterdir() if path.is_dir())
    assert len(trials) == len(SEEDS)
    for theirs in trials:
        ours = tmp_path / "back" / theirs.name
        assert json.loads((ours / "params.json").read_text()) == json.loads((theirs / "params.json").read_text())
        before, after = rows_of(theirs), rows_of(ours)
        assert sorted(before) == sorted(after) == list(epochs)
        for number, epoch in enumerate(epochs):
            assert {key: before[epoch][key] for key in METRICS} == {key: after[epoch][key] for key in METRICS}
            saved = torch.load(theirs / f"checkpoint_{number:06d}" / "checkpoints", weights_only=True)
            again = torch.load(ours / f"checkpoint_{epoch:06d}" / "checkpoints", weights_only=True)
            assert list(saved) == list(again)
            assert all(torch.equal(saved[key], again[key]) for key in saved)
