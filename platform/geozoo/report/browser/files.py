"""Files that a shelf hands out, read by ranges of bytes wherever they lie."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from geozoo.store import Location


@dataclass(frozen=True)
class ServedFile:
    """A file of ``size`` bytes; ``read`` returns those from a first one up to, not including, another."""

    size: int
    read: Callable[[int, int], bytes]

    @classmethod
    def of_bytes(cls, data: bytes) -> ServedFile:
        """A file held in memory."""
        return cls(len(data), lambda start, stop: data[start:stop])

    @classmethod
    def of_file(cls, file: BinaryIO) -> ServedFile:
        """An open file that is not empty: mapped, so that it can be closed and need not have a name."""
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return cls(len(mapped), lambda start, stop: mapped[start:stop])

    @classmethod
    def of_object(cls, location: Location, name: str, size: int) -> ServedFile:
        """An object of a store, read by ranges."""

        def read(start: int, stop: int) -> bytes:
            buffer = bytearray(stop - start)
            count = location.read_into(name, start, memoryview(buffer)) if buffer else 0
            return bytes(buffer[:count])

        return cls(size, read)
