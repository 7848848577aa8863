"""A location: the root of a zoo store at a URL, with every failure turned into one sentence."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from geozoo.errors import StoreLostError, StoreUnusableError
from geozoo.store.backends import Backend, Bytes, LocalBackend, MemoryBackend, S3Backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Location:
    """Objects by name below one URL.

    Names are relative, with ``/`` between folders. Every method raises ``StoreLostError`` when the store fails, and
    ``read`` and ``read_into`` raise ``FileNotFoundError`` where there is no such object. Safe to use from many
    threads; pickles as its URL.
    """

    def __init__(self, url: str, backend: Backend) -> None:
        self.url = url
        self._backend = backend

    def __repr__(self) -> str:
        return f"Location({self.url!r})"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open_location, (self.url,)

    def read(self, name: str) -> bytes:
        """All bytes of an object."""
        with self._failures("read", name, missing_is_lost=False):
            return self._backend.read(name)

    def read_into(self, name: str, start: int, buffer: memoryview) -> int:
        """Fill a writable buffer of bytes with those of an object from ``start`` on.

        Returns:
            How many bytes there were: fewer than the buffer takes where the object ends before.
        """
        with self._failures("read", name, missing_is_lost=False):
            return self._backend.read_into(name, start, buffer)

    def write(self, name: str, data: Bytes) -> None:
        """Write an object whole and durably, replacing what is there."""
        with self._failures("write", name):
            self._backend.write(name, data)

    def create_once(self, name: str, data: Bytes) -> bool:
        """Write an object unless the name is taken: of any number of writers exactly one wins.

        Returns:
            Whether the object there holds exactly ``data``. A client that retries after a lost reply finds its own
            object and has won; so has one that writes the same bytes as the winner, which makes no difference to a
            reader. Objects whose writers must be told apart hold a nonce.
        """
        with self._failures("create", name):
            return self._backend.create_once(name, data) or self._backend.read(name) == bytes(data)

    def list(self, folder: str = "") -> dict[str, int]:
        """Sizes in bytes of all objects below ``folder`` by name (relative to the root): one listing, never cached."""
        with self._failures("list", folder or "the store"):
            return self._backend.list(folder)

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; a name that is not there is no error."""
        with self._failures("delete", "objects"):
            self._backend.delete(names)

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        return name in self.list(name.rpartition("/")[0])

    def overlaps(self, other: Location) -> bool:
        """Whether both are one place, or one lies inside the other; links of the file system are followed."""
        here, there = (f"{str(Path(one.url).resolve()) if one.is_local else one.url}/" for one in (self, other))
        return here.startswith(there) or there.startswith(here)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine or of a mounted file system."""
        return isinstance(self._backend, LocalBackend)

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """Inside this context a failing store is a wrong URL (``StoreUnusableError``), not a lost store."""
        try:
            yield
        except StoreLostError as error:
            cause = _cause(error.__cause__ or error)
            raise StoreUnusableError(
                f"cannot use {self.url} as a zoo store: {cause}; "
                "check the URL, the permissions and the AWS_* variables."
            ) from error

    @contextlib.contextmanager
    def _failures(self, verb: str, name: str, *, missing_is_lost: bool = True) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not missing_is_lost:
                raise
            raise StoreLostError(f"cannot {verb} {name} in {self.url}: {_cause(error)}.") from error


def _cause(error: BaseException) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")


def open_location(url: str | Path) -> Location:
    """Open the root of a zoo store: a folder, ``file://``, ``memory://`` or ``s3://bucket/prefix``; reads nothing.

    S3 takes credentials, region and endpoint from the standard ``AWS_*`` environment variables and files.

    Raises:
        StoreUnusableError: the URL's scheme is not one of these, or it names no folder or bucket.
    """
    text = str(url)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme == "file":
        path = Path(unquote(urlsplit(text).path) if separator else text).expanduser().absolute()
        if not text or (path.exists() and not path.is_dir()):
            raise StoreUnusableError(
                f"{text!r} is not a folder: a zoo store is a folder or an s3:// prefix, choose one."
            )
        return Location(str(path), LocalBackend(path))
    root = "/".join(part for part in rest.split("/") if part)
    if scheme == "memory" and root:
        return Location(f"memory://{root}", MemoryBackend(f"/{root}"))
    if scheme == "s3" and root:
        return Location(f"s3://{root}", S3Backend(root))
    raise StoreUnusableError(
        f"{text!r} cannot be a zoo store: give a folder, file:///path, memory://name or s3://bucket/prefix."
    )


def refuse_unsafe_endpoint(location: Location) -> None:
    """Make sure that this store honours creation once, on which every commit rests; leaves nothing behind.

    Raises:
        StoreUnusableError: it accepted the same creation twice, or it cannot be written at all.
    """
    name = f"runs/{uuid4().hex[:8]}.probe"
    with location.opening():
        try:
            first, second = location.create_once(name, b"first"), location.create_once(name, b"second")
            stored = location.read(name)
        finally:
            location.delete([name])
    if not first or second or stored != b"first":
        raise StoreUnusableError(
            f"{location.url} accepted the creation of the same object twice (it ignores If-None-Match), so two runs "
            "could overwrite each other: use an S3 server with conditional writes, or a local folder."
        )
