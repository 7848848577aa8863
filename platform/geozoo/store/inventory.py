"""What the objects of a zoo are for: committed, left by attempts without a commit, leases, or nothing at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.store.commit import commit_cohort
from geozoo.store.header import HEADER_NAME
from geozoo.store.lease import is_lease_name
from geozoo.store.plans import plan_number
from geozoo.store.resume import newest_by_cohort

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_ATTEMPT = re.compile(r"cohorts/((?:0|[1-9]\d*)-\d+)-[0-9a-f]{8}/.+")


@dataclass(frozen=True)
class Inventory:
    """Names of objects that no commit names.

    ``attempts`` are the objects of attempts without a commit, by the attempt's folder; ``resumable`` likewise of those
    that a cohort without a commit goes on from; ``leases`` are those of runs; ``surplus`` are objects that a zoo has no
    use for.
    """

    attempts: dict[str, list[str]]
    resumable: dict[str, list[str]]
    leases: list[str]
    surplus: list[str]


def take_inventory(
    names: Iterable[str], committed: Mapping[str, Collection[str]], planned: Collection[str]
) -> Inventory:
    """Sort out the objects of a zoo.

    Args:
        names: all objects there.
        committed: for each cohort with a commit, the names of its objects.
        planned: all planned cohorts.
    """
    names = set(names)
    named = {name for objects in committed.values() for name in objects}
    folders = {folder_of(name) for name in named}
    there = {cohort for name in names if (cohort := commit_cohort(name)) is not None}
    goes_on = {folder_of(name) for cohort, (_, name) in newest_by_cohort(names).items() if cohort not in there}
    inventory = Inventory({}, {}, [], [])
    for name in sorted(names - named):
        attempt = _ATTEMPT.fullmatch(name)
        if name == HEADER_NAME or plan_number(name) is not None or commit_cohort(name) is not None:
            continue
        if is_lease_name(name):
            inventory.leases.append(name)
        elif attempt and attempt[1] in planned and folder_of(name) not in folders:
            kind = inventory.resumable if folder_of(name) in goes_on else inventory.attempts
            kind.setdefault(folder_of(name), []).append(name)
        else:
            inventory.surplus.append(name)
    return inventory


def folder_of(name: str) -> str:
    """The attempt's folder, ``cohorts/<cohort>-<nonce>``, of an object."""
    return "/".join(name.split("/")[:2])


def folder_cohort(folder: str) -> str:
    """The cohort of an attempt's folder."""
    return folder.removeprefix("cohorts/").rpartition("-")[0]
