"""States in the order of one reference, of members that diverged too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from geozoo.hyper.aligned import Alignment, last_finite
from geozoo.hyper.fit import prepare, train_model
from geozoo.hyper.sources import zoo_symmetry
from geozoo.hyper.trained import open_model
from geozoo.store import Attempt, create_zoo, open_location, split_of
from geozoo.training.distributed import World
from geozoo.weights.alignment import matching_permutations
from geozoo.weights.symmetry import permute
from tests.support.experiments import experiment
from tests.support.zoos import make_header, make_metrics, make_plan, make_weights, make_zoo

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.store import Zoo

EPOCHS = (0, 4, 25)
DIVERGED_AFTER = {"train": 4, "validation": 0, "test": 0}
"""The last finite epoch of one member of each part."""


@pytest.fixture(scope="module")
def diverging(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, dict[str, int]]:
    """Simulated members of which one in each part diverged, the first for training too; and when it did."""
    header, plan = make_header(EPOCHS), make_plan(members=40, cohorts=1)
    url = tmp_path_factory.mktemp("zoo")
    zoo = create_zoo(url, header, plan)
    rows = zoo.members.sort_values("position")
    members = list(rows["member"])
    weights = make_weights(members, EPOCHS, header.num_parameters)
    last = {next(m for m in members if split_of(m) == part): epoch for part, epoch in DIVERGED_AFTER.items()}
    attempt = Attempt.begin(zoo.location, zoo.header, rows)
    for number, epoch in enumerate(EPOCHS):
        finite = np.array([epoch <= last.get(member, 25) for member in members])
        states = np.where(finite[:, None], weights[:, number], np.nan).astype(np.float32)
        attempt.append(epoch, states, make_metrics(members, epoch) | {"finite": finite})
    attempt.commit({"engine": "simulated", "wall_seconds": 1.0})
    return create_zoo(url, header, plan), last


def test_all_states_of_a_member_get_the_permutation_of_its_last(tmp_path: Path) -> None:
    zoo, truth = make_zoo(tmp_path / "zoo", checkpoints=EPOCHS)
    members, symmetry = list(zoo.members["member"]), zoo_symmetry(zoo)
    reference = truth.weights[0, -1]
    alignment = Alignment.of(zoo, members, symmetry, reference)
    first, last = (torch.from_numpy(truth.weights[:, place]) for place in (0, -1))
    of_last = matching_permutations(last, torch.from_numpy(reference), symmetry)
    of_first = matching_permutations(first, torch.from_numpy(reference), symmetry)
    assert not all(torch.equal(one, other) for one, other in zip(of_last, of_first, strict=True))
    for states in (first, last):
        expected = permute(states, symmetry, of_last).numpy()
        np.testing.assert_array_equal(alignment(states.numpy(), members), expected)


def test_a_member_that_diverged_is_matched_by_its_last_finite_state(diverging: tuple[Zoo, dict[str, int]]) -> None:
    zoo, last = diverging
    member, epoch = next(iter(last.items()))
    assert last_finite(zoo, list(zoo.members["member"])) == {one: last.get(one, 25) for one in zoo.members["member"]}
    reference, symmetry = zoo.states(next(m for m in zoo.members["member"] if m not in last), 25)[0], zoo_symmetry(zoo)
    alignment = Alignment.of(zoo, [member], symmetry, reference)
    state = torch.from_numpy(zoo.states(member, epoch))
    expected = permute(state, symmetry, matching_permutations(state, torch.from_numpy(reference), symmetry))
    np.testing.assert_array_equal(alignment(state.numpy(), [member]), expected.numpy())


def test_a_zoo_with_diverged_members_trains_aligned(diverging: tuple[Zoo, dict[str, int]]) -> None:
    zoo, last = diverging
    chosen = experiment(zoo.url, states={"align": True}, training={"epochs": 1})
    prepared, plain = (prepare(one, World()) for one in (chosen, experiment(zoo.url)))
    for ours, theirs in zip((*prepared.train, *prepared.validation), (*plain.train, *plain.validation), strict=True):
        assert ours.selection.members.tolist() == theirs.selection.members.tolist()
        assert ours.selection.epochs.tolist() == theirs.selection.epochs.tolist()
        assert set(last) & set(ours.selection.members)
    first = next(m for m in prepared.train[0].selection.members if m not in last)
    np.testing.assert_array_equal(prepared.system.codec.space(0).reference.numpy(), zoo.states(first, 25)[0])
    location = open_location("memory://aligned")
    train_model(prepared, World(), location)
    assert np.isfinite(open_model(location.url).card.history[0]["validation_loss"])
