"""Uploading so that it can be killed at any moment: what is there and right stays, what was sent is read back."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from geozoo.errors import StoreLostError, StoreUnusableError
from geozoo.store.commit import StoredObject
from geozoo.store.files import hash_object

if TYPE_CHECKING:
    from collections.abc import Collection

    from geozoo.store import Location
    from geozoo.store.backends import Bytes

_LEFT = re.compile(r"(.*/)?\.[^/]+\.[0-9a-f]{8}\.tmp|runs/[0-9a-f]{8}\.probe")
"""What a killed run leaves: half-written files, and the probe of an endpoint."""


class Upload:
    """Objects on their way to a location.

    Attributes:
        objects: size and SHA-256 of every object that is there and was read back.
        sent: how many of them this run wrote; the others were there already.
    """

    def __init__(self, location: Location) -> None:
        self.objects: dict[str, StoredObject] = {}
        self.sent = 0
        self._location = location
        self._there = location.list()

    def put(self, name: str, data: Bytes) -> None:
        """Make sure that an object holds exactly these bytes, by reading it back.

        Raises:
            StoreLostError: the store failed, or gave back other bytes than were written.
        """
        stored = StoredObject(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        if self._there.get(name) != stored.size or not self._holds(name, stored):
            self._location.write(name, data)
            self.sent += 1
            if not self._holds(name, stored):
                raise StoreLostError(f"{name} in {self._location.url} does not read back as it was written.")
        self.objects[name] = stored

    def _holds(self, name: str, stored: StoredObject) -> bool:
        try:
            return hash_object(self._location, name) == (stored.size, stored.sha256)
        except FileNotFoundError:
            return False

    def tidy(self, kept: Collection[str]) -> None:
        """Remove what killed runs left; ``kept`` are names that are no part of the upload and belong there.

        Raises:
            StoreUnusableError: something is there that no such run has left.
            StoreLostError: an object is gone, or has another size than was read back.
        """
        there = self._location.list()
        strays = sorted(there.keys() - self.objects.keys() - set(kept))
        if foreign := [name for name in strays if not _LEFT.fullmatch(name)]:
            raise StoreUnusableError(
                f"{self._location.url} holds {foreign[0]}, which does not belong to this publication: move it away and "
                "run the same command again."
            )
        self._location.delete(strays)
        for name, stored in self.objects.items():
            if there.get(name) != stored.size:
                raise StoreLostError(f"{name} in {self._location.url} was changed by somebody else: run again.")
