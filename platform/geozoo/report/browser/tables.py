"""The tables that the page reads first: members with their last metrics, and places in an embedding."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pyarrow as pa

    from geozoo.store import Zoo

MEMBERS_TABLE, EMBEDDINGS_TABLE = "browser/members.parquet", "browser/embeddings.parquet"
FINAL, METRICS_ROW = "final_", "metrics_row"
_NOT_SHOWN = ("cohort", "position", "plan", "committed", "digest")


def encode_members(members: pd.DataFrame, final: pd.DataFrame, metrics_rows: np.ndarray[Any, Any]) -> bytes:
    """``browser/members.parquet``: hyper-parameters and the metrics of the last epoch, one row a member.

    Args:
        members: one row a member, in the order of the weights: ``member`` and the hyper-parameters.
        final: metrics of the last epoch, one row a member in any order, as ``Zoo.read_metrics`` returns them.
        metrics_rows: where each member begins in ``metrics.parquet``, whose rows are by member, then by checkpoint.
    """
    import pyarrow as pa

    last = final.set_index("member").drop(columns="epoch").reindex(members["member"])
    columns: dict[str, Any] = {str(name): members[name] for name in members.columns if name not in _NOT_SHOWN}
    columns |= {f"{FINAL}{name}": last[name].to_numpy() for name in last.columns}
    columns[METRICS_ROW] = np.asarray(metrics_rows, dtype=np.int64)
    return _encode(pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()}))


def encode_published_members(zoo: Zoo) -> bytes:
    """The same for a finished zoo whose published metrics have one row for each member and checkpoint, in order."""
    final = zoo.read_metrics(epochs=zoo.checkpoints[-1])
    return encode_members(zoo.members, final, np.arange(len(zoo.members)) * len(zoo.checkpoints))


def encode_embeddings(members: pd.Series[Any], epoch: int, axes: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """``browser/embeddings.parquet``: ``member``, ``epoch``, then the places ``[members]`` along each axis by name."""
    import pyarrow as pa

    places = {name: pa.array(np.asarray(along, dtype=np.float32)) for name, along in axes.items()}
    return _encode(pa.table({"member": pa.array(members), "epoch": pa.array(np.full(len(members), epoch)), **places}))


def _encode(table: pa.Table) -> bytes:
    """Parquet of one row group, whose columns are read one by one."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=max(1, table.num_rows))
    return sink.getvalue()
