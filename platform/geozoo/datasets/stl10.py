"""STL-10 (Coates, Ng and Lee, 2011) in the binary files of its authors.

An image is 96x96 bytes of red, then green, then blue, each column by column; labels count from 1. The unlabelled
images are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.datasets.layouts import all_or_none, checked_split, folders_of, read_bytes, read_first
from geozoo.datasets.record import Decoded, ImageSetRecord
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.datasets.images import ImageSplit
    from geozoo.datasets.prepare import Preparation

FILES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
SIDE = 96


def _read_binary(record: ImageSetRecord, folder: Path, how: Preparation) -> Decoded | None:
    files = all_or_none(record, folder, FILES)
    if files is None:
        return None
    pool, test = (_read_split(record, images, labels, how) for images, labels in (files[:2], files[2:]))
    return Decoded(classes=record.classes or (), pool=pool, test=test)


def _read_split(record: ImageSetRecord, image_file: Path, label_file: Path, how: Preparation) -> ImageSplit:
    content = np.frombuffer(read_bytes(image_file), np.uint8)
    if len(content) % (3 * SIDE**2):
        raise DataCorruptError(
            f"{image_file} has {len(content)} bytes, not a multiple of the {3 * SIDE**2} of an image"
        )
    labels = np.frombuffer(read_bytes(label_file), np.uint8).astype(np.int64) - 1
    images = content.reshape(-1, 3, SIDE, SIDE).transpose(0, 1, 3, 2)
    if len(images) != len(labels):
        raise DataCorruptError(f"{image_file} has {len(images)} images but {label_file} has {len(labels)} labels")
    return checked_split(record, label_file, images, labels, how)


STL10 = ImageSetRecord(
    name="stl10",
    read=read_first(" and ".join(FILES), _read_binary),
    classes=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
    channels=3,
    size=SIDE,
    mean=(0.5,),
    std=(0.5,),
    validation=0.16,  # of 5,000: 4,200 train, 800 validation
    test=0,
    folders=folders_of("stl10", "stl10_binary"),
    obtain="the binary files of STL-10 from https://cs.stanford.edu/~acoates/stl10/",
)
