"""The USPS digits (Hull, 1994), 16x16 grey pixels: libsvm text packed by bzip2, or one NumPy file of all.

A line of the text is ``LABEL 1:VALUE ... 256:VALUE``: labels from 1 to 10 for the digits 0 to 9, values from -1 to 1,
which become 0 to 255, rounded down as in torchvision. The NumPy file ``usps.npz`` has ``x`` (uint8 [n, 16, 16]) and
``y`` (0 to 9) in the published order, the images to train on first: 7,291 of all 9,298.
"""

from __future__ import annotations

import bz2
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from geozoo.datasets.layouts import all_or_none, checked_split, read_first
from geozoo.datasets.record import Decoded, ImageSetRecord
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from geozoo.datasets.images import ImageSplit
    from geozoo.datasets.prepare import Preparation

SIDE = 16
NUM_TRAIN, NUM_ALL = 7_291, 9_298
TEXTS = ("usps.bz2", "usps.t.bz2")
ARCHIVE = "usps.npz"


def _read_texts(record: ImageSetRecord, folder: Path, how: Preparation) -> Decoded | None:
    files = all_or_none(record, folder, TEXTS)
    if files is None:
        return None
    pool, test = (_read_text(record, file, how) for file in files)
    return Decoded(classes=record.classes or (), pool=pool, test=test)


def _read_text(record: ImageSetRecord, file: Path, how: Preparation) -> ImageSplit:
    try:
        lines = [line.split() for line in bz2.decompress(file.read_bytes()).decode("ascii").splitlines()]
    except (OSError, ValueError, EOFError) as error:
        raise DataCorruptError(f"{file} cannot be read as text packed by bzip2: {error}") from error
    values = np.empty((len(lines), SIDE**2), np.float32)
    labels = np.empty(len(lines), np.int64)
    for row, words in enumerate(lines):
        try:
            numbers, pixels = zip(*(word.split(":") for word in words[1:]), strict=True)
            labels[row], values[row] = int(words[0]) - 1, np.array(pixels, np.float32)
            complete = [int(number) for number in numbers] == list(range(1, SIDE**2 + 1))
        except (ValueError, IndexError):
            complete = False
        if not complete or not (np.abs(values[row]) <= 1).all():
            raise DataCorruptError(f"{file} has no label and {SIDE**2} values from -1 to 1 in line {row + 1}")
    images = ((values + 1) / 2 * 255).astype(np.uint8)
    return checked_split(record, file, images.reshape(-1, 1, SIDE, SIDE), labels, how)


def _read_archive(record: ImageSetRecord, folder: Path, how: Preparation) -> Decoded | None:
    file = folder / ARCHIVE
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["x"], arrays["y"]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataCorruptError(f"{file} cannot be read as arrays x and y: {error}") from error
    _check_arrays(file, images, labels)
    everything = checked_split(record, file, images[:, None], labels.astype(np.int64), how)
    cut = round(len(labels) * NUM_TRAIN / NUM_ALL)
    return Decoded(
        classes=record.classes or (), pool=everything.take(slice(cut)), test=everything.take(slice(cut, None))
    )


def _check_arrays(file: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE) or labels.dtype.kind not in "iu":
        raise DataCorruptError(
            f"{file} has x as {images.dtype} {list(images.shape)} and y as {labels.dtype}, not uint8 [n, 16, 16] and "
            "whole numbers"
        )


USPS = ImageSetRecord(
    name="usps",
    read=read_first(f"{' and '.join(TEXTS)} (or {ARCHIVE})", _read_texts, _read_archive),
    classes=tuple("0123456789"),
    channels=1,
    size=SIDE,
    mean=(0.1307,),  # MNIST's, as the published zoos use
    std=(0.3081,),
    validation=1_291 / NUM_TRAIN,  # 6,000 train, 1,291 validation
    test=0,
    folders=("usps", "USPS"),
    obtain="usps.bz2 and usps.t.bz2 from https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html",
)
