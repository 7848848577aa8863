"""Objects of a store as files, for libraries that read parts of them, and their SHA-256 without holding them."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geozoo.store.location import Location

_PIECE_BYTES = 8 * 2**20


class ObjectFile(io.RawIOBase):
    """A seekable, read-only file over an object of ``size`` bytes: every read is one ranged request."""

    def __init__(self, location: Location, name: str, size: int) -> None:
        self._location = location
        self._name = name
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The place of the next read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, counted from the beginning, from here or from the end."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes, or all there are."""
        left = max(self._size - self._at, 0)
        buffer = bytearray(left if size < 0 else min(size, left))
        done = self._location.read_into(self._name, self._at, memoryview(buffer)) if buffer else 0
        self._at += done
        return bytes(buffer[:done])


def hash_object(location: Location, name: str) -> tuple[int, str]:
    """Size and SHA-256 of an object, read in pieces of 8 MiB.

    Raises:
        FileNotFoundError: there is no such object.
    """
    digest, buffer, size = hashlib.sha256(), memoryview(bytearray(_PIECE_BYTES)), 0
    while count := location.read_into(name, size, buffer):
        digest.update(buffer[:count])
        size += count
        if count < len(buffer):
            break
    return size, digest.hexdigest()
