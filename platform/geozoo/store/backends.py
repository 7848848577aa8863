"""Where bytes can live: a local folder, this process's memory, an S3 bucket.

A backend knows names relative to its root, raises plain ``OSError`` (``FileNotFoundError`` for what is not there) and
has one operation that a plain file system lacks: ``create_once``, which lets exactly one of any number of writers win.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Bytes = bytes | bytearray | memoryview

_CONFLICT_TRIES = 5
_PART_BYTES = 8 * 2**20
_MEMORY_LOCK = threading.RLock()


class Backend(Protocol):
    """What :class:`geozoo.store.location.Location` needs of a place for bytes."""

    def read(self, name: str) -> bytes:
        """All bytes of an object."""

    def read_into(self, name: str, start: int, buffer: memoryview) -> int:
        """Fill ``buffer`` with the bytes of an object from ``start`` on; how many there were, fewer where it ends."""

    def write(self, name: str, data: Bytes) -> None:
        """Write an object whole, durably, replacing what is there."""

    def list(self, folder: str) -> dict[str, int]:
        """Sizes in bytes of all objects below ``folder``, by name."""

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; a name that is not there is no error."""

    def create_once(self, name: str, data: Bytes) -> bool:
        """Write an object unless one of that name exists, atomically against every other writer; say whether we did."""


