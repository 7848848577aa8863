"""Verification: compare plans, commits and listing, re-read every object, and say what does not fit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from geozoo.errors import DamagedZooError, StoreUnusableError, ZooNotFoundError
from geozoo.store.commit import Commit, commit_cohort, commit_name
from geozoo.store.concurrency import concurrently
from geozoo.store.finding import Finding, FindingKind
from geozoo.store.header import HEADER_NAME, ZooHeader
from geozoo.store.inventory import folder_cohort, take_inventory
from geozoo.store.lease import read_leases
from geozoo.store.location import Location, open_location
from geozoo.store.manifest import MANIFEST_NAME, PUBLISHING_NAME, UNFINISHED, is_publication
from geozoo.store.plans import Plan, decode_plan, plan_name, plan_number
from geozoo.store.published_verify import digest_faults, published_faults
from geozoo.store.recompute import recompute_digests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Report:
    """What a verification found in a zoo of so many objects and bytes."""

    url: str
    findings: tuple[Finding, ...]
    objects: int
    size: int

    @property
    def clean(self) -> bool:
        """Whether there is nothing to report."""
        return not self.findings


def verify(
    url: str | Path, *, recompute_digest: bool = False, progress: Callable[[int, int], None] | None = None
) -> Report:
    """Check a zoo; reads every object once.

    Args:
        url: root of the zoo.
        recompute_digest: also recompute the members' digests from the stored weights and metrics.
        progress: called with the bytes checked so far and the bytes there are to check.

    Raises:
        ZooNotFoundError: there is nothing of a zoo at this URL.
        StoreUnusableError: the URL cannot be read, or a newer geozoo wrote the zoo.
        StoreLostError: the store failed while it was read.
    """
    location = open_location(url)
    with location.opening():
        sizes = location.list()
    progress = progress or (lambda done, total: None)
    if PUBLISHING_NAME in sizes and MANIFEST_NAME not in sizes:
        raise StoreUnusableError(f"{location.url} holds {UNFINISHED}: run the same geozoo publish again.")
    if is_publication(sizes):
        return _verify_published(location, sizes, recompute_digest=recompute_digest, progress=progress)
    if not any(name == HEADER_NAME or plan_number(name) is not None or commit_cohort(name) for name in sizes):
        raise ZooNotFoundError(f"there is no zoo at {location.url}: check the URL, or make one with geozoo populate.")
    check = _Check(location, sizes)
    header = check.header()
    plans = check.plans(header)
    commits = check.commits(header, plans)
    check.committed_objects(commits, progress)
    check.uncommitted(commits, plans)
    if recompute_digest and header is not None:
        check.digests(header, plans, commits)
    return _report(location, sizes, check.findings)


def _verify_published(
    location: Location, sizes: dict[str, int], *, recompute_digest: bool, progress: Callable[[int, int], None]
) -> Report:
    """As `verify`, of a published zoo; digests are recomputed only where all objects are what was published."""
    findings = list(published_faults(location, sizes, progress))
    if recompute_digest and all(finding.kind != "damage" for finding in findings):
        findings += digest_faults(location)
    return _report(location, sizes, findings)


def _report(location: Location, sizes: dict[str, int], findings: Iterable[Finding]) -> Report:
    kinds = get_args(FindingKind)
    ordered = sorted(findings, key=lambda finding: (kinds.index(finding.kind), finding.name))
    return Report(location.url, tuple(ordered), len(sizes), sum(sizes.values()))


@dataclass
class _Check:
    """One verification under way: each method checks one kind of object and adds to ``findings``."""

    location: Location
    sizes: dict[str, int]
    findings: list[Finding] = field(default_factory=list)

    def damage(self, name: str, sentence: str) -> None:
        self.findings.append(Finding("damage", name, sentence))

    def header(self) -> ZooHeader | None:
        try:
            return ZooHeader.loads(self.location.read(HEADER_NAME))
        except FileNotFoundError:
            self.damage(HEADER_NAME, f"{HEADER_NAME} is missing.")
        except DamagedZooError as error:
            self.damage(HEADER_NAME, str(error))
        return None

    def plans(self, header: ZooHeader | None) -> dict[int, Plan]:
        numbers = [number for name in self.sizes if (number := plan_number(name)) is not None]
        plans = {}
        for number in sorted({*numbers, *range(len(numbers)), 0}):
            name = plan_name(number)
            try:
                plans[number] = decode_plan(self.location.read(name), number)
            except FileNotFoundError:
                self.damage(name, f"{name} is missing.")
            except DamagedZooError as error:
                self.damage(name, str(error))
        if header is not None and 0 in plans and plans[0].sha256 != header.plan_sha256:
            self.damage(plan_name(0), f"{plan_name(0)} does not fit the SHA-256 in {HEADER_NAME}.")
        return plans

    def commits(self, header: ZooHeader | None, plans: dict[int, Plan]) -> dict[str, Commit]:
        """The intact commits by cohort."""
        names = sorted(name for name in self.sizes if commit_cohort(name) is not None)
        commits = [commit for commit in concurrently(self._commit, names) if commit is not None]
        for commit in commits:
            self._against_plan(commit, header, plans)
        return {commit.cohort: commit for commit in commits}

    def _commit(self, name: str) -> Commit | None:
        try:
            return Commit.loads(self.location.read(name), name)
        except FileNotFoundError:
            self.damage(name, f"{name} is missing.")
        except DamagedZooError as error:
            self.damage(name, str(error))
        return None

    def _against_plan(self, commit: Commit, header: ZooHeader | None, plans: dict[int, Plan]) -> None:
        name = commit_name(commit.cohort)
        if header is not None and commit.header_sha256 != header.sha256:
            self.damage(name, f"{name} was made for another {HEADER_NAME}.")
        plan = plans.get(commit.plan)
        if plan is None:
            return
        rows = plan.table[plan.table["cohort"] == commit.cohort]
        if commit.plan_sha256 != plan.sha256:
            self.damage(plan_name(commit.plan), f"{plan_name(commit.plan)} is not the plan that {name} was made for.")
        elif set(rows["member"]) != set(commit.digests):
            self.damage(name, f"{name} names other members than the plan of its cohort.")

    def committed_objects(self, commits: dict[str, Commit], progress: Callable[[int, int], None]) -> None:
        """Re-read every object that a commit names."""
        owners = {name: commit for commit in commits.values() for name in commit.objects}
        total, done, lock = sum(owners[name].objects[name].size for name in owners), 0, threading.Lock()

        def check(name: str) -> None:
            nonlocal done
            commit = owners[name]
            try:
                data = self.location.read(name)
            except FileNotFoundError:
                self.damage(name, f"{name} is missing.")
            else:
                if fault := commit.fault(name, data):
                    self.damage(name, fault)
            with lock:
                done += commit.objects[name].size
                progress(done, total)

        concurrently(check, sorted(owners))

    def uncommitted(self, commits: dict[str, Commit], plans: dict[int, Plan]) -> None:
        """What is planned and not there, and what is there and not named by a commit."""
        planned = {cohort for plan in plans.values() for cohort in plan.table["cohort"]}
        with_commit = {cohort for name in self.sizes if (cohort := commit_cohort(name)) is not None}
        for cohort in sorted(planned - with_commit):
            self.findings.append(
                Finding(
                    "planned but uncommitted", commit_name(cohort), f"cohort {cohort} is planned and not committed."
                )
            )
        for cohort in sorted(with_commit - planned if plans else ()):
            self.damage(commit_name(cohort), f"{commit_name(cohort)} commits a cohort that no readable plan has.")
        committed = {cohort: commit.objects for cohort, commit in commits.items()}
        inventory = take_inventory(self.sizes, committed, planned | with_commit)
        for folder in inventory.resumable:
            sentence = f"{folder} holds what cohort {folder_cohort(folder)} goes on from when it is populated again."
            self.findings.append(Finding("resume point", folder, sentence))
        for folder, names in inventory.attempts.items():
            if folder_cohort(folder) in with_commit - commits.keys():
                continue  # its commit is damaged and may name just this attempt
            sentence = (
                f"{folder} holds {len(names)} objects of an attempt that was not committed: geozoo gc removes it."
            )
            self.findings.append(Finding("uncommitted attempt", folder, sentence))
        for name in filter(self.location.exists, inventory.surplus):  # a run may be writing: gone by now is no finding
            self.findings.append(
                Finding("surplus", name, f"{name} is nothing that a zoo has use for: geozoo gc removes it.")
            )
        for name, lease in read_leases(self.location, inventory.leases).items():
            if lease is None or not lease.fresh:
                sentence = f"{name} is the lease of a run that ended without a word: geozoo gc removes it."
                self.findings.append(Finding("stale run", name, sentence))

    def digests(self, header: ZooHeader, plans: dict[int, Plan], commits: dict[str, Commit]) -> None:
        """Recompute what the commits say about their members."""
        for cohort, commit in commits.items():
            if commit.plan not in plans:
                continue
            table = plans[commit.plan].table
            try:
                digests = recompute_digests(self.location, header, table[table["cohort"] == cohort], commit)
            except DamagedZooError as error:
                self.damage(commit_name(cohort), str(error))
                continue
            for member in sorted(member for member in digests if digests[member] != commit.digests.get(member)):
                self.damage(commit_name(cohort), f"member {member} does not have the digest in {commit_name(cohort)}.")
