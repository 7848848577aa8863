"""Zoos whose training is interrupted after any epoch: whatever is stored and whichever engine trains, they go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import geozoo.populate
import geozoo.store.writer
from geozoo.populate import Work, complete_zoo, populate_here, prepare_zoo, work_of
from geozoo.population import ENGINES, load_engine
from geozoo.store import Attempt, resumable_cohorts, verify
from tests.support.population import simulated_images
from tests.support.recipes import make_recipe
from tests.support.runs import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geozoo.store import Zoo

EPOCHS = 4
IMAGES = simulated_images(train=30, test=20)
FORMS: list[Any] = ["every", "last", "best", {"every": 2, "first": 1}, [0, 3]]


class StoppedError(Exception):
    pass


class Stopped:
    """An engine that ends with an error after an epoch, once its resume point is written."""

    def __init__(self, zoo: Zoo, epoch: int) -> None:
        self.zoo, self.epoch = zoo, epoch

    def train(self, *arguments: Any) -> Iterator[Any]:
        for progress in load_engine(self.zoo.header.engine).train(*arguments):
            yield progress
            if progress.snapshot is not None and progress.snapshot().epoch == self.epoch:
                assert wait_until(lambda: self.epoch in resumable_cohorts(self.zoo.location).values(), seconds=20)
                raise StoppedError


def prepare(url: Path, checkpoints: Any, engine: str) -> Zoo:
    training = {"epochs": EPOCHS, "checkpoints": checkpoints}
    return prepare_zoo(make_recipe({"activation": "tanh"}, training=training), str(url), IMAGES, engine=engine)


@pytest.fixture(autouse=True)
def after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resume point after every epoch, and a state of its own in every shard."""
    monkeypatch.setattr(geozoo.store.writer, "RESUME_SECONDS", 0)
    monkeypatch.setattr(Attempt.begin.__func__, "__kwdefaults__", {"max_shard_bytes": 1})


@pytest.mark.parametrize("checkpoints", FORMS, ids=str)
@pytest.mark.parametrize("engine", list(ENGINES))
def test_interrupted_twice_a_zoo_has_the_digest_of_an_undisturbed_one(
    engine: str, checkpoints: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepare(tmp_path / "whole", checkpoints, engine)
    expected = complete_zoo(whole.url, populate_here(whole, IMAGES, lambda work: None)).digest()
    zoo = prepare(tmp_path / "zoo", checkpoints, engine)
    (cohort,) = zoo.members["cohort"].unique()
    for epoch in (1, 2):
        monkeypatch.setattr(geozoo.populate, "load_engine", lambda name, threads, at=epoch: Stopped(zoo, at))
        with pytest.raises(StoppedError):
            populate_here(zoo, IMAGES, lambda work: None)
        assert resumable_cohorts(zoo.location) == {cohort: epoch}
    monkeypatch.setattr(geozoo.populate, "load_engine", load_engine)
    notes: list[str] = []
    done: list[Work] = []
    errors = populate_here(zoo, IMAGES, done.append, on_note=notes.append)
    assert notes == [f"cohort {cohort} goes on after epoch 2."]
    assert complete_zoo(zoo.url, errors).digest() == expected
    assert sum(done, Work()) == work_of(whole, IMAGES, [cohort])
    findings = verify(zoo.url, recompute_digest=True).findings
    assert {finding.kind for finding in findings} == {"uncommitted attempt"}
