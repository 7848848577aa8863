"""``manifest.json``: the last object of a published zoo, created once; with it the publication is complete.

A published zoo is one immutable version that stands alone: the same header, members, weights and metrics as the zoo it
was made of, merged into few objects that other tools read, and the documents a data set needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geozoo.errors import DamagedZooError, StoreUnusableError
from geozoo.store import sealed
from geozoo.store.commit import StoredObject, object_fault
from geozoo.store.shards import Grid

if TYPE_CHECKING:
    from collections.abc import Container

    from geozoo.store.location import Location

MANIFEST_NAME = "manifest.json"
PUBLISHING_NAME = "publishing.json"
"""What is being published here; gone once the manifest is there."""
MEMBERS_NAME = "members.parquet"
METRICS_NAME = "metrics.parquet"
TREE_NAME = "members.hashtree"
ARRAY_FOLDER = "weights.zarr/weights"
MANIFEST_VERSION = 1
UNFINISHED = "a publication that was not finished"


def is_publication(names: Container[str]) -> bool:
    """Whether objects of these names are those of a published zoo, be it without its manifest."""
    return MANIFEST_NAME in names or TREE_NAME in names


class Manifest(BaseModel):
    """What a published zoo consists of.

    ``edition`` is what its publishers say about it (title, version, licence, authors); ``digest`` that of the zoo;
    ``root`` the root of the hash tree over ``members`` members (see `geozoo.store.hashtree`), hexadecimal; ``weights``
    how the array ``weights.zarr/weights`` is cut up; ``metrics_group`` how many members a row group of
    ``metrics.parquet`` holds; ``how`` tells how each cohort was trained; ``objects`` are all objects but the manifest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["geozoo published zoo"] = "geozoo published zoo"
    version: int = MANIFEST_VERSION
    edition: dict[str, Any]
    digest: str
    members: int = Field(ge=1)
    root: str
    weights: Grid
    metrics_group: int = Field(ge=1)
    how: dict[str, dict[str, Any]]
    objects: dict[str, StoredObject]

    @property
    def weights_folder(self) -> str:
        """Where the shards of the weights lie."""
        return ARRAY_FOLDER

    def fault(self, name: str, size: int, sha256: str) -> str | None:
        """What is wrong with an object of this size and SHA-256, as a sentence, or None."""
        return object_fault(name, self.objects[name], size, sha256)

    def dumps(self) -> bytes:
        """The bytes of ``manifest.json``."""
        return sealed.dumps(self.model_dump(mode="json"))

    @classmethod
    def loads(cls, data: bytes, name: str = MANIFEST_NAME) -> Self:
        """Read a manifest; ``name`` is for the messages.

        Raises:
            DamagedZooError: its bytes are not what was written.
            StoreUnusableError: a newer geozoo wrote it.
        """
        payload = sealed.loads(data, name)
        version = payload.get("version")
        if isinstance(version, int) and version > MANIFEST_VERSION:
            raise StoreUnusableError(
                f"{name} has format version {version} and this geozoo reads up to {MANIFEST_VERSION}: upgrade geozoo."
            )
        try:
            return cls.model_validate(payload)
        except ValidationError as error:
            raise DamagedZooError(
                f"{name} is not the manifest of a published zoo: {error.errors()[0]['msg']}."
            ) from error


def read_manifest(location: Location) -> Manifest | None:
    """The manifest at a location; None where nothing is published there.

    Raises:
        DamagedZooError: it is not what was written.
        StoreUnusableError: a newer geozoo wrote it.
    """
    try:
        data = location.read(MANIFEST_NAME)
    except FileNotFoundError:
        return None
    return Manifest.loads(data, f"{location.url}/{MANIFEST_NAME}")


def refuse_publication(location: Location, *, act: str) -> None:
    """Make sure that nothing is published, or being published, at a location where ``act`` is about to happen.

    Raises:
        StoreUnusableError: it is.
    """
    for name, state in ((MANIFEST_NAME, "a published zoo, which never changes"), (PUBLISHING_NAME, UNFINISHED)):
        try:
            location.read(name)
        except FileNotFoundError:
            continue
        raise StoreUnusableError(f"{location.url} holds {state}: {act} another URL.")