class LocalBackend:
    """A folder of this machine or of a mounted file system that has hard links."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> bytes:
        """All bytes of an object."""
        return (self.root / name).read_bytes()

    def read_into(self, name: str, start: int, buffer: memoryview) -> int:
        """Part of an object, straight from the page cache into the buffer."""
        descriptor = os.open(self.root / name, os.O_RDONLY)
        try:
            done = 0
            while done < len(buffer) and (count := os.preadv(descriptor, [buffer[done:]], start + done)):
                done += count
        finally:
            os.close(descriptor)
        return done

    def write(self, name: str, data: Bytes) -> None:
        """Write to a temporary file beside the target, fsync, rename, fsync the folder."""
        target = self.root / name
        with self._temporary(target, data) as temporary:
            os.replace(temporary, target)
            _fsync_folder(target.parent)

    def create_once(self, name: str, data: Bytes) -> bool:
        """Write to a temporary file, fsync, and give it its name with ``link``, which fails where the name is taken."""
        target = self.root / name
        with self._temporary(target, data) as temporary:
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            _fsync_folder(target.parent)
        return True

    def list(self, folder: str) -> dict[str, int]:
        """Walk the folder."""
        sizes = {}
        for parent, _, files in os.walk(self.root / folder, onerror=_raise_unless_missing):
            for file in files:
                path = Path(parent, file)
                with contextlib.suppress(FileNotFoundError):  # removed while we walk
                    sizes[path.relative_to(self.root).as_posix()] = path.stat().st_size
        return sizes

    def delete(self, names: Iterable[str]) -> None:
        """Remove files and the folders they leave empty, except the first below the root, which writers share."""
        for name in names:
            (self.root / name).unlink(missing_ok=True)
            for parent in list(PurePosixPath(name).parents)[:-2]:
                try:
                    (self.root / parent).rmdir()
                except OSError:
                    break

    @contextlib.contextmanager
    def _temporary(self, target: Path, data: Bytes) -> Iterator[Path]:
        """A durable temporary file with ``data`` beside ``target``, gone at the end."""
        _make_folder(target.parent)
        temporary = target.parent / f".{target.name}.{uuid4().hex[:8]}.tmp"
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Create a folder so that it survives a crash: each new folder's entry is fsync'd."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _fsync_folder(folder.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


class MemoryBackend:
    """fsspec's ``memory://``: shared by the threads of one process, gone with it; one lock makes it safe."""

    def __init__(self, root: str) -> None:
        import fsspec

        self.root = root
        self._fs = fsspec.filesystem("memory")

    def read(self, name: str) -> bytes:
        """All bytes of an object."""
        with _MEMORY_LOCK:
            return bytes(self._fs.cat_file(f"{self.root}/{name}"))

    def read_into(self, name: str, start: int, buffer: memoryview) -> int:
        """Part of an object."""
        with _MEMORY_LOCK:
            data = self._fs.cat_file(f"{self.root}/{name}", start=start, end=start + len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, name: str, data: Bytes) -> None:
        """Write or replace an object."""
        with _MEMORY_LOCK:
            self._fs.pipe_file(f"{self.root}/{name}", bytes(data))

    def create_once(self, name: str, data: Bytes) -> bool:
        """Look and write under the lock."""
        with _MEMORY_LOCK:
            if self._fs.exists(f"{self.root}/{name}"):
                return False
            self.write(name, data)
            return True

    def list(self, folder: str) -> dict[str, int]:
        """All objects below a folder."""
        with _MEMORY_LOCK:
            return _relative_sizes(self._fs.find(f"{self.root}/{folder}".rstrip("/"), detail=True), self.root)

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects."""
        with _MEMORY_LOCK:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(f"{self.root}/{name}")


class S3Backend:
    """A prefix of an S3 bucket, through s3fs, with credentials and endpoint from the standard ``AWS_*`` variables.

    Listings are never cached. The file system is made anew after a fork, since its event loop does not survive one.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._fs_of_process: tuple[int, Any] = (-1, None)

    @property
    def _fs(self) -> Any:
        if self._fs_of_process[0] != os.getpid():
            import fsspec

            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            self._fs_of_process = (
                os.getpid(),
                fsspec.filesystem("s3", endpoint_url=endpoint, use_listings_cache=False),
            )
        return self._fs_of_process[1]

    def read(self, name: str) -> bytes:
        """All bytes of an object."""
        with _boto_errors():
            return bytes(self._fs.cat_file(f"{self.root}/{name}"))

    def read_into(self, name: str, start: int, buffer: memoryview) -> int:
        """Part of an object: ranged GETs of 8 MiB, under way together."""
        starts = range(start, start + len(buffer), _PART_BYTES)
        ends = [min(part + _PART_BYTES, start + len(buffer)) for part in starts]
        paths = [f"{self.root}/{name}"] * len(starts)
        done = 0
        with _boto_errors():
            for data in self._fs.cat_ranges(paths, list(starts), ends, on_error="return"):
                if isinstance(data, BaseException):
                    if isinstance(data, OSError) and _http_status(data) == 416:  # the object ends before this part
                        break
                    raise data
                buffer[done : done + len(data)] = data
                done += len(data)
        return done

    def write(self, name: str, data: Bytes) -> None:
        """One PUT, multipart from 100 MiB."""
        with _boto_errors():
            self._fs.pipe_file(f"{self.root}/{name}", bytes(data))

    def create_once(self, name: str, data: Bytes) -> bool:
        """A single PUT with ``If-None-Match: *``.

        s3fs sends a body of two or more chunks as a multipart upload; a chunk larger than the body keeps it one PUT.
        A lost race is 412 (Precondition Failed); 409 (Conditional Request Conflict) is neither and is tried again.
        """
        for attempt in range(_CONFLICT_TRIES):
            try:
                with _boto_errors():
                    self._fs.pipe_file(f"{self.root}/{name}", bytes(data), chunksize=len(data) + 1, mode="create")
            except OSError as error:
                status = _http_status(error)
                if status == 412 or isinstance(error, FileExistsError):
                    return False
                if status != 409 or attempt == _CONFLICT_TRIES - 1:
                    raise
                time.sleep(0.1 * 2**attempt)
            else:
                return True
        raise AssertionError("unreachable")

    def list(self, folder: str) -> dict[str, int]:
        """One recursive listing."""
        with _boto_errors():
            return _relative_sizes(self._fs.find(f"{self.root}/{folder}".rstrip("/"), detail=True), self.root)

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects, a thousand a request."""
        paths = [f"{self.root}/{name}" for name in names]
        if paths:
            with _boto_errors(), contextlib.suppress(FileNotFoundError):
                self._fs.rm(paths)


@contextlib.contextmanager
def _boto_errors() -> Iterator[None]:
    """Turn what botocore raises before there is a reply (no credentials, no connection) into ``OSError``."""
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except BotoCoreError as error:
        raise OSError(str(error)) from error


def _http_status(error: OSError) -> int | None:
    response = getattr(error.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return int(status) if status is not None else None


def _relative_sizes(found: dict[str, Any], root: str) -> dict[str, int]:
    prefix = root.strip("/") + "/"
    return {
        path.lstrip("/").removeprefix(prefix): int(info["size"])
        for path, info in found.items()
        if info["type"] == "file" and path.lstrip("/").startswith(prefix)
    }
