"""An iterator produced by a thread that runs in front of its reader."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = TypeVar("Item")


def read_ahead(batches: Iterator[Item], ahead: int) -> Iterator[Item]:
    """What an iterator gives, produced by a thread that runs up to ``ahead`` items in front.

    An error in the thread is raised here; leaving the iteration early ends the thread.
    """
    ready: queue.Queue[Item | BaseException | None] = queue.Queue(ahead)
    left = threading.Event()

    def put(item: Item | BaseException | None) -> None:
        while not left.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for batch in batches:
                put(batch)
                if left.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=produce, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left.set()
        thread.join()
