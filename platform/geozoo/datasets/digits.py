"""The 8x8 handwritten digits that come with scikit-learn: real images that need no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geozoo.datasets.images import ImageSplit
from geozoo.datasets.prepare import prepare
from geozoo.datasets.record import Decoded, ImageSetRecord

if TYPE_CHECKING:
    from geozoo.datasets.prepare import Preparation


def read_digits(record: ImageSetRecord, path: str | None, how: Preparation) -> Decoded:
    """Decode the 1,797 digits (test part of the UCI set "Optical Recognition of Handwritten Digits").

    Pixels count 0 to 16 ink dots; they are scaled to 0..255, rounded half to even, then prepared.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return Decoded(classes=record.classes or (), pool=ImageSplit(prepare(pixels[:, None], how), bunch.target))


DIGITS = ImageSetRecord(
    name="digits",
    read=read_digits,
    classes=tuple("0123456789"),
    channels=1,
    size=28,
    mean=(0.306,),  # mean and standard deviation of the training split at 28 px, rounded
    std=(0.325,),
    validation=0.15,
    test=0.15,
    path="refused",
)
