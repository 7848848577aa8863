"""The data set of states and its shuffling by shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler

from geozoo.errors import InputError
from geozoo.store.backends import LocalBackend
from geozoo.store.torch_data import ShardSampler
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from geozoo.store import Zoo
    from geozoo.store.torch_data import StatesDataset
    from tests.support.zoos import Truth

COHORTS, CHECKPOINTS = 9, (0, 1, 2, 5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Truth]:
    """Nine cohorts of one shard each."""
    folder = tmp_path_factory.mktemp("zoo")
    return make_zoo(folder, members=90, cohorts=COHORTS, checkpoints=CHECKPOINTS, shuffle=True)


@pytest.fixture
def data(made: tuple[Zoo, Truth]) -> StatesDataset:
    return made[0].torch_dataset("train")


def cohorts_in_order(zoo: Zoo, data: StatesDataset, items: list[int]) -> list[str]:
    cohort = zoo.members.set_index("member")["cohort"]
    return cohort[data.index["member"].iloc[items]].to_list()


@pytest.mark.parametrize("pool", [1, 2, 4, 100])
def test_every_item_comes_once_and_a_pool_at_a_time(made: tuple[Zoo, Truth], data: StatesDataset, pool: int) -> None:
    items = list(ShardSampler(data, pool=pool))
    assert len(ShardSampler(data)) == len(items)
    assert sorted(items) == list(range(len(data)))
    cohorts = cohorts_in_order(made[0], data, items)
    order = list(dict.fromkeys(cohorts))
    for start in range(0, COHORTS, pool):
        now = set(order[start : start + pool])
        where = [place for place, cohort in enumerate(cohorts) if cohort in now]
        assert where == list(range(where[0], where[-1] + 1))
    assert order != sorted(order)
    within = [item for item, cohort in zip(items, cohorts, strict=True) if cohort == order[0]]
    assert within != sorted(within)


def test_seed_and_epoch_decide_the_order(data: StatesDataset) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = ShardSampler(data, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len(set(map(tuple, orders))) == len(orders)
    assert order(1, 2) == orders[-1]
    sampler = ShardSampler(data)
    assert list(sampler) == list(sampler) == orders[0]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_loader_gives_the_stored_states(made: tuple[Zoo, Truth], data: StatesDataset, workers: int) -> None:
    zoo, truth = made
    row = {member: row for row, member in enumerate(zoo.members["member"])}
    accuracy = truth.metrics.set_index(["member", "epoch"])["test_accuracy"]
    sampler = ShardSampler(data, seed=3, pool=2)
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        loader = DataLoader(data, batch_size=32, sampler=sampler, num_workers=workers)
        weights, targets = (torch.cat(parts) for parts in zip(*loader, strict=True))
        wanted = data.index.iloc[list(sampler)]
        at = [CHECKPOINTS.index(number) for number in wanted["epoch"]]
        np.testing.assert_array_equal(weights, truth.weights[[row[member] for member in wanted["member"]], at])
        np.testing.assert_allclose(targets, [accuracy[tuple(state)] for state in wanted.to_numpy()], rtol=1e-6)


def test_what_a_user_does_to_an_item_stays_with_it(data: StatesDataset) -> None:
    data.keep_shards(1)
    before = data[0][0].clone()
    data[0][0].zero_()
    assert torch.equal(data[0][0], before)


def bytes_read(data: StatesDataset, sampler: torch.utils.data.Sampler[int]) -> int:
    read = 0
    plain = LocalBackend.read_into

    def counting(backend: LocalBackend, name: str, start: int, buffer: memoryview) -> int:
        nonlocal read
        read += len(buffer)
        return plain(backend, name, start, buffer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalBackend, "read_into", counting)
        for _ in DataLoader(data, batch_size=16, sampler=sampler):
            pass
    return read


def test_an_epoch_reads_each_shard_about_once(made: tuple[Zoo, Truth]) -> None:
    zoo, _ = made
    stored = sum(size for name, size in zoo.location.list("cohorts").items() if "/c/" in name)
    uniform = zoo.torch_dataset("train")
    assert bytes_read(uniform, RandomSampler(uniform)) > 5 * stored
    data = zoo.torch_dataset("train")
    assert bytes_read(data, ShardSampler(data, pool=2)) <= 1.05 * stored


@pytest.mark.parametrize(("seed", "pool"), [(0, 0), (-1, 1)])
def test_a_sampler_that_cannot_be(data: StatesDataset, seed: int, pool: int) -> None:
    with pytest.raises(InputError, match=f"pool={pool} and seed={seed} cannot shuffle"):
        ShardSampler(data, seed=seed, pool=pool)


def test_the_split_can_be_given(made: tuple[Zoo, Truth]) -> None:
    zoo, _ = made
    parts = np.array([("train", "test", "")[row % 3] for row in range(len(zoo.members))])
    for name in ("train", "validation", "test"):
        data = zoo.torch_dataset(name, parts=parts)
        wanted = [member for member, part in zip(zoo.members["member"], parts, strict=True) if part == name]
        assert data.index["member"].unique().tolist() == wanted
        assert len(data) == len(wanted) * len(CHECKPOINTS)


def test_a_split_of_other_members(made: tuple[Zoo, Truth]) -> None:
    with pytest.raises(InputError, match="parts has 3 entries for 90 members"):
        made[0].torch_dataset("train", parts=np.array(["train"] * 3))
