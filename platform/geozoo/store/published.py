"""Reading a published zoo: one members table, one metrics table, one array of weights, checked against the manifest."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import DamagedZooError, InputError
from geozoo.store.files import ObjectFile
from geozoo.store.header import HEADER_NAME, ZooHeader
from geozoo.store.manifest import ARRAY_FOLDER, MEMBERS_NAME, METRICS_NAME, Manifest, read_manifest
from geozoo.store.metrics import HISTORY_NAME
from geozoo.store.plans import PLAN_COLUMNS
from geozoo.store.reader import ShardRead, split_by_shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from geozoo.store.commit import Commit
    from geozoo.store.location import Location
    from geozoo.store.weights import Indices

MEMBER_COLUMNS = (*PLAN_COLUMNS, "plan", "split", "digest")
"""Columns of ``members.parquet``: the plan, its number, the split by member, and the member's digest.

What an imported plan has besides comes after its other columns.
"""


class PublishedHoldings:
    """Holdings of a published zoo; rows of the tables and of the array are those of ``members``."""

    def __init__(self, location: Location, manifest: Manifest, members: pd.DataFrame) -> None:
        self._location = location
        self._members = members
        self._known: dict[str, Any] = {}
        self.manifest = manifest

    def shard_reads(self, rows: Indices, checkpoints: Indices) -> list[ShardRead]:
        """See `geozoo.store.holdings.Holdings`."""
        return split_by_shard(self.manifest, rows, checkpoints, np.arange(len(rows)))

    def metric_tables(self, rows: Indices, columns: Sequence[str] | None, name: str) -> list[pd.DataFrame]:
        """See `geozoo.store.holdings.Holdings`: reads the row groups that hold these members, page by page checked."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not len(rows):
            return []
        metadata = self._metadata(name)
        file = ObjectFile(self._location, name, self.manifest.objects[name].size)
        known = metadata.schema.to_arrow_schema().names
        if unknown := [column for column in columns or () if column not in known[2:]]:
            raise InputError(f"there is no metric {unknown[0]!r} in this zoo: there are {', '.join(known[2:])}.")
        wanted = None if columns is None else [*known[:2], *columns]
        groups = np.unique(np.asarray(rows) // self.manifest.metrics_group).tolist()
        try:
            parquet = pq.ParquetFile(file, metadata=metadata, page_checksum_verification=True)
            return [parquet.read_row_groups(groups, columns=wanted).to_pandas()]
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self._location, name, error) from error

    def digests(self) -> dict[str, str]:
        """See `geozoo.store.holdings.Holdings`."""
        return dict(zip(self._members["member"], self._members["digest"], strict=True))

    def commits(self) -> dict[str, Commit]:
        """None: members are not stored by cohort."""
        return {}

    def how(self) -> dict[str, dict[str, Any]]:
        """See `geozoo.store.holdings.Holdings`."""
        return self.manifest.how

    def stored_bytes(self) -> int:
        """See `geozoo.store.holdings.Holdings`."""
        objects = self.manifest.objects
        return sum(
            objects[name].size
            for name in objects
            if name.startswith((METRICS_NAME, HISTORY_NAME, f"{ARRAY_FOLDER}/c/"))
        )

    def _metadata(self, name: str) -> Any:
        """What the end of a table of metrics says about its row groups; kept."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if name in self._known:
            return self._known[name]
        if name not in self.manifest.objects:
            raise DamagedZooError(f"{self._location.url} has no {name}: run geozoo verify and restore it.")
        try:
            metadata = pq.read_metadata(ObjectFile(self._location, name, self.manifest.objects[name].size))
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self._location, name, error) from error
        groups = -(-self.manifest.members // self.manifest.metrics_group)
        if metadata.num_row_groups != groups:
            raise _damaged(self._location, name, ValueError(f"it has not {groups} row groups"))
        self._known[name] = metadata
        return metadata


def read_published(location: Location) -> tuple[ZooHeader, pd.DataFrame, PublishedHoldings]:
    """Header, members (as `geozoo.store.Zoo` has them) and holdings of a published zoo.

    Raises:
        DamagedZooError: the manifest, ``zoo.json`` or ``members.parquet`` is missing or not what was published.
        StoreUnusableError: a newer geozoo wrote it.
    """
    manifest = read_manifest(location)
    if manifest is None:
        raise DamagedZooError(f"nothing is published at {location.url}: its manifest is gone.")
    header = ZooHeader.loads(read_checked(location, manifest, HEADER_NAME), f"{location.url}/{HEADER_NAME}")
    table = read_members(location, manifest)
    members = table.drop(columns=["split", "digest"]).assign(committed=True)
    return header, members, PublishedHoldings(location, manifest, table)


def read_members(location: Location, manifest: Manifest) -> pd.DataFrame:
    """``members.parquet``: `MEMBER_COLUMNS`, one row a member.

    Raises:
        DamagedZooError: it is missing or not what was published.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read_checked(location, manifest, MEMBERS_NAME)
    try:
        table: pd.DataFrame = pq.read_table(io.BytesIO(data)).to_pandas(integer_object_nulls=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(location, MEMBERS_NAME, error) from error
    if missing := [name for name in MEMBER_COLUMNS if name not in table.columns]:
        raise _damaged(location, MEMBERS_NAME, ValueError(f"it has no column {missing[0]!r}"))
    return table


def read_checked(location: Location, manifest: Manifest, name: str) -> bytes:
    """All bytes of an object that the manifest names.

    Raises:
        DamagedZooError: it is missing or not what was published.
    """
    try:
        data = location.read(name)
    except FileNotFoundError as error:
        raise DamagedZooError(f"{name} is missing in {location.url}: run geozoo verify and restore it.") from error
    if fault := manifest.fault(name, len(data), hashlib.sha256(data).hexdigest()):
        raise DamagedZooError(fault)
    return data


def _damaged(location: Location, name: str, error: Exception) -> DamagedZooError:
    cause = " ".join(str(error).split()).rstrip(".")
    return DamagedZooError(f"{name} in {location.url} cannot be read: {cause}; run geozoo verify and restore it.")
