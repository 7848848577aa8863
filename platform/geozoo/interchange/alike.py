"""What all members of a zoo share, and where two zoos differ in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geozoo.recipe.describe import shorten
from geozoo.store.plans import plan_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.store import Zoo


def first_difference(one: Zoo, other: Zoo) -> str | None:
    """The first thing, as a clause, in which members of the other zoo could not be members of the one."""
    return next(shared_differences(one, other), None)


def shared_differences(one: Zoo, other: Zoo) -> Iterator[str]:
    """Everything of that kind: tensors, images, checkpoints, stored type, precision, network, columns, metrics.

    Metrics of a zoo without a committed member are not known and differ from none.
    """
    yield from _layouts(one, other)
    pairs = {
        "images (fingerprint)": [zoo.header.dataset["fingerprint"] for zoo in (one, other)],
        "checkpoints": [list(zoo.checkpoints) for zoo in (one, other)],
        "stored type": [zoo.header.dtype for zoo in (one, other)],
        "best epochs kept": [zoo.header.keeps_best for zoo in (one, other)],
        "precision": [zoo.header.precision for zoo in (one, other)],
        "network": [zoo.header.recipe.get("network") for zoo in (one, other)],
        "columns of members": [plan_columns(zoo.members) for zoo in (one, other)],
    }
    metrics = [metric_names(zoo) for zoo in (one, other)]
    if all(metrics):
        pairs["metrics"] = metrics
    for name, (there, here) in pairs.items():
        if there != here:
            yield f"{name} {_told(there)} against {_told(here)}"


def metric_names(zoo: Zoo) -> list[str]:
    """The metrics of a zoo with a committed member, as its first one has them."""
    first = list(zoo.members.index[zoo.members["committed"]][:1])
    return list(zoo.read_metrics(members=first).columns[2:]) if first else []


def _layouts(one: Zoo, other: Zoo) -> Iterator[str]:
    """The first tensor that differs."""
    for number, (there, here) in enumerate(zip(one.layout, other.layout, strict=False)):
        if there != here:
            yield f"tensor {number} is {there.name} {list(there.shape)} against {here.name} {list(here.shape)}"
            return
    if len(one.layout) != len(other.layout):
        yield f"{len(one.layout)} tensors against {len(other.layout)}"


def _told(value: Any) -> str:
    return str(value) if isinstance(value, str) else shorten(value)
