"""Resume points: what a later attempt at a cohort goes on from when this one is ended before its commit.

A long attempt writes one after an epoch, where all its states so far lie in whole shards, and removes the one before:
``cohorts/<attempt>/resume/<epoch>.safetensors`` with the state of training and the metrics so far, then
``<epoch>.json``, sealed, which names its SHA-256 and those of the attempt's objects. A later attempt copies those
states under its own name, so that objects stay immutable whoever still writes. Resume points are in no commit and no
digest: the commit removes those of its own attempt, `geozoo gc` the others once there is one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from geozoo.errors import DamagedZooError
from geozoo.store import sealed
from geozoo.store.commit import Commit, StoredObject, attempt_folder, commit_name
from geozoo.store.reader import ShardReader, split_by_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from geozoo.store.header import ZooHeader
    from geozoo.store.location import Location

    Arrays = dict[str, NDArray[Any]]

_NAME = re.compile(r"cohorts/((?:0|[1-9]\d*)-\d+)-[0-9a-f]{8}/resume/(\d{6})\.json")
_STATE, _METRICS, _BEST = "state/", "metrics/", "best"


class Description(BaseModel):
    """The JSON of a resume point: ``written`` is what a commit would say now, without digests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    evaluated: tuple[int, ...]
    state: StoredObject
    written: Commit


@dataclass(frozen=True)
class ResumePoint:
    """A checked resume point: ``state`` is the engine's, by the names it gave; ``how`` the training so far was done."""

    epoch: int
    state: Arrays
    how: dict[str, Any]
    blocks: Callable[[], Iterator[tuple[int, NDArray[Any], Arrays]]]
    """Makes ``(epoch, weights, metrics)`` of every evaluated epoch so far; states are read one epoch at a time.

    Where the zoo keeps the best epochs alone, the weights are the best ones so far at every epoch."""


def resume_cohort(object_name: str) -> tuple[str, int] | None:
    """The cohort and the epoch of a resume point's JSON, or None for any other name."""
    match = _NAME.fullmatch(object_name)
    return (match[1], int(match[2])) if match else None


def newest_by_cohort(names: Iterable[str]) -> dict[str, tuple[int, str]]:
    """The latest resume point by cohort: its epoch, and the name of its JSON."""
    points = sorted((found[1], name, found[0]) for name in names if (found := resume_cohort(name)))
    return {cohort: (epoch, name) for epoch, name, cohort in points}


def resumable_cohorts(location: Location) -> dict[str, int]:
    """The epoch after which training goes on, by cohort without a commit."""
    names = location.list()
    latest = newest_by_cohort(names)
    return {cohort: epoch for cohort, (epoch, _) in sorted(latest.items()) if commit_name(cohort) not in names}


def write_resume_point(
    location: Location,
    written: Commit,
    epoch: int,
    evaluated: tuple[int, ...],
    state: Arrays,
    metrics: list[Arrays],
    best: NDArray[Any] | None,
) -> list[str]:
    """Write a resume point, its JSON last, so that it counts when it is whole; returned are its objects' names."""
    from safetensors.numpy import save

    arrays = {_STATE + name: array for name, array in state.items()}
    if metrics:
        arrays |= {_METRICS + name: np.stack([block[name] for block in metrics]) for name in metrics[0]}
    if best is not None:
        arrays[_BEST] = best
    data = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    stem = f"{attempt_folder(written.attempt)}/resume/{epoch:06d}"
    stored = StoredObject(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    description = Description(epoch=epoch, evaluated=evaluated, state=stored, written=written)
    location.write(f"{stem}.safetensors", data)
    location.write(f"{stem}.json", sealed.dumps(description.model_dump(mode="json")))
    return [f"{stem}.safetensors", f"{stem}.json"]


def read_resume_point(
    location: Location, header: ZooHeader, cohort: str, plan_sha256: str, on_note: Callable[[str], None]
) -> ResumePoint | None:
    """The latest resume point of a cohort that is whole; None where there is none.

    One that is damaged, or was made for another zoo, is passed over, and ``on_note`` told why in a sentence.
    """
    found = {name: point for name in location.list("cohorts") if (point := resume_cohort(name))}
    latest = sorted((epoch, name) for name, (owner, epoch) in found.items() if owner == cohort)
    for _, name in reversed(latest):
        try:
            return _read(location, header, name, plan_sha256)
        except (DamagedZooError, FileNotFoundError) as error:
            cause = str(error).rstrip(".") if isinstance(error, DamagedZooError) else f"{name} has gone"
            on_note(f"cohort {cohort} cannot go on from the resume point {name}: {cause}; it is passed over.")
    return None


def _read(location: Location, header: ZooHeader, name: str, plan_sha256: str) -> ResumePoint:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        description = Description.model_validate(sealed.loads(location.read(name), name))
    except ValidationError as error:
        raise DamagedZooError(f"it is none, {error.errors()[0]['msg']}") from error
    written = description.written
    ours = (attempt_folder(written.attempt), header.sha256, plan_sha256)
    if (name.rpartition("/resume/")[0], written.header_sha256, written.plan_sha256) != ours:
        raise DamagedZooError("it was made for another zoo or plan")
    state_name = name.removesuffix(".json") + ".safetensors"
    whole = written.model_copy(update={"objects": written.objects | {state_name: description.state}})
    data = b""
    for object_name in whole.objects:
        data = _checked(location, whole, object_name)
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise DamagedZooError(f"{state_name} is not readable ({error})") from error
    return ResumePoint(
        epoch=description.epoch,
        state={key.removeprefix(_STATE): array for key, array in arrays.items() if key.startswith(_STATE)},
        how=written.how,
        blocks=lambda: _blocks(location, description, arrays),
    )


def _checked(location: Location, written: Commit, name: str) -> bytes:
    try:
        data = location.read(name)
    except FileNotFoundError:
        raise DamagedZooError(f"{name} is missing") from None
    if fault := written.fault(name, data):
        raise DamagedZooError(fault)
    return data


def _blocks(location: Location, description: Description, arrays: Arrays) -> Iterator[tuple[int, NDArray[Any], Arrays]]:
    metrics = {name.removeprefix(_METRICS): array for name, array in arrays.items() if name.startswith(_METRICS)}
    reader, written = ShardReader(location), description.written
    members, _, params = written.weights.shape
    positions = np.arange(members)
    for number, epoch in enumerate(description.evaluated):
        if _BEST in arrays:
            weights = arrays[_BEST]
        else:
            weights = np.empty((members, params), dtype=written.weights.dtype)
            reader.read(split_by_shard(written, positions, np.full(members, number), positions), weights)
        yield epoch, weights, {name: array[number] for name, array in metrics.items()}
