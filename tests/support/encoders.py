"""A stand-in for a trained hyper-representation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from geozoo.nets.layout import Layout


@dataclass(frozen=True)
class FakeEncoder:
    """Embeds weights by any function; says that it was trained on these members."""

    layout: Layout
    embed: Callable[[np.ndarray], np.ndarray]
    train_members: frozenset[str] = frozenset()
    split_by: str = "member"

    def encoder_of(self, layout: Layout) -> FakeEncoder:
        """Itself, as a trained model of one layout would."""
        assert layout == self.layout
        return self
