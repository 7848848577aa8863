"""Runs that were killed in the middle of an epoch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from geozoo.store import Location, open_location
from geozoo.training.checkpoint import Checkpoint, load_checkpoint
from geozoo.training.distributed import World
from geozoo.training.loop import Job, fit
from tests.support.killed import Dying, KilledError
from tests.support.regressions import EPOCHS, SIZES, Draws, curve, job
from tests.support.workers import on_workers

if TYPE_CHECKING:
    from pathlib import Path


def killed(some: Job, world: World, location: Location, epoch: int, batch: int) -> Checkpoint:
    """Train until a batch, and the checkpoint that is there then."""
    with pytest.raises(KilledError):
        fit(replace(some, train=Dying(some.train, epoch, batch)), world, location)
    found = load_checkpoint(location, some.identity)
    assert found is not None
    return found


def same(ours: Checkpoint, theirs: Checkpoint) -> bool:
    """Whether two runs ended alike, but for the time they took."""
    assert ours.best is not None
    assert theirs.best is not None
    states = ((ours.module, theirs.module), (ours.best, theirs.best))
    equal = all(torch.equal(one[name], other[name]) for one, other in states for name in one.keys() | other.keys())
    return equal and curve(ours) == curve(theirs)


@pytest.mark.parametrize("schedule", ["onecycle", "plateau", "cosine"])
@pytest.mark.parametrize(("batch", "first"), [(1, 0), (2, 2), (3, 2), (5, 4)])
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_killed_run_goes_on_from_its_last_step(schedule: str, epoch: int, batch: int, first: int) -> None:
    whole = fit(job(schedule=schedule), World())
    location = open_location(f"memory://resume-{schedule}-{epoch}-{batch}")
    if (epoch, first) == (0, 0):
        with pytest.raises(AssertionError):  # nothing had been written yet
            killed(job(schedule=schedule, checkpoint_steps=2), World(), location, epoch, batch)
    else:
        found = killed(job(schedule=schedule, checkpoint_steps=2), World(), location, epoch, batch)
        assert (found.epoch, found.step, found.rows) == (epoch, first, sum(SIZES[:first]))
    again = job(schedule=schedule, checkpoint_steps=2)
    assert same(fit(again, World(), location), whole)
    assert again.train.asked == [(epoch, first), *((later, 0) for later in range(epoch + 1, EPOCHS))]  # type: ignore[attr-defined]


def test_a_run_killed_in_its_validation_trains_no_step_again() -> None:
    """The checkpoint of the last step lies before the validation."""
    location = open_location("memory://resume-validation")
    some = job(checkpoint_steps=3)
    with pytest.raises(KilledError):
        fit(replace(some, validation=Dying(Draws(), 0, 1)), World(), location)
    again = job(checkpoint_steps=3)
    assert same(fit(again, World(), location), fit(job(), World()))
    assert again.train.asked[0] == (0, len(SIZES))  # type: ignore[attr-defined]


def test_a_run_may_be_killed_twice_and_save_more_often() -> None:
    location = open_location("memory://resume-twice")
    killed(job(checkpoint_steps=2), World(), location, 1, 3)
    found = killed(job(checkpoint_steps=1), World(), location, 1, 5)
    assert found.step == 5
    assert same(fit(job(), World(), location), fit(job(), World()))


def test_without_the_setting_a_checkpoint_is_of_whole_epochs() -> None:
    found = killed(job(), World(), open_location("memory://resume-whole"), 2, 5)
    assert (found.epoch, found.step, found.sums) == (2, 0, {})


def train_and_kill(world: World, folder: str) -> list[list[dict[str, float]]]:
    """On every worker: a whole run, and one that is killed and goes on; another is killed for good."""
    whole, parted, left = (open_location(f"{folder}/{name}") for name in ("whole", "parted", "left"))
    undisturbed = fit(job(world, checkpoint_steps=2), world, whole)
    for location in (parted, left):
        with pytest.raises(KilledError):  # after a step that all workers took since the checkpoint
            fit(replace(some := job(world, checkpoint_steps=2), train=Dying(some.train, 1, 5)), world, location)
    continued = fit(job(world, checkpoint_steps=2), world, parted)
    assert same(continued, undisturbed)
    return [curve(undisturbed), curve(continued)]


def test_workers_go_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    """Two do so bit for bit; where one goes on alone, sums over both count once."""
    for undisturbed, continued in on_workers(2, tmp_path / "meeting", train_and_kill, str(tmp_path)):
        assert continued == undisturbed
    again = job()
    alone = fit(again, World(), open_location(tmp_path / "left"))
    assert again.train.asked[0] == (1, 4)  # type: ignore[attr-defined]
    for ours, theirs, other in zip(curve(alone), curve(fit(job(), World())), undisturbed, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9)
        assert other == pytest.approx(theirs, rel=1e-9)
