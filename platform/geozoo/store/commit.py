"""Commits: the small object, created once, that makes one attempt the cohort."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from geozoo.errors import DamagedZooError
from geozoo.store import sealed
from geozoo.store.concurrency import concurrently
from geozoo.store.shards import WEIGHTS_FOLDER, Grid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from geozoo.store.location import Location

_COMMIT_NAME = re.compile(r"commits/([^/]+)\.json")


class StoredObject(BaseModel):
    """Size in bytes and SHA-256 of an object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str


def object_fault(name: str, stored: StoredObject, size: int, sha256: str) -> str | None:
    """What is wrong with an object of this size and SHA-256, as a sentence, or None."""
    if size != stored.size:
        return f"{name} has {size} bytes and was committed with {stored.size}."
    return None if sha256 == stored.sha256 else f"{name} does not fit the SHA-256 it was committed with."


class Commit(BaseModel):
    """What ``commits/<cohort>.json`` says: which attempt won and what it wrote.

    ``objects`` are names relative to the root of the store; ``digests`` are by member id; ``how`` tells how the cohort
    was trained (engine, versions, processor, threads, wall time) and is in no digest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cohort: str
    attempt: str
    plan: int
    plan_sha256: str
    header_sha256: str
    weights: Grid
    objects: dict[str, StoredObject]
    digests: dict[str, str]
    how: dict[str, Any]

    @property
    def folder(self) -> str:
        """Folder of the attempt's objects."""
        return attempt_folder(self.attempt)

    @property
    def weights_folder(self) -> str:
        """Where the shards of the weights lie."""
        return f"{self.folder}/{WEIGHTS_FOLDER}"

    def fault(self, name: str, data: bytes) -> str | None:
        """What is wrong with the bytes of one of ``objects``, as a sentence, or None."""
        return object_fault(name, self.objects[name], len(data), hashlib.sha256(data).hexdigest())

    def dumps(self) -> bytes:
        """The bytes of the commit."""
        return sealed.dumps(self.model_dump(mode="json"))

    @classmethod
    def loads(cls, data: bytes, name: str) -> Self:
        """Read a commit; ``name`` is for the message.

        Raises:
            DamagedZooError: its bytes are not what was written.
        """
        try:
            commit = cls.model_validate(sealed.loads(data, name))
        except ValidationError as error:
            raise DamagedZooError(
                f"{name} is not a commit of a cohort: {error.errors()[0]['msg']}; restore it."
            ) from error
        if commit_cohort(name) != commit.cohort:
            raise DamagedZooError(
                f"{name} holds the commit of cohort {commit.cohort}: an object was moved, restore it."
            )
        return commit


def read_commits(location: Location, names: Iterable[str]) -> list[Commit]:
    """Every commit among ``names``, planned or not.

    Raises:
        DamagedZooError: one is not what was written.
    """
    return concurrently(lambda name: Commit.loads(location.read(name), name), filter(commit_cohort, names))


def commit_name(cohort: str) -> str:
    """Object name of a cohort's commit."""
    return f"commits/{cohort}.json"


def commit_cohort(object_name: str) -> str | None:
    """The cohort in ``commits/<cohort>.json``, or None for any other name."""
    match = _COMMIT_NAME.fullmatch(object_name)
    return match[1] if match else None


def attempt_folder(attempt: str) -> str:
    """Folder of an attempt's objects."""
    return f"cohorts/{attempt}"
