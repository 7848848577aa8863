"""Zoos altered by someone who knows the store: data changed, every checksum and digest made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geozoo.store import Attempt, open_zoo
from geozoo.store.commit import commit_name
from geozoo.store.metrics import metric_blocks, read_metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    Change = Callable[[int, np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]], None]


def forge(url: str | Path, cohort: str, change: Change) -> None:
    """Replace a committed cohort by an altered one, told to have been trained as the old one was.

    ``change(epoch, weights [members, params], metrics {name: [members]})`` alters the arrays in place.
    """
    zoo = open_zoo(url)
    rows, old = zoo.plan_of(cohort), zoo.commits()[cohort]
    members = list(rows["member"])
    blocks = metric_blocks(read_metrics(zoo.location, old), members, zoo.checkpoints)
    attempt = Attempt.begin(zoo.location, zoo.header, rows)
    for epoch, metrics in zip(zoo.checkpoints, blocks, strict=True):
        weights, columns = zoo.states(members, epoch).copy(), {name: values.copy() for name, values in metrics.items()}
        change(epoch, weights, columns)
        attempt.append(epoch, weights, columns)
    zoo.location.delete([commit_name(cohort), *old.objects])
    assert attempt.commit(old.how) is not None


def claim(url: str | Path, **how: Any) -> None:
    """Rewrite what the commits of a zoo say about how they were trained."""
    zoo = open_zoo(url)
    for cohort, commit in zoo.commits().items():
        zoo.location.write(commit_name(cohort), commit.model_copy(update={"how": {**commit.how, **how}}).dumps())
