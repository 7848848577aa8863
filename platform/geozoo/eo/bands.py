"""Sensors and their bands: everything is addressed by the name of a band, never by its place in a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geozoo.errors import BandError

if TYPE_CHECKING:
    from collections.abc import Sequence

SENTINEL1 = ("VV", "VH")
SENTINEL2_L1C = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
SENTINEL2_L2A = tuple(band for band in SENTINEL2_L1C if band != "B10")
EUROSAT_BANDS = (*(band for band in SENTINEL2_L1C if band != "B8A"), "B8A")
"""The order in EuroSAT's 13-band files: B8A comes last."""
DISPLAY = ("R", "G", "B")
LABELS = ("label",)

BASELINE_OFFSET = -1000
"""``RADIO_ADD_OFFSET`` or ``BOA_ADD_OFFSET``: to be added to numbers of Sentinel-2 from baseline 04.00 on."""
QUANTIFICATION = 10_000
"""Digital numbers of Sentinel-2 per unit of reflectance."""


@dataclass(frozen=True)
class Sensor:
    """What is known of a sensor's pixels before a file is opened.

    Attributes:
        name: as in chip stores and experiments.
        bands: in the order of its own products.
        nodata: the value that stands for "nothing measured", or None.
        unit: of the stored numbers.
    """

    name: str
    bands: tuple[str, ...]
    nodata: float | None
    unit: str


SENSORS = {
    sensor.name: sensor
    for sensor in (
        Sensor("s1", SENTINEL1, None, "dB of sigma nought"),
        Sensor("s2l1c", SENTINEL2_L1C, 0, "top-of-atmosphere reflectance x 10,000"),
        Sensor("s2l2a", SENTINEL2_L2A, 0, "surface reflectance x 10,000"),
        Sensor("rgb", DISPLAY, None, "display value, 0 to 255"),
        Sensor("labels", LABELS, None, "class code"),
    )
}


def band_name(text: str) -> str:
    """A band's name as written here: ``B1``, ``b01`` and ``B01`` are ``B01``, ``vv`` is ``VV``."""
    number = re.fullmatch(r"B(\d{1,2}|8A)", text.strip().upper())
    return f"B{number[1].zfill(2)}" if number else text.strip().upper()


def find_sensor(name: str) -> Sensor:
    """The record of a sensor.

    Raises:
        BandError: there is none of this name; the message lists the known.
    """
    try:
        return SENSORS[name]
    except KeyError:
        raise BandError(f"there is no sensor {name!r}: choose one of {', '.join(SENSORS)}") from None


def select_bands(have: Sequence[str], want: Sequence[str], where: str) -> list[int]:
    """Places in ``have`` of the bands ``want``, in that order.

    Args:
        have: names of the bands there, in the order of the file.
        want: names of the bands asked for.
        where: what the bands belong to, for the message.

    Raises:
        BandError: a band is not there. A 12-band product is not silently taken for a 13-band one: name the bands.
    """
    if missing := [band for band in want if band not in have]:
        raise BandError(
            f"{where} lacks band {', '.join(missing)} (it has {' '.join(have)}): "
            "name the bands to use in `bands:`, or give data that have them"
        )
    return [list(have).index(band) for band in want]
