"""Cutting chips on a cluster with Ray Data: one row of a data set is one part."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import ray

from geozoo.cluster.failures import last_line
from geozoo.cluster.preflight import refuse_unreachable_nodes
from geozoo.eo.chips.ingest import Part, ingest_part
from geozoo.errors import GeozooError, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def cut_with_ray(parts: Sequence[Part]) -> Iterator[int]:
    """`ingest_part` of all parts on the cluster this process is connected to; yields the chips of each part done.

    A part whose worker dies is cut again by Ray; what was cut stays, whatever happens.

    Raises:
        StoreUnusableError: a node does not reach the store.
        GeozooError: what a part raised.
    """
    if not parts:
        return
    refuse_unreachable_nodes(parts[0].url)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.from_items([{"part": pickle.dumps(part)} for part in parts], override_num_blocks=len(parts))
    try:
        for row in rows.map(_cut).iter_rows():
            if row["error"]:
                raise pickle.loads(row["error"])
            yield int(row["chips"])
    except ray.exceptions.RayTaskError as error:
        raise RunError(f"a part could not be cut ({last_line(error)}): run the same command again to go on.") from error


def _cut(row: dict[str, Any]) -> dict[str, Any]:
    """An error is an answer too: Ray hides one that is raised behind its own and a page of advice."""
    try:
        return {"chips": ingest_part(pickle.loads(row["part"])), "error": b""}
    except GeozooError as error:
        return {"chips": 0, "error": pickle.dumps(error)}
