"""What every kind of store must do: the same tests on a folder, in memory and on a real S3 server."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from torch.utils.data import DataLoader

from geozoo.errors import NotCommittedError, ZooMismatchError, ZooNotFoundError
from geozoo.store import (
    Attempt,
    collect_garbage,
    create_zoo,
    open_location,
    open_zoo,
    refuse_unsafe_endpoint,
    run_lease,
    verify,
)
from tests.support.zoos import make_header, make_metrics, make_plan, make_truth, make_weights, make_zoo, write_cohort

if TYPE_CHECKING:
    from collections.abc import Callable

    from geozoo.store import Location

WRITERS = 16


def race(function: Callable[[int], Any], writers: int) -> list[Any]:
    """Call ``function(number)`` from many threads at the same moment."""
    start = threading.Barrier(writers)

    def run(number: int) -> Any:
        start.wait()
        return function(number)

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(run, range(writers)))


def create(location: Location, name: str, writer: int) -> bool:
    return location.create_once(name, b"%d" % writer)


def read_part(location: Location, name: str, start: int, length: int) -> bytes:
    buffer = bytearray(length)
    return bytes(buffer[: location.read_into(name, start, memoryview(buffer))])


class TestLocation:
    def test_what_is_written_is_read_and_listed(self, url: str) -> None:
        location = open_location(url)
        assert location.list() == {}
        location.write("a/one", b"0123456789")
        location.write("a/b/two", b"x" * 7)
        location.write("ab", b"y")
        assert location.read("a/one") == b"0123456789"
        assert read_part(location, "a/one", 3, 4) == b"3456"
        assert read_part(location, "a/one", 8, 4) == b"89"
        assert read_part(location, "a/one", 30, 4) == b""
        assert location.list() == {"a/one": 10, "a/b/two": 7, "ab": 1}
        assert location.list("a") == {"a/one": 10, "a/b/two": 7}
        assert location.exists("a/one")
        assert not location.exists("a/on")

    def test_a_listing_is_never_stale(self, url: str) -> None:
        location, other = open_location(url), open_location(url)
        location.write("a/one", b"1")
        assert other.list() == {"a/one": 1}
        location.write("a/one", b"22")
        location.write("a/two", b"2")
        assert other.list() == {"a/one": 2, "a/two": 1}
        location.delete(["a/one", "never/there"])
        assert other.list() == {"a/two": 1}

    def test_missing_objects_are_told_apart_from_a_failing_store(self, url: str) -> None:
        location = open_location(url)
        with pytest.raises(FileNotFoundError):
            location.read("a")
        with pytest.raises(FileNotFoundError):
            read_part(location, "a", 0, 1)

    def test_creation_once(self, url: str) -> None:
        location = open_location(url)
        assert location.create_once("a/one", b"first")
        assert not location.create_once("a/one", b"second")
        assert location.read("a/one") == b"first"
        assert location.list() == {"a/one": 5}

    def test_a_large_body_is_created_once_too(self, url: str) -> None:
        """S3 clients send large bodies in parts, which must not lose the condition."""
        location = open_location(url)
        body = bytes(101 * 2**20)
        assert location.create_once("large", body)
        assert not location.create_once("large", body[:-1] + b"x")
        assert location.list() == {"large": len(body)}
        location.delete(["large"])

    def test_of_many_writers_exactly_one_wins(self, url: str) -> None:
        location = open_location(url)
        for number in range(3 if url.startswith("s3") else 50):
            won = race(partial(create, location, f"race/{number}"), WRITERS)
            assert sum(won) == 1
            assert location.read(f"race/{number}") == b"%d" % won.index(True)

    def test_the_endpoint_is_safe_and_the_check_leaves_nothing(self, url: str) -> None:
        location = open_location(url)
        refuse_unsafe_endpoint(location)
        assert location.list() == {}


class TestZoo:
    def test_a_finished_zoo_reads_as_the_truth(self, url: str) -> None:
        zoo, truth = make_zoo(
            url, members=11, cohorts=3, checkpoints=(0, 1, 5, 7), shuffle=True, max_shard_bytes=60_000
        )
        assert zoo.members["committed"].all()
        assert zoo.weights.shape == truth.weights.shape
        np.testing.assert_array_equal(zoo.weights[:], truth.weights)
        pd.testing.assert_frame_equal(zoo.metrics, truth.metrics)
        assert verify(url, recompute_digest=True).clean

    def test_plain_zarr_reads_the_same_array(self, url: str) -> None:
        zoo, truth = make_zoo(url, members=7, cohorts=1, checkpoints=range(9), max_shard_bytes=200_000)
        folder = f"{zoo.url}/{zoo.commits()['0-000'].folder}/weights.zarr"
        array = zarr.open_array(folder, mode="r")
        assert array.metadata.dimension_names == ("member", "checkpoint", "param")  # type: ignore[union-attr]
        assert array.attrs["members"] == list(zoo.plan_of("0-000")["member"])
        np.testing.assert_array_equal(array[:], truth.weights)

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_any_choice_of_states_reads_as_plain_zarr_reads_it(self, url: str, shuffle: bool) -> None:
        """One shard of nine chunks, so that some reads take several chunks at once and some have gaps."""
        zoo, _ = make_zoo(url, members=60, cohorts=1, checkpoints=range(9), shuffle=shuffle)
        commit = zoo.commits()["0-000"]
        assert commit.weights.chunks_per_shard == (1, 9)
        array = np.asarray(zarr.open_array(f"{zoo.url}/{commit.folder}/weights.zarr", mode="r")[:])
        positions = zoo.members["position"].to_numpy()
        np.testing.assert_array_equal(zoo.weights[:], array[positions])
        draw = np.random.default_rng(0)
        for count in (1, 3, 40, 700):
            members, epochs = draw.integers(60, size=count), draw.integers(9, size=count)
            np.testing.assert_array_equal(zoo.states(members, epochs), array[positions[members], epochs])
        for epochs in ([1, 2, 7, 8], range(8, -1, -1)):
            for step in (-1, 2):
                part = array[positions[::step]][:, list(epochs)]
                np.testing.assert_array_equal(zoo.weights[::step, list(epochs)], part)

    def test_an_uncommitted_member_raises_and_never_reads_as_zeros(self, url: str) -> None:
        zoo = create_zoo(url, make_header(), make_plan(members=6, cohorts=2))
        write_cohort(zoo, "0-000")
        write_cohort(zoo, "0-001", commit=False)
        zoo = open_zoo(url)
        done = zoo.members["committed"].to_numpy()
        assert done.sum() == 3
        np.testing.assert_array_equal(zoo.weights[done], make_truth(zoo).weights[done])
        missing = zoo.members.loc[~done, "member"].iloc[0]
        for read in (
            lambda: zoo.weights[:],
            lambda: zoo.states(missing, 0),
            lambda: zoo.state_dict(missing, 0),
            lambda: zoo.read_metrics(members=[missing]),
            zoo.digest,
        ):
            with pytest.raises(NotCommittedError, match=f"{missing}.*not committed"):
                read()
        assert set(zoo.metrics["member"]) == set(zoo.members.loc[done, "member"])
        assert {finding.kind for finding in verify(url).findings} == {"planned but uncommitted", "uncommitted attempt"}

    def test_a_late_writer_changes_nothing(self, url: str) -> None:
        zoo = create_zoo(url, make_header(), make_plan(members=4, cohorts=1))
        members = list(zoo.plan_of("0-000")["member"])
        late = Attempt.begin(zoo.location, zoo.header, zoo.plan_of("0-000"))
        weights = make_weights(members, zoo.checkpoints, zoo.header.num_parameters)
        late.append(0, weights[:, 0] + 1, make_metrics(members, 0))
        assert write_cohort(zoo, "0-000") is not None
        zoo = open_zoo(url)
        digest, objects = zoo.digest(), zoo.commits()["0-000"].objects
        for number, epoch in [(1, 1), (2, 2)]:
            late.append(epoch, weights[:, number] + 1, make_metrics(members, epoch))
        assert late.commit({"engine": "late"}) is None
        again = open_zoo(url)
        assert again.digest() == digest
        assert again.commits()["0-000"].objects == objects
        np.testing.assert_array_equal(again.weights[:], weights)
        assert [finding.kind for finding in verify(url).findings] == ["uncommitted attempt"]
        garbage = collect_garbage(url)
        assert garbage.attempts == (f"cohorts/{late.name}",)
        assert verify(url, recompute_digest=True).clean

    def test_racing_attempts_have_one_winner(self, url: str) -> None:
        zoo = create_zoo(url, make_header(), make_plan(members=4, cohorts=1))
        commits = race(lambda _: write_cohort(zoo, "0-000"), 4)
        (winner,) = [commit for commit in commits if commit is not None]
        assert open_zoo(url).commits()["0-000"] == winner

    def test_two_drivers_make_one_zoo(self, url: str) -> None:
        header, plan = make_header(), make_plan()
        zoos = race(lambda _: create_zoo(url, header, plan), 4)
        assert all(zoo.header == zoos[0].header for zoo in zoos)
        assert open_location(url).list().keys() == {"zoo.json", "plans/0.parquet"}
        other = header.model_copy(update={"recipe": {**header.recipe, "training": {"epochs": 2, "lr": 1e-4}}})
        with pytest.raises(ZooMismatchError, match=r"recipe\.training\.lr is 0\.001 there and 0\.0001 here"):
            create_zoo(url, other, plan)

    def test_nothing_there_is_not_a_zoo(self, url: str) -> None:
        for look in (open_zoo, verify, collect_garbage):
            with pytest.raises(ZooNotFoundError, match="there is no zoo"):
                look(url)

    def test_a_run_keeps_its_attempts_from_the_collector(self, url: str) -> None:
        zoo = create_zoo(url, make_header(), make_plan(members=4, cohorts=1))
        write_cohort(zoo, "0-000", commit=False)
        zoo.location.write(f"cohorts/{uuid4().hex}", b"surplus")
        before = zoo.location.list()
        with run_lease(zoo.location) as lease:
            with pytest.raises(ValueError, match="is writing to"):
                collect_garbage(url)
            assert collect_garbage(url, dry_run=True).objects == len(before) - 2
            with run_lease(zoo.location) as other:
                assert collect_garbage(url, own_lease=other).objects == 0
            assert zoo.location.list().keys() == {*before, lease}
            assert collect_garbage(url, own_lease=lease).leases == ()
            assert zoo.location.list().keys() == {"zoo.json", "plans/0.parquet", lease}
        assert zoo.location.list().keys() == {"zoo.json", "plans/0.parquet"}

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # forking is the point
    def test_worker_processes_read_too(self, url: str) -> None:
        zoo, _ = make_zoo(url, members=20, cohorts=2)
        data = zoo.torch_dataset("train", epochs=2)
        here = [weights for weights, _ in DataLoader(data, batch_size=4)]
        there = [weights for weights, _ in DataLoader(data, batch_size=4, num_workers=2, timeout=60)]
        assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))
