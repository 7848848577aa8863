"""The weights of the best epochs that lie beside a checkpoint."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from geozoo.store import Location, open_location
from geozoo.training.best import kept_epochs
from geozoo.training.checkpoint import Checkpoint, save_checkpoint
from geozoo.training.distributed import World
from geozoo.training.loop import Job, best_epoch, best_epochs, fit
from geozoo.training.settings import OptimizerSettings
from tests.support.killed import KilledError
from tests.support.regressions import job


def weights_by_epoch(some: Job) -> tuple[Job, dict[int, dict[str, Tensor]]]:
    """A job, and the weights that its system has after every epoch."""
    seen: dict[int, dict[str, Tensor]] = {}

    def look(world: World) -> dict[str, float]:
        del world
        seen[len(seen) + 1] = {name: value.clone() for name, value in some.system.state_dict().items()}
        return {}

    return replace(some, monitor=look), seen


def ranked(state: Checkpoint) -> list[int]:
    losses = [record["validation_loss"] for record in state.history]
    return sorted(range(1, len(losses) + 1), key=lambda epoch: (losses[epoch - 1], epoch))


def rough(keep_best: int = 3) -> Job:
    """A job whose validation loss goes up and down, so that epochs fall out of the best."""
    some = job(schedule="constant", epochs=9, keep_best=keep_best)
    return replace(some, optimizer=OptimizerSettings(name="adam", lr=0.8))


def test_the_weights_of_the_best_epochs_lie_beside_the_checkpoint() -> None:
    some, seen = weights_by_epoch(rough())
    location = open_location("memory://best-three")
    state = fit(some, World(), location)
    best = ranked(state)[:3]
    assert ranked(state)[::-1] != list(range(1, 10)) != ranked(state)
    assert kept_epochs(location) == {epoch: f"best/epoch-{epoch:04d}.safetensors" for epoch in sorted(best)}
    for epoch, name in kept_epochs(location).items():
        found = load(location.read(name))
        assert found.keys() == seen[epoch].keys()
        assert all(torch.equal(found[key], value) for key, value in seen[epoch].items())
    assert state.best is not None
    assert all(torch.equal(state.best[key], value) for key, value in seen[best[0]].items())


def test_one_best_epoch_writes_nothing_more() -> None:
    location = open_location("memory://best-one")
    fit(job(), World(), location)
    assert list(location.list()) == ["checkpoint.pt"]


@pytest.mark.parametrize("after", [1, 4, 5, 9])
@pytest.mark.parametrize("written", [False, True])
def test_a_run_killed_at_its_checkpoint_ends_with_the_best_of_its_whole_history(
    after: int, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed where weights and checkpoint say different things: before it is written, and after."""
    location = open_location(f"memory://best-killed-{after}-{written}")

    def die(location: Location, state: Checkpoint) -> None:
        if state.epoch != after or written:
            save_checkpoint(location, state)
        if state.epoch == after:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("geozoo.training.loop.save_checkpoint", die)
        with pytest.raises(KilledError):
            fit(rough(), World(), location)
    state = fit(rough(), World(), location)
    assert len(state.history) == 9
    assert sorted(kept_epochs(location)) == sorted(ranked(state)[:3])


def test_fewer_may_be_kept_when_a_run_goes_on() -> None:
    location = open_location("memory://best-fewer")
    fit(rough(), World(), location)
    state = fit(rough(keep_best=2), World(), location)
    assert sorted(kept_epochs(location)) == sorted(ranked(state)[:2])
    fit(rough(keep_best=1), World(), location)
    assert len(kept_epochs(location)) == 2


@pytest.mark.parametrize(
    ("losses", "order"),
    [
        ([3.0, 1.0, 2.0, 1.0], [2, 4, 3, 1]),
        ([2.0, 2.0, 2.0], [1, 2, 3]),
        ([math.nan, 0.5, math.nan, 0.3], [4, 2, 1, 3]),
    ],
)
def test_the_first_of_equals_is_the_better(losses: list[float], order: list[int]) -> None:
    history = [{"epoch": float(place), "loss": 0.0, "validation_loss": loss} for place, loss in enumerate(losses, 1)]
    for count in range(1, len(order) + 1):
        assert best_epochs(history, count) == order[:count]
    assert best_epoch(history) == order[0]
    unvalidated = [{"epoch": record["epoch"], "loss": record["validation_loss"]} for record in history]
    assert best_epochs(unvalidated, 2) == order[:2]
