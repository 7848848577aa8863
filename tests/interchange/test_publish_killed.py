"""A publication that is killed, run again, ends complete and verified: nothing twice, nothing left over."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import geozoo.store.shards
from geozoo.errors import StoreLostError, StoreUnusableError, ZooNotFoundError
from geozoo.store import Location, create_zoo, open_location, open_zoo, verify
from geozoo.store.backends import LocalBackend
from geozoo.store.manifest import MANIFEST_NAME, PUBLISHING_NAME
from tests.support.publish_and_die import SHARD_BYTES
from tests.support.published import ASKED, publish_simulated
from tests.support.zoos import make_zoo

if TYPE_CHECKING:
    from geozoo.store import Zoo

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return make_zoo(tmp_path_factory.mktemp("source"), members=14, cohorts=2, checkpoints=range(6))[0]


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geozoo.store.shards, "MAX_SHARD_BYTES", SHARD_BYTES)


def publish_and_die(source: Zoo, to: str, call: int) -> None:
    program = [sys.executable, "-m", "tests.support.publish_and_die", source.url, to, str(call)]
    ended = subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the objects that are written from here on."""
    names: list[str] = []
    write = Location.write

    def noting(self: Location, name: str, data: Any) -> None:
        names.append(name)
        write(self, name, data)

    monkeypatch.setattr(Location, "write", noting)
    return names


def check_complete(source: Zoo, to: str) -> None:
    zoo = open_zoo(to)
    assert zoo.digest() == source.digest()
    assert verify(to, recompute_digest=True).clean
    assert PUBLISHING_NAME not in zoo.location.list()


@pytest.mark.parametrize("kind", ["local", pytest.param("s3", marks=pytest.mark.s3)])
@pytest.mark.parametrize("call", [1, 2, 3, 6, 12])
def test_killed_and_run_again(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: Zoo, call: int, kind: str
) -> None:
    server = request.getfixturevalue("s3_server") if kind == "s3" else None
    to = f"s3://{server.bucket}/killed/{call}" if server else str(tmp_path / "published")
    publish_and_die(source, to, call)
    location = open_location(to)
    there = location.list()
    assert MANIFEST_NAME not in there
    if there:
        for open_ in (open_zoo, verify):
            with pytest.raises(StoreUnusableError, match="was not finished: run the same geozoo publish again"):
                open_(to)
        with pytest.raises(StoreUnusableError, match="was not finished"):
            create_zoo(to, source.header, source.plans[0].table)
    else:
        with pytest.raises(ZooNotFoundError):
            open_zoo(to)
    names = written(monkeypatch)
    done = publish_simulated(source, to, date=date(2026, 3, 4))
    assert not set(names) & there.keys()
    assert len(names) == len(set(names)) == done.sent - 1
    assert done.objects == len(location.list())
    check_complete(source, to)
    if there:  # the first run decides the date
        assert str(ASKED["date"]) in location.read("CITATION.cff").decode()


def test_killed_around_the_last_object(tmp_path: Path, source: Zoo) -> None:
    """Calls are: the mark, the objects, the removal of strays, the manifest, the removal of the mark."""
    objects = publish_simulated(source, tmp_path / "whole").objects
    manifest = 1 + (objects - 1) + 1 + 1
    for call, committed in ((manifest, False), (manifest + 1, True)):
        to = str(tmp_path / f"killed {call}")
        publish_and_die(source, to, call)
        there = open_location(to).list()
        assert (MANIFEST_NAME in there) == (committed or call % 2 == 0)  # even calls die after it
        assert PUBLISHING_NAME in there
        with pytest.MonkeyPatch.context() as patch:
            names = written(patch)
            publish_simulated(source, to)
            assert names == []
        check_complete(source, to)


def test_what_a_killed_write_leaves_is_removed_and_damage_is_sent_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: Zoo
) -> None:
    to = tmp_path / "published"
    publish_and_die(source, str(to), 8)
    shards = sorted(file for file in (to / "weights.zarr/weights/c").rglob("0") if file.is_file())
    (shards[0].parent / ".0.0123abcd.tmp").write_bytes(b"half")
    shards[1].write_bytes(bytes(shards[1].stat().st_size))
    names = written(monkeypatch)
    publish_simulated(source, to)
    assert shards[1].relative_to(to).as_posix() in names
    assert shards[0].relative_to(to).as_posix() not in names
    check_complete(source, str(to))


def test_what_is_killed_in_its_very_first_write_goes_on(tmp_path: Path, source: Zoo) -> None:
    to = tmp_path / "published"
    to.mkdir()
    half = to / f".{PUBLISHING_NAME}.0123abcd.tmp"
    half.write_bytes(b"{")
    publish_simulated(source, to)
    assert not half.exists()
    check_complete(source, str(to))


@pytest.mark.parametrize("name", [f".{PUBLISHING_NAME}.mine.tmp", ".thesis.pdf.0123abcd.tmp", "thesis.pdf"])
def test_nothing_else_is_taken_for_such_a_leftover(tmp_path: Path, source: Zoo, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(StoreUnusableError, match="is not empty"):
        publish_simulated(source, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_foreign_object_stops_it_and_stays(tmp_path: Path, source: Zoo) -> None:
    to = tmp_path / "published"
    publish_and_die(source, str(to), 8)
    (to / "thesis.pdf").write_bytes(b"mine")
    with pytest.raises(StoreUnusableError, match=r"holds thesis\.pdf, which does not belong"):
        publish_simulated(source, to)
    assert (to / "thesis.pdf").read_bytes() == b"mine"
    (to / "thesis.pdf").unlink()
    publish_simulated(source, to)
    check_complete(source, str(to))


def test_another_publication_does_not_go_on_where_one_was_begun(tmp_path: Path, source: Zoo) -> None:
    to = tmp_path / "published"
    publish_and_die(source, str(to), 8)
    with pytest.raises(StoreUnusableError, match="another publication was begun"):
        publish_simulated(source, to, version="2.0.0")
    other, _ = make_zoo(tmp_path / "other", members=3, cohorts=1)
    with pytest.raises(StoreUnusableError, match="another publication was begun"):
        publish_simulated(other, to)


def test_a_store_that_gives_back_other_bytes_is_found_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: Zoo
) -> None:
    """The disk flips a bit of what it writes: the upload is not taken for done, and a good disk ends it."""
    write = LocalBackend.write

    def flipping(self: LocalBackend, name: str, data: Any) -> None:
        changed = bytearray(data)
        changed[0] ^= name.startswith("metrics")
        write(self, name, changed)

    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, "write", flipping)
        with pytest.raises(StoreLostError, match=r"metrics\.parquet .*does not read back as it was written"):
            publish_simulated(source, tmp_path / "published")
    publish_simulated(source, tmp_path / "published")
    check_complete(source, str(tmp_path / "published"))


def test_what_a_killed_check_of_the_endpoint_leaves_is_removed(tmp_path: Path, source: Zoo) -> None:
    to = tmp_path / "published"
    publish_and_die(source, str(to), 8)
    (to / "runs").mkdir()
    (to / "runs" / "0123abcd.probe").write_bytes(b"first")
    publish_simulated(source, to)
    check_complete(source, str(to))
