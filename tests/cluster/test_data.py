"""States through Ray Data against the stacked truth, inside one shared Ray cluster in this process."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geozoo.cluster.data import read_states
from geozoo.cluster.session import ray_session
from geozoo.errors import DamagedZooError, InputError
from geozoo.store import split_of
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geozoo.store import Zoo
    from tests.support.zoos import Truth

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]
CHECKPOINTS = (0, 1, 2, 5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Zoo, Truth]]:
    """Six cohorts of two shards each, and a cluster."""
    folder = tmp_path_factory.mktemp("zoo")
    with ray_session(None):
        yield make_zoo(
            folder,
            members=60,
            cohorts=6,
            checkpoints=CHECKPOINTS,
            shuffle=True,
            dtype="float16",
            max_shard_bytes=99_000,
        )


def states_of(dataset: Any) -> tuple[list[tuple[str, int]], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Member and epoch of each row, weights and targets."""
    batches = list(dataset.iter_batches(batch_size=None, batch_format="numpy"))
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    names = [(str(member), int(at)) for member, at in zip(columns["member"], columns["epoch"], strict=True)]
    return names, columns["weights"], columns["target"]


@pytest.mark.parametrize("seed", [None, 0])
def test_every_state_comes_once_with_its_weights_and_target(made: tuple[Zoo, Truth], seed: int | None) -> None:
    zoo, truth = made
    row = {member: row for row, member in enumerate(zoo.members["member"])}
    accuracy = truth.metrics.set_index(["member", "epoch"])["test_accuracy"]
    seen: list[tuple[str, int]] = []
    for split in ("train", "validation", "test"):
        names, weights, targets = states_of(read_states(zoo.url, split, epochs=[0, 2, 5], seed=seed))
        assert {split_of(member) for member, _ in names} == {split}
        seen += names
        assert weights.dtype == targets.dtype == np.float32
        expected = truth.weights[[row[member] for member, _ in names], [CHECKPOINTS.index(at) for _, at in names]]
        np.testing.assert_array_equal(weights, expected.astype(np.float32))
        np.testing.assert_allclose(targets, [accuracy[name] for name in names], rtol=1e-6)
    assert sorted(seen) == sorted((member, at) for member in row for at in (0, 2, 5))


def test_seed_and_epoch_decide_the_order(made: tuple[Zoo, Truth]) -> None:
    zoo, _ = made
    cohort = dict(zip(zoo.members["member"], zoo.members["cohort"], strict=True))
    orders = {
        (seed, epoch): states_of(read_states(zoo.url, seed=seed, epoch=epoch))[0]
        for seed, epoch in [(None, 0), (0, 0), (0, 1), (1, 0)]
    }
    assert len(set(map(tuple, orders.values()))) == len(orders)
    assert states_of(read_states(zoo.url, seed=0, epoch=1))[0] == orders[0, 1]
    runs = [cohort[member] for member, _ in orders[0, 0]]
    changes = sum(one != other for one, other in itertools.pairwise(runs))
    assert 6 <= changes + 1 <= 12
    assert list(dict.fromkeys(runs)) != sorted(set(runs))


def test_one_block_a_shard_of_fixed_shape(made: tuple[Zoo, Truth]) -> None:
    zoo, _ = made
    dataset = read_states(zoo.url)
    schema = dataset.schema()
    assert dict(zip(schema.names, map(str, schema.types), strict=True)) == {
        "member": "string",
        "epoch": "int64",
        "target": "float",
        "weights": f"ArrowTensorTypeV2(shape=({zoo.header.num_parameters},), dtype=float)",
    }
    assert dataset.count() == len(zoo.torch_dataset())
    shards = [name for commit in zoo.commits().values() for name in commit.objects if "/c/" in name]
    assert dataset.materialize().num_blocks() == len(shards) == 12
    batches = list(dataset.drop_columns(["member"]).iter_torch_batches(batch_size=64))
    assert sum(len(batch["weights"]) for batch in batches) == dataset.count()


def test_damage_reaches_the_driver(tmp_path: Path, made: tuple[Zoo, Truth]) -> None:
    zoo, _ = make_zoo(tmp_path, members=4, cohorts=1)
    commit = zoo.commits()["0-000"]
    (tmp_path / commit.folder / "weights.zarr" / commit.weights.shard_key(0, 0)).unlink()
    with pytest.raises(DamagedZooError, match="is missing in"):
        read_states(tmp_path).take_all()


def test_a_negative_seed_is_refused(made: tuple[Zoo, Truth]) -> None:
    with pytest.raises(InputError, match="seed=-1 cannot shuffle"):
        read_states(made[0].url, seed=-1)
