"""Training that is killed in the middle of an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geozoo.training.loop import Batch, Source


class KilledError(Exception):
    pass


@dataclass(frozen=True)
class Dying:
    """A source that raises `KilledError` in place of one batch of one epoch, both counted from 0."""

    source: Source
    epoch_number: int
    batch: int

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        for place, batch in enumerate(self.source.epoch(number, first), first):
            if (number, place) == (self.epoch_number, self.batch):
                raise KilledError
            yield batch
