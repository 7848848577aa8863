"""Cutting parts in several processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from geozoo.eo.chips.ingest import ingest_part
from geozoo.errors import InputError, RunError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from geozoo.eo.chips.ingest import Part


def cut_parts(parts: Sequence[Part], workers: int = 1) -> Generator[int, None, None]:
    """`ingest_part` of all, in this process or in several; yields the chips of each part done.

    The first error, or closing the generator, ends it as soon as the parts under way are done. Workers do not outlive
    this process, whatever ends it.

    Raises:
        GeozooError: what a part raised.
        RunError: a worker was killed.
        InputError: several workers are asked to write to the memory of one process.
    """
    if workers == 1 or len(parts) < 2:
        yield from map(ingest_part, parts)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    if parts[0].url.startswith("memory://"):
        raise InputError(f"{parts[0].url} is visible to one process only: use one worker, or another URL")
    workers = min(workers, len(parts))
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start)
    try:
        for future in as_completed([pool.submit(ingest_part, part) for part in parts]):
            yield future.result()
    except BrokenProcessPool as error:
        raise RunError(
            f"one of {workers} worker processes was killed, perhaps for want of memory: run the same command with "
            "fewer --workers to go on"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)  # leaving a `with` block would take the cancelling back


def _start() -> None:
    """Leave Ctrl-C to the parent, and end with it even where it is killed."""
    from multiprocessing import connection, parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
