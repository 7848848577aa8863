"""Merging: zoos of equal layout joined into one, their objects copied byte by byte."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from geozoo.errors import DamagedZooError, GeozooError, InputError
from geozoo.interchange.alike import first_difference
from geozoo.store import (
    Commit,
    Merged,
    MergedSource,
    ZooHeader,
    collect_garbage,
    create_zoo,
    open_location,
    open_zoo,
    run_lease,
)
from geozoo.store.commit import attempt_folder, commit_name
from geozoo.store.concurrency import concurrently
from geozoo.store.header import WITH_ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from geozoo.store import Location, Zoo


@dataclass(frozen=True)
class Part:
    """One cohort to copy: the zoo it is in, its commit there, its source's name, and its name in the merged zoo."""

    zoo: Zoo
    commit: Commit
    source: str
    cohort: str

    @property
    def size(self) -> int:
        """Bytes of its objects."""
        return sum(stored.size for stored in self.commit.objects.values())


@dataclass(frozen=True)
class Merger:
    """A merge about to run: the header and plan of the merged zoo, and what is copied into it."""

    header: ZooHeader
    plan: pd.DataFrame
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return sum(part.size for part in self.parts)

    def destination(self, url: str) -> Location:
        """Where the merged zoo goes; `InputError` where that lies in a source, or a source in it."""
        destination = open_location(url)
        for part in self.parts:
            if destination.overlaps(part.zoo.location):
                raise InputError(
                    f"{destination.url} overlaps with the source {part.zoo.url}: merge to a place of its own."
                )
        return destination

    def write(self, url: str, on_bytes: Callable[[int], None] = lambda count: None) -> Zoo:
        """Create the merged zoo, or finish it where an earlier merge stopped; the sources are only read.

        A cohort is there when its commit is, which is created once, so any number of interrupted merges add up to one.

        Args:
            url: where the merged zoo goes.
            on_bytes: called with the bytes of a cohort when it is there.

        Raises:
            InputError: the URL lies in a source, or a source in it.
            ZooMismatchError: something else is at the URL.
            DamagedZooError: bytes of a source are missing or are not what was committed; nothing of that cohort is
                committed.
        """
        merged = create_zoo(self.destination(url).url, self.header, self.plan)
        committed = set(merged.members.loc[merged.members["committed"], "cohort"])
        with run_lease(merged.location) as lease:
            for part in self.parts:
                if part.cohort not in committed:
                    _copy(part, merged)
                on_bytes(part.size)
            with suppress(GeozooError):  # what a killed merge left; another merge may be at work, and removes it
                collect_garbage(url, own_lease=lease)
        return open_zoo(url)


def prepare_merge(urls: Sequence[str]) -> Merger:
    """Open the zoos, check that they can be joined, and lay out the merged zoo.

    Its members are those of all, in the order given, each with what it has in its own zoo: id, hyper-parameters, seed,
    weights, metrics and so digest. Its recipe is what the recipes have in common, and its origin tells each source with
    its digest and full recipe.

    Raises:
        InputError: fewer than two zoos, one that is unfinished, a member that two of them have, or zoos that differ in
            what all members of a zoo share; the message names the first difference.
    """
    if len(urls) < 2:
        raise InputError(f"a merge takes two or more zoos and got {len(urls)}: name the others.")
    zoos = [open_zoo(url) for url in urls]
    for zoo in zoos:
        if not zoo.plans:
            raise InputError(
                f"{zoo.url} is a published zoo, whose members are not stored by cohort: merge the zoo it was made from."
            )
        if pending := int((~zoo.members["committed"]).sum()):
            raise InputError(
                f"{pending} of {len(zoo.members)} members of {zoo.url} are planned and not committed: "
                f"{_to_the_end(zoo)} before it is merged."
            )
    for other in zoos[1:]:
        if difference := first_difference(zoos[0], other):
            raise InputError(f"{other.url} cannot be joined to {zoos[0].url}: {difference}.")
    _refuse_common_members(zoos)
    sources = _name_apart([source for zoo in zoos for source in _sources(zoo)])
    origin = Merged(sources=tuple(sources))
    cohorts = [(zoo, cohort) for zoo in zoos for cohort in _cohorts(zoo)]
    digits = max(3, len(str(len(cohorts) - 1)))
    parts, plans = [], []
    for number, (zoo, cohort) in enumerate(cohorts):
        name = f"0-{number:0{digits}d}"
        parts.append(Part(zoo, zoo.commits()[cohort], origin.source_of(name).name, name))
        plans.append(zoo.plan_of(cohort).assign(cohort=name))
    return Merger(_header(zoos[0].header, origin), _concatenated(plans), tuple(parts))


