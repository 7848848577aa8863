"""A fingerprint of a source: tells whether it is what an import began with, without reading its states."""

from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Fingerprint:
    """SHA-256 over the names of the files that an importer reads, their sizes, and what is cheap to know of them.

    Tables count by their content. States count by their size, and where they are zip files, as those of ``torch.save``
    are, by the checksums in its directory; an edit of another state that keeps its size is not seen.
    """

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def add_table(self, name: str, path: Path) -> None:
        """Count a small file; one that is not there counts as such."""
        try:
            content = path.read_bytes()
        except OSError:
            return self._add(name, None)
        return self._add(name, hashlib.sha256(content).hexdigest())

    def add_state(self, name: str, path: Path) -> None:
        """Count a file of weights; one that is not there counts as such."""
        try:
            self._add(name, path.stat().st_size, _checksums(path))
        except OSError:
            self._add(name, None)

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        return self._sha.hexdigest()

    def _add(self, *facts: Any) -> None:
        self._sha.update(f"{json.dumps(facts)}\n".encode())


def _checksums(path: Path) -> list[int]:
    """CRC-32 of every record of a zip file, from its directory alone; none of any other file."""
    try:
        with zipfile.ZipFile(path) as file:
            return [record.CRC for record in file.infolist()]
    except (zipfile.BadZipFile, ValueError, RuntimeError):  # the last of a version that zipfile does not know
        return []
