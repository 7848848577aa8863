"""What Ray says of a failure, shortened to what a sentence can hold."""

from __future__ import annotations


def last_line(error: BaseException) -> str:
    """The last line of an error's text, which is where Ray puts the cause; its type where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
