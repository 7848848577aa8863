"""Garbage collection: remove what no commit names, when no run is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.errors import InputError
from geozoo.store.commit import read_commits
from geozoo.store.inventory import take_inventory
from geozoo.store.lease import read_leases
from geozoo.store.manifest import refuse_publication
from geozoo.store.zoo import open_zoo

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Garbage:
    """What was removed, or would be: attempts by folder, surplus objects, stale leases; objects and bytes in all.

    ``kept`` are the folders of attempts with a resume point that a cohort without a commit goes on from.
    """

    attempts: tuple[str, ...]
    surplus: tuple[str, ...]
    leases: tuple[str, ...]
    objects: int
    size: int
    kept: tuple[str, ...] = ()


def collect_garbage(
    url: str | Path, *, dry_run: bool = False, force: bool = False, own_lease: str | None = None
) -> Garbage:
    """Remove attempts without a commit, surplus objects and the leases of runs that ended without a word.

    The header, plans, commits and everything they name are never touched; a damaged one stops the collection. The
    attempt with the latest resume point of a cohort is kept until the cohort has a commit. Leases are looked at after
    the listing, so an attempt that is listed belongs to a run whose lease was written before; and commits after the
    listing too, so one made meanwhile keeps its objects.

    Args:
        url: root of the zoo.
        dry_run: only say what would be removed.
        force: remove even while a lease is fresh, for when the run is known to be dead.
        own_lease: name of the lease that the caller holds itself. It is kept and does not count, and where another
            run is active nothing is removed: that run collects at its own end.

    Raises:
        InputError: a run is active.
        StoreUnusableError: the zoo is published.
        ZooNotFoundError, DamagedZooError: as :func:`geozoo.store.open_zoo`.
    """
    zoo = open_zoo(url)
    refuse_publication(zoo.location, act="there is nothing to collect; name")
    sizes = zoo.location.list()
    committed = {commit.cohort: commit.objects for commit in read_commits(zoo.location, zoo.location.list("commits"))}
    leases = read_leases(zoo.location, zoo.location.list("runs"))
    active = [lease for lease in leases.values() if lease is not None and lease.fresh and lease.name != own_lease]
    if active and not (force or dry_run):
        if own_lease is not None:
            return Garbage((), (), (), objects=0, size=0)
        raise InputError(
            f"a run on {active[0].host} (process {active[0].process}) is writing to {zoo.url}: "
            "wait until it has ended, or use --force if it is known to be dead."
        )
    inventory = take_inventory(sizes, committed, set(zoo.members["cohort"]))
    kept = {own_lease} if force else {own_lease, *(lease.name for lease in active)}
    stale = tuple(name for name in inventory.leases if name not in kept)
    doomed = [*(name for names in inventory.attempts.values() for name in names), *inventory.surplus, *stale]
    if not dry_run:
        zoo.location.delete(doomed)
    return Garbage(
        attempts=tuple(inventory.attempts),
        surplus=tuple(inventory.surplus),
        leases=stale,
        objects=len(doomed),
        size=sum(sizes[name] for name in doomed),
        kept=tuple(inventory.resumable),
    )
