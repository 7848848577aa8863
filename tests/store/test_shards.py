"""The grid, memory, and zarr as the judge of what is written."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from geozoo.errors import DamagedZooError, InputError, StoreLostError
from geozoo.store import Attempt, collect_garbage, create_zoo, open_zoo
from geozoo.store.shards import MAX_CHUNK_BYTES, MAX_SHARD_BYTES, Grid
from tests.support.zoos import make_header, make_layout, make_metrics, make_plan, make_zoo

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 2**20


@given(
    members=st.integers(1, 3000),
    checkpoints=st.integers(1, 200),
    params=st.integers(1, 30_000_000),
    dtype=st.sampled_from(["float32", "float16"]),
)
@settings(max_examples=300, deadline=None)
def test_a_grid_keeps_its_promises(members: int, checkpoints: int, params: int, dtype: Any) -> None:
    grid = Grid.design((members, checkpoints, params), dtype, MAX_SHARD_BYTES)
    state = params * np.dtype(dtype).itemsize
    shard, chunk = (int(np.prod(shape)) * np.dtype(dtype).itemsize for shape in (grid.shard, grid.chunk))
    assert shard <= max(MAX_SHARD_BYTES, state)
    assert chunk <= max(MAX_CHUNK_BYTES, state)
    assert all(size % part == 0 for size, part in zip(grid.shard, grid.chunk, strict=True))
    assert grid.shard[2] == grid.chunk[2] == params
    if grid.shard[1] > 1:
        assert grid.shard[0] >= members
    if grid.chunk[1] > 1:
        assert grid.chunk[0] >= members
    padding = [-size % part for size, part in zip(grid.shape[:2], grid.chunk[:2], strict=True)]
    assert padding[0] < -(-members // grid.chunk[0])
    assert padding[1] < -(-checkpoints // grid.chunk[1])


@pytest.mark.parametrize(
    ("shape", "shard", "chunk"),
    [
        ((64, 51, 2464), (64, 51, 2464), (64, 1, 2464)),
        ((128, 76, 100), (128, 76, 100), (128, 19, 100)),
        ((128, 51, 2464), (128, 51, 2464), (64, 1, 2464)),
        ((4, 3, 11_173_962), (1, 1, 11_173_962), (1, 1, 11_173_962)),
        ((1, 2, 25_600_000), (1, 1, 25_600_000), (1, 1, 25_600_000)),
    ],
)
def test_grids_of_well_known_zoos(shape: Any, shard: Any, chunk: Any) -> None:
    grid = Grid.design(shape, "float32", MAX_SHARD_BYTES)
    assert (grid.shard, grid.chunk) == (shard, chunk)


@pytest.mark.parametrize("max_shard_bytes", [1, 30_000, 200_000, MAX_SHARD_BYTES])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("members", [1, 5])
def test_zarr_reads_what_is_written(
    tmp_path: Path, members: int, dtype: Literal["float32", "float16"], max_shard_bytes: int
) -> None:
    zoo, truth = make_zoo(
        tmp_path, members=members, cohorts=1, checkpoints=range(7), dtype=dtype, max_shard_bytes=max_shard_bytes
    )
    commit = zoo.commits()["0-000"]
    array = zarr.open_array(tmp_path / commit.folder / "weights.zarr", mode="r")
    assert array.dtype == zoo.weights.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array[:], truth.weights)
    np.testing.assert_array_equal(zoo.weights[:], truth.weights)
    for row, column in itertools.product(range(members), range(7)):
        np.testing.assert_array_equal(zoo.weights[row, column], truth.weights[row, column])
    shards = [name for name in commit.objects if "/c/" in name]
    assert len(shards) == -(-members // commit.weights.shard[0]) * -(-7 // commit.weights.shard[1])
    assert array.nchunks == len(shards)


def test_a_large_network_has_one_state_a_chunk(tmp_path: Path) -> None:
    layout = make_layout({"weight": (1000, 500), "bias": (1000,)})
    zoo, truth = make_zoo(tmp_path, members=3, cohorts=1, checkpoints=(0, 4), layout=layout, max_shard_bytes=MEGABYTE)
    assert zoo.commits()["0-000"].weights.chunk == (1, 1, 501_000)
    np.testing.assert_array_equal(zoo.weights[1:, 1], truth.weights[1:, 1])
    np.testing.assert_array_equal(zoo.state_dict(2, 4)["weight"].numpy().ravel(), truth.weights[2, 1, :500_000])


def test_values_that_are_not_numbers_are_kept(tmp_path: Path) -> None:
    """Divergence, and blocks that are all zero, which zarr would otherwise not write at all."""
    zoo = create_zoo(tmp_path, make_header((0, 1)), make_plan(members=3, cohorts=1))
    members = list(zoo.plan_of("0-000")["member"])
    weights = np.zeros((3, 2, zoo.header.num_parameters), dtype=np.float32)
    weights[1, 1] = [np.nan, np.inf, -np.inf, -0.0] * (weights.shape[2] // 4)
    attempt = Attempt.begin(zoo.location, zoo.header, zoo.plan_of("0-000"), max_shard_bytes=1)
    for number, epoch in enumerate((0, 1)):
        attempt.append(epoch, weights[:, number], make_metrics(members, epoch))
    assert attempt.commit({}) is not None
    stored = open_zoo(tmp_path).weights[:]
    np.testing.assert_array_equal(stored, weights)
    assert np.signbit(stored[1, 1, 3])


def test_float16_stores_what_is_out_of_range_as_infinity(tmp_path: Path) -> None:
    zoo = create_zoo(tmp_path, make_header((0,), dtype="float16"), make_plan(members=2, cohorts=1))
    rows = zoo.plan_of("0-000")
    attempt = Attempt.begin(zoo.location, zoo.header, rows)
    attempt.append(0, np.full((2, zoo.header.num_parameters), 1e6, np.float32), make_metrics(list(rows["member"]), 0))
    attempt.commit({})
    states = open_zoo(tmp_path).states(0, 0)
    assert states.dtype == np.float32
    assert np.isposinf(states).all()


def test_memory_does_not_grow_with_the_number_of_checkpoints(tmp_path: Path) -> None:
    shard = 4 * MEGABYTE
    layout = make_layout({"weight": (128, 512)})
    peaks = []
    for checkpoints in (8, 64):
        header = make_header(range(checkpoints), layout=layout)
        zoo = create_zoo(tmp_path / str(checkpoints), header, make_plan(members=4, cohorts=1))
        rows = zoo.plan_of("0-000")
        attempt = Attempt.begin(zoo.location, zoo.header, rows, max_shard_bytes=shard)
        weights = np.ones((4, zoo.header.num_parameters), np.float32)
        metrics = make_metrics(list(rows["member"]), 1)
        tracemalloc.start()
        for epoch in range(checkpoints):
            attempt.append(epoch, weights, metrics)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + MEGABYTE
    assert peaks[1] < 2.5 * shard


def test_an_attempt_takes_checkpoints_in_order(tmp_path: Path) -> None:
    zoo = create_zoo(tmp_path, make_header((0, 2)), make_plan(members=2, cohorts=1))
    rows = zoo.plan_of("0-000")
    members, weights = list(rows["member"]), np.zeros((2, zoo.header.num_parameters), np.float32)
    attempt = Attempt.begin(zoo.location, zoo.header, rows)
    with pytest.raises(InputError, match="got epoch 2, and the next checkpoint of this zoo is 0"):
        attempt.append(2, weights, make_metrics(members, 2))
    with pytest.raises(InputError, match="weights of shape"):
        attempt.append(0, weights[:1], make_metrics(members, 0))
    with pytest.raises(InputError, match="not one value a member"):
        attempt.append(0, weights, make_metrics(members[:1], 0))
    attempt.append(0, weights, make_metrics(members, 0))
    with pytest.raises(InputError, match="not one value a member"):
        attempt.append(2, weights, {"loss": np.zeros(2)})
    with pytest.raises(InputError, match="1 of its checkpoints are missing"):
        attempt.commit({})
    attempt.append(2, weights, make_metrics(members, 2))
    with pytest.raises(InputError, match="the next checkpoint of this zoo is none"):
        attempt.append(3, weights, make_metrics(members, 3))
    assert attempt.commit({}) is not None


def test_an_attempt_takes_a_whole_cohort(tmp_path: Path) -> None:
    zoo = create_zoo(tmp_path, make_header(), make_plan(members=6, cohorts=2))
    for rows in (zoo.members, zoo.plan_of("0-000")[1:]):
        with pytest.raises(InputError, match="one whole cohort"):
            Attempt.begin(zoo.location, zoo.header, rows)


def test_an_abandoned_attempt_leaves_nothing(tmp_path: Path) -> None:
    zoo = create_zoo(tmp_path, make_header(), make_plan(members=2, cohorts=1))
    rows = zoo.plan_of("0-000")
    weights, metrics = np.zeros((2, zoo.header.num_parameters), np.float32), make_metrics(list(rows["member"]), 0)
    attempt = Attempt.begin(zoo.location, zoo.header, rows, max_shard_bytes=1)
    attempt.append(0, weights, metrics)
    assert len(zoo.location.list()) > 2
    attempt.abandon()
    assert zoo.location.list().keys() == {"zoo.json", "plans/0.parquet"}


def test_an_attempt_whose_objects_were_collected_is_not_committed(tmp_path: Path) -> None:
    zoo = create_zoo(tmp_path, make_header((0,)), make_plan(members=2, cohorts=1))
    rows = zoo.plan_of("0-000")
    attempt = Attempt.begin(zoo.location, zoo.header, rows)
    attempt.append(0, np.zeros((2, zoo.header.num_parameters), np.float32), make_metrics(list(rows["member"]), 0))
    assert collect_garbage(tmp_path).attempts == (f"cohorts/{attempt.name}",)
    with pytest.raises(StoreLostError, match="was removed meanwhile; populate again"):
        attempt.commit({})
    assert not open_zoo(tmp_path).members["committed"].any()


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
@pytest.mark.parametrize("states", [slice(None), (2, 3)])
def test_a_damaged_shard_is_never_read(tmp_path: Path, damage: str, states: Any) -> None:
    zoo, _ = make_zoo(tmp_path, members=4, cohorts=1, checkpoints=range(30), max_shard_bytes=MEGABYTE)
    commit = zoo.commits()["0-000"]
    grid = commit.weights
    path = tmp_path / commit.folder / "weights.zarr" / grid.shard_key(2, 3)
    data = bytearray(path.read_bytes())
    index = np.frombuffer(data[-grid.index_bytes : -4], "<u8").reshape(*grid.chunks_per_shard, 2)
    data[int(index[2 // grid.chunk[0], 3 // grid.chunk[1], 0]) + 1000] ^= 4
    path.unlink()
    if damage != "delete":
        path.write_bytes(data if damage == "flip" else data[:-1])
    with pytest.raises(DamagedZooError, match=r"is missing in|is damaged: it is cut short or fails its checksum"):
        zoo.weights[states]
