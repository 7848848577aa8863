"""Image sets in the idx format of MNIST, gzip-compressed or not.

Format (LeCun, Cortes, Burges, "The MNIST database"): two zero bytes, the type code (8: unsigned byte), the number of
dimensions, each dimension as a big-endian 32-bit integer, then the values in row-major order.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from geozoo.datasets.hf_parquet import read_parquet_parts
from geozoo.datasets.images import ImageSplit
from geozoo.datasets.layouts import all_or_none, read_first
from geozoo.datasets.prepare import prepare
from geozoo.datasets.record import Decoded, ImageSetRecord
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from geozoo.datasets.prepare import Preparation

_UNSIGNED_BYTE = 8
FILES = tuple(f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))


def read_idx_files(record: ImageSetRecord, folder: Path, how: Preparation) -> Decoded | None:
    """Decode the four files ``{train,t10k}-{images-idx3,labels-idx1}-ubyte``; the ``t10k`` pair is the test split.

    Each file may end in ``.gz``.
    """
    files = all_or_none(record, folder, FILES, suffixes=("", ".gz"))
    if files is None:
        return None
    pool, test = (_read_pair(record, images, labels, how) for images, labels in (files[:2], files[2:]))
    return Decoded(classes=record.classes or (), pool=pool, test=test)


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Read one idx file of unsigned bytes with ``ndim`` dimensions.

    Raises:
        DataCorruptError: bad gzip, magic number, dimensions or length.
    """
    content = _read_bytes(path)
    magic = bytes((0, 0, _UNSIGNED_BYTE, ndim))
    if content[:4] != magic:
        raise DataCorruptError(f"{path} starts with the bytes {content[:4].hex(' ')!r} instead of {magic.hex(' ')!r}")
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DataCorruptError(f"{path} ends after {len(content)} bytes, inside its header of {start} bytes")
    shape = struct.unpack(f">{ndim}I", content[4:start])
    if 0 in shape:
        raise DataCorruptError(f"{path} is empty: its header gives the dimensions {shape}")
    if len(content) != start + math.prod(shape):
        raise DataCorruptError(
            f"{path} has {len(content) - start} bytes of values but its header {shape} asks for {math.prod(shape)}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read_pair(record: ImageSetRecord, image_file: Path, label_file: Path, how: Preparation) -> ImageSplit:
    images, labels = read_idx(image_file, ndim=3), read_idx(label_file, ndim=1)
    if images.shape[1] != images.shape[2]:
        raise DataCorruptError(
            f"{image_file} has images of {images.shape[1]}x{images.shape[2]} pixels, not square ones"
        )
    if len(images) != len(labels):
        raise DataCorruptError(f"{image_file} has {len(images)} images but {label_file} has {len(labels)} labels")
    num_classes = len(record.classes or ())
    if labels.max() >= num_classes:
        row = int(np.argmax(labels >= num_classes))
        raise DataCorruptError(f"{label_file} has label {labels[row]} at row {row}, beyond the {num_classes} classes")
    return ImageSplit(prepare(images[:, None], how), labels.astype(np.int64))


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataCorruptError(f"{path} cannot be read: {error}") from error


IDX_OR_PARQUET = f"{', '.join(FILES)} (each may end in .gz), or train and test as .parquet,"

MNIST = ImageSetRecord(
    name="mnist",
    read=read_first(IDX_OR_PARQUET, read_idx_files, read_parquet_parts),
    classes=tuple("0123456789"),
    channels=1,
    size=28,
    mean=(0.1307,),
    std=(0.3081,),
    validation=1 / 6,  # of 60,000: 50,000 train, 10,000 validation
    test=0,
    folders=("mnist", "MNIST/raw"),  # the second is where torchvision puts it
    obtain="the four files of MNIST, for example from https://ossci-datasets.s3.amazonaws.com/mnist/",
)

FMNIST = ImageSetRecord(
    name="fmnist",
    read=read_first(IDX_OR_PARQUET, read_idx_files, read_parquet_parts),
    classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    channels=1,
    size=28,
    mean=(0.5,),
    std=(0.5,),
    validation=1 / 6,  # of 60,000: 50,000 train, 10,000 validation
    test=0,
    folders=("fmnist", "fashion_mnist", "FashionMNIST/raw"),  # the last is where torchvision puts it
    obtain="the four files of Fashion-MNIST, for example from https://github.com/zalandoresearch/fashion-mnist",
)
