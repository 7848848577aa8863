"""SEN12MS (Schmitt et al., 2019): 180,662 triplets of Sentinel-1, Sentinel-2 L1C and MODIS land cover at 10 m."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from geozoo.eo.bands import LABELS, SENTINEL1, SENTINEL2_L1C
from geozoo.eo.labels import DFC_CLASSES, IGBP_RECODE
from geozoo.eo.readers.record import ReaderRecord
from geozoo.eo.tiles import Collection, Raster, Tile
from geozoo.errors import DataCorruptError, DataNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SEASONS = ("ROIs1158_spring", "ROIs1868_summer", "ROIs1970_fall", "ROIs2017_winter")
_NAME = re.compile(r"(?P<season>ROIs\d{4}_[a-z]+)_(?P<source>[a-z0-9]+)_(?P<scene>\w+)_p(?P<patch>\d+)\.tif")
HOLD_OUT = "SEN12MS_holdOutScenes.txt"


class Patch(NamedTuple):
    """Where a patch was cut: ``scene`` counts within the season, ``number`` within the scene."""

    season: str
    scene: str
    number: int

    @property
    def place(self) -> str:
        """The scene with its season."""
        return f"{self.season}_{self.scene}"

    def __str__(self) -> str:
        return f"{self.place}_p{self.number}"


BROKEN = Patch("ROIs1868_summer", "146", 202)
"""Its Sentinel-1 file is NaN; the makers' code leaves it out too."""


def find_sen12ms(path: Path) -> Collection:
    """Tiles below the folders of the four seasons, or those of them that are there.

    Modalities are ``s1``, ``s2`` and ``mask``, or fewer where no archive of a kind is unpacked. The mask is the IGBP
    band of the land cover, its 17 classes merged to the eight of DFC2020 (`geozoo.eo.labels.IGBP_RECODE`), not the
    IGBP codes as in TorchGeo. The scene is that of the file name, with its season.

    ``train_list.txt`` and ``test_list.txt`` (schmitt-muc/SEN12MS, ``splits/``) decide the split; without them the
    scenes listed in ``SEN12MS_holdOutScenes.txt`` are test and all others train; without that tiles have none. The
    patch with a broken Sentinel-1 file is left out, which the notes of the collection say.

    Raises:
        DataNotFoundError: no patch is there.
        DataCorruptError: a list names no patch or scene.
    """
    patches = find_patches(path, SEASONS, ("s1", "s2", "lc"))
    broken = patches.pop(BROKEN, None)
    splits = _split_lists(path) or _split_by_scene(path, patches)
    tiles = tuple(
        Tile(str(patch), rasters_of(files), patch.place, split=splits.get(patch), recode=IGBP_RECODE)
        for patch, files in patches.items()
    )
    notes = (f"patch {BROKEN} was left out: its Sentinel-1 file is broken",) if broken else ()
    return Collection("sen12ms", tiles, DFC_CLASSES, notes=notes)


def find_patches(path: Path, seasons: Sequence[str], sources: Sequence[str]) -> dict[Patch, dict[str, Path]]:
    """Files of each patch by source, from ``season/source_*/season_source_scene_pnumber.tif``, ordered by patch.

    A patch may lack the file of a source.

    Raises:
        DataNotFoundError: there is no patch.
    """
    found: dict[Patch, dict[str, Path]] = defaultdict(dict)
    for season in seasons:
        for source in sources:
            for file in (path / season).glob(f"{source}_*/*.tif"):
                name = _NAME.fullmatch(file.name)
                if name and (name["season"], name["source"]) == (season, source):
                    found[Patch(season, name["scene"], int(name["patch"]))][source] = file
    if not any({"s1", "s2"} & files.keys() for files in found.values()):
        example = f"{seasons[0]}/s2_1/{seasons[0]}_s2_1_p30.tif"
        raise DataNotFoundError(f"{path} has no patches: expected files such as {example}")
    return {patch: found[patch] for patch in sorted(found, key=_order)}


def rasters_of(files: dict[str, Path]) -> dict[str, Raster]:
    """Rasters by modality; the mask is the first band of the source that is no satellite."""
    known = {"s1": ("s1", "s1", SENTINEL1), "s2": ("s2", "s2l1c", SENTINEL2_L1C)}
    mask = ("mask", "labels", LABELS)
    rows = ((known.get(source, mask), file) for source, file in files.items())
    return {modality: Raster.of_file(sensor, file, bands) for (modality, sensor, bands), file in rows}


def _order(patch: Patch) -> tuple[str, int, str, int]:
    return patch.season, len(patch.scene), patch.scene, patch.number


def _split_lists(path: Path) -> dict[Patch, str]:
    parts = {}
    for part in ("train", "test"):
        for line in _lines(path / f"{part}_list.txt"):
            name = _NAME.fullmatch(line)
            if name is None:
                raise DataCorruptError(f"{path / f'{part}_list.txt'} has the line {line!r}, which is no file name")
            parts[Patch(name["season"], name["scene"], int(name["patch"]))] = part
    return parts


def _split_by_scene(path: Path, patches: Iterable[Patch]) -> dict[Patch, str]:
    """By the makers' list of held-out scenes, written ``ROIs1158_spring/s1_63``; nothing where there is none."""
    scenes = set()
    for line in _lines(path / HOLD_OUT):
        name = re.fullmatch(r"(ROIs\d{4}_[a-z]+)/s[12]_(\d+)", line)
        if name is None:
            raise DataCorruptError(f"{path / HOLD_OUT} has the line {line!r}, which is no scene")
        scenes.add(f"{name[1]}_{name[2]}")
    return {patch: "test" if patch.place in scenes else "train" for patch in patches} if scenes else {}


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text().splitlines() if line.strip()] if file.is_file() else []


def _fits(path: Path) -> bool:
    return any((path / season).is_dir() for season in SEASONS)


SEN12MS = ReaderRecord("sen12ms", "SEN12MS: seasons of s1, s2 and lc folders", _fits, find_sen12ms)
