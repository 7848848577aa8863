"""DFC2020, the 2020 data fusion contest of IEEE GRSS: patches as in SEN12MS with labels at 10 m, 256x256."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from geozoo.eo.labels import DFC_CLASSES, DFC_RECODE
from geozoo.eo.readers.record import ReaderRecord
from geozoo.eo.readers.sen12ms import find_patches, rasters_of
from geozoo.eo.tiles import Collection, Tile, grid_of
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from geozoo.eo.tiles import Raster

PARTS = {"ROIs0000_validation": "train", "ROIs0000_test": "test"}
"""Published work on this set trains on the contest's validation folder (986 patches) and tests on its test folder
(5,128)."""


def find_dfc2020(path: Path) -> Collection:
    """Tiles of both folders of the contest, in the packaging ``s2_validation/`` or ``s2_0/``.

    **The split is reversed with respect to the names of the folders** (`PARTS`), as in Scheibenreif et al., 2022.
    Modalities are ``s1``, ``s2`` (Level-1C) and ``mask``: the ten classes of the contest as eight numbers, Savanna and
    Snow/Ice counting for nothing (`geozoo.eo.labels.DFC_RECODE`). Tiles have no labels of their own: a chip's are
    `geozoo.eo.labels.majority_class` of its mask, or `multilabels` where ``multilabel`` of the collection is set.

    Names do not tell which region a patch is from, so its scene is the folder and the CRS: one file of every patch is
    opened. Where none can be, or has no CRS, the scene is that of the name.

    Raises:
        DataNotFoundError: no patch is there.
    """
    tiles = []
    for patch, files in find_patches(path, tuple(PARTS), ("s1", "s2", "dfc")).items():
        rasters = rasters_of(files)
        scene = f"{patch.season}_{_crs(rasters) or patch.scene}"
        tiles.append(Tile(str(patch), rasters, scene, split=PARTS[patch.season], recode=DFC_RECODE))
    return Collection("dfc2020", tuple(tiles), DFC_CLASSES)


def _crs(rasters: Mapping[str, Raster]) -> str | None:
    """The CRS of the first file that can be opened, as text."""
    for modality in ("s2", "s1"):
        with suppress(DataCorruptError, KeyError):
            crs = grid_of(rasters[modality]).crs
            return crs.to_string() if crs else None
    return None


def _fits(path: Path) -> bool:
    return any((path / part).is_dir() for part in PARTS)


DFC2020 = ReaderRecord("dfc2020", "DFC2020: validation and test folders of the contest", _fits, find_dfc2020)
