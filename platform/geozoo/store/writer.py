"""Writing an attempt in a thread of its own, so that training does not wait for the store."""

from __future__ import annotations

import threading
import time
from functools import partial
from queue import Queue
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    import numpy as np

    from geozoo.store.attempt import Attempt

    Write = Callable[[], None]

QUEUED_BLOCKS = 4
"""Blocks that may wait: more would only hide a store that is slower than training."""

RESUME_SECONDS = 5.0
"""Training that may be lost for want of a resume point: writing one takes as long as writing some states."""


class AttemptWriter:
    """Hands checkpoints to an attempt through a bounded queue: ``with AttemptWriter(attempt) as writer``.

    At most `QUEUED_BLOCKS` blocks and the attempt's own buffer are held, whatever the number of epochs; `append` waits
    when the queue is full. What the attempt raises is raised by the next `append`, or on leaving the ``with`` block,
    which waits until all is written; leaving it with an exception drops what still waits.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._queue: Queue[Write | None] = Queue(QUEUED_BLOCKS)
        self._appended = 0
        self._kept_at = time.monotonic()
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
        """Queue one epoch, as in `Attempt.append`; the arrays must not change any more."""
        self._put(partial(self._attempt.append, epoch, weights, metrics))
        self._appended += 1

    def resume_point_is_due(self) -> bool:
        """Whether the attempt can be gone on from here, `RESUME_SECONDS` after the last resume point or the start."""
        waited = time.monotonic() - self._kept_at >= RESUME_SECONDS
        return waited and self._attempt.rests_after(self._appended)

    def keep(self, epoch: int, state: dict[str, np.ndarray[Any, Any]], how: dict[str, Any]) -> None:
        """Queue a resume point, as in `Attempt.keep`; the arrays must not change any more."""
        self._put(partial(self._attempt.keep, epoch, state, how))
        self._kept_at = time.monotonic()

    def _put(self, write: Write) -> None:
        if self._failure is not None:
            raise self._failure
        self._queue.put(write)

    def _write_all(self) -> None:
        """Take blocks until the end; after a failure they are taken and dropped, so that `append` never hangs."""
        while (write := self._queue.get()) is not None:
            if self._failure is None and not self._dropped:
                try:
                    write()
                except BaseException as error:
                    self._failure = error
