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
    zoo_digest_or_name: str = "simulated"
