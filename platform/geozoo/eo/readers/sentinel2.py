"""Sentinel-2 as ESA delivers it (SAFE folders of Level-1C and Level-2A), and folders with one GeoTIFF for each band."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from geozoo.eo.bands import SENTINEL2_L1C, find_sensor
from geozoo.eo.files import BandFile
from geozoo.eo.readers.record import ReaderRecord
from geozoo.eo.tiles import Collection, Raster, Tile
from geozoo.errors import DataCorruptError, DataNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OFFSET_BASELINE = 4.0
"""Products of this processing baseline and later carry an offset."""
_FILE = re.compile(
    r"(?:(?P<start>.+)_)?(?P<band>B(?:0[1-9]|1[0-2]|8A))(?:_(?P<resolution>\d\d)m)?\.(?:jp2|tiff?)", re.I
)
_METRES = dict.fromkeys(("B02", "B03", "B04", "B08"), 10) | dict.fromkeys(("B01", "B09", "B10"), 60)
"""Metres of a pixel as the band is measured; 20 for the others."""


class Radiometry(NamedTuple):
    """Processing baseline as ``"05.09"``, and what is to be added to the numbers of the files."""

    baseline: str | None
    offset: int


def find_sentinel2(path: Path) -> Collection:
    """Tiles of one SAFE folder or folder of bands, or of all below a folder: one for each granule.

    A band that Level-2A gives at several resolutions is taken at that of its measurement. Folders of bands hold files
    such as ``B02.tif`` or ``T31UFS_20200422T095031_B02_10m.tif``; their level is that of their path (``L1C``, ``L2A``),
    or else Level-1C where there is a B10. The scene is the tile of the Sentinel-2 grid, so that dates of one place stay
    together.

    The baseline and offset are read by `read_radiometry`, from ``MTD_MSIL1C.xml`` or ``MTD_MSIL2A.xml`` in the folder
    or else from the product's name. Nothing is concluded from the sensing date: older scenes are delivered in new
    baselines too. A folder of bands whose name and files tell no baseline is taken as it is, with offset 0.

    Raises:
        DataNotFoundError: no band is there.
        DataCorruptError: metadata cannot be read, a baseline comes without its offset, or no band is of the level.
    """
    root = path.resolve()
    tiles = [tile for product in sorted(_products(root)) for tile in _granules(root, product)]
    if not tiles:
        raise DataNotFoundError(f"{path} has no Sentinel-2 bands: expected a .SAFE folder, or files such as B02.tif")
    return Collection("sentinel2", tuple(tiles))


def read_radiometry(metadata: Path | None, name: str, bands: Sequence[str]) -> Radiometry:
    """What ``MTD_MSIL1C.xml`` or ``MTD_MSIL2A.xml`` says, or else the name of a product (``..._N0509_...``).

    The offsets are ``RADIO_ADD_OFFSET`` or ``BOA_ADD_OFFSET`` of each band.

    Raises:
        DataCorruptError: the file cannot be read or declares a document type; a baseline from 04.00 on has no offset;
            or the offsets of ``bands`` are incomplete or differ, which no product is known to do.
    """
    baseline, offsets = _read_metadata(metadata) if metadata else (None, {})
    if baseline is None and (named := re.search(r"_N(\d{2})(\d{2})(_|$)", name)):
        baseline = f"{named[1]}.{named[2]}"
    if not offsets:
        if baseline is not None and float(baseline) >= OFFSET_BASELINE:
            raise DataCorruptError(
                f"{name} is of processing baseline {baseline}, whose numbers carry an offset, but nothing tells it: "
                "restore MTD_MSIL1C.xml or MTD_MSIL2A.xml, or rename the folder if the offset is already added"
            )
        return Radiometry(baseline, 0)
    if missing := [band for band in bands if band not in offsets]:
        raise DataCorruptError(f"{metadata} gives offsets, but none for {', '.join(missing)}: fetch it again")
    different = {offsets[band] for band in bands}
    if len(different) > 1:
        raise DataCorruptError(f"{metadata} gives bands different offsets ({sorted(different)}): they are not read")
    return Radiometry(baseline, different.pop())


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ElementTree.ParseError(f"it declares the document type {name}, and with it perhaps entities")


def _read_metadata(file: Path) -> tuple[str | None, dict[str, int]]:
    """Baseline, and offsets by band: their ``band_id`` counts the 13 bands in order of wavelength."""
    baseline, offsets = None, {}
    try:
        root = ElementTree.parse(file, ElementTree.XMLParser(target=_WithoutDoctype())).getroot()
        for element in root.iter():
            tag = element.tag.rpartition("}")[2]
            if tag == "PROCESSING_BASELINE":
                baseline = f"{float(element.text or ''):05.2f}"
            elif tag in ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET"):
                offsets[SENTINEL2_L1C[int(element.attrib["band_id"])]] = int(element.text or "")
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataCorruptError(f"{file} cannot be read ({error}): fetch it again") from error
    return baseline, offsets


def _products(path: Path) -> Iterator[Path]:
    """SAFE folders, and folders that hold a file of a band, below a folder or itself."""
    for folder, inside, files in os.walk(path):
        if folder.rstrip("/").endswith(".SAFE"):
            inside.clear()
            yield Path(folder)
        elif any(_FILE.fullmatch(file) for file in files):
            yield Path(folder)


def _granules(root: Path, product: Path) -> Iterator[Tile]:
    """A tile for each set of files of a product that differ in the band alone."""
    files = product.glob("GRANULE/*/IMG_DATA/**/*") if product.suffix == ".SAFE" else product.iterdir()
    found: dict[str, dict[str, list[tuple[bool, int, str]]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        if name := _FILE.fullmatch(file.name):
            band, metres = name["band"].upper(), int(name["resolution"] or 0)
            found[name["start"] or ""][band].append((metres != _METRES.get(band, 20), metres, str(file)))
    inside = "_".join(product.relative_to(root).parts) or product.name
    for start, ranked in sorted(found.items()):
        best = {band: min(choice)[-1] for band, choice in ranked.items()}
        title = inside.removesuffix(".SAFE")
        yield _tile(product, start, title if len(found) == 1 else f"{title}_{start}", best)


def _tile(product: Path, start: str, title: str, files: dict[str, str]) -> Tile:
    metadata = next(iter(sorted(product.glob("MTD_MSIL*.xml"))), None)
    levels = re.findall("l1c|l2a", f"{product} {start} {metadata or ''}".lower())
    sensor = find_sensor(f"s2{levels[-1] if levels else 'l1c' if 'B10' in files else 'l2a'}")
    bands = tuple(band for band in sensor.bands if band in files)
    if not bands:
        raise DataCorruptError(f"{product} has only {', '.join(files)}, which {sensor.name} has not: remove it")
    baseline, offset = read_radiometry(metadata, product.name, bands)
    raster = Raster(sensor.name, bands, tuple(BandFile(files[band]) for band in bands), offset, baseline)
    names = f"{start}_{title}_"
    date = re.search(r"_(20\d\d)(\d\d)(\d\d)(?=[T_])", f"_{names}")
    square = re.search(r"_T?(\d\d[C-X][A-Z]{2})_", f"_{names}")
    return Tile(title, {"s2": raster}, square[1] if square else title, date="-".join(date.groups()) if date else None)


def _fits(path: Path) -> bool:
    return path.is_dir() and next(_products(path), None) is not None


SENTINEL2 = ReaderRecord("sentinel2", "Sentinel-2: SAFE folders, or a GeoTIFF per band", _fits, find_sentinel2)
