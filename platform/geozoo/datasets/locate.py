"""Where the files of an image set are looked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from geozoo.errors import DataNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.datasets.record import ImageSetRecord

DATA_VARIABLE = "GEOZOO_DATA"


def candidate_paths(record: ImageSetRecord, path: str | None) -> list[Path]:
    """``path`` and the set's folders below it; without ``path``, those folders below what ``GEOZOO_DATA`` names."""
    if path is not None:
        root = Path(path).expanduser()
        return [root, *(root / folder for folder in record.folders)]
    data = os.environ.get(DATA_VARIABLE)
    return [Path(data).expanduser() / folder for folder in record.folders] if data else []


def not_found(record: ImageSetRecord, what: str, looked_in: Sequence[Path]) -> DataNotFoundError:
    """The error that says what is missing, every place that was looked at, and how to get it."""
    places = "not in " + ", ".join(map(str, looked_in)) if looked_in else f"{DATA_VARIABLE} is not set"
    alternative = f" or set {DATA_VARIABLE} to the folder above {record.folders[0]!r}" if record.folders else ""
    return DataNotFoundError(
        f"{what} of image set {record.name!r} was not found ({places}): get {record.obtain}, then name its folder in "
        f"dataset.path{alternative}"
    )
