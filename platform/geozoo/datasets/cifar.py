"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) in the Python and the binary version of their authors.

An image is 3,072 bytes: 32 rows of red, then green, then blue. The Python version is a pickle of a dictionary with
``data`` (uint8 [n, 3072]) and ``labels``, in CIFAR-100 ``fine_labels``; pickles are read by
`geozoo.datasets.restricted`, which admits arrays and plain values alone. A row of the binary version is the label, in
CIFAR-100 the coarse and then the fine label, and the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geozoo.datasets.hf_parquet import read_parquet_parts
from geozoo.datasets.images import ImageSplit
from geozoo.datasets.layouts import all_or_none, checked_split, folders_of, read_bytes, read_first
from geozoo.datasets.record import Decoded, ImageSetRecord
from geozoo.datasets.restricted import unpickle_plain
from geozoo.errors import DataCorruptError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from geozoo.datasets.layouts import Layout
    from geozoo.datasets.prepare import Preparation

    Rows = tuple[NDArray[np.uint8], NDArray[np.int64]]

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32


def _layout(names: tuple[str, ...], read_rows: Callable[[Path], Rows]) -> Layout:
    """Files of which the last is the test split, and all others together the images to split."""

    def read(record: ImageSetRecord, folder: Path, how: Preparation) -> Decoded | None:
        files = all_or_none(record, folder, names)
        if files is None:
            return None
        *pool, test = (checked_split(record, file, *read_rows(file), how) for file in files)
        joined = ImageSplit(
            np.concatenate([part.images for part in pool]), np.concatenate([part.labels for part in pool])
        )
        return Decoded(classes=record.classes or (), pool=joined, test=test)

    return read


def _read_pickle(key: str) -> Callable[[Path], Rows]:
    def read(file: Path) -> Rows:
        batch = unpickle_plain(file)
        data, labels = (_entry(file, batch, name) for name in ("data", key))
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != PIXELS:
            held = f"{data.dtype} {list(data.shape)}" if isinstance(data, np.ndarray) else type(data).__name__
            raise DataCorruptError(f"{file} has data as {held}, not uint8 [n, {PIXELS}]")
        if not isinstance(labels, list | np.ndarray) or not all(isinstance(one, int | np.integer) for one in labels):
            raise DataCorruptError(f"{file} has {key} that is no list of whole numbers")
        return data.reshape(-1, *SHAPE), np.array(labels, np.int64)

    return read


def _entry(file: Path, batch: Any, name: str) -> Any:
    entries = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in _items(file, batch)}
    if name not in entries:
        raise DataCorruptError(f"{file} has no {name!r} but {', '.join(map(str, entries)) or 'nothing'}")
    return entries[name]


def _items(file: Path, batch: Any) -> Any:
    if not isinstance(batch, dict):
        raise DataCorruptError(f"{file} holds a {type(batch).__name__}, not a dictionary with data and labels")
    return batch.items()


def _read_binary(label_bytes: int) -> Callable[[Path], Rows]:
    def read(file: Path) -> Rows:
        content = np.frombuffer(read_bytes(file), np.uint8)
        width = label_bytes + PIXELS
        if len(content) % width:
            raise DataCorruptError(f"{file} has {len(content)} bytes, not a multiple of the {width} of an image")
        rows = content.reshape(-1, width)
        return rows[:, label_bytes:].reshape(-1, *SHAPE), rows[:, label_bytes - 1].astype(np.int64)

    return read


BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))

CIFAR10 = ImageSetRecord(
    name="cifar10",
    read=read_first(
        "data_batch_1 to data_batch_5 and test_batch (or the same ending in .bin), or train and test as .parquet,",
        _layout((*BATCHES, "test_batch"), _read_pickle("labels")),
        _layout((*(f"{name}.bin" for name in BATCHES), "test_batch.bin"), _read_binary(1)),
        read_parquet_parts,
    ),
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    channels=3,
    size=32,
    mean=(0.5,),
    std=(0.5,),
    validation=0.16,  # of 50,000: 42,000 train, 8,000 validation, as the published CNN zoos
    test=0,
    folders=folders_of("cifar10", "cifar-10-batches-py", "cifar-10-batches-bin"),
    obtain="the Python or binary version of CIFAR-10 from https://www.cs.toronto.edu/~kriz/cifar.html",
)

CIFAR100_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""

CIFAR100 = ImageSetRecord(
    name="cifar100",
    read=read_first(
        "train and test (or train.bin and test.bin), or train and test as .parquet,",
        _layout(("train", "test"), _read_pickle("fine_labels")),
        _layout(("train.bin", "test.bin"), _read_binary(2)),
        read_parquet_parts,
    ),
    classes=tuple(CIFAR100_CLASSES.split()),
    channels=3,
    size=32,
    mean=(0.5,),
    std=(0.5,),
    validation=0.2,  # of 50,000: 40,000 train, 10,000 validation, as the published ResNet zoo
    test=0,
    folders=folders_of("cifar100", "cifar-100-python", "cifar-100-binary"),
    obtain="the Python or binary version of CIFAR-100 from https://www.cs.toronto.edu/~kriz/cifar.html",
)
