"""Windows of a sequence: one drawn for a training pass, or overlapping ones that cover it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Window:
    """What is passed, ``seen`` of the sequence; and what is kept of it, ``kept`` of the window."""

    seen: slice
    kept: slice


def draw_window(length: int, window: int, generator: torch.Generator) -> slice:
    """Draw a window of a sequence of ``length`` tokens, or take all of it where it is no longer than ``window``.

    The window is drawn so that it may hang over either end and is then pushed back inside. A start drawn evenly from
    those inside would show the first and the last token once in ``length - window + 1`` passes: once in 30 for the
    classifier's last row in the published setting of 93 tokens and windows of 64, where it is now two in five.
    """
    if length <= window:
        return slice(0, length)
    drawn = int(torch.randint(1 - window, length, (), generator=generator, device=generator.device))
    start = min(max(drawn, 0), length - window)
    return slice(start, start + window)


def halo_windows(length: int, window: int, halo: int) -> Iterator[Window]:
    """Cover a sequence by windows that overlap by ``halo`` tokens on either side; only what is inside is kept.

    The first and last window have both their halos on the inner side. A sequence of up to ``window`` tokens is one
    window.
    """
    if length <= window:
        yield Window(seen=slice(0, length), kept=slice(0, length))
        return
    inner = window - 2 * halo
    for begin in range(0, length, inner):
        start = min(max(begin - halo, 0), length - window)
        end = min(begin + inner, length)
        yield Window(seen=slice(start, start + window), kept=slice(begin - start, end - start))
