"""Files that a shelf hands out, read by ranges of bytes wherever they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    def of_path(cls, path: Path) -> ServedFile:
        """A file on this disk."""

        def read(start: int, stop: int) -> bytes:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(stop - start)

        return cls(path.stat().st_size, read)

    @classmethod
    def of_object(cls, location: Location, name: str, size: int) -> ServedFile:
        """An object of a store, read by ranges."""

        def read(start: int, stop: int) -> bytes:
            buffer = bytearray(stop - start)
            count = location.read_into(name, start, memoryview(buffer)) if buffer else 0
            return bytes(buffer[:count])

        return cls(size, read)
