"""Files that commands write."""

from __future__ import annotations

from pathlib import Path


def refuse_missing_folder(output: str) -> None:
    """Say before any work that a file cannot be written because its folder is not there."""
    from geozoo.errors import InputError

    folder = Path(output).parent
    if not folder.is_dir():
        raise InputError(f"{output!r} cannot be written: folder {str(folder)!r} does not exist; make it first.")