def _to_the_end(zoo: Zoo) -> str:
    """What finishes a zoo, by how it came about."""
    if zoo.header.origin is None:
        return "populate it to the end"
    return "run its import again" if zoo.header.imported else "run its merge again"


def _cohorts(zoo: Zoo) -> list[str]:
    """The cohorts of a zoo by plan and running number."""
    return sorted(zoo.members["cohort"].unique(), key=lambda cohort: tuple(map(int, cohort.split("-"))))


def _concatenated(plans: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    table: pd.DataFrame = pd.concat(plans, ignore_index=True)
    return table


def _refuse_common_members(zoos: Sequence[Zoo]) -> None:
    owners: dict[str, str] = {}
    for zoo in zoos:
        for member in zoo.members["member"]:
            if member in owners:
                raise InputError(
                    f"member {member} is in {owners[member]} and in {zoo.url}, and a zoo holds a member once: "
                    "see geozoo diff, and merge zoos without common members."
                )
            owners[member] = zoo.url


def _sources(zoo: Zoo) -> list[MergedSource]:
    """What a zoo counts for as a source: itself, or its own sources where it was merged."""
    header = zoo.header
    if isinstance(header.origin, Merged):
        return list(header.origin.sources)
    return [
        MergedSource(
            name=header.name,
            digest=zoo.digest(),
            cohorts=zoo.members["cohort"].nunique(),
            members=len(zoo.members),
            recipe=header.recipe,
            engine=header.engine,
            origin=header.model_dump(mode="json")["origin"],
        )
    ]


def _name_apart(sources: Sequence[MergedSource]) -> list[MergedSource]:
    """The sources, the beginning of their digest added to names that several have."""
    names = [_own_name(source) for source in sources]
    return [
        source.model_copy(update={"name": name if names.count(name) == 1 else f"{name}-{source.digest[:8]}"})
        for source, name in zip(sources, names, strict=True)
    ]


def _own_name(source: MergedSource) -> str:
    """The name of a source without what an earlier merge added."""
    return source.name.removesuffix(f"-{source.digest[:8]}")


def _header(first: ZooHeader, origin: Merged) -> ZooHeader:
    """What the first zoo shares with all, and of recipe, name and engine what the sources have together."""
    return first.model_copy(
        update={
            "version": WITH_ORIGIN,
            "name": "+".join(dict.fromkeys(_own_name(source) for source in origin.sources)),
            "recipe": reduce(_common, (source.recipe for source in origin.sources)),
            "engine": "+".join(dict.fromkeys(source.engine for source in origin.sources)),
            "plan_sha256": "",
            "origin": origin,
        }
    )


def _common(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What two nested mappings have in common; a section in which nothing is left out."""
    common: dict[str, Any] = {}
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict) and one[key] != other[key]:
            if inner := _common(one[key], other[key]):
                common[key] = inner
        elif one[key] == other[key]:
            common[key] = one[key]
    return {key: common[key] for key in one if key in common}


def _copy(part: Part, merged: Zoo) -> None:
    """Copy the objects of a cohort under its new name and commit them."""
    commit = part.commit
    attempt = f"{part.cohort}-{commit.attempt.rpartition('-')[2]}"
    renamed = {name: f"{attempt_folder(attempt)}/{name.removeprefix(commit.folder + '/')}" for name in commit.objects}
    concurrently(lambda name: _copy_object(part, name, merged.location, renamed[name]), commit.objects)
    ours = commit.model_copy(
        update={
            "cohort": part.cohort,
            "attempt": attempt,
            "plan": 0,
            "plan_sha256": merged.plans[0].sha256,
            "header_sha256": merged.header.sha256,
            "objects": {renamed[name]: stored for name, stored in commit.objects.items()},
            "how": {**commit.how, "merged_from": {"zoo": part.source, "cohort": commit.cohort}},
        }
    )
    merged.location.create_once(commit_name(part.cohort), ours.dumps())


def _copy_object(part: Part, name: str, target: Location, new_name: str) -> None:
    try:
        data = part.zoo.location.read(name)
    except FileNotFoundError as error:
        raise DamagedZooError(f"{name} is missing in {part.zoo.url}: restore it and merge again.") from error
    if fault := part.commit.fault(name, data):
        raise DamagedZooError(f"{fault.rstrip('.')} in {part.zoo.url}: restore it and merge again.")
    target.write(new_name, data)
