"""Copies of the real Earth-observation tiles under GEOZOO_DATA as collections that tests may damage."""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from geozoo.eo.readers import find_collection
from geozoo.eo.readers.folder import LAYOUT
from tests.support.tiles import real

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.eo.tiles import Collection

NAMES = ("terramind_s1s2", "eurosat_ms", "bigearthnet_mm", "s2_scenes")
LAND_COVER = ("no data", "water", "trees", "flooded", "crops", "built", "bare", "snow", "clouds", "rangeland")

needs_tiles = pytest.mark.skipif(
    not all(real(name).is_dir() for name in NAMES),
    reason=f"needs real tiles: set GEOZOO_DATA to a folder with {', '.join(NAMES)}",
)


LAYOUTS = {
    "terramind_s1s2": f"""
modalities:
  s1: {{folder: S1RTC, sensor: s1}}
  s2: {{folder: S2L1C, sensor: s2l1c}}
  s2l2a: {{folder: S2L2A, sensor: s2l2a}}
  rgb: {{folder: S2RGB, sensor: rgb}}
  mask: {{folder: LULC, sensor: labels}}
classes: {{{", ".join(f"{code}: {name}" for code, name in enumerate(LAND_COVER))}}}
""",
    "s2_scenes": """
modalities: {s2: {folder: scenes, sensor: s2l2a}}
scene: ^[A-Za-z]+
""",
}
"""Of the collections that no format names, for the reader of folders."""


def copy_collection(name: str, folder: Path) -> Collection:
    """A collection over a copy of one of `NAMES` below ``folder``, found by its reader."""
    place = folder / name
    if name == "bigearthnet_mm":
        for archive in sorted(real(name).glob("*.tar.bz2")):
            with tarfile.open(archive) as packed:
                packed.extractall(place, filter="data")
    else:
        shutil.copytree(real(name), place / "scenes" if name == "s2_scenes" else place)
    if name in LAYOUTS:
        (place / LAYOUT).write_text(LAYOUTS[name])
    return find_copy(name, folder)


def find_copy(name: str, folder: Path) -> Collection:
    """The collection of `copy_collection`, found again."""
    formats = {"eurosat_ms": "eurosat", "bigearthnet_mm": "bigearthnet"}
    return find_collection(folder / name, formats.get(name, "folder"))
