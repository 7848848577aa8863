"""The two tables of a published zoo, as Parquet with a checksum on every page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.store import split_of
from geozoo.store.metrics import RUNNING
from geozoo.store.plans import plan_columns

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from geozoo.store import Zoo

_GROUP_ROWS = 65_536
_WRITE = {"compression": "zstd", "write_page_checksum": True}
_SMALL_PAGES: dict[str, Any] = {"use_dictionary": ["member"], "data_page_size": 2**15, "write_page_index": True}
"""For readers over the network that want the metrics of a few members."""


def metrics_group(zoo: Zoo) -> int:
    """How many members a row group of a table of metrics holds: about 65,536 rows."""
    return max(1, _GROUP_ROWS // len(zoo.header.evaluated_epochs))


def encode_members(zoo: Zoo) -> bytes:
    """``members.parquet``: one row a member, in the order of ``zoo.members``; columns `MEMBER_COLUMNS`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    digests = zoo.digests()
    table = zoo.members[[*plan_columns(zoo.members), "plan"]].assign(
        split=[split_of(member) for member in zoo.members["member"]],
        digest=[digests[member] for member in zoo.members["member"]],
    )
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), sink, **_WRITE)
    return sink.getvalue()


def write_metrics(zoo: Zoo, path: Path, *, history: bool = False) -> None:
    """Write ``metrics.parquet``: one row a member and epoch, members in the order of ``zoo.members``.

    With ``history`` the metrics of all epochs of a zoo that keeps the best, see `geozoo.store.best`. One row group at a
    time, so memory is bounded by `metrics_group` members, whatever the size of the zoo.
    """
    import pyarrow.parquet as pq

    step = metrics_group(zoo)
    writer: Any = None
    try:
        for start in range(0, len(zoo.members), step):
            members = np.arange(start, min(start + step, len(zoo.members)))
            frame = zoo.read_history(members=members) if history else zoo.read_metrics(members=members)
            table = _metrics_table(frame)
            writer = writer or pq.ParquetWriter(path, table.schema, **_WRITE, **_SMALL_PAGES)
            writer.write_table(table, row_group_size=table.num_rows)
    finally:
        if writer is not None:
            writer.close()


def _metrics_table(frame: pd.DataFrame) -> pa.Table:
    """As Arrow: metrics of training are null at epoch 0, where they are not defined; any other NaN stays a value."""
    import pyarrow as pa

    initial = frame["epoch"].to_numpy() == 0
    return pa.table(
        {
            str(name): pa.array(
                column.to_numpy(), mask=initial if str(name).startswith(RUNNING) else None, from_pandas=False
            )
            for name, column in frame.items()
        }
    )
