"""Rows of a table: the zoo store and a baseline timed in turn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.benchmarks.results import baseline_cell, ratios, spread

if TYPE_CHECKING:
    from collections.abc import Callable


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def time_row(
    what: str, ours: Callable[[], object], theirs: Callable[[], object], times: int, scale: float = 1
) -> list[str]:
    """Milliseconds of both sides; the baseline did one part in ``scale`` of the work and counts ``scale`` times."""
    here, there = [], []
    for _ in range(times):
        here.append(1e3 * seconds(ours))
        there.append(1e3 * scale * seconds(theirs))
    faster = ratios(here, there)
    return [what, spread(here, " ms", 2), baseline_cell(spread(there, " ms"), faster), spread(faster)]


def rate_row(
    what: str, ours: Callable[[], object], size: int, theirs: Callable[[], object], their_size: int, times: int
) -> list[str]:
    """MB/s of both sides, which read ``size`` and ``their_size`` bytes of weights."""
    here, there = [], []
    for _ in range(times):
        here.append(size / 1e6 / seconds(ours))
        there.append(their_size / 1e6 / seconds(theirs))
    faster = [one / other for one, other in zip(here, there, strict=True)]
    return [what, spread(here, " MB/s", 0), baseline_cell(spread(there, " MB/s"), faster), spread(faster, "x", 0)]
