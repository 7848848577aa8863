from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from geozoo.hyper.sources import align_states, reference_state, select_part
from geozoo.hyper.stream import StateStream
from geozoo.store.torch_data import KeptShards
from geozoo.training.distributed import World
from geozoo.training.read_ahead import read_ahead
from geozoo.weights.symmetry import permute
from tests.support.experiments import experiment
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geozoo.hyper.stream import WeightBatch, ZooStates

ALONE = World()


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> ZooStates:
    """The training states of a simulated zoo, which lie in many small shards."""
    folder = tmp_path_factory.mktemp("zoos")
    zoo, _ = make_zoo(folder / "zoo", members=40, cohorts=8, max_shard_bytes=60_000)
    return select_part(zoo, "train", experiment(zoo.url).states)


def seen(batches: list[WeightBatch]) -> list[int]:
    return np.concatenate([batch.items for batch in batches]).tolist()


@pytest.mark.parametrize("resident_bytes", [0, 2**30])
def test_every_state_comes_once_an_epoch_as_it_is_stored(states: ZooStates, resident_bytes: int) -> None:
    stream = StateStream([states], 16, ALONE, seed=1, resident_bytes=resident_bytes)
    assert stream.is_resident == bool(resident_bytes)
    expected = states.zoo.states(states.selection.members, states.selection.epochs)
    orders = []
    for epoch in range(2):
        batches = list(stream.epoch(epoch))
        assert len(batches) == len(stream)
        assert [batch.total for batch in batches[:-1]] == [16] * (len(batches) - 1)
        for batch in batches:
            assert np.array_equal(batch.weights.numpy(), expected[batch.items])
            assert np.array_equal(batch.activations, states.activations[batch.items])
        orders.append(seen(batches))
        assert sorted(orders[-1]) == list(range(len(states)))
    assert orders[0] != orders[1]
    assert seen(list(stream.epoch(0))) == orders[0]


@pytest.mark.parametrize("resident_bytes", [0, 2**30])
def test_an_epoch_goes_on_at_a_batch(states: ZooStates, resident_bytes: int) -> None:
    stream = StateStream([states], 16, ALONE, seed=1, resident_bytes=resident_bytes)
    whole = list(stream.epoch(2))
    for first in (1, len(whole) - 1, len(whole)):
        rest = list(stream.epoch(2, first))
        assert [batch.items.tolist() for batch in rest] == [batch.items.tolist() for batch in whole[first:]]
        for one, other in zip(rest, whole[first:], strict=True):
            assert torch.equal(one.weights, other.weights)


def test_an_epoch_that_goes_on_reads_the_shards_of_its_batches_alone(
    states: ZooStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = StateStream([states], 16, ALONE, seed=1, resident_bytes=0)
    last = seen(list(stream.epoch(2, len(stream) - 1)))
    shards, read = set(states.selection.shards[last].tolist()), set[int]()
    original = KeptShards._read
    monkeypatch.setattr(KeptShards, "_read", lambda self, some: read.update(some) or original(self, some))
    list(stream.epoch(2, len(stream) - 1))
    assert read == shards < set(states.selection.shards.tolist())


@pytest.mark.parametrize("resident_bytes", [0, 2**30])
def test_workers_share_every_batch(states: ZooStates, resident_bytes: int) -> None:
    whole = list(StateStream([states], 16, ALONE, seed=1, resident_bytes=resident_bytes).epoch(0))
    streams = [StateStream([states], 16, World(r, 3), seed=1, resident_bytes=resident_bytes) for r in range(3)]
    for batch, *parts in zip(whole, *(list(stream.epoch(0)) for stream in streams), strict=True):
        assert [part.total for part in parts] == [batch.total] * 3
        assert torch.equal(torch.cat([part.weights for part in parts]), batch.weights)


def test_zoos_take_turns_and_none_loses_a_state(states: ZooStates, tmp_path: Path) -> None:
    other, _ = make_zoo(tmp_path / "other", members=30, seed=5)
    second = select_part(other, "train", experiment(other.url).states)
    stream = StateStream([states, second], 10, ALONE, seed=0)
    batches = list(stream.epoch(3))
    turns = [batch.zoo for batch in batches]
    assert len(batches) == len(stream)
    assert turns != sorted(turns)
    for zoo, source in enumerate((states, second)):
        assert sorted(seen([batch for batch in batches if batch.zoo == zoo])) == list(range(len(source)))


def test_aligned_states_are_the_stored_ones_with_their_units_moved(states: ZooStates) -> None:
    aligned = align_states(states, reference_state(states))
    assert aligned.alignment is not None
    stored, moved = states.read(slice(None)), aligned.read(slice(None))
    rows = [aligned.alignment.rows[member] for member in states.selection.members]
    own = [one[rows] for one in aligned.alignment.permutations]
    assert np.array_equal(permute(torch.from_numpy(stored), aligned.alignment.symmetry, own).numpy(), moved)
    reference = reference_state(states)
    last = states.selection.epochs == states.zoo.checkpoints[-1]
    assert (moved[last] @ reference >= stored[last] @ reference - 1e-4).all()
    for resident_bytes in (0, 2**30):
        stream = StateStream([aligned], 16, ALONE, seed=None, resident_bytes=resident_bytes)
        assert np.array_equal(torch.cat([batch.weights for batch in stream.epoch(0)]).numpy(), moved)


def test_an_error_while_reading_ahead_reaches_the_reader() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    ahead = read_ahead(broken(), 2)  # type: ignore[arg-type, var-annotated]
    assert next(ahead) == 1
    with pytest.raises(OSError, match="gone"):
        next(ahead)


def test_reading_ahead_stops_when_the_reader_leaves() -> None:
    produced = []

    def endless() -> Iterator[int]:
        while True:
            produced.append(len(produced))
            yield produced[-1]

    ahead = read_ahead(endless(), 2)  # type: ignore[arg-type, var-annotated]
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]
    count = len(produced)
    assert count <= 5
