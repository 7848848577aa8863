"""The pages that a published zoo carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geozoo.report.browser import browser_pages
from geozoo.report.card import render_card

if TYPE_CHECKING:
    from geozoo.hyper.probing.states import Progress
    from geozoo.store import Zoo


def published_pages(
    zoo: Zoo, address: str, *, with_probe: bool = True, progress: Progress | None = None
) -> dict[str, bytes]:
    """All static files to ship besides data and metadata, by name: to ship another one, add it here.

    Args:
        zoo: the zoo to be published.
        address: where the published zoo will be opened, for what the pages say about loading it.
        with_probe: as in `render_card`.
        progress: as in `render_card`.
    """
    card = render_card(zoo, with_probe=with_probe, progress=progress, address=address)
    return {"card.html": card.encode(), **browser_pages(zoo)}
