"""Member digests from stored data, by the same rule as when it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.store.digest import MemberDigests
from geozoo.store.metrics import HISTORY_NAME, metric_blocks, read_metrics
from geozoo.store.plans import plan_columns
from geozoo.store.reader import ShardReader, split_by_shard

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from geozoo.store.best import Metrics
    from geozoo.store.commit import Commit
    from geozoo.store.header import ZooHeader
    from geozoo.store.location import Location
    from geozoo.store.zoo import Zoo


def recompute_digests(location: Location, header: ZooHeader, rows: pd.DataFrame, commit: Commit) -> dict[str, str]:
    """Digests by member id of one committed cohort; ``rows`` are its plan-table rows.

    Reads one checkpoint at a time, so memory is bounded by the states of one epoch.

    Raises:
        DamagedZooError: weights or metrics are missing or damaged.
    """
    rows = rows.sort_values("position")
    history = read_metrics(location, commit, table_name=HISTORY_NAME) if header.keeps_best else None
    digests, metrics = _begin(header, rows, read_metrics(location, commit), history)
    reader = ShardReader(location)
    positions = np.arange(len(rows))
    for number, epoch in enumerate(header.checkpoints):
        weights = np.empty((len(rows), header.num_parameters), dtype=header.dtype)
        reader.read(split_by_shard(commit, positions, np.full(len(rows), number), positions), weights)
        digests.update(epoch, weights, metrics[number])
    return digests.hexdigests()


def begin_digests(zoo: Zoo, rows: NDArray[Any]) -> tuple[MemberDigests, list[Metrics]]:
    """Digests of the members in some rows, to which each checkpoint is still to be added, and the metrics of each."""
    history = zoo.read_history(members=rows) if zoo.header.keeps_best else None
    table = zoo.members.iloc[rows][plan_columns(zoo.members)]
    return _begin(zoo.header, table, zoo.read_metrics(members=rows), history)


def _begin(
    header: ZooHeader, rows: pd.DataFrame, table: pd.DataFrame, history: pd.DataFrame | None
) -> tuple[MemberDigests, list[Metrics]]:
    members = list(rows["member"])
    metrics = metric_blocks(table, members, header.checkpoints)
    digests = MemberDigests(header, rows, list(metrics[0]))
    if history is not None:
        blocks = metric_blocks(history, members, header.evaluated_epochs)
        for epoch, block in zip(header.evaluated_epochs, blocks, strict=True):
            digests.update(epoch, None, block)
    return digests, metrics
