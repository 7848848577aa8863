"""Metric tables: one row per (member, epoch) of a cohort, as Parquet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.errors import DamagedZooError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from geozoo.store.commit import Commit
    from geozoo.store.location import Location

METRICS_NAME = "metrics.parquet"
HISTORY_NAME = "history.parquet"
"""The metrics of all epochs, where a zoo keeps the states of the best ones alone."""

RUNNING = "running_"
"""How the names of metrics of training begin; they are not defined at epoch 0."""

Columns = dict[str, np.ndarray[Any, Any]]


def encode_metrics(members: Sequence[str], epochs: Sequence[int], blocks: Sequence[Mapping[str, Any]]) -> bytes:
    """Parquet bytes of the metrics of a cohort, rows by member, then epoch; columns sorted by name.

    ``blocks`` holds ``{name: [members]}`` for each epoch. Metrics of training (``running_*``) are not defined at epoch
    0, the initialisation, and NaN is null there; a NaN anywhere else is a value and stays NaN.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, length = len(members), len(epochs)
    initial = np.tile(np.asarray(epochs) == 0, count)
    columns: dict[str, Any] = {
        "member": pa.array(np.repeat(np.asarray(members, dtype=object), length), pa.string()),
        "epoch": pa.array(np.tile(np.asarray(epochs, dtype=np.int64), count)),
    }
    for name in sorted(blocks[0]):
        values = np.stack([np.asarray(block[name]) for block in blocks], axis=1).reshape(-1)
        if values.dtype.kind not in "bi":
            values = values.astype(np.float64)
        undefined = initial & np.isnan(values) if name.startswith(RUNNING) else None
        columns[name] = pa.array(values, mask=undefined, from_pandas=False)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def read_metrics(
    location: Location, commit: Commit, columns: Sequence[str] | None = None, table_name: str = METRICS_NAME
) -> pd.DataFrame:
    """Read the metrics of a committed cohort, nulls as NaN; ``columns`` narrows them, after ``member`` and ``epoch``.

    Raises:
        DamagedZooError: they are missing or are not what was committed.
        InputError: there is no metric of this name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = f"{commit.folder}/{table_name}"
    try:
        data = location.read(name)
    except FileNotFoundError as error:
        raise DamagedZooError(f"{name} is missing in {location.url}: run geozoo verify and restore it.") from error
    if fault := commit.fault(name, data):
        raise DamagedZooError(fault)
    file = pq.ParquetFile(pa.BufferReader(data))
    known = file.schema_arrow.names
    if unknown := [column for column in columns or () if column not in known[2:]]:
        raise InputError(f"there is no metric {unknown[0]!r} in this zoo: there are {', '.join(known[2:])}.")
    table: pd.DataFrame = file.read(columns=None if columns is None else [*known[:2], *columns]).to_pandas()
    return table


def metric_blocks(table: pd.DataFrame, members: Sequence[str], epochs: Sequence[int]) -> list[Columns]:
    """The blocks ``{name: [members]}`` by epoch that a metric table was made of."""
    indexed = table.set_index(["epoch", "member"])
    return [
        {str(name): column.to_numpy() for name, column in indexed.loc[epoch].reindex(list(members)).items()}
        for epoch in epochs
    ]
