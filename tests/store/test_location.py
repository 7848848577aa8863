"""URLs, lost replies, unsafe endpoints and failing stores."""

from __future__ import annotations

import copy
import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from geozoo.errors import StoreLostError, StoreUnusableError
from geozoo.store import create_zoo, open_location, open_zoo, refuse_unsafe_endpoint
from geozoo.store.backends import LocalBackend, S3Backend
from geozoo.store.location import Location
from tests.support.zoos import make_header, make_plan, make_zoo, write_cohort

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.store.backends import Bytes
    from tests.support.s3 import S3Server


class LostReply(LocalBackend):
    """A store whose client loses the reply to a creation and is refused when it tries again, as S3 clients are."""

    def create_once(self, name: str, data: Bytes) -> bool:
        super().create_once(name, data)
        return super().create_once(name, data)


class IgnoresCondition(LocalBackend):
    """An endpoint that knows no conditional writes."""

    def create_once(self, name: str, data: Bytes) -> bool:
        self.write(name, data)
        return True


class FullDisk(LocalBackend):
    """A folder on a disk with room for so many bytes."""

    room = 100_000

    def write(self, name: str, data: Bytes) -> None:
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        self.room -= len(data)
        super().write(name, data)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("/tmp/a zoo", "/tmp/a zoo"),
        ("/tmp/zoo/", "/tmp/zoo"),
        ("file:///tmp/a%20zoo", "/tmp/a zoo"),
        ("memory://a//b/", "memory://a/b"),
        ("s3://bucket/some//prefix/", "s3://bucket/some/prefix"),
    ],
)
def test_urls_are_canonical(text: str, canonical: str) -> None:
    location = open_location(text)
    assert location.url == canonical
    assert copy.copy(location).url == canonical


def test_relative_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_location("some/zoo").url == str(tmp_path / "some" / "zoo")
    assert not (tmp_path / "some").exists()


@pytest.mark.parametrize("text", ["", "gs://bucket/zoo", "s3://", "memory://", "http://host/zoo"])
def test_what_cannot_be_a_store_is_refused(text: str) -> None:
    with pytest.raises(StoreUnusableError, match="zoo store"):
        open_location(text)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(StoreUnusableError, match="not a folder"):
        open_location(tmp_path / "file")


def test_a_creation_whose_reply_was_lost_reads_as_success(tmp_path: Path) -> None:
    location = Location("lost", LostReply(tmp_path))
    assert location.create_once("one", b"ours")
    assert not location.create_once("one", b"theirs")
    assert location.read("one") == b"ours"


@pytest.mark.s3
def test_a_lost_reply_on_s3_reads_as_success(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first reply is thrown away on its way to the client, which retries and is refused by its own object."""
    location = open_location(f"s3://{s3_server.bucket}/lost")
    location.list()
    client = S3Backend("any")._fs.s3
    real, replies = client._make_api_call, list[Any]()

    async def lose_first_reply(operation: str, arguments: dict[str, Any]) -> Any:
        reply = await real(operation, arguments)
        if operation == "PutObject" and not replies:
            replies.append(reply)
            raise TimeoutError("the reply was lost")
        return reply

    monkeypatch.setattr(client, "_make_api_call", lose_first_reply)
    assert location.create_once("one", b"ours")
    assert replies
    assert not location.create_once("one", b"theirs")


def test_an_endpoint_that_ignores_the_condition_is_refused(tmp_path: Path) -> None:
    location = Location("careless", IgnoresCondition(tmp_path))
    with pytest.raises(StoreUnusableError, match="accepted the creation of the same object twice"):
        refuse_unsafe_endpoint(location)
    assert location.list() == {}


def test_a_folder_that_cannot_be_made_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    url = tmp_path / "file" / "zoo"
    for use in (
        lambda: refuse_unsafe_endpoint(open_location(url)),
        lambda: create_zoo(url, make_header(), make_plan()),
    ):
        with pytest.raises(StoreUnusableError, match=r"cannot use .*file/zoo as a zoo store: Not a directory"):
            use()


def test_a_full_disk_is_a_lost_store_in_one_sentence(tmp_path: Path) -> None:
    url = tmp_path / "zoo"
    zoo = create_zoo(url, make_header(), make_plan(members=6, cohorts=2))
    zoo.location = Location(str(url), FullDisk(url))
    write_cohort(zoo, "0-000")
    with pytest.raises(StoreLostError) as failure:
        write_cohort(zoo, "0-001")
    sentence = str(failure.value)
    assert sentence.startswith("cannot write cohorts/0-001-")
    assert sentence.endswith(f"in {url}: No space left on device.")
    assert "\n" not in sentence
    assert open_zoo(url).members["committed"].sum() == 3


def test_an_interrupted_local_write_leaves_nothing_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    location = open_location(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    for write in (location.write, location.create_once):
        with pytest.raises(StoreLostError, match="Input/output error"):
            write("one", b"data")
    assert location.list() == {}


@pytest.mark.s3
def test_an_endpoint_that_is_gone(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    url = f"s3://{s3_server.bucket}/gone"
    with pytest.raises(StoreUnusableError, match=rf"cannot use {url} as a zoo store: Could not connect"):
        open_zoo(url)
    with pytest.raises(StoreLostError, match=rf"cannot write one in {url}: Could not connect"):
        open_location(url).write("one", b"data")


@pytest.mark.s3
def test_wrong_credentials(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    monkeypatch.setattr(s3fs.S3FileSystem, "cachable", False)
    with pytest.raises(StoreUnusableError, match="check the URL, the permissions and the AWS_"):
        open_zoo(f"s3://{s3_server.bucket}/forbidden")


def test_a_zoo_is_copied_to_another_process_as_its_url(tmp_path: Path) -> None:
    zoo, truth = make_zoo(tmp_path / "zoo", members=3, cohorts=1)
    again = copy.copy(zoo)  # by the same protocol as pickling
    assert (again.weights[:] == truth.weights).all()
