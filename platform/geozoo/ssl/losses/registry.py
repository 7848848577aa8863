"""The losses between two sensors, by name: one record each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geozoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from geozoo.ssl.losses.options import LossOptions


@dataclass(frozen=True)
class Views:
    """What a loss compares: row i of both sensors shows the same place, other rows other places.

    Attributes:
        first: embeddings ``[n, d]`` of the whole batch, or feature maps ``[n, c, h, w]``, of one sensor.
        second: likewise, of the other sensor.
        queues: older embeddings ``[m, d]`` of each sensor, additional negatives, or None.
        groups: int64 ``[n]``, label or scene of every place, or None; for the rate of false negatives.
    """

    first: Tensor
    second: Tensor
    queues: tuple[Tensor, Tensor] | None = None
    groups: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class LossRecord:
    """One loss of the catalogue.

    ``build(options)`` makes it: of a symmetric loss a function from `Views` to terms by name, ``loss`` among them; of
    an ``asymmetric`` one, which needs a teacher, a module for `make_asymmetric_loss`. ``maps``: it compares feature
    maps, not embeddings. ``queues``: it can use older embeddings. ``least``: the fewest places it is defined for.
    """

    name: str
    summary: str
    options: type[LossOptions]
    build: Callable[[Any], Any]
    asymmetric: bool = False
    maps: bool = False
    queues: bool = False
    least: int = 1


LOSSES: dict[str, LossRecord] = {}


def register_loss(record: LossRecord) -> LossRecord:
    """Add a record; a name can be taken once."""
    if record.name in LOSSES:
        raise InputError(f"loss {record.name!r} is registered twice: choose another name.")
    LOSSES[record.name] = record
    return record


def find_loss(name: str) -> LossRecord:
    """Return the record of a name, or raise `InputError` naming those there are."""
    if name not in LOSSES:
        raise InputError(f"there is no loss {name!r}: choose one of {', '.join(sorted(LOSSES))}.")
    return LOSSES[name]
