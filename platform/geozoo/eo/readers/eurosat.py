"""EuroSAT (Helber et al., 2019): 27,000 patches of 64x64 Sentinel-2 pixels in ten classes, as RGB or with 13 bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.datasets.hf_parquet import EUROSAT_CLASSES as CLASSES
from geozoo.eo.bands import DISPLAY, EUROSAT_BANDS
from geozoo.eo.files import BandFile
from geozoo.eo.readers.record import ReaderRecord
from geozoo.eo.tiles import Collection, Raster, Tile
from geozoo.errors import DataCorruptError, DataNotFoundError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_INSIDE = (".", "2750", "ds/images/remote_sensing/otherDatasets/sentinel_2/tif", "EuroSAT_MS", "EuroSAT_RGB")
"""Where the class folders lie below the folder given, in the two archives and their repackagings."""


def find_eurosat(path: Path) -> Collection:
    """Tiles of the RGB archive, of the 13-band archive, or of the RGB images as Parquet in the Hugging Face layout.

    Lists ``eurosat-train.txt``, ``-val`` and ``-test`` (or ``eurosat-spatial-*``, by longitude) in the folder given
    decide the split, as in TorchGeo; without them tiles have none. The patches are not placed by scene: each is its
    own. RGB pixels are display values of B04, B03, B02 and carry no place on the ground.

    Raises:
        DataNotFoundError: no image is there.
        DataCorruptError: a label or a folder of images is no class.
        InputError: there are lists of several splits.
    """
    files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
    tiles = list(_rows(files)) if files else list(_folders(path))
    if not tiles:
        raise DataNotFoundError(
            f"{path} has no EuroSAT images: expected {CLASSES[0]}/{CLASSES[0]}_1.jpg (or .tif), or a Parquet file"
        )
    return Collection("eurosat", tuple(tiles), CLASSES)


def _rows(files: list[Path]) -> Iterator[Tile]:
    import pyarrow.parquet as pq

    for file in files:
        labels = pq.read_table(file, columns=["label"], partitioning=None)["label"].to_numpy()
        if outside := np.flatnonzero((labels < 0) | (labels >= len(CLASSES))).tolist():
            raise DataCorruptError(f"{file} has label {labels[outside[0]]} at row {outside[0]}, not 0 to 9")
        for row, label in enumerate(labels.tolist()):
            bands = tuple(BandFile(str(file), number, row) for number in (1, 2, 3))
            name = f"{file.stem}-{row:06d}"
            yield Tile(name, {"rgb": Raster("rgb", DISPLAY, bands)}, scene=name, labels=(label,))


def _folders(path: Path) -> Iterator[Tile]:
    root = _root(path)
    if root is None:
        return
    for folder in root.iterdir():
        if folder.name not in CLASSES and any(folder.glob(f"{folder.name}_*.*")):
            raise DataCorruptError(f"{folder} is named after no class of EuroSAT ({', '.join(CLASSES)}): remove it")
    parts = _split_lists(path)
    for label, name in enumerate(CLASSES):
        for file in sorted((root / name).glob(f"{name}_*")):
            if file.suffix in (".tif", ".tiff"):
                rasters = {"s2": Raster.of_file("s2l1c", file, EUROSAT_BANDS)}
            elif file.suffix in (".jpg", ".jpeg", ".png"):
                rasters = {"rgb": Raster.of_file("rgb", file, DISPLAY)}
            else:
                continue
            yield Tile(file.stem, rasters, scene=file.stem, labels=(label,), split=parts.get(file.stem))


def _root(path: Path) -> Path | None:
    places = [path / inside for inside in _INSIDE]
    return next((place for place in places if any((place / name).is_dir() for name in CLASSES)), None)


def _split_lists(path: Path) -> dict[str, str]:
    parts: dict[str, str] = {}
    kinds = set()
    for suffix, part in (("train", "train"), ("val", "validation"), ("test", "test")):
        for file in path.glob(f"eurosat*-{suffix}.txt"):
            kinds.add(file.name.removesuffix(f"-{suffix}.txt"))
            parts |= {line.strip().rpartition(".")[0]: part for line in file.read_text().splitlines() if line.strip()}
    if len(kinds) > 1:
        raise InputError(f"{path} has the lists of several splits ({', '.join(sorted(kinds))}): leave those of one")
    return parts


def _fits(path: Path) -> bool:
    if path.is_dir():
        return _root(path) is not None or any(_is_eurosat_parquet(file) for file in sorted(path.glob("*.parquet"))[:1])
    return path.suffix == ".parquet" and _is_eurosat_parquet(path)


def _is_eurosat_parquet(file: Path) -> bool:
    import pyarrow.parquet as pq

    schema = pq.read_schema(file)
    return {"image", "label"} <= set(schema.names) and b"AnnualCrop" in (schema.metadata or {}).get(b"huggingface", b"")


EUROSAT = ReaderRecord("eurosat", "EuroSAT: RGB or 13-band archive, or RGB as Parquet", _fits, find_eurosat)
