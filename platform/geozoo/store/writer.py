"""Writing an attempt in a thread of its own, so that training does not wait for the store."""

from __future__ import annotations

import threading
from queue import Queue
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import numpy as np

    from geozoo.store.attempt import Attempt

    Block = tuple[int, np.ndarray[Any, Any], Mapping[str, np.ndarray[Any, Any]]]

QUEUED_BLOCKS = 4
"""Blocks that may wait: more would only hide a store that is slower than training."""


class AttemptWriter:
    """Hands checkpoints to an attempt through a bounded queue: ``with AttemptWriter(attempt) as writer``.

    At most `QUEUED_BLOCKS` blocks and the attempt's own buffer are held, whatever the number of epochs; `append` waits
    when the queue is full. What the attempt raises is raised by the next `append`, or on leaving the ``with`` block,
    which waits until all is written; leaving it with an exception drops what still waits.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._queue: Queue[Block | None] = Queue(QUEUED_BLOCKS)
        self._failure: BaseException | None = None
        self._dropped = False
        self._thread = threading.Thread(target=self._write_all, name=f"write {attempt.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dropped = error is not None
        self._queue.put(None)
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    def append(self, epoch: int, weights: np.ndarray[Any, Any], metrics: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Queue one checkpoint, as in `Attempt.append`; the arrays must not change any more."""
        if self._failure is not None:
            raise self._failure
        self._queue.put((epoch, weights, metrics))

    def _write_all(self) -> None:
        """Take blocks until the end; after a failure they are taken and dropped, so that `append` never hangs."""
        while (block := self._queue.get()) is not None:
            if self._failure is None and not self._dropped:
                try:
                    self._attempt.append(*block)
                except BaseException as error:
                    self._failure = error
