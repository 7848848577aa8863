"""The registry of readers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geozoo.eo.readers.bigearthnet import BIGEARTHNET
from geozoo.eo.readers.dfc2020 import DFC2020
from geozoo.eo.readers.eurosat import EUROSAT
from geozoo.eo.readers.folder import FOLDER
from geozoo.eo.readers.sen12ms import SEN12MS
from geozoo.eo.readers.sentinel2 import SENTINEL2
from geozoo.eo.readers.ssl4eo_s12 import SSL4EO_S12
from geozoo.errors import DataNotFoundError, InputError

if TYPE_CHECKING:
    from geozoo.eo.readers.record import ReaderRecord
    from geozoo.eo.tiles import Collection

READERS: dict[str, ReaderRecord] = {
    record.name: record for record in (EUROSAT, SEN12MS, DFC2020, BIGEARTHNET, SSL4EO_S12, SENTINEL2, FOLDER)
}
"""In the order in which they are tried on a folder whose format is not named."""


def find_reader(name: str) -> ReaderRecord:
    """The record of a format; an unknown name raises `InputError` that lists the known."""
    try:
        return READERS[name]
    except KeyError:
        raise InputError(f"there is no format {name!r}: choose one of {', '.join(READERS)}") from None


def find_collection(path: str | Path, format: str | None = None) -> Collection:
    """The tiles of a folder or file, by the reader that is named or else the first that fits.

    Raises:
        DataNotFoundError: nothing is there, or no reader knows it.
        InputError: there is no such format.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise DataNotFoundError(f"{path} does not exist: give the folder of a data set")
    if format is not None:
        return find_reader(format).find(place)
    for record in READERS.values():
        if record.fits(place):
            return record.find(place)
    raise DataNotFoundError(
        f"{path} looks like no data set that is known ({', '.join(READERS)}): name its layout with --format"
    )
