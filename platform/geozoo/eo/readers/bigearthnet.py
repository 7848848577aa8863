"""BigEarthNet v1 (Sumbul et al., 2019, 2021): 590,326 pairs of Sentinel-1 and Sentinel-2 L2A with land cover."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from geozoo.eo.bands import SENTINEL1, SENTINEL2_L2A
from geozoo.eo.files import BandFile
from geozoo.eo.readers.record import ReaderRecord
from geozoo.eo.tiles import Collection, Raster, Tile
from geozoo.errors import DataCorruptError, DataNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

LAND = "Land principally occupied by agriculture, with significant areas of natural vegetation"
NOMENCLATURE = {
    "Urban fabric": ("Continuous urban fabric", "Discontinuous urban fabric"),
    "Industrial or commercial units": ("Industrial or commercial units",),
    "Arable land": ("Non-irrigated arable land", "Permanently irrigated land", "Rice fields"),
    "Permanent crops": (
        "Vineyards",
        "Fruit trees and berry plantations",
        "Olive groves",
        "Annual crops associated with permanent crops",
    ),
    "Pastures": ("Pastures",),
    "Complex cultivation patterns": ("Complex cultivation patterns",),
    LAND: (LAND,),
    "Agro-forestry areas": ("Agro-forestry areas",),
    "Broad-leaved forest": ("Broad-leaved forest",),
    "Coniferous forest": ("Coniferous forest",),
    "Mixed forest": ("Mixed forest",),
    "Natural grassland and sparsely vegetated areas": ("Natural grassland", "Sparsely vegetated areas"),
    "Moors, heathland and sclerophyllous vegetation": ("Moors and heathland", "Sclerophyllous vegetation"),
    "Transitional woodland, shrub": ("Transitional woodland/shrub",),
    "Beaches, dunes, sands": ("Beaches, dunes, sands",),
    "Inland wetlands": ("Inland marshes", "Peatbogs"),
    "Coastal wetlands": ("Salt marshes", "Salines"),
    "Inland waters": ("Water courses", "Water bodies"),
    "Marine waters": ("Coastal lagoons", "Estuaries", "Sea and ocean"),
}
"""The 19 classes and the CORINE classes merged in each (Sumbul et al., 2021, arXiv:2105.07921; as in TorchGeo)."""
DROPPED = (
    "Road and rail networks and associated land",
    "Port areas",
    "Airports",
    "Mineral extraction sites",
    "Dump sites",
    "Construction sites",
    "Green urban areas",
    "Sport and leisure facilities",
    "Bare rock",
    "Burnt areas",
    "Intertidal flats",
)
"""The other CORINE classes: in none of the 19."""
CLASSES = tuple(NOMENCLATURE)
_NUMBERS = {corine: number for number, merged in enumerate(NOMENCLATURE.values()) for corine in merged}


def find_bigearthnet(path: Path) -> Collection:
    """Tiles of ``BigEarthNet-v1.0/`` (or ``BigEarthNet-S2-*``), of ``BigEarthNet-S1-*``, or of both as pairs.

    The file beside a Sentinel-1 patch names the Sentinel-2 patch that it belongs to (``corresponding_s2_patch``), whose
    name is the tile's id; a patch may lack its partner. Labels are those of the 43 CORINE classes that are in the
    `NOMENCLATURE` of 19; a tile may have none. Bands of Sentinel-2 have 120, 60 or 20 pixels. The scene is the tile of
    the Sentinel-2 grid. The processing baseline of the Level-2A is not told: all is older than the offset.

    ``train.csv``, ``val.csv`` and ``test.csv`` (or ``bigearthnet-*.csv``, as TorchGeo names them), with the Sentinel-2
    patch in the first column, decide the split.

    Raises:
        DataNotFoundError: no patch is there, or one lacks its labels.
        DataCorruptError: a file of labels cannot be read or has a label that is no CORINE class.
    """
    optical = _patches(path, ("BigEarthNet-v1*", "BigEarthNet-S2-*"))
    radar = _by_partner(_patches(path, ("BigEarthNet-S1-*",)))
    if not optical and not radar:
        raise DataNotFoundError(
            f"{path} has no patches: expected folders below BigEarthNet-v1.0 or BigEarthNet-S1-v1.0"
        )
    splits = _splits(path)
    tiles = []
    for name in sorted(optical.keys() | radar.keys()):
        folders = {source: there[name] for source, there in (("s1", radar), ("s2", optical)) if name in there}
        tiles.append(_tile(name, folders, splits.get(name)))
    return Collection("bigearthnet", tuple(tiles), CLASSES, multilabel=True)


def _tile(name: str, folders: dict[str, Path], split: str | None) -> Tile:
    bands = {"s1": ("s1", SENTINEL1), "s2": ("s2l2a", SENTINEL2_L2A)}
    rasters = {
        source: Raster(bands[source][0], bands[source][1], _files(folder, bands[source][1]))
        for source, folder in folders.items()
    }
    folder = folders.get("s2") or folders["s1"]
    facts = _facts(folder)
    date = str(facts.get("acquisition_date") or facts.get("acquisition_time") or "")[:10]
    square = re.search(r"_T?(\d{2}[A-Z]{3})_", f"{facts.get('tile_source', '')} {folder.name}_")
    return Tile(name, rasters, square[1] if square else name, _numbers(facts, name), split, date or None)


def _files(folder: Path, bands: tuple[str, ...]) -> tuple[BandFile, ...]:
    return tuple(BandFile(str(folder / f"{folder.name}_{band}.tif")) for band in bands)


def _numbers(facts: dict[str, Any], name: str) -> tuple[int, ...]:
    labels = facts.get("labels", ())
    if unknown := [label for label in labels if label not in _NUMBERS and label not in DROPPED]:
        raise DataCorruptError(f"patch {name} has the label {unknown[0]!r}, which is none of the 43 CORINE classes")
    return tuple(sorted({_NUMBERS[label] for label in labels if label in _NUMBERS}))


def _patches(path: Path, patterns: tuple[str, ...]) -> dict[str, Path]:
    roots = [root for pattern in patterns for root in path.glob(pattern) if root.is_dir()]
    return {folder.name: folder for root in roots for folder in root.iterdir() if folder.is_dir()}


def _by_partner(radar: dict[str, Path]) -> dict[str, Path]:
    partners: dict[str, Path] = {}
    for folder in radar.values():
        partner = _facts(folder).get("corresponding_s2_patch")
        if not isinstance(partner, str) or partner in partners:
            says = f"is the second for {partner}" if partner in partners else "names no corresponding_s2_patch"
            raise DataCorruptError(f"the file of labels in {folder} {says}: fetch it again")
        partners[partner] = folder
    return partners


def _facts(folder: Path) -> dict[str, Any]:
    file = folder / f"{folder.name}_labels_metadata.json"
    try:
        facts = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise DataNotFoundError(f"{file} is missing: restore it, or remove its patch") from None
    except ValueError as error:
        raise DataCorruptError(f"{file} cannot be read as JSON ({error}): fetch it again") from None
    if not isinstance(facts, dict) or "labels" not in facts:
        raise DataCorruptError(f"{file} holds no labels: fetch it again")
    return facts


def _splits(path: Path) -> dict[str, str]:
    parts: dict[str, str] = {}
    for suffix, part in (("train", "train"), ("val", "validation"), ("test", "test")):
        for file in (path / f"bigearthnet-{suffix}.csv", path / f"{suffix}.csv"):
            lines = file.read_text().splitlines() if file.is_file() else []
            parts |= {line.partition(",")[0].strip(): part for line in lines}
    return parts


def _fits(path: Path) -> bool:
    patterns = ("BigEarthNet-v1*", "BigEarthNet-S1-*", "BigEarthNet-S2-*")
    return any(root.is_dir() for pattern in patterns for root in path.glob(pattern))


BIGEARTHNET = ReaderRecord("bigearthnet", "BigEarthNet v1: a folder per patch", _fits, find_bigearthnet)
