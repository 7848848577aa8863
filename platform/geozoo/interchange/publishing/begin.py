"""The beginning of a publication: a place of its own, marked so that a second run knows what it continues."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from geozoo.errors import InputError, StoreUnusableError
from geozoo.interchange.publishing.edition import Edition
from geozoo.store import open_location, refuse_unsafe_endpoint, sealed
from geozoo.store.manifest import PUBLISHING_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.store import Location

_HALF_MARK = re.compile(rf"\.{re.escape(PUBLISHING_NAME)}\.[0-9a-f]{{8}}\.tmp")
"""What a run leaves that is killed while it writes the mark; it goes with all other strays at the end."""


def destination_of(url: str | Path, to: str | Path) -> Location:
    """Where to publish; `InputError` where that lies in the zoo itself, or the zoo in it."""
    source, destination = open_location(url), open_location(to)
    if destination.overlaps(source):
        raise InputError(f"{destination.url} overlaps with the zoo at {source.url}: publish to a place of its own.")
    return destination


def begin(destination: Location, digest: str, edition: Edition) -> Edition:
    """Mark the destination as being published to, or continue what another run began; gives its edition with its date.

    Raises:
        StoreUnusableError: the destination is not empty, cannot be written, or something else was begun there.
    """
    with destination.opening():
        begun = _begun(destination)
        if begun is None:
            if there := [name for name in destination.list() if not _HALF_MARK.fullmatch(name)]:
                raise StoreUnusableError(
                    f"{destination.url} is not empty, it holds {min(there)}: publish to a new folder or prefix."
                )
            mark = sealed.dumps({"digest": digest, "edition": edition.model_dump(mode="json")})
            begun = (digest, edition) if destination.create_once(PUBLISHING_NAME, mark) else _begun(destination)
    if begun is None or begun[0] != digest or begun[1].said() != edition.said():
        raise StoreUnusableError(
            f"another publication was begun at {destination.url} and not finished: run that one again, or choose "
            "another URL."
        )
    if destination.url.startswith("s3://"):
        _refuse_unsafe(destination)
    return begun[1]


def _refuse_unsafe(destination: Location) -> None:
    """As `refuse_unsafe_endpoint`, after the mark, so that what a killed check leaves belongs to the publication."""
    try:
        refuse_unsafe_endpoint(destination)
    except StoreUnusableError:
        destination.delete([PUBLISHING_NAME])
        raise


def _begun(destination: Location) -> tuple[str, Edition] | None:
    try:
        payload = sealed.loads(destination.read(PUBLISHING_NAME), PUBLISHING_NAME)
    except FileNotFoundError:
        return None
    return str(payload["digest"]), Edition.model_validate(payload["edition"])
