"""Making a zoo, and extending one: both idempotent, and safe against another driver doing the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from geozoo.errors import ZooMismatchError
from geozoo.recipe.describe import shorten
from geozoo.store.header import HEADER_NAME, ZooHeader
from geozoo.store.location import Location, open_location
from geozoo.store.manifest import refuse_publication
from geozoo.store.plans import cohort_plan, decode_plan, encode_plan, plan_name
from geozoo.store.zoo import Zoo, open_zoo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

_SHOWN = 3


def create_zoo(url: str | Path, header: ZooHeader, plan: pd.DataFrame) -> Zoo:
    """Create the zoo, or open it where it was created from the same header.

    ``plans/0.parquet`` is written first and ``zoo.json``, which names its SHA-256, last; each is created once, so of
    two drivers that race, the second continues what the first made. Where the zoo is there already its own plan
    counts: values that were sampled are fixed for good by the first creation.

    Raises:
        ZooMismatchError: the zoo there was made from something else; the message shows what differs.
        StoreUnusableError: the URL cannot be written, or something is published there.
    """
    location = open_location(url)
    with location.opening():
        refuse_publication(location, act="populate")
        stored = _read(location, HEADER_NAME)
        if stored is None:
            made = header.model_copy(update={"plan_sha256": _write_plan(location, 0, plan, header.origin is not None)})
            if not location.create_once(HEADER_NAME, made.dumps()):
                stored = location.read(HEADER_NAME)
    if stored is not None:
        _refuse_other(location, ZooHeader.loads(stored, f"{location.url}/{HEADER_NAME}"), header)
    return open_zoo(url)


def extend_zoo(url: str | Path, plan: pd.DataFrame) -> Zoo:
    """Add members: write ``plan``, whose cohorts carry the number after the last plan, as a further plan file.

    Extending again with the same rows changes nothing.

    Raises:
        ZooMismatchError: the plan has not the next number, another plan has it already, a member is planned already, or
            the zoo was not populated.
    """
    zoo = open_zoo(url)
    refuse_derived(zoo, "extend")
    refuse_publication(zoo.location, act="populate")
    number, following = cohort_plan(plan["cohort"].iloc[0]), len(zoo.plans)
    if not 0 < number <= following:
        raise ZooMismatchError(
            f"plan {number} cannot extend {zoo.url}: it has plans 0 to {following - 1}, give {following}."
        )
    earlier = zoo.members.loc[zoo.members["plan"] < number, "member"]
    if (twice := plan["member"].isin(earlier)).any():
        member = plan.loc[twice, "member"].iloc[0]
        raise ZooMismatchError(f"member {member} is planned in {zoo.url} already: extend it by other members.")
    _write_plan(zoo.location, number, plan)
    return open_zoo(url)


def refuse_derived(zoo: Zoo, verb: str) -> None:
    """Raise `ZooMismatchError` for a zoo that was not populated, to whose training nothing can be added.

    ``verb`` completes "geozoo cannot ... it".
    """
    if (origin := zoo.header.origin) is not None:
        raise ZooMismatchError(
            f"the zoo at {zoo.url} was {origin.words} and not trained here, so geozoo cannot {verb} it: "
            "give the URL of a zoo that was populated."
        )


def _write_plan(location: Location, number: int, plan: pd.DataFrame, imported: bool = False) -> str:
    """Create a plan file once and return the SHA-256 of what is there, which holds the same rows.

    Rows are compared, not bytes: another version of pyarrow writes the same rows as other bytes.
    """
    name, data = plan_name(number), encode_plan(plan, imported=imported)
    if location.create_once(name, data):
        return hashlib.sha256(data).hexdigest()
    there, ours = decode_plan(location.read(name), number), decode_plan(data, number)
    if not there.table.equals(ours.table):
        raise ZooMismatchError(f"{name} in {location.url} plans other members than yours: choose another URL.")
    return there.sha256


def _read(location: Location, name: str) -> bytes | None:
    try:
        return location.read(name)
    except FileNotFoundError:
        return None


def _refuse_other(location: Location, there: ZooHeader, ours: ZooHeader) -> None:
    exclude = {"plan_sha256"}
    pairs = there.model_dump(mode="json", exclude=exclude), ours.model_dump(mode="json", exclude=exclude)
    differences = list(_differences("", *pairs))
    if differences:
        shown = "; ".join(differences[:_SHOWN])
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise ZooMismatchError(
            f"the zoo at {location.url} was made from something else ({shown}{more}): "
            "choose another URL or the same settings."
        )


def _differences(path: str, there: Any, ours: Any) -> Iterator[str]:
    """Leaves that differ, as ``path: there != ours`` with dotted paths."""
    if isinstance(there, dict) and isinstance(ours, dict):
        for key in sorted(there.keys() | ours.keys()):
            inner = f"{path}.{key}" if path else key
            yield from _differences(inner, there.get(key, "nothing"), ours.get(key, "nothing"))
    elif isinstance(there, list) and isinstance(ours, list) and len(there) == len(ours):
        for number, pair in enumerate(zip(there, ours, strict=True)):
            yield from _differences(f"{path}.{number}", *pair)
    elif there != ours:
        yield f"{path} is {shorten(there)} there and {shorten(ours)} here"
