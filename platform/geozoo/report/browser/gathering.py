"""The metrics of all cohorts of a store, gathered into one table that is read member by member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing import BinaryIO

    import pandas as pd

    from geozoo.hyper.probing.states import Progress
    from geozoo.store import Zoo

_GROUP_ROWS = 16_384
_PAGE_BYTES = 2**15


def gather_metrics(
    zoo: Zoo, rows: np.ndarray[Any, Any], file: BinaryIO, progress: Progress | None
) -> tuple[pd.DataFrame, np.ndarray[Any, np.dtype[np.int64]]]:
    """Write ``metrics.parquet`` to a file, rows by member and then by checkpoint, a cohort at a time.

    Pages are small and indexed, so a reader of one member's curve reads some kilobytes.

    Returns:
        Metrics of the last epoch, one row a member; and the row of the file where each of ``rows`` begins.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    codes, cohorts = pd.factorize(zoo.members["cohort"].iloc[rows])
    length, last = len(zoo.checkpoints), zoo.checkpoints[-1]
    metrics_rows = np.empty(len(rows), dtype=np.int64)
    finals, written, writer = [], 0, None
    try:
        for number in range(len(cohorts)):
            where = np.flatnonzero(codes == number)
            table = zoo.read_metrics(members=rows[where])
            finals.append(table[table["epoch"] == last])
            arrow = pa.Table.from_pandas(table, preserve_index=False)
            writer = writer or pq.ParquetWriter(
                file,
                arrow.schema,
                compression="zstd",
                use_dictionary=["member"],
                data_page_size=_PAGE_BYTES,
                write_page_index=True,
            )
            writer.write_table(arrow, row_group_size=max(1, _GROUP_ROWS // length) * length)
            metrics_rows[where] = written + length * np.arange(len(where))
            written += len(table)
            if progress:
                progress("read metrics", number + 1, len(cohorts))
    finally:
        if writer:
            writer.close()
    return pd.concat(finals, ignore_index=True), metrics_rows
