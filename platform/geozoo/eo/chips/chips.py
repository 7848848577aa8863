"""A finished chip store, opened for reading."""

from __future__ import annotations

import io
from functools import cached_property
from typing import TYPE_CHECKING, Any

from geozoo.eo.bands import select_bands
from geozoo.eo.chips.header import ARRAYS, HEADER_NAME, INDEX_NAME, ChipHeader
from geozoo.errors import BandError, DamagedZooError, InputError
from geozoo.store import open_location

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from geozoo.store import Location


class Chips:
    """Chips by number. Pickles as its URL; safe to use from many threads."""

    def __init__(self, location: Location, header: ChipHeader) -> None:
        self.location = location
        self.header = header

    def __reduce__(self) -> tuple[Any, ...]:
        return open_chips, (self.location.url,)

    def __repr__(self) -> str:
        return f"Chips({self.location.url!r}, {len(self)} chips of {', '.join(self.header.arrays)})"

    def __len__(self) -> int:
        return self.header.count

    @property
    def url(self) -> str:
        """Where it lies."""
        return self.location.url

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row per chip, in order.

        ``chip``, ``id``, ``tile``, ``scene``, ``row`` and ``column`` of the first pixel, ``split``, ``date``,
        ``label`` (the one class, or that of most pixels of the mask; NaN where there is none), ``labels`` (classes of
        the tile, or those on a tenth of the mask), ``valid`` (share of pixels measured in every band), ``baseline``,
        and the place: see `geozoo.eo.chips.footprint.footprints`.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table: pd.DataFrame = pq.read_table(io.BytesIO(self.location.read(INDEX_NAME))).to_pandas()
        except pa.ArrowException as error:
            raise DamagedZooError(
                f"{INDEX_NAME} of {self.url} cannot be read: remove it, and run the same ingest again to write it"
            ) from error
        return table

    def read(
        self, modality: str, rows: Sequence[int] | NDArray[Any], bands: Sequence[str] | None = None
    ) -> NDArray[Any]:
        """Pixels ``[n, bands, size, size]`` as stored.

        Args:
            modality: a key of ``header.arrays``.
            rows: numbers of chips, from 0.
            bands: names, in the order wanted; all where not given.

        Raises:
            BandError: there is no such modality or band.
            InputError: there is no such chip.
            DamagedZooError: stored bytes are missing or fail their checksum.
        """
        if modality not in self.header.arrays:
            raise BandError(f"{self.url} has no modality {modality!r}: choose one of {', '.join(self.header.arrays)}")
        if len(rows) and not (min(rows) >= 0 and max(rows) < len(self)):
            raise InputError(
                f"{self.url} has chips 0 to {len(self) - 1}, not {min(rows)} to {max(rows)}: choose others"
            )
        array = self.header.arrays[modality]
        pixels = array.read(self.location, f"{ARRAYS}/{modality}", rows)
        if bands is None or tuple(bands) == array.bands:
            return pixels
        return pixels[:, select_bands(array.bands, bands, self.url)]


def open_chips(url: str | Path) -> Chips:
    """Open a chip store.

    Raises:
        InputError: there is none, or its ingest is not finished.
    """
    location = open_location(url)
    with location.opening():
        try:
            header = ChipHeader.loads(location.read(HEADER_NAME), f"{location.url}/{HEADER_NAME}")
        except FileNotFoundError:
            raise InputError(f"{location.url} is no chip store: make one with geozoo eo ingest") from None
        try:
            location.read_into(INDEX_NAME, 0, memoryview(bytearray(1)))
        except FileNotFoundError:
            raise InputError(
                f"the ingest to {location.url} is not finished: run the same command again to finish it"
            ) from None
    return Chips(location, header)
