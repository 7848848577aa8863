"""geozoo populates, stores, publishes and learns from populations of neural networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Zoo", "__version__", "open_zoo"]

if TYPE_CHECKING:
    from geozoo.store import Zoo, open_zoo


def __getattr__(name: str) -> Any:
    """Load the store when it is first asked for, so that ``import geozoo`` is immediate."""
    if name in ("Zoo", "open_zoo"):
        import geozoo.store

        return getattr(geozoo.store, name)
    raise AttributeError(f"module 'geozoo' has no attribute {name!r}")
