"""Zoos that keep the best epoch of every member, against the same training with all epochs kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo.errors import InputError
from geozoo.populate import complete_zoo, populate_here, prepare_zoo
from geozoo.store import Zoo, open_zoo, verify
from geozoo.store.best import BestSoFar
from tests.support.population import simulated_images
from tests.support.recipes import make_recipe

if TYPE_CHECKING:
    from pathlib import Path

EPOCHS = 5
IMAGES = simulated_images(train=60, test=30)


def zoo_of(url: Path, checkpoints: Any, **more: Any) -> Zoo:
    recipe = make_recipe(
        {"lr": [1e-2, 0.3], "optimizer": "sgd"}, training={"epochs": EPOCHS, "checkpoints": checkpoints}, **more
    )
    zoo = prepare_zoo(recipe, str(url), IMAGES, engine="reference")
    return complete_zoo(zoo.url, populate_here(zoo, IMAGES, lambda work: None))


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return zoo_of(tmp_path_factory.mktemp("every"), "every")


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return zoo_of(tmp_path_factory.mktemp("best"), "best")


def matched(every: Zoo, best: Zoo) -> list[int]:
    """Positions in ``every`` of the members of ``best``: same settings, other ids, since the recipes differ."""
    settings = ["activation", "init", "lr", "seed"]
    places = every.members.reset_index().set_index(settings)["index"]
    return [int(places[tuple(row)]) for row in best.members[settings].to_numpy()]


def test_the_state_of_every_member_is_that_of_its_trained_epoch_with_the_highest_validation_accuracy(
    every: Zoo, best: Zoo
) -> None:
    assert best.checkpoints == (EPOCHS,)
    metrics = best.metrics
    assert list(metrics["epoch"]) == [EPOCHS] * len(best.members)
    chosen = set()
    for row, place in enumerate(matched(every, best)):
        course = every.read_metrics(members=[place]).set_index("epoch").loc[1:]
        epoch = int(np.argmax(course["validation_accuracy"].to_numpy())) + 1
        chosen.add(epoch)
        assert metrics["best_epoch"][row] == epoch
        np.testing.assert_array_equal(best.states(row, EPOCHS), every.states(place, epoch))
        for name in course.columns.drop("member"):
            assert metrics[name][row] == course[name][epoch], name
    assert len(chosen) > 1


def test_the_metrics_of_all_trained_epochs_are_kept(every: Zoo, best: Zoo) -> None:
    history = best.read_history()
    assert list(history["epoch"]) == list(range(1, EPOCHS + 1)) * len(best.members)
    wanted = every.read_history(members=matched(every, best))
    wanted = wanted[wanted["epoch"] > 0].reset_index(drop=True)
    for name in wanted.columns.drop("member"):
        np.testing.assert_array_equal(history[name], wanted[name], err_msg=name)
    last = history[history["epoch"] == EPOCHS]["best_epoch"]
    np.testing.assert_array_equal(last, best.metrics["best_epoch"])
    assert list(best.read_history(["test_accuracy"], members=[3]).columns) == ["member", "epoch", "test_accuracy"]


def test_it_reads_as_any_zoo_of_one_checkpoint(best: Zoo) -> None:
    assert best.weights.shape[:2] == (len(best.members), 1)
    with pytest.raises(InputError, match="epoch 3 is not stored"):
        best.states(0, 3)
    dataset = best.torch_dataset("train")
    weights, target = dataset[0]
    row = best.read_metrics(members=[dataset.index["member"][0]])
    assert weights.numpy().tolist() == best.states(dataset.index["member"][0], EPOCHS)[0].tolist()
    assert float(target) == pytest.approx(float(row["test_accuracy"].iloc[0]))


def test_the_digest_covers_the_metrics_of_all_epochs(best: Zoo, tmp_path: Path) -> None:
    assert verify(best.url, recompute_digest=True).clean
    again = zoo_of(tmp_path / "again", "best")
    assert again.digest() == best.digest()
    limited = zoo_of(tmp_path / "limited", "best", evaluation={"train": 10})
    assert limited.digest() != best.digest()


def test_the_last_epoch_alone(every: Zoo, tmp_path: Path) -> None:
    last = zoo_of(tmp_path / "last", "last")
    assert last.checkpoints == (EPOCHS,)
    places = matched(every, last)
    np.testing.assert_array_equal(last.states(np.arange(len(places)), EPOCHS), every.states(places, EPOCHS))
    assert verify(last.url, recompute_digest=True).clean
    assert open_zoo(last.url).read_history().equals(last.metrics)


def test_of_equal_epochs_the_first_counts_and_a_diverged_one_is_never_better() -> None:
    kept = BestSoFar(3, 1, np.float32)
    course = [(1, [0.5, 0.2, 0.0]), (2, [0.5, 0.4, 0.0]), (3, [0.0, 0.1, 0.0])]
    for epoch, accuracies in course:
        metrics = {"validation_accuracy": np.array(accuracies), "finite": np.array([epoch < 3, True, False])}
        told = kept.take(epoch, np.full((3, 1), float(epoch), dtype=np.float32), metrics)
    assert kept.weights[:, 0].tolist() == [1, 2, 1]
    assert kept.metrics["finite"].tolist() == [True, True, False]
    assert told["best_epoch"].tolist() == [1, 2, 1]
