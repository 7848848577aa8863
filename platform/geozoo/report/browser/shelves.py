"""What the page reads of a zoo, by name: the files of a published zoo, or the same files made up from a store.

The page knows one layout: ``zoo.json``, ``browser/members.parquet``, ``metrics.parquet``, ``weights.zarr/weights`` and,
where there are embeddings, ``browser/embeddings.parquet``. A published zoo has it, so its objects are handed out as
they are. For a zoo in its store the tables are gathered once, and every state is a chunk of a Zarr array that exists
only in the answers.
"""

from __future__ import annotations

import re
import tempfile
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from geozoo.errors import InputError
from geozoo.report.browser.files import ServedFile
from geozoo.report.browser.gathering import gather_metrics
from geozoo.report.browser.tables import EMBEDDINGS_TABLE, MEMBERS_TABLE, encode_members, encode_published_members
from geozoo.store import open_zoo

if TYPE_CHECKING:
    from geozoo.hyper.probing.states import Progress
    from geozoo.store import Location, Zoo

MANIFEST = "manifest.json"
HEADER, METRICS, WEIGHTS = "zoo.json", "metrics.parquet", "weights.zarr/weights"
_CHUNK = re.compile(rf"{re.escape(WEIGHTS)}/c/(0|[1-9]\d*)/(0|[1-9]\d*)/0")


class Shelf(Protocol):
    """The files of one zoo; safe to use from many threads."""

    name: str
    url: str

    def find(self, path: str) -> ServedFile | None:
        """The file at a path below the zoo, or None where there is none."""


class PublishedShelf:
    """The objects of a published zoo, and the table of the page where it was published without."""

    def __init__(self, zoo: Zoo, objects: dict[str, int], embeddings: bytes | None) -> None:
        self.name, self.url = zoo.header.name, zoo.url
        self._zoo = zoo
        self._objects = objects
        self._embeddings = embeddings

    def find(self, path: str) -> ServedFile | None:
        """See `Shelf`."""
        if path == EMBEDDINGS_TABLE and self._embeddings is not None:
            return ServedFile.of_bytes(self._embeddings)
        if path in self._objects:
            return ServedFile.of_object(self._zoo.location, path, self._objects[path])
        return ServedFile.of_bytes(self._members) if path == MEMBERS_TABLE else None

    @cached_property
    def _members(self) -> bytes:
        return encode_published_members(self._zoo)


class StoreShelf:
    """A zoo in its store, committed members only, as it was when opened.

    Args:
        zoo: an open zoo with at least one committed member.
        embeddings: bytes of the embedding table, if there is one.
        progress: called with what is being done, how much of it is done, and how much there is.

    Raises:
        InputError: no member is committed yet.
    """

    def __init__(self, zoo: Zoo, embeddings: bytes | None, progress: Progress | None) -> None:
        if not zoo.members["committed"].any():
            raise InputError(
                f"no member of {zoo.url} is committed yet, so there is nothing to browse: populate it first."
            )
        self.name, self.url = zoo.header.name, zoo.url
        self._zoo = zoo
        self._rows = np.flatnonzero(zoo.members["committed"])
        with tempfile.TemporaryFile(prefix="geozoo-") as file:
            final, metrics_rows = gather_metrics(zoo, self._rows, file, progress)
            metrics = ServedFile.of_file(file)
        members = encode_members(zoo.members.iloc[self._rows], final, metrics_rows)
        self._files = {
            HEADER: ServedFile.of_bytes(zoo.header.dumps()),
            MEMBERS_TABLE: ServedFile.of_bytes(members),
            METRICS: metrics,
            f"{WEIGHTS}/zarr.json": ServedFile.of_bytes(self._array_metadata()),
            **({EMBEDDINGS_TABLE: ServedFile.of_bytes(embeddings)} if embeddings is not None else {}),
        }

    def find(self, path: str) -> ServedFile | None:
        """See `Shelf`."""
        match = _CHUNK.fullmatch(path)
        return self._state(int(match[1]), int(match[2])) if match else self._files.get(path)

    def _state(self, row: int, checkpoint: int) -> ServedFile | None:
        if row >= len(self._rows) or checkpoint >= len(self._zoo.checkpoints):
            return None
        state = self._zoo.weights[int(self._rows[row]), checkpoint]
        return ServedFile.of_bytes(state.astype(state.dtype.newbyteorder("<"), copy=False).tobytes())

    def _array_metadata(self) -> bytes:
        """The ``zarr.json`` of an array of these members, one chunk a state, written by zarr itself."""
        import zarr

        header = self._zoo.header
        objects: dict[str, Any] = {}
        shape = (len(self._rows), len(header.checkpoints), header.num_parameters)
        zarr.create_array(
            objects,
            shape=shape,
            chunks=(1, 1, shape[2]),
            dtype=header.dtype,
            compressors=None,
            filters=None,
            fill_value=np.nan,
        )
        return bytes(objects["zarr.json"].to_bytes())


def open_shelf(url: str, embeddings: bytes | None = None, progress: Progress | None = None) -> Shelf:
    """The shelf of a zoo at a URL, published or not.

    Raises:
        InputError: there is no zoo there, or none of its members is committed.
    """
    zoo = open_zoo(url)
    objects = _objects(zoo.location)
    if MANIFEST in objects:
        return PublishedShelf(zoo, objects, embeddings)
    return StoreShelf(zoo, embeddings, progress)


def _objects(location: Location) -> dict[str, int]:
    with location.opening():
        return location.list()
