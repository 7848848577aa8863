"""From a source to a zoo: plan it, then write cohort after cohort."""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import GeozooError, InputError, ZooMismatchError
from geozoo.interchange.keep import MISSING, Keep, select_states
from geozoo.interchange.names import NOT_EVALUATED
from geozoo.interchange.settings import KEYS, SOURCE, plan_settings
from geozoo.store import Attempt, Origin, ZooHeader, collect_garbage, create_zoo, open_location, open_zoo, run_lease
from geozoo.store.header import HEADER_NAME, WITH_ORIGIN
from geozoo.store.plans import PLAN_COLUMNS
from geozoo.store.shards import MAX_SHARD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from geozoo.datasets import DatasetOptions, ImageSet
    from geozoo.interchange.sources.source import Found, Source, SourceMember
    from geozoo.store import Location, Zoo

MAX_COHORT = 128
_RESERVED = ("member", "epoch", "finite", "generalization_gap")


@dataclass(frozen=True)
class Imported:
    """A finished import: the zoo, and what the source has and the zoo has not, by reason."""

    zoo: Zoo
    left_out: dict[str, list[str]]


def import_zoo(
    source: Source,
    url: str,
    *,
    name: str,
    keep: Keep = "epochs",
    images: ImageSet | None = None,
    options: DatasetOptions | None = None,
    on_step: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Imported:
    """Import a source, or finish an import that was interrupted.

    Members are read and written in cohorts of at most 128 members and 64 MiB a checkpoint, so memory does not grow with
    the source; each cohort is committed by itself.

    Args:
        source: what to import.
        url: root of the zoo.
        name: of the zoo.
        keep: what stays where states are missing; see `select_states`.
        images: the image set of the source's networks, where it is known, as ``source.prepare`` gives it.
        options: what that image set was loaded by.
        on_step: progress.

    Raises:
        InputError: the source is not what it should be.
        ZooMismatchError: there is a zoo of something else.
        StoreLostError: the store failed; run it again.
    """
    found = source.look(on_step)
    epochs, chosen = select_states(found.members, keep)
    kept = set(chosen)
    incomplete = [member.name for position, member in enumerate(found.members) if position not in kept]
    left_out = {reason: names for reason, names in {**found.left_out, MISSING: incomplete}.items() if names}
    settings = found.settings.take(chosen)
    planned = plan_settings(settings.columns(), source.settings_names)
    metrics = _metric_columns(found.metrics, source.metric_names)
    header = ZooHeader(
        version=WITH_ORIGIN,
        name=name,
        recipe=_recipe(source, found, name, options),
        dataset=images.describe() if images else _unknown_images(found),
        layout=found.network.layout,
        checkpoints=epochs,
        engine="imported",
        precision="unknown",
        origin=Origin(
            kind=source.kind,
            source=source.name,
            config=_jsonable(settings.shared),
            names=planned.names | {column: metric for metric, column in metrics.items() if column != metric},
            encoded=planned.encoded,
            keys=found.keys,
            left_out={reason: len(names) for reason, names in left_out.items()},
            fingerprint=found.fingerprint,
        ),
    )
    header = _continued(url, header)
    zoo = create_zoo(url, header, _plan([found.members[i] for i in chosen], planned.columns, header, source.kind))
    _write_all(zoo, source, metrics, on_step)
    return Imported(open_zoo(zoo.url), left_out)


def _continued(url: str, header: ZooHeader) -> ZooHeader:
    """The header by which an import begins or goes on: without fingerprint where an earlier one began without.

    Raises:
        ZooMismatchError: the source is not what it was when the import there began.
    """
    location = open_location(url)
    with location.opening():
        try:
            there = ZooHeader.loads(location.read(HEADER_NAME), f"{location.url}/{HEADER_NAME}").imported
        except FileNotFoundError:
            there = None
    ours = header.imported
    if there is None or ours is None or (there.kind, there.source) != (ours.kind, ours.source):
        return header
    if there.fingerprint is None:
        return header.model_copy(update={"origin": ours.model_copy(update={"fingerprint": None})})
    if there.fingerprint != ours.fingerprint:
        raise ZooMismatchError(
            f"the source {ours.source!r} has changed since its import to {location.url} began: import it to another "
            f"URL, or remove {location.url} first."
        )
    return header


def _recipe(source: Source, found: Found, name: str, options: DatasetOptions | None) -> dict[str, Any]:
    recipe: dict[str, Any] = {"name": name, "title": f"imported from {source.name} ({source.kind})"}
    if found.network.name is not None:
        recipe["network"] = {"name": found.network.name}
    if options is not None:
        recipe["dataset"] = options.model_dump(mode="json")
    return recipe


def _unknown_images(found: Found) -> dict[str, Any]:
    network = found.network
    classes = [str(number) for number in range(network.classes)]
    shape = {"channels": network.channels, "size": network.size, "classes": classes}
    return {"name": "unknown", "fingerprint": "unknown", **shape}


def _jsonable(value: Any) -> Any:
    """A setting as strict JSON has it: a number that is not finite is its name."""
    if isinstance(value, dict):
        return {str(name): _jsonable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _metric_columns(metrics: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Column of each metric of the source."""
    columns: dict[str, str] = {}
    for metric in metrics:
        column = known.get(metric, metric)
        taken = column in _RESERVED or column in columns.values()
        columns[metric] = f"source.{metric}" if taken else column
    return columns


def member_id(kind: str, name: str) -> str:
    """Id of an imported member: 16 hexadecimal digits, the same wherever the source lies."""
    return hashlib.sha256(f"{kind}\n{name}".encode()).hexdigest()[:16]


def _plan(
    members: Sequence[SourceMember], columns: Mapping[str, pd.Series], header: ZooHeader, kind: str
) -> pd.DataFrame:
    import pandas as pd

    size = min(MAX_COHORT, max(1, MAX_SHARD_BYTES // (4 * header.num_parameters)))
    cohorts = -(-len(members) // size)
    digits = max(3, len(str(cohorts - 1)))
    place = {
        "member": [member_id(kind, member.name) for member in members],
        "cohort": [f"0-{row // size:0{digits}d}" for row in range(len(members))],
        "position": [row % size for row in range(len(members))],
    }
    further = [name for name in columns if name not in PLAN_COLUMNS]
    table = {name: place.get(name, columns.get(name, [None] * len(members))) for name in PLAN_COLUMNS}
    table |= {SOURCE: [member.name for member in members]}
    if len(header.imported.keys if header.imported else ()) > 1:
        table |= {KEYS: [member.keys for member in members]}
    return pd.DataFrame(table | {name: columns[name] for name in further})


def _write_all(zoo: Zoo, source: Source, metrics: Mapping[str, str], on_step: Callable[[str, int, int], None]) -> None:
    """Write the cohorts that are not committed yet."""
    members = zoo.members
    cohorts = list(dict.fromkeys(members.loc[~members["committed"], "cohort"]))
    if not cohorts:
        return
    states = int(members["committed"].sum()) * len(zoo.checkpoints)
    total = len(members) * len(zoo.checkpoints)
    with run_lease(zoo.location) as lease:
        try:
            for cohort in cohorts:
                for written in _write(zoo, source, metrics, cohort):
                    states += written
                    on_step("states", states, total)
        finally:
            with contextlib.suppress(GeozooError):
                collect_garbage(zoo.url, own_lease=lease)


def _write(zoo: Zoo, source: Source, metrics: Mapping[str, str], cohort: str) -> Iterator[int]:
    """Write and commit one cohort; gives the number of states after every epoch."""
    plan = zoo.plan_of(cohort)
    names = list(plan[SOURCE])
    attempt, started = Attempt.begin(zoo.location, zoo.header, plan), time.monotonic()
    rows = [source.rows(name) for name in names]
    try:
        for epoch in zoo.checkpoints:
            block = np.empty((len(names), zoo.header.num_parameters), dtype=np.float32)
            for position, name in enumerate(names):
                block[position] = source.state(name, epoch)
            attempt.append(epoch, block, _metric_block(rows, epoch, metrics, block))
            yield len(names)
    except BaseException:
        attempt.abandon()
        raise
    attempt.commit(_how(source, time.monotonic() - started))


def _metric_block(
    rows: Sequence[Mapping[int, Mapping[str, float]]],
    epoch: int,
    metrics: Mapping[str, str],
    block: np.ndarray[Any, Any],
) -> dict[str, np.ndarray[Any, Any]]:
    """The metrics of one epoch ``{name: [members]}``: those of the source, and what can be computed."""
    columns = {
        column: np.array([row.get(epoch, {}).get(metric, np.nan) for row in rows], dtype=np.float64)
        for metric, column in metrics.items()
    }
    for name, values in columns.items():
        if name.startswith("running_"):
            values[values <= NOT_EVALUATED] = np.nan
    nothing = np.full(len(rows), np.nan)
    columns.setdefault("test_accuracy", nothing)
    columns["generalization_gap"] = columns.get("train_accuracy", nothing) - columns["test_accuracy"]
    if "running_train_accuracy" in columns:
        gap = columns["running_train_accuracy"] - columns["test_accuracy"]
        columns.setdefault("running_generalization_gap", gap)
    columns["finite"] = np.isfinite(block).all(axis=1)
    return columns


def _how(source: Source, seconds: float) -> dict[str, Any]:
    """What a commit says of an import: no processor and no training time, which belong to the source."""
    from geozoo.population.how import describe_run

    versions = describe_run("imported", wall_s=seconds)["versions"]
    return {"imported": source.kind, "versions": versions, "import_s": round(seconds, 3)}


def refuse_overlap(source: Path, target: Location) -> None:
    """`InputError` where the zoo would lie in its source, or the source in it: a source is only read."""
    here, there = (f"{place.rstrip('/')}/" for place in (str(source.resolve()), target.url))
    if here.startswith(there) or there.startswith(here):
        raise InputError(f"{target.url} overlaps with the source {str(source)!r}: import to a place of its own.")


def zoo_name(source: str) -> str:
    """A name for a zoo made of the name of its source: lower case, words joined by ``-``."""
    words = re.sub(r"[^a-z0-9_.]+", "-", source.lower().removesuffix(".pt")).strip("-_.")
    return words[:80] or "imported"
