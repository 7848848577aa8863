"""Several requests under way at once."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREADS = 8
_THREAD_NAME = "geozoo-store"


def concurrently(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``[function(item) for item in items]``, eight at a time in all of this process; the first exception is raised.

    Inside ``function`` a further call works through its items one by one, so that threads never wait for each other.
    """
    items = list(items)
    if len(items) < 2 or threading.current_thread().name.startswith(_THREAD_NAME):
        return [function(item) for item in items]
    return list(_pool().map(function, items))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix=_THREAD_NAME)


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
