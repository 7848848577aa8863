"""Member digests from stored data, by the same rule as when it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.store.digest import MemberDigests
from geozoo.store.metrics import HISTORY_NAME, metric_blocks, read_metrics
from geozoo.store.reader import ShardReader, split_by_shard

if TYPE_CHECKING:
    import pandas as pd

    from geozoo.store.commit import Commit
    from geozoo.store.header import ZooHeader
    from geozoo.store.location import Location


def recompute_digests(location: Location, header: ZooHeader, rows: pd.DataFrame, commit: Commit) -> dict[str, str]:
    """Digests by member id of one committed cohort; ``rows`` are its plan-table rows.

    Reads one checkpoint at a time, so memory is bounded by the states of one epoch.

    Raises:
        DamagedZooError: weights or metrics are missing or damaged.
    """
    rows = rows.sort_values("position")
    members = list(rows["member"])
    metrics = metric_blocks(read_metrics(location, commit), members, header.checkpoints)
    digests = MemberDigests(header, rows, list(metrics[0]))
    if header.keeps_best:
        history = read_metrics(location, commit, table_name=HISTORY_NAME)
        for epoch, block in zip(
            header.evaluated_epochs, metric_blocks(history, members, header.evaluated_epochs), strict=True
        ):
            digests.update(epoch, None, block)
    reader = ShardReader(location)
    positions = np.arange(len(members))
    for number, epoch in enumerate(header.checkpoints):
        weights = np.empty((len(members), header.num_parameters), dtype=header.dtype)
        reader.read(split_by_shard(commit, positions, np.full(len(members), number), positions), weights)
        digests.update(epoch, weights, metrics[number])
    return digests.hexdigests()
