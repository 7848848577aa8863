"""Sums of the terms of a loss over the batches of an epoch and the workers that share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geozoo.training.distributed import sum_over_workers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geozoo.training.distributed import World


class TermSums:
    """Sums of terms over batches, weighted by their rows.

    Attributes:
        world: the workers; each has its share of every term, see `geozoo.training.loop.Job.system`.
        rows: of the batches so far, over all workers.
        terms: what this worker adds to the sums over all. What has been summed over all the first worker holds alone,
            so that it counts once.
    """

    def __init__(self, world: World, rows: int = 0, terms: Mapping[str, float] | None = None) -> None:
        self.world = world
        self.rows = rows
        self.terms: dict[str, Tensor] = {}
        self._hold(terms or {})

    def add(self, terms: Mapping[str, Tensor], rows: int) -> None:
        """Add this worker's share of the terms of a batch of ``rows`` rows over all workers."""
        self.rows += rows
        for name, term in terms.items():
            value = term.detach().double() * rows
            self.terms[name] = self.terms[name] + value if name in self.terms else value

    def over_workers(self) -> dict[str, float]:
        """The sums over all workers, each of which calls it; empty before the first batch."""
        if not self.terms:
            return {}
        summed = sum_over_workers(torch.stack(list(self.terms.values())))
        terms = dict(zip(self.terms, summed.tolist(), strict=True))
        self._hold(terms)
        return terms

    def means(self) -> dict[str, float]:
        """The means over all rows, as `over_workers` gives the sums."""
        return {name: value / self.rows for name, value in self.over_workers().items()}

    def _hold(self, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            held = value if self.world.is_first else 0.0
            self.terms[name] = torch.tensor(held, dtype=torch.float64, device=self.world.device)
