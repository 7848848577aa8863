"""Tiny ImageNet (Stanford CS231n) in its folders: 200 classes, 64x64 pixels.

``train/<wnid>/images/*.JPEG`` and ``val/images/*.JPEG`` with the class of each in ``val/val_annotations.txt``: file,
wnid and a box, parted by tabs. Classes are the wnids in alphabetical order. The labelled images of ``val`` are the
test split, since those of ``test`` have no labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.datasets.encoded import EncodedImage, decode_images
from geozoo.datasets.hf_parquet import read_parquet_parts
from geozoo.datasets.images import ImageSplit
from geozoo.datasets.layouts import folders_of, read_bytes, read_first
from geozoo.datasets.locate import not_found
from geozoo.datasets.record import Decoded, ImageSetRecord
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from geozoo.datasets.prepare import Preparation


def _read_folders(record: ImageSetRecord, folder: Path, how: Preparation) -> Decoded | None:
    train, annotations = folder / "train", folder / "val" / "val_annotations.txt"
    classes = sorted(entry.name for entry in train.iterdir() if entry.is_dir()) if train.is_dir() else []
    if not classes:
        return None
    if len(classes) != record.num_classes:
        raise DataCorruptError(f"{train} has the folders of {len(classes)} classes, not of {record.num_classes}")
    if not annotations.is_file():
        raise not_found(record, "val/val_annotations.txt", [folder])
    pool = [
        (file, label) for label, name in enumerate(classes) for file in sorted((train / name / "images").glob("*.JPEG"))
    ]
    if not pool:
        raise DataCorruptError(f"{train} has no <class>/images/*.JPEG")
    return Decoded(
        classes=tuple(classes),
        pool=_decode(record, pool, how),
        test=_decode(record, list(_annotated(annotations, classes)), how),
    )


def _annotated(annotations: Path, classes: list[str]) -> Iterable[tuple[Path, int]]:
    """Files and labels, in the order of the table."""
    labels = {name: label for label, name in enumerate(classes)}
    try:
        lines = annotations.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataCorruptError(f"{annotations} cannot be read: {error}") from error
    if not lines:
        raise DataCorruptError(f"{annotations} is empty")
    for number, line in enumerate(lines, start=1):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid not in labels:
            raise DataCorruptError(f"{annotations} has the class {wnid!r} in line {number}, which train has not")
        if name != name.rpartition("/")[2] or name in ("", ".", ".."):
            raise DataCorruptError(f"{annotations} has the file name {name!r} in line {number}, which is no file name")
        yield annotations.parent / "images" / name, labels[wnid]


def _decode(record: ImageSetRecord, labelled: list[tuple[Path, int]], how: Preparation) -> ImageSplit:
    encoded = [EncodedImage(read_bytes(file), file) for file, _ in labelled]
    labels = np.array([label for _, label in labelled], np.int64)
    return ImageSplit(decode_images(encoded, how, record.channels), labels)


TINY_IMAGENET = ImageSetRecord(
    name="tiny_imagenet",
    read=read_first(
        "train/<class>/images and val/val_annotations.txt, or train and valid as .parquet,",
        _read_folders,
        read_parquet_parts,
    ),
    num_classes=200,
    channels=3,
    size=64,
    mean=(0.5,),
    std=(0.5,),
    validation=0.1,  # of 100,000
    test=0,
    folders=folders_of("tiny_imagenet", "tiny-imagenet-200"),
    obtain="tiny-imagenet-200.zip from http://cs231n.stanford.edu/",
)
