"""Numbers in words, as the summary and the card print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

FEW_VALUES = 6


def format_value(value: object) -> str:
    """One hyper-parameter value; numbers with at most four digits."""
    return value if isinstance(value, str) else f"{value:.4g}"


def describe_values(column: pd.Series) -> str:
    """The values of a hyper-parameter: all of them up to six, else the range of numbers."""
    values = sorted(column.dropna().unique())
    if len(values) <= FEW_VALUES:
        return ", ".join(format_value(value) for value in values) or "none"
    if isinstance(values[0], str):
        return f"{len(values)} values"
    return f"{format_value(values[0])} to {format_value(values[-1])} ({len(values)} values)"


def describe_checkpoints(checkpoints: Sequence[int], *, best: bool) -> str:
    """The stored epochs: a range where they follow each other, else all of them; or that the best ones are kept."""
    first, last = checkpoints[0], checkpoints[-1]
    if best:
        return f"1 (each member's best of {last} epochs, by validation accuracy)"
    if len(checkpoints) > 1 and last - first + 1 == len(checkpoints):
        return f"{len(checkpoints)} (epochs {first} to {last})"
    return f"{len(checkpoints)} (epochs {', '.join(map(str, checkpoints))})"


def describe_last(checkpoints: Sequence[int], *, best: bool) -> str:
    """The epoch of the last checkpoint."""
    return "the best epoch" if best else f"epoch {checkpoints[-1]}"


def describe_seconds(seconds: float) -> str:
    """A duration in the largest unit that it fills."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def describe_bytes(count: int) -> str:
    """A size in decimal units."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
