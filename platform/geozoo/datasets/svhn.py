"""The cropped digits of SVHN (Netzer et al., 2011) in the MATLAB files of their authors.

``X`` is uint8 [32, 32, 3, n], ``y`` is [n, 1] and counts the digit 0 as class 10, which becomes label 0. The further
images of ``extra_32x32.mat`` are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.datasets.hf_parquet import read_parquet_parts
from geozoo.datasets.layouts import all_or_none, checked_split, read_first
from geozoo.datasets.record import Decoded, ImageSetRecord
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from pathlib import Path

    from geozoo.datasets.images import ImageSplit
    from geozoo.datasets.prepare import Preparation

FILES = ("train_32x32.mat", "test_32x32.mat")


def _read_mat(record: ImageSetRecord, folder: Path, how: Preparation) -> Decoded | None:
    files = all_or_none(record, folder, FILES)
    if files is None:
        return None
    pool, test = (_read_split(record, file, how) for file in files)
    return Decoded(classes=record.classes or (), pool=pool, test=test)


def _read_split(record: ImageSetRecord, file: Path, how: Preparation) -> ImageSplit:
    from scipy.io import loadmat

    try:
        values = loadmat(file, variable_names=["X", "y"])
    except Exception as error:  # scipy raises many kinds for files that are damaged
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataCorruptError(f"{file} cannot be read as a MATLAB file: {reason}") from error
    images, labels = values.get("X"), values.get("y")
    if images is None or labels is None or images.dtype != np.uint8 or images.ndim != 4 or images.shape[2] != 3:
        shapes = {name: f"{array.dtype} {list(array.shape)}" for name, array in values.items() if name in ("X", "y")}
        raise DataCorruptError(f"{file} has {shapes}, not X as uint8 [32, 32, 3, n] and y as [n, 1]")
    digits = labels.reshape(-1).astype(np.int64)
    return checked_split(record, file, images.transpose(3, 2, 0, 1), np.where(digits == 10, 0, digits), how)


SVHN = ImageSetRecord(
    name="svhn",
    read=read_first(f"{' and '.join(FILES)}, or train and test as .parquet,", _read_mat, read_parquet_parts),
    classes=tuple("0123456789"),
    channels=3,
    size=32,
    mean=(0.5,),
    std=(0.5,),
    validation=13_257 / 73_257,  # 60,000 train, 13,257 validation
    test=0,
    folders=("svhn", "SVHN"),
    obtain="train_32x32.mat and test_32x32.mat from http://ufldl.stanford.edu/housenumbers/",
)
