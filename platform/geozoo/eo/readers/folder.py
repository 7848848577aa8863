"""Any folder of co-located tiles: one subfolder for each sensor, the same file name for a place in each."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from geozoo.eo.bands import DISPLAY, LABELS, SENTINEL1, SENTINEL2_L1C, SENTINEL2_L2A, band_name, find_sensor
from geozoo.eo.files import BandFile, opened
from geozoo.eo.readers.record import ReaderRecord
from geozoo.eo.tiles import IGNORE, Collection, Raster, Tile
from geozoo.errors import BandError, DataCorruptError, DataNotFoundError, InputError
from geozoo.recipe.load import load_document
from geozoo.recipe.space import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LAYOUT = "geozoo.yaml"
SUFFIXES = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg")
"""Of raster files; where a tile has several in one folder the earlier counts: a JPEG beside a GeoTIFF is a preview."""
ASKED = 5
"""Files of a subfolder that are opened to learn its bands."""
_LABEL_FOLDERS = ("lulc", "lc", "dfc", "mask", "masks", "label", "labels")


class Modality(Frozen):
    """One entry under ``modalities`` of a ``geozoo.yaml``.

    Attributes:
        folder: below the folder of the file.
        sensor: a name in `geozoo.eo.bands.SENSORS`.
        bands: names in the order of the files; not needed where they are all of the sensor's, in its order.
    """

    folder: str
    sensor: str
    bands: tuple[str, ...] | None = None


class Layout(Frozen):
    """A ``geozoo.yaml``: what the files of a folder do not tell.

    Attributes:
        modalities: by name, such as ``s1`` or ``s2``; class codes under ``mask``. Without it they are recognised.
        classes: name of each code of the masks; codes that are not listed count for nothing.
        scene: regular expression found in a file name without its ending; its first group (or else all of the match)
            is the scene. Without it each tile is its own.
    """

    modalities: dict[str, Modality] | None = None
    classes: dict[Annotated[int, Field(ge=0)], str] = Field(default_factory=dict)
    scene: re.Pattern[str] | None = None


def find_folder(path: Path) -> Collection:
    """Tiles of a folder such as ``S1RTC/a.tif``, ``S2L2A/a.tif``, ``LULC/a.tif``.

    A subfolder's sensor is recognised from the band descriptions of the first `ASKED` of its files that can be opened,
    so that one damaged file does not decide. Where these say nothing, from its name and the number of bands: ``s1*``
    with 2, ``s2*`` with 13 (Level-1C) or 12 (Level-2A), ``*rgb*`` with 3, ``lulc``, ``lc``, ``dfc``, ``mask`` or
    ``label`` with 1. **The order of such bands is then assumed to be the product's own** (VV, VH; B01 to B08, B8A, B09,
    [B10,] B11, B12), which EuroSAT's, for one, is not: state ``bands`` in a `Layout` where it is another. Other
    subfolders are left out, which the notes of the collection say.

    The modalities are ``s1``, ``s2``, ``rgb`` and ``mask``; where there are both levels of Sentinel-2, ``s2l1c`` and
    ``s2l2a``. Baselines are unknown and no offset is added.

    A tile may lack the file of a modality.

    Raises:
        DataNotFoundError: no subfolder is recognised.
        DataCorruptError: none of the first files of a subfolder can be opened.
        BandError: bands fit no sensor, or two folders hold the same modality.
        RecipeError: the ``geozoo.yaml`` is not valid.
        InputError: its scene expression does not fit a file name.
    """
    layout = load_document(path / LAYOUT, (), Layout, "layout", LAYOUT) if (path / LAYOUT).is_file() else Layout()
    modalities, notes = _recognised(path) if layout.modalities is None else (layout.modalities, ())
    if not modalities:
        raise DataNotFoundError(
            f"{path} has no folder of rasters that is recognised (such as s1, s2l2a, mask): name them in a {LAYOUT}"
        )
    files = {name: files_by_stem(path / modality.folder) for name, modality in modalities.items()}
    bands = {name: _bands(path, modality, files[name]) for name, modality in modalities.items()}
    recode = _recode(layout.classes)
    tiles = []
    for stem in sorted(set().union(*files.values())):
        rasters = {
            name: Raster.of_file(modality.sensor, files[name][stem], bands[name])
            for name, modality in modalities.items()
            if stem in files[name]
        }
        tiles.append(Tile(stem, rasters, _scene(stem, layout.scene), recode=recode if "mask" in rasters else None))
    classes = tuple(layout.classes[code] for code in sorted(layout.classes))
    return Collection(path.resolve().name, tuple(tiles), classes, notes=notes)


def files_by_stem(folder: Path) -> dict[str, Path]:
    """Raster files of a folder by their names without ending.

    Raises:
        DataNotFoundError: the folder is missing or holds none.
    """
    ranked: dict[str, Path] = {}
    if folder.is_dir():
        files = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]
        for file in sorted(files, key=lambda file: SUFFIXES.index(file.suffix.lower())):
            ranked.setdefault(file.stem, file)
    if not ranked:
        raise DataNotFoundError(f"{folder} holds no raster file ({', '.join(SUFFIXES)}): restore it")
    return ranked


def _recognised(path: Path) -> tuple[dict[str, Modality], tuple[str, ...]]:
    found, notes = [], []
    for folder in sorted(inside for inside in path.iterdir() if inside.is_dir()):
        try:
            files = files_by_stem(folder)
        except DataNotFoundError:
            continue
        asked, name = _descriptions(files), folder.name.lower()
        if known := next(filter(None, (_recognise(name, descriptions) for descriptions in asked)), None):
            found.append(Modality(folder=folder.name, sensor=known[0], bands=known[1]))
        elif name.startswith(("s1", "s2")):
            raise BandError(
                f"folder {folder.name!r} has {len(asked[0])} bands without names: state its sensor and bands in a "
                f"{LAYOUT}"
            )
        else:
            notes.append(f"folder {folder.name} was left out: its {len(asked[0])} bands are of no known sensor")
    names = _modality_names([modality.sensor for modality in found])
    if double := [name for name, count in Counter(names).items() if count > 1]:
        folders = [modality.folder for name, modality in zip(names, found, strict=True) if name == double[0]]
        raise BandError(
            f"{path} has several folders for {double[0]} ({', '.join(folders)}): name those to use in a {LAYOUT}"
        )
    return dict(zip(names, found, strict=True)), tuple(notes)


def _descriptions(files: Mapping[str, Path]) -> list[tuple[str, ...]]:
    """The names of the bands, "" where one has none, of the first readable files: those of most files first."""
    found: Counter[tuple[str, ...]] = Counter()
    broken: DataCorruptError | None = None
    for stem in sorted(files):
        try:
            with opened(BandFile(str(files[stem]))) as source:
                found[tuple(band_name(text or "") for text in source.descriptions)] += 1
        except DataCorruptError as error:
            broken = broken or error
        if found.total() == ASKED:
            break
    if not found and broken:
        raise broken
    return [descriptions for descriptions, _ in found.most_common()]


def _modality_names(sensors: list[str]) -> list[str]:
    both = {"s2l1c", "s2l2a"} <= set(sensors)
    short = {"labels": "mask"} if both else {"labels": "mask", "s2l1c": "s2", "s2l2a": "s2"}
    return [short.get(sensor, sensor) for sensor in sensors]


def _recognise(name: str, descriptions: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """Sensor and bands of a subfolder by its name and the descriptions of its bands, "" where a band has none."""
    described = descriptions if len(set(descriptions)) == len(descriptions) else ()
    if described and set(described) <= set(SENTINEL2_L1C):
        level = re.search("l1c|l2a", name)
        return f"s2{level[0] if level else 'l1c' if 'B10' in described else 'l2a'}", described
    for sensor in ("s1", "rgb"):
        if described and set(described) <= set(find_sensor(sensor).bands):
            return sensor, described
    count = len(descriptions)
    if "rgb" in name and count == len(DISPLAY):
        return "rgb", DISPLAY
    if name in _LABEL_FOLDERS and count == 1:
        return "labels", LABELS
    if name.startswith("s1") and count == len(SENTINEL1):
        return "s1", SENTINEL1
    if name.startswith("s2") and count == len(SENTINEL2_L1C) and "l2a" not in name:
        return "s2l1c", SENTINEL2_L1C
    if name.startswith("s2") and count == len(SENTINEL2_L2A) and "l1c" not in name:
        return "s2l2a", SENTINEL2_L2A
    return None


def _bands(path: Path, modality: Modality, files: Mapping[str, Path]) -> tuple[str, ...]:
    """Names of the bands of a modality, checked against its sensor and the first of its files.

    What other files have is for `geozoo.eo.check` to say.
    """
    known = find_sensor(modality.sensor).bands
    bands = modality.bands or known
    if unknown := [band for band in bands if band not in known]:
        raise BandError(
            f"folder {modality.folder} of {path} is said to have {', '.join(unknown)}, but {modality.sensor} "
            f"has the bands {' '.join(known)}: correct the {LAYOUT}"
        )
    counts = [len(descriptions) for descriptions in _descriptions(files)]
    if len(bands) not in counts:
        raise BandError(
            f"files in folder {modality.folder} of {path} have {counts[0]} bands, not {modality.sensor}'s {len(bands)} "
            f"({' '.join(bands)}): state its bands in a {LAYOUT}"
        )
    return bands


def _recode(classes: Mapping[int, str]) -> tuple[int, ...] | None:
    if not classes:
        return None
    numbers = {code: number for number, code in enumerate(sorted(classes))}
    return tuple(numbers.get(code, IGNORE) for code in range(max(classes) + 1))


def _scene(stem: str, expression: re.Pattern[str] | None) -> str:
    if expression is None:
        return stem
    found = expression.search(stem)
    if found is None:
        raise InputError(
            f"the scene {expression.pattern!r} of {LAYOUT} does not fit the file name {stem!r}: correct it"
        )
    return found[1] if expression.groups else found[0]


def _fits(path: Path) -> bool:
    if not path.is_dir():
        return False
    names = [inside.name.lower() for inside in path.iterdir() if inside.is_dir()]
    return (path / LAYOUT).is_file() or any(name.startswith(("s1", "s2")) for name in names)


FOLDER = ReaderRecord("folder", "Any folder of co-located tiles: a subfolder for each sensor", _fits, find_folder)
