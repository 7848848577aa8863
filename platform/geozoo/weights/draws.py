"""Random numbers for the rows of a batch that do not depend on how many workers share it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RowDraws:
    """Numbers for the rows of a batch of ``total``, of which this worker holds ``rows``.

    Every worker draws for the whole batch and keeps its own rows, so that the rows get the same numbers however many
    workers there are. What is drawn for a row is small beside what is computed for it.
    """

    generator: torch.Generator
    total: int
    rows: slice

    @classmethod
    def of(cls, generator: torch.Generator, total: int) -> RowDraws:
        """Draws of a single worker."""
        return cls(generator, total, slice(0, total))

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Numbers in [0, 1) ``[local rows, *shape]``."""
        return torch.rand(self.total, *shape, generator=self.generator, device=self.generator.device, dtype=dtype)[
            self.rows
        ]

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal numbers ``[local rows, *shape]``."""
        return torch.randn(self.total, *shape, generator=self.generator, device=self.generator.device, dtype=dtype)[
            self.rows
        ]
