"""Shelves served in a thread."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from geozoo.report.browser import BrowserServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geozoo.report.browser import Shelf


@contextlib.contextmanager
def serving(shelves: Sequence[Shelf]) -> Iterator[BrowserServer]:
    """A running server of these shelves."""
    with BrowserServer(shelves) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
