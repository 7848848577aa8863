"""What a zoo holds: where the states, metrics and digests of its members lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from geozoo.errors import DamagedZooError, NotCommittedError
from geozoo.store.commit import Commit, commit_name
from geozoo.store.concurrency import concurrently
from geozoo.store.metrics import read_metrics
from geozoo.store.plans import Plan, cohort_plan
from geozoo.store.reader import ShardRead, group_equal, split_by_shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from geozoo.store.header import ZooHeader
    from geozoo.store.location import Location
    from geozoo.store.weights import Indices


class Holdings(Protocol):
    """What a zoo asks of the place where its members are stored; ``rows`` count in its members table."""

    def shard_reads(self, rows: Indices, checkpoints: Indices) -> list[ShardRead]:
        """What to read of which shard for states by row and checkpoint index."""

    def metric_tables(self, rows: Indices, columns: Sequence[str] | None, name: str) -> list[pd.DataFrame]:
        """Metrics of at least the members in these rows: ``member``, ``epoch``, then all metrics or ``columns``.

        ``name`` is `METRICS_NAME` or, where the best epochs are kept, `HISTORY_NAME`.
        """

    def digests(self) -> dict[str, str]:
        """Digest of every member by id."""

    def commits(self) -> dict[str, Commit]:
        """Commits by cohort; none where members are not stored by cohort."""

    def how(self) -> dict[str, dict[str, Any]]:
        """How each stored cohort was trained, by cohort."""

    def stored_bytes(self) -> int:
        """Size of the weights and metrics stored."""


class CommittedCohorts:
    """Holdings by cohort, as attempts commit them; commits are read concurrently when first needed, and kept.

    ``table`` has the plan columns and ``committed``, one row a member. Methods raise ``NotCommittedError`` for a member
    whose cohort is not committed.
    """

    def __init__(self, location: Location, header: ZooHeader, plans: Sequence[Plan], table: pd.DataFrame) -> None:
        import pandas as pd

        self._location = location
        self._header_sha256 = header.sha256
        self._plans = tuple(plans)
        self._table = table
        self._cohort_codes, self._cohorts = pd.factorize(table["cohort"])
        self._positions, self._committed = table["position"].to_numpy(), table["committed"].to_numpy()
        self._commits: dict[str, Commit] = {}

    def shard_reads(self, rows: Indices, checkpoints: Indices) -> list[ShardRead]:
        """See `Holdings`."""
        commits = self._commits_of(rows)
        positions, codes = self._positions[rows], self._cohort_codes[rows]
        reads = []
        for where in group_equal(codes):
            commit = commits[self._cohorts[codes[where[0]]]]
            reads += split_by_shard(commit, positions[where], checkpoints[where], where)
        return reads

    def metric_tables(self, rows: Indices, columns: Sequence[str] | None, name: str) -> list[pd.DataFrame]:
        """See `Holdings`."""
        return concurrently(
            lambda commit: read_metrics(self._location, commit, columns, name), self._commits_of(rows).values()
        )

    def digests(self) -> dict[str, str]:
        """See `Holdings`."""
        commits = self._commits_of(np.arange(len(self._table)))
        return {member: digest for commit in commits.values() for member, digest in commit.digests.items()}

    def commits(self) -> dict[str, Commit]:
        """See `Holdings`."""
        return dict(self._commits_of(np.flatnonzero(self._committed)))

    def how(self) -> dict[str, dict[str, Any]]:
        """See `Holdings`."""
        return {cohort: commit.how for cohort, commit in self.commits().items()}

    def stored_bytes(self) -> int:
        """See `Holdings`."""
        return sum(stored.size for commit in self.commits().values() for stored in commit.objects.values())

    def _commits_of(self, rows: Indices) -> dict[str, Commit]:
        """Commits by cohort of the members in these rows."""
        missing = rows[~self._committed[rows]]
        if len(missing):
            first = self._table.iloc[missing.min()]
            raise NotCommittedError(
                f"member {first['member']} of {self._location.url} is planned but its cohort {first['cohort']} is not "
                "committed: populate the zoo to the end, or open it again if that happened meanwhile."
            )
        cohorts = list(self._cohorts[np.unique(self._cohort_codes[rows])])
        unread = [cohort for cohort in cohorts if cohort not in self._commits]
        for commit in concurrently(self._read_commit, unread):
            self._commits[commit.cohort] = commit
        return {cohort: self._commits[cohort] for cohort in cohorts}

    def _read_commit(self, cohort: str) -> Commit:
        name, url = commit_name(cohort), self._location.url
        try:
            commit = Commit.loads(self._location.read(name), name)
        except FileNotFoundError as error:
            raise DamagedZooError(f"{name} is missing in {url}: run geozoo verify and restore it.") from error
        if (commit.header_sha256, commit.plan_sha256) != (self._header_sha256, self._plans[cohort_plan(cohort)].sha256):
            raise DamagedZooError(f"{name} in {url} belongs to another zoo.json or plan: run geozoo verify.")
        return commit
